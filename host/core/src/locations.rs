//! Where things are: in an initramfs, in a running system, and on the machine that makes
//! images. Paths are absolute in the root that they are of.

/// What the package has of its own.
pub const LIBRARY: &str = "/usr/lib/switch-root";
/// Both builds of the boot program, as the package has them: with a compiler, and without.
pub const BOOT_PROGRAMS: [&str; 2] = [
    "/usr/lib/switch-root/switch_root",
    "/usr/lib/switch-root/switch_root-aot",
];
/// Where an image may have the boot program, under the names that it is called by: what the
/// kernel executes first, then what scripts call, then where the package's hooks put it, to
/// which those names may be links.
pub const BOOT_PROGRAM_PLACES: [&str; 14] = [
    "/init",
    "/sbin/switch_root",
    "/usr/sbin/switch_root",
    "/bin/switch_root",
    "/usr/bin/switch_root",
    "/sbin/run-init",
    "/usr/sbin/run-init",
    "/bin/run-init",
    "/usr/bin/run-init",
    "/usr/lib/klibc/bin/run-init",
    "/lib/klibc/bin/run-init",
    BOOT_PROGRAMS[0],
    BOOT_PROGRAMS[1],
    "/usr/lib/switch-root/run-init",
];
/// What the hooks of generators call to add policies to an image.
pub const INTO_IMAGE: &str = "/usr/lib/switch-root/into-image";
/// What operators set for the images that are made on a machine.
pub const SETTINGS: &str = "/etc/switch-root/initramfs.conf";

/// Where vendors put policies.
pub const VENDOR: &str = "/usr/lib/switch-root/policies.d";
/// Where operators put theirs: those of the same name count instead of a vendor's.
pub const OPERATOR: &str = "/etc/switch-root/policies.d";
/// The signers that an image, or a machine's vendor, accepts.
pub const TRUST: &str = "/usr/lib/switch-root/trust";
/// The digests of native code that was compiled from verified policies. Its name does not end
/// as those of lists of signers do.
pub const COMPILED: &str = "/usr/lib/switch-root/trust/native.digests";
/// The signers that a machine's operator accepts.
pub const SIGNERS: &str = "/etc/switch-root/trust";

/// Where an initramfs names its extensions: the first one that is there.
pub const EXTENSIONS: [&str; 2] = ["/extensions.yaml", "/etc/extensions.yaml"];
/// Where os-release is, in the order of os-release(5).
pub const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
/// Root images that init mode looks for, in this order: two names of a squashfs, and erofs.
pub const ROOT_IMAGES: [&str; 3] = ["/rootfs.sqsh", "/rootfs.squashfs", "/rootfs.erofs"];
/// Where init mode puts the new root together. Not below one of the mounts that are moved
/// into it.
pub const NEW_ROOT: &str = "/sysroot";

/// The mounts that every system has, which are moved to the new root.
pub const MOVED: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];

/// The folder below /run of the new root for the report, and for what is left of the
/// initramfs.
pub const DIRECTORY: &str = "switch-root";
/// The report, in it.
pub const REPORT: &str = "report.json";
/// The directory of what policies keep, in it.
pub const PRESERVED: &str = "preserved";
/// The directory in it that root alone may enter.
pub const PRIVATE: &str = "private";
/// All that is left of the initramfs, in [`PRIVATE`].
pub const WHOLE: &str = "initramfs";

/// The report, as the running system finds it.
pub const REPORT_PATH: &str = "/run/switch-root/report.json";
/// What policies keep, as the running system finds it.
pub const PRESERVED_PATH: &str = "/run/switch-root/preserved";
/// All that is left of the initramfs, as root finds it in the running system.
pub const WHOLE_PATH: &str = "/run/switch-root/private/initramfs";

/// A place as archives name it: without the slash.
pub const fn in_archive(place: &'static str) -> &'static str {
    place.split_at(1).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_running_system_are_made_of_their_names() {
        let run = format!("/run/{DIRECTORY}");
        assert_eq!(REPORT_PATH, format!("{run}/{REPORT}"));
        assert_eq!(PRESERVED_PATH, format!("{run}/{PRESERVED}"));
        assert_eq!(WHOLE_PATH, format!("{run}/{PRIVATE}/{WHOLE}"));
    }
}
