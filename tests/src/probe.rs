//! The probe: the init of the new root, which writes down what it sees.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::termios::tcdrain;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{ForkResult, SysconfVar, fork, sysconf};
use serde_json::Value;

use crate::apply::mount_pseudo;
use crate::companion::COMPANION;
use crate::names::{escape, unescape};
use crate::nobody;
use crate::report::{self, REPORT};
use crate::scene::{Ending, Limit, QUESTIONS, Questions};
use crate::snapshot::{self, Reach, Tree, usage};
use crate::testimony::{Details, MARKER, Seen, Testimony};

/// Where survivors are found in the new root.
pub const PRESERVED: &str = "/run/switch-root/preserved";
/// Where root finds all that is left of the initramfs.
pub const LEFT: &str = "/run/switch-root/private/initramfs";
/// Where all of that is.
pub const OURS: &str = "/run/switch-root";
/// Where stage 1 leaves its [`crate::testimony::Stage1`] in the new root.
pub const STAGE1_RECORD: &str = "/etc/stage1.json";

/// The most that is copied of a file's bytes.
const LONGEST_COPY: u64 = 64 << 10;

/// Looks around, waits for the deletion, looks again, and writes a line with the
/// testimony to standard output. Does what [`Ending`] says if that is not to return.
///
/// # Errors
/// Whatever keeps the testimony from being written; what can't be seen is no error.
pub fn testify() -> io::Result<()> {
    let started_us = monotonic_us();
    Limit::lift();
    let questions: Questions = fs::read(QUESTIONS)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let mut testimony = first_look();
    testimony.started_us = started_us;
    if testimony.status.is_empty() {
        // Not every subject hands /proc over, and the second look needs it.
        let _ = fs::create_dir("/proc");
        let _ = mount_pseudo(Path::new("/proc"), "proc", "");
    }
    let waiting = Instant::now();
    testimony.settled = settle(&questions, &mut testimony.reaped);
    testimony.waited_us = waiting.elapsed().as_micros() as u64;
    if questions.helpers {
        testimony.helpers = start_helpers();
    }
    std::thread::sleep(Duration::from_millis(questions.linger_ms));
    second_look(&mut testimony, &questions);
    if questions.ending == Ending::PowerOff {
        // A kernel message in the middle of the line would spoil it.
        let _ = fs::write("/proc/sys/kernel/printk", "1");
    }
    let mut line = format!("\n{MARKER}{}\n", serde_json::to_string(&testimony)?).into_bytes();
    // What a terminal does to these bytes is nothing to rely on.
    line.retain(|byte| *byte != b'\r');
    let mut output = io::stdout();
    output.write_all(&line)?;
    output.flush()?;
    if questions.ending == Ending::PowerOff {
        let _ = tcdrain(&output);
        // The emulator is told to end where a machine would restart: that needs no
        // driver for a power button.
        nix::sys::reboot::reboot(nix::sys::reboot::RebootMode::RB_AUTOBOOT)?;
    }
    Ok(())
}

fn first_look() -> Testimony {
    let text = |path: &str| {
        let bytes = fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let link = |path: &str| {
        fs::read_link(path)
            .ok()
            .map(|to| escape(to.as_os_str().as_bytes()))
    };
    let arguments = fs::read("/proc/self/cmdline").unwrap_or_default();
    let mut arguments: Vec<String> = arguments.split(|byte| *byte == 0).map(escape).collect();
    arguments.pop();
    let mut environment: Vec<String> = std::env::vars_os()
        .map(|(name, value)| format!("{}={}", escape(name.as_bytes()), escape(value.as_bytes())))
        .collect();
    environment.sort();
    let status = text("/proc/self/status");
    let status = status.lines().filter_map(|line| line.split_once(':'));
    Testimony {
        process: std::process::id().cast_signed(),
        arguments,
        environment,
        directory: std::env::current_dir().map_or_else(
            |error| error.to_string(),
            |path| escape(path.as_os_str().as_bytes()),
        ),
        executable: link("/proc/1/exe"),
        status: status
            .map(|(name, value)| (name.into(), value.trim().into()))
            .collect(),
        // The kernel counts it over what a process executes, too.
        peak_kib: getrusage(UsageWho::RUSAGE_SELF)
            .map_or(0, |usage| usage.max_rss().try_into().unwrap_or(0)),
        descriptors: descriptors(),
        mounts: text("/proc/self/mountinfo")
            .lines()
            .map(String::from)
            .collect(),
        preserved_at_start: preserved(),
        found_at_start: nobody::finds(Path::new(OURS)),
        report_at_start: read_report(),
        memory_at_start: memory(),
        kernel: nix::sys::utsname::uname()
            .map(|names| names.release().to_string_lossy().into_owned())
            .unwrap_or_default(),
        ..Testimony::default()
    }
}

fn second_look(testimony: &mut Testimony, questions: &Questions) {
    testimony.memory = memory();
    testimony.report = read_report();
    testimony.report_mode = fs::metadata(REPORT)
        .ok()
        .map(|file| file.permissions().mode() & 0o7777);
    let top = fs::read_dir("/").into_iter().flatten().flatten();
    testimony.top = top
        .map(|entry| escape(entry.path().as_os_str().as_bytes()))
        .collect();
    testimony.top.sort();
    testimony.preserved = preserved();
    testimony.left = tree(LEFT, Reach::OneMount);
    testimony.left_usage = File::open(LEFT).and_then(usage).ok();
    testimony.found = nobody::finds(Path::new(OURS));
    let look = |path: &String| {
        (
            path.clone(),
            look_at(Path::new(OsStr::from_bytes(&unescape(path)))),
        )
    };
    let examine = |path: &String| {
        let place = unescape(path);
        (path.clone(), details(Path::new(OsStr::from_bytes(&place))))
    };
    // First: an attempt to write that succeeds changes a directory.
    testimony.details = questions.details.iter().map(examine).collect();
    testimony.files = questions.files.iter().map(look).collect();
    testimony.kernel_log = kernel_log();
    testimony.stage1 = fs::read(STAGE1_RECORD)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
}

fn descriptors() -> BTreeMap<i32, String> {
    let Ok(list) = fs::read_dir("/proc/self/fd") else {
        return BTreeMap::new();
    };
    let open = list.flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        // The descriptor that lists the directory is not one that was handed over.
        let target = fs::read_link(entry.path()).ok()?;
        let target = escape(target.as_os_str().as_bytes());
        (!target.ends_with(&format!("/{}/fd", std::process::id()))).then_some((number, target))
    });
    open.collect()
}

/// What the running system finds of the initramfs.
fn preserved() -> Option<Tree> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    tree(PRESERVED, Reach::AllMountsBut(snapshot::served(&mounts)))
}

fn tree(place: &str, reach: Reach) -> Option<Tree> {
    snapshot::take(File::open(place).ok()?, reach).ok()
}

fn read_report() -> Option<Value> {
    serde_json::from_slice(&fs::read(REPORT).ok()?).ok()
}

/// The name that [`memory`] has for free pages which a processor holds for itself.
pub const HELD_FREE: &str = "HeldFree";

/// The fields of `/proc/meminfo`, in kB; empty without `/proc`. One more is
/// [`HELD_FREE`]: the kernel counts these neither as free nor as available, and after a
/// large deletion they may be megabytes.
pub fn memory() -> BTreeMap<String, u64> {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((
            name.to_owned(),
            value.split_whitespace().next()?.parse().ok()?,
        ))
    };
    let mut fields: BTreeMap<String, u64> = text.lines().filter_map(field).collect();
    if let Ok(zones) = fs::read_to_string("/proc/zoneinfo") {
        fields.insert(HELD_FREE.into(), held_free(&zones) * page_size() / 1024);
    }
    fields
}

/// The pages in the processors' own lists, by the text of `/proc/zoneinfo`.
fn held_free(zones: &str) -> u64 {
    zones
        .lines()
        .filter_map(|line| line.trim().strip_prefix("count:"))
        .filter_map(|count| count.trim().parse::<u64>().ok())
        .sum()
}

fn page_size() -> u64 {
    sysconf(SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .map_or(4096, i64::cast_unsigned)
}

/// `CLOCK_MONOTONIC`, in microseconds.
pub fn monotonic_us() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(Duration::from)
        .unwrap_or_default();
    now.as_micros() as u64
}

/// Waits until process 1, which we are, has no children but those that live on, and the
/// report is final.
fn settle(questions: &Questions, reaped: &mut Vec<i32>) -> bool {
    let deadline = Instant::now() + Duration::from_millis(questions.patience_ms);
    loop {
        let childless = loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Err(Errno::ECHILD) => break true,
                Ok(WaitStatus::StillAlive) => break only_living(&questions.living),
                Ok(WaitStatus::Exited(_, status)) => reaped.push(status),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => break false,
            }
        };
        if childless && read_report().is_none_or(|report| report::is_final(&report)) {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether all children of process 1 have one of these names.
fn only_living(living: &[String]) -> bool {
    if living.is_empty() {
        return false;
    }
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut status =
        processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    status.all(|text| {
        let (before, after) = text.rsplit_once(") ").unwrap_or_default();
        let name = before.split_once('(').map(|(_, name)| name);
        let child_of_ours = after.split(' ').nth(1) == Some("1");
        !child_of_ours || name.is_some_and(|name| living.iter().any(|one| one == name))
    })
}

/// Where programs that the kernel started write down what root they are in.
pub const HELPED: [(&str, &str); 2] = [
    ("core", "/run/helper-core"),
    ("modprobe", "/run/helper-modprobe"),
];

/// Has the kernel start a program for a dump of memory, and one for a module that there is
/// not, and gives what they wrote down.
pub fn start_helpers() -> BTreeMap<String, String> {
    let _ = fs::write("/proc/sys/kernel/modprobe", COMPANION);
    let pattern = format!("|{COMPANION} core {}", HELPED[0].1);
    let _ = fs::write("/proc/sys/kernel/core_pattern", pattern);
    let _ = mount_pseudo(Path::new("/run"), "no-such-file-system", "");
    // SAFETY: this process has one thread, and the child ends at once.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => std::process::abort(),
        Ok(ForkResult::Parent { child }) => drop(waitpid(child, None)),
        Err(_) => {}
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let said = |path: &str| {
        fs::read_to_string(path)
            .ok()
            .filter(|text| !text.is_empty())
    };
    while HELPED.iter().any(|(_, path)| said(path).is_none()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    let all = HELPED.iter();
    all.filter_map(|(name, path)| Some(((*name).to_owned(), said(path)?)))
        .collect()
}

fn look_at(path: &Path) -> Seen {
    let metadata = fs::metadata(path);
    let mode = metadata
        .as_ref()
        .ok()
        .map(|file| file.permissions().mode() & 0o7777);
    let regular = metadata.is_ok_and(|metadata| metadata.is_file());
    let mut content = Vec::new();
    // Opening a pipe would wait for somebody who writes into it.
    let read = regular
        .then(|| {
            File::open(path)?
                .take(LONGEST_COPY)
                .read_to_end(&mut content)
        })
        .is_some_and(|read| read.is_ok());
    let nonblocking = OFlag::O_NONBLOCK.bits();
    let attempt = if path.is_dir() {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path.join("probe-was-here"))
            .map(drop)
    } else {
        OpenOptions::new()
            .write(true)
            .custom_flags(nonblocking)
            .open(path)
            .map(drop)
    };
    let errno =
        |error: io::Error| format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap_or(0)));
    Seen {
        content: read.then(|| escape(&content)),
        write_error: attempt.err().map(errno),
        mode,
    }
}

fn details(path: &Path) -> Details {
    let itself = fs::symlink_metadata(path).ok();
    Details {
        modified: itself.as_ref().map(MetadataExt::mtime),
        occupied: itself.as_ref().map(|file| file.blocks() * 512),
        attributes: attributes(path),
    }
}

fn attributes(path: &Path) -> BTreeMap<String, String> {
    let mut names = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, names.as_mut_slice()).unwrap_or(0);
    let value = |name: &[u8]| {
        let mut value = vec![0; 1 << 16];
        let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).unwrap_or(0);
        (escape(name), escape(&value[..length]))
    };
    names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(value)
        .collect()
}

/// The records of the kernel's log that name switch_root. Each read yields one.
fn kernel_log() -> Vec<String> {
    let nonblocking = OFlag::O_NONBLOCK.bits();
    let Ok(mut log) = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open("/dev/kmsg")
    else {
        return Vec::new();
    };
    let mut records = Vec::new();
    let mut record = [0; 8192];
    // The end of the log is an error, EAGAIN; anything else that goes wrong ends it too.
    while let Ok(length @ 1..) = log.read(&mut record) {
        let text = String::from_utf8_lossy(&record[..length]);
        if text.contains("switch_root") || text.contains("switch-root") {
            records.push(text.trim_end().to_owned());
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_in_the_lists_of_all_zones_and_processors_are_counted() {
        let zones = "Node 0, zone      DMA\n  pages free     1\n  pagesets\n    cpu: 0\n\
            \x20             count:    3\n              high:     9\n    cpu: 1\n\
            \x20             count:    40\nNode 0, zone   Normal\n  pagesets\n    cpu: 0\n\
            \x20             count: 500\n";
        assert_eq!(held_free(zones), 543);
        assert_eq!(held_free(""), 0);
    }
}
