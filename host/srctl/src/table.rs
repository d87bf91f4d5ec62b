//! Tables for people: columns as wide as what is in them.

use std::io::Write;

use switch_root_core::escape;
use tabwriter::TabWriter;

use crate::style::{Stream, Tone, paint_if, wanted};

/// The most of a cell that is shown, in bytes.
const CELL: usize = 4096;

/// Lays rows out under their headings, two spaces between columns; the last
/// column is as long as it is. What is in cells may come from images: it cannot
/// control the terminal, or look like another row.
pub fn table<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    toned_table(headings, rows, |_, _| None)
}

/// The same without colours, for a file.
pub fn plain_table<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    lay_out(headings, rows, |_, _| None, false)
}

/// The same, for standard output, with cells that have a tone: `tone` gives that of a
/// column's cell.
pub fn toned_table<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
    tone: impl Fn(usize, &str) -> Option<Tone>,
) -> String {
    lay_out(headings, rows, tone, wanted(Stream::Output))
}

fn lay_out<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
    tone: impl Fn(usize, &str) -> Option<Tone>,
    coloured: bool,
) -> String {
    let headings = headings.map(str::to_owned);
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            row.each_ref()
                .map(|cell| escape::visible(&escape::message(cell, CELL)).into_owned())
        })
        .collect();
    let mut text = String::new();
    for (number, row) in std::iter::once(&headings).chain(&rows).enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let tone = match number {
                0 => Some(Tone::Heading),
                _ => tone(column, cell),
            };
            text.push_str(if column > 0 { "\t" } else { "" });
            match tone {
                Some(tone) => text.push_str(&paint_if(coloured, tone, cell)),
                None => text.push_str(cell),
            }
        }
        text.push('\n');
    }
    let writer = TabWriter::new(Vec::new()).minwidth(0).ansi(true);
    let laid_out = aligned(writer, &text).unwrap_or(text);
    let lines = laid_out
        .lines()
        .map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

/// Columns that tabs separate, with spaces between them. Nothing fails: it is written to memory.
fn aligned(mut writer: TabWriter<Vec<u8>>, text: &str) -> Option<String> {
    writer.write_all(text.as_bytes()).ok()?;
    String::from_utf8(writer.into_inner().ok()?).ok()
}

/// Digits of a digest that are shown of a layer's name: it has the whole one where its
/// image was named by it, and JSON has it, too.
const DIGITS: usize = 12;

/// The name of a layer without most of the digests in it.
pub fn short(name: &str) -> String {
    let mut short = String::new();
    let mut rest = name;
    while let Some((before, behind)) = rest.split_once("sha256-") {
        let digits = behind.bytes().take_while(u8::is_ascii_hexdigit).count();
        short.push_str(before);
        short.push_str("sha256-");
        let (digest, behind) = behind.split_at(digits);
        short.push_str(&digest[..digits.min(DIGITS)]);
        if digits > DIGITS {
            short.push_str("...");
        }
        rest = behind;
    }
    short + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_in_its_row() {
        let rows = [["1\n2 compatible".to_owned(), "\u{1b}[2J".to_owned()]];
        assert_eq!(
            table(["A", "B"], &rows),
            "A                B\n1\\n2 compatible  \\x1b[2J\n"
        );
        let rows = [["a\u{202e}b".to_owned(), "x".to_owned()]];
        assert_eq!(
            table(["A", "B"], &rows),
            "A               B\na\\xe2\\x80\\xaeb  x\n"
        );
    }

    #[test]
    fn colours_change_no_width() {
        let rows = [["a".to_owned(), "yes".to_owned(), "x".to_owned()]];
        let tone = |column, cell: &str| (column == 1 && cell == "yes").then_some(Tone::Good);
        let plain = lay_out(["ONE", "TWO", "THREE"], &rows, tone, false);
        let coloured = lay_out(["ONE", "TWO", "THREE"], &rows, tone, true);
        assert_ne!(plain, coloured);
        assert!(coloured.contains("\u{1b}[32myes\u{1b}[0m"), "{coloured:?}");
        let mut stripped = String::new();
        for part in coloured.split('\u{1b}') {
            stripped.push_str(part.split_once('m').map_or(part, |(_, text)| text));
        }
        assert_eq!(stripped, plain);
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [
            ["a".to_owned(), "größe".to_owned(), String::new()],
            ["long name".to_owned(), String::new(), "x".to_owned()],
        ];
        assert_eq!(
            table(["NAME", "WHAT", "WHY"], &rows),
            "NAME       WHAT   WHY\na          größe\nlong name         x\n"
        );
    }

    #[test]
    fn wide_and_combining_characters_are_as_wide_as_shown() {
        let rows = [
            ["名前".to_owned(), "x".to_owned()],
            ["e\u{301}".to_owned(), "y".to_owned()],
        ];
        assert_eq!(
            table(["A", "B"], &rows),
            "A     B\n名前  x\ne\u{301}     y\n"
        );
    }

    #[test]
    fn names_of_layers_are_short() {
        let digest = "0123456789abcdef".repeat(4);
        for (name, expected) in [
            ("000.a-b-v1.sqsh", "000.a-b-v1.sqsh"),
            (
                &format!("000.r-a-sha256-{digest}.sqsh"),
                "000.r-a-sha256-0123456789ab....sqsh",
            ),
            ("sha256-", "sha256-"),
            ("sha256-12-sha256-äö", "sha256-12-sha256-äö"),
        ] {
            assert_eq!(short(name), expected);
        }
    }
}
