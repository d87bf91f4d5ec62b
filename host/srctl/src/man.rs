//! `srctl man`: made of the definition of the command line, so that the pages say what it does.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::roff::{Roff, bold, roman};
use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::output::AtomicFile;

use crate::command::row::{MAKER, Row};
use crate::outcome::Outcome;
use crate::print::print;

switch_root_core::outcomes! {
    /// Why there are no pages.
    pub(crate) enum NoPages in "srctl" {
        /// The system's own words follow.
        "SR-H81" Make = "cannot make the manual pages",
    }
}

/// `srctl man`.
#[derive(Debug, Args)]
pub struct Man {
    /// A folder that gets a page for each command. Without it the page of srctl is printed.
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "man",
    fine: "they were printed or written",
    examples: &[
        "srctl man | man -l -",
        "srctl man -o /usr/local/share/man/man1",
    ],
    ..MAKER
};

/// The section of manuals that commands are in.
const SECTION: &str = "1";

/// Prints the page of srctl, or writes those of all commands into a folder.
pub fn run(command: &Man, definition: Command, rows: &[Row]) -> Result<Outcome> {
    let pages = pages(definition, rows)?;
    let Some(folder) = &command.output else {
        let (_, page) = &pages[0];
        print(&String::from_utf8_lossy(page))?;
        return Ok(Outcome::Fine);
    };
    std::fs::create_dir_all(folder).map_err(|error| {
        let path = folder.shown();
        Error::system(Attempt::MakeFolder { path }, &error)
    })?;
    for (name, page) in pages {
        let path = folder.join(format!("{name}.{SECTION}"));
        let file = AtomicFile::create(&path)?;
        file.as_file().write_all(&page).map_err(|error| {
            let path = path.shown();
            Error::system(Attempt::Write { path }, &error)
        })?;
        file.commit()?;
    }
    Ok(Outcome::Fine)
}

/// The name and the text of each page, that of srctl first.
fn pages(definition: Command, rows: &[Row]) -> Result<Vec<(String, Vec<u8>)>> {
    // `help` explains nothing that the pages do not.
    let mut definition = definition.disable_help_subcommand(true);
    definition.build();
    let mut pages = Vec::new();
    add(&definition, rows, "", &[], &mut pages)
        .map_err(|error| Error::system(NoPages::Make, &error))?;
    Ok(pages)
}

/// Adds the page of a command and those of the commands below it. `path` are the words after
/// `srctl`, and `others` the pages that a reader of this one may want, too.
fn add(
    command: &Command,
    rows: &[Row],
    path: &str,
    others: &[String],
    pages: &mut Vec<(String, Vec<u8>)>,
) -> std::io::Result<()> {
    let name = name(command);
    let below: Vec<&Command> = shown(command).collect();
    let mut page = title(&name).into_bytes();
    let man = clap_mangen::Man::new(command.clone());
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if !below.is_empty() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(row) = rows.iter().find(|row| row.command == path) {
        exit_status(row, &mut page)?;
        examples(row, &mut page)?;
    }
    let names: Vec<String> = below.iter().map(|command| self::name(command)).collect();
    let related = others.iter().chain(&names).filter(|other| **other != name);
    see_also(related, &mut page)?;
    pages.push((name.clone(), page));
    let mut related = vec![name];
    related.extend(names);
    for command in below {
        let path = format!("{path} {}", command.get_name());
        add(command, rows, path.trim_start(), &related, pages)?;
    }
    Ok(())
}

/// The first line of a page. It has no date, so that the same sources make the same page;
/// clap_mangen would leave the argument out, and the others would move up.
fn title(name: &str) -> String {
    let name = name.to_uppercase();
    let version = env!("CARGO_PKG_VERSION");
    format!(".TH \"{name}\" \"{SECTION}\" \"\" \"switch-root {version}\" \"switch-root\"\n")
}

/// Writes what each exit status means.
fn exit_status(row: &Row, page: &mut Vec<u8>) -> std::io::Result<()> {
    let mut section = Roff::new();
    section.control("SH", ["EXIT STATUS"]);
    for (number, when) in row.statuses() {
        section.control("TP", []);
        section.text([bold(number.to_string())]).text([roman(when)]);
    }
    section.to_writer(page)
}

/// Writes how the command is called.
fn examples(row: &Row, page: &mut Vec<u8>) -> std::io::Result<()> {
    let mut section = Roff::new();
    section.control("SH", ["EXAMPLES"]);
    for example in row.examples {
        section.control("PP", []).control("nf", []);
        section.text([roman(*example)]).control("fi", []);
    }
    section.to_writer(page)
}

/// Writes the references to other pages, if there are any.
fn see_also<'a>(
    names: impl Iterator<Item = &'a String>,
    page: &mut Vec<u8>,
) -> std::io::Result<()> {
    let mut words = Vec::new();
    for name in names {
        if !words.is_empty() {
            words.push(roman(", "));
        }
        words.push(bold(name));
        words.push(roman(format!("({SECTION})")));
    }
    if words.is_empty() {
        return Ok(());
    }
    let mut section = Roff::new();
    section.control("SH", ["SEE ALSO"]).text(words);
    section.to_writer(page)
}

/// What the page of a command is called: `srctl-extension-pull`.
fn name(command: &Command) -> String {
    let name = command.get_display_name();
    name.unwrap_or_else(|| command.get_name()).to_owned()
}

/// The commands below one that are no secret.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::command::definition;
    use crate::command::statuses::ROWS;

    fn written() -> Vec<(String, Vec<u8>)> {
        pages(definition(), ROWS).unwrap()
    }

    /// The names of all commands below one, with dashes, and whether they are shown.
    fn commands(command: &Command, prefix: &str, shown: bool, all: &mut Vec<(String, bool)>) {
        let name = format!("{prefix}{}", command.get_name());
        all.push((name.clone(), shown));
        for below in command.get_subcommands() {
            let shown = shown && !below.is_hide_set();
            commands(below, &format!("{name}-"), shown, all);
        }
    }

    #[test]
    fn every_command_has_a_page_and_hidden_ones_have_none() {
        let mut all = Vec::new();
        commands(&definition(), "", true, &mut all);
        let expected: BTreeSet<_> = all
            .iter()
            .filter(|(_, shown)| *shown)
            .map(|(name, _)| name.clone())
            .collect();
        let pages = written();
        assert_eq!(pages[0].0, "srctl");
        let found: BTreeSet<_> = pages.into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, expected);
        assert!(found.contains("srctl-extension-pull"));
    }

    #[test]
    fn a_hidden_command_is_on_no_page() {
        let mut definition = Command::new("top")
            .subcommand(Command::new("seen"))
            .subcommand(Command::new("secret").hide(true));
        definition.build();
        let mut pages = Vec::new();
        add(
            &definition.disable_help_subcommand(true),
            &[],
            "",
            &[],
            &mut pages,
        )
        .unwrap();
        let names: Vec<_> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert!(!names.contains(&"top-secret"), "{names:?}");
        for (name, page) in &pages {
            let page = String::from_utf8_lossy(page);
            assert!(!page.contains("secret"), "{name}: {page}");
        }
    }

    #[test]
    fn sections_of_pages_have_their_usual_names() {
        for (name, page) in written() {
            let page = String::from_utf8_lossy(&page);
            let sections: Vec<_> = page
                .lines()
                .filter(|line| line.starts_with(".SH"))
                .collect();
            assert!(!page.contains(".SH EXTRA"), "{name}: {sections:?}");
            let last: Vec<_> = sections.iter().rev().take(3).rev().collect();
            assert_eq!(
                last,
                [&".SH \"EXIT STATUS\"", &".SH EXAMPLES", &".SH \"SEE ALSO\""],
                "{name}"
            );
        }
    }

    #[test]
    fn pages_refer_to_each_other() {
        let pages = written();
        let names: BTreeSet<_> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for (name, page) in &pages {
            let page = String::from_utf8_lossy(page);
            let (_, section) = page.split_once("SEE ALSO").expect(name);
            let references: Vec<String> = section
                .split("\\fB")
                .skip(1)
                .map(|rest| rest.split("\\fR").next().unwrap_or("").replace('\\', ""))
                .collect();
            assert!(!references.is_empty(), "{name}: {section}");
            for reference in references {
                assert!(names.contains(reference.as_str()), "{name}: {reference}");
                assert_ne!(reference, *name);
            }
        }
    }
}
