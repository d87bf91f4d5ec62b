//! What `srctl` shows on a terminal, and does not elsewhere: colours and progress. The
//! terminal is the one that util-linux's `script` makes.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use switch_root_tests::archive;
use switch_root_tests::steps::Steps;

use crate::check::{ensure, says};
use crate::inspecting::{large_module, passing};
use crate::planning;
use crate::srctl::{Desk, Ran, extension, manifest, noise};
use crate::status::running;
use crate::tools::{self, Checked, Stop, cases, policy, program};

cases![
    colours_are_for_terminals,
    colours_are_as_the_environment_wants_them,
    colours_are_as_the_command_line_wants_them,
    colours_only_repeat_what_words_say,
    arguments_never_control_the_terminal,
    progress_is_shown_on_a_terminal_once_it_takes_long,
    a_policy_that_takes_long_to_compile_is_named,
    what_is_waited_for_is_named_meanwhile,
    a_policy_that_is_built_for_long_is_named,
    plan_and_diff_have_a_pager_on_a_terminal,
    a_pager_that_is_missing_or_quits_changes_no_status,
];

const ESCAPE: char = '\x1b';

/// What finds an error and a warning, and asks for verdicts: all that has colours.
const VALIDATE: &str = "extension validate all --target-version 1.5.0";

/// A desk with an extension that is incompatible and one that is invalid.
fn desk() -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    desk.tree("all/000.a", &extension("a"))?;
    let bare = Vec::new().file("/manifest.yaml", manifest("b", ">= v1.2.0").as_str());
    desk.tree("all/001.b", &bare)?;
    Ok(desk)
}

/// Runs `srctl` on a terminal; what it prints and what it says come as one.
fn on_terminal(desk: &Desk, arguments: &str, environment: &[(&str, &str)]) -> Result<Ran, Stop> {
    let script = program("script")?;
    let srctl = tools::srctl()?;
    let line = format!("{} {arguments}", srctl.display());
    // For the environment and the folder of a command that is not run.
    let plain = desk.command("")?;
    let mut command = Command::new(script);
    command
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .env_clear()
        .envs(
            plain
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .env("SRCTL_PAGER", "")
        .envs(environment.iter().copied());
    if let Some(folder) = plain.get_current_dir() {
        command.current_dir(folder);
    }
    let output = command.stdin(std::process::Stdio::null()).output()?;
    Ok(Ran::new(arguments, &output))
}

/// Runs `srctl` with pipes.
fn piped(desk: &Desk, arguments: &str, environment: &[(&str, &str)]) -> Result<Ran, Stop> {
    let output = desk
        .command(arguments)?
        .envs(environment.iter().copied())
        .output()?;
    Ok(Ran::new(arguments, &output))
}

/// A text without what changes the colour of it.
pub fn without_colours(text: &str) -> String {
    let mut parts = text.split(ESCAPE);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}

fn has_colours(ran: &Ran) -> bool {
    ran.stdout.contains(ESCAPE) || ran.stderr.contains(ESCAPE)
}

fn colours_are_for_terminals() -> Checked {
    let desk = desk()?;
    let nowhere = "extension pack nowhere --output out.img";
    for arguments in [
        VALIDATE,
        nowhere,
        "extension list nowhere",
        "--help",
        "wrong",
    ] {
        let ran = piped(&desk, arguments, &[("TERM", "xterm")])?;
        ensure!(!has_colours(&ran), "{}", ran.said());
        let ran = on_terminal(&desk, arguments, &[])?;
        ensure!(has_colours(&ran), "{}", ran.said());
    }
    // What programs read has none, even there.
    let json = format!("{VALIDATE} --format json");
    let ran = on_terminal(&desk, &json, &[])?;
    ensure!(!has_colours(&ran), "{}", ran.said());
    Ok(())
}

fn colours_are_as_the_environment_wants_them() -> Checked {
    let desk = desk()?;
    for (environment, terminal, pipe) in [
        (&[("NO_COLOR", "1")][..], false, false),
        (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false, false),
        (&[("TERM", "dumb")], false, false),
        (&[("CLICOLOR", "0")], false, false),
        // By its rule an empty one is none.
        (&[("NO_COLOR", "")], true, false),
        (&[("CLICOLOR_FORCE", "1")], true, true),
    ] {
        for arguments in [VALIDATE, "extension pack nowhere --output out.img"] {
            let ran = on_terminal(&desk, arguments, environment)?;
            ensure!(
                has_colours(&ran) == terminal,
                "{environment:?}: {}",
                ran.said()
            );
            let ran = piped(&desk, arguments, environment)?;
            ensure!(has_colours(&ran) == pipe, "{environment:?}: {}", ran.said());
        }
    }
    Ok(())
}

fn colours_are_as_the_command_line_wants_them() -> Checked {
    let desk = desk()?;
    for arguments in [VALIDATE, "extension pack nowhere --output out.img", "wrong"] {
        // The option goes before the environment.
        let always = format!("{arguments} --color always");
        let ran = piped(&desk, &always, &[("NO_COLOR", "1")])?;
        ensure!(has_colours(&ran), "{}", ran.said());
        let never = format!("--color=never {arguments}");
        let ran = on_terminal(&desk, &never, &[("CLICOLOR_FORCE", "1")])?;
        ensure!(!has_colours(&ran), "{}", ran.said());
    }
    let ran = desk.changes_nothing("extension list all --color sometimes", 2)?;
    says(&ran.stderr, &["sometimes", "auto", "never"])
}

fn colours_only_repeat_what_words_say() -> Checked {
    let desk = desk()?;
    let plain = piped(&desk, VALIDATE, &[])?;
    let coloured = piped(&desk, &format!("{VALIDATE} --color always"), &[])?;
    ensure!(coloured.status == plain.status, "{}", coloured.said());
    for (text, coloured) in [
        (&plain.stdout, &coloured.stdout),
        (&plain.stderr, &coloured.stderr),
    ] {
        let stripped = without_colours(coloured);
        ensure!(stripped == *text, "{stripped}\nis not\n{text}");
    }
    says(&plain.stdout, &["error: 001.b: ", "incompatible"])
}

fn arguments_never_control_the_terminal() -> Checked {
    let mut desk = Desk::new()?;
    desk.write("image", archive::of(&planning::steps()?)?)?;
    desk.write("keep.wasm", policy("keep-paths")?.bytes()?)?;
    // What the shell of `script` makes of it is the character itself.
    let bell = "\u{7}\u{1b}[2J";
    desk.variable("ODD", bell.into());
    for arguments in [
        "plan $ODD",
        "plan image --format $ODD",
        "plan image --os-release $ODD",
        "plan image --policies $ODD",
        "diff $ODD image",
        "rehearse $ODD",
        "doctor $ODD",
        "status --report $ODD",
        "extension list $ODD",
        "extension pack $ODD -o out",
        "extension pull oci:$ODD -o out",
        "extension pull $ODD -o out",
        "extension install --config $ODD --initramfs image -o out",
        "config add-extension $ODD a/b:c",
        "policy test $ODD",
        "policy build $ODD",
        "policy inspect $ODD",
        "policy sign keep.wasm --key $ODD",
        "image add-policy $ODD $ODD -o out",
        "image stage $ODD",
        "$ODD",
    ] {
        let ran = on_terminal(&desk, arguments, &[("NO_COLOR", "1")])?;
        ensure!(
            ran.status != Some(0) || arguments.contains("list"),
            "{}",
            ran.said()
        );
        ensure!(
            ran.stdout.contains(r"\x07") && !ran.stdout.contains(['\u{7}', '\u{1b}']),
            "{:?}",
            ran.said()
        );
    }
    Ok(())
}

/// What is shown with a bar: the folder, and what is done with it.
const SHOWN: &str = "000.large";

fn progress_is_shown_on_a_terminal_once_it_takes_long() -> Checked {
    let desk = Desk::new()?;
    desk.tree("small/000.large", &extension("small"))?;
    let small = on_terminal(&desk, "extension pack small --output small.img", &[])?;
    // The table has the layer's name, too, so look for what only bars do.
    ensure!(bars(&small) == 0, "{}", small.said());
    // As much as takes this machine some seconds.
    let mut size = 32 << 20;
    let pack = loop {
        let large = extension("large").file("/rootfs/usr/local/large", noise(size));
        desk.tree(&format!("{size}/000.large"), &large)?;
        let pack = format!("extension pack {size} --layer-level 19 --output large.img");
        let begun = Instant::now();
        let ran = piped(&desk, &pack, &[])?;
        ensure!(ran.status == Some(0), "{}", ran.said());
        ensure!(!has_colours(&ran) && bars(&ran) == 0, "{}", ran.said());
        if begun.elapsed() > Duration::from_secs(2) {
            break pack;
        }
        size *= 2;
        if size > 512 << 20 {
            return Err(Stop::Skip("this machine is too fast to wait for".into()));
        }
    };
    let ran = on_terminal(&desk, &pack, &[])?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    ensure!(bars(&ran) > 3, "no progress: {}", ran.said());
    says(&ran.stdout, &[SHOWN])?;
    // They are gone in the end, and the table is whole.
    let last = ran.stdout.rsplit("\x1b[2K").next().unwrap_or_default();
    says(last, &["LAYER", "000.large.sqsh", "sha256:"])?;
    for quiet in ["--quiet", "-q"] {
        let ran = on_terminal(&desk, &format!("{pack} {quiet}"), &[])?;
        ensure!(bars(&ran) == 0, "{}", ran.said());
    }
    Ok(())
}

fn a_policy_that_takes_long_to_compile_is_named() -> Checked {
    let desk = Desk::new()?;
    // As many functions as take this machine some seconds, also when other tests have ended
    // that ran beside the first try.
    let mut functions = 4_000;
    loop {
        desk.write("large.wasm", passing(&large_module(functions)))?;
        let begun = Instant::now();
        let ran = piped(&desk, "policy inspect large.wasm", &[])?;
        ensure!(bars(&ran) == 0, "{}", ran.said());
        if begun.elapsed() > Duration::from_secs(5) {
            break;
        }
        functions *= 2;
    }
    // In the policy worker, and where there is none.
    for arguments in ["policy inspect large.wasm", "policy compile large.wasm"] {
        let ran = on_terminal(&desk, arguments, &[])?;
        ensure!(ran.status == Some(3), "{}", ran.said());
        ensure!(bars(&ran) > 1, "no progress: {}", ran.said());
        says(&ran.stdout, &["large", "compiling"])?;
        let last = ran.stdout.rsplit("\x1b[2K").next().unwrap_or_default();
        says(last, &["does not fit the contract"])?;
    }
    Ok(())
}

fn what_is_waited_for_is_named_meanwhile() -> Checked {
    let desk = Desk::new()?;
    desk.write("report.json", running().to_string())?;
    let image = archive::of(&planning::steps()?)?;
    let slow = desk.path("slow");
    mkfifo(&slow, Mode::S_IRWXU).map_err(std::io::Error::from)?;
    for (arguments, words) in [
        (
            "status --report report.json --wait 3",
            ["report.json", "waiting"],
        ),
        ("plan - < slow", ["standard input", "reading"]),
    ] {
        for (quiet, shown) in [("", true), ("--quiet ", false)] {
            let (slow, image) = (slow.clone(), image.clone());
            // Whoever reads it has to wait.
            let writing = arguments.ends_with("slow").then(|| {
                std::thread::spawn(move || -> std::io::Result<()> {
                    let mut pipe = std::fs::OpenOptions::new().write(true).open(slow)?;
                    std::thread::sleep(Duration::from_secs(3));
                    pipe.write_all(&image)
                })
            });
            let ran = on_terminal(&desk, &format!("{quiet}{arguments}"), &[])?;
            if let Some(writing) = writing {
                writing.join().map_err(|_| "the writer panicked")??;
            }
            ensure!((bars(&ran) > 3) == shown, "{}", ran.said());
            let named = words.iter().all(|word| ran.stdout.contains(word));
            ensure!(named || !shown, "{}", ran.said());
        }
    }
    Ok(())
}

fn a_policy_that_is_built_for_long_is_named() -> Checked {
    let desk = Desk::new()?;
    desk.succeeds("policy new slow-one --lang c")?;
    // Compilers write when they like.
    let clang = "#!/bin/sh\ncase $* in *-print-*) echo /bin/sh; exit;; esac\nfor i in 1 2 3; do echo warning $i >&2; sleep 1; done\nexit 1\n";
    desk.tree(
        "bin",
        &Vec::new()
            .executable("/clang", clang)
            .executable("/npm", clang),
    )?;
    let path = format!("{}:/usr/bin:/bin", desk.path("bin").display());
    let environment = &[("PATH", path.as_str())];
    for (arguments, shown) in [
        ("policy build slow-one", true),
        ("-q policy build slow-one", false),
    ] {
        let ran = on_terminal(&desk, arguments, environment)?;
        ensure!(ran.status == Some(1), "{}", ran.said());
        ensure!((bars(&ran) > 3) == shown, "{}", ran.said());
        ensure!(ran.stdout.contains("building") == shown, "{}", ran.said());
        ensure!(ran.stdout.contains("slow-one") == shown, "{}", ran.said());
        // What the compiler says stands on lines of its own.
        for line in ["warning 1", "warning 2", "warning 3"] {
            let mut pieces = ran.stdout.split(['\r', '\n', ESCAPE]);
            let stands_alone = pieces.any(|piece| {
                // Behind what moves the cursor, such as `[2K`.
                let control = |it: char| it == '[' || it == '?' || it.is_ascii_digit();
                piece == line || piece.trim_start_matches(control).get(1..) == Some(line)
            });
            ensure!(stands_alone, "{line}: {:?}", ran.stdout);
        }
    }
    Ok(())
}

/// A desk with an image of so many files.
fn with_image(files: usize) -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    let steps = (0..files).fold(planning::steps()?, |steps, number| {
        steps.file(format!("/many/a-file-with-a-long-name-{number}"), "")
    });
    desk.write("image", archive::of(&steps)?)?;
    Ok(desk)
}

/// Marks each line that it shows.
const MARKING: &str = "sed s/^/paged:/";

fn plan_and_diff_have_a_pager_on_a_terminal() -> Checked {
    let desk = with_image(3)?;
    desk.write("other", archive::of(&[])?)?;
    for (arguments, status) in [
        ("plan image", 0),
        ("plan image --list", 0),
        ("plan image --format json", 0),
        ("diff image other", 3),
    ] {
        for (environment, paged) in [
            (&[("SRCTL_PAGER", MARKING)][..], true),
            (&[("SRCTL_PAGER", MARKING), ("PAGER", "false")], true),
            (&[("SRCTL_PAGER", "cat")], false),
            (&[("SRCTL_PAGER", MARKING), ("TERM", "dumb")], false),
        ] {
            let ran = on_terminal(&desk, arguments, environment)?;
            ensure!(ran.status == Some(status), "{}", ran.said());
            ensure!(ran.stdout.contains("paged:") == paged, "{}", ran.said());
        }
        let environment = &[("SRCTL_PAGER", MARKING)];
        let ran = on_terminal(&desk, &format!("{arguments} --no-pager"), environment)?;
        ensure!(!ran.stdout.contains("paged:"), "{}", ran.said());
        let ran = piped(
            &desk,
            arguments,
            &[("SRCTL_PAGER", MARKING), ("TERM", "xterm")],
        )?;
        ensure!(!ran.stdout.contains("paged:"), "{}", ran.said());
        let ran = on_terminal(&desk, &format!("{arguments} -o out"), environment)?;
        ensure!(!ran.stdout.contains("paged:"), "{}", ran.said());
    }
    // Others have none.
    let ran = on_terminal(&desk, "doctor image", &[("SRCTL_PAGER", MARKING)])?;
    ensure!(!ran.stdout.contains("paged:"), "{}", ran.said());
    Ok(())
}

fn a_pager_that_is_missing_or_quits_changes_no_status() -> Checked {
    // More than a pipe holds.
    let desk = with_image(4000)?;
    let whole = desk.succeeds("plan image --list")?;
    ensure!(whole.len() > 100_000, "{}", whole.len());
    for pager in ["no-such-pager", "/dev/null"] {
        let ran = on_terminal(&desk, "plan image --list", &[("SRCTL_PAGER", pager)])?;
        ensure!(ran.status == Some(0), "{}", ran.said());
        let said = ran.stdout.replace("\r\n", "\n");
        ensure!(said.ends_with(&whole), "{pager}: {}", ran.said());
    }
    for pager in ["head -n 1", "true", "false"] {
        let ran = on_terminal(&desk, "plan image --list", &[("SRCTL_PAGER", pager)])?;
        ensure!(ran.status == Some(0), "{}", ran.said());
        ensure!(ran.stdout.lines().count() < 2, "{pager}: {}", ran.said());
    }
    Ok(())
}

/// How often a line was drawn anew.
fn bars(ran: &Ran) -> usize {
    ran.stdout.matches("\x1b[2K").count() + ran.stderr.matches("\x1b[2K").count()
}
