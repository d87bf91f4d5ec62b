//! A table of a page, with a bound on what it holds.

use super::text;

/// The bytes of the page that another list takes.
pub const SHORT: usize = 250_000;

/// Rows between a heading and an end.
pub struct Table<'a> {
    page: &'a mut String,
    columns: usize,
    room: usize,
    left_out: u64,
}

impl<'a> Table<'a> {
    /// Begins a table. Headings are markup; one that begins with `#` stands
    /// over numbers. The rows take at most `room` bytes.
    pub fn begin(page: &'a mut String, caption: &str, headings: &[&str], room: usize) -> Self {
        page.push_str("<div class=\"scroll\" tabindex=\"0\"><table><caption>");
        page.push_str(caption);
        page.push_str("</caption><thead><tr>");
        for heading in headings {
            match heading.strip_prefix('#') {
                Some(heading) => page.push_str(&format!(
                    "<th scope=\"col\" class=\"number\">{heading}</th>"
                )),
                None => page.push_str(&format!("<th scope=\"col\">{heading}</th>")),
            }
        }
        page.push_str("</tr></thead><tbody>\n");
        Table {
            page,
            columns: headings.len(),
            room,
            left_out: 0,
        }
    }

    /// Adds a row, `<tr>...</tr>`, if there is still room for it.
    pub fn row(&mut self, markup: &str) {
        // Once one did not fit none does: what is shown are the first rows.
        if self.left_out > 0 || markup.len() > self.room {
            self.left_out += 1;
            return;
        }
        self.room -= markup.len();
        self.page.push_str(markup);
        self.page.push('\n');
    }

    /// Ends the table, and says how many rows found no room.
    pub fn end(self) {
        if self.left_out > 0 {
            self.page.push_str(&format!(
                "<tr><td colspan=\"{}\">and {}: <code>--format json</code> lists all</td></tr>\n",
                self.columns,
                text::count(self.left_out, "more", "more"),
            ));
        }
        self.page.push_str("</tbody></table></div>\n");
    }
}
