//! The one table of exit statuses and examples: helps, manual pages and the book have them
//! from here. Each command has a row.

use clap::Command;

use super::row::{GROUP, Row};
use crate::{
    completions, config, diff, doctor, extension, image, man, plan, policy, rehearse, status,
};

/// Every command, in the order of the help.
pub const ROWS: &[Row] = &[
    Row {
        examples: &["srctl plan initrd.img", "srctl doctor", "srctl status"],
        ..GROUP
    },
    extension::ROW,
    extension::pull::ROW,
    extension::list::ROW,
    extension::validate::ROW,
    extension::pack::ROW,
    extension::install::ROW,
    config::ROW,
    config::ADD_EXTENSION,
    config::REMOVE_EXTENSION,
    policy::ROW,
    policy::new::ROW,
    policy::build::ROW,
    policy::test::ROW,
    policy::run::ROW,
    policy::inspect::ROW,
    policy::bench::ROW,
    policy::compile::ROW,
    policy::sign::ROW,
    policy::verify::ROW,
    policy::push::ROW,
    policy::pull::ROW,
    image::ROW,
    image::add_policy::ROW,
    image::stage::ROW,
    plan::ROW,
    diff::ROW,
    rehearse::ROW,
    status::ROW,
    doctor::ROW,
    completions::ROW,
    man::ROW,
];

/// Gives each command its exit statuses and examples.
pub fn described(command: Command) -> Command {
    with_rows(command, "")
}

fn with_rows(mut command: Command, path: &str) -> Command {
    if let Some(row) = ROWS.iter().find(|row| row.command == path) {
        command = command.after_help(text(row));
    }
    command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        let path = path.trim_start().to_owned();
        with_rows(below, &path)
    })
}

fn text(row: &Row) -> String {
    let mut text = String::from("Exit status:\n");
    for (number, when) in row.statuses() {
        text.push_str(&format!("  {number:<4} {when}\n"));
    }
    text.push_str("\nExamples:\n");
    for example in row.examples {
        text.push_str(&format!("  {example}\n"));
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::command::{Command as Srctl, definition};

    /// The words after `srctl` of all commands.
    fn commands(command: &Command, path: &str, all: &mut BTreeSet<String>) {
        all.insert(path.to_owned());
        for below in command.get_subcommands() {
            let path = format!("{path} {}", below.get_name());
            commands(below, path.trim_start(), all);
        }
    }

    #[test]
    fn every_help_has_exit_statuses_and_two_examples() {
        let mut all = BTreeSet::new();
        commands(&Srctl::command(), "", &mut all);
        let rows: Vec<_> = ROWS.iter().map(|row| row.command.to_owned()).collect();
        let unique: BTreeSet<_> = rows.iter().cloned().collect();
        assert_eq!(unique.len(), rows.len(), "{rows:?}");
        assert_eq!(unique, all);
        for row in ROWS {
            assert!(row.examples.len() >= 2, "srctl {}", row.command);
            let mut help = definition();
            for word in row.command.split_whitespace() {
                help = help.find_subcommand(word).expect(word).clone();
            }
            let help = help.render_long_help().to_string();
            for words in ["Exit status:\n  0 ", "\n  2 ", "Examples:\n  srctl"] {
                assert!(help.contains(words), "{words} is not in {help}");
            }
        }
    }

    #[test]
    fn every_example_is_a_command_line_of_its_command() {
        for row in ROWS {
            for example in row.examples {
                // What a shell does with the rest of the line is not the command's.
                let end = example.find([';', '|', '>', '&']).unwrap_or(example.len());
                let words = example[..end].split_whitespace();
                let matches = definition().try_get_matches_from(words);
                let matches = matches.unwrap_or_else(|error| panic!("{example}: {error}"));
                let mut path = Vec::new();
                let mut below = matches.subcommand();
                while let Some((name, matches)) = below {
                    path.push(name);
                    below = matches.subcommand();
                }
                assert!(
                    path.join(" ").starts_with(row.command),
                    "{example} is not an example of {}",
                    row.command
                );
            }
        }
    }

    #[test]
    fn the_table_of_the_book_is_that_of_the_helps() {
        let page = include_str!("../../../book/reference/exit-statuses.md");
        for row in ROWS {
            let (Some(unfit), unknown) = (row.unfit, row.unknown) else {
                assert!(row.unknown.is_none(), "{}", row.command);
                continue;
            };
            let line = format!(
                "| `srctl {}` | {unfit} | {} |\n",
                row.command,
                unknown.unwrap_or_default()
            )
            .replace("|  |\n", "| |\n");
            // The groups are sums of what is below them.
            if !definition()
                .find_subcommand(row.command)
                .is_some_and(Command::has_subcommands)
                && !row.command.is_empty()
            {
                assert!(page.contains(&line), "the page lacks\n{line}");
            }
        }
    }
}
