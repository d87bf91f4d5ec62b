//! How every command of `srctl` fails: with a sentence for people, and with an object for
//! programs that asked for JSON.

use crate::check::{ensure, says};
use crate::srctl::{Desk, json};
use crate::tools::{Checked, cases};

cases![
    errors_are_json_where_json_is_asked_for,
    a_wrong_command_line_is_said_by_the_parser,
];

/// Commands that fail, and the kind of the failure.
const FAILING: [(&str, &str); 13] = [
    ("config add-extension nowhere a.example/b:1", "not-found"),
    ("config add-extension text a.example/b:1", "input"),
    ("diff nowhere nowhere", "not-found"),
    ("doctor nowhere", "not-found"),
    ("extension pack nowhere --output x", "not-found"),
    ("image add-policy nowhere nowhere -o x", "not-found"),
    ("image stage nowhere", "not-found"),
    ("plan nowhere", "not-found"),
    ("policy compile nowhere", "not-found"),
    ("policy inspect nowhere", "not-found"),
    ("policy verify nowhere --signers nowhere", "not-found"),
    ("rehearse nowhere", "not-found"),
    ("status --report text", "input"),
];

fn errors_are_json_where_json_is_asked_for() -> Checked {
    let desk = Desk::new()?;
    desk.write("text", "nothing of ours")?;
    for (command, kind) in FAILING {
        let people = desk.changes_nothing(command, 1)?;
        let sentence = people.stderr.lines().last().unwrap_or_default();
        let Some(sentence) = sentence.strip_prefix("srctl: error: ") else {
            return Err(format!("no sentence\n{}", people.said()).into());
        };
        for format in ["--format json", "--format=json"] {
            let ran = desk.changes_nothing(&format!("{command} {format}"), 1)?;
            ensure!(ran.stdout.is_empty(), "an answer\n{}", ran.said());
            let last = ran.stderr.lines().last().unwrap_or_default();
            let error = json(last)?["error"].clone();
            ensure!(
                error["kind"] == kind && error["status"] == 1 && error["message"] == sentence,
                "{command}: {}",
                ran.said()
            );
        }
    }
    Ok(())
}

fn a_wrong_command_line_is_said_by_the_parser() -> Checked {
    let desk = Desk::new()?;
    let ran = desk.changes_nothing("plan --format json --nonsense", 2)?;
    says(&ran.stderr, &["error: unexpected argument", "--nonsense"])
}
