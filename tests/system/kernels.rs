//! Real kernels in an emulated machine, where `/` is the kernel's own rootfs.

mod living;

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::thread::CapabilitySet;
use serde_json::Value;
use switch_root_tests::archive;
use switch_root_tests::machine::boot_as_it_is;
use switch_root_tests::outcome::mount_points;
use switch_root_tests::probe::HELD_FREE;
use switch_root_tests::report::Report;
use switch_root_tests::scene::{Ending, INIT, NEW_ROOT, Scene};
use switch_root_tests::steps::{Make, Steps};

use crate::check::{confined, content, ensure, says};
use crate::command_line::{levels_differ, with_shell};
use crate::machines::{Machine, Up, each, here, sample};
use crate::preserving::{PRESERVE, delegating};
use crate::tools::{Checked, Policies, Stop, cases, policy};

cases![
    there_is_a_kernel_of_each_kind,
    each_kernel_hands_over_and_frees_the_initramfs,
    each_kernel_frees_the_initramfs_when_told_to_move,
    each_kernel_frees_the_initramfs_in_the_foreground,
    a_refusal_is_the_last_word_on_the_console,
    a_kernel_that_cannot_pivot_refuses_to_be_told_to,
    hostile_policies_leave_everything_in_place,
    the_small_build_keeps_what_it_is_told_to,
    run_init_drops_capabilities_for_good,
    run_init_drops_capabilities_where_proc_shows_processes_alone,
    the_kernel_log_has_what_the_command_line_asks_for,
    initramfs_that_was_not_unpacked_whole_is_a_warning,
    what_serves_the_new_root_goes_on_serving_it,
    daemons_go_on_serving_the_new_root,
    programs_that_the_kernel_starts_run_in_the_new_root,
];

/// What no kernel takes for an archive.
const GARBAGE: &[u8] = b"this is not an archive";

fn initramfs_that_was_not_unpacked_whole_is_a_warning() -> Checked {
    each(sample(here()?), warns_of_a_damaged_initramfs)
}

fn warns_of_a_damaged_initramfs(machine: &Machine) -> Checked {
    let probe = &machine.programs.probe;
    // Deleted in the background, not at all, and by another program that switches.
    let scenes = [
        machine.scene(),
        machine.scene().options(["--keep-initramfs"]),
        delegating(machine.scene(), &[PRESERVE])?,
    ];
    for mut scene in scenes {
        scene.questions.ending = Ending::PowerOff;
        let scratch = tempfile::tempdir()?;
        let image = scratch.path().join("initramfs");
        let archive = archive::pack(&scene, probe)?;
        std::fs::write(&image, [&archive, GARBAGE].concat())?;
        let patience = Duration::from_secs(120);
        let boot = boot_as_it_is(&machine.kernel, &image, "", patience)?;
        let seen = boot.testimony.ok_or_else(|| boot.console.clone())?;
        let report = seen.report.map(Report).ok_or("there is no report")?;
        says(
            &report.warnings(),
            &["failed to unpack the initramfs (invalid magic"],
        )?;
    }
    // And none where it was.
    for scene in [machine.scene(), delegating(machine.scene(), &[PRESERVE])?] {
        let whole = machine.up(&scene)?.report.warnings();
        ensure!(!whole.contains("unpack"), "{whole}");
    }
    Ok(())
}

/// Files that fill 64 MiB, and as many kB.
const BALLAST: Make = Make::Many {
    directories: 16,
    files: 64,
    bytes: 65_536,
};
const BALLAST_KB: u64 = 65_536;

/// Attacks, more of the sidecar of each, and how the policy fails.
const ATTACKS: [(&str, &str, &str); 5] = [
    ("trap", PATIENT, "trap"),
    ("loop", PATIENT, "fuel"),
    (
        "allocate-forever",
        r#""limits": {"memory_bytes": 8388608, "deadline_ms": 100000, "total_ms": 200000}"#,
        "memory",
    ),
    ("deep-recursion", PATIENT, "stack"),
    (
        "loop",
        r#""limits": {"fuel": 1000000000000000, "deadline_ms": 3000, "total_ms": 100000}"#,
        "deadline",
    ),
];
/// For a sidecar: in a machine that is emulated all but time itself takes long.
pub const PATIENT: &str = r#""limits": {"deadline_ms": 100000, "total_ms": 200000}"#;

/// The newest machine that can pivot, or that cannot.
fn the_one(able_to_pivot: bool) -> Result<Machine, Stop> {
    let kind = if able_to_pivot {
        "7.0 or newer"
    } else {
        "older than 7.0"
    };
    let found = here()?
        .into_iter()
        .rfind(|machine| machine.can_pivot() == able_to_pivot);
    found.ok_or_else(|| Stop::Skip(format!("SWITCH_ROOT_KERNELS holds no kernel {kind}")))
}

fn there_is_a_kernel_of_each_kind() -> Checked {
    the_one(false)?;
    the_one(true).map(drop)
}

/// A boot of 64 MiB with survivors.
fn full(machine: &Machine) -> Result<Scene, Stop> {
    laden(machine.scene())
}

fn laden(scene: Scene) -> Result<Scene, Stop> {
    let sidecar = format!(r#"{{"settings": {{"keep": ["/kept/**"]}}, {PATIENT}}}"#);
    Ok(scene
        .make("/ballast", BALLAST)
        .file("/extensions.yaml", "layers: []\n")
        .file("/kept/below/file", "kept")
        .policy("50-keep", policy("keep-paths")?, Some(&sidecar))
        .look_at([
            "/etc/extensions.yaml",
            "/run/switch-root/preserved/kept/below/file",
        ])
        .time_limit(300))
}

/// Checks that what is left is exactly what was to survive, and that the rest is free
/// again, by the kernel's own account.
fn emptied(up: &Up, machine: &Machine) -> Checked {
    let kernel = machine.name();
    let left: Vec<&str> = up
        .seen
        .left
        .iter()
        .flatten()
        .map(|(path, _)| path.as_str())
        .collect();
    let expected = [
        "/extensions.yaml",
        "/kept",
        "/kept/below",
        "/kept/below/file",
    ];
    ensure!(
        left == expected,
        "{kernel}: left: {left:?}\n{:#}",
        up.report.0["deletion"]
    );
    let usage = up.seen.left_usage.ok_or("no usage")?;
    ensure!(
        usage.bytes < 1 << 20,
        "{kernel}: the initramfs still holds {usage:?}"
    );
    let gain = |field: &str, sign: i64| {
        let of = |memory: &BTreeMap<String, u64>| memory.get(field).copied().unwrap_or_default();
        let (was, is) = (of(&up.before.memory), of(&up.seen.memory));
        (is.cast_signed() - was.cast_signed()) * sign
    };
    let ballast = BALLAST_KB.cast_signed();
    let available = gain("MemAvailable", 1) + gain(HELD_FREE, 1);
    let shared = gain("Shmem", -1);
    ensure!(
        available > ballast * 9 / 10,
        "{kernel}: {available} kB more are available\nbefore: {:?}\nafter: {:?}",
        up.before.memory,
        up.seen.memory
    );
    ensure!(
        shared > ballast * 9 / 10,
        "{kernel}: {shared} kB less are shared"
    );
    Ok(())
}

/// Checks what init sees beside that.
fn handed_over(up: &Up, machine: &Machine) -> Checked {
    let Up { seen, .. } = up;
    let kernel = machine.name();
    ensure!(
        seen.process == 1,
        "{kernel}: init is process {}",
        seen.process
    );
    ensure!(
        seen.executable.as_deref() == Some(INIT),
        "{kernel}: {:?}",
        seen.executable
    );
    let mounts = mount_points(&seen.mounts);
    for (place, expected) in [
        ("/", "tmpfs"),
        ("/dev", "devtmpfs"),
        ("/proc", "proc"),
        ("/run", "tmpfs"),
        ("/sys", "sysfs"),
    ] {
        let found = mounts.get(place).map(String::as_str);
        ensure!(
            found == Some(expected),
            "{kernel}: {place} is {found:?}\n{}",
            seen.mounts.join("\n")
        );
    }
    for (path, content) in [
        ("/etc/extensions.yaml", "layers: []\\x0a"),
        ("/run/switch-root/preserved/kept/below/file", "kept"),
    ] {
        let file = &seen.files[path];
        ensure!(
            file.content.as_deref() == Some(content),
            "{kernel}: {path}: {file:?}"
        );
        ensure!(
            file.write_error.as_deref() == Some("EROFS"),
            "{kernel}: {path}: {file:?}"
        );
    }
    for set in ["SigBlk", "SigIgn", "SigCgt"] {
        let value = seen.status.get(set).map(String::as_str);
        ensure!(
            value == Some("0000000000000000"),
            "{kernel}: {set} is {value:?}"
        );
    }
    Ok(())
}

/// Checks whether a policy was compiled by the machine itself.
pub fn compiled(up: &Up, name: &str, expected: bool) -> Checked {
    let policy = up.report.policy(name).unwrap_or(&Value::Null);
    ensure!(policy["compiled"] == expected, "{name}: {policy:#}");
    Ok(())
}

/// With a policy that the machine compiles.
pub fn hands_over_and_frees_the_initramfs(machine: &Machine) -> Checked {
    let up = machine.up(&full(machine)?)?;
    let expected = if machine.can_pivot() { "pivot" } else { "move" };
    let strategy = up.report.strategy();
    ensure!(strategy == expected, "the strategy was {strategy}");
    handed_over(&up, machine)?;
    confined(&up.report, true).map_err(|stop| stop.during(&machine.name()))?;
    compiled(&up, "50-keep", true)?;
    emptied(&up, machine)
}

/// Where it would not move by itself.
pub fn frees_the_initramfs_when_told_to_move(machine: &Machine) -> Checked {
    if !machine.can_pivot() {
        return Ok(());
    }
    let up = machine.up(&full(machine)?.options(["--strategy", "move"]))?;
    let strategy = up.report.strategy();
    ensure!(strategy == "move", "the strategy was {strategy}");
    handed_over(&up, machine)?;
    emptied(&up, machine)
}

pub fn frees_the_initramfs_in_the_foreground(machine: &Machine) -> Checked {
    let up = machine.up(&full(machine)?.options(["--foreground"]))?;
    ensure!(
        up.seen.report_at_start == up.seen.report,
        "the report was not final"
    );
    emptied(&up, machine)
}

pub fn ends_with_the_reason_of_a_refusal(machine: &Machine) -> Checked {
    let scene = full(machine)?.command(["/bin/switch_root", NEW_ROOT, "/sbin/missing"]);
    let boot = machine.boot(&scene)?;
    ensure!(boot.testimony.is_none(), "init was started");
    ensure!(!boot.timed_out, "the machine did not end\n{}", boot.console);
    says(&boot.console, &["/sbin/missing", "Attempted to kill init"])?;
    // The kernel writes the time in brackets before its own messages. All of it is one.
    let whole = |line: &str| {
        line.contains("] switch_root: error: nothing was changed: ")
            && line.contains("/sbin/missing")
    };
    ensure!(
        boot.console.lines().any(whole),
        "the kernel's log has no line with all of the reason\n{}",
        boot.console
    );
    Ok(())
}

/// All attacks in one boot: each policy fails on its own, and the machine boots.
pub fn boots_with_everything_in_place_after_attacks(machine: &Machine) -> Checked {
    let mut scene = full(machine)?;
    let name = |index: usize| format!("6{index}-hostile");
    for (index, (attack, limits, _)) in ATTACKS.into_iter().enumerate() {
        let sidecar = format!(r#"{{"settings": {{"attack": "{attack}"}}, {limits}}}"#);
        let native = format!("/usr/lib/switch-root/policies.d/{}.cwasm", name(index));
        scene = scene
            .policy(&name(index), policy("hostile")?, Some(&sidecar))
            .file(native, machine.native("hostile")?);
    }
    let up = machine.up(&scene)?;
    for (index, (attack, _, expected)) in ATTACKS.into_iter().enumerate() {
        compiled(&up, &name(index), false)?;
        let failure = up.report.failure(&name(index));
        ensure!(
            failure.as_ref().is_some_and(|(kind, _)| kind == expected),
            "{attack}: {failure:?}, and {expected} was expected"
        );
    }
    handed_over(&up, machine)?;
    let deletion = &up.report.0["deletion"];
    ensure!(up.report.deletion() == "skipped", "{deletion}");
    let was = up.before.memory["Shmem"];
    let is = up.seen.memory["Shmem"];
    ensure!(is > was - 8192, "{was} kB were shared, and {is} are");
    Ok(())
}

/// With policies that were compiled ahead of time.
pub fn frees_the_initramfs_with_the_small_build(machine: &Machine) -> Checked {
    let native = machine.native("keep-paths")?;
    let scene =
        laden(machine.small_scene())?.file("/usr/lib/switch-root/policies.d/50-keep.cwasm", native);
    let up = machine.up(&scene)?;
    compiled(&up, "50-keep", false)?;
    // The policy that is embedded was compiled for this architecture, too.
    compiled(&up, "00-default", false)?;
    handed_over(&up, machine)?;
    confined(&up.report, true).map_err(|stop| stop.during(&machine.name()))?;
    emptied(&up, machine)
}

fn each_kernel_hands_over_and_frees_the_initramfs() -> Checked {
    each(here()?, hands_over_and_frees_the_initramfs)
}

fn each_kernel_frees_the_initramfs_when_told_to_move() -> Checked {
    each(here()?, frees_the_initramfs_when_told_to_move)
}

fn each_kernel_frees_the_initramfs_in_the_foreground() -> Checked {
    each(sample(here()?), frees_the_initramfs_in_the_foreground)
}

fn a_refusal_is_the_last_word_on_the_console() -> Checked {
    each(sample(here()?), ends_with_the_reason_of_a_refusal)
}

fn a_kernel_that_cannot_pivot_refuses_to_be_told_to() -> Checked {
    let machine = the_one(false)?;
    let boot = machine.boot(&full(&machine)?.options(["--strategy", "pivot"]))?;
    ensure!(boot.testimony.is_none(), "init was started");
    says(&boot.console, &["pivot", "Attempted to kill init"])
}

fn hostile_policies_leave_everything_in_place() -> Checked {
    each(
        sample(here()?),
        boots_with_everything_in_place_after_attacks,
    )
}

fn the_small_build_keeps_what_it_is_told_to() -> Checked {
    each(sample(here()?), frees_the_initramfs_with_the_small_build)
}

fn run_init_drops_capabilities_for_good() -> Checked {
    drops_capabilities("/proc", "true")
}

fn run_init_drops_capabilities_where_proc_shows_processes_alone() -> Checked {
    let alone = "/bin/busybox mount -t proc -o subset=pid proc";
    let command = format!(
        "/bin/busybox mkdir {NEW_ROOT}/all && /bin/busybox mount -o bind /proc {NEW_ROOT}/all && {alone} {NEW_ROOT}/proc && {alone} /proc"
    );
    drops_capabilities("/all", &command)
}

/// The command comes right before, and all of proc is mounted on a place of the new root.
fn drops_capabilities(proc: &str, command: &str) -> Checked {
    // Only here: what the kernel's own helpers may do is set for the whole machine.
    let machine = the_one(true)?;
    let sets = ["bset", "inheritable"].map(|set| format!("{proc}/sys/kernel/usermodehelper/{set}"));
    let scene = full(&machine)?
        .symlink("/bin/run-init", "switch_root")
        .look_at(sets.iter().map(String::as_str));
    // It leaves mounts where they are, and init is to look into /proc.
    let script = format!(
        "/bin/busybox mount -o bind /proc {NEW_ROOT}/proc && {command} && exec /bin/run-init -d cap_sys_module,cap_sys_rawio {NEW_ROOT} {INIT}"
    );
    let scene = with_shell(scene, &script)?;
    let up = machine.up(&scene)?;
    let dropped = (CapabilitySet::SYS_MODULE | CapabilitySet::SYS_RAWIO).bits();
    for set in ["CapBnd", "CapPrm", "CapEff", "CapInh"] {
        let text = up
            .seen
            .status
            .get(set)
            .map(String::as_str)
            .unwrap_or_default();
        let value =
            u64::from_str_radix(text, 16).map_err(|error| format!("{set} {text}: {error}"))?;
        ensure!(value & dropped == 0, "{set} is {text}");
    }
    for set in &sets {
        let helper = content(&up.seen, set).unwrap_or_default();
        // Two words of 32 bits, the lower one first.
        let low = helper
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .and_then(|word| word.parse::<u64>().ok());
        ensure!(
            low.is_some_and(|low| low & dropped == 0),
            "helpers may have {helper:?}"
        );
    }
    let warnings = up.report.warnings();
    ensure!(!warnings.contains("helpers"), "{warnings}");
    Ok(())
}

fn the_kernel_log_has_what_the_command_line_asks_for() -> Checked {
    let machine = the_one(true)?;
    levels_differ(|level| {
        let scene = full(&machine)?.kernel_command_line(&format!("switch_root.log={level}"));
        let log = machine.up(&scene)?.seen.kernel_log;
        // The kernel itself repeats the parameter.
        Ok(log
            .iter()
            .filter(|record| !record.contains("switch_root.log="))
            .count())
    })
}

fn what_serves_the_new_root_goes_on_serving_it() -> Checked {
    each(sample(here()?), living::goes_on_serving_the_new_root)
}

fn daemons_go_on_serving_the_new_root() -> Checked {
    each(sample(here()?), living::daemons_go_on_serving_the_new_root)
}

fn programs_that_the_kernel_starts_run_in_the_new_root() -> Checked {
    each(sample(here()?), living::starts_programs_in_the_new_root)
}
