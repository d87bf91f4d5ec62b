//! Whether what the documents link to is there.
//!
//! A link whose text is code, and that leads to a source file, cites what that file
//! defines: a test as the proof of a claim, a function or a constant as its mechanism.

use std::fs;
use std::path::Path;

use super::{files, markdown, repository};

/// Folders whose documents are not of this repository, or are written into others.
const LEFT_OUT: [&str; 2] = ["target", "templates"];

/// Why a link of the document at `path` does not hold, if it does not.
fn broken(path: &Path, link: &markdown::Link) -> Option<String> {
    if link.target.contains("://") {
        return None;
    }
    let (file, anchor) = match link.target.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (link.target.as_str(), None),
    };
    let file = match file {
        "" => path.to_owned(),
        file => path.parent()?.join(file),
    };
    if file.is_dir() {
        return None;
    }
    let Ok(text) = fs::read_to_string(&file) else {
        return Some("is not there".into());
    };
    if let Some(anchor) = anchor
        && !markdown::anchors(&text).contains(anchor)
    {
        return Some(format!("has no heading #{anchor}"));
    }
    let name = link.code.as_deref()?;
    let source = file.extension().is_some_and(|ending| ending == "rs");
    (source && !defines(&text, name)).then(|| format!("does not define {name}"))
}

/// Whether a source file defines a name, or says a path.
fn defines(source: &str, name: &str) -> bool {
    if name.contains(['/', '.']) {
        return true;
    }
    let words: Vec<&str> = source
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .collect();
    let keywords = ["fn", "const", "static", "struct", "enum", "mod"];
    words
        .windows(2)
        .any(|pair| keywords.contains(&pair[0]) && pair[1] == name)
}

#[test]
fn what_documents_link_to_is_there() {
    let mut wrong = Vec::new();
    for path in files(&LEFT_OUT).filter(|path| path.extension().is_some_and(|it| it == "md")) {
        let text = fs::read_to_string(&path).unwrap();
        for link in markdown::links(&text) {
            if let Some(why) = broken(&path, &link) {
                wrong.push(format!("{}: {} {why}", path.display(), link.target));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_link_to_what_is_gone_is_found() {
    let here = repository().join("host/xtask/README.md");
    let link = |target: &str, code: Option<&str>| markdown::Link {
        target: target.into(),
        code: code.map(Into::into),
    };
    let broken = |target, code| broken(&here, &link(target, code));
    assert_eq!(broken("src/prose/links.rs", Some("defines")), None);
    assert_eq!(broken("src/prose/links.rs", Some("LEFT_OUT")), None);
    assert_eq!(
        broken("src/prose/links.rs", Some("src/prose/links.rs")),
        None
    );
    assert_eq!(broken("src", None), None);
    assert_eq!(broken("../../README.md#the-tree", None), None);
    assert!(broken("src/prose/links.rs", Some("define")).is_some());
    assert!(broken("src/prose/link.rs", None).is_some());
    assert!(broken("../../README.md#the-forest", None).is_some());
}
