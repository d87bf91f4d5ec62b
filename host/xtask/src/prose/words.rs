//! Whether the words that are on their way out become fewer: old texts have many of them, and
//! new ones may not add to those.

use std::fs;
use std::path::Path;

use super::{files, markdown, text};

/// Where the words are listed, and what to write instead.
const DOCUMENT: &str = "host/book/CONTRIBUTING.md";

/// How often the words of a row may be in documents, and in everything else that people read;
/// the row is named by its first word. These figures only go down.
const BOUNDS: [(&str, usize, usize); 20] = [
    ("judge", 63, 446),
    ("survivor", 76, 860),
    ("told", 28, 671),
    ("looked at", 15, 106),
    ("stands twice", 2, 15),
    ("is none", 15, 478),
    ("another one than", 2, 7),
    ("pseudo file system", 1, 13),
    ("boots whole", 5, 14),
    ("mounted on itself", 1, 7),
    ("link to nothing", 7, 24),
    ("goes along", 5, 10),
    ("whose word", 3, 16),
    ("anew", 17, 39),
    ("beside init", 5, 2),
    ("foreign mount", 0, 3),
    ("fate", 3, 250),
    ("put right", 0, 1),
    ("cannot be heard", 1, 1),
    ("if need be", 3, 61),
];

/// How much lower a figure may be than its bound: changes that are made side by side need not
/// all touch this table.
const SLACK: usize = 40;

/// What is no text that somebody writes: what programs print and what fuzzers found, and this
/// file.
const LEFT_OUT: [&str; 5] = ["target", "corpus", "snapshots", "Cargo.lock", "words.rs"];

/// Whether a file is a document, and its words; nothing where it is no text.
fn read(path: &Path) -> Option<(bool, Vec<String>)> {
    let mut text = fs::read_to_string(path).ok()?;
    if path.ends_with(DOCUMENT) {
        // The list itself.
        let others = |line: &&str| !line.starts_with("| `");
        text = text.split_inclusive('\n').filter(others).collect();
    }
    let is_document = path.extension().is_some_and(|it| it == "md");
    if is_document {
        // Tables of outcomes are made of the sources, where they are counted.
        let written = |line: &&str| !line.starts_with("| SR-");
        text = text.split_inclusive('\n').filter(written).collect();
    }
    Some((is_document, words(&text)))
}

/// The words of a text, in small letters. Names of the source are split into theirs.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// How often a phrase is among words.
fn count(phrase: &str, among: &[String]) -> usize {
    let phrase = words(phrase);
    among
        .windows(phrase.len())
        .filter(|window| **window == phrase)
        .count()
}

/// What a figure says about its bound, where it says something.
fn about(what: &str, found: usize, bound: usize) -> Option<String> {
    if found > bound {
        return Some(format!(
            "{what}: found {found} times, at most {bound} are allowed: write it as {DOCUMENT} says"
        ));
    }
    (found + SLACK < bound)
        .then(|| format!("{what}: found {found} times: lower its bound of {bound}"))
}

#[test]
fn words_to_avoid_become_fewer() {
    let found: Vec<_> = files(&LEFT_OUT).filter_map(|path| read(&path)).collect();
    let rows = markdown::rows(&text(DOCUMENT), "not");
    let mut wrong = Vec::new();
    let mut figures = Vec::new();
    for row in &rows {
        let in_kind = |documents: bool| -> usize {
            let texts = found.iter().filter(|(is, _)| *is == documents);
            texts
                .flat_map(|(_, text)| row.code.iter().map(|phrase| count(phrase, text)))
                .sum()
        };
        let name = &row.code[0];
        let (documents, others) = (in_kind(true), in_kind(false));
        figures.push(format!("    (\"{name}\", {documents}, {others}),"));
        let Some((_, most_documents, most_others)) = BOUNDS.iter().find(|row| row.0 == name) else {
            wrong.push(format!("`{name}` has no bound"));
            continue;
        };
        wrong.extend(about(
            &format!("`{name}` in documents"),
            documents,
            *most_documents,
        ));
        wrong.extend(about(&format!("`{name}` elsewhere"), others, *most_others));
    }
    assert!(
        wrong.is_empty(),
        "{}\n\nall figures:\n{}\n",
        wrong.join("\n"),
        figures.join("\n")
    );
    assert_eq!(
        BOUNDS.len(),
        rows.len(),
        "a bound without a row in {DOCUMENT}"
    );
}

#[test]
fn phrases_are_found_across_lines_and_in_names() {
    let text = words("It is Looked\n/// at; `looked_at(x)`, overlooked at, looked up.");
    assert_eq!(count("looked at", &text), 2);
    assert_eq!(count("anew", &text), 0);
}

#[test]
fn figures_above_and_far_below_their_bound_are_reported() {
    assert!(about("x", 3, 2).is_some());
    assert_eq!(about("x", 2, 2), None);
    assert_eq!(about("x", 2, 2 + SLACK), None);
    assert!(about("x", 2, 3 + SLACK).is_some());
}
