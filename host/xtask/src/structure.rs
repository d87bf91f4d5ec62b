//! Which way crates, and the files of each, depend on each other: downwards, and never in
//! a circle.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::run::{Package, packages, workspace};
use imports::imports_of;

/// The rooms of host/, from the top: each depends on rooms below it alone.
const ROOMS: [&str; 9] = [
    "srctl",
    "preview",
    "toolkit",
    "extension",
    "oci",
    "initramfs",
    "switch",
    "policy",
    "core",
];

/// Crates outside host/ that rooms may depend on: what policies are written with.
const SDK: &str = "switch-root-policy";

/// The folder of a crate, from the top of the workspace.
fn folder(package: &Package) -> String {
    let top = workspace().canonicalize().unwrap();
    let folder = package.folder().strip_prefix(top).unwrap();
    folder.to_str().unwrap().to_owned()
}

#[test]
fn rooms_depend_on_rooms_below_them_alone() {
    let packages = packages(false).unwrap();
    let folders: BTreeMap<&str, String> = packages
        .iter()
        .map(|package| (package.name.as_str(), folder(package)))
        .collect();
    let rank = |folder: &str| {
        let room = folder.strip_prefix("host/")?;
        ROOMS.iter().position(|name| *name == room)
    };
    let mut seen = 0;
    let mut wrong = Vec::new();
    for package in &packages {
        let folder = folder(package);
        let Some(here) = rank(&folder) else {
            continue;
        };
        seen += 1;
        for dependency in package.manifest["dependencies"].as_array().unwrap() {
            let needed = dependency["name"].as_str().unwrap();
            let is_for_tests = dependency["kind"] == "dev";
            let Some(there) = folders.get(needed).filter(|_| !is_for_tests) else {
                continue;
            };
            let is_below = rank(there).is_some_and(|there| there > here);
            if !is_below && needed != SDK {
                wrong.push(format!("{folder} depends on {there}"));
            }
        }
    }
    assert_eq!(seen, ROOMS.len(), "a room is missing");
    assert!(wrong.is_empty(), "against the direction: {wrong:?}");
}

#[test]
fn files_of_a_crate_import_in_one_direction() {
    let mut wrong = Vec::new();
    for package in packages(false).unwrap() {
        let folder = folder(&package);
        if folder.starts_with("tests") {
            continue;
        }
        for target in package.manifest["targets"].as_array().unwrap() {
            let kinds = target["kind"].as_array().unwrap();
            let is_program = ["lib", "bin", "cdylib", "rlib"]
                .iter()
                .any(|kind| kinds.iter().any(|it| it == kind));
            if is_program {
                let root = Path::new(target["src_path"].as_str().unwrap());
                wrong.extend(circles(&imports_of(root)));
            }
        }
    }
    let top = format!("{}/", workspace().canonicalize().unwrap().display());
    let wrong: Vec<String> = wrong
        .into_iter()
        .map(|lines| lines.join("\n  ").replace(&top, ""))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} circles:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

/// The circles among files: for each one its imports, as lines.
fn circles(imports: &BTreeMap<String, BTreeMap<String, String>>) -> Vec<Vec<String>> {
    let reach = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(file) = next.pop() {
            for to in imports.get(file).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(to.as_str()) {
                    next.push(to);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> = imports
        .keys()
        .map(|file| (file.as_str(), reach(file)))
        .collect();
    let mut done = BTreeSet::new();
    let mut found = Vec::new();
    for (file, all) in &reached {
        if !all.contains(file) || done.contains(file) {
            continue;
        }
        let members: Vec<&str> = all
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|it| it.contains(file)))
            .copied()
            .collect();
        done.extend(members.iter().copied());
        let mut lines = vec![format!("{} files", members.len())];
        for member in &members {
            for (to, what) in &imports[*member] {
                if members.contains(&to.as_str()) {
                    lines.push(format!("{member} -> {to}: {what}"));
                }
            }
        }
        found.push(lines);
    }
    found
}

#[test]
fn circles_are_found() {
    let of = |pairs: &[(&str, &str)]| {
        let mut imports: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (from, to) in pairs {
            imports
                .entry((*from).into())
                .or_default()
                .insert((*to).into(), "it".into());
        }
        circles(&imports)
    };
    assert!(of(&[("a", "b"), ("b", "c"), ("a", "c")]).is_empty());
    let circle = of(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]);
    assert_eq!(circle, [["2 files", "b -> c: it", "c -> b: it"]]);
}
