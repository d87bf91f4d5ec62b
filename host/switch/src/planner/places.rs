//! What becomes of /dev, /proc, /sys and /run. A place of the new root that is a symbolic link
//! counts as what it leads to: all rules that hold for the place hold for that.

use switch_root_core::escape;
use switch_root_core::outcome::Message;
use switch_root_core::path::is_at_or_below;
use switch_root_core::plan::{Move, MoveAction, Run};

use super::facts::{Init, Machine, Place, State};
use super::options::Options;
use crate::mounts::Mount;

switch_root_core::outcomes! {
    /// Why the mounts of the initramfs cannot be moved to the new root.
    pub enum Unfit in "new-root" {
        /// A mount cannot be moved into itself.
        "SR-N10" Below { path: String, point: &'static str } = "the new root {path} lies below {point}, which is moved into it; mount it elsewhere, such as on /sysroot",
        /// `/dev`, `/proc`, `/sys` or `/run` of the new root is a symbolic link to a directory that
        /// holds the init, or what starts it.
        "SR-N11" Hides { point: &'static str, target: String, init: String } = "{point} of the new root leads to {target}, and mounted there it would hide the init {init}; put the init elsewhere, or make {point} a directory in the image",
    }
}

switch_root_core::outcomes! {
    /// What becomes of a mount that the new root has no place for.
    pub enum NoPlace in "lacking-places" {
        /// Init mounts its own, or does without. The reason is one of the next.
        "SR-N70" Detached { path: String, lacks: String, point: &'static str } = "the new root {path} {lacks}: what is mounted on {point} is detached; make the directory in its image",
        "SR-N71" Stays { path: String, lacks: String, point: &'static str } = "the new root {path} {lacks}: what is mounted on {point} stays in the initramfs; make the directory in its image",
    }
}

switch_root_core::outcomes! {
    /// What the new root lacks: half a sentence about it.
    pub enum Lacks in "lacking-places" {
        /// Make the directory in the image. One that can be written to is given a `/run` where the
        /// initramfs has one mounted or a policy keeps something, and not for the report alone.
        "SR-N74" Directory { point: &'static str } = "is read-only and has no directory {point}",
        "SR-N75" Run = "has no directory /run",
        /// The initramfs has no `/run` mounted, and a tmpfs would hide what the new root has there.
        /// Mount a tmpfs on `/run` of the initramfs to have a report.
        "SR-N76" UsedRun = "has something in its own /run",
        /// Nothing can be made or mounted there.
        "SR-N77" ReadOnlyRun = "has a read-only mount on /run",
        "SR-N78" FileRun = "has a /run that is not a directory",
        "SR-N79" InitInRun = "has its init where /run leads",
        /// What is mounted on `/run` is read-only, is full, or has something else where
        /// `/run/switch-root` is to be made: a file, a link, a mount. Mount a tmpfs on `/run`, and leave
        /// that name to this program.
        "SR-N87" ClosedRun { why: &'static str } = "has a /run {why}",
        /// The kernel's own words stand in the brackets.
        "SR-N88" UnknownRun { error: std::io::Error } = "has a /run that cannot be examined ({error})",
        /// One of the two would cover the other, so that the link is not followed. Let it lead
        /// elsewhere.
        "SR-N80" Covered { point: &'static str, target: String, other: &'static str } = "has a {point} that leads to {target}, and {other} of the initramfs is mounted there",
    }
}

switch_root_core::outcomes! {
    /// Why nothing is carried to a place, as half a sentence.
    pub enum Barred in "carried-paths" {
        /// Choose another target.
        "SR-V18" Into { target: String, point: &'static str } = "nothing is carried into {target}, where {point} of the new root leads",
        "SR-V19" Leads { path: String, point: &'static str } = "{path} of the new root leads to {point}",
    }
}

/// Where the report and what is kept go.
pub struct RunPlace {
    /// Where /run comes from.
    pub run: Run,
    /// Where it leads in the new root, if it is a link.
    pub leads_to: Option<Vec<u8>>,
    /// Why nothing can be put there, half a sentence with the new root as its subject.
    pub lacks: Option<Message>,
}

/// What depends on a place for /run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing but the report.
    Nothing,
    /// What policies keep, and all of it is bound in the new root as well.
    Bound,
    /// Something that policies keep and that is found nowhere else.
    Unbound,
}

/// Says what becomes of /dev, /proc, /sys and /run of the initramfs. Returns what cannot be as
/// it should, too.
///
/// # Errors
/// A mount that would hide the init, or has something in its way: a sentence for the
/// operator.
pub fn moves(machine: &Machine, options: &Options) -> Result<(Vec<Move>, Vec<NoPlace>), Message> {
    if options.mounts_stay {
        return Ok(Default::default());
    }
    let Machine {
        mounts,
        new_root,
        init,
        places,
        others,
        ..
    } = machine;
    let alone = others.alone();
    let shown = escape::path(&new_root.path);
    let (mut moves, mut warnings) = (Vec::new(), Vec::new());
    let mounted: Vec<&Place> = places
        .iter()
        .filter(|place| is_mounted(mounts, place.point))
        .collect();
    for place in &mounted {
        let point = place.point;
        if is_at_or_below(&new_root.path, point.as_bytes()) {
            Err(Unfit::Below {
                path: shown.clone(),
                point,
            })?;
        }
        let (action, reason) = match &place.state {
            State::Free { .. } => match covered(place, &mounted) {
                Some(reason) => (MoveAction::Detach, Some(reason.into())),
                None => {
                    refuse_to_hide(place, init)?;
                    (MoveAction::Move, None)
                }
            },
            State::Taken { .. } => (MoveAction::Detach, None),
            State::Missing if new_root.read_only => {
                (MoveAction::Detach, Some(Lacks::Directory { point }.into()))
            }
            State::Missing => (MoveAction::MakeAndMove, None),
            State::Nowhere(reason) => (MoveAction::Detach, Some(reason.clone())),
            State::Unusable(reason) => return Err(reason.clone()),
        };
        let reason: Option<Message> = reason;
        if let Some(reason) = &reason {
            let (path, lacks) = (shown.clone(), reason.text.clone());
            warnings.push(match alone {
                true => NoPlace::Detached { path, lacks, point },
                false => NoPlace::Stays { path, lacks, point },
            });
        }
        moves.push(Move {
            path: point.as_bytes().into(),
            action,
            leads_to: place.leads_to.as_ref().map(|path| path.as_slice().into()),
            code: reason.as_ref().and_then(|reason| reason.code),
            reason: reason.map(|reason| reason.text),
        });
    }
    Ok((moves, warnings))
}

/// Where the report and what is kept go, after these moves.
pub fn run(machine: &Machine, moves: &[Move], kept: Kept) -> RunPlace {
    let Machine {
        new_root,
        init,
        places,
        closed_run,
        ..
    } = machine;
    let leads_to = places.last().and_then(|place| place.leads_to.clone());
    let found = |run, lacks| RunPlace {
        run,
        leads_to: leads_to.clone(),
        lacks,
    };
    let absent = |reason: Message| found(Run::Absent, Some(reason));
    let there = || match closed_run {
        Some(reason) => absent(reason.clone()),
        None => found(Run::There, None),
    };
    let moved = moves.iter().find(|step| step.path.0 == b"/run");
    match moved.map(|step| (step.action, step.why())) {
        Some((MoveAction::Move | MoveAction::MakeAndMove, _)) => {
            return there();
        }
        Some((MoveAction::Detach, Some(reason))) => return absent(reason),
        _ => {}
    }
    let Some(place) = places.last() else {
        return found(Run::Absent, None);
    };
    let mounted: Vec<&Place> = places
        .iter()
        .filter(|place| {
            moves
                .iter()
                .any(|step| step.path.0 == place.point.as_bytes())
        })
        .collect();
    match &place.state {
        State::Taken { read_only: true } => absent(Lacks::ReadOnlyRun.into()),
        State::Taken { .. } => there(),
        // A tmpfs would hide what is there.
        State::Free { empty: false } => absent(Lacks::UsedRun.into()),
        State::Free { .. } => match covered(place, &mounted) {
            Some(reason) => absent(reason.into()),
            None if refuse_to_hide(place, init).is_err() => absent(Lacks::InitInRun.into()),
            None => found(Run::Mount, None),
        },
        State::Missing if new_root.read_only => absent(Lacks::Directory { point: "/run" }.into()),
        // Nothing is made on a disk for the sake of the report.
        State::Missing if kept == Kept::Nothing => absent(Lacks::Run.into()),
        State::Missing => found(Run::MakeAndMount, None),
        State::Nowhere(reason) => absent(reason.clone()),
        State::Unusable(_) => absent(Lacks::FileRun.into()),
    }
}

/// Holds the place of something that a policy carries against the rules for those that
/// are links. `identity` is what is there, if something is.
///
/// # Errors
/// The rule that it breaks.
pub fn check_carry(
    places: &[Place],
    real: &[u8],
    identity: Option<(u64, u64)>,
) -> Result<(), Barred> {
    for place in places {
        let point = place.point;
        if let Some(to) = &place.leads_to
            && is_at_or_below(real, to)
        {
            let target = escape::path(to);
            return Err(Barred::Into { target, point });
        }
        if identity.is_some_and(|identity| place.trail.contains(&identity)) {
            let path = escape::path(real);
            return Err(Barred::Leads { path, point });
        }
    }
    Ok(())
}

/// Why a link leads where it would cover, or be covered by, another mount that is moved:
/// half a sentence. Of two links the first one counts.
fn covered(place: &Place, mounted: &[&Place]) -> Option<Lacks> {
    let to = place.leads_to.as_ref()?;
    let before = mounted
        .iter()
        .take_while(|other| other.point != place.point);
    let plain = mounted.iter().filter(|other| other.leads_to.is_none());
    let other = plain.chain(before).find(|other| {
        // Where the new root has its own mount, the link was followed into that.
        let used = matches!(other.state, State::Free { .. } | State::Missing);
        let path = real(other);
        used && (is_at_or_below(to, path) || is_at_or_below(path, to))
    })?;
    Some(Lacks::Covered {
        point: place.point,
        target: escape::path(to),
        other: other.point,
    })
}

/// Where it is in the new root.
fn real(place: &Place) -> &[u8] {
    place.leads_to.as_deref().unwrap_or(place.point.as_bytes())
}

/// Refuses where what is mounted here would hide the init, or what starts it. One that
/// is no link has been looked at together with the init.
fn refuse_to_hide(place: &Place, init: &Init) -> Result<(), Unfit> {
    let Some(to) = &place.leads_to else {
        return Ok(());
    };
    let hides = init.trail.contains(&place.identity)
        || init.paths.iter().any(|path| is_at_or_below(path, to));
    if !hides {
        return Ok(());
    }
    Err(Unfit::Hides {
        point: place.point,
        target: escape::path(to),
        init: escape::path(&init.paths[0]),
    })
}

fn is_mounted(mounts: &[Mount], point: &str) -> bool {
    mounts.iter().any(|mount| mount.point == point.as_bytes())
}
