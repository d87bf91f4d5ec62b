//! A table of a page, with a bound on what it holds.

use maud::{Markup, Render, html};

use super::text;

/// The bytes of the page that the longest list takes: what survives.
pub const LONG: usize = 1_000_000;
/// The bytes of the page that another list takes.
pub const SHORT: usize = 250_000;

/// A table. A heading that begins with `#` stands over numbers. The rows, `<tr>...</tr>`,
/// take at most `room` bytes: once one does not fit none does, so what is shown are the
/// first rows, and how many found no room.
pub fn table(
    caption: impl Render,
    headings: &[&str],
    room: usize,
    rows: impl IntoIterator<Item = Markup>,
) -> Markup {
    let mut rows = rows.into_iter();
    let mut left = Some(room);
    let fits = |row: &Markup| {
        left = left.and_then(|left| left.checked_sub(row.0.len()));
        left.is_some()
    };
    let shown: Vec<Markup> = rows.by_ref().take_while(fits).collect();
    let left_out = rows.count() as u64 + u64::from(left.is_none());
    html! {
        div.scroll tabindex="0" {
            table {
                caption { (caption) }
                thead {
                    tr {
                        @for heading in headings {
                            @match heading.strip_prefix('#') {
                                Some(heading) => th scope="col" class="number" { (heading) },
                                None => th scope="col" { (heading) },
                            }
                        }
                    }
                }
                tbody {
                    "\n"
                    @for row in shown { (row) "\n" }
                    @if left_out > 0 {
                        tr {
                            td colspan=(headings.len()) {
                                "and " (text::count(left_out, "more", "more")) ": "
                                code { "--format json" } " lists all"
                            }
                        }
                        "\n"
                    }
                }
            }
        }
        "\n"
    }
}
