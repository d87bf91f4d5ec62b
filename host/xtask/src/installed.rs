//! Checks by programs that are run where somebody has installed them: Debian has no package of
//! either, and building them takes as long as all else that `cargo xtask test` builds. A program
//! that is missing therefore fails nothing, not even with CI=true.

use std::process::Command;

use anyhow::Result;

use crate::run::{cargo, output, run, step, which, workspace};
use crate::subjects::Skipped;

/// Spelling, as `.typos.toml` has it.
///
/// # Errors
/// What is misspelt.
pub fn spelling(skipped: &mut Skipped) -> Result<()> {
    if !is_installed("typos", "typos-cli", "the spelling", skipped) {
        return Ok(());
    }
    step("spelling");
    run(Command::new("typos").current_dir(workspace()))
}

/// Licences, bans and sources of the crates that are used, as `deny.toml` has them.
///
/// # Errors
/// What is not allowed.
pub fn dependencies(skipped: &mut Skipped) -> Result<()> {
    if !has_cargo_deny("the licences and sources of dependencies", skipped) {
        return Ok(());
    }
    step("licences, bans and sources of dependencies");
    run(deny().args(["check", "bans", "licenses", "sources"]))
}

/// Advisories about the crates that are used. Not a part of `cargo xtask test`: one that
/// appears says nothing about the change that is tested.
///
/// # Errors
/// The advisories.
pub fn advisories(skipped: &mut Skipped) -> Result<()> {
    if !has_cargo_deny("advisories about dependencies", skipped) {
        return Ok(());
    }
    step("advisories about dependencies");
    if let Err(error) = output(deny().args(["fetch", "db"])) {
        skipped.optional(format!(
            "advisories about dependencies: their database cannot be fetched: {error:#}"
        ));
        return Ok(());
    }
    run(deny().args(["check", "--disable-fetch", "advisories"]))
}

fn deny() -> Command {
    let mut deny = cargo();
    deny.args(["deny", "--locked"]);
    deny
}

fn has_cargo_deny(what: &str, skipped: &mut Skipped) -> bool {
    is_installed("cargo-deny", "cargo-deny", what, skipped)
}

/// Whether a program is installed; where it is not, what it would have checked is skipped.
fn is_installed(program: &str, package: &str, what: &str, skipped: &mut Skipped) -> bool {
    let installed = which(program).is_some();
    if !installed {
        skipped.optional(format!(
            "{what}: {program} is not installed; to install it, run `cargo install --locked {package}`"
        ));
    }
    installed
}
