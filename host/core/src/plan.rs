//! The plan: everything that will be done, as a value. It is made without changing anything,
//! can be printed and serialized, and is all that acting on it takes, beside what is open.

use std::fmt::{self, Write as _};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::judged::ExtensionReport;
use crate::keep::Keep;
use crate::outcome::{Code, Message};
use crate::path::Path;
use crate::preserved::{Survivor, is_shown};
use crate::text::{bytes, count};

/// How the new root becomes the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The new root's mount is moved over `/`, and the process chroots to it.
    Move,
    /// pivot_root(2), then the old root is detached.
    Pivot,
    /// Another program switches, such as systemd.
    Delegated,
}

/// What will be done. Of an image the steps are not known: they depend on the machine.
#[derive(Clone, Debug)]
pub enum Plan {
    /// This program switches to a root that is mounted.
    Switch(Switch),
    /// Another program switches, such as systemd: what survives is copied before.
    Preserve(Preserve),
    /// This program, as the init of the initramfs, boots the image whole.
    ImageBoot(ImageBoot),
}

/// See [`Plan::Switch`].
#[derive(Clone, Debug)]
pub struct Switch {
    /// What becomes of the initramfs.
    pub outline: Outline,
    /// How the switch is done.
    pub steps: Option<Steps>,
}

/// See [`Plan::Preserve`].
#[derive(Clone, Debug)]
pub struct Preserve {
    /// What becomes of the initramfs.
    pub outline: Outline,
    /// Where the other program will switch to; nothing of it is done here.
    pub steps: Option<Steps>,
    /// What is copied.
    pub copies: Option<Copies>,
}

/// See [`Plan::ImageBoot`].
#[derive(Clone, Debug)]
pub struct ImageBoot {
    /// What becomes of the initramfs.
    pub outline: Outline,
    /// The files of the initramfs that make the new root: the root image, then the layers of
    /// the extensions, the uppermost last.
    pub images: Vec<Path>,
    /// The extensions.yaml that tells what was activated, written before it is carried.
    pub rewrite: Option<Rewrite>,
    /// How the switch is done.
    pub steps: Option<Steps>,
}

/// What becomes of the initramfs and of its extensions, in every mode; of an image as well.
#[derive(Clone, Debug)]
pub struct Outline {
    /// What is preserved, by path.
    pub preserved: Vec<Survivor>,
    /// Whether the rest is deleted.
    pub deletion: Deletion,
    /// Every extension that extensions.yaml names.
    pub extensions: Vec<ExtensionReport>,
    /// What is not as it should be: first what was said before the plan was made.
    pub warnings: Vec<Message>,
    /// What is worth knowing, a sentence each.
    pub notes: Vec<String>,
    /// What is not known and would decide, a sentence each.
    pub unknown: Vec<String>,
}

/// How the switch is done.
#[derive(Clone, Debug)]
pub struct Steps {
    /// How the new root becomes the root: the first that the kernel does.
    pub attempts: Vec<Strategy>,
    /// The mount point of the new root, and what identifies it.
    pub new_root: NewRoot,
    /// What is executed at the end.
    pub init: InitPlan,
    /// Opened for standard input, output and error of init, in the new root.
    pub console: Option<Path>,
    /// Capability numbers taken from init.
    pub drop_capabilities: Vec<u8>,
    /// Mounts that are made private first: a mount below a shared one cannot
    /// be moved.
    pub make_private: Vec<Path>,
    /// What becomes of /dev, /proc, /sys and /run.
    pub moves: Vec<Move>,
    /// Where survivors and the report go.
    pub run: Run,
    /// Where /run of the new root leads, if it is a link.
    pub run_leads_to: Option<Path>,
    /// Whether what survives is mounted below /run/switch-root.
    pub preserved: Preserved,
    /// Mounts that stay in the initramfs: those that processes which live on may use, or all,
    /// where the program is called `run-init`. They are neither moved nor detached.
    pub staying_mounts: Vec<Path>,
    /// Processes of the initramfs that live on, fifty of them at most.
    pub processes: Vec<Process>,
    /// How many more there are.
    pub processes_more: u64,
    /// Mounts that a policy keeps, or all where nothing is deleted: moved below
    /// /run/switch-root.
    pub kept_mounts: Vec<Path>,
    /// All other mounts of the initramfs, deepest first: detached, so that
    /// what they hold is freed.
    pub detached_mounts: Vec<Path>,
    /// Whether init waits for the deletion.
    pub foreground: bool,
}

/// Whether what survives is mounted below /run/switch-root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preserved {
    /// There is no place for it, or another program switches.
    No,
    /// If the kernel can: nothing survives that would be missed.
    Wanted,
    /// The switch is refused without it.
    Needed,
}

/// Whether the initramfs is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// All that does not survive goes.
    Delete,
    /// Nothing goes, for this reason.
    Skip(Message),
}

/// As an object with what is done, and why where nothing is.
impl Serialize for Deletion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let reason = match self {
            Self::Delete => None,
            Self::Skip(reason) => Some(reason),
        };
        let length = 1 + 2 * usize::from(reason.is_some());
        let mut object = serializer.serialize_struct("Deletion", length)?;
        let action = if reason.is_some() { "skip" } else { "delete" };
        object.serialize_field("action", action)?;
        if let Some(Message { code, text }) = reason {
            object.serialize_field("reason", text)?;
            object.serialize_field("code", code)?;
        }
        object.end()
    }
}

/// A process that lives on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name, as the kernel has it.
    pub name: Path,
    /// The file that it executes; absent where the kernel does not say.
    pub executable: Option<Path>,
    /// Whether it serves a file system, or may do so.
    pub serves: bool,
}

/// What is copied.
#[derive(Clone, Debug, Serialize)]
pub struct Copies {
    /// Where to.
    pub to: Path,
    /// These survivors, with all that they hold.
    pub paths: Vec<Path>,
    /// What the host alone keeps: copied to where nobody but root finds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_root: Option<ForRoot>,
    /// What they take.
    pub size: Size,
    /// Survivors that there is no room for.
    pub left_out: Vec<LeftOut>,
    /// Mounts at or below survivors: what they hold is not copied.
    pub mounts: Vec<String>,
    /// Directories of the initramfs that are mounted on themselves, which is no other file
    /// system: what they hold is copied.
    pub uncovered: Vec<Path>,
}

/// What is copied for root alone.
#[derive(Clone, Debug, Serialize)]
pub struct ForRoot {
    /// Where to.
    pub to: Path,
    /// These survivors, with all that they hold.
    pub paths: Vec<Path>,
}

/// How much something takes, or how much there is room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Bytes of memory.
    pub bytes: u64,
    /// Files and directories.
    pub entries: u64,
}

/// A survivor that is not copied.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// Its path in the initramfs.
    pub path: Path,
    /// Why it is not copied.
    pub reason: String,
    /// The code of that reason.
    pub code: Option<Code>,
}

/// A file that is written anew.
#[derive(Clone, Debug, Serialize)]
pub struct Rewrite {
    /// Its path in the initramfs.
    pub path: Path,
    /// All that it holds then.
    pub text: String,
}

/// The new root.
#[derive(Clone, Debug, Serialize)]
pub struct NewRoot {
    /// Its mount point.
    pub path: Path,
    /// The number of its mount.
    pub mount_id: u64,
}

/// The init.
#[derive(Clone, Debug, Serialize)]
pub struct InitPlan {
    /// Its path in the new root, as given.
    pub path: Path,
    /// The same without links.
    pub resolved: Path,
    /// Its arguments, without its name.
    pub arguments: Vec<Path>,
    /// Device number and inode.
    pub identity: (u64, u64),
}

/// What becomes of one of the mounts that every system has.
#[derive(Clone, Debug, Serialize)]
pub struct Move {
    /// The mount point, the same in both roots.
    pub path: Path,
    /// What is done.
    pub action: MoveAction,
    /// Where it leads in the new root, if it is a link there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leads_to: Option<Path>,
    /// Why it is detached where the new root has no mount there: half a sentence about the
    /// new root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The code of that reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// See [`Move`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveAction {
    /// Moved, with all that is mounted below it.
    Move,
    /// The directory is made in the new root, then moved to.
    MakeAndMove,
    /// Detached: the new root has something mounted there already, or no place for it.
    Detach,
    /// Bound, with all that is mounted below it: processes that live on have it, too.
    Bind,
    /// The directory is made in the new root, then bound on.
    MakeAndBind,
    /// Left where it is: processes that live on have it, and the new root has its own.
    Leave,
}

/// Where /run of the new root comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Run {
    /// It is moved from the initramfs, or the new root has one mounted.
    There,
    /// A new tmpfs is mounted, since there is none.
    Mount,
    /// The same, and the directory is made first.
    MakeAndMount,
    /// There is no place for one: survivors cannot be reached afterwards, and
    /// there is no report.
    Absent,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Move => "move",
            Self::Pivot => "pivot",
            Self::Delegated => "another program switches",
        })
    }
}

impl Plan {
    /// What becomes of the initramfs.
    pub fn outline(&self) -> &Outline {
        match self {
            Self::Switch(Switch { outline, .. })
            | Self::Preserve(Preserve { outline, .. })
            | Self::ImageBoot(ImageBoot { outline, .. }) => outline,
        }
    }

    /// How the switch is done; none where the plan is that of an image.
    pub fn steps(&self) -> Option<&Steps> {
        match self {
            Self::Switch(Switch { steps, .. })
            | Self::Preserve(Preserve { steps, .. })
            | Self::ImageBoot(ImageBoot { steps, .. }) => steps.as_ref(),
        }
    }

    /// What is copied, where another program switches.
    pub fn copies(&self) -> Option<&Copies> {
        match self {
            Self::Preserve(Preserve { copies, .. }) => copies.as_ref(),
            _ => None,
        }
    }

    /// The files of the initramfs that make the new root, where it is booted whole.
    pub fn images(&self) -> &[Path] {
        match self {
            Self::ImageBoot(ImageBoot { images, .. }) => images,
            _ => &[],
        }
    }

    /// The file that is written before it is carried.
    pub fn rewrite(&self) -> Option<&Rewrite> {
        match self {
            Self::ImageBoot(ImageBoot { rewrite, .. }) => rewrite.as_ref(),
            _ => None,
        }
    }

    /// What the deletion leaves alone.
    pub fn keep(&self) -> Keep {
        let survivors = self.outline().preserved.iter();
        let paths = survivors.map(|survivor| &survivor.path);
        let staying = self.steps().into_iter().flat_map(|it| &it.staying_mounts);
        Keep::new(paths.chain(staying).map(|path| path.0.as_slice()))
    }
}

impl Steps {
    /// How the new root becomes the root, if nothing fails.
    pub fn strategy(&self) -> Strategy {
        self.attempts.first().copied().unwrap_or(Strategy::Move)
    }

    /// Where /run is in the new root, without the slash that it begins with.
    pub fn run_in_new_root(&self) -> &[u8] {
        let run = self.run_leads_to.as_ref();
        run.map_or(b"run", |path| &path.0[1..])
    }
}

/// As it was before there were three kinds of plan: one object of all keys. Nothing where the
/// steps are not known.
impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            strategy: Strategy,
            attempts: &'a [Strategy],
            new_root: &'a NewRoot,
            init: &'a InitPlan,
            console: &'a Option<Path>,
            drop_capabilities: &'a [u8],
            make_private: &'a [Path],
            moves: &'a [Move],
            run: Run,
            #[serde(skip_serializing_if = "Option::is_none")]
            run_leads_to: Option<&'a Path>,
            #[serde(skip_serializing_if = "<[Path]>::is_empty")]
            staying_mounts: &'a [Path],
            processes: &'a [Process],
            processes_more: u64,
            kept_mounts: &'a [Path],
            detached_mounts: &'a [Path],
            survivors: &'a [Survivor],
            #[serde(skip_serializing_if = "Option::is_none")]
            copies: Option<&'a Copies>,
            #[serde(skip_serializing_if = "<[Path]>::is_empty")]
            images: &'a [Path],
            rewrite: Option<&'a Rewrite>,
            deletion: &'a Deletion,
            foreground: bool,
        }
        let Some(steps) = self.steps() else {
            return serializer.serialize_none();
        };
        let flat = Flat {
            strategy: steps.strategy(),
            attempts: &steps.attempts,
            new_root: &steps.new_root,
            init: &steps.init,
            console: &steps.console,
            drop_capabilities: &steps.drop_capabilities,
            make_private: &steps.make_private,
            moves: &steps.moves,
            run: steps.run,
            run_leads_to: steps.run_leads_to.as_ref(),
            staying_mounts: &steps.staying_mounts,
            processes: &steps.processes,
            processes_more: steps.processes_more,
            kept_mounts: &steps.kept_mounts,
            detached_mounts: &steps.detached_mounts,
            survivors: &self.outline().preserved,
            copies: self.copies(),
            images: self.images(),
            rewrite: self.rewrite(),
            deletion: &self.outline().deletion,
            foreground: steps.foreground,
        };
        flat.serialize(serializer)
    }
}

impl LeftOut {
    /// Why it is not copied.
    pub fn why(&self) -> Message {
        let (code, text) = (self.code, self.reason.clone());
        Message { code, text }
    }
}

impl Move {
    /// Why it is detached where the new root has no mount there.
    pub fn why(&self) -> Option<Message> {
        let (code, text) = (self.code, self.reason.clone()?);
        Some(Message { code, text })
    }

    /// Where its place is in the new root, without the slash that it begins with.
    pub fn in_new_root(&self) -> &[u8] {
        &self.leads_to.as_ref().unwrap_or(&self.path).0[1..]
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(steps) = self.steps() {
            write_mounts(steps, &self.outline().preserved, f)?;
        }
        if let Some(rewrite) = self.rewrite() {
            writeln!(f, "rewrite    {}", rewrite.path)?;
        }
        let Outline {
            preserved,
            deletion,
            ..
        } = self.outline();
        for survivor in preserved {
            write!(
                f,
                "keep       {} (by {})",
                survivor.path,
                survivor.by.join(", ")
            )?;
            if let Some(carry) = &survivor.carried_to {
                write!(f, ", bound read-only at {} of the new root", carry.target)?;
            }
            if let Some(note) = &survivor.note {
                write!(f, ": {note}")?;
            }
            writeln!(f)?;
        }
        if let Some(copies) = self.copies() {
            write_copies(copies, f)?;
        }
        match deletion {
            Deletion::Delete => {
                let kept = count(preserved.len() as u64, "path", "paths");
                writeln!(f, "delete     everything else ({kept} kept)")
            }
            Deletion::Skip(reason) => writeln!(f, "delete     nothing: {reason}"),
        }
    }
}

fn write_mounts(steps: &Steps, survivors: &[Survivor], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "new root   {} ({})",
        steps.new_root.path,
        steps.strategy()
    )?;
    let mut init = steps.init.path.to_string();
    for argument in &steps.init.arguments {
        let _ = write!(init, " {argument}");
    }
    if steps.init.resolved != steps.init.path {
        let _ = write!(init, " (is {})", steps.init.resolved);
    }
    writeln!(f, "init       {init}")?;
    for step in &steps.moves {
        let action = match (step.action, &step.reason) {
            (MoveAction::Move, _) => "moved to the new root",
            (MoveAction::MakeAndMove, _) => "moved to the new root, where the directory is made",
            (MoveAction::Detach, None) => "detached: the new root has its own",
            (MoveAction::Detach, Some(_)) => "detached: the new root has no place for it",
            (MoveAction::Bind, _) => "bound in the new root",
            (MoveAction::MakeAndBind, _) => "bound in the new root, where the directory is made",
            (MoveAction::Leave, None) => "left where it is: the new root has its own",
            (MoveAction::Leave, Some(_)) => "left where it is: the new root has no place for it",
        };
        write!(f, "mount      {} {action}", step.path)?;
        if let Some(to) = &step.leads_to {
            write!(f, " ({} is a link to {to} there)", step.path)?;
        }
        writeln!(f)?;
    }
    let run = match steps.run {
        Run::There => None,
        Run::Mount => Some("is mounted anew in the new root"),
        Run::MakeAndMount => Some("is made and mounted anew in the new root"),
        Run::Absent => Some("has no place in the new root: survivors cannot be reached there"),
    };
    if let Some(run) = run {
        writeln!(f, "mount      /run {run}")?;
    }
    for mount in &steps.kept_mounts {
        let place = match is_shown(mount, survivors) {
            true => "preserved",
            false => "private/initramfs",
        };
        let verb = match steps.staying_mounts.contains(mount) {
            true => "bound",
            false => "moved",
        };
        writeln!(
            f,
            "mount      {mount} {verb} below /run/switch-root/{place}"
        )?;
    }
    for mount in &steps.staying_mounts {
        writeln!(f, "mount      {mount} stays where it is")?;
    }
    for process in &steps.processes {
        let serves = if process.serves {
            ", which serves a file system,"
        } else {
            ""
        };
        writeln!(
            f,
            "process    {} ({}){serves} lives on",
            process.pid, process.name
        )?;
    }
    if steps.processes_more > 0 {
        writeln!(f, "process    {} more", steps.processes_more)?;
    }
    for mount in &steps.detached_mounts {
        writeln!(f, "mount      {mount} detached")?;
    }
    Ok(())
}

fn write_copies(copies: &Copies, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let paths = count(copies.paths.len() as u64, "path", "paths");
    let size = bytes(copies.size.bytes);
    writeln!(f, "copy       {paths} ({size}) to {}", copies.to)?;
    if let Some(ForRoot { to, paths }) = &copies.for_root {
        let paths = count(paths.len() as u64, "path", "paths");
        writeln!(f, "copy       {paths} to {to}, for root alone")?;
    }
    for LeftOut { path, reason, .. } in &copies.left_out {
        writeln!(f, "lose       {path}: {reason}")?;
    }
    for point in &copies.mounts {
        writeln!(f, "mount      {point} is not copied")?;
    }
    Ok(())
}
