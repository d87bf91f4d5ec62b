//! `cargo xtask ...`: what developers of switch-root run.

#[cfg(test)]
mod contract;
mod demo;
mod dist;
mod documents;
mod fuzz;
mod kernels;
mod native;
mod policies;
mod refused;
mod run;
mod setup;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  demo      build everything, boot an initramfs with policies in it, and show
            what was kept, what was deleted, and why
  test      run all tests (formatting, lints, unit tests, whole-system tests)
  bench     measure beside util-linux, busybox, toybox and klibc
            [--json FILE]   write the figures there, too
  fuzz      [TARGET]: try inputs of all kinds on what reads bytes that others
            wrote, with libFuzzer
            [--seconds N]   for each target; 60 where nothing is said
  dist      static binaries, policies, completions and manual pages in
            target/dist/
  policy    DIR: build the policy whose crate is in this folder of policies/
  default   rebuild the default policy that is checked in
  kernels   fetch the kernels that are booted, and say where they are

What a command needs is installed where it may be (rustup targets; Debian
packages as root), and named otherwise.
";

fn main() -> ExitCode {
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<()> {
    let mut parser = lexopt::Parser::from_env();
    let command = match parser.next()? {
        Some(Value(command)) => command.string()?,
        Some(Short('h') | Long("help")) => {
            print!("{USAGE}");
            return Ok(());
        }
        Some(other) => return Err(other.unexpected().into()),
        None => bail!("no command is given\n\n{USAGE}"),
    };
    let mut json = None;
    let mut folder = None;
    let mut fuzzed = None;
    let mut seconds = fuzz::SECONDS;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") if command == "bench" => json = Some(parser.value()?.into()),
            Value(path) if command == "policy" && folder.is_none() => {
                folder = Some(PathBuf::from(path))
            }
            Long("seconds") if command == "fuzz" => seconds = parser.value()?.parse()?,
            Value(name) if command == "fuzz" && fuzzed.is_none() => fuzzed = Some(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    match command.as_str() {
        "demo" => demo::demo(),
        "test" => test::test(),
        "bench" => test::bench(json),
        "fuzz" => fuzz::fuzz(fuzzed.as_deref(), seconds),
        "dist" => dist::dist().map(drop),
        "policy" => policies::build_one(
            &folder.context("name the folder of the policy's crate, such as policies/example")?,
        ),
        "default" => policies::rebuild_default(),
        "kernels" => {
            let (folder, missing) = kernels::fetch();
            missing
                .iter()
                .for_each(|reason| eprintln!("xtask: {reason}"));
            println!("{}", folder.display());
            Ok(())
        }
        other => bail!("there is no command `{other}`\n\n{USAGE}"),
    }
}
