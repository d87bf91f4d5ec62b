//! Too little of everything: memory, descriptors, room in /run. What is missing
//! altogether, or cannot be written, is tried in strategies.rs and safety.rs.

use switch_root_tests::outcome::{End, Outcome};
use switch_root_tests::scene::{Limit, Scene};
use switch_root_tests::steps::{Content, Make, Steps};
use switch_root_tests::thorough;

use crate::check::{boots, ensure, refuses, said, says};
use crate::faults::cell::{Cell, classify};
use crate::faults::scenes::{Build, SURVIVORS, scene};
use crate::tools::{Checked, Stop, boot, cases, play};

cases![
    sixteen_descriptors_are_enough,
    sixteen_descriptors_are_enough_for_a_deep_tree,
    with_few_descriptors_it_switches_or_refuses,
    with_little_address_space_it_switches_or_refuses,
    with_little_memory_it_switches_or_refuses,
    into_a_full_run_no_report_is_written_and_the_log_says_so,
    a_run_without_inodes_holds_nothing_that_is_kept,
];

const STRATEGIES: [&str; 2] = ["move", "pivot"];

fn sixteen_descriptors_are_enough() -> Checked {
    for build in [Build::Full, Build::Small] {
        for strategy in STRATEGIES {
            let scene = scene(build, strategy)?;
            let whole = play(&scene)?;
            let short = play(&scene.limit(Limit::Descriptors(16)))?;
            let cell = classify(&whole, &short)?;
            ensure!(
                cell == Cell::Same,
                "{build:?}, {strategy}: {cell:?}\n{}",
                said(&short)
            );
        }
    }
    Ok(())
}

fn sixteen_descriptors_are_enough_for_a_deep_tree() -> Checked {
    for strategy in STRATEGIES {
        let scene = boot()?
            .options(["--strategy", strategy])
            .make("/deep", Make::Nested { depth: 100 })
            .limit(Limit::Descriptors(16));
        boots(&scene)?.left(&[])?;
    }
    Ok(())
}

/// Plays a scene with each of these limits, the lowest first. Whatever there is too little
/// of: nothing is changed and it says why, or init runs and something says what is missing.
/// With the highest everything must be as always.
fn switches_or_refuses(limits: impl Iterator<Item = Limit> + Clone) -> Checked {
    for build in [Build::Full, Build::Small] {
        let scene = scene(build, "pivot")?;
        let whole = play(&scene)?;
        let mut last = None;
        for limit in limits.clone() {
            let short = play(&scene.clone().limit(limit))?;
            let cell = classify(&whole, &short)
                .map_err(|defect| format!("{build:?}, {limit:?}: {defect}\n{}", said(&short)))?;
            println!("{build:?}, {limit:?}: {cell}");
            let known = match cell {
                Cell::Refused(_) | Cell::Named(_) | Cell::Same => true,
                // The C library has no more words for it, before the program begins.
                Cell::Ended => last.is_none() || last == Some(Cell::Ended),
                Cell::Silent(_) | Cell::NoInit(_) => false,
            };
            ensure!(known, "{build:?}, {limit:?}: {cell:?}\n{}", said(&short));
            last = Some(cell);
        }
        ensure!(last == Some(Cell::Same), "{build:?}: in the end {last:?}");
    }
    Ok(())
}

fn with_few_descriptors_it_switches_or_refuses() -> Checked {
    let counts: &[u64] = match thorough() {
        true => &[4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        false => &[4, 8, 12, 16],
    };
    switches_or_refuses(counts.iter().copied().map(Limit::Descriptors))
}

fn with_little_address_space_it_switches_or_refuses() -> Checked {
    let step = if thorough() { 1 } else { 4 };
    // The last one is what the judge, which lifts the limit, is content with.
    let megabytes = (20..48).step_by(step).chain([256]);
    switches_or_refuses(megabytes.map(|count| Limit::AddressSpace(count << 20)))
}

fn with_little_memory_it_switches_or_refuses() -> Checked {
    let step = if thorough() { 32 } else { 512 };
    let kilobytes = (64..4096).step_by(step).chain([64 << 10]);
    switches_or_refuses(kilobytes.map(|count| Limit::Data(count << 10)))
}

/// Checks that init ran and nothing of what survives is lost.
fn booted_with_survivors(scene: &Scene) -> Result<Outcome, Stop> {
    let outcome = play(scene)?;
    let all = said(&outcome);
    ensure!(
        outcome.end == End::Exited(0) && outcome.testimony.is_some(),
        "init was not started\n{all}"
    );
    for path in SURVIVORS {
        let (was, is) = (
            outcome.before.initramfs.get(path),
            outcome.after.initramfs.get(path),
        );
        ensure!(was == is, "{path} was {was:?} and is {is:?}\n{all}");
    }
    let left = outcome.after.initramfs.contains_key("/many");
    ensure!(!left, "/many is left\n{all}");
    Ok(outcome)
}

/// A switch with a /run of its own, which has this much room, and a file in it.
fn with_run(strategy: &str, room: &str) -> Result<Scene, Stop> {
    let options = format!("mode=0755,{room}");
    let run = Make::Mount {
        file_system: "tmpfs".into(),
        options,
    };
    let mut scene = scene(Build::Full, strategy)?.without("/run");
    // Before anything is put into it.
    scene.steps.insert(
        0,
        switch_root_tests::steps::Step {
            path: b"/run".to_vec(),
            make: run,
        },
    );
    // Init need not wait for a report that never comes.
    scene.questions.patience_ms = 1000;
    Ok(scene)
}

fn into_a_full_run_no_report_is_written_and_the_log_says_so() -> Checked {
    for strategy in STRATEGIES {
        let filler = Content::Filled {
            byte: 1,
            size: 8 << 10,
        };
        let scene = with_run(strategy, "size=12k")?.file("/run/filler", filler);
        let outcome = booted_with_survivors(&scene)?;
        let report = outcome.report();
        ensure!(report.is_none(), "there is a report: {report:?}");
        says(
            &outcome.stderr,
            &[
                "the report cannot be written to /run/switch-root",
                "no space left",
            ],
        )?;
    }
    Ok(())
}

fn a_run_without_inodes_holds_nothing_that_is_kept() -> Checked {
    for strategy in STRATEGIES {
        let scene = with_run(strategy, "nr_inodes=2")?;
        refuses(&scene, &["has no room for a file", "hold it nowhere"])?;
    }
    Ok(())
}
