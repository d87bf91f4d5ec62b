//! Removing: what an entry replaces, and what whiteouts name.

use rustix::fs::{self, AtFlags, Mode};
use rustix::io::Errno;
use switch_root_core::error::Result;
use switch_root_core::interrupt;

use super::Tree;
use super::directory::{DIRECTORY, Directory, failed};

impl Tree {
    /// Removes a name with everything below; with `spare`, not what this layer
    /// has written. Whether it is gone.
    pub(super) fn take_away(
        &mut self,
        parent: &Directory,
        name: &[u8],
        spare: bool,
    ) -> Result<bool> {
        let real = parent.child(name);
        let spared = spare
            && self
                .written
                .as_ref()
                .is_some_and(|written| written.contains(&real));
        let cannot = |error| failed("remove", &real, error);
        // The directory that is remembered may be below, or have led through
        // a symlink that goes now.
        self.last = None;
        match fs::openat(&parent.fd, name, DIRECTORY, Mode::empty()) {
            Ok(fd) => {
                let directory = Directory {
                    fd,
                    real: real.clone(),
                };
                let emptied = self.empty(&directory, spare)?;
                if spared || !emptied {
                    return Ok(false);
                }
                self.modes.remove(&real);
                self.marks.forget(&real);
                fs::unlinkat(&parent.fd, name, AtFlags::REMOVEDIR).map_err(cannot)?;
            }
            Err(Errno::NOENT) => {}
            Err(Errno::NOTDIR | Errno::LOOP) if spared => return Ok(false),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                self.marks.forget(&real);
                fs::unlinkat(&parent.fd, name, AtFlags::empty()).map_err(cannot)?;
            }
            Err(error) => return Err(cannot(error)),
        }
        Ok(true)
    }

    /// Removes what is in a directory; with `spare`, not what this layer has
    /// written. Whether nothing remains. Recursion is bounded by [`DEPTH`].
    pub(super) fn empty(&mut self, directory: &Directory, spare: bool) -> Result<bool> {
        let cannot = |error| failed("read the directory", &directory.real, error);
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&directory.fd).map_err(cannot)? {
            let name = entry.map_err(cannot)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        let mut emptied = true;
        for name in names {
            interrupt::check()?;
            emptied &= self.take_away(directory, &name, spare)?;
        }
        Ok(emptied)
    }
}
