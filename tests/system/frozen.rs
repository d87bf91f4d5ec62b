//! What users and programs see, held against the snapshots in tests/snapshots: help, plans,
//! reports, messages and exit statuses of a wide set of scenes. A restructuring changes none;
//! a change that is meant is reviewed as the difference of a snapshot. The messages of the
//! boot program are listed and checked elsewhere: host/switch/FAILURES.md.

mod boots;
mod compare;
mod desks;
mod refused;
mod sessions;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use switch_root_tests::scene::{IMAGE_INIT, SUBJECT};
use switch_root_tests::steps::Steps;

use crate::check::ensure;
use crate::command_line::RUN_INIT;
use crate::durations::timed;
use crate::shells::commands;
use crate::srctl::Desk;
use crate::tools::{Checked, Stop, boot, need_privileges};
use boots::{BOOTS, IMAGES, played};
use compare::same;
use refused::refusals;
use sessions::{SESSIONS, shown};

/// A check of one snapshot.
type Check = fn() -> Checked;

/// Snapshots that are made by functions of their own.
const SINGLE: [(&str, Check); 3] = [
    ("help-boot", help_of_the_boot_program),
    ("help-srctl", help_of_srctl),
    ("boot-refusals", boots_that_are_refused),
];

/// The tests of this theme.
pub fn cases() -> Vec<Trial> {
    let mut trials = vec![timed(
        "frozen::every_snapshot_is_compared".into(),
        every_snapshot_is_compared,
    )];
    trials.extend(SINGLE.map(|(name, check)| trial(name, check)));
    trials.extend(BOOTS.iter().map(|boot| {
        trial(boot.name, || {
            need_privileges()?;
            same(boot.name, &boot.text()?)
        })
    }));
    trials.extend(
        IMAGES
            .iter()
            .map(|image| trial(image.name, || same(image.name, &image.text()?))),
    );
    trials.extend(
        SESSIONS
            .iter()
            .map(|session| trial(session.name, || same(session.name, &session.text()?))),
    );
    trials
}

/// A trial, whose name is the sentence that the snapshot of this name makes true.
fn trial(name: &str, check: impl FnOnce() -> Checked + Send + 'static) -> Trial {
    let name = name.replace('-', "_");
    timed(format!("frozen::{name}_is_as_in_its_snapshot"), check)
}

fn help_of_the_boot_program() -> Checked {
    let helps = [SUBJECT, RUN_INIT, IMAGE_INIT].map(|name| {
        let scene = boot()?
            .symlink(RUN_INIT, "switch_root")
            .symlink(IMAGE_INIT, "switch_root");
        played(&scene.command([name, "--help"]))
    });
    let helps: Result<Vec<String>, Stop> = helps.into_iter().collect();
    same("help-boot", &helps?.concat())
}

/// Of every command that a help lists, which clap makes.
fn help_of_srctl() -> Checked {
    let desk = Desk::new()?;
    let mut all = commands(&desk, "")?;
    all.push(String::new());
    all.sort();
    let mut text = String::new();
    for command in all {
        let command = format!("{command} --help");
        let command = command.trim_start();
        text.push_str(&shown(&format!("srctl {command}"), &desk.run(command)?));
    }
    same("help-srctl", &text)
}

fn boots_that_are_refused() -> Checked {
    need_privileges()?;
    let mut text = String::new();
    for (what, scene) in refusals()? {
        text.push_str(&format!("# {what}\n{}", played(&scene)?));
    }
    same("boot-refusals", &text)
}

/// A snapshot that nothing is compared with would say for ever what is no longer so.
fn every_snapshot_is_compared() -> Checked {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        found.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    let names = SINGLE.iter().map(|(name, _)| *name);
    let names = names
        .chain(BOOTS.iter().map(|boot| boot.name))
        .chain(IMAGES.iter().map(|image| image.name))
        .chain(SESSIONS.iter().map(|session| session.name));
    let compared: BTreeSet<String> = names.map(|name| format!("{name}.snap")).collect();
    let stale: Vec<_> = found.difference(&compared).collect();
    ensure!(stale.is_empty(), "nothing is compared with {stale:?}");
    Ok(())
}
