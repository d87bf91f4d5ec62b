//! The rows of DESIGN.md's table of budgets.

use std::path::{Path, PathBuf};

use switch_root_tests::architecture::Architecture;
use switch_root_tests::machine;
use switch_root_tests::results::{Unit, median};
use switch_root_tests::scene::Scene;
use switch_root_tests::steps::{Make, Steps};

use crate::figures::Figures;
use crate::named;
use crate::race::{self, Race, deletion_time};
use crate::subjects::{FULL, PEER, SMALL, Subject};

const MANY: u32 = 100_000;
/// Where an operator's policies are.
pub const FOLDER: &str = "/etc/switch-root/policies.d";
/// How often each of the smaller measurements is repeated.
const REPETITIONS: usize = 7;

/// Measures what the races have not shown, and compares all with the bars.
pub fn measure(subjects: &[Subject], figures: &mut Figures) -> Result<(), String> {
    to_init(figures);
    deletion(figures);
    memory_freed(subjects, figures)?;
    descending(subjects, figures)?;
    decision(subjects, figures)?;
    sizes(figures);
    Ok(())
}

fn to_init(figures: &mut Figures) {
    let ours = figures.median(MANY, FULL, |race| race.to_init);
    let small = figures.median(MANY, SMALL, |race| race.to_init);
    let theirs = figures.median(MANY, PEER, |race| race.to_init);
    for (name, ours) in [(FULL, ours), (SMALL, small)] {
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            figures.budget(
                &format!("{name}: exec to exec of init, {MANY} files"),
                format!("{:.2} ms ({:.2} of util-linux)", ours / 1e3, ours / theirs),
                "below util-linux",
                ours < theirs,
            );
        }
    }
}

fn deletion(figures: &mut Figures) {
    let ours = figures.median(MANY, FULL, deletion_time);
    if let (Some(ours), Some(bare)) = (ours, figures.bare_median(MANY)) {
        figures.budget(
            &format!("deletion of {MANY} files"),
            format!("{:.1} ms ({:.3} of bare)", ours / 1e3, ours / bare),
            "1.05 of a bare loop",
            ours <= bare * 1.05,
        );
    }
}

/// Boots each kernel with 64 MiB of ballast.
fn memory_freed(subjects: &[Subject], figures: &mut Figures) -> Result<(), String> {
    const BALLAST: Make = Make::Many {
        directories: 16,
        files: 64,
        bytes: 65_536,
    };
    let Some(folder) = std::env::var_os("SWITCH_ROOT_KERNELS") else {
        return Ok(());
    };
    if let Err(reason) = machine::possible(Architecture::X86_64) {
        println!("memory freed by real kernels is not measured: {reason}");
        return Ok(());
    }
    let probe = std::env::current_exe()
        .map_err(|error| error.to_string())?
        .with_file_name("probe");
    let kernels = machine::kernels(Path::new(&folder)).map_err(|error| error.to_string())?;
    let mut gains = Vec::new();
    for kernel in &kernels {
        let scene = Scene::boot(&named(subjects, FULL)?.program, &probe)
            .make("/ballast", BALLAST)
            .time_limit(180);
        let scratch =
            std::env::temp_dir().join(format!("switch-root-bench-vm-{}", std::process::id()));
        std::fs::create_dir_all(&scratch).map_err(|error| error.to_string())?;
        let boot = machine::boot(kernel, &scene, &probe, &scratch);
        let _ = std::fs::remove_dir_all(&scratch);
        let boot = boot.map_err(|error| error.to_string())?;
        let seen = boot
            .testimony
            .ok_or_else(|| format!("{} did not come up:\n{}", kernel.display(), boot.console))?;
        let before = seen
            .stage1
            .as_ref()
            .map_or(0, |stage1| stage1.memory["Shmem"]);
        let gain = before.saturating_sub(seen.memory["Shmem"]) as f64 * 1024.0;
        // Of all releases of a series the figure is the same.
        let (major, minor, _) = machine::version(&seen.kernel);
        figures.more(
            &format!("memory freed, Linux {major}.{minor}"),
            Unit::FreedBytes,
            vec![gain],
            None,
        );
        gains.push((seen.kernel.clone(), gain / 1048576.0));
    }
    if let (Some((old, old_gain)), Some((new, new_gain))) = (gains.first(), gains.last())
        && gains.len() > 1
    {
        figures.budget(
            &format!("memory freed, Linux {new} beside {old}"),
            format!("{new_gain:.1} MiB beside {old_gain:.1}"),
            "the same",
            (new_gain - old_gain).abs() <= old_gain * 0.05,
        );
    }
    Ok(())
}

/// A policy that the tests have.
pub fn policy_file(name: &str) -> Result<Vec<u8>, String> {
    let folder: PathBuf = std::env::var_os("SWITCH_ROOT_POLICIES")
        .ok_or("SWITCH_ROOT_POLICIES names no folder")?
        .into();
    let path = folder.join(name);
    std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Runs a subject several times.
fn runs(subject: &Subject, files: u32) -> Result<Vec<Race>, String> {
    (0..REPETITIONS)
        .map(|_| race::run(subject, files))
        .collect()
}

/// Writes down a figure of each run, and returns the median.
fn figure(
    figures: &mut Figures,
    what: &str,
    unit: Unit,
    races: &[Race],
    of: impl Fn(&Race) -> f64,
) -> Result<f64, String> {
    let runs: Vec<f64> = races.iter().map(of).collect();
    figures.more(what, unit, runs.clone(), None);
    median(runs).ok_or_else(|| "nothing was measured".into())
}

/// From the fork of the judge to its last answer, in microseconds.
pub fn judge_time(race: &Race) -> f64 {
    race.report["judge"]["time_us"].as_f64().unwrap_or(f64::NAN)
}

fn descending(subjects: &[Subject], figures: &mut Figures) -> Result<(), String> {
    let mut subject = named(subjects, FULL)?.clone();
    let sidecar = br#"{"settings": {"attack": "descend-everywhere"}}"#;
    subject.policies = vec![
        (
            format!("{FOLDER}/50-all.wasm"),
            policy_file("hostile.wasm")?,
        ),
        (
            format!("{FOLDER}/50-all.cwasm"),
            policy_file("hostile.cwasm")?,
        ),
        (format!("{FOLDER}/50-all.json"), sidecar.to_vec()),
    ];
    // Twice: what the sandbox takes, and what an operator waits for, which is
    // mostly the host's own reading of directories.
    let races = runs(&subject, MANY)?;
    for (what, time) in [
        ("through the sandbox", calls as fn(&Race) -> f64),
        ("with the listing of the host", judge_time),
    ] {
        let what = format!("a policy that descends everywhere, {what}");
        // Entries in a microsecond are millions in a second.
        let rate = figure(figures, &what, Unit::MillionPerSecond, &races, |race| {
            entries(race) / time(race)
        })?;
        figures.budget(
            &what,
            format!("{rate:.2} million entries/s"),
            "1 million entries/s",
            rate >= 1.0,
        );
    }
    Ok(())
}

fn entries(race: &Race) -> f64 {
    race.report["review"]["entries"]
        .as_f64()
        .unwrap_or(f64::NAN)
}

/// The time in calls of policies, in microseconds.
fn calls(race: &Race) -> f64 {
    let policies = race.report["policies"].as_array().into_iter().flatten();
    policies
        .filter_map(|policy| policy["time_us"].as_f64())
        .sum()
}

/// From the fork of the judge to its last answer, on one core, with the default
/// policy as a file.
pub fn decision(subjects: &[Subject], figures: &mut Figures) -> Result<(), String> {
    let mut subject = named(subjects, FULL)?.clone();
    subject.one_core = true;
    let wasm = policy_file("default.wasm")?;
    let bytes = wasm.len();
    subject.policies = vec![(format!("{FOLDER}/00-default.wasm"), wasm)];
    let time = Unit::Microseconds;
    let compiled = figure(
        figures,
        "decision by a .wasm without .cwasm, one core",
        time,
        &runs(&subject, 1_000)?,
        judge_time,
    )?;
    figures.budget(
        &format!("decision by a {bytes}-byte .wasm without .cwasm, one core"),
        format!("{:.1} ms", compiled / 1e3),
        "40 ms (15 KB)",
        compiled <= 40e3,
    );
    subject.policies.push((
        format!("{FOLDER}/00-default.cwasm"),
        policy_file("default.cwasm")?,
    ));
    let what = "decision by the same with .cwasm, fork included, one core";
    let native = figure(figures, what, time, &runs(&subject, 1_000)?, judge_time)?;
    figures.budget(
        what,
        format!("{:.2} ms", native / 1e3),
        "0.6 ms",
        native <= 600.0,
    );
    Ok(())
}

fn sizes(figures: &mut Figures) {
    for (name, bar, text) in [(SMALL, 2_500_000, "2.5 MB"), (FULL, 9_000_000, "9 MB")] {
        if let Some(bytes) = figures.bytes(name) {
            figures.budget(
                &format!("{name}: size"),
                format!("{:.2} MB", bytes as f64 / 1e6),
                text,
                bytes <= bar,
            );
        }
    }
    if let Some(peak) = figures.median(MANY, SMALL, |race| race.peak_kib) {
        figures.budget(
            &format!("{SMALL}: peak memory, judge included"),
            format!("{:.2} MiB", peak / 1024.0),
            "6 MB",
            peak * 1024.0 <= 6e6,
        );
    }
}
