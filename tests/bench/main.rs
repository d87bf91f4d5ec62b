//! Measures `switch_root` beside the switch roots that people use today, on the
//! same trees in the same run: `bench JSON-FILE [init]`. Run by `cargo xtask bench`.
//!
//! A figure is the median of several runs, taken in turns so that a slow moment
//! of the machine falls on all. The bars are those of DESIGN.md; times are
//! compared with a peer of the same run wherever there is one. With `init` only the
//! way to init is measured, of ours and util-linux's, often: for whoever works on it.

mod bare;
mod budgets;
mod extensions;
mod figures;
mod init;
mod race;
mod run;
mod subjects;
mod tree;

use std::process::ExitCode;

use figures::Figures;
use subjects::{FULL, PEER, SMALL, Subject};

/// Sizes of the initramfs, in files, and how often each subject runs.
const SIZES: [(u32, usize); 2] = [(1_000, 9), (100_000, 5)];
/// The same where only the way to init is measured.
const INIT: [(u32, usize); 1] = [(1_000, 101)];

fn main() -> ExitCode {
    // This program is also the init of the new root.
    if std::process::id() == 1 {
        return init::run();
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), String> {
    let json = std::env::args_os().nth(1).ok_or("usage: bench JSON-FILE")?;
    let only_init = std::env::args_os()
        .nth(2)
        .is_some_and(|group| group == "init");
    let mut subjects = subjects::all()?;
    if only_init {
        subjects.retain(|subject| [FULL, SMALL, PEER].contains(&subject.name.as_str()));
    }
    let mut figures = Figures::default();
    for subject in &subjects {
        figures.size(&subject.name, subject.bytes());
    }
    let sizes: &[(u32, usize)] = if only_init { &INIT } else { &SIZES };
    for &(files, repetitions) in sizes {
        for repetition in 0..repetitions {
            for subject in &subjects {
                eprint!(
                    "\r{files} files, run {} of {repetitions}: {:<24}",
                    repetition + 1,
                    subject.name
                );
                figures.race(files, &subject.name, race::run(subject, files)?);
            }
            figures.bare(files, bare::run(files)?);
        }
    }
    eprintln!();
    if !only_init {
        budgets::measure(&subjects, &mut figures)?;
        extensions::measure(&mut figures)?;
    }
    figures.print();
    let text = figures.json()?;
    std::fs::write(&json, text).map_err(|error| format!("writing {}: {error}", json.display()))?;
    println!("\nall figures as JSON: {}", json.display());
    Ok(())
}

/// The subject of this name.
fn named<'a>(subjects: &'a [Subject], name: &str) -> Result<&'a Subject, String> {
    subjects
        .iter()
        .find(|subject| subject.name == name)
        .ok_or_else(|| format!("{name} is not there"))
}
