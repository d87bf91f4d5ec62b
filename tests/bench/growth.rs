//! What grows with what: the way to init with the number of policies, and what starting
//! the program costs before it does anything.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::unistd::Pid;
use switch_root_tests::results::Unit;

use crate::budgets::{FOLDER, judge_time, policy_file};
use crate::figures::Figures;
use crate::named;
use crate::race::{self, ended};
use crate::subjects::{FLOOR, FULL, PEER, SMALL, Subject};

/// How many policies lie in the folder.
const POLICIES: [usize; 3] = [1, 10, 50];
/// How often each measurement is repeated.
const REPETITIONS: usize = 9;

/// Measures both.
pub fn measure(subjects: &[Subject], figures: &mut Figures) -> Result<(), String> {
    folders(subjects, figures)?;
    startup(subjects, figures)
}

/// Folders with one, ten and fifty policies that are asked about the root and /etc.
fn folders(subjects: &[Subject], figures: &mut Figures) -> Result<(), String> {
    let (wasm, native) = (
        policy_file("keep-paths.wasm")?,
        policy_file("keep-paths.cwasm")?,
    );
    for number in POLICIES {
        let mut subject = named(subjects, FULL)?.clone();
        subject.policies = (0..number)
            .flat_map(|index| {
                let name = format!("{FOLDER}/{:02}-keep", 10 + index);
                let sidecar = br#"{"settings": {"keep": ["/etc/machine-id"]}}"#.to_vec();
                [
                    (format!("{name}.wasm"), wasm.clone()),
                    (format!("{name}.cwasm"), native.clone()),
                    (format!("{name}.json"), sidecar),
                ]
            })
            .collect();
        let (mut until_init, mut judged) = (Vec::new(), Vec::new());
        for _ in 0..REPETITIONS {
            let race = race::run(&subject, 1_000)?;
            let failed = |policy: &serde_json::Value| {
                policy["failures"]
                    .as_array()
                    .is_none_or(|all| !all.is_empty())
            };
            let policies = race.report["policies"].as_array();
            if policies.is_none_or(|all| all.len() != number + 1 || all.iter().any(failed)) {
                return Err(format!(
                    "not all of {number} policies answered: {:?}",
                    race.report
                ));
            }
            until_init.push(race.to_init);
            judged.push(judge_time(&race));
        }
        let plural = if number == 1 { "policy" } else { "policies" };
        let what = format!("{number} {plural} with .cwasm in the folder");
        let time = Unit::Microseconds;
        figures.more(
            &format!("{what}: exec to exec of init"),
            time,
            until_init,
            None,
        );
        figures.more(&format!("{what}: judge"), time, judged, None);
    }
    Ok(())
}

/// Each program says its version and ends.
fn startup(subjects: &[Subject], figures: &mut Figures) -> Result<(), String> {
    let few = [FULL, SMALL, PEER, FLOOR];
    for subject in subjects
        .iter()
        .filter(|subject| few.contains(&&*subject.name))
    {
        let mut faults = Vec::new();
        for _ in 0..REPETITIONS {
            let child = Command::new(&subject.program)
                .arg0(subject.called)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map_err(|error| format!("starting {}: {error}", subject.name))?;
            let (_, usage) = ended(Pid::from_raw(child.id().cast_signed()))
                .map_err(|error| format!("waiting for {}: {error}", subject.name))?;
            faults.push(usage.ru_minflt as f64);
        }
        let what = format!(
            "{}: page faults of a start that prints its version",
            subject.name
        );
        figures.more(&what, Unit::Count, faults, None);
    }
    Ok(())
}
