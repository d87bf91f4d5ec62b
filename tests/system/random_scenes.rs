//! Random initramfs with random policies: what the plan says, what happens, and what a
//! model in these tests expects are the same, with both strategies, and nothing else
//! changes.
//!
//! Proptest makes the scenes, since it shrinks what fails to what matters of it. A scene
//! comes from a seed; that of a scene that fails is printed, and `SWITCH_ROOT_SCENES=SEED`
//! makes all scenes of that seed once more.

mod expected;
mod happened;
mod random;

use std::cell::RefCell;

use proptest::test_runner::{
    Config, RngAlgorithm, RngSeed, TestCaseError, TestError, TestRng, TestRunner,
};
use switch_root_tests::thorough;

use crate::tools::{Checked, Stop, cases, play};
use random::Spec;

cases![
    what_was_planned_happens_and_nothing_else,
    what_was_planned_happens_with_scenes_that_nobody_has_seen_before,
];

/// The seed of the scenes that are always the same.
const FIXED: u64 = 0x5eed;

/// Scenes of a run, each played with both strategies.
fn count(of_many: u32, sample: u32) -> u32 {
    if thorough() { of_many } else { sample }
}

fn what_was_planned_happens_and_nothing_else() -> Checked {
    scenes(FIXED, count(500, 20))
}

fn what_was_planned_happens_with_scenes_that_nobody_has_seen_before() -> Checked {
    let seed = match std::env::var("SWITCH_ROOT_SCENES") {
        Ok(seed) => seed.parse()?,
        Err(_) => std::time::UNIX_EPOCH.elapsed()?.as_nanos() as u64,
    };
    scenes(seed, count(500, 10))
}

/// Plays so many scenes of a seed.
fn scenes(seed: u64, count: u32) -> Checked {
    let config = Config {
        cases: count,
        // Each is a run of its own. What is left after so many is small enough to read.
        max_shrink_iters: 200,
        max_shrink_time: 60_000,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes(seed));
    let skipped = RefCell::new(None);
    let outcome = TestRunner::new_with_rng(config, rng).run(&random::specs(), |spec| {
        if skipped.borrow().is_some() {
            return Ok(());
        }
        match check(&spec) {
            Ok(()) => Ok(()),
            Err(Stop::Fail(reason)) => Err(TestCaseError::fail(reason)),
            Err(Stop::Skip(reason) | Stop::NotThere(reason)) => {
                skipped.replace(Some(reason));
                Ok(())
            }
        }
    });
    if let Some(reason) = skipped.into_inner() {
        return Err(Stop::Skip(reason));
    }
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, spec)) => Err(Stop::Fail(format!(
            "{reason}\nSWITCH_ROOT_SCENES={seed} makes it again. The scene:\n{spec:#?}"
        ))),
        Err(TestError::Abort(reason)) => Err(Stop::Fail(reason.to_string())),
    }
}

fn bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}

/// Plans a scene, plays it with both strategies, and compares all with the model.
fn check(spec: &Spec) -> Checked {
    let scene = random::scene(spec)?;
    let rehearsal = play(&scene.clone().options(["--plan", "--format", "json"]))?;
    let expected = expected::of(spec, &rehearsal.before.initramfs);
    let planned = happened::planned(&rehearsal, &expected)?;
    for strategy in ["move", "pivot"] {
        let scene = scene.clone().options(["--strategy", strategy]);
        happened::check(&scene, &expected, planned.as_ref())
            .map_err(|stop| stop.during(strategy))?;
    }
    Ok(())
}
