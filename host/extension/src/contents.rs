//! What is in an extension's root directory: kernel modules, programs, links.

mod attributes;
mod elf;
mod open;
pub mod release;

pub(crate) mod walk;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use switch_root_core::file_kind::FileKind;
use switch_root_policy::extra_info::{
    ARCHITECTURE, EXTENSION_RELEASE, ExtraInfo, KERNEL_RELEASE, SWITCH_ROOT,
};

#[cfg(test)]
pub(crate) use elf::tests::file as elf_file;
pub use release::Release;
pub use walk::scan;

/// What the fuzzer drives.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    /// The release in the `vermagic` of a kernel module of 64 bits, or of 32.
    pub fn vermagic(file: std::fs::File, wide: bool) -> Option<String> {
        super::elf::vermagic(file, wide)
    }
}

/// Something below the root directory of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the new root without the `/` at the beginning; the root itself
    /// is empty.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: FileKind,
    /// The permission bits, set-user-id, set-group-id and sticky bit included.
    pub mode: u32,
    /// Who owns it.
    pub uid: u32,
    /// `st_size`, in bytes.
    pub size: u64,
    /// What a symbolic link leads to; empty for everything else.
    pub target: Vec<u8>,
}

/// A kernel module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its path, as of [`Entry::path`].
    pub path: Vec<u8>,
    /// The release that its directory is named after; bytes that are not UTF-8
    /// are replaced.
    pub release: String,
    /// The release that it says itself it was built for; unknown where it is
    /// compressed or cannot be read.
    pub vermagic: Option<String>,
}

/// What is in an extension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Everything, what is in a directory right behind it. The first one is the
    /// root.
    pub entries: Vec<Entry>,
    /// The kernel modules among them.
    pub modules: Vec<Module>,
    /// The architectures that programs, libraries and modules are for, as
    /// `uname -m` spells them, and the path of the first file of each. Firmware
    /// is for other processors, and does not count.
    pub architectures: BTreeMap<&'static str, Vec<u8>>,
    /// The extension-release files, by their paths: one more than [`release::MOST`] at most.
    pub releases: Vec<Release>,
    /// What has extended attributes, by path, and their names with commas between them:
    /// layers have none.
    pub attributes: BTreeMap<Vec<u8>, String>,
}

impl Contents {
    /// The releases of kernels that there are modules for.
    pub fn kernel_releases(&self) -> BTreeSet<&str> {
        let modules = self.modules.iter();
        modules.map(|module| module.release.as_str()).collect()
    }

    /// The extension-release file of the extension of a name: the one that is named after it,
    /// as systemd wants it, or the only one.
    pub fn release(&self, name: &str) -> Option<&Release> {
        let named = self.releases.iter().find(|release| release.name == name);
        match self.releases.as_slice() {
            [only] => Some(only),
            _ => named,
        }
    }

    /// The machines, as `uname -m` spells them, that all its programs run on;
    /// none where there are no programs, or no machine runs all of them.
    pub fn machines(&self) -> Vec<&'static str> {
        let mut architectures = self.architectures.keys().map(|name| machines_for(name));
        let mut machines = architectures.next().unwrap_or_default().to_vec();
        for others in architectures {
            machines.retain(|machine| others.contains(machine));
        }
        machines
    }
}

/// The machines that run programs for an architecture.
pub fn machines_for(architecture: &'static str) -> &'static [&'static str] {
    match architecture {
        "i686" => &["i686", "x86_64"],
        "x86_64" => &["x86_64"],
        "aarch64" => &["aarch64"],
        "arm" => &["armv6l", "armv7l", "armv8l", "aarch64"],
        "ppc64" => &["ppc64"],
        "ppc64le" => &["ppc64le"],
        "s390x" => &["s390x"],
        "riscv32" => &["riscv32"],
        "riscv64" => &["riscv64"],
        "loongarch64" => &["loongarch64"],
        _ => &[],
    }
}

/// The metadata of an extension with `switchRoot.kernelRelease`, `switchRoot.architecture` and
/// `switchRoot.extensionRelease` filled in from what is in it, where its author gave them
/// neither there nor under `extraInfo`: this is what policies judge. `extraInfo`
/// stays as it is, since Talos' own reader takes nothing but a text there.
pub fn recorded_metadata(metadata: &Value, contents: &Contents) -> Value {
    let mut recorded = metadata.clone();
    let Ok(info) = ExtraInfo::of(metadata) else {
        return recorded;
    };
    let missing = |key| info.texts(key).is_ok_and(|texts| texts.is_empty());
    let mut found: Vec<(&str, Value)> = Vec::new();
    let mut add = |key, values: Vec<&str>| match values.as_slice() {
        [] => {}
        [value] => found.push((key, Value::from(*value))),
        values => found.push((key, Value::from(values))),
    };
    if missing(KERNEL_RELEASE) {
        add(
            KERNEL_RELEASE,
            contents.kernel_releases().into_iter().collect(),
        );
    }
    if missing(ARCHITECTURE) {
        add(ARCHITECTURE, contents.machines());
    }
    let name = metadata["name"].as_str().unwrap_or_default();
    if info.fields(EXTENSION_RELEASE) == Ok(None)
        && let Some(release) = contents.release(name)
        && let Some(fields) = &release.fields
    {
        let fields = fields.iter();
        let fields = fields.map(|(name, value)| (name.clone(), value.as_str().into()));
        found.push((EXTENSION_RELEASE, Value::Object(fields.collect())));
    }
    if found.is_empty() {
        return recorded;
    }
    if !recorded.is_object() {
        recorded = Value::Object(Default::default());
    }
    for (key, value) in found {
        recorded[SWITCH_ROOT][key] = value;
    }
    recorded
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn contents(releases: &[&str], architectures: &[&'static str]) -> Contents {
        let module = |release: &&str| Module {
            path: Vec::new(),
            release: (*release).into(),
            vermagic: None,
        };
        Contents {
            modules: releases.iter().map(module).collect(),
            architectures: architectures
                .iter()
                .map(|name| (*name, Vec::new()))
                .collect(),
            ..Contents::default()
        }
    }

    #[test]
    fn what_the_author_did_not_say_is_recorded() {
        let found = contents(&["6.1", "6.1"], &["x86_64", "i686"]);
        assert_eq!(
            recorded_metadata(&json!({"name": "a"}), &found),
            json!({"name": "a", "switchRoot": {"kernelRelease": "6.1", "architecture": "x86_64"}})
        );
        let said = json!({"extraInfo": {"kernelRelease": "6.2", "architecture": null, "x": [1]}});
        assert_eq!(
            recorded_metadata(&said, &found),
            json!({
                "extraInfo": {"kernelRelease": "6.2", "architecture": null, "x": [1]},
                "switchRoot": {"architecture": "x86_64"},
            })
        );
        assert_eq!(
            recorded_metadata(&json!({}), &contents(&["2", "1"], &[])),
            json!({"switchRoot": {"kernelRelease": ["1", "2"]}})
        );
    }

    #[test]
    fn the_fields_of_extension_release_are_recorded_unless_the_author_gave_them() {
        let release = |name: &str, id: &str| Release {
            path: Vec::new(),
            name: name.into(),
            fields: Some([("ID".into(), id.into())].into()),
        };
        let mut found = Contents {
            releases: vec![release("other", "x")],
            ..Contents::default()
        };
        let metadata = json!({"name": "a"});
        assert_eq!(
            recorded_metadata(&metadata, &found),
            json!({"name": "a", "switchRoot": {"extensionRelease": {"ID": "x"}}})
        );
        // Of several the one of the extension's name; without one of it none.
        found.releases.push(release("b", "y"));
        assert_eq!(recorded_metadata(&metadata, &found), metadata);
        found.releases.push(release("a", "z"));
        assert_eq!(
            recorded_metadata(&metadata, &found)["switchRoot"],
            json!({"extensionRelease": {"ID": "z"}})
        );
        for place in ["switchRoot", "extraInfo"] {
            let said = json!({"name": "a", place: {"extensionRelease": {}}});
            assert_eq!(recorded_metadata(&said, &found), said);
        }
        found.releases[2].fields = None;
        assert_eq!(recorded_metadata(&metadata, &found), metadata);
    }

    #[test]
    fn what_talos_reads_stays_as_it_is() {
        let said = json!({"extraInfo": "by hand"});
        assert_eq!(
            recorded_metadata(&said, &contents(&["6.1"], &[])),
            json!({"extraInfo": "by hand", "switchRoot": {"kernelRelease": "6.1"}})
        );
        assert_eq!(recorded_metadata(&said, &contents(&[], &[])), said);
        let wrong = json!({"extraInfo": [1]});
        assert_eq!(recorded_metadata(&wrong, &contents(&["6.1"], &[])), wrong);
    }

    #[test]
    fn metadata_that_is_none_becomes_some() {
        assert_eq!(
            recorded_metadata(&Value::Null, &contents(&["1"], &[])),
            json!({"switchRoot": {"kernelRelease": "1"}})
        );
    }

    #[test]
    fn programs_of_two_architectures_run_nowhere_unless_a_machine_runs_both() {
        assert_eq!(contents(&[], &["i686"]).machines(), ["i686", "x86_64"]);
        assert_eq!(contents(&[], &["arm", "aarch64"]).machines(), ["aarch64"]);
        assert_eq!(contents(&[], &["x86_64", "aarch64"]).machines(), [""; 0]);
        assert_eq!(contents(&[], &[]).machines(), [""; 0]);
    }
}
