//! Documents of a configuration beside the one with the key `machine`, as Talos has
//! them from 1.12 on: each has a `kind`, and those about registries a `name`.

use std::collections::HashMap;

use oci::registries::{Mirror, MirrorEndpoint, Registries};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::yaml::{Node, Position};

use super::reader::{Reader, Value};
use super::recognise::API;
use super::registries;

switch_root_core::outcomes! {
    /// What is wrong with a document about registries: what follows its place in a sentence.
    pub enum Malformed in "configurations" {
        /// Talos has such documents from 1.12 on; its reference describes them.
        "SR-M13" NoName = "has no `name`, the registry that it is about",
        "SR-M14" NoUrl = "has no `url`",
        "SR-M15" OtherKind = "is a kind of document about registries that is not read here: what it says does not count",
    }
}

switch_root_core::outcomes! {
    /// What a configuration has more than once.
    pub enum Repeated in "configurations" {
        /// Talos would refuse it, too. Remove one of the documents, or write them as one.
        "SR-M05" Document { name: String, second: Position, document: String, first: Position } = "{name}: {second}: a second document {document}; the first one begins at {first}, and only one of them can be meant",
    }
}

/// How the kinds of documents about registries begin.
const REGISTRY: &str = "Registry";

/// Adds what documents say of registries. What they say of one replaces what
/// `machine.registries` says of it.
pub(super) fn read(reader: &mut Reader, documents: &[Node], read: &mut Registries) {
    for document in documents {
        let root = Value::root(document);
        let Some(kind) = kind(document).filter(|kind| kind.starts_with(REGISTRY)) else {
            continue;
        };
        let root = root.called(kind);
        let Some(name) = root.get("name") else {
            reader.refuse(&root, Malformed::NoName);
            continue;
        };
        let Some(name) = reader.text(&name, "the registry that it is about") else {
            continue;
        };
        let host = || name.to_owned();
        match kind {
            "RegistryMirrorConfig" => {
                known(reader, &root, &["endpoints", "skipFallback"]);
                read.mirrors.insert(host(), mirror(reader, &root));
            }
            "RegistryAuthConfig" => {
                known(reader, &root, &registries::AUTH);
                let credentials = registries::credentials(reader, &root);
                read.hosts.entry(host()).or_default().credentials = credentials;
            }
            "RegistryTLSConfig" => {
                known(reader, &root, &registries::TLS);
                registries::tls(reader, &root, read.hosts.entry(host()).or_default());
            }
            _ => reader.warn(&root, Malformed::OtherKind),
        }
    }
}

/// Refuses a second document of the same kind and name: which of the two counts would
/// depend on who reads them. Objects of Kubernetes are named elsewhere.
pub(super) fn refuse_duplicates(documents: &[Node], file: &str) -> Result<()> {
    let mut seen = HashMap::new();
    for document in documents {
        let text = |key| document.get(key).and_then(Node::as_text);
        let Some(kind) = text("kind") else { continue };
        if text("apiVersion") != Some(API) && !kind.starts_with(REGISTRY) {
            continue;
        }
        let name = text("name").unwrap_or_default();
        if let Some(first) = seen.insert((kind, name), document.start) {
            return Err(Error::input(Repeated::Document {
                name: escape::path(file.as_bytes()),
                second: document.start,
                document: escape::message(&format!("{kind}/{name}"), 400),
                first,
            }));
        }
    }
    Ok(())
}

/// What a document is.
pub(crate) fn kind(document: &Node) -> Option<&str> {
    document.get("kind").and_then(Node::as_text)
}

fn known(reader: &mut Reader, root: &Value, keys: &[&str]) {
    let keys: Vec<&str> = ["apiVersion", "kind", "name"]
        .iter()
        .chain(keys)
        .copied()
        .collect();
    reader.known(root, &keys);
}

fn mirror(reader: &mut Reader, root: &Value) -> Mirror {
    let mut mirror = Mirror {
        skip_fallback: registries::flag(reader, root, "skipFallback"),
        ..Mirror::default()
    };
    let Some(list) = root.get("endpoints") else {
        return mirror;
    };
    for item in reader.list(&list, "with an element `url: URL` for each endpoint") {
        let Some(item) = reader.mapping(&item, "with the key `url`") else {
            continue;
        };
        reader.known(&item, &["url", "overridePath"]);
        let Some(url) = item.get("url") else {
            reader.refuse(&item, Malformed::NoUrl);
            continue;
        };
        if let Some(url) = registries::url(reader, &url) {
            mirror.endpoints.push(MirrorEndpoint {
                url,
                override_path: registries::flag(reader, &item, "overridePath"),
            });
        }
    }
    mirror
}
