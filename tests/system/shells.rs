//! Completions and manual pages of `srctl`, as shells and `man` take them.

use std::fs;
use std::process::Command;

use crate::check::{ensure, says};
use crate::manual_pages::{self, CHECKS};
use crate::srctl::Desk;
use crate::tools::{Checked, Stop, cases, program};

cases![
    bash_completes_commands_options_and_their_values,
    shells_can_read_their_completions,
    every_command_has_a_manual_page,
    manual_pages_have_no_faults,
    a_folder_that_cannot_be_made_gets_no_pages,
];

/// What bash offers for the last of these words.
fn completed(desk: &Desk, words: &[&str]) -> Result<Vec<String>, Stop> {
    let bash = program("bash")?;
    let script = r#"
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        function=$(complete -p srctl); function=${function#*-F }; function=${function%% *}
        "$function" srctl "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output = Command::new(bash)
        .args(["--norc", "--noprofile", "-c", script, "bash"])
        .arg(desk.path("srctl.bash"))
        .args(words)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && errors.is_empty(),
        "{words:?}: {errors}"
    );
    let offered = String::from_utf8_lossy(&output.stdout);
    Ok(offered.lines().map(str::to_owned).collect())
}

fn bash_completes_commands_options_and_their_values() -> Checked {
    let desk = Desk::new()?;
    desk.write("srctl.bash", desk.succeeds("completions bash")?)?;
    for (words, expected) in [
        (&["srctl", "exten"][..], "extension"),
        (&["srctl", "extension", "pu"], "pull"),
        (&["srctl", "extension", "pull", "--outp"], "--output"),
        (&["srctl", "extension", "list", "--format", "js"], "json"),
        (&["srctl", "completions", "fi"], "fish"),
        (&["srctl", "--color", "ne"], "never"),
    ] {
        let offered = completed(&desk, words)?;
        ensure!(offered == [expected], "{words:?}: {offered:?}");
    }
    // Without a reply bash offers files.
    for words in [
        &["srctl", "plan", ""][..],
        &["srctl", "plan", "/boot/in"],
        &["srctl", "plan", "--full", ""],
        &["srctl", "config", "add-extension", ""],
        &["srctl", "policy", "inspect", ""],
    ] {
        let offered = completed(&desk, words)?;
        ensure!(offered == [""], "{words:?}: {offered:?}");
    }
    says(&desk.succeeds("completions bash")?, &["-o default srctl"])?;
    let offered = completed(&desk, &["srctl", "plan", "--exp"])?;
    ensure!(offered == ["--explain"], "{offered:?}");
    let offered = completed(&desk, &["srctl", "extension", ""])?;
    for command in ["pull", "list", "validate", "pack", "install"] {
        ensure!(offered.iter().any(|it| it == command), "{offered:?}");
    }
    Ok(())
}

fn shells_can_read_their_completions() -> Checked {
    let desk = Desk::new()?;
    let mut tried = 0;
    for shell in ["bash", "zsh", "fish", "elvish"] {
        let file = format!("completions.{shell}");
        desk.write(&file, desk.succeeds(&format!("completions {shell}"))?)?;
        let Ok(program) = program(shell) else {
            continue;
        };
        let check = match shell {
            "fish" => "--no-execute",
            "elvish" => "-compileonly",
            _ => "-n",
        };
        let output = Command::new(program)
            .arg(check)
            .arg(desk.path(&file))
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{shell}: {errors}");
        tried += 1;
    }
    says(&desk.succeeds("completions powershell")?, &["srctl"])?;
    let ran = desk.changes_nothing("completions tcsh", 2)?;
    says(&ran.stderr, &["tcsh", "bash", "powershell"])?;
    match tried {
        0 => Err(Stop::Skip("there is none of these shells".into())),
        _ => Ok(()),
    }
}

/// The commands that `srctl --help` and the help of each of them list.
pub fn commands(desk: &Desk, above: &str) -> Result<Vec<String>, Stop> {
    let help = desk.succeeds(&format!("{above} --help"))?;
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        return Ok(Vec::new());
    };
    let list = list.split("\n\n").next().unwrap_or_default();
    let mut all = Vec::new();
    for line in list.lines() {
        // Two spaces; more where the description goes on.
        let Some(name) = line.strip_prefix("  ").and_then(|it| it.split(' ').next()) else {
            continue;
        };
        if name.is_empty() || name == "help" {
            continue;
        }
        let command = format!("{above} {name}").trim_start().to_owned();
        all.extend(commands(desk, &command)?);
        all.push(command);
    }
    Ok(all)
}

fn every_command_has_a_manual_page() -> Checked {
    let desk = Desk::new()?;
    let mut expected = vec!["srctl.1".to_owned()];
    for command in commands(&desk, "")? {
        expected.push(format!("srctl-{}.1", command.replace(' ', "-")));
    }
    ensure!(
        expected.contains(&"srctl-extension-pull.1".to_owned()),
        "{expected:?}"
    );
    let printed = desk.succeeds("man --output pages/man1")?;
    ensure!(printed.is_empty(), "it printed {printed}");
    let mut found = Vec::new();
    for entry in fs::read_dir(desk.path("pages/man1"))? {
        found.push(entry?.file_name().to_string_lossy().into_owned());
    }
    expected.sort();
    found.sort();
    ensure!(found == expected, "{found:?}, not {expected:?}");
    let page = desk.read("pages/man1/srctl.1")?;
    ensure!(
        page == desk.succeeds("man")?.as_bytes(),
        "another page is printed"
    );
    // Written again, they are the same.
    let before = desk.everything()?;
    desk.succeeds("man --output pages/man1")?;
    ensure!(
        desk.read("pages/man1/srctl.1")? == page && desk.everything()?.len() == before.len(),
        "other pages"
    );
    Ok(())
}

fn manual_pages_have_no_faults() -> Checked {
    let desk = Desk::new()?;
    desk.succeeds("man --output pages")?;
    let mut checked = false;
    for entry in fs::read_dir(desk.path("pages"))? {
        let page = entry?.path();
        for (name, arguments) in CHECKS {
            let Ok(program) = program(name) else { continue };
            manual_pages::check(&program, arguments, &page)?;
            checked = true;
        }
    }
    match checked {
        true => Ok(()),
        false => Err(Stop::Skip("there is neither mandoc nor man".into())),
    }
}

fn a_folder_that_cannot_be_made_gets_no_pages() -> Checked {
    let desk = Desk::new()?;
    desk.write("file", "not a folder")?;
    desk.fails("man --output file/pages", &["file/pages", "cannot make"])
}
