//! Debian with dracut: with shell scripts in the initramfs, which call our `switch_root`, and
//! with systemd in it, which does the switch by itself.

use std::sync::LazyLock;

use super::debian::{Debian, Seen, workshop};
use super::survivors;
use crate::check::ensure;
use crate::tools::{Checked, Stop};

/// For any machine, since this one is not the one that is booted; and quickly.
pub const DRACUT: &str = "dracut --quiet --force --no-hostonly --compress 'zstd -1 -T0'";
const WITHOUT_SYSTEMD: &str = "--omit 'systemd systemd-initrd dracut-systemd'";

/// The boots of both.
struct Boots {
    scripts: Seen,
    systemd: Seen,
}

fn boots() -> Result<&'static Boots, Stop> {
    static BOOTS: LazyLock<Result<Boots, Stop>> = LazyLock::new(make_boots);
    BOOTS.as_ref().map_err(Clone::clone)
}

fn make_boots() -> Result<Boots, Stop> {
    let workshop = workshop()?;
    let debian = Debian::stock(&workshop.path().join("debian"))?;
    debian.prepare()?;
    // The other generator is there, too, and its image is not needed.
    debian.run("echo update_initramfs=no >/etc/initramfs-tools/update-initramfs.conf")?;
    debian.install()?;
    survivors::keep(&debian)?;
    for (name, options) in [("scripts", WITHOUT_SYSTEMD), ("systemd", "")] {
        debian.run(&format!(
            "{DRACUT} {options} /boot/{name} $(ls /lib/modules)"
        ))?;
    }
    let scripts = debian.image("/boot/scripts")?;
    let systemd = debian.image("/boot/systemd")?;
    let (scripts, systemd) = std::thread::scope(|scope| {
        let scripts = scope.spawn(|| debian.boot(&scripts));
        let systemd = debian.boot(&systemd);
        (scripts.join(), systemd)
    });
    let scripts = scripts.map_err(|_| Stop::Fail("a test's thread died".into()))?;
    Ok(Boots {
        scripts: scripts.map_err(|stop| stop.during("scripts"))?,
        systemd: systemd.map_err(|stop| stop.during("systemd"))?,
    })
}

pub fn an_image_of_dracut_switches_through_our_switch_root() -> Checked {
    let seen = &boots()?.scripts;
    survivors::are_kept(seen, &survivors::OF_DRACUT)?;
    let report = seen.report()?;
    let all = &report.0;
    ensure!(report.strategy() == "move", "{all:#}");
    ensure!(report.deletion() == "complete", "{all:#}");
    ensure!(report.failed_deletions().is_empty(), "{all:#}");
    ensure!(report.warnings().is_empty(), "{all:#}");
    let messages = seen.journal()?;
    let from_the_kernel = messages
        .iter()
        .filter(|message| message.from == "kernel" && message.priority == 6);
    ensure!(from_the_kernel.count() >= 2, "{messages:#?}");
    Ok(())
}

/// Checks that what policies keep is there after systemd switched, and that the report says
/// who did.
pub fn preserved_before_systemd_switched(seen: &Seen) -> Checked {
    survivors::are_kept(seen, &survivors::OF_DRACUT)?;
    let report = seen.report()?;
    let all = &report.0;
    ensure!(report.strategy() == "delegated", "{all:#}");
    ensure!(report.deletion() == "skipped", "{all:#}");
    ensure!(!report.deletion_reason().is_empty(), "{all:#}");
    ensure!(report.warnings().is_empty(), "{all:#}");
    Ok(())
}

pub fn systemd_in_the_initramfs_switches_with_what_was_preserved_before() -> Checked {
    let seen = &boots()?.systemd;
    preserved_before_systemd_switched(seen)?;
    // It is no PID 1, and its messages are those of a service.
    let messages = seen.journal()?;
    let all_well = messages
        .iter()
        .all(|message| message.from == "stdout" && message.priority == 6);
    ensure!(all_well && !messages.is_empty(), "{messages:#?}");
    Ok(())
}
