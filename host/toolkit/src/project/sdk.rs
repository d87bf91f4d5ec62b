//! The SDK for Rust, as this program carries it: a project builds with the one of this release,
//! and without the sources of switch-root.

use crate::CONTRACT;

macro_rules! sources {
    ($($path:literal),* $(,)?) => {
        /// The files below `src/`, without those that only its tests need.
        const SOURCES: &[(&str, &str)] = &[
            $((concat!("src/", $path), include_str!(concat!("../../sdk/", $path)))),*
        ];
    };
}

sources!(
    "bindings.rs",
    "configuration.rs",
    "constraint.rs",
    "constraint/tests.rs",
    "extra_info.rs",
    "globs.rs",
    "globs/component.rs",
    "globs/parse.rs",
    "globs/tests.rs",
    "lib.rs",
    "log.rs",
    "panics.rs",
    "path.rs",
    "policy.rs",
    "selection.rs",
    "sentence.rs",
    "types.rs",
);

/// Its manifest: that of the workspace, with what it inherits.
const MANIFEST: &str = include_str!("../../templates/sdk/manifest.toml");

/// All files of the crate, with their paths in it.
pub fn files() -> impl Iterator<Item = (&'static str, String)> {
    let manifest = MANIFEST.replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    let others = [
        ("Cargo.toml", manifest),
        ("wit/policy.wit", CONTRACT.to_owned()),
    ];
    let sources = SOURCES
        .iter()
        .map(|(path, content)| (*path, (*content).to_owned()));
    sources.chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn list(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
            match entry.file_type().unwrap().is_dir() {
                true => list(&entry.path(), &name, found),
                false => _ = found.insert(name),
            }
        }
    }

    #[test]
    fn every_source_of_the_sdk_is_carried() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/sdk/src");
        let mut there = BTreeSet::new();
        list(&sdk, "src", &mut there);
        let carried = SOURCES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(there, carried);
    }

    #[test]
    fn the_manifest_has_what_the_sdk_inherits_from_the_workspace() {
        let workspace = include_str!("../../../../Cargo.toml");
        let inherited = |name: &str| {
            let start = format!("{name} = ");
            let line = workspace.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap().trim_matches(['"', '{', '}', ' ']).to_owned()
        };
        let sdk = include_str!("../../../../policies/sdk/Cargo.toml");
        let (_, dependencies) = sdk.split_once("[dependencies]\n").unwrap();
        let (dependencies, _) = dependencies.split_once("\n\n").unwrap();
        assert_eq!(dependencies.lines().count(), 3, "{dependencies}");
        for line in dependencies.lines() {
            let name = line.split(['.', ' ']).next().unwrap();
            let written = MANIFEST
                .lines()
                .find(|line| line.starts_with(&format!("{name} = ")))
                .unwrap_or_else(|| panic!("{name} is missing"));
            assert!(
                written.contains(&inherited(name)),
                "{written} is not what the workspace has: {}",
                inherited(name)
            );
        }
    }
}
