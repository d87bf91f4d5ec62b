//! Documents of a configuration beside the one with the key `machine`, as Talos has
//! them from 1.12 on: each has a `kind`, and those about registries a `name`.

use oci::registries::{Mirror, MirrorEndpoint, Registries};
use switch_root_core::yaml::Node;

use super::reader::{Reader, Value};
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
