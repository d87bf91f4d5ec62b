//! How a switch is done on a machine, and what else survives there since it is in use.

use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;
use switch_root_core::path::Path;
use switch_root_core::plan::{
    Deletion, InitPlan, NewRoot, Outline, Preserved, Run, Steps, Strategy,
};
use switch_root_core::preserved::{HOST, Survivor, is_by_policy};

use super::decisions::Decisions;
use super::facts::{Copied, Facts, InUse, Machine};
use super::in_use;
use super::mounts::{self as mount_plan, Foreign, NoPivot};
use super::options::{Mode, Options, StrategyChoice};
use super::outline::{Undeleted, deletion, preserved_paths};
use super::places::{self, Kept};
use crate::mounts::{self, Mount};

switch_root_core::outcomes! {
    /// What is said of other processes that live in the initramfs.
    pub enum Others in "start" {
        /// A warning: one of them serves a file system, or has something on another mount of the
        /// initramfs open, which is not detached. What serves the new root is needed.
        "SR-A31" Serve { others: String } = "{others}; what is used of its mounts and files stays in memory: stop before the switch what is not needed after it",
        /// Reported at the level `info`: nothing of the initramfs stays in memory for them but the
        /// files that they have open. The report has them, too.
        "SR-A32" Live { others: String } = "{others}; each keeps its root directory",
        /// A warning: pivot_root(2) changes the root directory of all processes that live in the
        /// initramfs.
        "SR-A33" NoPivot { others: String } = "{others}: --strategy pivot would change their root directory, so that the new root's mount is moved instead",
    }
}

switch_root_core::outcomes! {
    /// That what a policy keeps could not be reached.
    pub enum Unreachable in "new-root" {
        /// What is kept is found below `/run/switch-root`. The reason is one of
        /// [those below](#places-that-the-new-root-lacks). Without the policy the switch goes on, and
        /// what it keeps is deleted.
        "SR-N12" Kept { policies: String, path: Path, new_root: Path, lacks: String } = "policy {policies} keeps {path} of the initramfs, and the new root {new_root} {lacks}, so that /run can hold it nowhere; mount a tmpfs on /run of the initramfs and make /run a directory in the image of the new root, or start once with the kernel parameter switch_root.policies=default",
    }
}

switch_root_core::outcomes! {
    /// That there is no place for the report.
    pub enum Lost in "lacking-places" {
        /// `/run` of the new root can hold nothing, and no policy keeps anything there. The kernel's
        /// log has what the report would say.
        "SR-N72" Report { new_root: Path, lacks: String } = "the new root {new_root} {lacks}: there is no report, and what is left of the initramfs cannot be reached",
    }
}

switch_root_core::outcomes! {
    /// What another program may delete.
    pub enum Unsafe in "not-copied" {
        /// The running system uses this part of the initramfs, and it is the other program's business
        /// to know. Let it be mounted from elsewhere.
        "SR-W68" InUse { path: Path, why: String } = "{path} of the initramfs may be deleted by the program that switches, although {why}",
    }
}

/// Plans the steps, and completes the outline.
///
/// # Errors
/// Why the switch is refused: a sentence for the operator.
pub fn steps(
    facts: &Facts,
    machine: &Machine,
    decisions: &Decisions,
    options: &Options,
    outline: &mut Outline,
) -> Result<Steps, Message> {
    let Machine {
        root,
        new_root,
        others,
        ..
    } = machine;
    let (mut moves, no_places) = places::moves(machine, options)?;
    let mut stay = others.mounts.clone();
    let mut staying = Vec::new();
    let preserve = options.mode == Mode::Preserve;
    if options.mounts_stay && !preserve {
        let all = mount_plan::all_stay(&machine.mounts, root, new_root);
        stay.extend(all.iter().map(|mount| mount.id));
        staying = mount_plan::points(&all);
    }
    let mut foreign = Foreign::default();
    if let (true, Some(copied)) = (preserve, &machine.copied) {
        preserved_by_copies(facts, machine, copied, decisions, options, outline);
    } else {
        foreign = settle(facts, machine, decisions, options, &stay, outline);
    }
    outline.warnings.append(&mut foreign.warnings);
    let run = places::run(machine, &moves, kept(&outline.preserved));
    if !options.mounts_stay {
        staying = std::mem::take(&mut foreign.staying);
    }
    if let Some(described) = &others.described {
        if others.serve || (!options.mounts_stay && !staying.is_empty()) {
            let others = described.clone();
            outline.warnings.push(Others::Serve { others }.into());
        } else {
            let others = described.clone();
            outline.notes.push(Others::Live { others }.to_string());
        }
    }
    if !preserve {
        outline
            .warnings
            .extend(no_places.into_iter().map(Message::from));
        if let Some(lacks) = &run.lacks {
            let shown = Path::from(new_root.path.as_slice());
            let lacks = &lacks.text;
            refuse_to_lose(&outline.preserved, lacks, &shown)?;
            let (new_root, lacks) = (shown, lacks.clone());
            outline
                .warnings
                .push(Lost::Report { new_root, lacks }.into());
        }
    }
    let attempts = match preserve {
        true => vec![Strategy::Delegated],
        false => {
            if others.described.is_some() {
                mount_plan::bind(&mut moves, &mut staying);
            }
            attempts(machine, options, run.run, &foreign.kept, &staying)?
        }
    };
    if options.strategy == StrategyChoice::Pivot
        && attempts.first() == Some(&Strategy::Move)
        && let Some(described) = &others.described
    {
        let others = described.clone();
        outline.warnings.push(Others::NoPivot { others }.into());
    }
    let (make_private, moves) = match preserve {
        true => Default::default(),
        false => (
            mount_plan::make_private(&machine.mounts, root, new_root, &moves, &staying),
            moves,
        ),
    };
    let preserved = match run.run {
        _ if preserve => Preserved::No,
        Run::Absent => Preserved::No,
        _ if outline.preserved.is_empty() => Preserved::Wanted,
        _ => Preserved::Needed,
    };
    Ok(Steps {
        attempts,
        new_root: NewRoot {
            path: new_root.path.clone().into(),
            mount_id: new_root.mount_id,
        },
        init: InitPlan {
            path: machine.init_path.clone().into(),
            resolved: machine.init.resolved.clone().into(),
            arguments: options.init_arguments.clone(),
            identity: machine.init.identity,
        },
        console: options.console.clone(),
        drop_capabilities: options.drop_capabilities.clone(),
        make_private,
        moves,
        run: run.run,
        run_leads_to: run.leads_to.map(Path::from),
        preserved,
        staying_mounts: staying,
        processes: others.listed.clone(),
        processes_more: others.more,
        kept_mounts: foreign.kept,
        detached_mounts: foreign.detached,
        foreground: options.foreground,
    })
}

/// What the mounts of the machine and its other programs use of the initramfs, where `kept`
/// are the mounts that are kept.
fn used(machine: &Machine, options: &Options, kept: &[Path]) -> Vec<InUse> {
    let Machine {
        mounts,
        root,
        new_root,
        others,
        ..
    } = machine;
    // No layer of the mount that the program itself has made lies here.
    let own = (options.mode == Mode::ImageBoot).then_some(new_root.mount_id);
    let outlives = |mount: &Mount| {
        in_use::outlives(mount, mounts, &new_root.path, new_root.mount_id)
            || (mount.id != root.id && others.mounts.contains(&mount.id))
            || kept.iter().any(|kept| mounts::within(mount, &kept.0))
    };
    let mut found = in_use::find(mounts, root, own, outlives, &machine.layers);
    found.extend(others.in_use.iter().cloned());
    found
}

/// A mount that is kept may itself use something of the initramfs, which then is kept, with
/// what is mounted there. Ends, since there are only so many mounts.
fn settle(
    facts: &Facts,
    machine: &Machine,
    decisions: &Decisions,
    options: &Options,
    stay: &std::collections::BTreeSet<u64>,
    outline: &mut Outline,
) -> Foreign {
    let mut foreign = Foreign::default();
    loop {
        let in_use = used(machine, options, &foreign.kept);
        // Where nothing is, the outline has it already.
        if !in_use.is_empty() {
            let everything = in_use.iter().find(|used| used.path == b"/");
            let everything = everything.map(|used| used.why.clone());
            outline.deletion = deletion(facts, decisions, options, everything);
            outline.preserved = preserved_paths(facts, decisions, &in_use);
        }
        let before = foreign.kept.len();
        foreign = mount_plan::foreign(
            &machine.mounts,
            &machine.root,
            &machine.new_root,
            &outline.preserved,
            &outline.deletion,
            stay,
        );
        if foreign.kept.len() <= before {
            return foreign;
        }
    }
}

/// Where another program switches, a copy does not help those who use the original. Whatever
/// lies in memory is lost by that switch, an overlay's layers with it: where nothing was to be
/// deleted, everything is copied, since that program knows of no reason not to.
fn preserved_by_copies(
    facts: &Facts,
    machine: &Machine,
    copied: &Copied,
    decisions: &Decisions,
    options: &Options,
    outline: &mut Outline,
) {
    let in_use = used(machine, options, &[]);
    outline
        .warnings
        .extend(in_use.into_iter().map(|used| -> Message {
            let (path, why) = (used.path.into(), used.why.text);
            Unsafe::InUse { path, why }.into()
        }));
    outline.warnings.extend(copied.warnings.iter().cloned());
    outline.preserved = to_copy(facts, decisions, options);
    outline.deletion = Deletion::Skip(Undeleted::Delegated.into());
}

/// What is to be copied where another program switches.
pub fn to_copy(facts: &Facts, decisions: &Decisions, options: &Options) -> Vec<Survivor> {
    let mut paths = preserved_paths(facts, decisions, &[]);
    let lost = facts.initramfs.memory || facts.initramfs.overlay;
    let already = paths.iter().any(|one| one.path.0 == b"/");
    let deletion = deletion(facts, decisions, options, None);
    if let (Deletion::Skip(reason), true, false) = (deletion, lost, already) {
        let everything = Survivor {
            path: (&b"/"[..]).into(),
            kind: FileKind::Directory,
            by: vec![HOST.into()],
            carried_to: None,
            code: reason.code,
            note: Some(reason.text),
        };
        paths.insert(0, everything);
    }
    paths
}

/// How to switch, the best first.
fn attempts(
    machine: &Machine,
    options: &Options,
    run: Run,
    kept: &[Path],
    staying: &[Path],
) -> Result<Vec<Strategy>, NoPivot> {
    let alone = machine.others.alone();
    let strategy = mount_plan::strategy(options, &machine.root, run, kept, staying, alone)?;
    Ok(match strategy {
        // Whatever keeps the kernel from pivoting does not keep it from moving.
        Strategy::Pivot => vec![Strategy::Pivot, Strategy::Move],
        other => vec![other],
    })
}

/// What depends on a place for /run in the new root.
fn kept(survivors: &[Survivor]) -> Kept {
    let mut by_policies = survivors.iter().filter(|it| is_by_policy(it));
    let bound = |it: &Survivor| it.carried_to.is_some();
    match by_policies.next() {
        None => Kept::Nothing,
        Some(first) if bound(first) && by_policies.all(bound) => Kept::Bound,
        Some(_) => Kept::Unbound,
    }
}

/// Refuses where something that a policy keeps would be out of reach: /run of the new root
/// can hold nothing, for this reason, and it is not bound elsewhere.
///
/// # Errors
/// A sentence for the operator.
fn refuse_to_lose(survivors: &[Survivor], lacks: &str, new_root: &Path) -> Result<(), Unreachable> {
    let lost = |it: &&Survivor| is_by_policy(it) && it.carried_to.is_none();
    let Some(Survivor { path, by, .. }) = survivors.iter().find(lost) else {
        return Ok(());
    };
    Err(Unreachable::Kept {
        policies: by.join(", "),
        path: path.clone(),
        new_root: new_root.clone(),
        lacks: lacks.to_owned(),
    })
}
