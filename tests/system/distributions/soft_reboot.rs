//! Debian whose user space is started anew, on the same kernel: systemd can do that since
//! its version 254, which Debian has since its release 13.

use super::debian::{Debian, workshop};
use super::survivors::{self, KEEP_PATHS};
use crate::check::{ensure, says};
use crate::tools::{Checked, Stop};

/// The first systemd that tells how often it was done.
const FIRST: u32 = 256;

pub fn the_report_outlives_a_soft_reboot() -> Checked {
    let workshop = workshop()?;
    let debian = Debian::stock(&workshop.path().join("debian"))?;
    let version = debian.run("systemctl --version")?;
    let number: Option<u32> = version
        .split_whitespace()
        .nth(1)
        .and_then(|it| it.parse().ok());
    match number {
        Some(number) if number >= FIRST => {}
        Some(number) => {
            return Err(Stop::NotThere(format!(
                "systemd {number} has no soft reboot"
            )));
        }
        None => return Err(Stop::Fail(format!("systemd has no version: {version}"))),
    }
    debian.prepare()?;
    debian.install()?;
    survivors::keep(&debian)?;
    debian.run("update-initramfs -u; : >/etc/soft-reboot")?;
    let seen = debian.boot(&debian.image("/boot/initrd.img-$release")?)?;

    let times = seen.text("soft-reboots");
    ensure!(
        times.trim() == "1",
        "{times:?} soft reboots\n{}",
        seen.console()
    );
    let (before, after) = (seen.text("before.json"), seen.text("report.json"));
    ensure!(!before.is_empty() && before == after, "{before}\n{after}");
    ensure!(seen.report()?.deletion() == "complete", "{after}");
    let (code, status) = (seen.text("status.code"), seen.text("status.txt"));
    ensure!(code.trim() == "0", "{code}: {status}");
    says(&status, &[KEEP_PATHS])
}
