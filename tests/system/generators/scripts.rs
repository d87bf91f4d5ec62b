//! The shell that is installed.

use std::path::PathBuf;
use std::process::Command;

use crate::check::ensure;
use crate::srctl::Ran;
use crate::tools::{Checked, cases, program};

use super::ours;

cases![shellcheck_finds_nothing, no_shell_script_was_forgotten];

/// The scripts, with their shells.
const SCRIPTS: [(&str, &str); 8] = [
    ("sh", "lib/into-image"),
    ("sh", "initramfs-tools/hooks/switch-root"),
    ("sh", "initramfs-tools/post-update.d/switch-root"),
    ("bash", "dracut/99switch-root/module-setup.sh"),
    ("dash", "dracut/99switch-root/switch-root-check.sh"),
    ("bash", "mkinitcpio/install/switch-root"),
    ("dash", "mkinitcpio/hooks/switch-root"),
    ("sh", "mkosi/mkosi.images/initrd/mkosi.finalize"),
];

fn shellcheck_finds_nothing() -> Checked {
    let shellcheck = program("shellcheck")?;
    for (shell, script) in SCRIPTS {
        let ended = Command::new(&shellcheck)
            .args(["--shell", shell])
            .arg(ours(script))
            .output()?;
        let ran = Ran::new(script, &ended);
        ensure!(ran.status == Some(0), "{}", ran.said());
    }
    Ok(())
}

fn no_shell_script_was_forgotten() -> Checked {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        // Those of the packages are held against the packages' own rules.
        if folder.starts_with("debian") {
            continue;
        }
        for entry in std::fs::read_dir(ours("").join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
                continue;
            }
            let shell = std::fs::read(entry.path())?.starts_with(b"#!");
            let known = SCRIPTS.iter().any(|(_, script)| path.ends_with(script));
            ensure!(!shell || known, "{} is not checked", path.display());
        }
    }
    Ok(())
}
