//! Opening what a path means inside a directory, by openat2(2): what the path says, and the
//! links on its way, lead nowhere else.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// How often the kernel is asked again whose answer a change of names made doubtful.
const TRIES: usize = 100;

/// What a path may lead through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// The directory is a root directory: links, and `..`, are resolved as if this process had
    /// it as its own, and other file systems are entered.
    Root,
    /// Below the directory, through no link. Other file systems are entered.
    Tree,
    /// On the mount of the directory, through no link.
    Mount,
}

impl Within {
    const fn flags(self) -> ResolveFlags {
        let flags = match self {
            Self::Root => ResolveFlags::IN_ROOT,
            Self::Tree => ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS),
            Self::Mount => ResolveFlags::NO_XDEV.union(ResolveFlags::NO_SYMLINKS),
        };
        flags.union(ResolveFlags::NO_MAGICLINKS)
    }
}

/// Opens what is at a path. The descriptor is not passed on to programs.
///
/// # Errors
/// Those of openat2(2): `ELOOP` where a link is in the way of [`Within::Tree`] and
/// [`Within::Mount`], `EXDEV` where a mount or the end of the tree is.
pub fn open(
    within: Within,
    directory: impl AsFd,
    path: impl Arg,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    create(within, directory, path, flags, Mode::empty())
}

/// The same, for flags that may create a file, which gets this mode.
///
/// # Errors
/// Those of [`open`].
pub fn create(
    within: Within,
    directory: impl AsFd,
    path: impl Arg,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let directory = directory.as_fd();
    let flags = flags | OFlags::CLOEXEC;
    path.into_with_c_str(|path| {
        for _ in 1..TRIES {
            match fs::openat2(directory, path, flags, mode, within.flags()) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                outcome => return outcome,
            }
        }
        Err(Errno::AGAIN)
    })
}

/// Opens what is at a path of a root directory, see [`Within::Root`].
///
/// # Errors
/// Those of [`open`].
pub fn in_root(root: impl AsFd, path: impl Arg, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    open(Within::Root, root, path, flags)
}

#[cfg(test)]
mod tests {
    use std::fs::{File, create_dir, write};
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with a file, and links that lead to it in several ways.
    fn folder() -> (std::path::PathBuf, File) {
        let name = format!("switch-root-resolve-{}", std::process::id());
        let folder = std::env::temp_dir().join(format!("{name}-{:?}", std::thread::current().id()));
        let _ = std::fs::remove_dir_all(&folder);
        create_dir(&folder).unwrap();
        create_dir(folder.join("below")).unwrap();
        write(folder.join("file"), "").unwrap();
        symlink("/file", folder.join("below/absolute")).unwrap();
        symlink("../../../../file", folder.join("below/above")).unwrap();
        symlink("/proc/self/fd/0", folder.join("magic")).unwrap();
        let directory = File::open(&folder).unwrap();
        (folder, directory)
    }

    fn ended(within: Within, directory: &File, path: &str) -> Option<Errno> {
        open(within, directory, path, OFlags::PATH).err()
    }

    #[test]
    fn links_lead_to_where_they_would_in_that_root() {
        let (folder, directory) = folder();
        for path in [
            "file",
            "/file",
            "/below/absolute",
            "below/above",
            "/../file",
        ] {
            assert_eq!(ended(Within::Root, &directory, path), None, "{path}");
        }
        assert_eq!(ended(Within::Root, &directory, "magic"), Some(Errno::NOENT));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn nothing_below_is_reached_through_a_link() {
        let (folder, directory) = folder();
        for within in [Within::Tree, Within::Mount] {
            assert_eq!(ended(within, &directory, "file"), None);
            let link = ended(within, &directory, "below/absolute");
            assert_eq!(link, Some(Errno::LOOP), "{within:?}");
        }
        assert_eq!(ended(Within::Tree, &directory, ".."), Some(Errno::XDEV));
        assert_eq!(ended(Within::Tree, &directory, "/file"), Some(Errno::XDEV));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
