//! A Debian that mkosi made of our example.

use std::path::PathBuf;

use super::debian::{Debian, Image, workshop};
use super::survivors;
use crate::check::ensure;
use crate::tools::{Checked, Stop};

pub fn an_initramfs_of_mkosi_asks_the_policies_before_systemd_switches() -> Checked {
    let folder = std::env::var_os("SWITCH_ROOT_MKOSI").ok_or_else(|| {
        Stop::NotThere("mkosi takes minutes: `cargo xtask prove distributions` runs it".into())
    })?;
    let folder = PathBuf::from(folder);
    let workshop = workshop()?;
    let debian = Debian::of(&folder, &workshop.path().join("debian"))?;
    debian.prepare()?;
    let seen = debian.boot(&Image::of(&folder))?;

    // The image has files that are called like those of dracut.
    survivors::are_kept(&seen, &survivors::OF_DRACUT)?;
    let report = seen.report()?;
    let all = &report.0;
    ensure!(report.strategy() == "delegated", "{all:#}");
    ensure!(report.warnings().is_empty(), "{all:#}");
    ensure!(
        seen.text("status.code").trim() == "0",
        "{}",
        seen.text("status.txt")
    );
    Ok(())
}
