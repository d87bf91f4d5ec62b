//! `cargo xtask prove`: the evidence in full, of which `cargo xtask test` runs a sample.

use std::fs;

use anyhow::{Context, Result, bail};
use switch_root_tests::architecture::Architecture;

use crate::distributions::{NEWEST, SUITES};
use crate::fuzz;
use crate::installed;
use crate::packages;
use crate::policies;
use crate::run::{files_below, step, target};
use crate::subjects::{Boot, Skipped, Subjects};

/// The themes of the whole-system tests that have more to them than a sample, and what
/// each shows.
const THEMES: [(&str, &str); 6] = [
    (
        "faults::",
        "every system call fails once, with each of its errors",
    ),
    ("hostile::", "hostile policies, and a hostile judge"),
    (
        "random_scenes::",
        "what was planned is what happens, on random images",
    ),
    ("kernels::", "the whole suite on each kernel"),
    ("aarch64::", "the same on aarch64"),
    ("distributions::", "Debian, and more of its images"),
];

/// Where the tests of distributions run, beside the oldest Debian: which of them, and what
/// that shows.
const DEBIANS: [(&str, &str, &str); 2] = [
    (
        SUITES[1],
        "distributions::",
        "the same, and what mkosi makes of it",
    ),
    (
        NEWEST,
        "distributions::squashed_image_of_dracut",
        "an image with dracut's squash module",
    ),
];

/// The parts that take no programs.
const NOT_BUILT: [&str; 2] = ["fuzz", "dependencies"];

/// Runs everything, or one part: the name of a theme, `fuzz` or `dependencies`. Each fuzz target runs
/// for this many seconds.
///
/// # Errors
/// What cannot be built; which part failed, after all have run.
pub fn prove(only: Option<&str>, seconds: u64) -> Result<()> {
    let wanted = |name: &str| only.is_none_or(|only| only == name.trim_end_matches(':'));
    let known: Vec<&str> = THEMES
        .iter()
        .map(|(theme, _)| theme.trim_end_matches(':'))
        .chain(NOT_BUILT)
        .collect();
    if let Some(only) = only
        && !known.contains(&only)
    {
        bail!(
            "there is no part `{only}` to prove; there are {}",
            known.join(", ")
        );
    }
    let mut skipped = Skipped::default();
    let mut failed = Vec::new();
    if only.is_none_or(|only| !NOT_BUILT.contains(&only)) {
        let components = policies::build_for_tests()?;
        let mut subjects = Subjects::build(Boot::Installed, &components, &mut skipped)?;
        if wanted("aarch64")
            && let Err(error) = packages::packages(Some(Architecture::Aarch64))
        {
            eprintln!("xtask: {error:#}");
            failed.push("packages for aarch64");
        }
        for (theme, shows) in THEMES.iter().filter(|(theme, _)| wanted(theme)) {
            step(shows);
            if let Err(error) = subjects.test(Some(theme), true) {
                eprintln!("xtask: {error:#}");
                failed.push(theme.trim_end_matches(':'));
            }
        }
        if wanted("distributions") {
            for (suite, part, shows) in DEBIANS {
                step(&format!("Debian {suite}: {shows}"));
                match subjects.boot(suite, &components) {
                    Ok(()) => {
                        if let Err(error) = subjects.test(Some(part), true) {
                            eprintln!("xtask: {error:#}");
                            failed.push(suite);
                        }
                    }
                    Err(error) => skipped.push(format!("the boots of Debian {suite}: {error:#}")),
                }
            }
        }
        print_tables()?;
    }
    if wanted("fuzz") {
        step("untrusted bytes");
        if let Err(error) = fuzz::fuzz(None, seconds) {
            eprintln!("xtask: {error:#}");
            failed.push("fuzz");
        }
    }
    if wanted("dependencies") {
        let checks = [installed::dependencies, installed::advisories];
        let results = checks.map(|check| check(&mut skipped));
        for error in results.into_iter().filter_map(Result::err) {
            eprintln!("xtask: {error:#}");
            failed.push("dependencies");
        }
    }
    if !failed.is_empty() {
        bail!("not proven: {}", failed.join(", "));
    }
    skipped.settle()?;
    println!("all proven");
    Ok(())
}

/// Prints what the tests have written for people to read.
fn print_tables() -> Result<()> {
    for table in files_below(&target().join("prove"))? {
        let text =
            fs::read_to_string(&table).with_context(|| format!("reading {}", table.display()))?;
        let name = table.file_stem().unwrap_or_default().to_string_lossy();
        println!("\n{name}\n\n{text}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::workspace;

    /// A filter that fits no test would prove nothing, and say that it did.
    #[test]
    fn every_theme_is_a_module_of_the_whole_system_tests() {
        let main = workspace().join("tests/system/main.rs");
        let main = fs::read_to_string(main).unwrap();
        for (theme, _) in THEMES {
            let module = format!("mod {};", theme.trim_end_matches(':'));
            assert!(main.contains(&module), "there is no `{module}`");
        }
    }

    #[test]
    fn tests_that_only_some_debians_run_exist() {
        let tests = workspace().join("tests/system/distributions/mod.rs");
        let tests = fs::read_to_string(tests).unwrap();
        for (suite, part, _) in DEBIANS {
            let name = part.trim_start_matches("distributions::");
            assert!(tests.contains(name), "{suite}: there is no `{name}`");
        }
    }
}
