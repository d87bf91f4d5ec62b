//! Each system call of a switch fails once, with each error that its manual page has; and
//! each process is killed at each of its calls.
//!
//! The whole table is tried where that is asked for (see [`thorough`]), and is in
//! `target/prove/faults/` then. Otherwise it is a sample: every call of the host from the
//! first change on, and of the others each kind, in each process.

pub mod cell;
pub mod errnos;
mod play;
pub mod scenes;
mod table;
mod tolerated;

use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use switch_root_tests::fault::{Call, Happens};
use switch_root_tests::outcome::{End, Outcome};
use switch_root_tests::thorough;

use crate::check::said;
use crate::tools::{Checked, cases};
use cell::{Cell, classify, names, newly_reported, survivors_are_whole};
use play::{Whole, play_all};
use scenes::Build;
use table::Table;

cases![
    every_call_of_the_full_build_may_fail_once_where_it_pivots,
    every_call_of_the_full_build_may_fail_once_where_it_moves,
    every_call_of_the_small_build_may_fail_once_where_it_pivots,
    every_call_of_the_small_build_may_fail_once_where_it_moves,
    killed_at_any_call_before_the_first_change_it_has_changed_nothing,
    at_whatever_call_the_judge_is_killed_the_machine_boots,
    at_whatever_call_the_deletion_is_killed_init_is_unharmed,
];

fn every_call_of_the_full_build_may_fail_once_where_it_pivots() -> Checked {
    may_fail(Build::Full, "pivot")
}

fn every_call_of_the_full_build_may_fail_once_where_it_moves() -> Checked {
    may_fail(Build::Full, "move")
}

fn every_call_of_the_small_build_may_fail_once_where_it_pivots() -> Checked {
    may_fail(Build::Small, "pivot")
}

fn every_call_of_the_small_build_may_fail_once_where_it_moves() -> Checked {
    may_fail(Build::Small, "move")
}

/// A call that fails with an error: the place of the call in the run, and the error.
type Failure = (usize, Errno);

fn may_fail(build: Build, strategy: &str) -> Checked {
    let whole = Whole::record(scenes::scene(build, strategy)?)?;
    let mut table = Table::default();
    let mut failures: Vec<Failure> = Vec::new();
    for (place, call) in whole.outcome.calls.iter().enumerate() {
        let Some(errors) = errnos::of(call) else {
            return Err(format!("{} is not in the table of errors", call.name).into());
        };
        if errors.is_empty() {
            table.none(place, call, whole.phase(place));
        }
        failures.extend(errors.iter().map(|errno| (place, *errno)));
    }
    // The judge, and what comes before the first change, are the same whatever the strategy.
    let all = matches!(
        (build, strategy),
        (Build::Full, "pivot") | (Build::Small, "move")
    );
    failures.retain(|(place, _)| all || whole.is_host_after(*place));
    if !thorough() {
        // Nor, but for the judge, is it another one in the other build.
        failures.retain(|(place, _)| build == Build::Small || !whole.is_shared(*place));
        failures = sample(&whole, failures);
    }
    let happens = |(place, errno): &Failure| (*place, Happens::Error(*errno as i32));
    let mut defects = Vec::new();
    for ((place, errno), faulty) in play_all(&whole, failures, happens)? {
        let call = &whole.outcome.calls[place];
        let verdict = judge(&whole, place, errno, &faulty);
        let outcome = verdict.unwrap_or_else(|defect| {
            defects.push(format!(
                "{} {} fails with {errno:?} (process {}, call {}, {} the first change): {defect}\n{}",
                call.name,
                call.argument,
                call.process,
                call.number,
                whole.phase(place),
                said(&faulty)
            ));
            "DEFECT".into()
        });
        table.add(
            place,
            call,
            whole.phase(place),
            format!("{errno:?}"),
            outcome,
        );
    }
    conclude(
        &table,
        &format!("{build:?}-{strategy}").to_lowercase(),
        &defects,
    )
}

/// Writes the table where it is whole, and fails where something is not as it must be.
fn conclude(table: &Table, name: &str, defects: &[String]) -> Checked {
    println!("{name}: {:?}", table.counts());
    if thorough() {
        table.write(name)?;
    }
    match defects {
        [] => Ok(()),
        _ => Err(format!("{} defects:\n{}", defects.len(), defects.join("\n\n")).into()),
    }
}

/// Of each call of the host from the first change on one error; and of each kind of call
/// in each process and phase two, at its first and its last place.
fn sample(whole: &Whole, failures: Vec<Failure>) -> Vec<Failure> {
    let mut by_place: BTreeMap<usize, Vec<Errno>> = BTreeMap::new();
    for (place, errno) in failures {
        by_place.entry(place).or_default().push(errno);
    }
    let mut ends: BTreeMap<(usize, &str, &str), [usize; 2]> = BTreeMap::new();
    for place in by_place.keys() {
        let call = &whole.outcome.calls[*place];
        let kind = (call.process, whole.phase(*place), call.name.as_str());
        ends.entry(kind).or_insert([*place, *place])[1] = *place;
    }
    let chosen = |place: usize| {
        whole.is_host_after(place) || ends.values().any(|ends| ends.contains(&place))
    };
    by_place
        .into_iter()
        .filter(|(place, _)| chosen(*place))
        // Another one at each place.
        .map(|(place, errors)| (place, errors[place % errors.len()]))
        .collect()
}

/// What a failure came to, in a word or two.
///
/// # Errors
/// Why it must not come to that.
fn judge(whole: &Whole, place: usize, errno: Errno, faulty: &Outcome) -> Result<String, String> {
    let call = &whole.outcome.calls[place];
    let before = whole.phase(place) == "before";
    let cell = match classify(&whole.outcome, faulty) {
        // A survivor that is said not to be there has no word for it.
        Err(_) if before && tolerated::believed(call, errno) && faulty.testimony.is_some() => {
            return Ok("booted, believed".into());
        }
        other => other?,
    };
    match &cell {
        Cell::Refused(sentence) if before && sentence.split(' ').count() >= 4 => {}
        Cell::Ended if whole.is_start(place) => return Ok("ended before it began".into()),
        Cell::Named(_) if !before && call.process == 0 && !is_reported(whole, errno, faulty) => {
            if !tolerated::unreported(call) && !tolerated::renamed(call, errno) {
                return Err(format!("the report does not name it: {cell:?}"));
            }
        }
        // What the judge fails with is told as the failure of a policy.
        Cell::Named(sentence) if call.process != 0 || names(sentence, errno) => {}
        Cell::Named(_) if tolerated::renamed(call, errno) => {}
        Cell::Same if is_tried_again(call, faulty) => return Ok("booted, tried again".into()),
        Cell::Same if call.result.is_some_and(|result| result < 0) => {
            return Ok("booted, fails anyway".into());
        }
        Cell::Same if tolerated::harmless(call, errno).is_some() => {}
        Cell::Silent(_) if tolerated::believed(call, errno) => {
            return Ok("booted, believed".into());
        }
        other => return Err(format!("{other:?}")),
    }
    Ok(cell.to_string())
}

/// Whether the report, if there is one, names the error.
fn is_reported(whole: &Whole, errno: Errno, faulty: &Outcome) -> bool {
    let new = newly_reported(&whole.outcome, faulty);
    faulty.report().is_none() || new.iter().any(|text| names(text, errno))
}

/// Whether the process made the same call once more after it had failed.
fn is_tried_again(call: &Call, faulty: &Outcome) -> bool {
    let mut same = faulty.calls.iter().filter(|other| {
        other.process == call.process && (call.number..call.number + 2).contains(&other.number)
    });
    match (same.next(), same.next()) {
        (Some(first), Some(second)) => first.is_same(second),
        _ => false,
    }
}

/// Every one of these places, or, where only a sample is tried, every `step`th.
fn every(places: impl Iterator<Item = usize>, step: usize) -> Vec<usize> {
    places.step_by(if thorough() { 1 } else { step }).collect()
}

fn killed_at_any_call_before_the_first_change_it_has_changed_nothing() -> Checked {
    let whole = Whole::record(scenes::scene(Build::Small, "pivot")?)?;
    let places = every(whole.places(|place| whole.phase(place) == "before"), 20);
    let mut table = Table::default();
    let mut defects = Vec::new();
    for (place, faulty) in play_all(&whole, places, |place| (*place, Happens::KillAll))? {
        let call = &whole.outcome.calls[place];
        let changes = faulty.changes();
        let killed = faulty.end == End::Killed(Signal::SIGKILL as i32);
        if !changes.is_empty() || !killed || faulty.testimony.is_some() {
            defects.push(format!(
                "killed at {call:?}:\n{changes:?}\n{}",
                said(&faulty)
            ));
        }
        table.add(
            place,
            call,
            "before",
            "SIGKILL".into(),
            "nothing changed".into(),
        );
    }
    conclude(&table, "killed-host", &defects)
}

fn at_whatever_call_the_judge_is_killed_the_machine_boots() -> Checked {
    for build in [Build::Full, Build::Small] {
        let whole = Whole::record(scenes::scene(build, "pivot")?)?;
        let places = every(
            whole.places(|place| whole.outcome.calls[place].process == 1),
            18,
        );
        let mut table = Table::default();
        let mut defects = Vec::new();
        for (place, faulty) in play_all(&whole, places, |place| (*place, Happens::Kill))? {
            let call = &whole.outcome.calls[place];
            let policies = faulty
                .report()
                .map(|report| report.0["policies"].to_string());
            let policies = policies.unwrap_or_default();
            let outcome = match classify(&whole.outcome, &faulty) {
                // It had answered everything.
                Ok(Cell::Same) => "booted, nothing lost".to_owned(),
                Ok(Cell::Named(_)) if policies.contains("SIGKILL") => {
                    "booted, policies failed".to_owned()
                }
                other => {
                    defects.push(format!("killed at {call:?}: {other:?}\n{}", said(&faulty)));
                    "DEFECT".into()
                }
            };
            // Only what survives decides whether something may be deleted.
            let open = [r#""question":"load""#, r#""question":"preservation""#]
                .iter()
                .any(|question| policies.contains(question));
            let skipped = faulty
                .report()
                .is_some_and(|report| report.deletion() == "skipped");
            if open && !skipped {
                defects.push(format!(
                    "killed at {call:?}, it deletes:\n{}",
                    said(&faulty)
                ));
            }
            table.add(place, call, whole.phase(place), "SIGKILL".into(), outcome);
        }
        let name = format!("killed-judge-{build:?}").to_lowercase();
        conclude(&table, &name, &defects)?;
    }
    Ok(())
}

fn at_whatever_call_the_deletion_is_killed_init_is_unharmed() -> Checked {
    let mut scene = scenes::scene(Build::Small, "move")?;
    // The report goes on to say that it is being deleted: init need not wait for more.
    scene.questions.patience_ms = 300;
    let whole = Whole::record(scene)?;
    let places = every(
        whole.places(|place| whole.outcome.calls[place].process == 2),
        20,
    );
    let mut table = Table::default();
    let mut defects = Vec::new();
    for (place, faulty) in play_all(&whole, places, |place| (*place, Happens::Kill))? {
        let call = &whole.outcome.calls[place];
        if let Err(defect) = unharmed(&whole.outcome, &faulty) {
            defects.push(format!("killed at {call:?}: {defect}\n{}", said(&faulty)));
        }
        table.add(
            place,
            call,
            "after",
            "SIGKILL".into(),
            "booted, less deleted".into(),
        );
    }
    conclude(&table, "killed-deletion", &defects)
}

/// Checks that init ran, with a report, and that nothing is gone but what was to be.
fn unharmed(whole: &Outcome, faulty: &Outcome) -> Result<(), String> {
    let seen = faulty.testimony.as_ref().ok_or("init was not started")?;
    if faulty.end != End::Exited(0) {
        return Err(format!("init ended as {:?}", faulty.end));
    }
    if faulty.report().is_none() {
        return Err("there is no report".into());
    }
    survivors_are_whole(whole, faulty)?;
    let files = whole.testimony.as_ref().map(|seen| &seen.files);
    match files.is_some_and(|files| format!("{files:?}") == format!("{:?}", seen.files)) {
        true => Ok(()),
        false => Err(format!("init saw {:?}", seen.files)),
    }
}
