//! Documents that have tables of outcomes, and lists of codes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use super::{Row, Table};

/// How the head of a table of outcomes begins.
const HEAD: &str = "| code |";

/// What is above the codes of a list that nothing has any more.
const RETIRED: &str = "\nNo longer used, and not to be used again:\n";

/// A document with the outcomes of some crates.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    /// Its file.
    pub path: &'a Path,
    /// The outcomes that it explains.
    pub tables: &'a [Table],
    /// The folders of the sources that declare them.
    pub sources: &'a [PathBuf],
    /// What these sources declare and another document explains.
    pub elsewhere: &'a [Table],
    /// The list of their codes.
    pub codes: &'a str,
}

impl Document<'_> {
    /// Checks that the list has the code of each outcome, that the tables are those of the
    /// sources, and that the document has them. With `INSTA_UPDATE=always` in the environment
    /// it is written again.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self) -> Result<(), String> {
        same("the list of codes", &used(self.codes)?, &codes(self.tables))?;
        let declared = declared(self.sources).map_err(|error| error.to_string())?;
        let listed = [self.tables, self.elsewhere].concat();
        same("the tables", &declarations(&listed), &declared)?;
        let failed = |error: io::Error| format!("{}: {error}", self.path.to_string_lossy());
        let document = fs::read_to_string(self.path).map_err(failed)?;
        let written = with_tables(&document, self.tables)?;
        if document == written {
            return Ok(());
        }
        match env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
            true => fs::write(self.path, written).map_err(failed),
            false => Err(format!(
                "{} has other outcomes than the sources: run this test again with INSTA_UPDATE=always",
                self.path.to_string_lossy()
            )),
        }
    }
}

/// Checks that what is listed is what the sources declare.
fn same(what: &str, listed: &[String], declared: &[String]) -> Result<(), String> {
    let other = |of: &[String], than: &[String]| -> Vec<String> {
        of.iter()
            .filter(|one| !than.contains(one))
            .cloned()
            .collect()
    };
    match listed == declared {
        true => Ok(()),
        false => Err(format!(
            "{what}: not listed are {:?}, not declared {:?}, or one of them is there twice",
            other(declared, listed),
            other(listed, declared)
        )),
    }
}

/// The codes of a list that are used; those that are not any more are below them.
///
/// # Errors
/// What is wrong with the list: it is not sorted, or a code that was retired is used again.
fn used(list: &str) -> Result<Vec<String>, String> {
    let (used, retired) = list
        .split_once(RETIRED)
        .ok_or_else(|| format!("the list lacks {RETIRED:?}"))?;
    let used: Vec<&str> = used.lines().collect();
    if !used.is_sorted_by(|one, next| one < next) {
        return Err("the list is not sorted, or has a code twice".into());
    }
    match retired.lines().find(|code| used.contains(code)) {
        Some(code) => Err(format!("{code} was retired, and is used again")),
        None => Ok(used.into_iter().map(str::to_owned).collect()),
    }
}

/// The codes of tables, sorted.
fn codes(tables: &[Table]) -> Vec<String> {
    let rows = tables.iter().flat_map(|table| table.rows);
    let mut codes: Vec<String> = rows.map(|row| row.code.to_string()).collect();
    codes.sort();
    codes
}

/// The enums of tables as their declarations begin, sorted: `NAME in "SECTION"`.
fn declarations(tables: &[Table]) -> Vec<String> {
    let mut names: Vec<String> = tables
        .iter()
        .map(|table| format!("{} in \"{}\"", table.name, table.section))
        .collect();
    names.sort();
    names
}

/// The enums of outcomes that the sources below folders declare, as [`declarations`] has them.
///
/// # Errors
/// The system's, of the folders and their files.
fn declared(folders: &[PathBuf]) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for folder in folders {
        collect(folder, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path)?;
            found.extend(text.lines().filter_map(declaration).map(str::to_owned));
        }
    }
    Ok(())
}

/// The enum whose declaration begins with a line of a source.
fn declaration(line: &str) -> Option<&str> {
    let (visible, declared) = line.trim().strip_suffix(" {")?.split_once("enum ")?;
    let is_outcomes = declared.contains(" in \"") && !visible.contains("//");
    is_outcomes.then_some(declared)
}

/// A document with its tables as they are to be: each follows a comment that names it.
///
/// # Errors
/// A table that the document lacks or should not have, or an outcome without a remedy.
fn with_tables(document: &str, tables: &[Table]) -> Result<String, String> {
    let mut missing: BTreeSet<&str> = tables.iter().map(|table| table.section).collect();
    let mut text = String::new();
    let mut lines = document.lines().peekable();
    while let Some(line) = lines.next() {
        let _ = writeln!(text, "{line}");
        let Some(section) = marked(line) else {
            continue;
        };
        if !missing.remove(section) {
            return Err(format!("there are no outcomes for a table {section}"));
        }
        while lines.next_if(|line| line.is_empty()).is_some() {}
        if lines.peek().is_some_and(|line| line.starts_with(HEAD)) {
            while lines.next_if(|line| line.starts_with('|')).is_some() {}
        }
        let of_section = tables.iter().filter(|table| table.section == section);
        let _ = write!(text, "\n{}", table(of_section)?);
        if lines.peek().is_some_and(|line| !line.is_empty()) {
            text.push('\n');
        }
    }
    match missing.is_empty() {
        true => Ok(text),
        false => Err(format!("the document lacks the tables {missing:?}")),
    }
}

/// The name of the table that follows a comment.
fn marked(line: &str) -> Option<&str> {
    line.strip_prefix("<!-- outcomes: ")?.strip_suffix(" -->")
}

/// All outcomes of a section, by their codes.
fn table<'a>(tables: impl Iterator<Item = &'a Table>) -> Result<String, String> {
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for table in tables {
        let mut own: Vec<Vec<&Row>> = Vec::new();
        for row in table.rows {
            match own.last_mut().filter(|_| row.remedy.is_empty()) {
                Some(same) => same.push(row),
                None => own.push(vec![row]),
            }
        }
        groups.extend(own);
    }
    groups.sort_by_key(|rows| rows[0].code);
    let mut text = format!("{HEAD} message | cause, and what to do |\n|---|---|---|\n");
    for rows in groups {
        let join = |cell: fn(&Row) -> String| {
            let cells: Vec<String> = rows.iter().map(|row| cell(row)).collect();
            cells.join("<br>")
        };
        let remedy: Vec<&str> = rows[0].remedy.iter().map(|line| line.trim()).collect();
        if remedy.is_empty() {
            return Err(format!("{}: what to do?", rows[0].code));
        }
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            join(|row| row.code.to_string()),
            join(|row| cell(&placeholders(row.message))),
            remedy.join(" ").replace('|', "\\|")
        );
    }
    Ok(text)
}

/// A message with placeholders that have a name and nothing else.
fn placeholders(message: &str) -> String {
    let mut parts = message.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        let (name, _) = name.split_once(':').unwrap_or((name, ""));
        let _ = write!(text, "{{{}}}{rest}", name.to_lowercase());
    }
    text
}

/// A message as a cell of a table has it.
fn cell(message: &str) -> String {
    let message = message.replace('|', "\\|");
    match message.contains('`') {
        true => format!("`` {message} ``"),
        false => format!("`{message}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Code;

    const ROWS: [Row; 2] = [
        Row {
            code: Code::declared("SR-A02"),
            message: "{path} is not there",
            remedy: &[" Put it", " there."],
        },
        Row {
            code: Code::declared("SR-A03"),
            message: "it is `odd` | {WHY:?}",
            remedy: &[],
        },
    ];

    fn table_of(rows: &'static [Row]) -> Table {
        Table {
            name: "One",
            section: "one",
            rows,
        }
    }

    #[test]
    fn placeholders_have_names_alone() {
        assert_eq!(
            placeholders("{a} (mode {mode:04o}) {OWN}"),
            "{a} (mode {mode}) {own}"
        );
        assert_eq!(cell("`a` | b"), "`` `a` \\| b ``");
    }

    #[test]
    fn a_table_is_written_again_at_its_place() {
        let document = "before\n<!-- outcomes: one -->\n\n| code | old |\n| x | y |\n\nafter\n";
        let written = with_tables(document, &[table_of(&ROWS)]).unwrap();
        let table = "| code | message | cause, and what to do |\n|---|---|---|\n\
             | SR-A02<br>SR-A03 | `{path} is not there`<br>`` it is `odd` \\| {why} `` | Put it there. |\n";
        assert_eq!(
            written,
            format!("before\n<!-- outcomes: one -->\n\n{table}\nafter\n")
        );
        assert_eq!(with_tables(&written, &[table_of(&ROWS)]).unwrap(), written);
        for (document, rows) in [("no table", &ROWS[..]), (document, &ROWS[1..])] {
            assert!(with_tables(document, &[table_of(rows)]).is_err());
        }
        assert!(with_tables(document, &[]).is_err());
    }

    #[test]
    fn a_code_is_listed_once_and_never_used_again() {
        let list = |codes: &str, retired: &str| format!("{codes}{RETIRED}{retired}");
        assert_eq!(used(&list("SR-A01\nSR-A02\n", "")).unwrap().len(), 2);
        for wrong in [
            list("SR-A02\nSR-A01\n", ""),
            list("SR-A01\nSR-A01\n", ""),
            list("SR-A01\n", "SR-A01\n"),
            "SR-A01\n".into(),
        ] {
            assert!(used(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn declarations_are_found_in_sources() {
        let line = "    pub(crate) enum Bad in \"here\" {";
        assert_eq!(declaration(line), Some("Bad in \"here\""));
        for other in ["pub enum Bad {", "/// pub enum Bad in \"here\" {", "enum"] {
            assert_eq!(declaration(other), None);
        }
    }
}
