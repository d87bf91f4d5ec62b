//! `cargo xtask ...`: what developers of switch-root run.

mod components;
mod demo;
mod dist;
mod kernels;
mod policies;
mod run;
mod setup;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  demo      build everything, boot an initramfs with policies in it, and show
            what was kept, what was deleted, and why
  test      run all tests (formatting, lints, unit tests, whole-system tests)
  bench     measure beside util-linux, busybox, toybox and klibc
            [--json FILE]   write the figures there, too
  dist      static binaries and policies in target/dist/
  policies  rebuild the default policy that is checked in

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
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") if command == "bench" => json = Some(parser.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    match command.as_str() {
        "demo" => demo::demo(),
        "test" => test::test(),
        "bench" => test::bench(json),
        "dist" => dist::dist().map(drop),
        "policies" => policies::rebuild_default(),
        other => bail!("there is no command `{other}`\n\n{USAGE}"),
    }
}
