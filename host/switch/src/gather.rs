//! What is known of this machine before anything is changed: plain data for the planner, and
//! the descriptors that belong to it.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use switch_root_core::outcome::Message;
use switch_root_core::parameters::Parameters;
use switch_root_core::path::Path;

use crate::deletion::is_overlay;
use crate::init::NoInit;
use crate::initramfs::Initramfs;
use crate::layers::{self, OfThisMachine};
use crate::mounts::{self, Mount, inside};
use crate::new_root::{self, Unsuitable};
use crate::old_root::NoInitramfs;
use crate::planner::{
    self, Copied, Decisions, Facts, Init, Kinds, Layers, Machine, Mode, NewRoot, Options,
};
use crate::preserve::{self, Store, ToCopy, Uncovered, View};
use crate::proc::Proc;
use crate::processes::Others;
use crate::{answering, carry, init, listing, machine, places};

switch_root_core::outcomes! {
    /// Why it is not known what is mounted.
    pub enum NoMounts in "start" {
        /// `/proc/self/mountinfo` is not there, or of another process: the proc mounted there may be
        /// that of another PID namespace.
        "SR-A24" Unread { error: std::io::Error } = "the table of mounts cannot be read: {error}; mount proc on /proc before the switch",
        /// The root directory was changed without its mount: it is not the one that would be deleted.
        "SR-A26" NoRoot = "the table of mounts does not have the mount on /; start the program outside of a chroot",
    }
}

/// What is gathered of.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The mount point of the new root, as it was given.
    pub new_root: &'a OsStr,
    /// The path of the init in the new root; absent where it is to be found.
    pub init: Option<&'a OsStr>,
    /// What the kernel will not execute is taken all the same.
    pub unchecked_init: bool,
    /// What the kernel's command line says.
    pub parameters: &'a Parameters,
    /// The kernel's command line.
    pub command_line: &'a str,
    /// Other programs that live on.
    pub others: &'a Others,
    /// What is planned.
    pub options: &'a Options,
    /// The proc file system.
    pub proc: &'a Proc,
}

/// What is open of that which the facts are about.
pub struct Open {
    /// The root directory of the initramfs.
    pub old_root: OwnedFd,
    /// That of the new root.
    pub new_root: OwnedFd,
}

/// What is mounted.
///
/// # Errors
/// A sentence for the operator.
pub fn table_of_mounts(proc: &Proc) -> Result<Vec<Mount>, Message> {
    let table = proc
        .read("self/mountinfo")
        .map_err(|error| NoMounts::Unread { error })?;
    Ok(mounts::parse(&table)?)
}

/// That the new root is missing, if it is. On a machine that runs, `/` is no initramfs, and
/// what is named wrongly on the command line is said before that.
pub fn without_new_root(given: &OsStr, proc: &Proc) -> Option<Unsuitable> {
    let mounts = table_of_mounts(proc).ok()?;
    let open = || drop(new_root::directory(given));
    answering::examine_ahead(&mounts, given.as_bytes(), answering::PATIENCE, open).ok()?;
    new_root::directory(given).err()
}

/// Examines the new root with its init, and everything that is mounted. `ready` is called when
/// what takes long has come back.
///
/// # Errors
/// Why the switch is refused: a sentence for the operator.
pub fn machine(
    wanted: &Wanted<'_>,
    old_root: OwnedFd,
    facts: &mut Facts,
    ready: impl FnOnce(),
) -> Result<(Open, Option<ToCopy>), Message> {
    let Wanted {
        command_line,
        proc,
        options,
        ..
    } = *wanted;
    let mounts = table_of_mounts(proc)?;
    let open_new_root = || new_root::open(wanted.new_root, old_root.as_fd(), proc);
    // Where no mount is moved, what /run holds matters whatever is mounted here.
    let moved = if options.mounts_stay {
        &[][..]
    } else {
        &mounts
    };
    let examine_places = |fd: &OwnedFd, new_root: &NewRoot| {
        let of = places::Of {
            new_root,
            fd: fd.as_fd(),
            mounts: moved,
            proc,
        };
        let places = places::examine(&of);
        let closed_run = places::closed_run(&of, old_root.as_fd(), &places);
        (places, closed_run)
    };
    let given = wanted.new_root.as_bytes();
    answering::examine_ahead(&mounts, given, answering::PATIENCE, || {
        // All that is read of it below; what comes of it is found out again there.
        let Ok((fd, new_root)) = open_new_root() else {
            return;
        };
        let _ = examine_init(wanted, &fd, &new_root);
        let _ = examine_places(&fd, &new_root);
        let _ = machine::facts(fd.as_fd(), command_line);
    })?;
    ready();
    let (fd, new_root) = open_new_root()?;
    let (init_path, init) = examine_init(wanted, &fd, &new_root)?;
    tracing::debug!(
        "the new root {} has the init {}",
        Path::from(new_root.path.as_slice()),
        Path::from(init.resolved.as_slice())
    );
    let root_id = listing::mount_id(&old_root).map_err(|error| NoInitramfs::Examining { error })?;
    let root = mounts
        .iter()
        .find(|mount| mount.id == root_id)
        .ok_or(NoMounts::NoRoot)?;
    // In init mode it is that of the root image, without layers.
    facts.host.get_or_insert_with(|| {
        let (host, failures) = machine::facts(fd.as_fd(), command_line);
        facts.warnings.extend(failures);
        host
    });
    facts.warnings.extend(init.warnings.iter().cloned());
    let (places, closed_run) = examine_places(&fd, &new_root);
    let (mut to_copy, mut copied) = (None, None);
    if options.mode == Mode::Preserve {
        let store = Store::open(&fd, &new_root.path, &old_root, proc)?;
        let Uncovered {
            points,
            view,
            warnings,
        } = preserve::uncover(&mounts, root, &new_root.path, proc);
        facts.initramfs.overlay = is_overlay(&old_root);
        copied = Some(Copied {
            to: store.preserved(),
            private: store.whole(),
            uncovered: points,
            warnings,
            ..Copied::default()
        });
        to_copy = Some(ToCopy { store, view });
    }
    facts.machine = Some(Machine {
        root: root.clone(),
        mounts,
        new_root,
        init_path,
        init,
        closed_run,
        places,
        others: planner::Others::default(),
        layers: Layers::Known(Vec::new()),
        copied,
    });
    let open = Open {
        old_root,
        new_root: fd,
    };
    Ok((open, to_copy))
}

fn examine_init(
    wanted: &Wanted<'_>,
    fd: &OwnedFd,
    new_root: &NewRoot,
) -> Result<(Vec<u8>, Init), NoInit> {
    let place = init::Place {
        new_root: fd.as_fd(),
        mounted_at: &new_root.path,
        proc: wanted.proc,
        unchecked: wanted.unchecked_init || wanted.parameters.unchecked_init,
    };
    match wanted.init {
        Some(path) => {
            let path = path.as_bytes();
            Ok((path.to_vec(), init::check(place, path)?))
        }
        None => init::find(place, &wanted.parameters.init),
    }
}

/// Finds out what of the initramfs is in use, or may be.
pub fn in_use(wanted: &Wanted<'_>, initramfs: &Initramfs<'_>, facts: &mut Facts) {
    let Facts { machine, kinds, .. } = facts;
    let Some(machine) = machine else { return };
    let Machine {
        mounts,
        root,
        new_root,
        ..
    } = machine;
    let others = wanted.others;
    machine.others = others.facts(mounts, root, |path| initramfs.way(path));
    let own = (wanted.options.mode == Mode::ImageBoot).then_some(new_root.mount_id);
    // Over all layers, so that mounts which do not answer are not waited for at each.
    let patience = Cell::new(answering::PATIENCE);
    machine.layers = layers::locate(mounts, root, own, || {
        let alone = initramfs.alone().ok_or(ErrorKind::Unsupported)?;
        Ok(Box::new(OfThisMachine::new(
            alone,
            wanted.proc,
            mounts,
            &patience,
        )))
    });
    let bound = mounts
        .iter()
        .filter(|it| it.device == root.device && it.id != root.id);
    for mount in bound {
        learn(kinds, initramfs, inside(root, &mount.root));
    }
    for used in &machine.others.in_use {
        learn(kinds, initramfs, Some(used.path.clone()));
    }
    if let Layers::Known(layers) = &machine.layers {
        for place in layers.iter().filter_map(|it| it.places.as_ref()).flatten() {
            learn(kinds, initramfs, Some(place.clone()));
        }
    }
}

fn learn(kinds: &mut Kinds, initramfs: &Initramfs<'_>, path: Option<Vec<u8>>) {
    if let Some(path) = path {
        kinds.learn(path, |path| initramfs.kind(path));
    }
}

/// Finds out what the plan needs to know of what the policies decided: where things can be
/// bound, and what copies take.
pub fn of_decisions(
    wanted: &Wanted<'_>,
    decisions: &Decisions,
    initramfs: &Initramfs<'_>,
    (open, to_copy): (&Open, Option<&ToCopy>),
    facts: &mut Facts,
) {
    let Some(machine) = &facts.machine else {
        return;
    };
    if let Ok(review) = &decisions.preservation {
        for (path, _) in &review.unlisted {
            learn(&mut facts.kinds, initramfs, Some(path.clone()));
        }
        let targets = review.claims.iter().filter_map(|claim| {
            let target = claim.target.clone()?;
            Some((target, claim.kind))
        });
        for (target, kind) in targets {
            let new_root = open.new_root.as_fd();
            facts.targets.learn((target, kind), |(target, kind)| {
                Some(carry::place(new_root, machine, target, *kind, wanted.proc))
            });
        }
    }
    let Some(ToCopy { store, view }) = to_copy else {
        return;
    };
    let from = view.as_ref().map_or(&open.old_root, View::root);
    let room = preserve::room(store, wanted.proc);
    let paths = planner::to_copy(facts, decisions, wanted.options);
    let sizes = paths.iter().map(|one| preserve::measure(from, &one.path.0));
    let sizes = sizes.collect();
    if let Some(copied) = facts.machine.as_mut().and_then(|it| it.copied.as_mut()) {
        copied.room = room;
        copied.sizes = sizes;
    }
}
