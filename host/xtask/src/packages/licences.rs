//! What a static program has in it that others wrote, and the texts of their licences, which
//! have to go along with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use spdx::{Expression, ParseMode};

use super::files;
use super::release::Release;
use crate::run::{Package, cargo, output, packages, workspace};
use crate::setup::{self, WASM};

/// The packages with programs in them.
pub const PACKAGES: [&str; 3] = ["srctl", "switch-root", "switch-root-policies"];

/// Where it is listed under which licences a program may be given on together with ours. Each
/// crate has to be under one of them, or to leave the choice.
const ACCEPTED: &str = "deny.toml";

/// How the files begin whose text is a licence, or has to go along with one.
const TEXTS: [&str; 5] = ["copying", "copyright", "licence", "license", "notice"];

/// A crate that a program is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    licence: String,
}

/// Writes `third-party.txt` for a package into its folder of documents: crates with their
/// licences, and the text of each.
///
/// # Errors
/// A crate's licence is not [`ACCEPTED`]; or cargo fails.
pub fn write(release: &Release, package: &str, folder: &Path) -> Result<()> {
    let crates = crates(release, package)?;
    let folders = sources()?;
    let accepted = accepted()?;
    let mut text = format!(
        "What is in the programs of {package} and was written by others\n\n\
         Rust's standard library: MIT OR Apache-2.0; what is in it by itself is in\n\
         third-party-rust.html where the compiler came with that list.\n"
    );
    if package != "switch-root-policies" {
        text.push_str("musl, the C library: MIT; its text is among those below.\n");
    }
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    text.push_str("\ncrate, version, licence:\n\n");
    for part in &crates {
        ensure!(
            is_accepted(&part.licence, &accepted),
            "{} {} is under `{}`, which {ACCEPTED} does not allow",
            part.name,
            part.version,
            part.licence
        );
        let named = format!("{} {}", part.name, part.version);
        text.push_str(&format!("{named}: {}\n", part.licence));
        let source = folders
            .get(&named)
            .with_context(|| format!("cargo metadata does not name {named}"))?;
        let its = texts_of(source)?;
        // Of what the Apache License covers others have the text.
        ensure!(
            !its.is_empty() || part.licence.contains("Apache-2.0"),
            "{named} is under `{}`, and comes without the text of that",
            part.licence
        );
        for licence in its {
            texts.entry(licence).or_default().insert(named.clone());
        }
    }
    if package != "switch-root-policies" {
        let musl = workspace().join("host/distribution/licences/musl.txt");
        let musl =
            fs::read_to_string(&musl).with_context(|| format!("reading {}", musl.display()))?;
        texts.entry(musl).or_default().insert("musl".into());
    }
    // Those of most crates first; where as many have it, in the order of the crates.
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by_key(|(_, crates)| (usize::MAX - crates.len(), crates.clone()));
    for (licence, crates) in texts {
        let crates: Vec<_> = crates.into_iter().collect();
        let line = "-".repeat(78);
        text.push_str(&format!("\n{line}\n{}:\n\n{licence}", crates.join(", ")));
    }
    files::write(&folder.join("third-party.txt"), text.as_bytes(), false)?;
    rust_library(folder)
}

/// Rust's own list of what its standard library is made of, where the compiler came with it.
fn rust_library(folder: &Path) -> Result<()> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let list = Path::new(sysroot.trim()).join("share/doc/rust/COPYRIGHT-library.html");
    match list.exists() {
        true => files::copy(&list, &folder.join("third-party-rust.html"), false),
        false => Ok(()),
    }
}

/// The crates of others that the programs of a package are linked with.
fn crates(release: &Release, package: &str) -> Result<BTreeSet<Crate>> {
    let target = match package {
        "switch-root-policies" => WASM,
        _ => setup::static_target(release.architecture),
    };
    let mut tree = cargo();
    tree.args(["tree", "--locked", "--edges", "normal,no-proc-macro"])
        .args([
            "--prefix", "none", "--format", "{p}|{l}", "--target", target,
        ]);
    match package {
        "srctl" => _ = tree.args(["--package", "switch-root-srctl"]),
        "switch-root" => _ = tree.args(["--package", "switch-root"]),
        _ => {
            for (crate_name, _) in switch_root_tests::policies::SHIPPED {
                tree.args(["--package", crate_name]);
            }
        }
    }
    let mut crates = BTreeSet::new();
    for line in output(&mut tree)?.lines().filter(|line| !line.is_empty()) {
        let (named, licence) = line
            .split_once('|')
            .context("cargo tree prints no licence")?;
        let mut words = named.split(' ');
        let name = words.next().unwrap_or_default();
        let version = words.next().unwrap_or_default().trim_start_matches('v');
        // Ours have a path behind the version.
        if words.next().is_none() {
            crates.insert(Crate {
                name: name.to_owned(),
                version: version.to_owned(),
                licence: licence.trim_end_matches(" (*)").to_owned(),
            });
        }
    }
    ensure!(!crates.is_empty(), "cargo tree names no crate in {package}");
    Ok(crates)
}

/// The folders that the sources of crates are in, by name and version.
fn sources() -> Result<BTreeMap<String, PathBuf>> {
    let packages = packages(true)?;
    let named = |package: &Package| format!("{} {}", package.name, package.version);
    let with_folder = |package: &Package| (named(package), package.folder().to_owned());
    Ok(packages.iter().map(with_folder).collect())
}

/// The texts in a crate's folder that have to go along with it; of what is written in C, too,
/// which has its own below.
fn texts_of(folder: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for file in crate::run::files_below(folder)? {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let is_source = [".rs", ".c", ".h", ".py", ".json", ".sh"]
            .iter()
            .any(|end| name.ends_with(end));
        if is_source || !TEXTS.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        let text = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let text = String::from_utf8_lossy(&text);
        // Always one of a choice that is not taken: see `accepted`.
        let first = text.trim_start().lines().next().unwrap_or_default();
        if first.starts_with("GNU ") && first.contains("GENERAL PUBLIC LICENSE") {
            continue;
        }
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        texts.push(format!("{}\n", lines.join("\n").trim_matches('\n')));
    }
    Ok(texts)
}

/// The licences of [`ACCEPTED`].
fn accepted() -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Deny {
        licenses: Licenses,
    }
    #[derive(Deserialize)]
    struct Licenses {
        allow: BTreeSet<String>,
    }
    let path = workspace().join(ACCEPTED);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let deny: Deny = toml::from_str(&text).with_context(|| format!("reading {ACCEPTED}"))?;
    Ok(deny.licenses.allow)
}

/// Whether an SPDX expression leaves a choice that is accepted. `/` is how crates wrote `OR`
/// before there were expressions.
fn is_accepted(expression: &str, accepted: &BTreeSet<String>) -> bool {
    Expression::parse_mode(expression, ParseMode::LAX)
        .is_ok_and(|parsed| parsed.evaluate(|licence| accepted.contains(&licence.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_accepted_if_one_of_it_is_and_of_all_each_has_to_be() {
        let accepted = accepted().unwrap();
        for good in [
            "MIT",
            "MIT OR Apache-2.0",
            "Apache-2.0/MIT",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
            "GPL-3.0-only OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "(GPL-2.0-only OR MIT) AND BSD-3-Clause",
            "GPL-3.0-only OR MIT AND Zlib",
        ] {
            assert!(is_accepted(good, &accepted), "{good}");
        }
        for refused in [
            "",
            "GPL-3.0-only",
            "MIT AND GPL-2.0-only",
            "MIT AND",
            "a licence of its own",
            "(MIT OR Apache-2.0) AND LGPL-2.1-only",
            "Apache-2.0 WITH another-exception",
        ] {
            assert!(!is_accepted(refused, &accepted), "{refused}");
        }
    }
}
