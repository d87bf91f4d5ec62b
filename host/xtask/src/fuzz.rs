//! `cargo xtask fuzz`: libFuzzer on every reader of bytes that others wrote.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{output, run, step, target, which, workspace};

/// How long each target is tried where nothing else is said.
pub const SECONDS: u64 = 60;

/// The longest that one input may take, in seconds, and the most memory, in MiB. The
/// targets themselves hold closer bounds on memory, for each input by its size.
const TIMEOUT: u64 = 20;
const MEMORY: u64 = 2048;

/// The toolchain that libFuzzer's coverage takes.
const TOOLCHAIN: &str = "nightly";

/// Tries each target for so many seconds, or the one that is named. New inputs stay in
/// target/fuzz/corpus, so that the next run goes on from there.
///
/// # Errors
/// There is no such target; what is needed cannot be installed; or inputs were found
/// that fail: all targets are tried, and then each of those inputs is told.
pub fn fuzz(only: Option<&str>, seconds: u64) -> Result<()> {
    let all = targets()?;
    let chosen: Vec<&String> = all
        .iter()
        .filter(|name| only.is_none_or(|only| only == *name))
        .collect();
    if let (Some(only), []) = (only, chosen.as_slice()) {
        bail!("there is no target `{only}`; there are {}", all.join(" "));
    }
    prepare()?;
    step("building the targets");
    let mut build = fuzzer();
    build.args(["build", "--sanitizer", "none", "--fuzz-dir"]);
    build.arg(folder()).arg("--target-dir").arg(built());
    // Nothing here is unsafe but in libraries, which have been fuzzed by others; so that
    // what a sanitizer costs is better spent on more inputs.
    run(build.args(only))?;
    let mut failed = Vec::new();
    for name in chosen {
        if let Err(error) = try_for(name, seconds) {
            failed.push(format!("{error:#}"));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

fn folder() -> PathBuf {
    workspace().join("tests/fuzz")
}

fn built() -> PathBuf {
    target().join("fuzz")
}

/// The names of all targets: those of their programs.
fn targets() -> Result<Vec<String>> {
    let programs = folder().join("src/bin");
    let entries =
        fs::read_dir(&programs).with_context(|| format!("listing {}", programs.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_stem().context("a program without a name")?;
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Makes sure that there are the toolchain and cargo-fuzz.
fn prepare() -> Result<()> {
    if output(Command::new("rustup").args(["run", TOOLCHAIN, "rustc", "--version"])).is_err() {
        step("rustup toolchain install nightly");
        let mut install = Command::new("rustup");
        install.args(["toolchain", "install", TOOLCHAIN, "--profile", "minimal"]);
        run(&mut install).context("Rust's nightly toolchain is missing; install it with `rustup toolchain install nightly --profile minimal`")?;
    }
    if which("cargo-fuzz").is_none() && output(fuzzer().arg("--version")).is_err() {
        step("cargo install cargo-fuzz");
        let mut install = Command::new("cargo");
        install.args(["install", "--locked", "cargo-fuzz"]);
        run(&mut install)
            .context("cargo-fuzz is missing; install it with `cargo install cargo-fuzz`")?;
    }
    Ok(())
}

/// `cargo fuzz` of the toolchain.
fn fuzzer() -> Command {
    let mut fuzzer = Command::new("rustup");
    fuzzer.args(["run", TOOLCHAIN, "cargo", "fuzz"]);
    // These say which toolchain and crate runs this program, not that one.
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "CARGO_MANIFEST_DIR"] {
        fuzzer.env_remove(name);
    }
    fuzzer
}

/// Tries one target.
fn try_for(name: &str, seconds: u64) -> Result<()> {
    step(&format!("{name}: {seconds} s"));
    let made = |place: PathBuf| -> Result<PathBuf> {
        fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
        Ok(place)
    };
    let corpus = made(built().join("corpus").join(name))?;
    let found = made(built().join("found"))?;
    let log = found.join(format!("{name}.log"));
    let mut program = program(name)?;
    program
        .arg(&corpus)
        .arg(folder().join("corpus").join(name))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={TIMEOUT}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-artifact_prefix={}/{name}-", found.display()))
        .arg("-print_final_stats=1")
        .stderr(File::create(&log).with_context(|| format!("writing {}", log.display()))?);
    let dictionary = folder().join("dictionaries").join(name);
    if dictionary.is_file() {
        program.arg(format!("-dict={}", dictionary.display()));
    }
    let status = program
        .status()
        .with_context(|| format!("running the target {name}"))?;
    let said = fs::read(&log).with_context(|| format!("reading {}", log.display()))?;
    let said = String::from_utf8_lossy(&said);
    if status.success() {
        println!(
            "{name}: {} inputs",
            figure(&said, "number_of_executed_units")
        );
        return Ok(());
    }
    let input = artifact(&said).unwrap_or("none that was kept");
    bail!(
        "{name}: an input fails: {input}; {} says how. Correct the program, and put the input into tests/fuzz/corpus/{name} under a name that says what it did",
        log.display()
    )
}

fn program(name: &str) -> Result<Command> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc does not say what it runs on")?;
    let path: PathBuf = [Path::new(host), Path::new("release"), Path::new(name)]
        .iter()
        .collect();
    Ok(Command::new(built().join(path)))
}

/// A number of libFuzzer's summary: `stat::NAME: NUMBER`.
fn figure<'a>(said: &'a str, name: &str) -> &'a str {
    let line = said.lines().find(|line| line.contains(name));
    line.and_then(|line| line.rsplit(' ').next())
        .unwrap_or("an unknown number of")
}

/// Where libFuzzer says that it kept what fails.
fn artifact(said: &str) -> Option<&str> {
    let line = said
        .lines()
        .find(|line| line.contains("Test unit written to"))?;
    line.rsplit(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_understood() {
        let said = "INFO: Seed: 1\nartifact_prefix='/f/yaml-'; Test unit written to /f/yaml-crash-0a\nstat::number_of_executed_units: 1234\n";
        assert_eq!(figure(said, "number_of_executed_units"), "1234");
        assert_eq!(artifact(said), Some("/f/yaml-crash-0a"));
        assert_eq!(artifact("Done"), None);
    }

    #[test]
    fn there_are_targets() {
        assert!(targets().unwrap().contains(&"replies".to_owned()));
    }
}
