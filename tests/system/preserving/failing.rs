//! Single system calls of `--preserve` fail: it refuses and has changed nothing, or all is
//! as it is otherwise, or it says what is not.

use std::collections::BTreeSet;
use std::sync::Mutex;

use nix::errno::Errno;
use switch_root_tests::fault::{Call, Fault, Happens, Watch};
use switch_root_tests::outcome::{End, Outcome, mount_points};
use switch_root_tests::scene::{INIT, NEW_ROOT, SUBJECT, Scene};
use switch_root_tests::steps::{Make, Steps};
use switch_root_tests::thorough;

use crate::check::{ensure, said};
use crate::faults::cell::names;
use crate::faults::errnos;
use crate::tools::{Checked, Policies, Stop, boot_small, cases, native, play};

cases![whatever_call_fails_nothing_is_lost_without_a_word];

/// A bit of everything that it does.
fn scene() -> Result<Scene, Stop> {
    let settings = r#"{"settings": {"keep": ["/kept"], "carry": {"/carried": "/etc/carried"}}}"#;
    let folder = "/usr/lib/switch-root/policies.d";
    Ok(boot_small()?
        .policy("00-default", "".into(), None)
        .file(format!("{folder}/50-keep.cwasm"), native("keep-paths")?)
        .file(format!("{folder}/50-keep.json"), settings)
        .file("/kept/file", "kept")
        .symlink("/kept/link", "file")
        .make("/kept/fifo", Make::Fifo)
        .file("/kept/below/below/file", "kept, too")
        .file("/carried", "carried")
        .file("/other", "not kept")
        .command([SUBJECT, "--preserve", NEW_ROOT, INIT]))
}

/// What the running system would find: copies, what is bound, and mounts.
fn found(outcome: &Outcome) -> (Vec<String>, BTreeSet<String>) {
    let wanted = |path: &&String| {
        path.starts_with("/run/switch-root/preserved") || path.starts_with("/sysroot/")
    };
    let everything = &outcome.after.everything;
    let files = everything.keys().filter(wanted);
    (
        files
            .map(|path| format!("{path}: {:?}", everything[path]))
            .collect(),
        mount_points(&outcome.after.mounts).into_keys().collect(),
    )
}

/// The warnings and errors that a run has and the whole one has not.
fn told(whole: &Outcome, faulty: &Outcome) -> String {
    let known: BTreeSet<&str> = whole.stderr.lines().collect();
    let new = faulty.stderr.lines().filter(|line| !known.contains(line));
    new.filter(|line| line.contains("warning: ") || line.contains("error: "))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What must be so when a call has failed.
fn judge(whole: &Outcome, faulty: &Outcome, errno: Errno) -> Checked {
    let told = told(whole, faulty);
    match faulty.end {
        End::Exited(1) => {
            let changes = faulty.changes();
            ensure!(changes.is_empty(), "changed: {changes:?}");
            ensure!(told.contains("nothing was changed"), "says nothing");
        }
        End::Exited(0) => {
            let gone = faulty.before.initramfs != faulty.after.initramfs;
            ensure!(!gone, "the initramfs has changed");
            let (was, is) = (found(whole), found(faulty));
            // Whatever error an allocation fails with, there is no memory.
            let named = names(&told, errno) || told.contains("no memory");
            // It says that something is mounted there, whatever it is.
            let named = named || errno == Errno::EXDEV && told.contains("what is mounted on");
            ensure!(was == is || named, "not told: {was:?} is {is:?}");
        }
        end => return Err(format!("it ended as {end:?}").into()),
    }
    Ok(())
}

/// Errors that mean something else to the program than that a call failed: that a file
/// has gone since or is none, that a directory is there, that the judge has ended, that there
/// is nothing but a hole, that there are no attributes.
fn is_believed(call: &Call, errno: Errno) -> bool {
    match call.name.as_str() {
        "lseek" => errno == Errno::ENXIO,
        "open" => matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ENXIO),
        "mkdirat" => matches!(errno, Errno::ENOENT | Errno::EEXIST),
        "write" => errno == Errno::EPIPE,
        "llistxattr" => errno == Errno::EOPNOTSUPP,
        _ => errno == Errno::ENOENT,
    }
}

fn whatever_call_fails_nothing_is_lost_without_a_word() -> Checked {
    let scene = scene()?;
    let whole = play(&scene.clone().watch(Watch::Record))?;
    ensure!(whole.end == End::Exited(0), "{}", said(&whole));
    let begin = whole.calls.iter().position(|call| call.name == "open");
    let mut faults = Vec::new();
    for (place, call) in whole.calls.iter().enumerate() {
        if call.process != 0 || Some(place) < begin {
            continue;
        }
        let errors = errnos::of(call).unwrap_or(&[Errno::EIO, Errno::ENOSPC, Errno::EPERM]);
        let errors = errors.iter().filter(|errno| !is_believed(call, **errno));
        let mut errors: Vec<Errno> = errors.copied().collect();
        if !thorough() && !errors.is_empty() {
            // Of all calls some, each with another error.
            errors = match place % 5 {
                0 => vec![errors[place / 5 % errors.len()]],
                _ => Vec::new(),
            };
        }
        faults.extend(errors.into_iter().map(|errno| (call, errno)));
    }
    let (next, defects) = (Mutex::new(faults.iter()), Mutex::new(Vec::new()));
    let work = || -> Option<()> {
        loop {
            let (call, errno) = next.lock().ok()?.next()?;
            let fault = Fault {
                process: call.process,
                number: call.number,
                happens: Happens::Error(*errno as i32),
            };
            let checked = play(&scene.clone().watch(Watch::Fault(fault))).and_then(|faulty| {
                judge(&whole, &faulty, *errno).map_err(|stop| stop.during(&said(&faulty)))
            });
            if let Err(stop) = checked {
                let defect = format!("{call:?} fails with {errno:?}: {stop:?}");
                defects.lock().ok()?.push(defect);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let defects = defects.into_inner().map_err(|error| error.to_string())?;
    ensure!(
        defects.is_empty(),
        "{} of {} are defects:\n{}",
        defects.len(),
        faults.len(),
        defects.join("\n\n")
    );
    Ok(())
}
