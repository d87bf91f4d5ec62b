//! Machine configuration, as Talos has it: which extensions, from where.
//!
//! Of a configuration, `machine.install.extensions`, `machine.registries` and the documents
//! about registries are read, and nothing else: what the rest means is for others to know.

pub(crate) mod documents;

pub(crate) mod reader;

pub(crate) mod recognise;

pub(crate) mod registries;

use std::collections::HashMap;

use oci::reference::ImageRef;
use oci::registries::Registries;
use reader::{Reader, Value};
use switch_root_core::error::{Error, Result, Words};
use switch_root_core::escape;
use switch_root_core::outcome::Message;
use switch_root_core::yaml::{self, Aliases, Node, Position};

switch_root_core::outcomes! {
    /// What is wrong with an extension of a configuration: what follows its place in a sentence.
    pub enum Malformed in "configurations" {
        /// Each extension is an element with the key `image`, and is there once.
        "SR-M10" NoImage = "has no `image`, the reference of the extension's image",
        "SR-M11" Twice { image: String, first: Position } = "names the image `{image}`, which stands at {first} already; remove one of them",
    }
}

switch_root_core::outcomes! {
    /// Why a file is not read as a machine configuration.
    pub enum Unread in "configurations" {
        /// Another file was named, perhaps.
        "SR-M01" TooLarge { name: String, length: usize, most: usize } = "{name} is {length} bytes long; a machine configuration has at most {most}, so is it the right file?",
        /// An editor saves files as UTF-8 where it is asked to.
        "SR-M02" NotUtf8 { name: String, line: usize, column: usize } = "{name}: line {line} column {column}: a byte that is not UTF-8; save the file as UTF-8",
        /// Talos would refuse it, too. Remove one of the documents.
        "SR-M03" Second { name: String, second: Position, first: Position } = "{name}: {second}: a second document with the key `machine`; the first one begins at {first}, and only one of them can be meant",
        /// Talos reads a document by its `kind`. Remove the key, or make a document of its own of
        /// `machine`.
        "SR-M06" MachineOfKind { name: String, position: Position, kind: String } = "{name}: {position}: a document of the kind {kind} has the key `machine`, which only a document without `kind` has; write `machine` in a document of its own",
    }
}

/// The largest configuration that is read, in bytes.
const LARGEST: usize = 16 << 20;

/// The keys of `machine.install`, as Talos has them.
const INSTALL: [&str; 9] = [
    "bootloader",
    "disk",
    "diskSelector",
    "extensions",
    "extraKernelArgs",
    "grubUseUKICmdline",
    "image",
    "legacyBIOSSupport",
    "wipe",
];

/// An extension that is to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// Its image.
    pub image: ImageRef,
    /// Where the image is named.
    pub position: Position,
}

/// What of a machine configuration is about extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The extensions, in order.
    pub extensions: Vec<Configured>,
    /// How their registries are reached.
    pub registries: Registries,
    /// Keys that nobody reads, as sentences with their places.
    pub warnings: Vec<String>,
}

/// Reads a machine configuration; `file` is what errors call it. Of several
/// documents the one with the key `machine` counts; where none has it, there is
/// nothing in it.
///
/// # Errors
/// It is over 16 MiB, not UTF-8 or not YAML; it is something else than a machine
/// configuration; two documents are about the machine, or of one kind and name; or the keys that
/// are read hold what they cannot mean. Of those all are told, each in a line of `FILE: line L column C: KEY ...`.
pub fn parse(text: &[u8], file: &str) -> Result<Configuration> {
    let text = utf8(text, file)?;
    let documents = documents(text, file)?;
    recognise::check(&documents, file)?;
    let mut reader = Reader::new(file);
    let mut configuration = Configuration::default();
    if let Some(index) = of_machine(&documents, file)? {
        let machine = Value::root(&documents[index]).get("machine");
        if let Some(install) = reader.child(machine.as_ref(), "install") {
            reader.known(&install, &INSTALL);
            configuration.extensions = extensions(&mut reader, &install);
        }
        if let Some(found) = reader.child(machine.as_ref(), "registries") {
            configuration.registries = registries::read(&mut reader, &found);
        }
    }
    documents::read(&mut reader, &documents, &mut configuration.registries);
    configuration.warnings = reader.finish()?;
    Ok(configuration)
}

fn utf8<'a>(text: &'a [u8], file: &str) -> Result<&'a str> {
    let name = escape::path(file.as_bytes());
    if text.len() > LARGEST {
        return Err(Error::input(Unread::TooLarge {
            name,
            length: text.len(),
            most: LARGEST,
        }));
    }
    std::str::from_utf8(text).map_err(|error| {
        let before = String::from_utf8_lossy(&text[..error.valid_up_to()]);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        Error::input(Unread::NotUtf8 { name, line, column })
    })
}

/// The documents of a configuration that is UTF-8.
pub(crate) fn documents(text: &str, file: &str) -> Result<Vec<Node>> {
    yaml::documents(text, Aliases::Leave).map_err(|error| {
        let name = escape::path(file.as_bytes());
        let colon = match error {
            yaml::Malformed::NotYaml { .. } => "",
            _ => ":",
        };
        Error::input(
            Message::from(error)
                .reworded(|error| format!("{name}{colon} {}", escape::message(error, 1000))),
        )
    })
}

/// Which of the documents is the one of the machine.
///
/// # Errors
/// Talos would not take the documents together, or reads that of the machine as another kind.
pub(crate) fn of_machine(documents: &[Node], file: &str) -> Result<Option<usize>> {
    documents::refuse_duplicates(documents, file)?;
    let mut found = documents
        .iter()
        .enumerate()
        .filter(|(_, document)| document.get("machine").is_some());
    let (first, second) = (found.next(), found.next());
    let name = || escape::path(file.as_bytes());
    for (_, document) in first.iter().chain(&second) {
        if let Some(kind) = document.get("kind") {
            return Err(Error::input(Unread::MachineOfKind {
                name: name(),
                position: document.start,
                kind: escape::message(kind.as_text().unwrap_or_default(), 200),
            }));
        }
    }
    match (first, second) {
        (Some((_, first)), Some((_, second))) => Err(Error::input(Unread::Second {
            name: name(),
            second: second.start,
            first: first.start,
        })),
        (found, _) => Ok(found.map(|(index, _)| index)),
    }
}

fn extensions(reader: &mut Reader, install: &Value) -> Vec<Configured> {
    let mut extensions: Vec<Configured> = Vec::new();
    let mut seen: HashMap<String, Position> = HashMap::new();
    let Some(list) = reader.child(Some(install), "extensions") else {
        return extensions;
    };
    for item in reader.list(
        &list,
        "with an element `image: REFERENCE` for each extension",
    ) {
        if item.node.is_null() {
            reader.refuse(&item, Malformed::NoImage);
            continue;
        }
        let Some(entries) = reader.mapping(&item, "with the key `image`") else {
            continue;
        };
        let Some(image) = entries.get("image").filter(|image| !image.node.is_null()) else {
            reader.refuse(&item, Malformed::NoImage);
            continue;
        };
        let Some(text) = reader.text(&image, "an image reference") else {
            continue;
        };
        match text.parse::<ImageRef>() {
            Err(error) => {
                let unusable = |error: &str| format!("cannot be used: {error}");
                reader.refuse(&image, error.message().reworded(unusable));
            }
            Ok(parsed) => {
                let position = image.node.start;
                if let Some(first) = seen.insert(parsed.text.clone(), position) {
                    let twice = Malformed::Twice {
                        image: text.to_owned(),
                        first,
                    };
                    reader.refuse(&image, twice);
                } else {
                    extensions.push(Configured {
                        image: parsed,
                        position,
                    });
                }
            }
        }
    }
    extensions
}

#[cfg(test)]
mod tests;
