//! Whoever's image it is: what a rehearsal runs reaches nothing of the machine.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use switch_root_tests::steps::Steps;

use super::{desk, fails, possible};
use crate::check::{ensure, says};
use crate::not_rehearsing::patched;
use crate::srctl::{Desk, Ran};
use crate::tools::{Checked, Stop, cases, program, srctl};

cases![
    no_link_of_the_image_takes_a_mount_elsewhere,
    nothing_is_mounted_but_what_a_rehearsal_mounts,
    root_runs_programs_of_an_image_as_nobody,
    root_of_a_container_runs_programs_as_nobody_there,
    root_that_cannot_become_nobody_is_refused,
    parts_of_a_rehearsal_do_nothing_when_called_by_hand,
];

/// How long something may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);

fn no_link_of_the_image_takes_a_mount_elsewhere() -> Checked {
    // The kernel makes /dev before it unpacks the image.
    for name in ["/proc", "/sys", "/run"] {
        for target in ["..", "/..", ".", "etc", "../../.."] {
            let desk = desk(|tree| {
                let others = tree.into_iter().filter(|step| step.path != name.as_bytes());
                others.collect::<Vec<_>>().symlink(name, target)
            })?;
            let named = format!("the image has no directory {name}, but something else there");
            fails(&desk, "image", &[&named, "--vm --kernel FILE"])?;
        }
    }
    Ok(())
}

/// A rehearsal whose `switch_root` does not end: on a desk, with the command that is
/// to start `srctl` in front.
fn hanging(desk: &Desk, wrapper: &mut Command) -> Result<Child, Stop> {
    // A jump to itself.
    desk.write("hanging", patched(&[0xeb, 0xfe])?)?;
    Ok(wrapper
        .arg(srctl()?)
        .args([
            "rehearse",
            "image",
            "--switch-root",
            "hanging",
            "--timeout",
            "20",
        ])
        .current_dir(desk.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?)
}

/// What the `switch_root` of a rehearsal is, seen from here.
struct Seen {
    /// Its users and its groups.
    ids: [String; 2],
    /// Where something is mounted that it can reach.
    mounts: Vec<String>,
}

/// Waits for the `switch_root` of a rehearsal, looks at it, and ends the rehearsal.
fn seen(mut rehearsal: Child) -> Result<Seen, Stop> {
    let deadline = Instant::now() + PATIENCE;
    let found = loop {
        if let Some(found) = hanging_process()? {
            break found;
        }
        if rehearsal.try_wait()?.is_some() || Instant::now() > deadline {
            rehearsal.kill()?;
            let ran = Ran::new("rehearse", &rehearsal.wait_with_output()?);
            possible(&ran)?;
            return Err(Stop::Fail(ran.said()));
        }
        thread::sleep(Duration::from_millis(20));
    };
    rehearsal.kill()?;
    rehearsal.wait()?;
    Ok(found)
}

/// The process that is called as a rehearsal calls `switch_root`.
fn hanging_process() -> Result<Option<Seen>, Stop> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if !command.starts_with(b"switch_root\0/sysroot\0/sbin/init\0rehearse-init\0") {
            continue;
        }
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let ids = ["Uid:", "Gid:"].map(|key| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_default().trim().replace('\t', " ")
        });
        let mounts = fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        return Ok(Some(Seen {
            ids,
            mounts: points.map(str::to_owned).collect(),
        }));
    }
    Ok(None)
}

/// As /proc shows an ID that is the same in each respect.
fn all_four(id: u32) -> String {
    [id; 4].map(|id| id.to_string()).join(" ")
}

fn root_runs_programs_of_an_image_as_nobody() -> Checked {
    let desk = desk(|tree| tree)?;
    let found = seen(hanging(&desk, &mut Command::new(program("env")?))?)?;
    let ids = [all_four(0x7000_0000), all_four(0x7000_0000)];
    ensure!(found.ids == ids, "{:?}", found.ids);
    Ok(())
}

fn nothing_is_mounted_but_what_a_rehearsal_mounts() -> Checked {
    let desk = desk(|tree| tree)?;
    let found = seen(hanging(&desk, &mut Command::new(program("env")?))?)?;
    let mut mounts = found.mounts;
    mounts.sort_unstable();
    let expected = [
        "/",
        "/dev",
        "/dev/full",
        "/dev/null",
        "/dev/random",
        "/dev/urandom",
        "/dev/zero",
        "/proc",
        "/proc/cmdline",
        "/run",
        "/sys",
        "/sysroot",
    ];
    ensure!(mounts == expected, "{mounts:?}");
    Ok(())
}

fn root_of_a_container_runs_programs_as_nobody_there() -> Checked {
    let desk = desk(|tree| tree)?;
    fs::copy(srctl()?, desk.path("srctl"))?;
    let script = "read go && exec setpriv --reuid=0 --regid=0 --clear-groups env \"$0\" \"$@\"";
    let mut wrapper = Command::new(program("unshare")?);
    wrapper
        .args(["--user", "--keep-caps", "sh", "-c", script])
        .stdin(Stdio::piped());
    let mut rehearsal = hanging(&desk, &mut wrapper)?;
    let own = fs::read_link("/proc/self/ns/user")?;
    let folder = format!("/proc/{}", rehearsal.id());
    let deadline = Instant::now() + PATIENCE;
    while fs::read_link(format!("{folder}/ns/user"))? == own {
        ensure!(Instant::now() < deadline, "no user namespace was made");
        thread::sleep(Duration::from_millis(5));
    }
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("{folder}/{map}"), "0 100000 65536")?;
    }
    if let Some(mut stdin) = rehearsal.stdin.take() {
        stdin.write_all(b"\n")?;
    }
    let found = seen(rehearsal)?;
    let ids = [all_four(160_706), all_four(160_706)];
    ensure!(found.ids == ids, "{:?}", found.ids);
    Ok(())
}

fn root_that_cannot_become_nobody_is_refused() -> Checked {
    let desk = desk(|tree| tree)?;
    let before = desk.everything()?;
    for missing in ["-setuid", "-setgid"] {
        let output = Command::new(program("setpriv")?)
            .arg(format!("--bounding-set={missing}"))
            .arg(srctl()?)
            .args(["rehearse", "image"])
            .current_dir(desk.path(""))
            .output()?;
        let ran = Ran::new("rehearse", &output);
        ensure!(ran.status == Some(1), "{}", ran.said());
        says(&ran.stderr, &["never run as root", "--vm --kernel FILE"])?;
    }
    ensure!(desk.everything()? == before, "the folder was changed");
    Ok(())
}

fn parts_of_a_rehearsal_do_nothing_when_called_by_hand() -> Checked {
    for arguments in [
        &["rehearse-stage"][..],
        &["rehearse-init", "0", "machine"],
        &["rehearse-init", "0", "namespace"],
    ] {
        // Whatever it does, this machine is not restarted.
        let output = Command::new(program("setpriv")?)
            .arg("--bounding-set=-sys_boot")
            .arg(srctl()?)
            .args(arguments)
            .output()?;
        let ran = Ran::new(arguments[0], &output);
        ensure!(ran.status == Some(2), "{}", ran.said());
        ensure!(ran.stdout.is_empty(), "{}", ran.said());
        says(
            &ran.stderr,
            &["only a rehearsal starts", "nothing was done"],
        )?;
    }
    Ok(())
}
