//! Answers that keep the contract to the letter, or nearly, and mean ill. More of them, by a
//! policy in Rust, are in `policies.rs`.

use switch_root_tests::scene::Scene;
use switch_root_tests::steps::{Make, Steps};

use super::attack::{Attack, Expected, Question, fails};
use super::{component, scene, within_bounds};
use crate::check::{Booted, boots, ensure, says};
use crate::tools::{Checked, Stop};

/// Writes a decision for each entry. `$at` is where the decision of the entry `$i` is.
fn for_each(code: &str) -> String {
    format!(
        "(loop $next
          (if (i32.lt_u (local.get $i) (local.get $count)) (then
            (local.set $at (i32.add (i32.const 524288) (i32.mul (local.get $i) (i32.const 12))))
            (i32.store (local.get $at) (i32.const 0))
            {code}
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $next))))
        (return (call $list (i32.const 524288) (local.get $count)))"
    )
}

/// A decision to carry to what is written at 8192.
fn carry(length: usize) -> String {
    format!(
        "(i32.store (local.get $at) (i32.const 2))
         (i32.store offset=4 (local.get $at) (i32.const 8192))
         (i32.store offset=8 (local.get $at) (i32.const {length}))"
    )
}

/// A policy that carries every entry of `/` to one path.
fn carrying(target: &str) -> Result<Vec<u8>, Stop> {
    made(
        &format!("(data (i32.const 8192) \"{target}\")"),
        &for_each(&carry(target.len())),
    )
}

fn made(items: &str, preservation: &str) -> Result<Vec<u8>, Stop> {
    // Room for the answers about many entries.
    let grow = "(drop (memory.grow (i32.const 32)))";
    component::with(&[
        ("items", items),
        ("start", grow),
        ("preservation", preservation),
    ])
}

/// Plays one attack, which must be told and do what the report says.
fn play(attack: Attack, change: impl FnOnce(Scene) -> Scene) -> Result<Booted, Stop> {
    let attacks = [attack];
    let booted = boots(&change(scene(&attacks, "safe")?))?;
    attacks[0].told(&booted)?;
    match attacks[0].silences(Question::Preservation, &booted) {
        true => booted.everything_left()?,
        false => booted.as_reported()?,
    }
    within_bounds(&attacks, &booted)?;
    Ok(booted)
}

/// Places that nothing is carried to, and the rule.
pub fn forbidden_targets() -> Checked {
    for (target, words) in [
        ("/", "the path has an empty component"),
        ("//", "the path has an empty component"),
        ("/sbin", "that would hide the init of the new root"),
        ("/sbin/init", "that would hide the init of the new root"),
        ("/sbin/init/", "the path has an empty component"),
        ("/sbin/./init", "the path has a `.` or `..` component"),
        ("/etc/../sbin/init", "the path has a `.` or `..` component"),
        ("/..", "the path has a `.` or `..` component"),
        (
            "/proc",
            "nothing is carried into /dev, /proc, /sys and /run",
        ),
        (
            "/proc/1/root",
            "nothing is carried into /dev, /proc, /sys and /run",
        ),
        (
            "/dev/null",
            "nothing is carried into /dev, /proc, /sys and /run",
        ),
        (
            "/run/switch-root/report.json",
            "nothing is carried into /dev, /proc, /sys and /run",
        ),
    ] {
        let expected = fails(Question::Preservation, "answer", words);
        let attack = Attack::new("carries where it may not", carrying(target)?, expected);
        play(attack, |scene| scene).map_err(|stop| stop.during(target))?;
    }
    Ok(())
}

/// Everything there is, file systems of the kernel, the program and the new root itself
/// among it, to one place, and each to a place of its own.
pub fn everything_is_carried() -> Checked {
    let own = for_each(
        "(i32.store (i32.add (i32.const 12288) (i32.mul (local.get $i) (i32.const 8))) (i32.const 0x7672732f))
         (i32.store8 offset=4 (i32.add (i32.const 12288) (i32.mul (local.get $i) (i32.const 8))) (i32.const 47))
         (i32.store8 offset=5 (i32.add (i32.const 12288) (i32.mul (local.get $i) (i32.const 8)))
           (i32.add (i32.const 97) (local.get $i)))
         (i32.store (local.get $at) (i32.const 2))
         (i32.store offset=4 (local.get $at) (i32.add (i32.const 12288) (i32.mul (local.get $i) (i32.const 8))))
         (i32.store offset=8 (local.get $at) (i32.const 6))",
    );
    for (does, wasm) in [
        ("carries all to one place", carrying("/srv/one")?),
        ("carries all to `/srv/a` and so on", made("", &own)?),
    ] {
        for strategy in ["move", "pivot"] {
            let attack = Attack::new(does, wasm.clone(), Expected::Nothing);
            let booted = play(attack, |scene| {
                scene
                    .options(["--strategy", strategy])
                    .in_new_root(|tree| tree.directory("/srv"))
            })
            .map_err(|stop| stop.during(&format!("{does}, {strategy}")))?;
            let survivors = booted.report.survivors();
            for path in ["/some", "/other", "/bin"] {
                ensure!(survivors.contains_key(path), "{strategy}: {survivors:?}");
            }
        }
    }
    Ok(())
}

/// Ten thousand mounts are not made.
pub fn ten_thousand_carries() -> Checked {
    // It descends into directories, and carries what is in them.
    let code = for_each(&format!(
        "(i32.store (local.get $at) (i32.const 3))
         (if (i32.ne (i32.load8_u offset=8 (i32.add (local.get $entries) (i32.mul (local.get $i) (i32.const 32)))) (i32.const 1))
           (then {}))",
        carry(8)
    ));
    let wasm = made("(data (i32.const 8192) \"/srv/one\")", &code)?;
    let expected = fails(
        Question::Preservation,
        "answer",
        "more than 100 `carry` answers; each one is a mount",
    );
    let many = Make::Many {
        directories: 2,
        files: 5000,
        bytes: 1,
    };
    let attack = Attack::new("carries ten thousand files", wasm, expected);
    play(attack, |scene| scene.make("/many", many)).map(drop)
}

/// What it says of a directory when it is asked about `/`, it does not keep to when it is
/// asked about the directory: it carries two files to one place, a third one into the first.
pub fn answers_that_contradict_each_other() -> Checked {
    // `/`: descend. In /contrary: the first entry to /srv/one, the second, too, the third to
    // /srv/one/x.
    let code = for_each(&format!(
        "(if (i32.eq (local.get $length) (i32.const 1))
           (then
             (if (i32.eq (i32.load8_u offset=8 (i32.add (local.get $entries) (i32.mul (local.get $i) (i32.const 32)))) (i32.const 1))
               (then (i32.store (local.get $at) (i32.const 3)))))
           (else (if (i32.eq (local.get $length) (i32.const 9)) (then {}
             (if (i32.eq (local.get $i) (i32.const 2))
               (then (i32.store offset=8 (local.get $at) (i32.const 10))))))))",
        carry(8)
    ));
    let wasm = made("(data (i32.const 8192) \"/srv/one/x\")", &code)?;
    let attack = Attack::new("contradicts itself", wasm, Expected::Nothing);
    let booted = play(attack, |scene| {
        scene
            .file("/contrary/a", "first")
            .file("/contrary/b", "second")
            .file("/contrary/c", "third")
            .in_new_root(|tree| tree.directory("/srv"))
    })?;
    let report = &booted.report;
    let notes =
        ["/contrary/a", "/contrary/b", "/contrary/c"].map(|path| report.survivor_note(path));
    let carried = ["/contrary/a", "/contrary/b", "/contrary/c"].map(|path| report.carried_to(path));
    ensure!(
        carried == [Some("/srv/one".into()), None, None],
        "carried to {carried:?}: {notes:?}"
    );
    says(&notes[1], &["/contrary/a is bound there already"])?;
    says(
        &notes[2],
        &["/srv/one/x", "/srv/one of the new root cannot be used"],
    )?;
    booted.left(&[
        "/contrary/a",
        "/contrary/b",
        "/contrary/c",
        "*/some",
        "/extensions.yaml",
    ])
}

/// A reason is one line for the operator, however long it is and whatever is in it.
pub fn a_reason_that_writes_on_the_console() -> Checked {
    let wasm = component::with(&[(
        "compatibility",
        "(drop (memory.grow (i32.const 20)))
         (memory.fill (i32.const 131072) (i32.const 27) (i32.const 1000000))
         (i32.store (i32.const 4096) (i32.const 1))
         (i32.store (i32.const 4100) (i32.const 131072))
         (i32.store (i32.const 4104) (i32.const 1000000))",
    )])?;
    let attack = Attack::new("objects with escapes", wasm, Expected::Nothing);
    let booted = play(attack, |scene| scene)?;
    let (verdict, reasons) = booted
        .report
        .extensions()
        .remove("000.a.sqsh")
        .ok_or("the extension is not in the report")?;
    ensure!(verdict == "incompatible", "the extension is {verdict}");
    says(&reasons, &[r"\\x1b\\x1b", "[998976 bytes cut]"])?;
    let said = &booted.outcome.stderr;
    ensure!(!said.contains('\x1b'), "an escape character in {said:?}");
    says(said, &[r"\x1b\x1b"])
}
