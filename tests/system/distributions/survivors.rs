//! What a policy keeps of the images of Debian's generators, and whether it is there.

use super::debian::{Debian, POLICIES, Seen};
use crate::check::ensure;
use crate::tools::{Checked, Stop};

/// The policy's name.
pub const KEEP_PATHS: &str = "50-keep-paths";

/// What it carries and keeps of an image of dracut, and of one with files of these names.
pub const OF_DRACUT: [&str; 2] = [
    "/usr/lib/dracut/modules.txt",
    "/usr/lib/dracut/build-parameter.txt",
];

/// What it is told: of the images of initramfs-tools, and of dracut.
const SIDECAR: &str = include_str!("debian/keep-paths.json");
const TARGET: &str = "/etc/carried";

/// Has the policy of our package keep it, as an operator does it.
///
/// # Errors
/// It cannot be put into its folder.
pub fn keep(debian: &Debian) -> Checked {
    debian.run(&format!(
        "cp /usr/share/switch-root/policies/keep-paths.wasm {POLICIES}/{KEEP_PATHS}.wasm
         cat >{POLICIES}/{KEEP_PATHS}.json <<'end'\n{SIDECAR}end"
    ))?;
    Ok(())
}

/// Checks that these survived, the first of them carried, the second one kept, and that they
/// hold what they held.
///
/// # Errors
/// They did not.
pub fn are_kept(seen: &Seen, [carried, kept]: &[&str; 2]) -> Checked {
    let report = seen.report()?;
    let all = &report.0;
    let policy = report.policy(KEEP_PATHS).ok_or("it was not asked")?;
    ensure!(
        policy["compiled"] == false,
        "it was compiled at the boot\n{all:#}"
    );
    ensure!(report.failure(KEEP_PATHS).is_none(), "{all:#}");
    let survivors = report.survivors();
    for path in [carried, kept] {
        let by = survivors
            .get(*path)
            .ok_or_else(|| Stop::Fail(format!("no {path}\n{all:#}")))?;
        ensure!(by.contains(KEEP_PATHS), "{all:#}");
        let preserved = seen.preserved();
        ensure!(preserved.iter().any(|other| other == path), "{preserved:?}");
    }
    ensure!(survivors.len() == 2, "{all:#}");
    ensure!(
        report.carried_to(carried).as_deref() == Some(TARGET),
        "{all:#}"
    );
    ensure!(!seen.text("kept").is_empty(), "{kept} is empty");
    ensure!(!seen.text("carried").is_empty(), "{TARGET} is empty");
    let error = seen.text("carried.error");
    ensure!(
        error.contains("Read-only file system"),
        "writing to {TARGET}: {error:?}"
    );
    Ok(())
}
