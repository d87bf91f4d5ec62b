//! Names, counts and numbers as people read them.

use maud::{Markup, Render, html};

use super::untrusted::Untrusted;

/// How many names a sentence holds.
const NAMES: usize = 12;

/// Names as markup, of many the first.
pub fn names(names: &[Untrusted]) -> Markup {
    let shown = names
        .iter()
        .take(NAMES)
        .map(|name| html! { code { (name) } });
    html! {
        (listed(shown, ", "))
        @if names.len() > NAMES { ", " (count((names.len() - NAMES) as u64, "more", "more")) }
    }
}

/// Items one after the other.
pub fn listed(items: impl IntoIterator<Item = impl Render>, between: &str) -> Markup {
    html! {
        @for (at, item) in items.into_iter().enumerate() {
            @if at > 0 { (between) }
            (item)
        }
    }
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
