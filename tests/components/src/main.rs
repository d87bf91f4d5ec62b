//! The components of this repository: the policies that ship, and those that tests need.
//! `cargo xtask` runs this and links no engine itself, so that it is there within a minute.

mod policies;
mod refused;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("components: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["shipped", folder] => policies::build(Path::new(folder)),
        ["for-tests", folder] => policies::build_for_tests(Path::new(folder)),
        ["one", crate_folder, folder] => {
            policies::build_one(Path::new(crate_folder), Path::new(folder))
        }
        ["default"] => policies::rebuild_default(),
        ["compare-default", built] => policies::compare_default(Path::new(built)),
        _ => bail!(
            "the command line is not one of `shipped FOLDER`, `for-tests FOLDER`, `one CRATE FOLDER`, `default`, `compare-default FILE.wasm`"
        ),
    }
}
