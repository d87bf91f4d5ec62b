//! Keys that nobody reads. Most of them are misspelt, and what they should do is not
//! done.

use switch_root_core::yaml::{Kind, Node, Position};
use switch_root_core::{escape, extensions};

switch_root_core::outcomes! {
    /// A key that nobody reads.
    pub enum Unknown in "extension-manifests" {
        /// Most such keys are misspelt, and what they should do is not done.
        "SR-M70" Misspelt { key: String, meant: String } = "`{key}` is not a key that is read; did you mean `{meant}`?",
        "SR-M71" Other { key: String, known: String } = "`{key}` is not a key that is read; the keys that are known are {known}",
    }
}

/// How alike two keys are, from 0 to 1, for one to be a misspelling of the other
/// (Jaro-Winkler).
const ALIKE: f64 = 0.8;

/// How many keys of a list of extensions are named.
const NAMED: usize = 20;

/// How much of a sentence is shown, in bytes.
const QUOTED: usize = 300;

/// The keys of a mapping that are not among those that are known, each with its place
/// and a sentence about it; `path` leads to the mapping.
pub fn unknown(node: &Node, path: &str, known: &[&str]) -> Vec<(Position, Unknown)> {
    let Kind::Mapping(entries) = &node.kind else {
        return Vec::new();
    };
    let unknown = entries
        .iter()
        .filter(|(key, _)| !known.contains(&key.text.as_str()));
    unknown
        .map(|(key, _)| (key.start, sentence(&format!("{path}."), &key.text, known)))
        .collect()
}

/// The keys of a list of extensions that mean nothing there, as sentences; `file` is
/// where the list is.
pub fn unknown_of_list(unknown: &extensions::Unknown, file: &str) -> Vec<String> {
    let keys = |json: &str| -> Vec<String> {
        let keys: serde_json::Map<_, _> = serde_json::from_str(json).unwrap_or_default();
        keys.into_iter().map(|(key, _)| key).collect()
    };
    let of_file = keys(&unknown.file)
        .into_iter()
        .map(|key| sentence("", &key, &extensions::OF_THE_FILE));
    let of_layers = unknown.layers.iter().enumerate().flat_map(|(index, json)| {
        let told = move |key: String| {
            sentence(&format!("layers[{index}]."), &key, &extensions::OF_A_LAYER)
        };
        keys(json).into_iter().map(told)
    });
    let mut all = of_file.chain(of_layers);
    let mut named: Vec<String> = (all.by_ref().take(NAMED))
        .map(|sentence| format!("{file}: {}", escape::message(&sentence.to_string(), QUOTED)))
        .collect();
    named.extend(match all.count() {
        0 => None,
        rest => Some(format!("{file}: {rest} more keys are not read")),
    });
    named
}

fn sentence(above: &str, name: &str, known: &[&str]) -> Unknown {
    let key = format!("{above}{name}");
    match nearest(name, known) {
        Some(meant) => Unknown::Misspelt {
            key,
            meant: meant.to_owned(),
        },
        None => Unknown::Other {
            key,
            known: known.join(", "),
        },
    }
}

/// The one that is meant, in all likelihood.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let alike = known
        .iter()
        .map(|key| (strsim::jaro_winkler(&lower, &key.to_lowercase()), *key));
    let best = alike.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 >= ALIKE).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use switch_root_core::yaml;

    use super::*;

    #[test]
    fn a_key_that_is_not_read_is_named_with_what_was_meant() {
        let text = "disk: 1\nextension: 2\nwipe: 3\nunheard: 4\n";
        let node = yaml::document(text).unwrap().unwrap();
        let found: Vec<_> = unknown(&node, "machine.install", &["disk", "extensions", "wipe"])
            .into_iter()
            .map(|(at, unknown)| (at, unknown.to_string()))
            .collect();
        let told: Vec<_> = found
            .iter()
            .map(|(at, told)| (at.line, told.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    2,
                    "`machine.install.extension` is not a key that is read; did you mean `extensions`?"
                ),
                (
                    4,
                    "`machine.install.unheard` is not a key that is read; the keys that are known are disk, extensions, wipe"
                ),
            ]
        );
    }

    #[test]
    fn a_key_of_a_list_of_extensions_is_named_with_its_layer() {
        let text = b"layers:\n- image: a.sqsh\n  metdata: {name: a}\n  metadata: {name: a, version: 1}\nlayer: []\n";
        let list = extensions::list(text).unwrap();
        assert_eq!(
            unknown_of_list(&list.unknown, "/extensions.yaml"),
            [
                "/extensions.yaml: `layer` is not a key that is read; did you mean `layers`?",
                "/extensions.yaml: `layers[0].metdata` is not a key that is read; did you mean `metadata`?",
            ]
        );
    }

    #[test]
    fn a_list_of_many_unknown_keys_names_some() {
        let keys: String = (0..25).map(|key| format!("x{key}: 1\n")).collect();
        let list = extensions::list(format!("layers: []\n{keys}").as_bytes()).unwrap();
        let named = unknown_of_list(&list.unknown, "/extensions.yaml");
        assert_eq!(named.len(), NAMED + 1);
        assert_eq!(
            named.last().map(String::as_str),
            Some("/extensions.yaml: 5 more keys are not read")
        );
    }

    #[test]
    fn the_case_of_letters_misleads_nobody() {
        assert_eq!(
            nearest("OverridePath", &["endpoints", "overridePath"]),
            Some("overridePath")
        );
        assert_eq!(nearest("x", &["endpoints", "overridePath"]), None);
    }
}
