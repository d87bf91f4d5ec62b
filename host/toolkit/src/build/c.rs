//! C: bindings are made here, clang compiles and links them with the source, and the module is
//! made a component.
//!
//! The C library is wasi-libc, since authors expect `malloc` and `string.h`; what needs no
//! system imports nothing of WASI.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use switch_root_core::error::{Attempt, Error, Kind, Result};
use switch_root_core::escape::Shown;
use wit_bindgen_core::Files;

use super::foreign::{NoPolicy, refuse_foreign};
use super::made::{FOLDER, Made, NotMade};
use crate::component;
use crate::language::Language;
use crate::tool;
use crate::world::World;

const TARGET: &str = "--target=wasm32-wasi";
const INSTALL: &str = "install Debian's packages clang, lld, wasi-libc and libclang-rt-dev-wasm32";

/// What the generated files are named after, and the prefix of the types in them.
const BINDINGS: &str = "contract";

/// Builds the project.
pub fn build(folder: &Path) -> Result<Made> {
    let mut world = World::read(folder)?;
    look_for_tools()?;
    let bindings = folder.join(FOLDER).join("c");
    fs::create_dir_all(&bindings).map_err(|error| {
        let path = bindings.shown();
        Error::system(Attempt::Make { path }, &error)
    })?;
    let generated = generate(&mut world, &bindings)?;
    let module = bindings.join("module.wasm");
    let mut clang = Command::new("clang");
    clang
        .args([TARGET, "-mexec-model=reactor", "-Os", "-Wall", "-Wextra"])
        .arg("-I")
        .arg(&bindings)
        .args(sources(folder)?)
        .args(generated)
        .arg("-o")
        .arg(&module);
    tool::run(&mut clang, INSTALL)?;
    let module = fs::read(&module).map_err(|error| Error::system(NotMade::Module, &error))?;
    // Looked at before the encoder sees them, which would speak of adapters.
    let foreign = component::interfaces(&module)?.foreign();
    refuse_foreign(&foreign, Language::C).map_err(|error| {
        let name = world.policy.clone();
        error.within(NoPolicy::Refused { name })
    })?;
    Ok(Made {
        component: component::encode(&module)?,
        name: world.policy,
    })
}

/// Looks for all tools at once, so that they are installed at once.
fn look_for_tools() -> Result<()> {
    let answer = |argument: &str| -> Result<Option<PathBuf>> {
        let mut clang = Command::new("clang");
        let answer = tool::output(clang.args([TARGET, argument]), INSTALL)?;
        let path = PathBuf::from(String::from_utf8_lossy(&answer).trim());
        // What clang does not find it names without a folder.
        Ok(Some(path).filter(|path| path.is_absolute() && path.exists()))
    };
    tool::look_for("clang", INSTALL)?;
    let mut missing = Vec::new();
    for (argument, package) in [
        ("-print-prog-name=wasm-ld", "lld"),
        ("-print-file-name=libc.a", "wasi-libc"),
        ("-print-libgcc-file-name", "libclang-rt-dev-wasm32"),
    ] {
        if answer(argument)?.is_none() {
            missing.push(package);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Kind::NotFound,
        NotMade::Clang {
            packages: missing.join(" "),
        },
    ))
}

/// The C files of the project.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| {
        let path = folder.shown();
        Error::system(Attempt::Read { path }, &error)
    };
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "c") && path.is_file() {
            sources.push(path);
        }
    }
    // The same order on each machine, since it decides the bytes.
    sources.sort();
    Ok(sources)
}

/// Writes the bindings, and returns those of the files that are compiled or linked.
fn generate(world: &mut World, folder: &Path) -> Result<Vec<OsString>> {
    let options = wit_bindgen_c::Opts {
        rename_world: Some(BINDINGS.into()),
        ..Default::default()
    };
    let mut files = Files::default();
    options
        .build()
        .generate(&mut world.resolve, world.id, &mut files)
        .map_err(|error| {
            Error::input(NotMade::Bindings {
                world: world.name.clone(),
                error: format!("{error:#}"),
            })
        })?;
    let mut used = Vec::new();
    for (name, content) in files.iter() {
        let path = folder.join(name);
        fs::write(&path, content).map_err(|error| {
            let path = path.shown();
            Error::system(Attempt::Write { path }, &error)
        })?;
        if !name.ends_with(".h") {
            used.push(path.into_os_string());
        }
    }
    used.sort();
    Ok(used)
}
