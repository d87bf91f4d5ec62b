//! The file systems that every system has mounted.

use std::path::Path;

use nix::mount::{MsFlags, mount};
use rustix::fs::{self, AtFlags, Mode, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use switch_root_core::outcome::Message;

switch_root_core::outcomes! {
    /// That one of them is not mounted.
    pub enum Unmounted in "boot-warnings" {
        /// `/proc`, `/sys`, `/dev` or `/run`. The kernel may lack devtmpfs or tmpfs: without `/dev`
        /// there is no loop device for the root image.
        "SR-B01" Making { point: &'static str, error: Errno } = "{point} cannot be made: {error}",
        "SR-B02" Mounting { point: &'static str, kind: &'static str, error: nix::Error } = "{kind} cannot be mounted on {point}: {error}",
    }
}

const HARMLESS: MsFlags = MsFlags::MS_NOSUID
    .union(MsFlags::MS_NODEV)
    .union(MsFlags::MS_NOEXEC);

/// Where, what, how, and with which options.
const PSEUDO: [(&str, &str, MsFlags, &str); 4] = [
    ("/proc", "proc", HARMLESS, ""),
    ("/sys", "sysfs", HARMLESS, ""),
    ("/dev", "devtmpfs", MsFlags::MS_NOSUID, "mode=0755"),
    (
        "/run",
        "tmpfs",
        MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV),
        "mode=0755",
    ),
];

/// Mounts those that are not mounted yet. What fails is returned, as sentences:
/// whether it is needed shows later.
pub fn mount_all() -> Vec<Message> {
    let mut failures = Vec::new();
    for (point, kind, flags, options) in PSEUDO {
        match fs::mkdir(point, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => failures.push(Unmounted::Making { point, error }.into()),
        }
        if is_mounted(Path::new(point)) {
            continue;
        }
        if let Err(error) = mount(Some(kind), point, Some(kind), flags, Some(options)) {
            failures.push(Unmounted::Mounting { point, kind, error }.into());
        }
    }
    failures
}

fn is_mounted(point: &Path) -> bool {
    fs::statx(
        fs::CWD,
        point,
        AtFlags::SYMLINK_NOFOLLOW,
        StatxFlags::empty(),
    )
    .is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}
