//! The policies as components: those that ship, and those that tests need.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use switch_root_tests::policies::{PUBLISHED, SHIPPED};
use toolkit::{component, rust};

use crate::refused;

/// The top of the workspace.
fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Where the default policy is checked in, since the host embeds it.
fn checked_in() -> PathBuf {
    workspace().join("host/policy/src/default.wasm")
}

/// Builds the policies that ship into a folder.
///
/// # Errors
/// Where one cannot be built.
pub fn build(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for (package, name) in SHIPPED {
        write(folder, name, &rust::build(workspace(), package)?)?;
    }
    Ok(())
}

/// Builds all that tests need into a folder.
///
/// # Errors
/// Where one cannot be built.
pub fn build_for_tests(folder: &Path) -> Result<()> {
    build(folder)?;
    let contract = workspace().join("wit/policy.wit");
    let contract =
        fs::read_to_string(&contract).with_context(|| format!("reading {}", contract.display()))?;
    let hostile = rust::build(workspace(), "switch-root-policy-hostile")?;
    write(folder, "truncated", &refused::truncated(&hostile))?;
    write(folder, "hostile", &hostile)?;
    let scripted = rust::build(workspace(), "switch-root-policy-scripted")?;
    write(folder, "scripted", &scripted)?;
    write(folder, "wasi-imports", &refused::importing_wasi(&contract)?)?;
    write(
        folder,
        "other-version",
        &refused::of_version(&contract, "0.2.0")?,
    )?;
    for (name, version) in [("next-major", "1.0.0"), ("candidate", "0.1.0-rc.1")] {
        write(folder, name, &refused::of_version(&contract, version)?)?;
    }
    for (name, make) in [
        (
            "calls-later",
            refused::calling_later as fn(&str) -> Result<Vec<u8>>,
        ),
        ("other-log", refused::importing_other_log),
        ("two-versions", refused::of_two_versions),
        ("core-module", refused::core_module),
    ] {
        write(folder, name, &make(&contract)?)?;
    }
    for name in PUBLISHED {
        let path = workspace().join(format!("tests/contract/0.1.0/{name}.wasm"));
        let component = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        write(folder, &format!("0.1.0-{name}"), &component)?;
        write(
            folder,
            &format!("0.1.1-{name}"),
            &refused::later(&component)?,
        )?;
    }
    Ok(())
}

fn write(folder: &Path, name: &str, component: &[u8]) -> Result<()> {
    let path = folder.join(format!("{name}.wasm"));
    fs::write(&path, component).with_context(|| format!("writing {}", path.display()))
}

/// Compares the checked-in default policy with one built from its source. Prints why nothing
/// can be said, where this machine's compiler is another one.
///
/// # Errors
/// Where they differ.
pub fn compare_default(built: &Path) -> Result<()> {
    let there = fs::read(checked_in()).context("reading the default policy that is checked in")?;
    let here = fs::read(built).with_context(|| format!("reading {}", built.display()))?;
    if there == here {
        return Ok(());
    }
    let (there, here) = (component::compiler(&there)?, component::compiler(&here)?);
    if there == here {
        bail!(
            "host/policy/src/default.wasm is not what policies/default makes; if the source is right, run `cargo xtask default` and commit the file"
        );
    }
    let name = |compiler: Option<String>| compiler.unwrap_or_else(|| "an unknown compiler".into());
    println!(
        "it was built by {}, and this is {}",
        name(there),
        name(here)
    );
    Ok(())
}

/// Builds the policy whose crate is in a folder of this workspace into another folder, named
/// like its own, and prints its name.
///
/// # Errors
/// Where it cannot be built.
pub fn build_one(crate_folder: &Path, folder: &Path) -> Result<()> {
    let (_, component) = rust::build_folder(crate_folder)?;
    let name = crate_folder
        .canonicalize()
        .with_context(|| format!("finding {}", crate_folder.display()))?
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    write(folder, &name, &component)?;
    println!("{name}");
    Ok(())
}

/// Rebuilds the default policy that is checked in.
///
/// # Errors
/// Where it cannot be built or written.
pub fn rebuild_default() -> Result<()> {
    let component = rust::build(workspace(), SHIPPED[0].0)?;
    fs::write(checked_in(), &component).context("writing host/policy/src/default.wasm")?;
    println!("host/policy/src/default.wasm: {} bytes", component.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_export_what_they_registered_and_import_nothing_but_types_and_log() {
        let types = "switch-root:policy/types@0.1.0";
        let log = "switch-root:policy/log@0.1.0";
        for (package, expected_imports, expected_exports) in [
            (
                "default",
                vec![types],
                vec!["compatibility", "preservation"],
            ),
            (
                "keep-paths",
                vec![log, types],
                vec!["preservation", "settings"],
            ),
            (
                "extension-allowlist",
                // For what a panic says.
                vec![log, types],
                vec!["compatibility", "settings"],
            ),
            (
                "hostile",
                vec![log, types],
                vec!["compatibility", "preservation", "settings"],
            ),
        ] {
            let package = format!("switch-root-policy-{package}");
            let built = rust::build(workspace(), &package).unwrap();
            let mut interfaces = component::interfaces(&built).unwrap();
            interfaces.imports.sort();
            interfaces.exports.sort();
            let expected_exports: Vec<_> = expected_exports
                .iter()
                .map(|name| format!("switch-root:policy/{name}@0.1.0"))
                .collect();
            assert_eq!(interfaces.imports, expected_imports, "{package}");
            assert_eq!(interfaces.exports, expected_exports, "{package}");
            let compiler = component::compiler(&built).unwrap().unwrap();
            assert!(compiler.starts_with("rustc 1."), "{package}: {compiler}");
        }
    }

    #[test]
    fn the_book_shows_the_example_policy_as_it_is() {
        let page = include_str!("../../../host/book/how-to/write-policies.md");
        let example = include_str!("../../../policies/example/src/lib.rs");
        assert!(page.contains(&format!("```rust\n{example}```\n")));
    }
}
