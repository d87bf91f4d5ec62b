//! What policies are told of the machine: the new root's os-release, the
//! kernel, the command line; and what extensions.yaml the initramfs has.

use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use switch_root_core::contract::HostFacts;
use switch_root_core::file::{self, Links, Unreadable};
use switch_root_core::limits::fixed;
use switch_root_core::os_release::{self, Unusable};
use switch_root_core::outcome::Message;
use switch_root_core::parameters::Extensions;
use switch_root_core::resolve::in_root;
use switch_root_core::{extensions, locations};

use crate::planner::List;

switch_root_core::outcomes! {
    /// What extensions are judged without.
    pub enum Unknown in "init-warnings" {
        /// uname(2) fails. Extensions are judged without it.
        "SR-N53" Release { error: nix::Error } = "the kernel does not tell its release: {error}",
    }
}

/// Collects the facts. The second value holds what could not be found out.
pub fn facts(new_root: BorrowedFd<'_>, command_line: &str) -> (HostFacts, Vec<Message>) {
    let (os_release, unusable) = os_release(new_root);
    let mut warnings: Vec<Message> = unusable.into_iter().map(Message::from).collect();
    let (kernel_release, architecture) = match nix::sys::utsname::uname() {
        Ok(names) => (
            names.release().to_string_lossy().into_owned(),
            names.machine().to_string_lossy().into_owned(),
        ),
        Err(error) => {
            warnings.push(Unknown::Release { error }.into());
            Default::default()
        }
    };
    let kernel_command_line = command_line.to_owned();
    (
        HostFacts {
            os_release,
            kernel_release,
            architecture,
            kernel_command_line,
        },
        warnings,
    )
}

/// The fields of a new root's os-release. The second value holds what could not be read.
pub fn os_release(new_root: BorrowedFd<'_>) -> (Vec<(String, String)>, Vec<Unusable>) {
    let (text, warnings) = os_release::find(|path| {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        match in_root(new_root, path.as_bytes(), flags) {
            Ok(file) => Ok(file::read_open(file, fixed::OS_RELEASE).map(Some)?),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => {
                let error = error.into();
                Err(Unreadable::Opening { error }.into())
            }
        }
    });
    (os_release::parse(&text.unwrap_or_default()), warnings)
}

/// `uname -r`; none where the kernel does not tell.
pub fn kernel_release() -> Option<String> {
    let names = nix::sys::utsname::uname().ok()?;
    Some(names.release().to_string_lossy().into_owned())
}

/// Which extensions.yaml the initramfs has.
pub fn list(extensions: Extensions) -> List {
    if extensions == Extensions::Ignore {
        let is_there = |path: &&str| Path::new(path).symlink_metadata().is_ok();
        let found = locations::EXTENSIONS.into_iter().find(is_there);
        return found.map_or(List::Missing, List::Ignored);
    }
    for path in locations::EXTENSIONS {
        match file::read(Path::new(path), fixed::EXTENSIONS_FILE, Links::Refuse) {
            Ok(Some((bytes, _))) => return List::Read(path, bytes),
            Ok(None) => {}
            Err(reason) => {
                return List::Unusable(extensions::unusable(path, &reason.to_string()).into());
            }
        }
    }
    List::Missing
}
