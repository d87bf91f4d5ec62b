//! What the files of a crate import of each other: by `use`, and by paths in the code.
//!
//! Tests are no part of it. A re-export (`pub use`) of a part is not an import: the file
//! itself needs nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::prose::strings::is_for_tests;

/// A path as it stands in a file: its segments, and whether a `pub use` names it.
struct Named {
    segments: Vec<String>,
    is_reexport: bool,
}

/// A module of a crate.
struct Module {
    /// Its file; that of the module around it where it is inline.
    file: PathBuf,
    named: Vec<Named>,
}

/// The imports of each file of a crate whose root is this file: by file, and one of the
/// paths that name something there.
pub fn imports_of(root: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut modules = BTreeMap::new();
    let children = root.parent().unwrap().to_owned();
    read(root, &children, Vec::new(), &mut modules);
    let names: BTreeSet<&Vec<String>> = modules.keys().collect();
    let mut imports: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (here, module) in &modules {
        for named in &module.named {
            let Some(target) = resolve(here, &named.segments, &names) else {
                continue;
            };
            let is_part = target.starts_with(here) && target.len() > here.len();
            let to = &modules[&target].file;
            if *to == module.file || (named.is_reexport && is_part) {
                continue;
            }
            let name = |path: &Path| path.to_str().unwrap().to_owned();
            imports
                .entry(name(&module.file))
                .or_default()
                .entry(name(to))
                .or_insert_with(|| named.segments.join("::"));
        }
    }
    imports
}

/// The module that a path leads to, as far as it names modules of the crate.
fn resolve(
    here: &[String],
    segments: &[String],
    modules: &BTreeSet<&Vec<String>>,
) -> Option<Vec<String>> {
    let mut at = here.to_vec();
    let mut rest = segments;
    match segments.first()?.as_str() {
        "crate" => {
            at.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|segment| segment == "super") {
                at.pop()?;
                rest = &rest[1..];
            }
        }
        // A part of this module; else a name that was imported, which counts there.
        first => {
            at.push(first.to_owned());
            if !modules.contains(&at) {
                return None;
            }
            rest = &rest[1..];
        }
    }
    for segment in rest {
        at.push(segment.clone());
        if !modules.contains(&at) {
            at.pop();
            break;
        }
    }
    Some(at)
}

/// Reads a file, and those of the modules in it.
fn read(
    file: &Path,
    children: &Path,
    name: Vec<String>,
    modules: &mut BTreeMap<Vec<String>, Module>,
) {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let tokens = text
        .parse()
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    module(tokens, file, children, name, modules);
}

fn module(
    tokens: TokenStream,
    file: &Path,
    children: &Path,
    name: Vec<String>,
    modules: &mut BTreeMap<Vec<String>, Module>,
) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut named = Vec::new();
    let mut at = 0;
    let mut for_tests = false;
    let mut is_public = false;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                if let Some(TokenTree::Group(group)) = tokens.get(at + 1) {
                    for_tests |= is_for_tests(group);
                    at += 2;
                    continue;
                }
                at += 1;
            }
            TokenTree::Ident(ident) if *ident == "pub" => {
                is_public = true;
                at += 1;
                if matches!(tokens.get(at), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis)
                {
                    at += 1;
                }
                continue;
            }
            TokenTree::Ident(ident) if *ident == "mod" => {
                let Some(TokenTree::Ident(child)) = tokens.get(at + 1) else {
                    at += 1;
                    continue;
                };
                let child = child.to_string();
                let mut path = name.clone();
                path.push(child.clone());
                if !for_tests {
                    let below = children.join(&child);
                    match tokens.get(at + 2) {
                        Some(TokenTree::Group(group)) => {
                            module(group.stream(), file, &below, path, modules)
                        }
                        _ => {
                            let flat = children.join(format!("{child}.rs"));
                            let nested = below.join("mod.rs");
                            let file = if flat.exists() { flat } else { nested };
                            read(&file, &below, path, modules);
                        }
                    }
                }
                at += 3;
            }
            _ if for_tests => at = end_of_item(&tokens, at),
            TokenTree::Ident(ident) if *ident == "use" => {
                let end = end_of_item(&tokens, at);
                trees(&tokens[at + 1..end], &[], is_public, &mut named);
                at = end;
            }
            TokenTree::Ident(_) => at = path(&tokens, at, &mut named),
            TokenTree::Group(group) => {
                within(group.stream(), &mut named);
                at += 1;
            }
            _ => at += 1,
        }
        for_tests = false;
        is_public = false;
    }
    modules.insert(
        name,
        Module {
            file: file.to_owned(),
            named,
        },
    );
}

/// The paths in the body of an item.
fn within(tokens: TokenStream, named: &mut Vec<Named>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(ident) if *ident == "use" => {
                let end = end_of_item(&tokens, at);
                trees(&tokens[at + 1..end], &[], false, named);
                at = end;
            }
            TokenTree::Ident(_) => at = path(&tokens, at, named),
            TokenTree::Group(group) => {
                within(group.stream(), named);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// Takes a path in the code, of two segments at least. Gives back what comes after it.
fn path(tokens: &[TokenTree], mut at: usize, named: &mut Vec<Named>) -> usize {
    let mut segments = Vec::new();
    while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
        segments.push(ident.to_string());
        at += 1;
        if !is_separator(tokens, at) {
            break;
        }
        at += 2;
    }
    if segments.len() > 1 {
        named.push(Named {
            segments,
            is_reexport: false,
        });
    }
    at
}

/// Takes the paths of a `use`.
fn trees(tokens: &[TokenTree], before: &[String], is_reexport: bool, named: &mut Vec<Named>) {
    let is_comma =
        |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    for tree in tokens.split(is_comma) {
        let mut segments = before.to_vec();
        let mut at = 0;
        while let Some(token) = tree.get(at) {
            match token {
                TokenTree::Ident(ident) if *ident == "as" => break,
                TokenTree::Ident(ident) if *ident == "self" && !segments.is_empty() => {}
                TokenTree::Ident(ident) => segments.push(ident.to_string()),
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    trees(&inner, &segments, is_reexport, named);
                    segments.clear();
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
        if !segments.is_empty() && !tree.is_empty() {
            named.push(Named {
                segments,
                is_reexport,
            });
        }
    }
}

fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    let is_colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    is_colon(at) && is_colon(at + 1)
}

/// Where an item ends: after its `;`, or after its body.
fn end_of_item(tokens: &[TokenTree], from: usize) -> usize {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    };
    let use_item = matches!(&tokens[from], TokenTree::Ident(ident) if *ident == "use");
    let found = tokens[from..].iter().position(|token| match use_item {
        // The braces of a `use` are a part of it.
        true => matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';'),
        false => is_end(token),
    });
    found.map_or(tokens.len(), |length| from + length + 1)
}
