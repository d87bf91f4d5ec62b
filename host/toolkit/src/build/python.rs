//! Python: componentize-py puts the source and CPython into one component.

use std::fs;
use std::path::Path;
use std::process::Command;

use switch_root_core::error::{Error, Result};

use super::installed;
use super::made::{Made, NotMade};
use crate::language::Language;
use crate::tool;
use crate::world::World;

const INSTALL: &str = "install Python 3.10 or newer, Debian's packages python3 and python3-venv";

/// Builds the project.
pub fn build(folder: &Path) -> Result<Made> {
    let world = World::read(folder)?;
    tool::look_for("python3", INSTALL)?;
    let list = "requirements.txt";
    let packages = installed::folder(folder, "python", list, |packages| {
        let mut python = Command::new("python3");
        tool::run(python.args(["-m", "venv"]).arg(packages), INSTALL)
            .map_err(|error| error.within(NotMade::Environment { install: INSTALL }))?;
        let mut pip = Command::new(packages.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet"])
            .args(["--disable-pip-version-check", "--requirement", list])
            .current_dir(folder);
        tool::run(&mut pip, INSTALL).map_err(|error| error.within(NotMade::Install { list }))
    })?;
    let component = packages.join("component.wasm");
    let mut componentize = Command::new(packages.join("bin/componentize-py"));
    let module = Path::new(Language::Python.marker()).with_extension("");
    componentize
        .args(["--wit-path", "wit", "--world", &world.name])
        // Nothing of WASI is left to import: what calls it traps.
        .args(["componentize", "--stub-wasi", "--output"])
        .arg(&component)
        .arg(module)
        .current_dir(folder);
    tool::run(
        &mut componentize,
        "name componentize-py in requirements.txt",
    )?;
    let bytes = fs::read(&component).map_err(|error| {
        let tool = "componentize-py";
        Error::system(NotMade::Unread { tool }, &error)
    })?;
    Ok(Made {
        name: world.policy,
        component: bytes,
    })
}
