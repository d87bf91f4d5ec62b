//! `srctl completions`: made of the definition of the command line, so that they offer what
//! it takes.

use clap::{Args, Command, ValueHint};
use clap_complete::Shell;
use switch_root_core::error::Result;

use crate::command::row::{MAKER, Row};
use crate::outcome::Outcome;
use crate::print::print;

/// `srctl completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "completions",
    fine: "they were printed",
    examples: &[
        "srctl completions bash > /etc/bash_completion.d/srctl",
        "srctl completions zsh > /usr/local/share/zsh/site-functions/_srctl",
    ],
    ..MAKER
};

/// Prints the completions of a shell for the command line that is defined so.
pub fn run(command: &Completions, mut definition: Command) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut definition, "srctl", &mut script);
    let script = String::from_utf8_lossy(&script);
    match command.shell {
        Shell::Bash => print(&files_first(&script, &definition))?,
        _ => print(&script)?,
    }
    Ok(Outcome::Fine)
}

/// What bash completes, with files where a command takes one, and options where somebody
/// begins one: the generator offers options for every word. No reply has bash offer files.
fn files_first(script: &str, definition: &Command) -> String {
    let mut takers = Vec::new();
    collect_takers(definition, "srctl", &mut takers);
    const OPTIONS: &str = r#"            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )"#;
    let mut taker = false;
    let lines = script.lines().map(|line| {
        let label = line
            .strip_prefix("        srctl")
            .and_then(|it| it.strip_suffix(')'));
        if let Some(label) = label {
            taker = takers.contains(&format!("srctl{label}"));
        }
        match line.trim_start() {
            test if taker && test.starts_with("if [[ ${cur} == -* ||") => {
                "            if [[ ${cur} == -* ]] ; then"
            }
            _ if taker && line == OPTIONS => "            COMPREPLY=()",
            _ => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// The labels of commands that take a file or folder without an option, as the generator
/// makes them.
fn collect_takers(command: &Command, label: &str, takers: &mut Vec<String>) {
    let mut free = command.get_positionals();
    if free.any(|argument| argument.get_value_hint() == ValueHint::AnyPath) {
        takers.push(label.to_owned());
    }
    for below in command.get_subcommands() {
        let name = below.get_name().replace('-', "__subcmd__");
        collect_takers(below, &format!("{label}__subcmd__{name}"), takers);
    }
}
