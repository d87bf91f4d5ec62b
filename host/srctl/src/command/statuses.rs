//! The one table of exit statuses and examples: helps, manual pages and the book have them
//! from here. Each command has a row.

use clap::Command;

use super::row::{GROUP, MAKER, Row};
use crate::{extension, image, policy};

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
    Row {
        command: "config",
        examples: &[
            "srctl config add-extension machine.yaml ghcr.io/siderolabs/gvisor:20240101.0",
            "srctl config remove-extension machine.yaml ghcr.io/siderolabs/gvisor:20240101.0 -o new.yaml",
        ],
        ..MAKER
    },
    Row {
        command: "config add-extension",
        fine: "the image is in the configuration now",
        examples: &[
            "srctl config add-extension machine.yaml ghcr.io/siderolabs/gvisor:20240101.0",
            "srctl config add-extension machine.yaml ghcr.io/siderolabs/gvisor:20240101.0 -o -",
        ],
        ..MAKER
    },
    Row {
        command: "config remove-extension",
        fine: "the image is out of the configuration now",
        examples: &[
            "srctl config remove-extension machine.yaml ghcr.io/siderolabs/gvisor:20240101.0",
            "srctl config remove-extension machine.yaml ghcr.io/siderolabs/gvisor:20240101.0 -o -",
        ],
        ..MAKER
    },
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
    Row {
        command: "plan",
        fine: "the switch would go well",
        unfit: Some(
            "an extension is incompatible, a policy failed, or the switch would be refused",
        ),
        unknown: Some(
            "the policies could not be asked: the operating system that the extensions are for is not known, say",
        ),
        examples: &[
            "srctl plan",
            "srctl plan initrd.img --list | grep ^keep",
            "srctl plan initrd.img --explain /var/log/boot.log --as file,size=70000",
            "srctl plan initrd.img --os-release /mnt/etc/os-release --format html -o plan.html",
        ],
        ..GROUP
    },
    Row {
        command: "diff",
        fine: "both are the same",
        unfit: Some("the two differ"),
        unknown: Some(
            "what is known of both is the same, and something is not known, as in `plan`",
        ),
        examples: &[
            "srctl diff old.img new.img",
            "srctl diff policies.d new-policies.d --image initrd.img",
        ],
        ..GROUP
    },
    Row {
        command: "rehearse",
        fine: "it switched, as planned and well",
        failed: "something failed, or it did not go as planned; what, is printed",
        unfit: Some("as planned, but one of the reasons of `plan`"),
        unknown: Some(
            "as planned, and the operating system that the extensions are for is not known",
        ),
        examples: &[
            "srctl rehearse initrd.img",
            "srctl rehearse initrd.img --vm --kernel vmlinuz --os-release /etc/os-release",
        ],
    },
    Row {
        command: "status",
        fine: "all is well",
        failed: "there is no report, or none that can be read (as metrics, 3 where there is none: the metrics say so)",
        unfit: Some(
            "a policy failed, an extension was left out, something could not be carried or deleted, there are warnings, or what `--wait` waited for did not come",
        ),
        unknown: Some("nothing is wrong in what is known of a report of a newer schema"),
        examples: &[
            "srctl status",
            "srctl status --wait 30 --format prometheus -o /var/lib/prometheus/node-exporter/switch-root.prom",
        ],
    },
    Row {
        command: "doctor",
        fine: "there is no problem, though perhaps warnings",
        failed: "nothing could be examined",
        unfit: Some("there is a problem"),
        unknown: Some("there is no problem in what could be examined, and not all could be"),
        examples: &[
            "srctl doctor",
            "srctl doctor initrd.img --root /mnt --format json",
        ],
    },
    Row {
        command: "completions",
        fine: "they were printed",
        examples: &[
            "srctl completions bash > /etc/bash_completion.d/srctl",
            "srctl completions zsh > /usr/local/share/zsh/site-functions/_srctl",
        ],
        ..MAKER
    },
    Row {
        command: "man",
        fine: "they were printed or written",
        examples: &[
            "srctl man | man -l -",
            "srctl man -o /usr/local/share/man/man1",
        ],
        ..MAKER
    },
];

/// The row of a command, by the words after `srctl`.
pub fn row(command: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.command == command)
}

/// Gives each command its exit statuses and examples.
pub fn described(command: Command) -> Command {
    with_rows(command, "")
}

fn with_rows(mut command: Command, path: &str) -> Command {
    if let Some(row) = row(path) {
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
