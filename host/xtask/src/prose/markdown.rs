//! What is looked at in a Markdown document.

use std::collections::HashSet;

use pulldown_cmark::{BrokenLink, Event, LinkType, Options, Parser, Tag, TagEnd};

/// A row of a table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What stands in backticks in its first cell.
    pub code: Vec<String>,
    /// The text of its other cells.
    pub rest: String,
}

/// A link.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it leads, as it is written.
    pub target: String,
    /// Its text, where that is code and nothing else.
    pub code: Option<String>,
}

fn events(document: &str) -> impl Iterator<Item = Event<'_>> {
    // What a link refers to and the document does not define would be no link at all.
    let undefined = |link: BrokenLink<'_>| {
        let refers = link.link_type == LinkType::Reference;
        refers.then(|| (link.reference.into_string().into(), "".into()))
    };
    Parser::new_with_broken_link_callback(document, Options::ENABLE_TABLES, Some(undefined))
}

/// The rows of the tables whose first column has this title.
pub fn rows(document: &str, title: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = Row::default();
    let (mut first_cell, mut cell) = (String::new(), 0);
    let mut wanted = false;
    for event in events(document) {
        match event {
            Event::Start(Tag::TableHead | Tag::TableRow) => {
                (row, cell) = (Row::default(), 0);
                first_cell.clear();
            }
            Event::End(TagEnd::TableHead) => wanted = first_cell == title,
            Event::End(TagEnd::TableRow) if wanted => rows.push(std::mem::take(&mut row)),
            Event::End(TagEnd::TableCell) => cell += 1,
            Event::Code(text) if cell == 0 => row.code.push(text.to_string()),
            Event::Text(text) if cell == 0 => first_cell.push_str(&text),
            Event::Code(text) | Event::Text(text) => row.rest.push_str(&text),
            _ => {}
        }
    }
    rows
}

/// All links.
pub fn links(document: &str) -> Vec<Link> {
    let mut links = Vec::new();
    let mut open = None;
    for event in events(document) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                open = Some((dest_url.to_string(), None, true));
            }
            Event::Code(text) => {
                if let Some((_, code @ None, _)) = &mut open {
                    *code = Some(text.to_string());
                }
            }
            Event::Text(_) => {
                if let Some((_, _, alone)) = &mut open {
                    *alone = false;
                }
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                if let Some((target, code, alone)) = open.take() {
                    links.push(Link {
                        target,
                        code: code.filter(|_| alone),
                    });
                }
            }
            _ => {}
        }
    }
    links
}

/// The names by which links reach the headings of a document.
pub fn anchors(document: &str) -> HashSet<String> {
    let mut anchors = HashSet::new();
    let mut heading = None;
    for event in events(document) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Code(text) | Event::Text(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => anchors.extend(heading.take().map(|text| {
                let kept = text.to_lowercase().replace(' ', "-");
                kept.replace(|c: char| !(c.is_alphanumeric() || "-_".contains(c)), "")
            })),
            _ => {}
        }
    }
    anchors
}

#[test]
fn the_rows_of_tables_of_one_kind_are_read() {
    let document = "\
| message | cause |\n|---|---|\n| `a \\| b`<br>`` `c` `` | d `e` |\n\n\
| other | cause |\n|---|---|\n| `f` | g |\n";
    let expected = Row {
        code: vec!["a | b".into(), "`c`".into()],
        rest: "d e".into(),
    };
    assert_eq!(rows(document, "message"), [expected]);
    assert_eq!(rows(document, "missing"), []);
}

#[test]
fn links_and_what_they_lead_to_are_read() {
    let document =
        "## What `it` is, and isn't\n[`a`](b.rs) [c `d`](e) [`f`][g] [`j`][k] [l]\n\n[g]: h.rs#i\n";
    let link = |target: &str, code: Option<&str>| Link {
        target: target.into(),
        code: code.map(Into::into),
    };
    let expected = [
        link("b.rs", Some("a")),
        link("e", None),
        link("h.rs#i", Some("f")),
        link("k", Some("j")),
    ];
    assert_eq!(links(document), expected);
    assert_eq!(
        anchors(document),
        HashSet::from(["what-it-is-and-isnt".into()])
    );
}
