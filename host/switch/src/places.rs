//! Where /dev, /proc, /sys and /run of the new root are. One that is a symbolic link is
//! followed as it will be when the new root is the root, and all rules that hold for the
//! place hold for where it leads.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    self, AtFlags, FileType, Mode, OFlags, RawDir, StatVfsMountFlags, StatxAttributes, StatxFlags,
};
use rustix::io::Errno;
use switch_root_core::escape;
use switch_root_core::locations::MOVED;
use switch_root_core::path::is_at_or_below;
use switch_root_core::plan::{Move, MoveAction, Run};
use switch_root_core::resolve::in_root;

use crate::init::{self, Init};
use crate::listing;
use crate::mounts::Mount;
use crate::new_root::NewRoot;
use crate::proc::Proc;

/// The places of the new root, in the order of [`MOVED`].
pub struct Places(Vec<Place>);

/// One of them.
struct Place {
    /// Its path.
    point: &'static str,
    /// Where it leads in the new root, if it is a link.
    leads_to: Option<Vec<u8>>,
    /// Device number and inode of all that is passed on the way, if it is a link.
    trail: Vec<(u64, u64)>,
    /// Device number and inode of the directory, if it is one.
    identity: (u64, u64),
    state: State,
}

/// What is there.
enum State {
    /// A directory that nothing is mounted on.
    Free(OwnedFd),
    /// A mount of the new root's own.
    Taken(OwnedFd),
    /// Nothing.
    Missing,
    /// A link that leads to no place that could be mounted on: half a sentence.
    Nowhere(String),
    /// Something else: a sentence for the operator.
    Unusable(String),
}

/// Where the report and what is kept go.
pub struct RunPlace {
    /// Where /run comes from.
    pub run: Run,
    /// Where it leads in the new root, if it is a link.
    pub leads_to: Option<Vec<u8>>,
    /// Why nothing can be put there, half a sentence with the new root as its subject.
    pub lacks: Option<String>,
}

/// What depends on a place for /run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing but the report.
    Nothing,
    /// What policies keep, and all of it is bound in the new root as well.
    Bound,
    /// Something that policies keep and that is found nowhere else.
    Unbound,
}

impl Places {
    /// Examines all of them.
    pub fn examine(new_root: &NewRoot, proc: &Proc) -> Self {
        Self(
            MOVED
                .into_iter()
                .map(|point| Place::examine(new_root, point, proc))
                .collect(),
        )
    }

    /// Says what becomes of /dev, /proc, /sys and /run of the initramfs, as far as nobody else
    /// lives there (`alone`). Returns what cannot be as it should, too.
    ///
    /// # Errors
    /// A mount that would hide the init, or has something in its way: a sentence for the
    /// operator.
    pub fn moves(
        &self,
        new_root: &NewRoot,
        mounts: &[Mount],
        init: &Init,
        alone: bool,
    ) -> Result<(Vec<Move>, Vec<String>), String> {
        let shown = escape::path(&new_root.path);
        let (mut moves, mut warnings) = (Vec::new(), Vec::new());
        let mounted: Vec<&Place> = self
            .0
            .iter()
            .filter(|place| is_mounted(mounts, place.point))
            .collect();
        for place in &mounted {
            let point = place.point;
            if is_at_or_below(&new_root.path, point.as_bytes()) {
                return Err(format!(
                    "the new root {shown} lies below {point}, which is moved into it; mount it elsewhere, such as on /sysroot"
                ));
            }
            let (action, reason) = match &place.state {
                State::Free(_) => match self.covered(place, &mounted) {
                    Some(reason) => (MoveAction::Detach, Some(reason)),
                    None => {
                        place.refuse_to_hide(init)?;
                        (MoveAction::Move, None)
                    }
                },
                State::Taken(_) => (MoveAction::Detach, None),
                State::Missing if new_root.read_only => (
                    MoveAction::Detach,
                    Some(format!("is read-only and has no directory {point}")),
                ),
                State::Missing => (MoveAction::MakeAndMove, None),
                State::Nowhere(reason) => (MoveAction::Detach, Some(reason.clone())),
                State::Unusable(reason) => return Err(reason.clone()),
            };
            if let Some(reason) = &reason {
                let what = if alone {
                    "is detached"
                } else {
                    "stays in the initramfs"
                };
                warnings.push(format!(
                    "the new root {shown} {reason}: what is mounted on {point} {what}; make the directory in its image"
                ));
            }
            moves.push(Move {
                path: point.as_bytes().into(),
                action,
                leads_to: place.leads_to.as_ref().map(|path| path.as_slice().into()),
                reason,
            });
        }
        Ok((moves, warnings))
    }

    /// Where the report and what is kept go, after these moves.
    pub fn run(&self, new_root: &NewRoot, moves: &[Move], kept: Kept, init: &Init) -> RunPlace {
        let found = |run, lacks| RunPlace {
            run,
            leads_to: self.last().leads_to.clone(),
            lacks,
        };
        let absent = |reason: &str| found(Run::Absent, Some(reason.to_owned()));
        let moved = moves.iter().find(|step| step.path.0 == b"/run");
        match moved.map(|step| (step.action, &step.reason)) {
            Some((MoveAction::Move | MoveAction::MakeAndMove, _)) => {
                return found(Run::There, None);
            }
            Some((MoveAction::Detach, Some(reason))) => return absent(reason),
            _ => {}
        }
        let place = self.last();
        let mounted: Vec<&Place> = self
            .0
            .iter()
            .filter(|place| {
                moves
                    .iter()
                    .any(|step| step.path.0 == place.point.as_bytes())
            })
            .collect();
        match &place.state {
            State::Taken(run) if is_read_only(run) => absent("has a read-only mount on /run"),
            State::Taken(_) => found(Run::There, None),
            // A tmpfs would hide what is there.
            State::Free(run) if !is_empty(run) => absent("has something in its own /run"),
            State::Free(_) => match self.covered(place, &mounted) {
                Some(reason) => absent(&reason),
                None if place.refuse_to_hide(init).is_err() => {
                    absent("has its init where /run leads")
                }
                None => found(Run::Mount, None),
            },
            State::Missing if new_root.read_only => {
                absent("is read-only and has no directory /run")
            }
            // Nothing is made on a disk for the sake of the report.
            State::Missing if kept == Kept::Nothing => absent("has no directory /run"),
            State::Missing => found(Run::MakeAndMount, None),
            State::Nowhere(reason) => absent(reason),
            State::Unusable(_) => absent("has a /run that is not a directory"),
        }
    }

    /// Holds the place of something that a policy carries against the rules for those that
    /// are links. `identity` is what is there, if something is.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn check_carry(&self, real: &[u8], identity: Option<(u64, u64)>) -> Result<(), String> {
        for place in &self.0 {
            let point = place.point;
            if let Some(to) = &place.leads_to
                && is_at_or_below(real, to)
            {
                let to = escape::path(to);
                return Err(format!(
                    "nothing is carried into {to}, where {point} of the new root leads"
                ));
            }
            if identity.is_some_and(|identity| place.trail.contains(&identity)) {
                return Err(format!(
                    "{} of the new root leads to {point}",
                    escape::path(real)
                ));
            }
        }
        Ok(())
    }

    fn last(&self) -> &Place {
        &self.0[self.0.len() - 1]
    }

    /// Why a link leads where it would cover, or be covered by, another mount that is moved:
    /// half a sentence. Of two links the first one counts.
    fn covered(&self, place: &Place, mounted: &[&Place]) -> Option<String> {
        let to = place.leads_to.as_ref()?;
        let before = mounted
            .iter()
            .take_while(|other| other.point != place.point);
        let plain = mounted.iter().filter(|other| other.leads_to.is_none());
        let other = plain.chain(before).find(|other| {
            // Where the new root has its own mount, the link was followed into that.
            let used = matches!(other.state, State::Free(_) | State::Missing);
            let path = other.real();
            used && (is_at_or_below(to, path) || is_at_or_below(path, to))
        })?;
        Some(format!(
            "has a {} that leads to {}, and {} of the initramfs is mounted there",
            place.point,
            escape::path(to),
            other.point
        ))
    }
}

impl Place {
    fn examine(new_root: &NewRoot, point: &'static str, proc: &Proc) -> Self {
        let place = |state| Self {
            point,
            leads_to: None,
            trail: Vec::new(),
            identity: (0, 0),
            state,
        };
        let failed = |error: std::io::Error| {
            State::Unusable(format!(
                "{point} of the new root {} cannot be examined: {error}",
                escape::path(&new_root.path)
            ))
        };
        let found = fs::openat(
            &new_root.fd,
            &point[1..],
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        );
        let fd = match found {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return place(State::Missing),
            Err(error) => return place(failed(error.into())),
        };
        match fs::fstat(&fd).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Err(error) => place(failed(error.into())),
            Ok(FileType::Directory) => match listing::mount_id(&fd) {
                Err(error) => place(failed(error)),
                Ok(id) if id == new_root.mount_id => place(State::Free(fd)),
                Ok(_) => place(State::Taken(fd)),
            },
            Ok(FileType::Symlink) => Self::follow(new_root, point, proc),
            Ok(_) => place(State::Unusable(format!(
                "{point} of the new root {} is not a directory, so that {point} cannot be moved there; make it one in its image",
                escape::path(&new_root.path)
            ))),
        }
    }

    /// Follows one that is a link.
    fn follow(new_root: &NewRoot, point: &'static str, proc: &Proc) -> Self {
        let trail = init::follow(new_root.fd.as_fd(), point.as_bytes())
            .map(|way| way.passed)
            .unwrap_or_default();
        let mut place = Self {
            point,
            leads_to: None,
            trail,
            identity: (0, 0),
            state: State::Missing,
        };
        let lost = |what: &str| State::Nowhere(format!("has a {point} that is {what}"));
        let fd = match in_root(new_root.fd.as_fd(), point.as_bytes(), OFlags::PATH) {
            Ok(fd) => fd,
            Err(error) => {
                place.state = match error {
                    Errno::NOENT => lost("a dangling symbolic link"),
                    Errno::LOOP => lost("a symbolic link loop"),
                    error => lost(&format!(
                        "a symbolic link which cannot be followed ({})",
                        std::io::Error::from(error)
                    )),
                };
                return place;
            }
        };
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        let examined = fs::statx(&fd, c"", AtFlags::EMPTY_PATH, wanted)
            .map_err(std::io::Error::from)
            .and_then(|stat| Ok((stat, fs::fstat(&fd)?, proc.path_of(&fd)?)));
        let (stat, identity, path) = match examined {
            Ok(examined) => examined,
            Err(error) => {
                place.state = lost(&format!(
                    "a symbolic link whose target cannot be examined ({error})"
                ));
                return place;
            }
        };
        let inside = match path.strip_prefix(new_root.path.as_slice()) {
            Some(b"") => {
                place.state = lost("a symbolic link to the new root itself");
                return place;
            }
            Some(inside) => inside.to_vec(),
            None => {
                place.state = lost("a symbolic link whose target cannot be located");
                return place;
            }
        };
        place.identity = (identity.st_dev, identity.st_ino);
        if FileType::from_raw_mode(u32::from(stat.stx_mode)) != FileType::Directory {
            place.state = State::Unusable(format!(
                "{point} of the new root {} leads to {}, which is not a directory, so that {point} cannot be moved there; make it one in its image",
                escape::path(&new_root.path),
                escape::path(&inside)
            ));
            return place;
        }
        let mount = stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
            && stat.stx_mnt_id != new_root.mount_id;
        place.leads_to = Some(inside);
        place.state = match mount {
            true => State::Taken(fd),
            false => State::Free(fd),
        };
        place
    }

    /// Where it is in the new root.
    fn real(&self) -> &[u8] {
        self.leads_to.as_deref().unwrap_or(self.point.as_bytes())
    }

    /// Refuses where what is mounted here would hide the init, or what starts it. One that
    /// is no link has been looked at together with the init.
    fn refuse_to_hide(&self, init: &Init) -> Result<(), String> {
        let Some(to) = &self.leads_to else {
            return Ok(());
        };
        let hides = init.trail.contains(&self.identity)
            || init.paths.iter().any(|path| is_at_or_below(path, to));
        if !hides {
            return Ok(());
        }
        Err(format!(
            "{} of the new root leads to {}, and mounted there it would hide the init {}; put the init elsewhere, or make {} a directory in the image",
            self.point,
            escape::path(to),
            escape::path(&init.paths[0]),
            self.point
        ))
    }
}

fn is_mounted(mounts: &[Mount], point: &str) -> bool {
    mounts.iter().any(|mount| mount.point == point.as_bytes())
}

fn is_read_only(directory: impl AsFd) -> bool {
    fs::fstatvfs(directory).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Whether a directory is known to hold nothing.
fn is_empty(directory: &OwnedFd) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(directory) = fs::openat(directory, c".", flags, Mode::empty()) else {
        return false;
    };
    let mut buffer = [MaybeUninit::uninit(); 4 << 10];
    let mut reader = RawDir::new(&directory, &mut buffer);
    while let Some(entry) = reader.next() {
        match entry {
            Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
            _ => return false,
        }
    }
    true
}
