//! Files that operators and authors of extensions write.

use extension::edit::{add_extension, remove_extension};
use extension::{configuration, manifest};
use policy::sidecar::Sidecar;
use serde_json::Value;
use switch_root_core::extensions::{self, Entry};
use switch_root_core::yaml::{self, Aliases};
use switch_root_policy::extra_info::{CONFLICTS, EXTENSION_RELEASE, ExtraInfo, REQUIRES};

use crate::{Target, assert_shown};

/// Text in YAML.
pub const YAML: Target = Target::new("yaml", yaml);
/// `extensions.yaml`, which names the extensions that are to be activated.
pub const EXTENSIONS_YAML: Target = Target::new("extensions_yaml", extensions_yaml);
/// `manifest.yaml` of an extension.
pub const MANIFEST: Target = Target::new("manifest", manifest);
/// The configuration of a machine, and changes of it.
// The grammar of references is compiled when the first one is read.
pub const CONFIGURATION: Target = Target::new("configuration", configuration).with_memory(48);
/// A policy's settings and limits.
pub const SIDECAR: Target = Target::new("sidecar", sidecar);

fn yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let left = yaml::documents(text, Aliases::Leave);
    let Ok(documents) = yaml::documents(text, Aliases::Refuse) else {
        return;
    };
    assert_eq!(left.ok().as_ref(), Some(&documents));
    for document in documents {
        let value = document.to_json();
        let written = yaml::emit(&value);
        let again = yaml::document(&written).expect("what is written is read");
        let again = again.map_or(Value::Null, |node| node.to_json());
        assert_eq!(again, value, "{written}");
    }
}

fn extensions_yaml(data: &[u8]) {
    let Ok(list) = extensions::list(data) else {
        return;
    };
    for extension in &list.extensions {
        assert!(!extension.image.is_empty());
        let metadata: Value = serde_json::from_str(&extension.metadata).expect("JSON");
        assert!(metadata.is_object());
        if let Ok(info) = ExtraInfo::parse(&extension.metadata) {
            let _ = info.fields(EXTENSION_RELEASE);
            let _ = info.architectures();
            for key in [REQUIRES, CONFLICTS] {
                let relations = info.relations(key).unwrap_or_default();
                relations.iter().for_each(|relation| {
                    let _ = relation.admits("1.2.3");
                });
            }
        }
    }
    let layers = list.extensions.iter().zip(&list.unknown.layers);
    let entries: Vec<_> = layers
        .map(|(extension, unknown)| Entry { extension, unknown })
        .collect();
    let written = extensions::render_outcome(&entries, &[], &list.unknown.file);
    assert_eq!(
        extensions::list(written.as_bytes()).as_ref(),
        Ok(&list),
        "{written}"
    );
    let skipped: Vec<_> = entries
        .into_iter()
        .map(|entry| (entry, vec!["a reason".to_owned()]))
        .collect();
    let written = extensions::render_outcome(&[], &skipped, "");
    assert_eq!(
        extensions::parse(written.as_bytes()),
        Ok(Vec::new()),
        "{written}"
    );
}

fn manifest(data: &[u8]) {
    match manifest::parse(data) {
        Ok(manifest) => {
            assert!(!manifest.name.is_empty());
            assert!(!manifest.version.is_empty());
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            problems
                .iter()
                .for_each(|problem| assert_shown(&problem.message.text));
        }
    }
}

fn images(text: &str) -> Vec<String> {
    let read = configuration::parse(text.as_bytes(), "machine.yaml").expect("it can be read");
    let extensions = read.extensions.into_iter();
    extensions.map(|extension| extension.image.text).collect()
}

fn configuration(data: &[u8]) {
    const NEW: &str = "example.org/new/extension:1.0";
    let read = match configuration::parse(data, "machine.yaml") {
        Ok(read) => read,
        Err(error) => return error.to_string().lines().for_each(assert_shown),
    };
    let text = std::str::from_utf8(data).expect("it was read");
    let before = images(text);
    let same_registries = |text: &str| {
        let now = configuration::parse(text.as_bytes(), "machine.yaml").expect("it can be read");
        assert_eq!(now.registries, read.registries, "{text}");
    };
    if let Ok(added) = add_extension(text, "machine.yaml", &NEW.parse().expect("a reference")) {
        let now = images(&added);
        assert_eq!(
            now.split_last(),
            Some((&NEW.to_owned(), &before[..])),
            "{added}"
        );
        same_registries(&added);
        if let Ok(removed) = remove_extension(&added, "machine.yaml", NEW) {
            assert_eq!(images(&removed), before, "{removed}");
            same_registries(&removed);
        }
    }
    if let Some(first) = before.first()
        && let Ok(removed) = remove_extension(text, "machine.yaml", first)
    {
        assert_eq!(images(&removed), before[1..], "{removed}");
        same_registries(&removed);
    }
}

fn sidecar(data: &[u8]) {
    match Sidecar::parse(data) {
        Ok(sidecar) => {
            let json = sidecar.settings_json();
            let again: Value = serde_json::from_str(&json).expect("JSON");
            let settings = sidecar.settings.unwrap_or_else(|| serde_json::json!({}));
            // The last digit of a fraction may change on the way.
            assert!(has_fraction(&settings) || again == settings, "{json}");
        }
        Err(reason) => assert!(reason.to_string().contains("is not a sidecar file")),
    }
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(fields) => fields.values().any(has_fraction),
        _ => false,
    }
}
