//! `cargo xtask publish`: the crates that are published, and whether they can be.

use anyhow::{Result, ensure};

use crate::run::{Package, cargo, packages, run, step};

/// Does all that publishing takes but the last step: the crates are packed, and each is built
/// from what was packed, in an order in which nobody waits for another.
///
/// # Errors
/// It is asked to do the last step; or what cargo says.
pub fn publish(dry_run: bool) -> Result<()> {
    ensure!(
        dry_run,
        "who publishes does so for good: run `cargo xtask publish --dry-run` first, and then `cargo publish --workspace`"
    );
    step("packing each crate and building it from what was packed");
    let mut publish = cargo();
    publish.args(["publish", "--dry-run", "--locked", "--allow-dirty"]);
    for package in published()? {
        publish.arg("--package").arg(&package.name);
    }
    run(&mut publish)
}

/// The crates of the workspace that may be published.
fn published() -> Result<Vec<Package>> {
    let mut packages = packages(false)?;
    // An empty list of registries is how cargo shows `publish = false`.
    packages.retain(|package| !package.publish.as_ref().is_some_and(Vec::is_empty));
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prose::strings::strings_below;
    use crate::run::{files_below, output};
    use std::collections::BTreeSet;
    use std::path::PathBuf;
    use std::process::Command;

    /// The crates that are published, and their folders.
    fn crates() -> Vec<(String, PathBuf)> {
        let of = |package: &Package| (package.name.clone(), package.folder().to_owned());
        published().unwrap().iter().map(of).collect()
    }

    /// The files that cargo packs of a crate, but those that it makes itself.
    fn packed(name: &str) -> BTreeSet<String> {
        let made = [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml.orig"];
        let list = output(cargo().args([
            "package",
            "--list",
            "--allow-dirty",
            "--locked",
            "--package",
            name,
        ]))
        .unwrap();
        list.lines()
            .filter(|file| !made.contains(file))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_published_crate_says_what_it_is_and_the_others_say_that_they_are_none() {
        let packages = published().unwrap();
        let names: BTreeSet<&str> = packages.iter().map(|it| &*it.name).collect();
        assert_eq!(
            names,
            BTreeSet::from([
                "switch-root",
                "switch-root-core",
                "switch-root-extension",
                "switch-root-initramfs",
                "switch-root-oci",
                "switch-root-policy",
                "switch-root-policy-host",
                "switch-root-preview",
                "switch-root-srctl",
                "switch-root-toolkit",
            ])
        );
        for package in &packages {
            let (name, package) = (&package.name, &package.manifest);
            for key in ["description", "license", "readme", "rust_version"] {
                assert!(package[key].is_string(), "{name} has no {key}");
            }
            for key in ["keywords", "categories"] {
                let list = package[key].as_array().unwrap();
                assert!((1..=5).contains(&list.len()), "{name}: {key}");
            }
            for dependency in package["dependencies"].as_array().unwrap() {
                assert_ne!(dependency["req"], "*", "{name}: {}", dependency["name"]);
            }
        }
    }

    /// Left out would be the folder of another crate, whatever it is there for.
    #[test]
    fn a_published_crate_has_every_file_of_its_folder() {
        for (name, folder) in crates() {
            let relative = |path: PathBuf| {
                let path = path.strip_prefix(&folder).unwrap();
                path.to_str().unwrap().to_owned()
            };
            let files = files_below(&folder).unwrap();
            let mut files: BTreeSet<String> = files.into_iter().map(relative).collect();
            // It is that of the workspace.
            let mut packed = packed(&name);
            assert!(
                packed.remove("README.md") || files.contains("README.md"),
                "{name}"
            );
            files.remove("README.md");
            // What git does not know, cargo does not pack.
            let ignored = Command::new("git")
                .args(["ls-files", "--others", "--ignored", "--exclude-standard"])
                .current_dir(&folder)
                .output()
                .unwrap();
            for file in String::from_utf8(ignored.stdout).unwrap().lines() {
                files.remove(file);
            }
            assert_eq!(packed, files, "{}", name);
        }
    }

    /// In the crate's package there is nothing outside of its folder. What tests read may be
    /// elsewhere: they are run in the repository.
    #[test]
    fn a_published_crate_names_no_file_outside_of_its_folder() {
        let mut checked = 0;
        for (name, folder) in crates() {
            for (file, strings) in strings_below(&folder, &["src"]) {
                for named in strings.iter().filter(|named| named.starts_with("../")) {
                    checked += 1;
                    assert!(
                        named.matches("../").count() <= file.matches('/').count(),
                        "{} {file} names {named}, which is not in its package",
                        name
                    );
                }
            }
        }
        assert!(checked > 0, "no file names another one");
    }
}
