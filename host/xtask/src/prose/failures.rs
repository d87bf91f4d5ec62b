//! Whether each message of the boot program that is not an outcome with a code yet is explained
//! to its operators, and each explanation is that of a message. Those that have one are the
//! business of host/switch/src/outcomes.rs.

use std::collections::{BTreeMap, BTreeSet};

use switch_root_core::parameters::{Parameter, TABLE};

use super::messages::{self, form};
use super::{markdown, repository, text};

/// Where messages are explained.
const DOCUMENT: &str = "host/switch/FAILURES.md";

/// The title of the first column of the tables that do so.
const TITLE: &str = "message";

/// The sources that the messages are in.
const SOURCES: [&str; 2] = ["host/switch/src", "host/core/src"];

/// Texts of the sources that are neither error nor warning; of one that ends with `...` the
/// beginning.
const NO_MESSAGES: &[&str] = &[
    // For whoever debugs or changes the program.
    "a code is SR-, a letter and two digits",
    "not a code",
    // Parts of outcomes.
    "[{} bytes cut]",
    "an alias, which is not read",
    "line {} column {}",
    // What is printed because it was asked for: help, and the plan.
    "Usage: ...",
    "new root {} ({})",
    "init {init}",
    "(is {})",
    "mount {} {action}",
    "moved to the new root",
    "moved to the new root, where the directory is made",
    "detached: the new root has its own",
    "bound in the new root",
    "bound in the new root, where the directory is made",
    "left where it is: the new root has its own",
    "left where it is: the new root has no place for it",
    ", which serves a file system,",
    "process {} ({}){serves} lives on",
    "process {} more",
    "mount /run {run}",
    "is mounted anew in the new root",
    "is made and mounted anew in the new root",
    "detached: the new root has no place for it",
    "({} is a link to {to} there)",
    "has no place in the new root: survivors cannot be reached there",
    "mount {mount} {verb} below /run/switch-root/{place}",
    "mount {mount} stays where it is",
    "copy {paths} to {to}, for root alone",
    "mount {mount} detached",
    "rewrite {}",
    "keep {} (by {})",
    ", bound read-only at {} of the new root",
    "another program switches",
    "copy {paths} ({size}) to {}",
    "lose {path}: {reason}",
    "mount {point} is not copied",
    "delete everything else ({kept} kept)",
    "delete nothing: {reason}",
    "deletes {files} and {directories}",
    "extension {} {}{}",
    // A verdict of a plan.
    "not asked",
    // Parts of what is logged of a switch that went well; sizes and times.
    ", {} freed",
    "file or directory",
    "files and directories",
    "{count} B",
    // What is written into files, or compared with what is in them.
    "Initramfs unpacking failed:",
    "rootfs image is not initramfs (",
    "); looks like an initrd",
    "extension .",
    // Said by srctl alone, of plans and of files that the boot program does not read or make.
    "whether the extensions are compatible: the policy worker {reason}",
    "a list",
    "a mapping",
    "a text",
    "has a backslash without what must follow it...",
];

/// What the document lacks, as rows to fill in, and what it has of messages that are gone.
fn compare(
    in_source: &BTreeMap<String, Vec<String>>,
    document: &str,
    no_messages: &[&str],
) -> Vec<String> {
    let rows = markdown::rows(document, TITLE);
    let explained: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| &row.code)
        .map(|message| form(message))
        .collect();
    let is = |message: &str, none: &str| match none.strip_suffix("...") {
        Some(start) => message.starts_with(start),
        None => message == none,
    };
    let is_none = |message: &String| no_messages.iter().any(|none| is(message, none));
    let mut wrong = Vec::new();
    for (message, files) in in_source.iter().filter(|(message, _)| !is_none(message)) {
        if !explained.contains(&form(message)) {
            wrong.push(format!(
                "missing, of {}:\n| {} | CAUSE, AND WHAT TO DO |",
                files.join(" and "),
                cell(message)
            ));
        }
    }
    let known: BTreeSet<String> = in_source.keys().map(|message| form(message)).collect();
    for message in explained.difference(&known) {
        wrong.push(format!("no message any more: {message}"));
    }
    for row in rows.iter().filter(|row| row.rest.trim().is_empty()) {
        wrong.push(format!("not explained: {}", row.code.join(" / ")));
    }
    for none in no_messages {
        if !in_source.keys().any(|message| is(message, none)) {
            wrong.push(format!("in NO_MESSAGES, and not in the sources: {none}"));
        }
    }
    wrong
}

/// A message as a cell of a table has it.
fn cell(message: &str) -> String {
    let message = message.replace('|', "\\|");
    match message.contains('`') {
        true => format!("`` {message} ``"),
        false => format!("`{message}`"),
    }
}

#[test]
fn every_message_of_the_boot_program_is_explained() {
    let mut found = messages::below(&repository(), &SOURCES);
    // What says of tables what is wrong with them.
    found.retain(|_, files| files.iter().any(|file| !file.ends_with("document.rs")));
    // What doctor says of parameters that are given.
    for effect in TABLE.iter().flat_map(Parameter::effects) {
        let text = effect.what;
        assert!(found.remove(text).is_some(), "not in the sources: {text}");
    }
    let wrong = compare(&found, &text(DOCUMENT), NO_MESSAGES);
    assert!(
        wrong.is_empty(),
        "{DOCUMENT} is not about the messages that there are. What is shown to operators belongs into the section of its phase there; a text that is no message, into NO_MESSAGES of this test.\n\n{}\n",
        wrong.join("\n")
    );
}

#[test]
fn what_is_missing_and_what_is_gone_is_told() {
    let found = BTreeMap::from([
        ("{} is `odd`".to_owned(), vec!["a.rs".to_owned()]),
        (
            "{path} is new".to_owned(),
            vec!["a.rs".to_owned(), "b.rs".to_owned()],
        ),
        ("Usage: x".to_owned(), vec!["a.rs".to_owned()]),
    ]);
    let document = |rows: &str| format!("| message | cause |\n|---|---|\n{rows}");
    let whole = document("| `` {file} is `odd` ``<br>`{} is new` | Both. |\n");
    assert_eq!(
        compare(&found, &whole, &["Usage: ..."]),
        Vec::<String>::new()
    );
    let other = document("| `{} is old` | |\n| `{} is new` | Why. |\n");
    assert_eq!(
        compare(&found, &other, &["Usage: x", "gone"]),
        [
            "missing, of a.rs:\n| `` {} is `odd` `` | CAUSE, AND WHAT TO DO |",
            "no message any more: {} is old",
            "not explained: {} is old",
            "in NO_MESSAGES, and not in the sources: gone",
        ]
    );
}
