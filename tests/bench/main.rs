//! Measures `switch_root` beside the switch roots that people use today, on the
//! same trees in the same run: `bench JSON-FILE [init]`. Run by `cargo xtask bench`.
//!
//! A figure is the median of several runs, taken in turns so that a slow moment
//! of the machine falls on all. The bars are those of DESIGN.md; times are
//! compared with a peer of the same run wherever there is one. With `init` only the
//! way to init is measured, of ours, util-linux's and the floor's, often: for whoever
//! works on it.

mod bare;
mod budgets;
mod extensions;
mod figures;
mod floor;
mod growth;
mod init;
mod race;
mod run;
mod subjects;
mod tree;

use std::process::ExitCode;

use figures::Figures;
use subjects::{FLOOR, FULL, PEER, SMALL, Subject};

/// Sizes of the initramfs, in files, and how often each subject runs.
const SIZES: [(u32, usize); 4] = [(1_000, 9), (10_000, 5), (100_000, 5), (1_000_000, 1)];
/// From this size on only those run that budgets compare.
const LARGE: u32 = 1_000_000;
/// The same where only the way to init is measured.
const INIT: [(u32, usize); 1] = [(1_000, 101)];

fn main() -> ExitCode {
    // This program is also the init of the new root, and the floor among the subjects.
    if std::process::id() == 1 {
        let called = std::env::args_os().next().unwrap_or_default();
        return if called.as_encoded_bytes().ends_with(FLOOR.as_bytes()) {
            floor::run()
        } else {
            init::run()
        };
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
    let compared = |subject: &&Subject| [FULL, SMALL, PEER, FLOOR].contains(&&*subject.name);
    let mut subjects = subjects::all()?;
    subjects.push(floor_subject()?);
    let mut figures = Figures::default();
    for subject in &subjects {
        figures.size(&subject.name, subject.bytes());
    }
    let sizes: &[(u32, usize)] = if only_init { &INIT } else { &SIZES };
    for &(files, repetitions) in sizes {
        for repetition in 0..repetitions {
            let all = !only_init && files < LARGE;
            for subject in subjects.iter().filter(|subject| all || compared(subject)) {
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
        growth::measure(&subjects, &mut figures)?;
        extensions::measure(&mut figures)?;
    }
    figures.print();
    let text = figures.json()?;
    std::fs::write(&json, text).map_err(|error| format!("writing {}: {error}", json.display()))?;
    println!("\nall figures as JSON: {}", json.display());
    Ok(())
}

/// This program as the floor.
fn floor_subject() -> Result<Subject, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(Subject {
        name: FLOOR.into(),
        program,
        called: FLOOR,
        options: Vec::new(),
        libraries: Vec::new(),
        policies: Vec::new(),
        one_core: false,
    })
}

/// The subject of this name.
fn named<'a>(subjects: &'a [Subject], name: &str) -> Result<&'a Subject, String> {
    subjects
        .iter()
        .find(|subject| subject.name == name)
        .ok_or_else(|| format!("{name} is not there"))
}
