//! What a report says, which comes from an image that need not be honest: its texts enter
//! the page as [`Untrusted`] alone, so that they cannot become markup or script, and cannot
//! look like something that they are not.

use maud::{Escaper, Render};
use serde_json::Value;
use std::fmt::Write;

/// The most of one text that is shown, in bytes.
const LONGEST: usize = 4096;

/// A report or a part of it, which may lack anything. Nothing but this file sees its texts.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a>(&'a Value);

impl<'a> Report<'a> {
    /// A whole report.
    pub fn of(value: &'a Value) -> Self {
        Self(value)
    }

    /// A field, which may be missing.
    pub fn at(self, field: &str) -> Self {
        Self(&self.0[field])
    }

    /// The text of a field; empty if there is none.
    pub fn text(self, field: &str) -> Untrusted<'a> {
        self.given(field).unwrap_or_default()
    }

    /// The text of a field, if there is one.
    pub fn given(self, field: &str) -> Option<Untrusted<'a>> {
        self.0[field].as_str().map(Untrusted)
    }

    /// The number of a field; zero if there is none.
    pub fn number(self, field: &str) -> u64 {
        self.0[field].as_u64().unwrap_or_default()
    }

    /// Whether a field is true.
    pub fn holds(self, field: &str) -> bool {
        self.0[field] == true
    }

    /// The elements of an array; none if it is something else.
    pub fn list(self, field: &str) -> Vec<Self> {
        let list = self.0[field].as_array();
        list.map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .map(Report)
            .collect()
    }

    /// The texts of an array.
    pub fn texts(self, field: &str) -> Vec<Untrusted<'a>> {
        let list = self.list(field).into_iter();
        list.filter_map(|it| it.0.as_str().map(Untrusted)).collect()
    }
}

/// A text of a report. There is no way to it but to compare it, and to write it escaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Untrusted<'a>(&'a str);

impl PartialEq<&str> for Untrusted<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

/// For an element or an attribute.
impl Render for Untrusted<'_> {
    fn render_to(&self, page: &mut String) {
        // Writing to a String cannot fail.
        let _ = Escaper::new(page).write_str(&self.visible());
    }
}

impl Untrusted<'_> {
    /// As a JSON string in a script element: no character in it can end the element or
    /// begin a comment.
    pub fn json(self) -> String {
        let text = Value::from(self.visible()).to_string();
        text.replace('&', "\\u0026")
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
    }

    /// Writes characters that change how the text around them looks, without being seen
    /// (controls, directions, joiners, tags, and the separators that end a line in
    /// JavaScript), as `\u{202e}`, and cuts what is too long.
    pub fn visible(self) -> String {
        let mut shown = String::with_capacity(self.0.len().min(LONGEST));
        for c in self.0.chars() {
            if shown.len() >= LONGEST {
                shown.push('…');
                break;
            }
            if c.is_control() || switch_root_core::escape::is_invisible(c) {
                shown.extend(c.escape_unicode());
            } else {
                shown.push(c);
            }
        }
        shown
    }
}
