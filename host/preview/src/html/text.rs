//! Untrusted text, made fit for a page: it cannot become markup or script, and
//! cannot look like something that it is not.

use std::fmt::Write;

/// The most of one text that is shown, in bytes.
const LONGEST: usize = 4096;

/// How many names a sentence holds.
const NAMES: usize = 12;

/// Characters that change how the text around them looks, without being seen: controls,
/// directions, joiners, tags, and the separators that end a line in JavaScript.
fn is_invisible(c: char) -> bool {
    c.is_control() || switch_root_core::escape::is_invisible(c)
}

/// Writes invisible characters as `\u{202e}`, so that they are seen, and cuts
/// what is too long.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(LONGEST));
    for c in text.chars() {
        if shown.len() >= LONGEST {
            shown.push('…');
            break;
        }
        if is_invisible(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Text for an element or for an attribute in quotes.
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Names as markup, of many the first.
pub fn names(names: &[&str]) -> String {
    let mut shown: Vec<String> = names.iter().take(NAMES).map(|name| code(name)).collect();
    if names.len() > NAMES {
        shown.push(count((names.len() - NAMES) as u64, "more", "more"));
    }
    shown.join(", ")
}

/// Text as it is in the image, as markup.
pub fn code(text: &str) -> String {
    format!("<code>{}</code>", html(text))
}

/// Text as a JSON string in a script element: no character in it can end the
/// element or begin a comment.
pub fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    escaped.push('"');
    for c in visible(text).chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '<' | '>' | '&' => {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped.push('"');
    escaped
}

/// A count for people, with its noun: `1 file`, `12,345 files`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        grouped(number),
        if number == 1 { one } else { many }
    )
}

/// A number for people: `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
