//! Whether a file is a machine configuration at all. One that is not lists no
//! extensions, and an image that is made from it has none.

use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::yaml::{Kind, Node};

switch_root_core::outcomes! {
    /// What a file is not.
    pub enum Unfit in "configurations" {
        /// What it looks like stands at the end. Name the machine configuration, as it is applied to
        /// the machine.
        "SR-M04" NotAConfiguration { name: String, keys: String, what: &'static str } = "{name} is not a machine configuration: it has none of the keys {keys} at the top, and no `version: v1alpha1` of its own; {what}",
    }
}

/// The keys that the first document of a configuration has at the top.
const TOP: [&str; 5] = ["version", "machine", "cluster", "debug", "persist"];

/// The version of all documents; the others have a `kind`, too.
pub(super) const API: &str = "v1alpha1";

/// What else is at hand where a machine configuration is, by the keys that it has at
/// the top, and what to do.
const OTHERS: [(&[&str], &str); 7] = [
    (
        &["metadata", "spec"],
        "it is a resource as `talosctl get machineconfig -o yaml` prints it: the configuration is the text below `spec`, so save that alone",
    ),
    (
        &["version", "metadata"],
        "it is the manifest of an extension",
    ),
    (
        &["services"],
        "it is a Compose file, which describes containers",
    ),
    (
        &["contexts"],
        "it is a talosconfig, which says how talosctl reaches machines",
    ),
    (
        &["customization"],
        "it is a schematic, from which Image Factory makes an installer: list the images of its extensions in the machine configuration",
    ),
    (
        &["clusterName", "nodes"],
        "it is a configuration of talhelper: name one of the files that `talhelper genconfig` makes of it",
    ),
    (&["apiVersion", "kind"], "it is an object of Kubernetes"),
];

/// Refuses documents of which none belongs to a machine configuration. A file that
/// holds nothing is one to which something can be added.
///
/// # Errors
/// A sentence with what the file is, where that is known.
pub(super) fn check(documents: &[Node], file: &str) -> Result<()> {
    let mut something = documents.iter().filter(|document| !document.is_null());
    if something.clone().next().is_none() || something.any(is_configuration) {
        return Ok(());
    }
    let has = |keys: &[&str]| {
        let all = |document: &Node| keys.iter().all(|key| document.get(key).is_some());
        documents.iter().any(all)
    };
    let known = OTHERS.iter().find(|(keys, _)| has(keys));
    let what = match (known, documents.first().map(|document| &document.kind)) {
        (Some((_, what)), _) => *what,
        (None, Some(Kind::Sequence(_))) => "it is a list, as patches are",
        (None, _) => "is it the right file?",
    };
    Err(Error::input(Unfit::NotAConfiguration {
        name: escape::path(file.as_bytes()),
        keys: TOP[1..].join(", "),
        what,
    }))
}

fn is_configuration(document: &Node) -> bool {
    let text = |key| document.get(key).and_then(Node::as_text);
    let of_kind = text("apiVersion") == Some(API) && text("kind").is_some_and(|it| !it.is_empty());
    // Many files have a version, manifests of extensions the same one.
    let of_version = text("version") == Some(API) && document.get("metadata").is_none();
    of_kind || of_version || TOP[1..].iter().any(|key| document.get(key).is_some())
}
