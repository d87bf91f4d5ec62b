//! Files of packages: each with the mode that it has once it is installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::release::Release;

/// A command whose files and messages do not depend on who runs it.
pub fn plain(program: &str, release: &Release) -> Command {
    let mut command = Command::new(program);
    command
        .env("SOURCE_DATE_EPOCH", release.epoch.to_string())
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC");
    command
}

/// Copies a file, with the mode that it has in packages.
pub fn copy(from: &Path, to: &Path, executable: bool) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    write(to, &content, executable)
}

/// Writes a file, with the mode that it has in packages, whatever the umask says.
pub fn write(to: &Path, content: &[u8], executable: bool) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if let Some(folder) = to.parent() {
        make_folder(folder)?;
    }
    fs::write(to, content).with_context(|| format!("writing {}", to.display()))?;
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
        .with_context(|| format!("setting the mode of {}", to.display()))
}

/// Makes a folder that everybody can read, whatever the umask says.
pub fn make_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("setting the mode of {}", folder.display()))
}
