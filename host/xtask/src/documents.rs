//! Completions and manual pages of `srctl`, as it writes them itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{output, run, step};

/// The shells, and what each calls the file that completes `srctl`.
const SHELLS: [(&str, &str); 5] = [
    ("bash", "srctl.bash"),
    ("zsh", "_srctl"),
    ("fish", "srctl.fish"),
    ("elvish", "srctl.elv"),
    ("powershell", "_srctl.ps1"),
];

/// Writes `completions/` and `man/` into a folder.
///
/// # Errors
/// Where srctl cannot be run, or a file cannot be written.
pub fn write(srctl: &Path, folder: &Path) -> Result<()> {
    step("completions and manual pages");
    let completions = folder.join("completions");
    let pages = folder.join("man");
    for made in [&completions, &pages] {
        // Of a command that is no more there is no page.
        if made.exists() {
            fs::remove_dir_all(made).with_context(|| format!("removing {}", made.display()))?;
        }
        fs::create_dir_all(made).with_context(|| format!("making {}", made.display()))?;
    }
    for (shell, name) in SHELLS {
        let script = output(Command::new(srctl).args(["completions", shell]))?;
        let path = completions.join(name);
        fs::write(&path, script).with_context(|| format!("writing {}", path.display()))?;
    }
    run(Command::new(srctl).args(["man", "--output"]).arg(&pages))
}
