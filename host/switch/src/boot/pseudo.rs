//! The file systems that every system has mounted.

use std::path::Path;

use nix::mount::{MsFlags, mount};
use rustix::fs::{self, AtFlags, Mode, StatxAttributes, StatxFlags};
use rustix::io::Errno;

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
pub fn mount_all() -> Vec<String> {
    let mut failures = Vec::new();
    for (point, kind, flags, options) in PSEUDO {
        match fs::mkdir(point, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => failures.push(format!("{point} cannot be made: {error}")),
        }
        if is_mounted(Path::new(point)) {
            continue;
        }
        if let Err(error) = mount(Some(kind), point, Some(kind), flags, Some(options)) {
            failures.push(format!("{kind} cannot be mounted on {point}: {error}"));
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
