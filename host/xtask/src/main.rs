//! `cargo xtask ...`: what developers of switch-root run.

#![expect(
    clippy::disallowed_methods,
    reason = "its paths are those of this checkout"
)]

mod beside;
mod compare;
#[cfg(test)]
mod contract;
mod demo;
mod dist;
mod distributions;
mod documents;
mod engine;
mod foreign;
mod fuzz;
mod generators;
mod installed;
mod kernels;
mod mkosi;
mod native;
mod packages;
mod policies;
mod programs;
#[cfg(test)]
mod prose;
mod prove;
mod publish;
mod run;
mod setup;
mod sizes;
#[cfg(test)]
mod structure;
mod subjects;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;
use switch_root_tests::architecture::Architecture;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  demo      build everything, boot an initramfs with policies in it, and show
            what was kept, what was deleted, and why
  test      run all tests (formatting, lints, unit tests, whole-system tests)
  prove     the evidence in full, of which `test` runs a sample: faults, hostile
            policies, random images, all kernels, fuzzing, dependencies
            [PART]          one of faults, hostile, random_scenes, kernels,
                            aarch64, distributions, fuzz, dependencies
            [--seconds N]   for each fuzz target (60)
  bench     measure beside util-linux, busybox, toybox and klibc
            [--json FILE]   write the figures there, too
            [--compare OLD.json NEW.json]   measure nothing; show what changed
            between two such files
  fuzz      [TARGET]: try inputs of all kinds on what reads bytes that others
            wrote, with libFuzzer
            [--seconds N]   for each target; 60 where nothing is said
  dist      static binaries, policies, completions and manual pages in
            target/dist/
            [--arch x86_64|aarch64]   the programs alone, for the machines of this
            architecture, in a folder named like it
  packages  Debian's packages and an archive of what is installed, with their
            checksums, in target/dist/packages/
            [--arch x86_64|aarch64]   for the machines of this architecture
  publish   --dry-run: all that is done to publish the crates but the last step
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
    let mut compared = None;
    let mut folder = None;
    let mut architecture = None;
    let mut part = None;
    let mut dry_run = false;
    let mut seconds = fuzz::SECONDS;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") if command == "bench" => json = Some(parser.value()?.into()),
            Long("compare") if command == "bench" => {
                compared = Some([parser.value()?, parser.value()?].map(PathBuf::from));
            }
            Long("arch") if command == "dist" || command == "packages" => {
                architecture = Some(architecture_named(&parser.value()?.string()?)?);
            }
            Long("dry-run") if command == "publish" => dry_run = true,
            Value(path) if command == "policy" && folder.is_none() => {
                folder = Some(PathBuf::from(path))
            }
            Long("seconds") if command == "fuzz" || command == "prove" => {
                seconds = parser.value()?.parse()?;
            }
            Value(name) if (command == "fuzz" || command == "prove") && part.is_none() => {
                part = Some(name.string()?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    match command.as_str() {
        "demo" => demo::demo(),
        "test" => test::test(),
        "bench" => match compared {
            Some([old, new]) => compare::print(&old, &new),
            None => test::bench(json),
        },
        "dist" => match architecture {
            Some(architecture) => dist::dist_for(architecture),
            None => dist::dist().map(drop),
        },
        "packages" => packages::packages(architecture),
        "publish" => publish::publish(dry_run),
        "fuzz" => fuzz::fuzz(part.as_deref(), seconds),
        "prove" => prove::prove(part.as_deref(), seconds),
        "policy" => policies::build_one(
            &folder.context("name the folder of the policy's crate, such as policies/example")?,
        ),
        "default" => policies::rebuild_default(),
        "kernels" => {
            for architecture in Architecture::ALL {
                let (folder, missing) = kernels::fetch(architecture);
                missing
                    .iter()
                    .for_each(|reason| eprintln!("xtask: {reason}"));
                println!("{}", folder.display());
            }
            Ok(())
        }
        other => bail!("there is no command `{other}`\n\n{USAGE}"),
    }
}

fn architecture_named(name: &str) -> Result<Architecture> {
    Architecture::ALL
        .into_iter()
        .find(|architecture| architecture.name() == name)
        .with_context(|| {
            let known = Architecture::ALL.map(Architecture::name);
            format!(
                "nothing is built for `{name}`; --arch takes {}",
                known.join(" or ")
            )
        })
}
