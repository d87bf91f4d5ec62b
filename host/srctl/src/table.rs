//! Tables for people: columns as wide as what is in them.

use policy::escape;

/// The most of a cell that is shown, in bytes.
const CELL: usize = 4096;

/// Lays rows out under their headings, two spaces between columns; the last
/// column is as long as it is. What is in cells may come from images: it cannot
/// control the terminal, or look like another row.
pub fn table<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    let headings = headings.map(str::to_owned);
    let rows: Vec<_> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| escape::message(cell, CELL)))
        .collect();
    let all = || std::iter::once(&headings).chain(&rows);
    let width = |column: usize| {
        all()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A number of bytes for people: `512 B`, `1.5 MiB`.
pub fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

/// A count with its noun.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
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
}
