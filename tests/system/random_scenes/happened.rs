//! What was planned and what happened, beside what is expected.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use switch_root_tests::names::{escape, unescape};
use switch_root_tests::outcome::{End, Outcome, mount_points};
use switch_root_tests::report::Report;
use switch_root_tests::scene::Scene;

use super::expected::{Expected, Survivor, real};
use super::random::{BEFORE, LEFT, PRESERVED, TARGETS, UNTOUCHED};
use crate::check::{Booted, boots, ensure, refuses, said};
use crate::tools::{Checked, Stop};

/// The plan that was printed, which is as expected; nothing where it is that the switch
/// is refused. Nothing was changed.
pub fn planned(rehearsal: &Outcome, expected: &Expected) -> Result<Option<Value>, Stop> {
    let all = said(rehearsal);
    let changes = rehearsal.changes();
    ensure!(changes.is_empty(), "planning changed {changes:?}\n{all}");
    if expected.refused {
        ensure!(rehearsal.end != End::Exited(0), "it was planned\n{all}");
        return Ok(None);
    }
    ensure!(rehearsal.end == End::Exited(0), "there is no plan\n{all}");
    let printed: Value = serde_json::from_str(&rehearsal.stdout)?;
    let plan = &printed["plan"];
    // It has what a report has under the same names.
    survivors(&Report(plan.clone()), expected)?;
    for (field, expected) in [
        ("kept_mounts", &expected.kept_mounts),
        ("detached_mounts", &expected.detached_mounts),
    ] {
        let list = plan[field].as_array().into_iter().flatten();
        let planned: BTreeSet<String> = list
            .filter_map(|path| Some(escape(&unescape(path.as_str()?))))
            .collect();
        ensure!(
            planned == *expected,
            "{field}: {planned:?}, not {expected:?}"
        );
    }
    let would_delete = &printed["would_delete"];
    let counts = (&would_delete["files"], &would_delete["directories"]);
    match expected.skipped {
        true => ensure!(would_delete.is_null(), "{would_delete} would be deleted"),
        false => ensure!(
            (counts.0.as_u64(), counts.1.as_u64())
                == (Some(expected.deleted.0), Some(expected.deleted.1)),
            "{counts:?} would be deleted, not {:?}",
            expected.deleted
        ),
    }
    Ok(Some(printed))
}

/// Plays the scene, and compares.
pub fn check(scene: &Scene, expected: &Expected, planned: Option<&Value>) -> Checked {
    let Some(planned) = planned else {
        return refuses(scene, &["its sidecar says to refuse"]);
    };
    let booted = boots(scene)?;
    survivors(&booted.report, expected)?;
    ensure!(
        planned["plan"]["survivors"] == booted.report.0["survivors"],
        "planned: {:#}\nreported: {:#}",
        planned["plan"]["survivors"],
        booted.report.0["survivors"]
    );
    failures(&booted, expected)?;
    tree(&booted, expected)?;
    deletion(&booted, expected)?;
    mounts(&booted, expected)?;
    contents(&booted, expected)
}

fn survivors(report: &Report, expected: &Expected) -> Checked {
    let found = report.survivors();
    let wanted = expected.survivors.iter();
    let by = wanted.map(|(path, survivor)| (path.clone(), survivor.by.clone()));
    let by: BTreeMap<String, BTreeSet<String>> = by.collect();
    let superfluous: Vec<_> = found
        .iter()
        .filter(|(path, who)| by.get(*path) != Some(who))
        .collect();
    let missing: Vec<_> = by
        .iter()
        .filter(|(path, who)| found.get(*path) != Some(who))
        .collect();
    ensure!(
        superfluous.is_empty() && missing.is_empty(),
        "survivors: {superfluous:?} instead of {missing:?}"
    );
    for (path, survivor) in &expected.survivors {
        let carried = report.carried_to(path);
        let wanted = survivor.carried_to.as_ref();
        let wanted = wanted.map(|target| escape(target.as_bytes()));
        ensure!(
            carried == wanted,
            "{path} is carried to {carried:?}, not {wanted:?}: {}",
            report.survivor_note(path)
        );
    }
    Ok(())
}

fn failures(booted: &Booted, expected: &Expected) -> Checked {
    for policy in booted.report.policies() {
        let failed = booted.report.failure(&policy);
        ensure!(
            failed.is_some() == expected.failed.contains(&policy),
            "{policy}: {failed:?}"
        );
    }
    Ok(())
}

fn deletion(booted: &Booted, expected: &Expected) -> Checked {
    let report = &booted.report;
    let state = if expected.skipped {
        "skipped"
    } else {
        "complete"
    };
    ensure!(report.deletion() == state, "{}", report.0["deletion"]);
    let counts = (report.deleted("files"), report.deleted("directories"));
    let wanted = match expected.skipped {
        true => (0, 0),
        false => expected.deleted,
    };
    ensure!(counts == wanted, "{counts:?} were deleted, not {wanted:?}");
    let failed = report.failed_deletions();
    ensure!(failed.is_empty(), "not deleted: {failed:?}");
    let skipped = report.skipped_mounts();
    ensure!(skipped.is_empty(), "mounts in the way: {skipped:?}");
    Ok(())
}

/// What is left of the initramfs, and as it was.
fn tree(booted: &Booted, expected: &Expected) -> Checked {
    let (before, after) = (
        &booted.outcome.before.initramfs,
        &booted.outcome.after.initramfs,
    );
    let left: BTreeSet<String> = after.keys().cloned().collect();
    let missing: Vec<_> = expected.left.difference(&left).collect();
    let superfluous: Vec<_> = left.difference(&expected.left).collect();
    ensure!(
        missing.is_empty() && superfluous.is_empty(),
        "missing: {missing:?}; left over: {superfluous:?}\n{:#}\n{}",
        booted.report.0["deletion"],
        said(&booted.outcome)
    );
    for (path, is) in after {
        let was = &before[path];
        // What was mounted there is not any more.
        ensure!(
            was == is || was.kind == "mount",
            "{path} was {was:?}, is {is:?}"
        );
    }
    Ok(())
}

/// The mounts that init finds: those that every system has, what is carried, what is
/// kept.
fn mounts(booted: &Booted, expected: &Expected) -> Checked {
    let found: BTreeSet<String> = mount_points(&booted.seen.mounts)
        .into_keys()
        .map(|point| octal(&point))
        // Without privileges the devices are bind mounts.
        .filter(|point| !point.starts_with("/dev/"))
        .collect();
    let mut wanted: BTreeSet<String> = ["/", "/dev", "/proc", "/run", "/sys", LEFT]
        .map(String::from)
        .into();
    for mount in &expected.kept_mounts {
        wanted.insert(format!("{}{mount}", place_of(mount, expected)));
    }
    let shown: Vec<&String> = shown(expected).collect();
    wanted.extend((!shown.is_empty()).then(|| PRESERVED.into()));
    for path in &shown {
        let link = booted.outcome.before.initramfs[*path].kind == "symlink";
        let within = |other: &&String| path.starts_with(&format!("{other}/"));
        if !link && !shown.iter().any(within) {
            wanted.insert(format!("{PRESERVED}{path}"));
        }
    }
    let all = || expected.kept_mounts.iter().chain(&expected.detached_mounts);
    for (path, survivor) in &expected.survivors {
        let Some(target) = &survivor.carried_to else {
            continue;
        };
        let target = escape(real(target).as_bytes());
        // What is mounted on it is bound with it.
        for mount in all() {
            if let Some(rest) = mount.strip_prefix(path.as_str())
                && rest.starts_with('/')
            {
                wanted.insert(format!("{target}{rest}"));
            }
        }
        wanted.insert(target);
    }
    for index in expected.seen.keys() {
        wanted.insert(format!("/seen/{index}"));
    }
    if expected.shared {
        wanted.insert("/shared".into());
    }
    // The init's words are UTF-8, so that other bytes are replaced in them.
    let wanted: BTreeSet<String> = wanted
        .iter()
        .map(|path| escape(String::from_utf8_lossy(&unescape(path)).as_bytes()))
        .collect();
    ensure!(
        found == wanted,
        "mounts: {found:?}, not {wanted:?}\n{}\n{}",
        booted.seen.mounts.join("\n"),
        said(&booted.outcome)
    );
    Ok(())
}

/// The paths that a policy keeps: others than root see these.
fn shown(expected: &Expected) -> impl Iterator<Item = &String> {
    let by_policy = |survivor: &&Survivor| survivor.by.iter().any(|by| by != "host");
    let shown = expected
        .survivors
        .iter()
        .filter(move |(_, survivor)| by_policy(survivor));
    shown.map(|(path, _)| path)
}

/// Below which directory a mount is kept.
fn place_of(mount: &str, expected: &Expected) -> &'static str {
    let covers = |path: &String| mount == path || mount.starts_with(&format!("{path}/"));
    match shown(expected).any(covers) {
        true => PRESERVED,
        false => LEFT,
    }
}

/// A path of mountinfo, which has octal escapes, in ours.
fn octal(point: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = point.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.first_chunk::<3>();
        let byte = digits
            .filter(|_| first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &behind[3..] } else { behind };
    }
    escape(&bytes)
}

/// What is in the new root and was not carried there is as it was; what was, nobody can
/// write to. What is in other mounts is as it was, too.
fn contents(booted: &Booted, expected: &Expected) -> Checked {
    let files = &booted.seen.files;
    let content = |path: &str| files.get(path).and_then(|seen| seen.content.as_deref());
    let carried: BTreeSet<String> = expected
        .survivors
        .values()
        .filter_map(|survivor| survivor.carried_to.as_deref().map(real))
        .collect();
    for path in UNTOUCHED {
        let hidden = carried
            .iter()
            .any(|target| path.starts_with(target.as_str()));
        let content = content(path);
        ensure!(
            hidden || content == Some(BEFORE),
            "{path} holds {content:?}"
        );
    }
    for target in TARGETS
        .into_iter()
        .filter(|target| carried.contains(&real(target)))
    {
        let error = files
            .get(target)
            .and_then(|seen| seen.write_error.as_deref());
        // Pipes and sockets are no files that could be written to.
        let special = error == Some("ENXIO") || error.is_none();
        let plain = expected.survivors.iter().any(|(path, survivor)| {
            let kind = booted.outcome.before.initramfs[path].kind.as_str();
            survivor.carried_to.as_deref() == Some(target) && matches!(kind, "file" | "directory")
        });
        ensure!(
            error == Some("EROFS") || (special && !plain),
            "writing to {target} gives {error:?}"
        );
    }
    for (index, (path, kept)) in &expected.seen {
        let wanted = format!("in {index}");
        let mut places = vec![format!("/seen/{index}/inside")];
        if *kept {
            places.push(format!("{}{path}/inside", place_of(path, expected)));
        }
        for place in places {
            let content = content(&place);
            ensure!(content == Some(&wanted), "{place} holds {content:?}");
        }
    }
    let mut top: BTreeSet<&str> = ["/dev", "/etc", "/opt", "/proc", "/run", "/sbin", "/sys"].into();
    top.extend((!expected.seen.is_empty()).then_some("/seen"));
    top.extend(expected.shared.then_some("/shared"));
    top.extend(carried.contains("/srv").then_some("/srv"));
    let found: BTreeSet<&str> = booted.seen.top.iter().map(String::as_str).collect();
    ensure!(found == top, "{found:?} is in the new root, not {top:?}");
    Ok(())
}
