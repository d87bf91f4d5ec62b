//! Changing a machine configuration without touching the rest of it.
//!
//! Only the lines of the extension itself change; the value of `extensions`
//! where it is the first or the last one, too. Comments on lines of their own
//! stay where they are, also above an extension that is removed: whether they
//! are about it alone is not to be known. A comment behind it on its own lines
//! goes with it.
//!
//! Each result is read back and compared with what was there before any caller
//! sees it, so that a layout that is not understood is an error and never a file
//! that means something else.

mod flow;
mod list;

pub(crate) mod verify;

use std::str::FromStr;

use list::{PATH, images};
use oci::reference::ImageRef;
use switch_root_core::error::{Error, Kind as ErrorKind, Result};
use switch_root_core::escape;
use switch_root_core::outcome::Message;
use switch_root_core::yaml::{Kind, Node, Position, emit};
use verify::Change;
use yaml_edit::{Mapping, YamlFile};

use crate::configuration::documents::kind;
use crate::configuration::{self, Configured};

switch_root_core::outcomes! {
    /// What a configuration is like that is not changed: what follows its name in a sentence.
    pub enum Written in "configurations" {
        /// The sentence ends with what to write, and where, by hand.
        "SR-M35" Nowhere = "has no document with the key `machine`, and it is not clear where one belongs",
        "SR-M36" NoMachine = "has no document with the key `machine`",
        "SR-M37" Marked { key: String, position: Position } = "has an anchor or a tag at `{key}` ({position})",
        "SR-M38" Otherwise = "is written in a way that is not changed here",
    }
}

switch_root_core::outcomes! {
    /// Why a configuration is not changed.
    pub enum Refused in "configurations" {
        /// Nothing needs to be done.
        "SR-M30" AlreadyThere { name: String, position: Position, image: String } = "{name}: {position}: the image {image} is there already",
        "SR-M31" Unattended { name: String, position: Position } = "{name}: {position}: the document UnattendedInstallConfig excludes machine.install, where extensions are listed, so Talos would refuse the result and nothing is added; put the extension into the schematic of the installer",
        /// Name it as the configuration spells it.
        "SR-M32" NoneThere { name: String, image: String } = "{name}: the image {image} is not among the extensions; there are no extensions",
        "SR-M33" NotThere { name: String, image: String, images: String } = "{name}: the image {image} is not among the extensions; there are: {images}",
    }
}

/// The document of a configuration that Talos does not take beside `machine.install`.
const UNATTENDED: &str = "UnattendedInstallConfig";

/// Adds an extension behind the others. `file` is what errors call the
/// configuration.
///
/// # Errors
/// The configuration is one that [`configuration::parse`] refuses; the image is
/// there already; or the place is written in a way that is not changed here, with
/// what to write where.
pub fn add_extension(text: &str, file: &str, image: &ImageRef) -> Result<String> {
    let before = configuration::parse(text.as_bytes(), file)?;
    let name = escape::path(file.as_bytes());
    if let Some(there) = find(&before.extensions, &image.text) {
        return Err(Error::input(Refused::AlreadyThere {
            name,
            position: there.position,
            image: escape::message(&image.text, 500),
        }));
    }
    let by_hand = |why: Message| {
        let image = escape::message(&image.text, 500);
        Error::input(why.reworded(|why| {
            format!(
                "{name} {why}, so the extension is not added; write it there yourself, below machine, install, extensions: `- image: {image}`"
            )
        }))
    };
    let documents = configuration::documents(text, file)?;
    let unattended = documents
        .iter()
        .find(|document| kind(document) == Some(UNATTENDED));
    if let Some(unattended) = unattended {
        return Err(Error::input(Refused::Unattended {
            name,
            position: unattended.start,
        }));
    }
    let document = match configuration::of_machine(&documents, file)? {
        Some(index) => Some(&documents[index]),
        None => match documents.as_slice() {
            [] => None,
            [only] if only.is_null() => None,
            [only] if matches!(only.kind, Kind::Mapping(_)) && only.get("kind").is_none() => {
                Some(only)
            }
            _ => {
                return Err(by_hand(Written::Nowhere.into()));
            }
        },
    };
    let block = block(&image.text, text);
    let after = match document {
        None => append(text, &block),
        Some(document) => {
            refuse_anchors(document, text, &by_hand)?;
            let plain = plain(&image.text);
            let filled = flow::add(document, text, &image.text, &plain)
                .or_else(|| fill(document, text, &block));
            match filled {
                Some(after) => after,
                None => edited(text, &by_hand, |document| insert(document, &block))?,
            }
        }
    };
    let mut images: Vec<&str> = images(&before.extensions);
    images.push(&image.text);
    verify::check(
        &Change {
            before: text,
            after: &after,
            file,
        },
        &images,
        None,
    )
    .map_err(|why| by_hand(why.reworded(|why| format!("{} ({why})", Written::Otherwise))))?;
    Ok(after)
}

/// Removes an extension; the last one leaves an empty list. `image` is the
/// reference in the spelling of the configuration.
///
/// # Errors
/// As [`add_extension`]; and where the image is not there, with those that are.
pub fn remove_extension(text: &str, file: &str, image: &str) -> Result<String> {
    let before = configuration::parse(text.as_bytes(), file)?;
    let name = escape::path(file.as_bytes());
    let Some(index) = before
        .extensions
        .iter()
        .position(|there| there.image.text == image)
    else {
        let image = escape::message(image, 500);
        let images = escape::message(&images(&before.extensions).join(", "), 2000);
        let refused = match images.is_empty() {
            true => Refused::NoneThere { name, image },
            false => Refused::NotThere {
                name,
                image,
                images,
            },
        };
        return Err(Error::new(ErrorKind::NotFound, refused));
    };
    let line = before.extensions[index].position.line;
    let by_hand = |why: Message| {
        Error::input(why.reworded(|why| {
            format!(
                "{name} {why}, so the extension is not removed; take it out yourself, at line {line}"
            )
        }))
    };
    let documents = configuration::documents(text, file)?;
    let Some(machine) = configuration::of_machine(&documents, file)? else {
        return Err(by_hand(Written::NoMachine.into()));
    };
    let document = &documents[machine];
    refuse_anchors(document, text, &by_hand)?;
    let after = edited(text, &by_hand, |document| {
        let list = document
            .get_mapping(PATH[0])
            .and_then(|machine| machine.get_mapping(PATH[1]))
            .and_then(|install| install.get_sequence(PATH[2]));
        list.and_then(|list| list.remove(index)).is_some()
    })?;
    let mut images: Vec<&str> = images(&before.extensions);
    images.remove(index);
    verify::check(
        &Change {
            before: text,
            after: &after,
            file,
        },
        &images,
        Some((document, index)),
    )
    .map_err(|why| by_hand(why.reworded(|why| format!("{} ({why})", Written::Otherwise))))?;
    Ok(after)
}

fn find<'a>(extensions: &'a [Configured], image: &str) -> Option<&'a Configured> {
    extensions.iter().find(|there| there.image.text == image)
}

/// All keys down to the extension, as they are written where none of them is
/// there, with the line ends that the rest has.
fn block(image: &str, text: &str) -> String {
    let image = plain(image);
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    ["machine:", "  install:", "    extensions:"]
        .map(|key| format!("{key}{end}"))
        .concat()
        + &format!("      - image: {image}{end}")
}

/// A reference as YAML has it, where that needs no quotes without.
fn plain(image: &str) -> String {
    // The characters of references are plain texts to YAML. A digit first could be read
    // as a number.
    let plain = image.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !image.ends_with(':')
        && image
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._/@:+-".contains(c));
    match plain {
        true => image.to_owned(),
        false => emit(&image.into()).trim_end().to_owned(),
    }
}

/// A file that holds nothing but comments, or nothing.
fn append(text: &str, block: &str) -> String {
    let mut after = text.to_owned();
    if !after.is_empty() && !after.ends_with('\n') {
        after.push('\n');
    }
    after + block
}

/// Anchored nodes stand elsewhere, too, and what is changed here would change
/// there.
fn refuse_anchors(document: &Node, text: &str, by_hand: &impl Fn(Message) -> Error) -> Result<()> {
    let mut node = document;
    for (depth, key) in PATH.iter().enumerate() {
        let Kind::Mapping(entries) = &node.kind else {
            return Ok(());
        };
        let Some((key, value)) = entries.iter().find(|(name, _)| name.text == *key) else {
            return Ok(());
        };
        let length = value.start.offset.saturating_sub(key.start.offset) + 1;
        let between: String = text.chars().skip(key.start.offset).take(length).collect();
        let marked = between.lines().any(|line| {
            // Behind the key, and before a comment.
            let line = line.split(" #").next().unwrap_or_default();
            line.split_whitespace()
                .any(|word| word.starts_with(['&', '!']))
        });
        if marked {
            let marked = Written::Marked {
                key: PATH[..=depth].join("."),
                position: key.start,
            };
            return Err(by_hand(marked.into()));
        }
        node = value;
    }
    Ok(())
}

/// The text with a change to its document of the machine, which holds the key
/// `machine`, or is the only one. The change says whether it was made.
fn edited(
    text: &str,
    by_hand: &impl Fn(Message) -> Error,
    change: impl Fn(&Mapping) -> bool,
) -> Result<String> {
    let unknown = || by_hand(Written::Otherwise.into());
    let file = YamlFile::from_str(text).map_err(|_| unknown())?;
    let documents: Vec<Mapping> = file
        .documents()
        .filter_map(|document| document.as_mapping())
        .collect();
    let of_machine = documents
        .iter()
        .find(|document| document.get(PATH[0]).is_some());
    let document = match (of_machine, documents.as_slice()) {
        (Some(document), _) => document,
        (None, [only]) => only,
        (None, _) => return Err(unknown()),
    };
    if !change(document) {
        return Err(unknown());
    }
    Ok(file.to_string())
}

/// The text with the extension of a [`block`] in the place of an empty list that has
/// a line for itself, as it is left where the last extension is removed and a
/// comment stays above it; nothing where there is no such list.
fn fill(document: &Node, text: &str, block: &str) -> Option<String> {
    let list = PATH.iter().try_fold(document, |node, key| node.get(key))?;
    let Kind::Sequence(items) = &list.kind else {
        return None;
    };
    let byte = |offset: usize| {
        text.char_indices()
            .nth(offset)
            .map_or(text.len(), |at| at.0)
    };
    let (before, rest) = text.split_at(byte(list.start.offset));
    let line = before.rsplit('\n').next().unwrap_or_default();
    if !items.is_empty() || !line.trim().is_empty() {
        return None;
    }
    let behind = rest.strip_prefix("[]")?;
    let item = block.lines().last()?.trim();
    Some(format!("{before}{item}{behind}"))
}

/// Puts the extension of a [`block`] behind the others, with as many of the keys
/// as are missing.
fn insert(document: &Mapping, block: &str) -> bool {
    let parsed = YamlFile::from_str(block).ok();
    let Some(mut new) = parsed
        .and_then(|file| file.documents().next())
        .and_then(|document| document.as_mapping())
    else {
        return false;
    };
    let mut place = document.clone();
    for key in PATH {
        let list = place.get_sequence(key);
        if let Some(list) = list.filter(|list| !list.is_empty()) {
            let Some(item) = new.get_sequence(key).and_then(|list| list.get(0)) else {
                return false;
            };
            list.push(item);
            return true;
        }
        let below = place.get_mapping(key).filter(|below| !below.is_empty());
        match (below, new.get_mapping(key)) {
            (Some(below), Some(rest)) => (place, new) = (below, rest),
            _ => {
                let Some(value) = new.get(key) else {
                    return false;
                };
                place.set(key, value);
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests;
