//! Writing what a policy answered into its case, and leaving the rest of the file as it is.

use std::io::Write;
use std::path::Path;

use serde_json::json;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::outcome::Message;
use switch_root_core::output::{AtomicFile, cannot_write};
use switch_root_core::yaml::{self, Kind as NodeKind};

use super::case::parse;
use super::form::Form;
use crate::answers::Answers;

switch_root_core::outcomes! {
    /// Why answers are not written into a case.
    pub(crate) enum NotBlessed in "policies" {
        /// Answers are written over `expect` alone, and the rest of the case stays as it is. Where its
        /// layout does not allow that, write them by hand.
        "SR-T12" Indented = "its keys do not begin in the first column",
        "SR-T13" Unlike = "the expectation cannot be written so that it is read back; write it by hand",
        "SR-T14" Toml { error: String } = "{error}",
    }
}

/// Makes these answers the expectation of a case. Tells whether the file changed.
///
/// # Errors
/// The file cannot be written, or is not laid out so that something can be put into it.
pub fn bless(path: &Path, text: &str, answers: &Answers) -> Result<bool> {
    let wrong = |reason: Message| {
        Error::input(reason.reworded(|reason| format!("cannot bless {}: {reason}", path.shown())))
    };
    let blessed = match Form::of(path) {
        Form::Yaml => in_yaml(text, answers).map_err(wrong)?,
        Form::Toml => in_toml(text, answers).map_err(wrong)?,
    };
    if blessed == text {
        return Ok(false);
    }
    // What is written is what will be read.
    if parse(&blessed, path)?.expect.as_ref() != Some(answers) {
        return Err(wrong(NotBlessed::Unlike.into()));
    }
    let output = AtomicFile::create(path)?;
    let before = std::fs::metadata(path).map_err(|error| cannot_write(path, &error))?;
    output.look_like(&before)?;
    output
        .as_file()
        .write_all(blessed.as_bytes())
        .map_err(|error| cannot_write(path, &error))?;
    output.commit()?;
    Ok(true)
}

fn in_yaml(text: &str, answers: &Answers) -> std::result::Result<String, Message> {
    let mut written = yaml::emit(&json!({ "expect": answers }));
    if *answers == Answers::default() {
        written = "expect: {}\n".into();
    }
    let root = yaml::document(text)?;
    let entries = match root.as_ref().map(|root| &root.kind) {
        Some(NodeKind::Mapping(entries)) => entries.as_slice(),
        _ => &[],
    };
    let byte = |offset: usize| {
        text.char_indices()
            .nth(offset)
            .map_or(text.len(), |(byte, _)| byte)
    };
    if entries.iter().any(|(key, _)| key.start.column != 1) {
        return Err(NotBlessed::Indented.into());
    }
    let place = entries.iter().position(|(key, _)| key.text == "expect");
    let Some(place) = place else {
        let gap = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        return Ok(format!("{text}{gap}{written}"));
    };
    let start = byte(entries[place].0.start.offset);
    let end = entries
        .get(place + 1)
        .map_or(text.len(), |(key, _)| byte(key.start.offset));
    // Comments and empty lines in front of the next key are the next key's.
    let mut block = &text[start..end];
    loop {
        let lines = block.strip_suffix('\n').unwrap_or(block);
        let Some(cut) = lines.rfind('\n') else { break };
        let last = &lines[cut + 1..];
        if !last.trim().is_empty() && !last.starts_with('#') {
            break;
        }
        block = &block[..=cut];
    }
    let rest = &text[start + block.len()..];
    Ok(format!("{}{written}{rest}", &text[..start]))
}

fn in_toml(text: &str, answers: &Answers) -> std::result::Result<String, Message> {
    let wrong = |error: &dyn std::fmt::Display| NotBlessed::Toml {
        error: error.to_string(),
    };
    let mut document: toml_edit::DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| wrong(&error))?;
    let mut expect = toml_edit::ser::to_document(answers).map_err(|error| wrong(&error))?;
    let mut expect = std::mem::take(expect.as_table_mut());
    // A table without entries of its own needs no heading.
    expect.set_implicit(false);
    for (_, item) in expect.iter_mut() {
        if let Some(table) = item.as_inline_table().cloned() {
            *item = toml_edit::Item::Table(table.into_table());
        }
    }
    document["expect"] = toml_edit::Item::Table(expect);
    Ok(document.to_string())
}
