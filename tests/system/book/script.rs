//! The commands of a page as one script, and what came of it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use switch_root_tests::pages::{Block, Part, prints};

use super::place::Place;
use crate::check::ensure;
use crate::tools::Checked;

/// What the shell's own record of a command begins with: nothing that a program prints.
const MARK: char = '\u{1e}';

/// The blocks that matter in a place: its commands, with what they print, and the files that
/// stand before its last commands.
pub fn of_place(blocks: &[Block], place: Option<&'static str>) -> Vec<Block> {
    let mut chosen = Vec::new();
    let mut here = false;
    for block in blocks {
        let wanted = match &block.part {
            Part::Commands { place: own, .. } => {
                here = *own == place;
                here
            }
            Part::Output => here,
            // What has a place of its own in a system is not for this machine's.
            Part::File(path) => place.is_some() || !path.starts_with('/'),
            Part::NotRun(_) | Part::Shown => false,
        };
        if wanted {
            chosen.push(block.clone());
        }
    }
    chosen
}

/// Runs the blocks of a page, and compares what they print.
pub fn run(page: &str, blocks: &[Block], place: Option<&'static str>) -> Checked {
    let place = Place::new(place)?;
    let notes = place.notes();
    write(&notes, blocks)?;
    let status = place.run()?;
    let mut printed = String::new();
    let mut last = 0;
    for (number, block) in (1..).zip(blocks) {
        match &block.part {
            Part::Commands { .. } => {
                let Ok(bytes) = fs::read(output(&notes, number)) else {
                    break;
                };
                printed = String::from_utf8_lossy(&bytes).into_owned();
                last = number;
            }
            Part::Output => {
                let told = without_records(&printed);
                // A command that failed is told below.
                ensure!(
                    status != Some(0) || prints(&block.text, &told),
                    "{page}, line {}: the output is to be\n{}\nand is\n{told}",
                    block.line,
                    block.text
                );
            }
            _ => {}
        }
    }
    ensure!(
        status == Some(0),
        "{page}: {}",
        failure(blocks.get(usize::wrapping_sub(last, 1)), &printed, status)
    );
    Ok(())
}

/// What is said of the block that the shell came to its end in.
fn failure(block: Option<&Block>, printed: &str, status: Option<i32>) -> String {
    let status = match status {
        Some(124 | 137) => "takes too long".to_owned(),
        Some(status) => format!("ends with status {status}"),
        None => "is ended by a signal".to_owned(),
    };
    let Some(block) = block else {
        return format!("the shell {status} before the first command");
    };
    let mut commands = printed.lines().filter_map(|line| line.strip_prefix(MARK));
    let command = commands.next_back().unwrap_or(&block.text).trim();
    format!(
        "line {}: `{command}` {status}; what was printed:\n{}",
        block.line,
        without_records(printed)
    )
}

fn without_records(printed: &str) -> String {
    let lines = printed.lines().filter(|line| !line.starts_with(MARK));
    lines.collect::<Vec<_>>().join("\n")
}

fn output(notes: &Path, number: usize) -> PathBuf {
    notes.join(format!("output-{number}"))
}

/// Writes the script, and the files that it copies, into a folder that it finds as `$NOTES`.
fn write(notes: &Path, blocks: &[Block]) -> Checked {
    let mut script = format!("PS4='{MARK}'\n");
    for (number, block) in (1..).zip(blocks) {
        match &block.part {
            Part::Commands { status, .. } => {
                writeln!(script, "exec >\"$NOTES/output-{number}\" 2>&1")?;
                if status.is_some() {
                    writeln!(script, "set +e")?;
                }
                write!(script, "set -x\n{}", block.text)?;
                writeln!(script, "{{ ENDED=$?; set +x; }} 2>/dev/null")?;
                if let Some(status) = status {
                    writeln!(
                        script,
                        "if [ $ENDED != {status} ]; then echo \"it ended with status $ENDED, not {status}\"; exit 1; fi\nset -e"
                    )?;
                }
            }
            Part::File(path) => {
                let name = format!("file-{number}");
                fs::write(notes.join(&name), &block.text)?;
                writeln!(
                    script,
                    "mkdir -p \"$(dirname '{path}')\"\ncp \"$NOTES/{name}\" '{path}'"
                )?;
            }
            _ => {}
        }
    }
    fs::write(notes.join("script"), script)?;
    Ok(())
}
