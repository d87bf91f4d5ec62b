//! JavaScript: componentize-qjs puts the source and QuickJS into one component.
//!
//! The other engine that there is tooling for, SpiderMonkey, makes components of more than
//! 10 MB, where this one makes them of 1 MB.

use std::fs;
use std::path::Path;
use std::process::Command;

use switch_root_core::error::{Error, Result};

use super::installed;
use super::made::{Made, NotMade};
use crate::language::Language;
use crate::tool;
use crate::world::World;

const INSTALL: &str = "install Node.js 18 or newer with npm, Debian's packages nodejs and npm";

/// Builds the project.
pub fn build(folder: &Path) -> Result<Made> {
    let world = World::read(folder)?;
    tool::look_for("node", INSTALL)?;
    tool::look_for("npm", INSTALL)?;
    let list = "package.json";
    let packages = installed::folder(folder, "npm", list, |packages| {
        fs::copy(folder.join(list), packages.join(list))
            .map_err(|error| Error::system(NotMade::List { list }, &error))?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock"])
            .current_dir(packages);
        tool::run(&mut npm, INSTALL).map_err(|error| error.within(NotMade::Install { list }))
    })?;
    let component = packages.join("component.wasm");
    let program = packages.join("node_modules/.bin/componentize-qjs");
    let mut componentize = Command::new(program);
    componentize
        .args(["--wit", "wit", "--world", &world.name])
        .args(["--js", Language::JavaScript.marker()])
        // Nothing of WASI is left to import: what calls it traps. The runtime without async
        // is the one that this host's engine runs.
        .args(["--stub-wasi", "--sync", "--opt-size", "--output"])
        .arg(&component)
        .current_dir(folder);
    tool::run(
        &mut componentize,
        "name componentize-qjs in the devDependencies of package.json",
    )?;
    let bytes = fs::read(&component).map_err(|error| {
        let tool = "componentize-qjs";
        Error::system(NotMade::Unread { tool }, &error)
    })?;
    Ok(Made {
        name: world.policy,
        component: bytes,
    })
}
