//! Real kernels in an emulated machine, where `/` is the kernel's own rootfs.

use std::path::{Path, PathBuf};

use rustix::thread::CapabilitySet;
use switch_root_tests::machine::{Boot, version};
use switch_root_tests::outcome::mount_points;
use switch_root_tests::report::Report;
use switch_root_tests::scene::{INIT, NEW_ROOT, Scene};
use switch_root_tests::steps::{Make, Steps};
use switch_root_tests::testimony::{Stage1, Testimony};

use crate::check::{ensure, says};
use crate::command_line::levels_differ;
use crate::tools::{Checked, Policies, Stop, boot, boot_kernel, cases, kernels, policy};

cases![
    there_is_a_kernel_of_each_kind,
    each_kernel_hands_over_and_frees_the_initramfs,
    each_kernel_frees_the_initramfs_when_told_to_move,
    each_kernel_frees_the_initramfs_in_the_foreground,
    a_refusal_is_the_last_word_on_the_console,
    a_kernel_that_cannot_pivot_refuses_to_be_told_to,
    a_policy_that_loops_leaves_everything_in_place,
    run_init_drops_capabilities_for_good,
    the_kernel_log_has_what_the_command_line_asks_for,
];

/// The first kernel whose rootfs can be pivoted away.
const NULLFS: (u32, u32, u32) = (7, 0, 0);

/// Files that fill 64 MiB, and as many kB.
const BALLAST: Make = Make::Many {
    directories: 16,
    files: 64,
    bytes: 65_536,
};
const BALLAST_KB: u64 = 65_536;

fn can_pivot(kernel: &Path) -> bool {
    let name = kernel.file_name().unwrap_or_default().to_string_lossy();
    version(name.trim_start_matches("vmlinuz-")) >= NULLFS
}

fn the_one(able_to_pivot: bool) -> Result<PathBuf, Stop> {
    let kind = if able_to_pivot {
        "7.0 or newer"
    } else {
        "older than 7.0"
    };
    let found = kernels()?
        .into_iter()
        .rfind(|kernel| can_pivot(kernel) == able_to_pivot);
    found.ok_or_else(|| Stop::Skip(format!("SWITCH_ROOT_KERNELS holds no kernel {kind}")))
}

fn there_is_a_kernel_of_each_kind() -> Checked {
    the_one(false)?;
    the_one(true).map(drop)
}

/// A boot of 64 MiB with survivors.
fn full() -> Result<Scene, Stop> {
    let sidecar = r#"{"settings": {"keep": ["/kept/**"]}}"#;
    Ok(boot()?
        .make("/ballast", BALLAST)
        .file("/extensions.yaml", "layers: []\n")
        .file("/kept/below/file", "kept")
        .policy("50-keep", policy("keep-paths")?, Some(sidecar))
        .look_at([
            "/etc/extensions.yaml",
            "/run/switch-root/preserved/kept/below/file",
        ])
        .time_limit(120))
}

/// A machine that came as far as init.
struct Up {
    seen: Testimony,
    report: Report,
    before: Stage1,
}

fn up(kernel: &Path, scene: &Scene) -> Result<Up, Stop> {
    let Boot {
        console,
        testimony,
        timed_out,
    } = boot_kernel(kernel, scene)?;
    let Some(seen) = testimony else {
        return Err(Stop::Fail(format!(
            "init was not started (timed out: {timed_out})\n{console}"
        )));
    };
    ensure!(
        seen.settled,
        "the deletion did not end: {:?}\n{console}",
        seen.report
    );
    let report = seen
        .report
        .clone()
        .map(Report)
        .ok_or("there is no report")?;
    let before = seen.stage1.clone().ok_or("stage 1 left no record")?;
    Ok(Up {
        seen,
        report,
        before,
    })
}

/// Checks that what is left is exactly what was to survive, and that the rest is free
/// again, by the kernel's own account.
fn emptied(up: &Up, kernel: &Path) -> Checked {
    let kernel = kernel.display();
    let left: Vec<&str> = up
        .seen
        .preserved
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
    let usage = up.seen.preserved_usage.ok_or("no usage")?;
    ensure!(
        usage.bytes < 1 << 20,
        "{kernel}: the initramfs still holds {usage:?}"
    );
    let gain = |field: &str, sign: i64| {
        let (was, is) = (up.before.memory[field], up.seen.memory[field]);
        (is.cast_signed() - was.cast_signed()) * sign
    };
    let ballast = BALLAST_KB.cast_signed();
    let (available, shared) = (gain("MemAvailable", 1), gain("Shmem", -1));
    ensure!(
        available > ballast * 9 / 10,
        "{kernel}: {available} kB more are available"
    );
    ensure!(
        shared > ballast * 9 / 10,
        "{kernel}: {shared} kB less are shared"
    );
    Ok(())
}

/// Checks what init sees beside that.
fn handed_over(up: &Up, kernel: &Path) -> Checked {
    let Up { seen, .. } = up;
    let kernel = kernel.display();
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

fn each_kernel_hands_over_and_frees_the_initramfs() -> Checked {
    for kernel in kernels()? {
        let up = up(&kernel, &full()?)?;
        let expected = if can_pivot(&kernel) { "pivot" } else { "move" };
        let strategy = up.report.strategy();
        ensure!(
            strategy == expected,
            "{}: the strategy was {strategy}",
            kernel.display()
        );
        handed_over(&up, &kernel)?;
        emptied(&up, &kernel)?;
    }
    Ok(())
}

fn each_kernel_frees_the_initramfs_when_told_to_move() -> Checked {
    for kernel in kernels()?.into_iter().filter(|kernel| can_pivot(kernel)) {
        let up = up(&kernel, &full()?.options(["--strategy", "move"]))?;
        ensure!(
            up.report.strategy() == "move",
            "the strategy was {}",
            up.report.strategy()
        );
        handed_over(&up, &kernel)?;
        emptied(&up, &kernel)?;
    }
    Ok(())
}

fn each_kernel_frees_the_initramfs_in_the_foreground() -> Checked {
    for kernel in kernels()? {
        let up = up(&kernel, &full()?.options(["--foreground"]))?;
        ensure!(
            up.seen.report_at_start == up.seen.report,
            "the report was not final"
        );
        emptied(&up, &kernel)?;
    }
    Ok(())
}

fn a_refusal_is_the_last_word_on_the_console() -> Checked {
    for kernel in kernels()? {
        let scene = full()?.command(["/bin/switch_root", NEW_ROOT, "/sbin/missing"]);
        let boot = boot_kernel(&kernel, &scene)?;
        ensure!(boot.testimony.is_none(), "init was started");
        ensure!(!boot.timed_out, "the machine did not end\n{}", boot.console);
        says(&boot.console, &["/sbin/missing", "Attempted to kill init"])?;
    }
    Ok(())
}

fn a_kernel_that_cannot_pivot_refuses_to_be_told_to() -> Checked {
    let scene = full()?.options(["--strategy", "pivot"]);
    let boot = boot_kernel(&the_one(false)?, &scene)?;
    ensure!(boot.testimony.is_none(), "init was started");
    says(&boot.console, &["pivot", "Attempted to kill init"])
}

fn a_policy_that_loops_leaves_everything_in_place() -> Checked {
    let sidecar = r#"{"settings": {"attack": "loop"}}"#;
    for kernel in kernels()? {
        let scene = full()?.policy("60-hostile", policy("hostile")?, Some(sidecar));
        let up = up(&kernel, &scene)?;
        let failure = up.report.failure("60-hostile");
        ensure!(failure.is_some(), "{}", up.report.0["policies"]);
        ensure!(
            up.report.deletion() == "skipped",
            "{}",
            up.report.0["deletion"]
        );
        let was = up.before.memory["Shmem"];
        let is = up.seen.memory["Shmem"];
        ensure!(is > was - 8192, "{was} kB were shared, and {is} are");
    }
    Ok(())
}

fn run_init_drops_capabilities_for_good() -> Checked {
    // Only here: what the kernel's own helpers may do is set for the whole machine.
    let scene = full()?.symlink("/bin/run-init", "switch_root");
    let drop = "cap_sys_module,cap_sys_rawio";
    let scene = scene.command(["/bin/run-init", "-d", drop, NEW_ROOT, INIT]);
    let up = up(&the_one(true)?, &scene)?;
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
    for helper in &up.seen.helper_capabilities {
        // Two words of 32 bits, the lower one first.
        let low = helper
            .split_whitespace()
            .next()
            .and_then(|word| word.parse::<u64>().ok());
        ensure!(
            low.is_some_and(|low| low & dropped == 0),
            "helpers may have {helper:?}"
        );
    }
    Ok(())
}

fn the_kernel_log_has_what_the_command_line_asks_for() -> Checked {
    let kernel = the_one(true)?;
    levels_differ(|level| {
        let scene = full()?.kernel_command_line(&format!("switch_root.log={level}"));
        let log = up(&kernel, &scene)?.seen.kernel_log;
        // The kernel itself repeats the parameter.
        Ok(log
            .iter()
            .filter(|record| !record.contains("switch_root.log="))
            .count())
    })
}
