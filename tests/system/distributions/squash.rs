//! Debian with dracut's squash module: `/` of the initramfs is an overlay, on a squashfs that
//! lies in the initramfs which the kernel has unpacked, and systemd does the switch.

use super::debian::{Debian, workshop};
use super::dracut::{DRACUT, preserved_before_systemd_switched};
use super::survivors;
use crate::check::says;
use crate::tools::{Checked, Stop};

/// Whether there is what dracut makes such an image with. On the disks of stable releases there
/// is not (distributions.rs of xtask).
const POSSIBLE: &str = "if command -v mksquashfs >/dev/null; then echo possible; fi";
/// One image is made, and not another one when our packages are installed.
const ONCE: &str = "mkdir -p /etc/initramfs-tools
    echo update_initramfs=no >/etc/initramfs-tools/update-initramfs.conf";
/// The file that all but dracut's first `/init` is in.
const SQUASHED: &str = "squashfs-root.img";

pub fn squashed_image_of_dracut_preserves_before_systemd_switches() -> Checked {
    let workshop = workshop()?;
    let debian = Debian::stock(&workshop.path().join("debian"))?;
    if debian.run(POSSIBLE)?.is_empty() {
        return Err(Stop::NotThere(
            "it is for Debian sid: `cargo xtask prove distributions` boots that".into(),
        ));
    }
    debian.prepare()?;
    debian.run(ONCE)?;
    debian.install()?;
    survivors::keep(&debian)?;
    let list = debian.run(&format!(
        "{DRACUT} --add squash /boot/squash $(ls /lib/modules)
         lsinitrd /boot/squash"
    ))?;
    says(&list, &[SQUASHED])?;
    let seen = debian.boot(&debian.image("/boot/squash")?)?;

    preserved_before_systemd_switched(&seen)
}
