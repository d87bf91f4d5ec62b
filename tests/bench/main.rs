//! Measures `switch_root` beside the switch roots that people use today, on the
//! same trees in the same run: `bench JSON-FILE [init|decision|deletion]`. Run by `cargo xtask
//! bench`.
//!
//! A figure is the median of several runs, taken in turns so that a slow moment
//! of the machine falls on all. The bars are those of DESIGN.md; times are
//! compared with a peer of the same run wherever there is one. With `init` only the
//! way to init is measured, of ours, util-linux's and the floor's, often, with `deletion` the
//! same on a large tree, and with `decision` only what the default policy as a file takes: for
//! whoever works on them.

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
/// The same where only the deletion is measured.
const DELETION: [(u32, usize); 1] = [(100_000, 7)];

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
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == "--version")
    {
        println!("bench {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
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
    let mut arguments = std::env::args().skip(1);
    let json = arguments
        .next()
        .ok_or("usage: bench JSON-FILE [init|decision|deletion]")?;
    let only = arguments.next();
    let mut subjects = subjects::all()?;
    subjects.push(floor_subject()?);
    let mut figures = Figures::default();
    for subject in &subjects {
        figures.size(&subject.name, subject.bytes());
    }
    match only.as_deref() {
        None => {
            races(&SIZES, &subjects, &mut figures)?;
            budgets::measure(&subjects, &mut figures)?;
            growth::measure(&subjects, &mut figures)?;
            extensions::measure(&mut figures)?;
        }
        Some("init") => races(&INIT, &subjects, &mut figures)?,
        Some("deletion") => races(&DELETION, &subjects, &mut figures)?,
        Some("decision") => budgets::decision(&subjects, &mut figures)?,
        Some(other) => return Err(format!("there is nothing called {other} to measure alone")),
    }
    figures.print();
    let text = figures.json()?;
    std::fs::write(&json, text).map_err(|error| format!("writing {json}: {error}"))?;
    println!("\nall figures as JSON: {json}");
    Ok(())
}

/// Lets the subjects run in turns; on large images, and where only the way to init
/// counts, those alone that are compared.
fn races(
    sizes: &[(u32, usize)],
    subjects: &[Subject],
    figures: &mut Figures,
) -> Result<(), String> {
    let few = |subject: &Subject| [FULL, SMALL, PEER, FLOOR].contains(&&*subject.name);
    for &(files, repetitions) in sizes {
        let all = sizes == SIZES && files < LARGE;
        for repetition in 0..repetitions {
            for subject in subjects.iter().filter(|subject| all || few(subject)) {
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
