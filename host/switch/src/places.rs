//! Where /dev, /proc, /sys and /run of the new root are, and what is there. One that is a
//! symbolic link is followed as it will be when the new root is the root.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    self, AtFlags, FileType, Mode, OFlags, RawDir, StatVfsMountFlags, StatxAttributes, StatxFlags,
};
use rustix::io::Errno;
use switch_root_core::escape;
use switch_root_core::locations::{DIRECTORY, MOVED};
use switch_root_core::outcome::Message;
use switch_root_core::resolve::in_root;

use crate::init;
use crate::listing;
use crate::mounts::Mount;
use crate::planner::{Lacks, NewRoot, Place, State};
use crate::proc::Proc;

switch_root_core::outcomes! {
    /// Why nothing can be mounted at a place of the new root.
    pub enum Unusable in "new-root" {
        /// It is a file or a device, or a symbolic link to one.
        "SR-N13" NotDirectory { point: &'static str, path: String } = "{point} of the new root {path} is not a directory, so that {point} cannot be moved there; make it one in its image",
        "SR-N14" Leads { point: &'static str, path: String, target: String } = "{point} of the new root {path} leads to {target}, which is not a directory, so that {point} cannot be moved there; make it one in its image",
        /// The file system that is mounted there is damaged or gone; the error says why.
        "SR-N15" Examining { point: &'static str, path: String, error: std::io::Error } = "{point} of the new root {path} cannot be examined: {error}",
    }
}

switch_root_core::outcomes! {
    /// What a link of the new root leads to: half a sentence about the new root.
    pub enum Nowhere in "lacking-places" {
        /// Links are followed as if the new root were the root already. Repair it in the image.
        "SR-N81" Dangling { point: &'static str } = "has a {point} that is a dangling symbolic link",
        "SR-N82" Loop { point: &'static str } = "has a {point} that is a symbolic link loop",
        "SR-N83" Itself { point: &'static str } = "has a {point} that is a symbolic link to the new root itself",
        "SR-N84" Following { point: &'static str, error: std::io::Error } = "has a {point} that is a symbolic link which cannot be followed ({error})",
        "SR-N85" Examining { point: &'static str, error: std::io::Error } = "has a {point} that is a symbolic link whose target cannot be examined ({error})",
        "SR-N86" Locating { point: &'static str } = "has a {point} that is a symbolic link whose target cannot be located",
    }
}

/// The new root, as its places are examined.
pub struct Of<'a> {
    /// What is known of it.
    pub new_root: &'a NewRoot,
    /// Its root directory.
    pub fd: BorrowedFd<'a>,
    /// What is mounted in the initramfs, where that is moved.
    pub mounts: &'a [Mount],
    /// What the kernel says of open files.
    pub proc: &'a Proc,
}

/// Examines all places, in the order of [`MOVED`].
pub fn examine(of: &Of<'_>) -> Vec<Place> {
    let all = MOVED.into_iter();
    all.map(|point| examine_one(of, point)).collect()
}

impl Of<'_> {
    /// A directory that may be mounted on. What it holds matters where nothing is moved there.
    fn state(&self, point: &str, fd: &OwnedFd, mounted: bool) -> State {
        if mounted {
            return State::Taken {
                read_only: is_read_only(fd),
            };
        }
        let moved = self.mounts.iter().any(|it| it.point == point.as_bytes());
        State::Free {
            empty: !moved && is_empty(fd),
        }
    }
}

fn examine_one(of: &Of<'_>, point: &'static str) -> Place {
    let new_root = of.new_root;
    let place = |state| Place {
        point,
        leads_to: None,
        trail: Vec::new(),
        identity: (0, 0),
        state,
    };
    let path = || escape::path(&new_root.path);
    let failed = |error: std::io::Error| {
        let path = path();
        State::Unusable(Unusable::Examining { point, path, error }.into())
    };
    let found = fs::openat(
        of.fd,
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
            Ok(id) => place(of.state(point, &fd, id != new_root.mount_id)),
        },
        Ok(FileType::Symlink) => follow(of, point),
        Ok(_) => {
            let path = path();
            place(State::Unusable(
                Unusable::NotDirectory { point, path }.into(),
            ))
        }
    }
}

/// Follows one that is a link.
fn follow(of: &Of<'_>, point: &'static str) -> Place {
    let new_root = of.new_root;
    let trail = init::follow(of.fd, point.as_bytes())
        .map(|way| way.passed)
        .unwrap_or_default();
    let mut place = Place {
        point,
        leads_to: None,
        trail,
        identity: (0, 0),
        state: State::Missing,
    };
    let lost = |leads: Nowhere| State::Nowhere(leads.into());
    let fd = match in_root(of.fd, point.as_bytes(), OFlags::PATH) {
        Ok(fd) => fd,
        Err(error) => {
            place.state = match error {
                Errno::NOENT => lost(Nowhere::Dangling { point }),
                Errno::LOOP => lost(Nowhere::Loop { point }),
                error => {
                    let error = error.into();
                    lost(Nowhere::Following { point, error })
                }
            };
            return place;
        }
    };
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let examined = fs::statx(&fd, c"", AtFlags::EMPTY_PATH, wanted)
        .map_err(std::io::Error::from)
        .and_then(|stat| Ok((stat, fs::fstat(&fd)?, of.proc.path_of(&fd)?)));
    let (stat, identity, path) = match examined {
        Ok(examined) => examined,
        Err(error) => {
            place.state = lost(Nowhere::Examining { point, error });
            return place;
        }
    };
    let inside = match path.strip_prefix(new_root.path.as_slice()) {
        Some(b"") => {
            place.state = lost(Nowhere::Itself { point });
            return place;
        }
        Some(inside) => inside.to_vec(),
        None => {
            place.state = lost(Nowhere::Locating { point });
            return place;
        }
    };
    place.identity = (identity.st_dev, identity.st_ino);
    if FileType::from_raw_mode(u32::from(stat.stx_mode)) != FileType::Directory {
        let (path, target) = (escape::path(&new_root.path), escape::path(&inside));
        place.state = State::Unusable(
            Unusable::Leads {
                point,
                path,
                target,
            }
            .into(),
        );
        return place;
    }
    let mount = stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
        && stat.stx_mnt_id != new_root.mount_id;
    place.leads_to = Some(inside);
    place.state = of.state(point, &fd, mount);
    place
}

/// Why the directory for the report and for what is kept cannot be made in what will be mounted on
/// /run, as far as that can be said without making it: half a sentence about the new root.
/// `initramfs` is the root directory of the initramfs, and `places` those of the new root.
pub fn closed_run(of: &Of<'_>, initramfs: BorrowedFd<'_>, places: &[Place]) -> Option<Message> {
    let run = places.last()?;
    let moved = of.mounts.iter().any(|it| it.point == run.point.as_bytes());
    let root = match run.state {
        State::Taken { read_only: false } => of.fd,
        State::Free { .. } | State::Missing if moved => initramfs,
        _ => return None,
    };
    let closed = why_closed(root, run.point).unwrap_or_else(|error| {
        let error = error.into();
        Some(Lacks::UnknownRun { error })
    });
    closed.map(Message::from)
}

fn why_closed(root: BorrowedFd<'_>, run: &str) -> rustix::io::Result<Option<Lacks>> {
    let closed = |why| Ok(Some(Lacks::ClosedRun { why }));
    let run = in_root(root, run, OFlags::PATH | OFlags::DIRECTORY)?;
    let room = fs::fstatvfs(&run)?;
    if room.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return closed("that is read-only");
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let there = match fs::openat(&run, DIRECTORY, flags, Mode::empty()) {
        // As far as the file system counts files.
        Err(Errno::NOENT) if room.f_files > 0 && room.f_favail == 0 => {
            return closed("that has no room for a file");
        }
        Err(Errno::NOENT) => return Ok(None),
        there => there?,
    };
    if FileType::from_raw_mode(fs::fstat(&there)?.st_mode) != FileType::Directory {
        return closed("whose switch-root is not a directory");
    }
    let flags = fs::fstatvfs(&there)?.f_flag;
    match flags.contains(StatVfsMountFlags::RDONLY) {
        true => closed("whose switch-root is read-only"),
        false => Ok(None),
    }
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
