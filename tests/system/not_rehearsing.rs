//! What `srctl rehearse` cannot rehearse, or not to the end: a sentence each time, and
//! nothing is left behind.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use switch_root_tests::archive;
use switch_root_tests::steps::Steps;

use crate::check::{ensure, says};
use crate::rehearsing::{desk, fails, possible, rehearse, remains, remains_with};
use crate::srctl::{Desk, Ran};
use crate::tools::{Checked, Stop, cases, kernels, program, subject};

cases![
    report_is_not_taken_for_a_plan,
    where_user_namespaces_are_forbidden_the_remedy_is_told,
    what_is_no_image_is_refused,
    an_image_that_is_too_large_is_refused,
    an_image_for_another_architecture_is_refused,
    without_a_switch_root_it_is_told_where_one_is_looked_for,
    another_switch_root_is_refused,
    a_switch_root_that_crashes_is_told,
    a_switch_root_that_hangs_is_ended_in_time,
    a_rehearsal_that_is_interrupted_leaves_nothing_behind,
    a_rehearsal_whose_srctl_is_killed_ends_by_itself,
    what_is_no_kernel_is_refused,
    without_an_emulator_its_package_is_named,
    a_machine_that_takes_too_long_is_ended,
];

/// How long something may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);

fn where_user_namespaces_are_forbidden_the_remedy_is_told() -> Checked {
    let unshare = program("unshare")?;
    let desk = desk(|tree| tree)?;
    let output = Command::new(unshare)
        .args(["--user", "--map-root-user", "sh", "-c"])
        .arg("echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" rehearse image")
        .arg(crate::tools::srctl()?)
        .current_dir(desk.path(""))
        .output()?;
    let ran = Ran::new("rehearse", &output);
    if ran.status != Some(1) || !ran.stderr.contains("srctl") {
        return Err(Stop::Skip(format!("cannot forbid them: {}", ran.said())));
    }
    says(
        &ran.stderr,
        &[
            "cannot rehearse in namespaces",
            "user.max_user_namespaces",
            "--vm --kernel FILE",
        ],
    )
}

fn what_is_no_image_is_refused() -> Checked {
    let desk = desk(|tree| tree)?;
    desk.write("text", "this is no initramfs")?;
    let image = desk.read("image")?;
    desk.write("truncated", &image[..image.len() / 2])?;
    desk.write("empty", "")?;
    desk.tree("folder", &Vec::new().file("/init", "x"))?;
    for (name, words) in [
        ("text", ["is no initramfs", "begins with"]),
        ("truncated", ["cannot read truncated", "it is truncated"]),
        ("empty", ["empty is empty", "no initramfs"]),
        (
            "folder",
            [
                "folder is a folder",
                "(cd folder && find . | cpio --quiet -o -H newc) > image.img",
            ],
        ),
        ("nowhere", ["cannot read nowhere", "No such file"]),
    ] {
        fails(&desk, name, &words)?;
    }
    Ok(())
}

fn an_image_that_is_too_large_is_refused() -> Checked {
    let desk = desk(|tree| tree.file("/large", vec![0_u8; 3 << 20]))?;
    fails(&desk, "image --max-bytes 2000000", &["--max-bytes"])
}

/// The header of a program for 64-bit ARM.
pub fn foreign_program() -> Vec<u8> {
    let mut header = vec![0_u8; 64];
    header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    header[18] = 183;
    header
}

fn an_image_for_another_architecture_is_refused() -> Checked {
    let desk = desk(|tree| tree.executable("/init", foreign_program()))?;
    fails(&desk, "image", &["a program for aarch64", "on x86_64"])
}

fn without_a_switch_root_it_is_told_where_one_is_looked_for() -> Checked {
    let desk = Desk::new()?;
    let tree = Vec::new().executable("/init", "#!/bin/sh\n");
    desk.write("image", archive::of(&tree)?)?;
    // The one beside srctl, which has one.
    fs::copy(subject()?, desk.path("switch_root"))?;
    let srctl = desk.path("srctl");
    fs::copy(crate::tools::srctl()?, &srctl)?;
    let run = || -> Result<Ran, Stop> {
        let mut command = Command::new(&srctl);
        let output = command
            .args(["rehearse", "image"])
            .current_dir(desk.path(""))
            .output()?;
        let ran = Ran::new("rehearse image", &output);
        possible(&ran)?;
        Ok(ran)
    };
    let ran = run()?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    says(
        &ran.stdout,
        &["the one beside srctl", "has no os-release", "as planned"],
    )?;
    fs::remove_file(desk.path("switch_root"))?;
    let ran = run()?;
    ensure!(ran.status == Some(1), "{}", ran.said());
    says(
        &ran.stderr,
        &["the image has no switch_root", "--switch-root FILE"],
    )
}

fn report_is_not_taken_for_a_plan() -> Checked {
    let desk = desk(|tree| tree)?;
    let report = r#"{"schema": 1, "boot_id": "x", "survivors": [], "deletion": {}}"#;
    desk.write("report.json", report)?;
    let words = ["report.json is not a plan", "the report of a boot"];
    fails(&desk, "image --plan report.json", &words)
}

fn another_switch_root_is_refused() -> Checked {
    let desk = desk(|tree| tree)?;
    desk.write("script", "#!/bin/sh\n")?;
    let arguments = "image --switch-root script";
    fails(
        &desk,
        arguments,
        &["script is no switch_root of switch-root"],
    )?;
    fails(
        &desk,
        "image --switch-root nowhere",
        &["cannot read nowhere"],
    )?;
    // What looks like ours, and is another program: this very one.
    fs::copy(crate::tools::srctl()?, desk.path("other"))?;
    let words = [
        "ended with status 2",
        "did not execute the init",
        "unrecognized",
    ];
    fails(&desk, "image --switch-root other", &words)
}

/// Our switch_root with other first instructions.
pub fn patched(code: &[u8]) -> Result<Vec<u8>, Stop> {
    let mut bytes = fs::read(subject()?)?;
    let number = |at: usize, bytes: &[u8]| {
        let bytes = bytes.get(at..at + 8).and_then(|it| it.try_into().ok());
        bytes.map(u64::from_le_bytes).ok_or("a short ELF file")
    };
    let entry = number(24, &bytes)?;
    let headers = number(32, &bytes)? as usize;
    // The segment that the entry lies in.
    for header in (headers..).step_by(56).take(usize::from(bytes[56])) {
        let (offset, address) = (number(header + 8, &bytes)?, number(header + 16, &bytes)?);
        let size = number(header + 32, &bytes)?;
        if bytes[header] == 1 && (address..address + size).contains(&entry) {
            let at = (entry - address + offset) as usize;
            bytes[at..at + code.len()].copy_from_slice(code);
            return Ok(bytes);
        }
    }
    Err("an ELF file without an entry".into())
}

fn a_switch_root_that_crashes_is_told() -> Checked {
    let desk = desk(|tree| tree)?;
    // `ud2`: an instruction that there is not.
    desk.write("crashing", patched(&[0x0f, 0x0b])?)?;
    let words = ["crashed", "signal 4"];
    fails(&desk, "image --switch-root crashing", &words)?;
    desk.write("cut", &fs::read(subject()?)?[..3 << 20])?;
    let cut = rehearse(&desk, "image --switch-root cut", 1)?;
    says(&cut.stderr, &["srctl: "])
}

fn a_switch_root_that_hangs_is_ended_in_time() -> Checked {
    let desk = desk(|tree| tree)?;
    // A jump to itself.
    desk.write("hanging", patched(&[0xeb, 0xfe])?)?;
    let begun = Instant::now();
    let arguments = "image --switch-root hanging --timeout 2";
    fails(
        &desk,
        arguments,
        &["did not come to an end in time", "--timeout"],
    )?;
    let time = begun.elapsed();
    ensure!(time.as_secs() < 20, "it took {time:?}");
    Ok(())
}

/// Starts a rehearsal that hangs, and ends `srctl` by a signal when it does. What is
/// left of it is told by a limit of time that no other test has.
fn ended_by(signal: Signal, seconds: u32) -> Result<Option<i32>, Stop> {
    let desk = desk(|tree| tree)?;
    desk.write("hanging", patched(&[0xeb, 0xfe])?)?;
    let before = desk.everything()?;
    let arguments = format!("rehearse image --switch-root hanging --timeout {seconds}");
    let mut srctl = desk.command(&arguments)?.stderr(Stdio::piped()).spawn()?;
    let hangs = || remains_with(&format!("rehearse-init {seconds}000 "));
    let begun = Instant::now();
    while hangs()?.is_empty() {
        if srctl.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
            // It may be over already: the process is not waited for twice.
            let _ = srctl.kill();
            let ran = Ran::new(&arguments, &srctl.wait_with_output()?);
            possible(&ran)?;
            return Err(Stop::Fail(format!("it does not begin: {}", ran.said())));
        }
        thread::sleep(Duration::from_millis(10));
    }
    kill(Pid::from_raw(i32::try_from(srctl.id())?), signal)?;
    let status = srctl.wait()?.code();
    let told = Instant::now();
    while !hangs()?.is_empty() || !remains(&desk)?.is_empty() {
        ensure!(
            told.elapsed() < Duration::from_secs(5),
            "left: {:?} {:?}",
            hangs()?,
            remains(&desk)?
        );
        thread::sleep(Duration::from_millis(10));
    }
    let changed = switch_root_tests::snapshot::difference(&before, &desk.everything()?);
    ensure!(changed.is_empty(), "{changed:?}");
    Ok(status)
}

fn a_rehearsal_that_is_interrupted_leaves_nothing_behind() -> Checked {
    let status = ended_by(Signal::SIGINT, 611)?;
    ensure!(status == Some(130), "{status:?}");
    Ok(())
}

fn a_rehearsal_whose_srctl_is_killed_ends_by_itself() -> Checked {
    let status = ended_by(Signal::SIGKILL, 612)?;
    ensure!(status.is_none(), "{status:?}");
    Ok(())
}

fn what_is_no_kernel_is_refused() -> Checked {
    let desk = desk(|tree| tree)?;
    fails(
        &desk,
        "image --vm --kernel os-release",
        &["os-release is no Linux kernel for x86_64", "bzImage"],
    )?;
    // It looks like one, and is none.
    let mut bytes = vec![0; 1 << 20];
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    desk.write("almost", bytes)?;
    let arguments = "image --os-release os-release --timeout 5 --vm --kernel almost";
    let ran = rehearse(&desk, arguments, 1)?;
    says(&ran.stderr, &["srctl: "])?;
    let ran = desk.run("rehearse image --vm")?;
    ensure!(ran.status == Some(2), "{}", ran.said());
    Ok(())
}

fn without_an_emulator_its_package_is_named() -> Checked {
    let desk = desk(|tree| tree)?;
    let kernels = kernels()?;
    let kernel = kernels.last().ok_or("there is no kernel")?.display();
    let arguments = format!("rehearse image --vm --kernel {kernel}");
    let mut command = desk.command(&arguments)?;
    let output = command.env("PATH", desk.path("tmp")).output()?;
    let ran = Ran::new(&arguments, &output);
    ensure!(ran.status == Some(1), "{}", ran.said());
    says(
        &ran.stderr,
        &["qemu-system-x86_64", "qemu-system-x86 on Debian"],
    )
}

fn a_machine_that_takes_too_long_is_ended() -> Checked {
    let desk = desk(|tree| tree)?;
    desk.write("hanging", patched(&[0xeb, 0xfe])?)?;
    let kernels = kernels()?;
    let kernel = kernels.last().ok_or("there is no kernel")?.display();
    let arguments = format!("image --switch-root hanging --timeout 3 --vm --kernel {kernel}");
    let begun = Instant::now();
    let ran = rehearse(&desk, &arguments, 1)?;
    says(&ran.stderr, &["--timeout"])?;
    let time = begun.elapsed();
    ensure!(time.as_secs() < 60, "it took {time:?}");
    Ok(())
}
