//! Processes of the initramfs that live on across the switch: what serves the new root, and
//! whoever else is there.

pub mod daemons;

use serde_json::Value;
use switch_root_tests::companion::{COMPANION, ORPHAN};
use switch_root_tests::report::Report;
use switch_root_tests::scene::{NEW_ROOT, NewRoot, QUESTIONS, Scene};
use switch_root_tests::steps::{Make, Step, Steps};
use switch_root_tests::testimony::Testimony;

use crate::check::{Booted, boots, content, ensure, says};
use crate::tools::{Checked, Policies, Stop, boot, cases, policy};
use crate::unanswering::{living, with_companions};
use daemons::{Daemon, each_daemon};

cases![
    what_serves_the_new_root_goes_on_serving_it,
    branch_that_is_a_directory_of_the_initramfs_survives,
    links_on_the_way_to_a_branch_survive,
    each_daemon_goes_on_serving_the_new_root,
    other_processes_keep_their_root,
    pivot_is_not_made_where_others_live,
    mounts_that_others_use_stay,
    writer_feeder_and_orphan_live_across_the_switch,
    processes_are_reported_up_to_fifty,
    without_other_processes_nothing_is_reported,
];

/// Where the new root is served from.
pub const BRANCH: &str = "/branches/low";

/// How long after the start of init all is still there, in milliseconds.
const LATER: u64 = 10_000;

/// Has what would be made in the new root made in `branch`, from where a program serves it,
/// and has init wait a while.
pub fn served_from(mut scene: Scene, branch: &str) -> Result<Scene, Stop> {
    scene.new_root = NewRoot::Missing;
    // Behind all others, which may mount something on the branch.
    let steps = std::mem::take(&mut scene.steps);
    let inside = |step: &Step| step.path.starts_with(NEW_ROOT.as_bytes());
    let (moved, mut steps): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(inside);
    steps.extend(moved.into_iter().map(|step| Step {
        path: [branch.as_bytes(), &step.path[NEW_ROOT.len()..]].concat(),
        make: step.make,
    }));
    scene.steps = steps;
    let mut scene = scene.directory(NEW_ROOT).look_at(["/etc/os-release"]);
    for target in scene.targets.clone() {
        scene = scene.directory(format!("{branch}{target}"));
    }
    scene.questions.linger_ms = LATER;
    scene.time_limit_ms += LATER;
    let questions = serde_json::to_vec(&scene.questions)?;
    Ok(scene.file(format!("{branch}{QUESTIONS}"), questions))
}

/// Checks that the new root could be used long after the switch, and that the report has
/// who serves it.
pub fn went_on(seen: &Testimony, report: &Report, name: &str) -> Checked {
    let release = content(seen, "/etc/os-release").unwrap_or_default();
    ensure!(release.starts_with("ID=probeos"), "{release:?}");
    let report = &report.0;
    ensure!(report["strategy"] == "move", "{}", report["strategy"]);
    let processes = report["processes"].as_array().ok_or("no processes")?;
    ensure!(
        processes
            .iter()
            .any(|process| process["name"] == name && process["serves"] == true),
        "{processes:#?}"
    );
    Ok(())
}

fn what_serves_the_new_root_goes_on_serving_it() -> Checked {
    for strategy in ["auto", "move", "pivot"] {
        let scene = living(with_companions(boot()?)?, &["serve"])
            .options(["--strategy", strategy])
            .tmpfs(BRANCH);
        let scene = served_from(scene.file("/other/file", "deleted"), BRANCH)?;
        let booted = boots(&scene.before([COMPANION, "serve", BRANCH, NEW_ROOT]))?;
        went_on(&booted.seen, &booted.report, "serve")?;
        booted.left(&[COMPANION, BRANCH, "/dev", "/proc", "/run", "/sys"])?;
    }
    Ok(())
}

fn branch_that_is_a_directory_of_the_initramfs_survives() -> Checked {
    let scene = living(with_companions(boot()?)?, &["serve"]).file("/other/file", "deleted");
    let scene = served_from(scene, BRANCH)?;
    let booted = boots(&scene.before([COMPANION, "serve", BRANCH, NEW_ROOT]))?;
    went_on(&booted.seen, &booted.report, "serve")?;
    booted.left(&[COMPANION, "*/branches/low", "/dev", "/proc", "/run", "/sys"])?;
    let note = booted.report.survivor_note(BRANCH);
    says(&note, &["(serve)", "command line"])
}

fn links_on_the_way_to_a_branch_survive() -> Checked {
    let scene = living(with_companions(boot()?)?, &["serve"])
        .file("/other/file", "deleted")
        .symlink("/all", "branches")
        .symlink("/branches/current", "/branches/low");
    let scene = served_from(scene, BRANCH)?;
    let booted = boots(&scene.before([COMPANION, "serve", "/all/current/.", NEW_ROOT]))?;
    went_on(&booted.seen, &booted.report, "serve")?;
    booted.left(&[
        COMPANION,
        "/all",
        "/branches/current",
        "*/branches/low",
        "/dev",
        "/proc",
        "/run",
        "/sys",
    ])
}

fn each_daemon_goes_on_serving_the_new_root() -> Checked {
    each_daemon(|daemon: &Daemon| {
        let scene = living(with_companions(boot()?)?, &[daemon.name]);
        let booted = boots(&daemon.serves(scene)?)?;
        went_on(&booted.seen, &booted.report, daemon.name)
    })
}

/// A boot with somebody who sees these paths, and writes down which of them there are.
fn seen_by_somebody(paths: &[&str]) -> Result<Scene, Stop> {
    let sidecar = r#"{"settings": {"keep": ["/only-old", "/log/**"]}}"#;
    let scene = with_companions(boot()?)?
        .file("/only-old", "of the initramfs")
        .file("/other/file", "deleted")
        .in_new_root(|tree| tree.file("/only-new", "of the new root"))
        .policy("50-keep", policy("keep-paths")?, Some(sidecar))
        .look_at(["/run/seen"]);
    let command = [&[COMPANION, "see", "/run/seen"], paths].concat();
    let mut scene = living(scene.before(command), &["see"]);
    scene.questions.linger_ms = 300;
    Ok(scene)
}

/// Checks what was seen at last.
fn seen(booted: &Booted, expected: &[&str]) -> Checked {
    let text = content(&booted.seen, "/run/seen").unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    ensure!(words == expected, "{words:?}, and not {expected:?}");
    Ok(())
}

const LOOKED_AT: [&str; 5] = [
    "/only-old",
    "/only-new",
    "/dev/null",
    "/proc/self",
    "/other/file",
];
const AS_IN_THE_INITRAMFS: [&str; 5] = [
    "/only-old=there",
    "/only-new=missing",
    "/dev/null=there",
    "/proc/self=there",
    "/other/file=missing",
];

/// Boots, and checks that mounts were moved, and that somebody sees what was there before.
fn moved_with_its_root(scene: &Scene) -> Result<Booted, Stop> {
    let booted = boots(scene)?;
    seen(&booted, &AS_IN_THE_INITRAMFS)?;
    let strategy = booted.report.strategy();
    ensure!(strategy == "move", "{strategy}");
    Ok(booted)
}

fn other_processes_keep_their_root() -> Checked {
    for strategy in ["auto", "move"] {
        let scene = seen_by_somebody(&LOOKED_AT)?.options(["--strategy", strategy]);
        let booted = moved_with_its_root(&scene)?;
        booted.left(&["/only-old", "/dev", "/proc", "/run", "/sys"])?;
        // Nothing stays for their sake, so there is nothing to warn of.
        let warnings = booted.report.warnings();
        ensure!(warnings.is_empty(), "{warnings}");
        says(
            &booted.outcome.stderr,
            &["1 process of the initramfs lives on", "(see); each keeps"],
        )?;
    }
    Ok(())
}

fn pivot_is_not_made_where_others_live() -> Checked {
    let scene = seen_by_somebody(&LOOKED_AT)?.options(["--strategy", "pivot"]);
    let booted = moved_with_its_root(&scene)?;
    let warnings = booted.report.0["warnings"].to_string();
    says(&warnings, &["--strategy pivot", "(see)", "moved instead"])
}

/// A boot with two processes that live on, of which one writes to a mount.
pub fn with_a_mount_in_use() -> Result<Scene, Stop> {
    let scene = seen_by_somebody(&["/used/deep/log", "/idle/file"])?
        .tmpfs("/used")
        .tmpfs("/used/deep")
        .tmpfs("/idle")
        .file("/idle/file", "detached")
        .before([COMPANION, "write", "/used/deep/log"]);
    Ok(living(scene, &["write"]))
}

fn mounts_that_others_use_stay() -> Checked {
    let booted = boots(&with_a_mount_in_use()?)?;
    seen(&booted, &["/used/deep/log=there", "/idle/file=missing"])?;
    booted.left(&["/only-old", "/used", "/dev", "/proc", "/run", "/sys"])?;
    let expected = ["2 processes", "(write)", "stays in memory"];
    says(&booted.report.warnings(), &expected)
}

fn writer_feeder_and_orphan_live_across_the_switch() -> Checked {
    for strategy in ["auto", "move"] {
        let log = "/run/switch-root/preserved/log/early";
        let scene = seen_by_somebody(&[])?
            .options(["--strategy", strategy])
            .directory("/log")
            .before([COMPANION, "write", "/log/early"])
            .before([COMPANION, "feed", "/run/fed"])
            .before([COMPANION, "orphan"])
            .look_at([log, "/run/fed"]);
        let mut scene = living(scene, &["write", "feed"]);
        scene.questions.linger_ms = 1000;
        let booted = boots(&scene)?;
        let seen = &booted.seen;
        let text = content(seen, log).unwrap_or_default();
        let times: Vec<u64> = text
            .split("\\x0a")
            .filter_map(|line| line.parse().ok())
            .collect();
        ensure!(times.is_sorted() && times.len() > 10, "{text:?}");
        let (first, last) = (times[0], times[times.len() - 1]);
        ensure!(
            first < seen.started_us && last > seen.started_us + 500_000,
            "written from {first} to {last}, init started at {}",
            seen.started_us
        );
        let fed = content(seen, "/run/fed").unwrap_or_default();
        ensure!(
            fed.parse::<u64>()? > seen.started_us + 500_000,
            "fed at {fed}, init started at {}",
            seen.started_us
        );
        ensure!(seen.reaped.contains(&ORPHAN), "{:?}", seen.reaped);
    }
    Ok(())
}

fn processes_are_reported_up_to_fifty() -> Checked {
    let mut scene = with_companions(boot()?)?;
    for number in 0..53 {
        scene = scene.before([COMPANION, "feed", &format!("/run/fed-{number}")]);
    }
    let booted = boots(&living(scene, &["feed"]))?;
    let report = &booted.report.0;
    let processes = report["processes"].as_array().ok_or("no processes")?;
    ensure!(processes.len() == 50, "{} are named", processes.len());
    ensure!(
        report["processes_more"] == 3,
        "{}",
        report["processes_more"]
    );
    let well = |process: &Value| {
        process["pid"].as_u64().is_some_and(|pid| pid > 1)
            && process["name"] == "feed"
            && process["executable"] == COMPANION
            && process["serves"] == false
    };
    ensure!(processes.iter().all(well), "{processes:#?}");
    says(&booted.outcome.stderr, &["53 processes", "(feed)"])
}

fn without_other_processes_nothing_is_reported() -> Checked {
    let scene = boot()?.make("/other", Make::Directory { mode: 0o755 });
    let booted = boots(&scene)?;
    let report = &booted.report.0;
    ensure!(report["processes"] == serde_json::json!([]), "{report:#}");
    ensure!(report["processes_more"] == 0, "{report:#}");
    booted.left(&[])
}
