//! The messages of a program, as its source has them.
//!
//! Which function shows a string cannot be told from the source for certain: most
//! messages are built in one place and logged in another. So every string of the source
//! counts that could be a message, and whoever asks lists those that are none. A string
//! could be one where it has words with a space between them, or beside a placeholder. Left
//! out is what stands in tests and in what operators' programs alone have, in attributes,
//! and in the macros that log what is no warning.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use walkdir::WalkDir;

/// What is compiled for the programs of operators alone, and not for the boot program.
const TOOLS: &str = "cfg(feature=\"tools\")";

/// The macros that log what is neither an error nor a warning, and the one that declares what
/// is explained where it is declared.
const NO_WARNINGS: [&str; 4] = ["info", "debug", "trace", "outcomes"];

/// What was found in a source file.
#[derive(Default)]
struct Found {
    strings: Vec<String>,
    /// Modules of it that are files of their own, and are no part of the boot program.
    for_others: Vec<String>,
}

/// All messages below some folders of the repository, each with the files that have it.
pub fn below(repository: &Path, folders: &[&str]) -> BTreeMap<String, Vec<String>> {
    let mut messages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, strings) in strings_below(repository, folders) {
        for message in strings.into_iter().filter(|text| could_be_message(text)) {
            let files = messages.entry(message).or_default();
            if files.last() != Some(&path) {
                files.push(path.clone());
            }
        }
    }
    messages
}

/// The source files below some folders of the repository, but those that are compiled for tests
/// or for operators' programs alone, each with its strings.
pub fn strings_below(repository: &Path, folders: &[&str]) -> Vec<(String, Vec<String>)> {
    let mut files = Vec::new();
    for folder in folders {
        read(repository, folder, &mut files);
    }
    let for_others: Vec<String> = files
        .iter()
        .flat_map(|(path, found)| found.for_others.iter().map(|name| module(path, name)))
        .collect();
    let is_source = |path: &str| !for_others.iter().any(|module| is_in(path, module));
    files
        .into_iter()
        .filter(|(path, _)| is_source(path))
        .map(|(path, found)| (path, found.strings))
        .collect()
}

fn read(repository: &Path, folder: &str, files: &mut Vec<(String, Found)>) {
    for entry in WalkDir::new(repository.join(folder)) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(repository).unwrap();
        let path = path.to_str().unwrap();
        if path.ends_with(".rs") {
            files.push((
                path.to_owned(),
                of(&fs::read_to_string(entry.path()).unwrap()),
            ));
        }
    }
}

/// Where a module is that a source file says is in a file of its own, without the ending.
fn module(file: &str, name: &str) -> String {
    let (folder, _) = file.rsplit_once('/').unwrap_or_default();
    match file.rsplit('/').next() {
        Some("lib.rs" | "main.rs" | "mod.rs") => format!("{folder}/{name}"),
        _ => format!("{}/{name}", file.trim_end_matches(".rs")),
    }
}

fn is_in(file: &str, module: &str) -> bool {
    file.strip_prefix(module)
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// The strings of a source file, each run of white space as one space, placeholders as
/// they are.
fn of(source: &str) -> Found {
    let mut found = Found::default();
    collect(source.parse().unwrap(), &mut found);
    found
}

/// A message without what its placeholders are called: a document may have better names
/// for them than the source.
pub fn form(message: &str) -> String {
    let mut form = String::new();
    let mut rest = message;
    while let Some(start) = rest.find('{') {
        form.push_str(&rest[..start]);
        let (shown, end) = match rest[start..].find('}') {
            _ if rest[start..].starts_with("{{") => ("{{", start + 2),
            Some(end) => ("{}", start + end + 1),
            None => ("{", start + 1),
        };
        form.push_str(shown);
        rest = &rest[end..];
    }
    form + rest
}

fn could_be_message(text: &str) -> bool {
    let words = form(text).replace("{}", " ");
    words.contains(' ') && words.contains(char::is_alphabetic) && text.contains(' ')
}

fn collect(tokens: TokenStream, found: &mut Found) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                let of_all = tokens.next_if(|next| is(next, '!')).is_some();
                let Some(TokenTree::Group(attribute)) = tokens.next() else {
                    continue;
                };
                match is_for_others(&attribute) {
                    true if of_all => return,
                    true => found.for_others.extend(skip_item(&mut tokens)),
                    false => {}
                }
            }
            TokenTree::Ident(name)
                if NO_WARNINGS.iter().any(|known| name == *known)
                    && tokens.next_if(|next| is(next, '!')).is_some() =>
            {
                tokens.next();
            }
            TokenTree::Group(group) => collect(group.stream(), found),
            TokenTree::Literal(literal) => {
                let text = match syn::Lit::new(literal) {
                    syn::Lit::Str(text) => text.value(),
                    syn::Lit::ByteStr(text) => String::from_utf8_lossy(&text.value()).into_owned(),
                    syn::Lit::CStr(text) => text.value().to_string_lossy().into_owned(),
                    _ => continue,
                };
                found
                    .strings
                    .push(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
            }
            _ => {}
        }
    }
}

/// Takes an item away, which ends with its body, or without one: then its name is returned
/// where it is a module's.
fn skip_item(tokens: &mut impl Iterator<Item = TokenTree>) -> Option<String> {
    let (mut module, mut name) = (false, None);
    for token in tokens {
        match token {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => return None,
            TokenTree::Ident(word) if word == "mod" => module = true,
            TokenTree::Ident(word) => name = Some(word.to_string()),
            other if is(&other, ';') => return name.filter(|_| module),
            _ => {}
        }
    }
    None
}

fn is(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

fn is_for_others(attribute: &Group) -> bool {
    is_for_tests(attribute) || words(attribute) == TOOLS
}

/// Whether an attribute says that an item is compiled for tests alone.
pub fn is_for_tests(attribute: &Group) -> bool {
    let text = words(attribute);
    ["test", "cfg(test)"].contains(&&*text) || text.starts_with("cfg(all(test,")
}

fn words(attribute: &Group) -> String {
    attribute.stream().to_string().replace(' ', "")
}

#[test]
fn every_string_that_could_be_a_message_is_found_wherever_it_stands() {
    let source = r##"
        //! No message in a comment.
        #![doc = "no message"]
        const A: &str = "in a constant";
        #[error("no message in an attribute")]
        fn f() -> Result<(), String> {
            warn!("in a macro: {}", format_args!("within {another}", another = 1));
            match x { _ => Err("over two \
                lines".into()) }?;
            g(|| concat!("one word:", " and more"), b"of bytes", c"of C", r#"as it "is""#);
            tracing::debug!("no message {}", "nor this");
            let info = if a { "after a name" } else { "word" };
            "{a}{b}"; "{a}: {b}"; "{path}word"; "a-b"; '"'
        }
        #[cfg(test)]
        mod tests { fn g() { panic!("no message in tests") } }
        #[cfg(test)]
        use no::tests;
        #[cfg(all(test, unix))]
        mod of_tests;
        fn h() { "after the tests" }
        #[test]
        fn i() { "no message in a test" }
    "##;
    let mut found = of(source);
    assert_eq!(found.for_others, ["of_tests"]);
    found.strings.retain(|text| could_be_message(text));
    assert_eq!(
        found.strings,
        [
            "in a constant",
            "in a macro: {}",
            "within {another}",
            "over two lines",
            "one word:",
            "and more",
            "of bytes",
            "of C",
            "as it \"is\"",
            "after a name",
            "after the tests",
        ]
    );
    let of_tests = of("#![cfg(test)]\nfn f() { \"no message\" }");
    assert_eq!(of_tests.strings, Vec::<String>::new());
}

#[test]
fn what_placeholders_are_called_does_not_matter() {
    assert_eq!(form("{a} and {b:?} and {}"), "{} and {} and {}");
    assert_eq!(form("{{a}} {b} } {"), "{{a}} {} } {");
}

#[test]
fn modules_that_are_compiled_for_others_alone_are_left_out() {
    assert_eq!(module("a/src/lib.rs", "tests"), "a/src/tests");
    assert_eq!(module("a/src/b.rs", "tests"), "a/src/b/tests");
    assert!(is_in("a/src/tests.rs", "a/src/tests"));
    assert!(is_in("a/src/tests/b.rs", "a/src/tests"));
    assert!(!is_in("a/src/tests_of.rs", "a/src/tests"));
}
