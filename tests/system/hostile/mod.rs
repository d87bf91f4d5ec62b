//! Policies that attack the host: for each attack the sentence that the operator reads, the
//! kind of the failure, the bounds on time and memory, and that the machine booted with what
//! had to survive.
//!
//! The attacks of one table are played together in one boot, which is one more attack: each
//! must be told of by itself. `cargo xtask prove` also plays each alone, with each effect that
//! a sidecar can give to a failure.
//!
//! An attack is a component: `policy.wat` with other code in one of its places, or what
//! `wasm-encoder` makes. What a judge does that is out of its policies' control is machine
//! code in a `.cwasm`.
//!
//! `policies.rs` has those attacks that a policy in Rust makes by its answers.

mod abuse;
mod attack;
mod bombs;
mod component;
mod forged;
mod judge;
mod lies;
mod places;
mod rogue;
mod shapes;
mod wire;

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switch_root_tests::scene::Scene;
use switch_root_tests::steps::Steps;
use switch_root_tests::thorough;

use crate::check::{Booted, boots, ensure, refuses};
use crate::durations::timed;
use crate::tools::{Checked, Policies, Stop, boot, trial};

use attack::{Attack, Question};

/// What a busy machine may take for what is nobody's doing, an unoptimized build.
const SLACK: Duration = Duration::from_secs(20);
/// What the host may hold beyond what it holds at an ordinary boot and the policies' files,
/// in KiB: answers and messages that wait.
const HOST_SLACK: u64 = 24 << 10;

const EXTENSIONS: &str = "layers: [{image: 000.a.sqsh, metadata: {name: a}}]\n";

type Table = fn() -> Result<Vec<Attack>, Stop>;

/// A test that is no table.
type Case = (&'static str, fn() -> Checked);

/// The tables, by what their attacks have in common.
const TABLES: [(&str, Table); 10] = [
    (
        "what_uses_up_a_limit_in_any_function_costs_one_answer",
        places::attacks,
    ),
    (
        "what_only_the_clock_ends_costs_one_answer",
        places::slow_attacks,
    ),
    ("messages_without_end_cost_one_answer", places::floods),
    ("answers_that_lie_cost_one_answer", lies::attacks),
    (
        "a_component_of_any_shape_costs_one_answer_at_most",
        shapes::attacks,
    ),
    (
        "what_is_large_and_breaks_no_rule_is_asked",
        shapes::harmless,
    ),
    ("what_is_large_to_compile_costs_one_answer", bombs::attacks),
    (
        "what_is_large_and_compiled_in_time_costs_one_answer",
        bombs::duds,
    ),
    (
        "a_judge_that_ends_or_hangs_costs_one_answer",
        judge::that_ends,
    ),
    ("a_judge_that_lies_costs_one_answer", judge::that_lies),
];

/// The tests of this theme.
pub fn cases() -> Vec<Trial> {
    let tables = TABLES.into_iter().map(|(name, table)| {
        timed(format!("hostile::{name}"), move || {
            table().and_then(|attacks| all(&attacks))
        })
    });
    let other: [Case; 9] = [
        (
            "a_judge_may_blame_another_policy_and_nothing_is_lost",
            blame,
        ),
        (
            "a_judge_that_answers_before_it_is_asked_comes_to_an_end",
            ahead,
        ),
        (
            "native_code_that_is_not_whole_or_not_for_here_is_not_used",
            forged::is_not_used,
        ),
        (
            "native_code_with_a_flipped_bit_ends_no_boot",
            forged::with_flipped_bits,
        ),
        (
            "nothing_is_carried_where_it_may_not_be",
            abuse::forbidden_targets,
        ),
        (
            "a_policy_may_carry_everything_that_there_is",
            abuse::everything_is_carried,
        ),
        (
            "ten_thousand_carries_are_refused",
            abuse::ten_thousand_carries,
        ),
        (
            "answers_that_contradict_each_other_are_carried_out_in_order",
            abuse::answers_that_contradict_each_other,
        ),
        (
            "a_reason_is_one_line_whatever_is_in_it",
            abuse::a_reason_that_writes_on_the_console,
        ),
    ];
    let other = other.map(|(name, case)| trial(module_path!(), name, case));
    tables.chain(other).collect()
}

/// Where a judge lies about which policy it runs, the wrong one fails. What that one would
/// have kept is there all the same.
fn blame() -> Checked {
    for attack in judge::that_answers()? {
        let booted = boots(&scene(std::slice::from_ref(&attack), "ignore")?)?;
        attack.told(&booted)?;
        booted.failed("60-keep", &["deadline", "did not answer within"])?;
        booted.everything_left()?;
        within_bounds(&[attack], &booted)?;
    }
    Ok(())
}

/// Where it answers for all of them beforehand, whoever is blamed: the boot comes to its end.
fn ahead() -> Checked {
    for attack in judge::that_is_ahead()? {
        let scene = scene(std::slice::from_ref(&attack), "ignore")?;
        let sidecar = r#"{"limits": {"deadline_ms": 1000}}"#;
        let booted = boots(&scene.file(attack::path("00-default.json"), sidecar))?;
        booted.failed(&attack.policy(), &[])?;
        booted.everything_left()?;
        within_bounds(&[attack], &booted)?;
    }
    Ok(())
}

/// Plays the attacks of a table.
fn all(attacks: &[Attack]) -> Checked {
    let names: BTreeSet<String> = attacks.iter().map(Attack::policy).collect();
    ensure!(names.len() == attacks.len(), "two attacks have one name");
    together(attacks, "safe")?;
    // Waiting for deadlines once is enough for a sample.
    if thorough() || attacks.iter().all(|attack| attack.limits == json!({})) {
        together(attacks, "ignore")?;
    }
    if thorough() {
        for attack in attacks {
            for effect in ["safe", "ignore", "refuse"] {
                alone(attack, effect)
                    .map_err(|stop| stop.during(&format!("{}, {effect}", attack.does)))?;
            }
        }
    }
    Ok(())
}

/// A boot with these attacks beside a policy that keeps `/some`.
fn scene(attacks: &[Attack], effect: &str) -> Result<Scene, Stop> {
    let sidecar = r#"{"limits": {"deadline_ms": 5000}}"#;
    let mut scene = boot()?
        .file("/some/file", "kept")
        .file("/other/file", "not kept")
        .file("/extensions.yaml", EXTENSIONS)
        .policy("60-keep", component::keeping_some()?.into(), Some(sidecar))
        .time_limit(300);
    for attack in attacks {
        scene = attack.place(scene, effect);
    }
    Ok(scene)
}

fn alone(attack: &Attack, effect: &str) -> Checked {
    let attacks = std::slice::from_ref(attack);
    if effect == "refuse" && attack.expected.fails() {
        return refuses(
            &scene(attacks, effect)?,
            &[&attack.policy(), "refuse the switch"],
        );
    }
    together(attacks, effect)
}

fn together(attacks: &[Attack], effect: &str) -> Checked {
    let booted = boots(&scene(attacks, effect)?)?;
    let told: Vec<String> = attacks
        .iter()
        .filter_map(|attack| match attack.told(&booted) {
            Err(Stop::Fail(reason)) => Some(reason),
            _ => None,
        })
        .collect();
    ensure!(
        told.is_empty(),
        "{}\n{}",
        told.join("\n"),
        booted.outcome.stderr
    );
    let silenced = |question| {
        effect != "ignore"
            && attacks
                .iter()
                .any(|attack| attack.silences(question, &booted))
    };
    match silenced(Question::Preservation) {
        true => booted.everything_left()?,
        false => booted.left(&["*/some", "/extensions.yaml"])?,
    }
    let by = booted
        .report
        .survivors()
        .remove("/some")
        .unwrap_or_default();
    ensure!(by.contains("60-keep"), "/some survives by {by:?}");
    let failure = booted.report.failure("60-keep");
    ensure!(failure.is_none(), "60-keep failed: {failure:?}");
    let verdict = booted.report.extensions().remove("000.a.sqsh");
    let expected = match silenced(Question::Compatibility) {
        true => "incompatible",
        false => "compatible",
    };
    let verdict = verdict.map(|(verdict, _)| verdict).unwrap_or_default();
    ensure!(
        verdict == expected,
        "the extension is {verdict}, not {expected}"
    );
    within_bounds(attacks, &booted)
}

/// Checks that no limit on time and memory was passed.
fn within_bounds(attacks: &[Attack], booted: &Booted) -> Checked {
    let report = &booted.report.0;
    let number = |value: &Value| value.as_u64().unwrap_or(u64::MAX);
    let took = Duration::from_micros(number(&report["timings"]["policies_us"]));
    let allowed: Duration = attacks.iter().map(Attack::patience).sum();
    ensure!(
        took <= allowed + SLACK,
        "policies took {took:?}, not {allowed:?}"
    );
    let judge = number(&report["judge"]["peak_kib"]);
    let allowed = number(&report["judge"]["address_space"]) >> 10;
    ensure!(judge <= allowed, "the judge held {judge} KiB of {allowed}");
    let host = booted.seen.peak_kib;
    let files: usize = attacks.iter().map(Attack::size).sum();
    let allowed = ordinary()? + (files as u64 >> 10) + HOST_SLACK;
    ensure!(host <= allowed, "the host held {host} KiB, not {allowed}");
    Ok(())
}

/// The most that the host holds at an ordinary boot, in KiB.
fn ordinary() -> Result<u64, Stop> {
    static ORDINARY: LazyLock<Result<u64, String>> = LazyLock::new(|| {
        let booted = scene(&[], "safe").and_then(|scene| boots(&scene));
        booted
            .map(|booted| booted.seen.peak_kib)
            .map_err(|stop| format!("{stop:?}"))
    });
    Ok(ORDINARY.clone()?)
}
