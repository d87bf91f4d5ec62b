//! The strings of sources, but those of tests.

use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use walkdir::WalkDir;

/// What was found in a source file.
#[derive(Default)]
struct Found {
    strings: Vec<String>,
    /// Modules of it that are files of their own, and are compiled for tests alone.
    of_tests: Vec<String>,
}

/// The source files below some folders of the repository, but those that are compiled for tests
/// alone, each with its strings.
pub fn strings_below(repository: &Path, folders: &[&str]) -> Vec<(String, Vec<String>)> {
    let mut files = Vec::new();
    for folder in folders {
        read(repository, folder, &mut files);
    }
    let of_tests: Vec<String> = files
        .iter()
        .flat_map(|(path, found)| found.of_tests.iter().map(|name| module(path, name)))
        .collect();
    let is_source = |path: &str| !of_tests.iter().any(|module| is_in(path, module));
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

/// The strings of a source file, each run of white space as one space.
fn of(source: &str) -> Found {
    let mut found = Found::default();
    collect(source.parse().unwrap(), &mut found);
    found
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
                match is_for_tests(&attribute) {
                    true if of_all => return,
                    true => found.of_tests.extend(skip_item(&mut tokens)),
                    false => {}
                }
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

/// Whether an attribute says that an item is compiled for tests alone.
pub fn is_for_tests(attribute: &Group) -> bool {
    let text = words(attribute);
    ["test", "cfg(test)"].contains(&&*text) || text.starts_with("cfg(all(test,")
}

fn words(attribute: &Group) -> String {
    attribute.stream().to_string().replace(' ', "")
}

#[test]
fn every_string_is_found_but_those_of_tests() {
    let source = r##"
        //! Not in a comment.
        const A: &str = "in a constant";
        fn f() -> Result<(), String> {
            warn!("in a macro: {}", format_args!("within {another}", another = 1));
            match x { _ => Err("over two \
                lines".into()) }?;
            g(b"of bytes", c"of C", r#"as it "is""#, '"');
        }
        #[cfg(test)]
        mod tests { fn g() { panic!("not in tests") } }
        #[cfg(test)]
        use no::tests;
        #[cfg(all(test, unix))]
        mod of_tests;
        fn h() { "after the tests" }
        #[test]
        fn i() { "not in a test" }
    "##;
    let found = of(source);
    assert_eq!(found.of_tests, ["of_tests"]);
    assert_eq!(
        found.strings,
        [
            "in a constant",
            "in a macro: {}",
            "within {another}",
            "over two lines",
            "of bytes",
            "of C",
            "as it \"is\"",
            "after the tests",
        ]
    );
    let of_tests = of("#![cfg(test)]\nfn f() { \"not here\" }");
    assert_eq!(of_tests.strings, Vec::<String>::new());
}

#[test]
fn modules_that_are_compiled_of_tests_alone_are_left_out() {
    assert_eq!(module("a/src/lib.rs", "tests"), "a/src/tests");
    assert_eq!(module("a/src/b.rs", "tests"), "a/src/b/tests");
    assert!(is_in("a/src/tests.rs", "a/src/tests"));
    assert!(is_in("a/src/tests/b.rs", "a/src/tests"));
    assert!(!is_in("a/src/tests_of.rs", "a/src/tests"));
}
