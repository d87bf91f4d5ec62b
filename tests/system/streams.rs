//! `-` as standard input and output of `srctl`: where it is taken, and that it is refused
//! elsewhere.

use std::io::Write;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use switch_root_tests::archive;

use crate::check::{ensure, says};
use crate::planning::steps;
use crate::srctl::{Desk, Ran, extension, json};
use crate::tools::{Checked, Stop, cases, policy};
use crate::{installing, rehearsing, signing};

cases![
    an_image_is_read_from_standard_input,
    small_files_are_read_from_standard_input,
    what_is_made_goes_whole_to_standard_output,
    a_dash_is_refused_where_it_is_neither,
    each_command_reads_and_writes_the_same_through_a_dash,
    json_names_standard_input_as_the_user_did,
    nothing_is_left_of_what_was_copied,
    no_signal_leaves_the_copy_of_standard_input,
    pipes_are_refused_where_a_regular_file_is_needed,
    a_pipe_is_not_waited_for_beyond_a_signal,
];

/// Runs `srctl` with something at its standard input.
fn fed(desk: &Desk, arguments: &str, input: &[u8]) -> Result<(Ran, Vec<u8>), Stop> {
    let mut command = desk.command(arguments)?;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    let input = input.to_vec();
    // It may not read all, or nothing at all.
    let feeding = std::thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child.wait_with_output()?;
    let _ = feeding.join();
    Ok((Ran::new(arguments, &output), output.stdout))
}

fn image() -> Result<Vec<u8>, Stop> {
    Ok(archive::of(&steps()?)?)
}

fn an_image_is_read_from_standard_input() -> Checked {
    let desk = Desk::new()?;
    desk.write("image", image()?)?;
    let (ran, _) = fed(&desk, "plan - --format json", &image()?)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    let mut found = json(&ran.stdout)?;
    ensure!(found["image"]["name"] == "standard input", "{found:#}");
    let mut expected = json(&desk.succeeds("plan image --format json")?)?;
    for plan in [&mut found, &mut expected] {
        plan["image"]["name"] = "".into();
        for policy in plan["policies"].as_array_mut().into_iter().flatten() {
            policy["time_us"] = 0.into();
        }
    }
    ensure!(found == expected, "{found:#}\n{expected:#}");
    let (ran, _) = fed(&desk, "diff image -", &image()?)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    let (ran, _) = fed(&desk, "doctor -", &image()?)?;
    says(
        &ran.stdout,
        &["image    standard input", "standard input can be read"],
    )?;
    let (ran, _) = fed(&desk, "plan -", b"no image")?;
    ensure!(ran.status == Some(1), "{}", ran.said());
    says(&ran.stderr, &["standard input"])?;
    ensure!(!ran.stderr.contains("/srctl-"), "{}", ran.said());
    Ok(())
}

fn small_files_are_read_from_standard_input() -> Checked {
    let desk = Desk::new()?;
    desk.write("image", image()?)?;
    let os_release = b"ID=talos\nVERSION_ID=1.7.0\n";
    let (ran, _) = fed(&desk, "plan image --os-release -", os_release)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    let (ran, _) = fed(
        &desk,
        "policy inspect - --format json",
        &policy("keep-paths")?.bytes()?,
    )?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    let before = "machine:\n  install:\n    extensions: []\n";
    let add = "config add-extension - ghcr.io/siderolabs/gvisor:v1";
    let (ran, _) = fed(&desk, add, before.as_bytes())?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    says(&ran.stdout, &["machine:", "gvisor:v1"])?;
    let (ran, _) = fed(&desk, "status --report -", b"{}")?;
    ensure!(ran.status == Some(1), "{}", ran.said());
    says(&ran.stderr, &["standard input is not a report"])
}

fn what_is_made_goes_whole_to_standard_output() -> Checked {
    let desk = Desk::new()?;
    desk.tree("all/000.a", &extension("a"))?;
    desk.succeeds("extension pack all -o packed")?;
    let (ran, packed) = fed(&desk, "extension pack all -o -", b"")?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    ensure!(packed == desk.read("packed")?, "another archive");
    // What is said of it is said beside it.
    says(&ran.stderr, &["LAYER", "000.a.sqsh"])?;
    let keep = policy("keep-paths")?.bytes()?;
    desk.write("keep.wasm", &keep)?;
    desk.succeeds("policy compile keep.wasm")?;
    let (ran, compiled) = fed(&desk, "policy compile -", &keep)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    ensure!(compiled == desk.read("keep.cwasm")?, "other code");
    let add = "image add-policy - keep.wasm --compile none -o -";
    let (ran, made) = fed(&desk, add, &image()?)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    desk.write("made", made)?;
    says(&desk.succeeds("plan made")?, &["50-keep"])?;
    // A plan is printed there anyway.
    desk.write("image", image()?)?;
    let plan = desk.succeeds("plan image -o - --list")?;
    ensure!(plan == desk.succeeds("plan image --list")?, "{plan}");
    // Nothing goes there where the answer is no.
    desk.write("all/000.a/manifest.yaml", "no manifest")?;
    let (ran, packed) = fed(&desk, "extension pack all -o -", b"")?;
    ensure!(ran.status == Some(3) && packed.is_empty(), "{}", ran.said());
    Ok(())
}

fn a_dash_is_refused_where_it_is_neither() -> Checked {
    let desk = Desk::new()?;
    desk.write("image", image()?)?;
    for arguments in [
        "extension list -",
        "extension validate -",
        "extension validate all --policies -",
        "extension pack - -o out",
        "extension pull oci:layout -o -",
        "policy build -",
        "policy new name --lang c -o -",
        "policy verify - --signers list",
        "policy verify keep.wasm --signers -",
        "policy sign keep.wasm --key -",
        "policy test -",
        "policy push - oci:layout",
        "policy pull oci:layout -o -",
        "image stage -",
        "image add-policy image - -o out",
        "plan image --policies -",
        "rehearse image --switch-root -",
        "doctor --root -",
        "man -o -",
    ] {
        let ran = desk.changes_nothing(arguments, 2)?;
        says(&ran.stderr, &["neither standard input nor standard output"])?;
    }
    for (arguments, words) in [
        ("diff - -", "more than once"),
        ("plan - --os-release -", "more than once"),
        ("extension pack all -o - --format json", "standard output"),
        (
            "config add-extension - a/b:c --format json",
            "standard output",
        ),
    ] {
        let ran = desk.changes_nothing(arguments, 2)?;
        says(&ran.stderr, &[words])?;
    }
    // A file of this name has another one, too.
    desk.write("-", image()?)?;
    desk.succeeds("plan ./-")?;
    Ok(())
}

fn nothing_is_left_of_what_was_copied() -> Checked {
    let mut desk = Desk::new()?;
    desk.tree("tmp", &[])?;
    desk.variable("TMPDIR", desk.path("tmp"));
    desk.tree("all/000.a", &extension("a"))?;
    desk.write("image", image()?)?;
    for arguments in [
        "plan -",
        "plan - --explain /nowhere",
        "plan - --list --format json",
        "extension pack all -o -",
        "extension pack nothing -o -",
        "diff - -",
        "config add-extension - a/b:c --output out",
        "policy inspect -",
        "rehearse -",
    ] {
        let (ran, _) = fed(&desk, arguments, &image()?)?;
        let left = desk.path("tmp").read_dir()?.count();
        ensure!(left == 0, "{left}: {}", ran.said());
    }
    Ok(())
}

/// A command that reads a file, the bytes of that file, and the file that it makes.
type Through = (String, Vec<u8>, Option<&'static str>);

/// Checks that a command does the same with `FILE` and with `-`; `made` is what it makes of
/// the file, and `-` has it at standard output.
fn same_through_a_dash(desk: &Desk, (arguments, input, made): &Through) -> Checked {
    desk.write("FILE", input)?;
    let output = made.map(|name| format!(" --output {name}"));
    let expected = desk.run(&format!("{arguments}{}", output.unwrap_or_default()))?;
    rehearsing::possible(&expected)?;
    let output = made.map_or("", |_| " --output -");
    let dashed = arguments.replace("FILE", "-") + output;
    let (ran, printed) = fed(desk, &dashed, input)?;
    ensure!(
        ran.status == expected.status,
        "{}\n{}",
        expected.said(),
        ran.said()
    );
    match made {
        Some(name) => ensure!(
            printed == desk.read(name)?,
            "another {name}: {}",
            ran.said()
        ),
        None => ensure!(
            ran.stdout.lines().count() == expected.stdout.lines().count(),
            "{}\n{}",
            expected.said(),
            ran.said()
        ),
    }
    for said in [&ran.stdout, &ran.stderr] {
        ensure!(!said.contains("/proc/"), "{}", ran.said());
    }
    Ok(())
}

fn each_command_reads_and_writes_the_same_through_a_dash() -> Checked {
    let keep = policy("keep-paths")?.bytes()?;
    let desk = signing::desk()?;
    desk.write("image", image()?)?;
    desk.write("keep.wasm", &keep)?;
    desk.write("settings.json", r#"{"settings": {"keep": ["/etc/**"]}}"#)?;
    let settings = desk.read("settings.json")?;
    for case in [
        (
            "policy sign FILE --key ops".into(),
            keep.clone(),
            Some("sig"),
        ),
        (
            "policy run FILE --tree image --settings settings.json".into(),
            keep.clone(),
            None,
        ),
        ("policy run keep.wasm --tree FILE".into(), image()?, None),
        (
            "policy run keep.wasm --tree image --settings FILE".into(),
            settings,
            None,
        ),
        (
            "policy bench FILE --tree image --rounds 1".into(),
            keep.clone(),
            None,
        ),
        (
            "policy bench keep.wasm --tree FILE --rounds 1".into(),
            image()?,
            None,
        ),
        ("policy inspect FILE".into(), keep, None),
    ] {
        same_through_a_dash(&desk, &case)?;
    }
    let desk = installing::desk()?;
    let initramfs = installing::archive(&[("init", b"init")])?;
    let install = "extension install --config machine.yaml --target-version 1.7.0 --initramfs FILE";
    same_through_a_dash(&desk, &(install.into(), initramfs.clone(), Some("out")))?;
    desk.write("in.img", initramfs)?;
    let configured = "extension install --config FILE --target-version 1.7.0 --initramfs in.img";
    let configuration = desk.read("machine.yaml")?;
    same_through_a_dash(&desk, &(configured.into(), configuration, Some("out")))?;
    let desk = rehearsing::desk(|steps| steps)?;
    let image = desk.read("image")?;
    same_through_a_dash(
        &desk,
        &("rehearse FILE --os-release os-release".into(), image, None),
    )
}

fn json_names_standard_input_as_the_user_did() -> Checked {
    let desk = signing::desk()?;
    desk.write("image", image()?)?;
    let keep = policy("keep-paths")?.bytes()?;
    for arguments in [
        "policy inspect -",
        "policy run - --tree image",
        "policy bench - --tree image --rounds 1",
        "policy sign - --key ops --output sig",
        "policy compile - --output code",
    ] {
        let (ran, _) = fed(&desk, &format!("{arguments} --format json"), &keep)?;
        ensure!(ran.status == Some(0), "{}", ran.said());
        let found = json(&ran.stdout)?;
        let file = match &found["compiled"] {
            serde_json::Value::Null => &found["file"],
            compiled => &compiled[0]["file"],
        };
        ensure!(file == "-", "{arguments}: {found:#}");
        let text = found.to_string();
        let hidden = ["/proc/", "/srctl-"]
            .iter()
            .all(|word| !text.contains(word));
        ensure!(hidden, "{arguments}: {found:#}");
    }
    // Nothing that is made of it has a name there.
    let folder = desk.tree("made", &[])?;
    let (ran, _) = fed(&desk, "policy compile - --output made", &keep)?;
    ensure!(ran.status == Some(1), "{}", ran.said());
    says(&ran.stderr, &["standard input", "--output FILE"])?;
    ensure!(folder.read_dir()?.count() == 0, "{}", ran.said());
    Ok(())
}

/// How long something may take to begin, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a child ends, for so long; whether it has.
fn ends(child: &mut Child, within: Duration) -> Result<bool, Stop> {
    let begun = Instant::now();
    while begun.elapsed() < within {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(false)
}

fn signalled(child: &Child, signal: Signal) -> Checked {
    Ok(kill(Pid::from_raw(i32::try_from(child.id())?), signal).map_err(std::io::Error::from)?)
}

fn no_signal_leaves_the_copy_of_standard_input() -> Checked {
    let mut desk = Desk::new()?;
    desk.tree("tmp", &[])?;
    desk.variable("TMPDIR", desk.path("tmp"));
    for signals in [
        &[Signal::SIGTERM][..],
        &[Signal::SIGINT, Signal::SIGINT],
        &[Signal::SIGKILL],
    ] {
        let mut command = desk.command("plan -")?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // More than a pipe holds: it has been read, and the rest is waited for.
        let mut stdin = child.stdin.take().ok_or("no standard input")?;
        stdin.write_all(&vec![7; 1 << 20])?;
        for signal in signals {
            signalled(&child, *signal)?;
        }
        let ended = ends(&mut child, PATIENCE)?;
        drop(stdin);
        let ran = Ran::new("plan -", &child.wait_with_output()?);
        ensure!(ended, "{signals:?}: it waits for more: {}", ran.said());
        let expected = (signals[0] != Signal::SIGKILL).then_some(130);
        ensure!(ran.status == expected, "{}", ran.said());
        let left = desk.path("tmp").read_dir()?.count();
        ensure!(left == 0, "{signals:?}: {left}: {}", ran.said());
    }
    Ok(())
}

/// A desk with `pipe`, which nobody writes to, and what else the commands need.
fn with_pipe() -> Result<Desk, Stop> {
    let desk = signing::desk()?;
    desk.write("image", image()?)?;
    desk.write("keep.wasm", policy("keep-paths")?.bytes()?)?;
    desk.write("machine.yaml", "machine: {}\n")?;
    desk.tree("all/000.a", &extension("a"))?;
    mkfifo(&desk.path("pipe"), Mode::S_IRWXU).map_err(std::io::Error::from)?;
    Ok(desk)
}

fn pipes_are_refused_where_a_regular_file_is_needed() -> Checked {
    let desk = with_pipe()?;
    for arguments in [
        "plan pipe",
        "diff image pipe",
        "rehearse pipe",
        "rehearse image --switch-root pipe",
        "doctor pipe",
        "extension pull oci-archive:pipe -o out",
        "extension install --config machine.yaml --initramfs pipe -o out",
        "image add-policy pipe keep.wasm -o out",
        "policy inspect pipe",
        "policy run pipe --tree image",
        "policy run keep.wasm --tree pipe",
        "policy bench pipe --tree image",
        "policy compile pipe",
        "policy push pipe oci:layout",
    ] {
        let mut command = desk.command(arguments)?;
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let ended = ends(&mut child, PATIENCE)?;
        child.kill()?;
        let ran = Ran::new(arguments, &child.wait_with_output()?);
        ensure!(ended, "it waits for a writer: {}", ran.said());
        let refused = ran.status == Some(1) || ran.status == Some(3) && arguments == "doctor pipe";
        ensure!(refused, "{}", ran.said());
        if ran.status == Some(1) {
            says(&ran.stderr, &["pipe", "regular file"])?;
        }
    }
    Ok(())
}

fn a_pipe_is_not_waited_for_beyond_a_signal() -> Checked {
    let mut desk = with_pipe()?;
    desk.variable("REGISTRY_AUTH_FILE", desk.path("pipe"));
    for arguments in [
        "plan image --os-release pipe",
        "diff image image --os-release pipe",
        "rehearse image --plan pipe",
        "extension validate all --os-release pipe",
        "extension pull localhost:1/a:b -o out",
        "extension install --config pipe --initramfs image -o out",
        "config add-extension pipe a/b:c",
        "policy sign pipe --key ops",
        "policy sign keep.wasm --key pipe",
        "policy verify pipe --signers ops.signers",
        "policy verify keep.wasm --signers pipe",
        "policy run keep.wasm --tree image --settings pipe",
        "policy run keep.wasm --tree image --extensions pipe",
        "status --report pipe",
        "doctor --root all",
    ] {
        let mut command = desk.command(arguments)?;
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // It is over by itself, or waits for a writer until it is asked to end.
        if !ends(&mut child, Duration::from_millis(700))? {
            signalled(&child, Signal::SIGTERM)?;
        }
        let ended = ends(&mut child, PATIENCE)?;
        child.kill()?;
        let ran = Ran::new(arguments, &child.wait_with_output()?);
        ensure!(ended, "a signal does not end it: {}", ran.said());
        ensure!(ran.status != Some(0), "{}", ran.said());
    }
    // Who writes is read, as from a process substitution of a shell.
    let pipe = desk.path("pipe");
    let writing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        std::fs::write(pipe, "ID=talos\nVERSION_ID=1.7.0\n")
    });
    let ran = desk.run("plan image --os-release pipe")?;
    writing.join().map_err(|_| "the writer panicked")??;
    ensure!(ran.status == Some(0), "{}", ran.said());
    Ok(())
}
