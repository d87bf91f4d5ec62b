//! The switch itself: takes a plan and carries it out. Up to [`commit`] it can
//! still refuse; from there on nothing stops the boot, and what fails is
//! recorded.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path as FilePath;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, chroot, execv, fchdir, pivot_root};
use policy::session::Dismissed;
use rustix::fs::{self, Mode, OFlags};
use rustix::mount::{MoveMountFlags, move_mount};
use switch_root_core::locations::DIRECTORY;
use switch_root_core::outcome::{self, Message};
use switch_root_core::path::Path;
use switch_root_core::plan::{self, Move, MoveAction, Plan, Rewrite, Run, Steps, Strategy};
use switch_root_core::report::Report;

use crate::background::{self, Work};
use crate::confirm::{self, Changed};
use crate::directories::{self, NoDirectory};
use crate::gather::Open;
use crate::mount_calls::{Extent, attach, copy, new_run, read_only_copy};
use crate::preserved::Preserved;
use crate::proc::Proc;
use crate::report;
use crate::report::Account;
use crate::{capabilities, carry, listing, start};

switch_root_core::outcomes! {
    /// Why nothing is begun.
    pub enum Refused in "switch" {
        /// Something survives, and the kernel cannot make it read-only: deleting the rest would put it
        /// out of reach. Take a newer kernel, or `switch_root.keep_initramfs`.
        "SR-W42" Unprotected { error: io::Error } = "what survives cannot be brought to /run/switch-root/preserved: {error} (Linux 5.12 or newer is needed)",
        /// A defect of this program: report it.
        "SR-W43" OfAnImage = "the plan is one of an image, without steps for this machine",
    }
}

switch_root_core::outcomes! {
    /// Why init does not take the place of the program after the switch.
    pub enum NoInit in "panic" {
        /// The warnings before it say what the kernel refused.
        "SR-W40" OtherRoot { path: Path } = "the new root {path} did not become the root, and the init of another root is not executed",
        /// The loader or interpreter is missing (`ENOENT`), it was built for another processor
        /// (`ENOEXEC`), or a security module forbids it. Start once with another `init=`.
        "SR-W41" Refused { path: Path, error: String } = "the kernel does not execute init {path}: {error}; the new root is in place",
    }
}

switch_root_core::outcomes! {
    /// What is not as it was planned.
    pub enum Failed in "switch-warnings" {
        /// It may not be moved then; other warnings say what that leads to.
        "SR-W01" Private { point: Path, error: Errno } = "{point} cannot be made private: {error}",
        /// The running system mounts its own, or does not find one. Where it is `/run`, init mounts one
        /// itself; without it there is no report.
        "SR-W02" Making { point: Path, error: rustix::io::Errno } = "{point} cannot be made in the new root: {error}",
        /// The kernel had no memory for another mount.
        "SR-W03" Binding { point: Path, error: io::Error } = "failed to bind {point} in the new root: {error}; it is moved there, and processes that live on lose it",
        /// The running system mounts its own, or does not find one. A mount that stays holds memory of
        /// the initramfs.
        "SR-W04" Moving { point: Path, error: rustix::io::Errno } = "{point} cannot be moved to the new root: {error}; it is detached",
        "SR-W05" Detaching { point: Path, error: Errno } = "{point} cannot be detached: {error}",
        /// Init mounts one itself; without it there is no report.
        "SR-W06" Run { error: rustix::io::Errno } = "no tmpfs can be mounted on /run of the new root: {error}",
        /// The other strategy does.
        "SR-W07" Pivoting { error: Errno } = "the new root cannot be pivoted to: {error}; its mount is moved instead",
        /// The memory behind it is not freed before the machine restarts.
        "SR-W08" OldRoot { error: Errno } = "the old root cannot be detached: {error}",
        /// If the new root did not become the root, the next message says so, and no init is executed.
        "SR-W09" MovingRoot { error: Errno } = "the new root's mount cannot be moved to /: {error}",
        /// Memory may have been short for a moment. If the second attempt fails, too, that is said as
        /// well.
        "SR-W18" ChangingAgain { error: Errno } = "the root directory cannot be changed: {error}; it is tried once more",
        /// If the new root did not become the root, the next message says so, and no init is executed.
        "SR-W19" Changing { error: Errno } = "the root directory cannot be changed: {error}",
        "SR-W20" Entering { error: Errno } = "the root directory cannot be entered: {error}",
        "SR-W21" Examining { error: io::Error } = "the root directory cannot be examined: {error}",
        /// The memory behind them is not freed before the machine restarts.
        "SR-W22" Reaching { error: Errno } = "mounts of the old root cannot be reached: {error}",
        "SR-W23" DetachingOther { point: Path, error: Errno } = "the mount on {point} cannot be detached: {error}",
        /// `--console`, or `run-init` without it, names a device that is not in the new root's `/dev`.
        /// Init has the descriptors that the program was started with.
        "SR-W24" Console { path: Path, error: Errno } = "console {path} cannot be used: {error}",
        /// Memory may have been short for a moment. If the second attempt fails, too, that is said as
        /// well.
        "SR-W25" Executing { path: Path, error: Errno } = "init {path} is not executed: {error}; it is tried once more",
        /// Nothing survives, so that nothing is missing. The kernel is older than 5.12.
        "SR-W26" Preserved { error: io::Error } = "/run/switch-root/preserved cannot be prepared: {error}",
        /// `extensions.yaml` was to say which extensions were activated; the initramfs is out of
        /// memory. The report says it, too.
        "SR-W27" Removed { path: Path, error: io::Error } = "{path} cannot be written anew: {error}; it is removed",
        "SR-W28" Wrong { path: Path, error: io::Error, removing: io::Error } = "{path} cannot be written anew: {error}; it cannot be removed either ({removing}), and tells what is not so",
    }
}

/// How the program ends where init does not take its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nothing was changed.
    Refused(Message),
    /// The switch is done, and the kernel did not execute the init.
    NoInit(Message),
}

impl Stop {
    /// Nothing was changed, for this reason.
    pub fn refused(reason: impl Into<Message>) -> Self {
        Self::Refused(reason.into())
    }
}

/// What is opened before anything is changed.
struct Prepared {
    old_root: OwnedFd,
    new_root: OwnedFd,
    /// The initramfs, and what policies keep of it.
    preserved: Option<Preserved>,
    /// What is bound in the new root, by the number of its survivor.
    carried: Vec<(usize, OwnedFd)>,
    /// What could not be opened, and is not needed for the switch.
    warnings: Vec<Message>,
}

/// Carries out a plan. Does not come back but to say why not.
pub fn act(
    plan: &Plan,
    open: Open,
    mut account: Account,
    proc: &Proc,
    started: Instant,
) -> Result<Infallible, Stop> {
    let Some(steps) = plan.steps() else {
        return Err(Stop::refused(Refused::OfAnImage));
    };
    let prepared = prepare(plan, steps, open).map_err(Stop::Refused)?;
    tracing::info!(
        "switching to {} ({}), init {}",
        steps.new_root.path,
        steps.strategy(),
        steps.init.path
    );
    let judges = std::mem::take(&mut account.judges);
    let report = report::of(plan.outline(), steps, account);
    Err(commit(
        (plan, steps),
        prepared,
        report,
        judges,
        proc,
        started,
    ))
}

fn prepare(plan: &Plan, steps: &Steps, open: Open) -> Result<Prepared, Message> {
    let Open { old_root, new_root } = open;
    confirm::confirm(steps, &new_root)?;
    let survivors = &plan.outline().preserved;
    let mut warnings = Vec::new();
    let prepared = match steps.preserved {
        plan::Preserved::No => None,
        _ => Some(Preserved::prepare(&old_root, survivors)),
    };
    let preserved = match prepared.transpose() {
        Ok(preserved) => preserved,
        Err(error) if steps.preserved == plan::Preserved::Wanted => {
            warnings.push(Failed::Preserved { error }.into());
            None
        }
        Err(error) => return Err(Refused::Unprotected { error }.into()),
    };
    // Here, since it may still refuse.
    fchdir(&new_root).map_err(|error| {
        let path = steps.new_root.path.clone();
        Changed::Entering { path, error }
    })?;
    // Last of what may refuse, and before anything is bound: the file that is
    // carried is the new one.
    if let Some(rewrite) = plan.rewrite() {
        warnings.extend(write_anew(rewrite).map(Message::from));
    }
    let mut carried = Vec::new();
    for (number, survivor) in survivors
        .iter()
        .enumerate()
        .filter(|(_, survivor)| survivor.carried_to.is_some())
    {
        let tree = listing::open_at_mount(&old_root, &survivor.path.0)
            .and_then(|place| Ok(read_only_copy(place, Extent::All)?));
        match tree {
            Ok(tree) => carried.push((number, tree)),
            Err(error) => warnings.push(carry::not_bound(survivor, &error).into()),
        }
    }
    Ok(Prepared {
        old_root,
        new_root,
        preserved,
        carried,
        warnings,
    })
}

/// Writes a file anew, whole or not at all. One that cannot be written is removed,
/// since it would tell what is not so. Returns what went wrong.
fn write_anew(rewrite: &Rewrite) -> Option<Failed> {
    let path = FilePath::new(OsStr::from_bytes(&rewrite.path.0));
    let new = path.with_extension("new");
    let error = std::fs::write(&new, &rewrite.text)
        .and_then(|()| std::fs::rename(&new, path))
        .err()?;
    let _ = std::fs::remove_file(&new);
    let removed = std::fs::remove_file(path);
    let path = rewrite.path.clone();
    Some(match removed {
        Ok(()) => Failed::Removed { path, error },
        Err(removing) => Failed::Wrong {
            path,
            error,
            removing,
        },
    })
}

/// From here on nothing stops the boot. The order of events:
fn commit(
    (plan, steps): (&Plan, &Steps),
    prepared: Prepared,
    mut report: Report,
    mut judges: Dismissed,
    proc: &Proc,
    started: Instant,
) -> Stop {
    let Prepared {
        old_root,
        new_root,
        preserved,
        carried,
        warnings,
    } = prepared;
    let survivors = &plan.outline().preserved;
    for warning in warnings {
        report.warn(warning);
    }
    for point in &steps.make_private {
        let outcome = mount(
            None::<&str>,
            point.0.as_slice(),
            None::<&str>,
            MsFlags::MS_PRIVATE,
            None::<&str>,
        );
        record(outcome, &mut report, |error| {
            let point = point.clone();
            Failed::Private { point, error }
        });
    }
    for step in &steps.moves {
        move_to_new_root(step, &old_root, &new_root, &mut report);
    }
    mount_run(steps, &new_root, &mut report);
    let directory = report_directory(steps, &new_root, &mut report);
    let later = match (&directory, preserved) {
        (Some(directory), Some(preserved)) => {
            preserved.attach(survivors, steps, &old_root, directory, &mut report)
        }
        _ => None,
    };
    for (number, tree) in &carried {
        let survivor = &survivors[*number];
        if let Err(error) = carry::bind(survivor, tree, &new_root) {
            report.warn(carry::not_bound(survivor, &error));
        }
    }
    let switched = switch(&steps.attempts, &new_root, &mut report);
    report.strategy = switched.strategy;
    if switched.strategy == Strategy::Move && switched.moved {
        // Pivoting has taken them away already.
        detach_mounts(steps, &old_root, &mut report);
    }
    if !switched.inside {
        let path = steps.new_root.path.clone();
        return Stop::NoInit(NoInit::OtherRoot { path }.into());
    }
    report.timings.switched_us = Some(started.elapsed().as_micros() as u64);
    if let Some(console) = &steps.console {
        record(use_console(console), &mut report, |error| {
            let path = console.clone();
            Failed::Console { path, error }
        });
    }
    for failure in capabilities::drop_from_helpers(&steps.drop_capabilities, proc) {
        report.warn(failure);
    }
    drop((new_root, carried));
    // Init must not be left somebody else's children. They have ended by now.
    report.judge.peak_kib = judges.wait();
    background::start(
        Work {
            plan,
            foreground: steps.foreground,
            old_root,
            report_directory: directory,
            later,
            proc,
            started,
        },
        report,
    );
    for failure in capabilities::drop_from_process(&steps.drop_capabilities) {
        outcome::warn(&failure.into());
    }
    execute(steps)
}

fn record<E>(outcome: Result<(), E>, report: &mut Report, failed: impl FnOnce(E) -> Failed) {
    if let Err(error) = outcome {
        report.warn(failed(error));
    }
}

/// A mount that cannot be moved is detached: it must not hold the old root.
fn move_to_new_root(step: &Move, old_root: &OwnedFd, new_root: &OwnedFd, report: &mut Report) {
    let path = step.path.0.as_slice();
    let point = || step.path.clone();
    let name = step.in_new_root();
    if step.action == MoveAction::Leave {
        return;
    }
    if matches!(
        step.action,
        MoveAction::MakeAndMove | MoveAction::MakeAndBind
    ) {
        let made = fs::mkdirat(new_root, name, Mode::from_raw_mode(0o755));
        record(made, report, |error| {
            let point = point();
            Failed::Making { point, error }
        });
    }
    if matches!(step.action, MoveAction::Bind | MoveAction::MakeAndBind) {
        match bind(path, old_root, new_root, name) {
            Ok(()) => return,
            Err(error) => {
                let point = point();
                report.warn(Failed::Binding { point, error });
            }
        }
    }
    if step.action != MoveAction::Detach {
        match move_mount(fs::CWD, path, new_root, name, MoveMountFlags::empty()) {
            Ok(()) => return,
            Err(error) => {
                let point = point();
                report.warn(Failed::Moving { point, error });
            }
        }
    }
    let detached = umount2(path, MntFlags::MNT_DETACH);
    record(detached, report, |error| {
        let point = point();
        Failed::Detaching { point, error }
    });
}

/// Binds a mount of the initramfs, with what is mounted below it, at a name of the new root.
fn bind(path: &[u8], old_root: &OwnedFd, new_root: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let tree = copy(listing::open_at_mount(old_root, path)?, Extent::All)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(move_mount(tree, c"", new_root, name, flags)?)
}

fn mount_run(steps: &Steps, new_root: &OwnedFd, report: &mut Report) {
    if steps.run == Run::MakeAndMount {
        let made = fs::mkdirat(new_root, "run", Mode::from_raw_mode(0o755));
        record(made, report, |error| {
            let point = b"/run"[..].into();
            Failed::Making { point, error }
        });
    }
    if matches!(steps.run, Run::Mount | Run::MakeAndMount) {
        let mounted = new_run().and_then(|tmpfs| {
            attach(
                tmpfs,
                fs::openat(
                    new_root,
                    steps.run_in_new_root(),
                    OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                    Mode::empty(),
                )?,
            )
        });
        record(mounted, report, |error| Failed::Run { error });
    }
}

/// Makes /run/switch-root, where the report and the survivors go.
fn report_directory(steps: &Steps, new_root: &OwnedFd, report: &mut Report) -> Option<OwnedFd> {
    if steps.run == Run::Absent {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let run = steps.run_in_new_root();
    let opened = fs::openat(new_root, run, flags, Mode::empty()).and_then(|run| {
        directories::directory_of_root(&run, DIRECTORY, Mode::from_raw_mode(0o755))
    });
    match opened {
        Ok(directory) => Some(directory),
        Err(error) => {
            report.warn(NoDirectory::Because { error });
            None
        }
    }
}

/// How a switch came out.
struct Switched {
    strategy: Strategy,
    /// The new root's mount lies on `/`.
    moved: bool,
    /// This process's root is the new root.
    inside: bool,
}

/// Makes the new root, which is the working directory, the root: as the first of these attempts
/// does that the kernel accepts.
fn switch(attempts: &[Strategy], new_root: &OwnedFd, report: &mut Report) -> Switched {
    let pivoted = attempts.contains(&Strategy::Pivot)
        && match pivot_root(".", ".") {
            Ok(()) => true,
            Err(error) => {
                report.warn(Failed::Pivoting { error });
                false
            }
        };
    let (mut moved, mut changed) = (pivoted, pivoted);
    if pivoted {
        let detached = umount2(".", MntFlags::MNT_DETACH);
        record(detached, report, |error| Failed::OldRoot { error });
    } else if attempts.contains(&Strategy::Move) {
        let outcome = mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>);
        moved = outcome.is_ok();
        record(outcome, report, |error| Failed::MovingRoot { error });
        // Worth trying whatever came before: a chroot alone runs the right init.
        let outcome = chroot(".").or_else(|error| {
            // The machine cannot do without: memory may have been short.
            report.warn(Failed::ChangingAgain { error });
            chroot(".")
        });
        changed = outcome.is_ok();
        record(outcome, report, |error| Failed::Changing { error });
    }
    record(chdir("/"), report, |error| Failed::Entering { error });
    let same = || -> std::io::Result<bool> {
        let root = fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        Ok(listing::mount_id(root)? == listing::mount_id(new_root)?)
    };
    let inside = same().unwrap_or_else(|error| {
        report.warn(Failed::Examining { error });
        // The kernel has said so.
        changed
    });
    Switched {
        strategy: if pivoted {
            Strategy::Pivot
        } else {
            Strategy::Move
        },
        moved,
        inside,
    }
}

/// Detaches what else is mounted in the old root, so that what it holds is
/// freed. The old root is out of reach of paths, so it becomes the working
/// directory meanwhile.
fn detach_mounts(steps: &Steps, old_root: &OwnedFd, report: &mut Report) {
    if steps.detached_mounts.is_empty() {
        return;
    }
    if let Err(error) = fchdir(old_root) {
        return report.warn(Failed::Reaching { error });
    }
    for point in &steps.detached_mounts {
        let detached = umount2(
            &point.0[1..],
            MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW,
        );
        record(detached, report, |error| {
            let point = point.clone();
            Failed::DetachingOther { point, error }
        });
    }
    record(chdir("/"), report, |error| Failed::Entering { error });
}

fn use_console(console: &Path) -> Result<(), Errno> {
    // A serial line without a carrier would make the boot wait for ever.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = fs::open(console.0.as_slice(), flags, Mode::empty())
        .map_err(|error| Errno::from_raw(error.raw_os_error()))?;
    fcntl(&device, FcntlArg::F_SETFL(OFlag::O_RDWR))?;
    start::become_standard(&device)
}

/// Executes the init. Comes back only where the kernel refuses it.
fn execute(steps: &Steps) -> Stop {
    let init = &steps.init;
    start::restore();
    let arguments: Result<Vec<CString>, _> = std::iter::once(&init.path)
        .chain(&init.arguments)
        .map(|argument| CString::new(argument.0.clone()))
        .collect();
    let error = match &arguments {
        Ok(arguments) => match execv(&arguments[0], arguments).or_else(|error| {
            let path = init.path.clone();
            outcome::warn(&Failed::Executing { path, error }.into());
            execv(&arguments[0], arguments)
        }) {
            Ok(never) => match never {},
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    let path = init.path.clone();
    Stop::NoInit(NoInit::Refused { path, error }.into())
}
