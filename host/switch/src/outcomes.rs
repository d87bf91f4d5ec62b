//! Whether the documents have the outcomes that are declared, each with a code of its own.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use switch_root_core::outcome::{CODES, Outcomes, Row, Table};

use crate::{background, capabilities, kernel_log, parameters};

/// Those of this crate.
const TABLES: &[Table] = &[
    background::Undeleted::TABLE,
    capabilities::Kept::TABLE,
    capabilities::Powerless::TABLE,
    kernel_log::Incomplete::TABLE,
    kernel_log::NoLog::TABLE,
    parameters::Unread::TABLE,
];

/// The crates that the boot program is made of.
const CRATES: [&str; 3] = ["../core", "../policy", "."];

/// What explains them to operators.
const DOCUMENT: &str = "FAILURES.md";

/// How the head of a table of outcomes begins.
const HEAD: &str = "| code |";

/// What is above the codes of the list that nothing has any more.
const RETIRED: &str = "\nNo longer used, and not to be used again:\n";

fn tables() -> impl Iterator<Item = &'static Table> {
    let of_core = switch_root_core::tables::TABLES.iter();
    of_core.chain(policy::outcomes::TABLES).chain(TABLES)
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn codes_are_listed_once_and_never_reused() {
    let (used, retired) = CODES.split_once(RETIRED).unwrap();
    let listed: Vec<&str> = used.lines().collect();
    assert!(listed.is_sorted_by(|a, b| a < b), "sort it");
    let mut declared: Vec<String> = tables()
        .flat_map(|table| table.rows)
        .map(|row| row.code.to_string())
        .collect();
    declared.sort();
    assert_eq!(
        declared, listed,
        "host/core/src/outcome/codes.txt lists other codes than are declared; one that nothing has any more moves to its end"
    );
    let reused = retired.lines().find(|code| listed.contains(code));
    assert_eq!(reused, None);
}

#[test]
fn every_enum_of_outcomes_is_in_the_tables() {
    let mut declared = Vec::new();
    for one in CRATES {
        collect(&folder().join(one).join("src"), &mut declared);
    }
    let mut known: Vec<String> = tables()
        .map(|table| format!("{} in \"{}\"", table.name, table.section))
        .collect();
    declared.sort();
    known.sort();
    assert_eq!(
        known, declared,
        "outcomes.rs of each crate, and tables.rs of core, list its enums"
    );
}

/// The enums of outcomes of the sources below a folder: `NAME in "SECTION"`.
fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(str::trim);
            found.extend(lines.filter_map(|line| {
                let declared = line.strip_suffix(" {")?;
                let (visible, declared) = declared.split_once("enum ")?;
                let is_outcomes = declared.contains(" in \"") && !visible.contains("//");
                is_outcomes.then(|| declared.to_owned())
            }));
        }
    }
}

#[test]
fn the_document_has_each_outcome() {
    let path = folder().join(DOCUMENT);
    let document = fs::read_to_string(&path).unwrap();
    let generated = with_tables(&document);
    if std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
        fs::write(&path, generated).unwrap();
        return;
    }
    assert!(
        document == generated,
        "{DOCUMENT} has other outcomes than the source: write its tables again with\nINSTA_UPDATE=always cargo test -p switch-root outcomes"
    );
}

/// The document with its tables as they are to be: each follows a comment that names it.
fn with_tables(document: &str) -> String {
    let mut missing: BTreeSet<&str> = tables().map(|table| table.section).collect();
    let mut text = String::new();
    let mut lines = document.lines().peekable();
    while let Some(line) = lines.next() {
        let _ = writeln!(text, "{line}");
        let Some(section) = marked(line) else {
            continue;
        };
        assert!(missing.remove(section), "a table of {section} is not to be");
        while lines.next_if(|line| line.is_empty()).is_some() {}
        if lines.peek().is_some_and(|line| line.starts_with(HEAD)) {
            while lines.next_if(|line| line.starts_with('|')).is_some() {}
        }
        let _ = write!(text, "\n{}", table(section));
        if lines.peek().is_some_and(|line| !line.is_empty()) {
            text.push('\n');
        }
    }
    assert!(missing.is_empty(), "{DOCUMENT} has no table of {missing:?}");
    text
}

/// The name of the table that follows a comment.
fn marked(line: &str) -> Option<&str> {
    line.strip_prefix("<!-- outcomes: ")?.strip_suffix(" -->")
}

/// All outcomes of a table, by their codes.
fn table(section: &str) -> String {
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for table in tables().filter(|table| table.section == section) {
        let mut own: Vec<Vec<&Row>> = Vec::new();
        for row in table.rows {
            match own.last_mut().filter(|_| row.remedy.is_empty()) {
                Some(same) => same.push(row),
                None => own.push(vec![row]),
            }
        }
        groups.extend(own);
    }
    groups.sort_by_key(|rows| rows[0].code);
    let mut text = format!("{HEAD} message | cause, and what to do |\n|---|---|---|\n");
    for rows in groups {
        let join = |cell: fn(&Row) -> String| {
            let cells: Vec<String> = rows.iter().map(|row| cell(row)).collect();
            cells.join("<br>")
        };
        let remedy: Vec<&str> = rows[0].remedy.iter().map(|line| line.trim()).collect();
        assert!(!remedy.is_empty(), "{}: what to do?", rows[0].code);
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            join(|row| row.code.to_string()),
            join(|row| cell(&placeholders(row.message))),
            remedy.join(" ").replace('|', "\\|")
        );
    }
    text
}

/// A message with placeholders that have a name and nothing else.
fn placeholders(message: &str) -> String {
    let mut parts = message.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap();
        let (name, _) = name.split_once(':').unwrap_or((name, ""));
        let _ = write!(text, "{{{}}}{rest}", name.to_lowercase());
    }
    text
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
fn placeholders_have_names_alone() {
    assert_eq!(
        placeholders("{a} (mode {mode:04o}) {OWN}"),
        "{a} (mode {mode}) {own}"
    );
    assert_eq!(cell("`a` | b"), "`` `a` \\| b ``");
}
