//! The command lines, and what of them init gets.

use std::os::unix::process::CommandExt;

use switch_root_tests::outcome::{End, Outcome};
use switch_root_tests::scene::{INIT, NEW_ROOT, SUBJECT, Scene};
use switch_root_tests::steps::{Content, Steps};

use crate::check::{Booted, boots, ensure, refuses, said, says};
use crate::tools::{Checked, Policies, Stop, boot, cases, play, policy, program, subject};

cases![
    arguments_after_init_belong_to_init,
    an_init_is_found_without_its_slash,
    init_inherits_nothing_but_the_environment_and_three_descriptors,
    an_option_that_does_not_exist_is_refused,
    a_strategy_that_does_not_exist_is_refused,
    help_and_version_change_nothing,
    a_plan_is_printed_and_nothing_is_changed,
    a_plan_is_printed_as_json,
    a_plan_needs_no_first_process,
    init_that_cannot_run_is_refused_by_every_check,
    unchecked_init_makes_refusals_of_what_cannot_run_warnings,
    a_plan_of_what_would_be_refused_fails,
    run_init_takes_the_command_line_of_klibc,
    run_init_checks_with_n_and_says_nothing,
    run_init_says_with_n_what_is_wrong,
    run_init_names_a_missing_new_root_on_a_running_machine,
    run_init_keeps_the_initramfs_with_p,
    run_init_moves_and_detaches_no_mount,
    run_init_pivots_where_nothing_else_is_mounted,
    run_init_does_not_pivot_away_what_is_mounted,
    run_init_binds_a_mount_that_is_kept,
    run_init_warns_where_there_is_no_console,
    init_gets_the_umask_of_the_caller,
    the_initramfs_is_kept_where_that_is_asked_for,
    init_gets_the_console_that_is_asked_for,
    a_console_that_is_missing_stops_nothing,
    the_log_level_is_set_on_the_command_line,
    the_kernel_command_line_keeps_the_initramfs,
    the_kernel_command_line_makes_init_wait,
    the_kernel_command_line_leaves_the_default_policy_alone,
    a_parameter_that_is_not_understood_is_a_warning,
    closed_descriptors_stop_nothing,
    the_log_level_is_set_on_the_kernel_command_line,
];

pub const RUN_INIT: &str = "/bin/run-init";

fn run_init(options: &[&str]) -> Result<Scene, Stop> {
    let rest = [NEW_ROOT, INIT, "-n", "argument"];
    let command = [RUN_INIT]
        .into_iter()
        .chain(options.iter().copied())
        .chain(rest);
    Ok(boot()?.symlink(RUN_INIT, "switch_root").command(command))
}

/// Plays a scene that is to say something on standard output, end well and change
/// nothing.
fn rehearses(scene: &Scene) -> Result<Outcome, Stop> {
    let outcome = play(scene)?;
    let all = said(&outcome);
    ensure!(outcome.end == End::Exited(0), "{all}");
    ensure!(outcome.testimony.is_none(), "init was started\n{all}");
    ensure!(
        outcome.changes().is_empty(),
        "{}\n{all}",
        outcome.changes().join("\n")
    );
    ensure!(
        !outcome.stdout.trim().is_empty(),
        "nothing on standard output\n{all}"
    );
    Ok(outcome)
}

fn arguments_after_init_belong_to_init() -> Checked {
    let given: [&[u8]; 9] = [
        SUBJECT.as_bytes(),
        b"/sysroot",
        b"/sbin/init",
        b"--plan",
        b"-c",
        b"x",
        b"--",
        b"",
        b"\xff",
    ];
    let booted = boots(&boot()?.command(given))?;
    let expected = ["/sbin/init", "--plan", "-c", "x", "--", "", "\\xff"];
    ensure!(
        booted.seen.arguments == expected,
        "{:?}",
        booted.seen.arguments
    );
    Ok(())
}

fn init_inherits_nothing_but_the_environment_and_three_descriptors() -> Checked {
    let mut scene = boot()?;
    scene.environment.push("root=/dev/vda1".into());
    let Booted { seen, .. } = boots(&scene)?;
    ensure!(seen.process == 1, "process {}", seen.process);
    ensure!(
        seen.directory == "/",
        "working directory {}",
        seen.directory
    );
    ensure!(
        seen.executable.as_deref() == Some(INIT),
        "/proc/1/exe is {:?}",
        seen.executable
    );
    let expected = ["HOME=/", "PATH=/sbin:/bin", "root=/dev/vda1"];
    ensure!(seen.environment == expected, "{:?}", seen.environment);
    let descriptors: Vec<_> = seen.descriptors.keys().copied().collect();
    ensure!(descriptors == [0, 1, 2], "{:?}", seen.descriptors);
    for set in ["SigBlk", "SigCgt"] {
        let value = seen.status.get(set).map(String::as_str);
        ensure!(value == Some("0000000000000000"), "{set} is {value:?}");
    }
    // Which real-time signals are ignored is up to who started this.
    let ignored = seen.status.get("SigIgn").ok_or("no SigIgn")?;
    let standard = u64::from_str_radix(ignored, 16)? & 0x7fff_ffff;
    ensure!(standard == 0, "SigIgn is {ignored}");
    for (field, expected) in [("Umask", "0022"), ("NoNewPrivs", "0"), ("Seccomp", "0")] {
        let value = seen.status.get(field).map(String::as_str);
        ensure!(value == Some(expected), "{field} is {value:?}");
    }
    Ok(())
}

fn an_init_is_found_without_its_slash() -> Checked {
    let booted = boots(&boot()?.command([SUBJECT, NEW_ROOT, "sbin/init"]))?;
    let arguments = &booted.seen.arguments;
    ensure!(arguments == &["sbin/init"], "init got {arguments:?}");
    Ok(())
}

fn an_option_that_does_not_exist_is_refused() -> Checked {
    refuses(
        &boot()?.options(["--no-such-option"]),
        &["--no-such-option"],
    )
}

fn a_strategy_that_does_not_exist_is_refused() -> Checked {
    refuses(
        &boot()?.options(["--strategy", "magic"]),
        &["magic", "auto", "move", "pivot"],
    )
}

fn help_and_version_change_nothing() -> Checked {
    for option in ["--help", "--version"] {
        let outcome = rehearses(&boot()?.command([SUBJECT, option]))?;
        says(&outcome.stdout, &["switch_root"])?;
    }
    Ok(())
}

fn a_plan_is_printed_and_nothing_is_changed() -> Checked {
    let scene = boot()?
        .options(["--plan"])
        .file("/extensions.yaml", "layers: []\n");
    let outcome = rehearses(&scene)?;
    says(
        &outcome.stdout,
        &[
            "/extensions.yaml",
            "/etc/extensions.yaml",
            "00-default",
            INIT,
        ],
    )
}

fn a_plan_is_printed_as_json() -> Checked {
    let scene = boot()?
        .options(["--plan", "--format", "json"])
        .file("/extensions.yaml", "layers: []\n");
    let outcome = rehearses(&scene)?;
    let plan: serde_json::Value = serde_json::from_str(&outcome.stdout)
        .map_err(|error| Stop::Fail(format!("{error}\n{}", outcome.stdout)))?;
    let path = &plan["plan"]["new_root"]["path"];
    ensure!(path == NEW_ROOT, "the new root of {plan}");
    ensure!(plan["plan"]["init"]["path"] == INIT, "init of {plan}");
    ensure!(
        plan["would_delete"]["files"].as_u64() == Some(1),
        "would_delete of {plan}"
    );
    let survivors = plan["plan"]["survivors"].to_string();
    says(&survivors, &["/extensions.yaml", "00-default"])
}

fn a_plan_needs_no_first_process() -> Checked {
    let mut scene = boot()?.options(["--plan"]);
    scene.first_process = false;
    rehearses(&scene).map(drop)
}

/// New roots whose init the kernel will not execute, and words of the reason.
fn inits_that_cannot_run() -> [(Vec<u8>, &'static [&'static str]); 4] {
    [
        (
            b"#! /usr/bin/no-such-shell -x\n".to_vec(),
            &["interpreter", "/usr/bin/no-such-shell"],
        ),
        (
            program_with_loader("/lib64/ld-no-such.so.2"),
            &["loader", "/lib64/ld-no-such.so.2"],
        ),
        (
            b"no program".to_vec(),
            &["neither an ELF file nor a script"],
        ),
        (b"#!\n".to_vec(), &["names no interpreter"]),
    ]
}

fn init_that_cannot_run_is_refused_by_every_check() -> Checked {
    let scene = boot()?.symlink(RUN_INIT, "switch_root");
    let commands: [&[&str]; 4] = [
        &[SUBJECT, NEW_ROOT, INIT],
        &[SUBJECT, "--plan", NEW_ROOT, INIT],
        &[RUN_INIT, NEW_ROOT, INIT],
        &[RUN_INIT, "-n", NEW_ROOT, INIT],
    ];
    for (init, words) in inits_that_cannot_run() {
        for command in commands {
            let scene = scene.clone().command(command.iter().copied());
            let scene = scene.in_new_root(|tree| tree.executable(INIT, init.clone()));
            let words = [words, &["switch_root.unchecked_init"]].concat();
            refuses(&scene, &words).map_err(|stop| stop.during(&command.join(" ")))?;
        }
    }
    Ok(())
}

fn unchecked_init_makes_refusals_of_what_cannot_run_warnings() -> Checked {
    for (init, words) in inits_that_cannot_run() {
        let scene = boot()?.in_new_root(|tree| tree.executable(INIT, init));
        let by_option = scene.clone().options(["--plan", "--unchecked-init"]);
        let by_parameter = scene
            .options(["--plan"])
            .kernel_command_line("switch_root.unchecked_init");
        for scene in [by_option, by_parameter] {
            says(&said(&rehearses(&scene)?), words)?;
        }
    }
    // What does not exist is not executed, whatever is asked for.
    let scene = boot()?.command([SUBJECT, "--unchecked-init", NEW_ROOT, "/sbin/missing"]);
    refuses(&scene, &["/sbin/missing"])
}

/// The smallest ELF file that asks for a loader: a header, one program header and the
/// loader's path.
pub fn program_with_loader(loader: &str) -> Vec<u8> {
    program_for(libc::EM_X86_64, loader)
}

/// The same for a machine, as ELF files number them.
pub fn program_for(machine: u16, loader: &str) -> Vec<u8> {
    let mut path = loader.as_bytes().to_vec();
    path.push(0);
    let length = path.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    for half in [libc::ET_DYN, machine] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend(libc::EV_CURRENT.to_le_bytes());
    for word in [0_u64, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 0, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    for word in [libc::PT_INTERP, libc::PF_R] {
        elf.extend(word.to_le_bytes());
    }
    for word in [64_u64 + 56, 0, 0, length, length, 1] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(path);
    elf
}

fn a_plan_of_what_would_be_refused_fails() -> Checked {
    refuses(
        &boot()?.command([SUBJECT, "--plan", NEW_ROOT, "/sbin/missing"]),
        &["/sbin/missing"],
    )
}

/// `run-init` behind a script that has brought /proc to the new root, which the init needs
/// to see its arguments and descriptors.
fn after_a_script(scene: Scene, options: &str) -> Result<Scene, Stop> {
    let script = format!(
        "/bin/busybox mount -o bind /proc {NEW_ROOT}/proc && exec {RUN_INIT} {options} {NEW_ROOT} {INIT} -n argument"
    );
    with_shell(scene.symlink(RUN_INIT, "switch_root"), &script)
}

fn run_init_takes_the_command_line_of_klibc() -> Checked {
    let booted = boots(&after_a_script(boot()?, "")?)?;
    ensure!(
        booted.seen.arguments == [INIT, "-n", "argument"],
        "{:?}",
        booted.seen.arguments
    );
    booted.left(&MOUNTED)
}

fn run_init_checks_with_n_and_says_nothing() -> Checked {
    // A warning, which is for the run that counts.
    let scene = run_init(&["-n"])?.file("/etc/switch-root/policies.d/60-x.json", "{}");
    let outcome = play(&scene)?;
    let all = said(&outcome);
    ensure!(outcome.end == End::Exited(0), "{all}");
    ensure!(outcome.testimony.is_none(), "init was started\n{all}");
    ensure!(outcome.changes().is_empty(), "it changed something\n{all}");
    ensure!(
        outcome.stdout.is_empty() && outcome.stderr.is_empty(),
        "{all}"
    );
    rehearses(&run_init(&["-n", "--plan"])?).map(drop)
}

fn run_init_says_with_n_what_is_wrong() -> Checked {
    let scene = boot()?.symlink(RUN_INIT, "switch_root");
    refuses(
        &scene.command([RUN_INIT, "-n", NEW_ROOT, "/no/init"]),
        &["/no/init"],
    )
}

fn run_init_names_a_missing_new_root_on_a_running_machine() -> Checked {
    // With -n it changes nothing, wherever it runs: here, where `/` is no initramfs.
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    std::fs::write(&file, "")?;
    for (new_root, words) in [
        (folder.path().join("nosuch"), "does not exist"),
        (file, "is not a directory"),
    ] {
        let output = std::process::Command::new(subject()?)
            .arg0("run-init")
            .arg("-n")
            .arg(&new_root)
            .arg("/sbin/init")
            .output()?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success(), "{text}");
        says(&text, &[&new_root.display().to_string(), words])?;
        ensure!(!text.contains("tmpfs"), "{text}");
    }
    Ok(())
}

fn run_init_keeps_the_initramfs_with_p() -> Checked {
    boots(&run_init(&["-p"])?)?.everything_left()
}

/// Where something is mounted in the initramfs of every scene.
const MOUNTED: [&str; 4] = ["/dev", "/proc", "/run", "/sys"];

fn run_init_moves_and_detaches_no_mount() -> Checked {
    let scene = run_init(&[])?
        .tmpfs("/data")
        .file("/data/file", "x")
        .file("/run/note", "x")
        .file("/gone", "x");
    let plan = rehearses(&scene.clone().options(["--plan"]))?.stdout;
    says(
        &plan,
        &[
            "(move)",
            "mount      /data stays where it is",
            "mount      /run stays where it is",
        ],
    )?;
    ensure!(!plan.contains("detached"), "{plan}");
    let booted = boots(&scene)?;
    ensure!(booted.report.strategy() == "move", "{:#}", booted.report.0);
    booted.left(&[&MOUNTED[..], &["/data"]].concat())?;
    let (before, after) = (&booted.outcome.before, &booted.outcome.after);
    for path in ["/data/file", "/run/note", "/dev/null"] {
        let (was, is) = (before.everything.get(path), after.everything.get(path));
        ensure!(was.is_some() && was == is, "{path} was {was:?}, is {is:?}");
    }
    let deleted = (
        booted.report.deleted("files"),
        booted.report.deleted("directories"),
    );
    let (files, directories) = deleted;
    says(
        &plan,
        &[
            &format!("deletes    {files} file"),
            &format!("and {directories} director"),
        ],
    )?;
    let warnings = booted.report.warnings();
    ensure!(!warnings.contains("detached"), "{warnings}");
    Ok(())
}

fn run_init_pivots_where_nothing_else_is_mounted() -> Checked {
    crate::tools::need_privileges()?;
    let mut scene = run_init(&[])?.file("/gone", "x");
    scene.pseudo.clear();
    let booted = boots(&scene)?;
    ensure!(booted.report.strategy() == "pivot", "{:#}", booted.report.0);
    booted.left(&[])
}

fn run_init_does_not_pivot_away_what_is_mounted() -> Checked {
    refuses(
        &run_init(&["--strategy", "pivot"])?,
        &["--strategy pivot", "run-init detaches none"],
    )
}

fn run_init_binds_a_mount_that_is_kept() -> Checked {
    let kept = "/run/switch-root/preserved/data/file";
    let sidecar = r#"{"settings": {"keep": ["/data"]}}"#;
    let scene = run_init(&[])?
        .tmpfs("/data")
        .file("/data/file", "x")
        .policy("50-keep", policy("keep-paths")?, Some(sidecar))
        .look_at([kept]);
    let booted = boots(&scene)?;
    let seen = booted.seen.files[kept].content.as_deref();
    ensure!(seen == Some("x"), "{kept} holds {seen:?}");
    let after = &booted.outcome.after.everything;
    ensure!(after.contains_key("/data/file"), "{:?}", after.keys());
    Ok(())
}

fn run_init_warns_where_there_is_no_console() -> Checked {
    let booted = boots(&run_init(&[])?)?;
    says(
        &booted.report.warnings(),
        &["console /dev/console cannot be used"],
    )
}

fn init_gets_the_umask_of_the_caller() -> Checked {
    for umask in ["0077", "0000", "0022"] {
        let scene = with_shell(
            boot()?,
            &format!("umask {umask}; exec {SUBJECT} {NEW_ROOT} {INIT}"),
        )?;
        let booted = boots(&scene)?;
        let found = booted.seen.status.get("Umask").map(String::as_str);
        ensure!(found == Some(umask), "{umask}: {found:?}");
    }
    Ok(())
}

/// Has a shell of the initramfs do what comes before the switch.
pub fn with_shell(scene: Scene, script: &str) -> Result<Scene, Stop> {
    Ok(scene
        .executable("/bin/busybox", Content::Copy(program("busybox")?))
        .command(["/bin/busybox", "sh", "-c", script]))
}

fn the_initramfs_is_kept_where_that_is_asked_for() -> Checked {
    let booted = boots(&boot()?.options(["--keep-initramfs"]).file("/file", "x"))?;
    booted.everything_left()?;
    says(booted.report.deletion_reason(), &["is to be kept"])
}

fn init_gets_the_console_that_is_asked_for() -> Checked {
    for mut scene in [
        boot()?.options(["-c", "/dev/console"]),
        // Whoever calls it moves /dev before.
        after_a_script(boot()?, "-c /dev/console")?.bind("/dev/console", "/sysroot/dev/console"),
        // As klibc's has it.
        after_a_script(boot()?, "")?.bind("/dev/console", "/sysroot/dev/console"),
    ] {
        scene.console = true;
        let Booted { outcome, seen, .. } = boots(&scene)?;
        ensure!(
            outcome.stdout.trim().is_empty(),
            "standard output: {}",
            outcome.stdout
        );
        let console = |number: i32| seen.descriptors.get(&number).map(String::as_str);
        let first = console(0).unwrap_or_default();
        let terminal = first.starts_with("/dev/console") || first.starts_with("/dev/pts/");
        ensure!(
            terminal && console(1) == console(0) && console(2) == console(0),
            "{:?}",
            seen.descriptors
        );
    }
    Ok(())
}

fn a_console_that_is_missing_stops_nothing() -> Checked {
    let booted = boots(&boot()?.options(["-c", "/dev/nowhere"]))?;
    says(
        &booted.report.warnings(),
        &["/dev/nowhere", "No such file or directory"],
    )
}

/// Checks that more is logged at each level than at the one before it; `count` counts
/// the lines at one.
pub fn levels_differ(count: impl Fn(&str) -> Result<usize, Stop>) -> Checked {
    let (error, info, debug) = (count("error")?, count("info")?, count("debug")?);
    ensure!(error == 0, "{error} lines at level error");
    ensure!(info > 0, "no lines at level info");
    ensure!(
        debug > info,
        "{debug} lines at level debug, and {info} at level info"
    );
    Ok(())
}

/// How many lines a run writes to standard error.
fn lines(scene: &Scene) -> Result<usize, Stop> {
    let stderr = boots(scene)?.outcome.stderr;
    Ok(stderr
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count())
}

fn the_log_level_is_set_on_the_command_line() -> Checked {
    levels_differ(|level| lines(&boot()?.options(["--log", level])))?;
    refuses(&boot()?.options(["--log", "loud"]), &["loud", "debug"])
}

fn the_log_level_is_set_on_the_kernel_command_line() -> Checked {
    levels_differ(|level| {
        let text = format!("quiet root=/dev/vda1 switch_root.log={level} ro");
        lines(&boot()?.kernel_command_line(&text))
    })
}

fn the_kernel_command_line_keeps_the_initramfs() -> Checked {
    let scene = boot()?.kernel_command_line("quiet switch_root.keep_initramfs");
    boots(&scene)?.everything_left()
}

fn the_kernel_command_line_makes_init_wait() -> Checked {
    let booted = boots(&boot()?.kernel_command_line("switch_root.foreground=yes"))?;
    let (start, end) = (&booted.seen.report_at_start, &booted.seen.report);
    ensure!(start == end, "the report changed after init was started");
    booted.left(&[])
}

fn the_kernel_command_line_leaves_the_default_policy_alone() -> Checked {
    let broken = Some(r#"{"on_failure": "refuse"}"#);
    let scene =
        boot()?
            .file("/extensions.yaml", "")
            .policy("50-broken", policy("truncated")?, broken);
    refuses(&scene, &["50-broken", "switch_root.policies=default"])?;
    let booted = boots(&scene.kernel_command_line("switch_root.policies=default"))?;
    ensure!(
        booted.report.policies() == ["00-default"],
        "{:?}",
        booted.report.policies()
    );
    booted.left(&["/extensions.yaml"])
}

fn a_parameter_that_is_not_understood_is_a_warning() -> Checked {
    let booted = boots(&boot()?.kernel_command_line("switch_root.foregruond"))?;
    says(
        &booted.report.0["warnings"].to_string(),
        &["switch_root.foregruond"],
    )?;
    booted.left(&[])
}

fn closed_descriptors_stop_nothing() -> Checked {
    // Nor is there a /dev/null to put in their place.
    let command = format!("exec {SUBJECT} {NEW_ROOT} {INIT} 0<&- 2>&-");
    let scene = boot()?
        .without("/dev")
        .executable("/bin/busybox", Content::Copy(program("busybox")?))
        .command(["/bin/busybox", "sh", "-c", command.as_str()]);
    let booted = boots(&scene)?;
    let descriptors: Vec<_> = booted.seen.descriptors.keys().copied().collect();
    ensure!(descriptors == [1], "{:?}", booted.seen.descriptors);
    booted.left(&[])
}
