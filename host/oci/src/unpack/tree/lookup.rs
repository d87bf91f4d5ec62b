//! Finding the place of a name.

use std::collections::VecDeque;
use std::sync::Arc;

use rustix::fs::{self, Mode};
use rustix::io::Errno;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;

use super::Tree;
use super::directory::{DIRECTORY, Directory, check_depth, failed, reopen};

switch_root_core::outcomes! {
    /// Why an entry has no place.
    pub enum NoPlace in "unpacking" {
        /// The tool that made the layer writes what others do not read. Build the image with another
        /// one.
        "SR-Y93" NoName = "the layer has an entry without a name",
        "SR-Y94" NotMade { path: String } = "the directory {path} cannot be made",
        "SR-Y95" BelowAFile { entry: String, path: String } = "the layer has an entry in {entry}, but {path} is no directory",
        "SR-Y96" Links { entry: String, path: String, target: String, most: usize } = "the layer has an entry in {entry}, which leads through the symlink {path} to {target} and through more than {most} in all",
    }
}

/// Symlinks on the way to one entry, as Linux has it.
const LINKS: usize = 40;

impl Tree {
    /// The directory that an entry stands in, made where it is missing, and the
    /// entry's name there.
    pub(super) fn parent<'a>(&mut self, path: &[&'a [u8]]) -> Result<(Arc<Directory>, &'a [u8])> {
        let Some((name, parents)) = path.split_last() else {
            return Err(Error::input(NoPlace::NoName));
        };
        let spelling = parents.join(&b'/');
        if let Some((last, directory)) = &self.last
            && *last == spelling
        {
            return Ok((directory.clone(), name));
        }
        let Some(directory) = self.walk(parents, true)? else {
            let path = escape::path(&spelling);
            return Err(Error::input(NoPlace::NotMade { path }));
        };
        self.last = Some((spelling, directory.clone()));
        Ok((directory, name))
    }

    /// Opens a directory of the image, through symlinks that lead to one.
    /// `None` where there is none, which `make` makes.
    pub(super) fn walk(&mut self, path: &[&[u8]], make: bool) -> Result<Option<Arc<Directory>>> {
        let spelling = || escape::path(&path.join(&b'/'));
        let mut current = self.root.clone();
        let mut links = 0;
        let mut ahead: VecDeque<Vec<u8>> = path.iter().map(|part| part.to_vec()).collect();
        while let Some(name) = ahead.pop_front() {
            if name == b".." {
                // The root is its own parent, as `/` is.
                let up = match current.real.iter().rposition(|&byte| byte == b'/') {
                    Some(slash) => current.real[..slash].to_vec(),
                    None => Vec::new(),
                };
                current = reopen(&self.root, &up)?;
                continue;
            }
            let real = current.child(&name);
            let cannot = |error| failed("open the directory", &real, error);
            match fs::openat(&current.fd, &*name, DIRECTORY, Mode::empty()) {
                Ok(fd) => current = Arc::new(Directory { fd, real }),
                Err(Errno::NOENT) if make => {
                    check_depth(&real)?;
                    fs::mkdirat(&current.fd, &*name, Mode::RWXU).map_err(cannot)?;
                    let fd = fs::openat(&current.fd, &*name, DIRECTORY, Mode::empty())
                        .map_err(cannot)?;
                    fs::fchmod(&fd, Mode::from_raw_mode(0o755)).map_err(cannot)?;
                    self.note(real.clone());
                    current = Arc::new(Directory { fd, real });
                }
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    let target = match fs::readlinkat(&current.fd, &*name, Vec::new()) {
                        Ok(target) => target.into_bytes(),
                        Err(Errno::INVAL) if !make => return Ok(None),
                        Err(Errno::INVAL) => {
                            return Err(Error::input(NoPlace::BelowAFile {
                                entry: spelling(),
                                path: escape::path(&real),
                            }));
                        }
                        Err(error) => return Err(cannot(error)),
                    };
                    links += 1;
                    if links > LINKS {
                        return Err(Error::input(NoPlace::Links {
                            entry: spelling(),
                            path: escape::path(&real),
                            target: escape::path(&target),
                            most: LINKS,
                        }));
                    }
                    if target.starts_with(b"/") {
                        current = self.root.clone();
                    }
                    for part in target.split(|&byte| byte == b'/').rev() {
                        if !part.is_empty() && part != b"." {
                            ahead.push_front(part.to_vec());
                        }
                    }
                }
                Err(error) => return Err(cannot(error)),
            }
        }
        Ok(Some(current))
    }
}
