//! What becomes of /dev, /proc, /sys and /run. A place of the new root that is a symbolic link
//! counts as what it leads to: all rules that hold for the place hold for that.

use switch_root_core::escape;
use switch_root_core::path::is_at_or_below;
use switch_root_core::plan::{Move, MoveAction, Run};

use super::facts::{Init, Machine, Place, State};
use super::options::Options;
use crate::mounts::Mount;

/// Where the report and what is kept go.
pub struct RunPlace {
    /// Where /run comes from.
    pub run: Run,
    /// Where it leads in the new root, if it is a link.
    pub leads_to: Option<Vec<u8>>,
    /// Why nothing can be put there, half a sentence with the new root as its subject.
    pub lacks: Option<String>,
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
pub fn moves(machine: &Machine, options: &Options) -> Result<(Vec<Move>, Vec<String>), String> {
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
            return Err(format!(
                "the new root {shown} lies below {point}, which is moved into it; mount it elsewhere, such as on /sysroot"
            ));
        }
        let (action, reason) = match &place.state {
            State::Free { .. } => match covered(place, &mounted) {
                Some(reason) => (MoveAction::Detach, Some(reason)),
                None => {
                    refuse_to_hide(place, init)?;
                    (MoveAction::Move, None)
                }
            },
            State::Taken { .. } => (MoveAction::Detach, None),
            State::Missing if new_root.read_only => (
                MoveAction::Detach,
                Some(format!("is read-only and has no directory {point}")),
            ),
            State::Missing => (MoveAction::MakeAndMove, None),
            State::Nowhere(reason) => (MoveAction::Detach, Some(reason.clone())),
            State::Unusable(reason) => return Err(reason.clone()),
        };
        if let Some(reason) = &reason {
            let what = if alone {
                "is detached"
            } else {
                "stays in the initramfs"
            };
            warnings.push(format!(
                "the new root {shown} {reason}: what is mounted on {point} {what}; make the directory in its image"
            ));
        }
        moves.push(Move {
            path: point.as_bytes().into(),
            action,
            leads_to: place.leads_to.as_ref().map(|path| path.as_slice().into()),
            reason,
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
        ..
    } = machine;
    let leads_to = places.last().and_then(|place| place.leads_to.clone());
    let found = |run, lacks| RunPlace {
        run,
        leads_to: leads_to.clone(),
        lacks,
    };
    let absent = |reason: &str| found(Run::Absent, Some(reason.to_owned()));
    let moved = moves.iter().find(|step| step.path.0 == b"/run");
    match moved.map(|step| (step.action, &step.reason)) {
        Some((MoveAction::Move | MoveAction::MakeAndMove, _)) => {
            return found(Run::There, None);
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
        State::Taken { read_only: true } => absent("has a read-only mount on /run"),
        State::Taken { .. } => found(Run::There, None),
        // A tmpfs would hide what is there.
        State::Free { empty: false } => absent("has something in its own /run"),
        State::Free { .. } => match covered(place, &mounted) {
            Some(reason) => absent(&reason),
            None if refuse_to_hide(place, init).is_err() => absent("has its init where /run leads"),
            None => found(Run::Mount, None),
        },
        State::Missing if new_root.read_only => absent("is read-only and has no directory /run"),
        // Nothing is made on a disk for the sake of the report.
        State::Missing if kept == Kept::Nothing => absent("has no directory /run"),
        State::Missing => found(Run::MakeAndMount, None),
        State::Nowhere(reason) => absent(reason),
        State::Unusable(_) => absent("has a /run that is not a directory"),
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
) -> Result<(), String> {
    for place in places {
        let point = place.point;
        if let Some(to) = &place.leads_to
            && is_at_or_below(real, to)
        {
            let to = escape::path(to);
            return Err(format!(
                "nothing is carried into {to}, where {point} of the new root leads"
            ));
        }
        if identity.is_some_and(|identity| place.trail.contains(&identity)) {
            return Err(format!(
                "{} of the new root leads to {point}",
                escape::path(real)
            ));
        }
    }
    Ok(())
}

/// Why a link leads where it would cover, or be covered by, another mount that is moved:
/// half a sentence. Of two links the first one counts.
fn covered(place: &Place, mounted: &[&Place]) -> Option<String> {
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
    Some(format!(
        "has a {} that leads to {}, and {} of the initramfs is mounted there",
        place.point,
        escape::path(to),
        other.point
    ))
}

/// Where it is in the new root.
fn real(place: &Place) -> &[u8] {
    place.leads_to.as_deref().unwrap_or(place.point.as_bytes())
}

/// Refuses where what is mounted here would hide the init, or what starts it. One that
/// is no link has been looked at together with the init.
fn refuse_to_hide(place: &Place, init: &Init) -> Result<(), String> {
    let Some(to) = &place.leads_to else {
        return Ok(());
    };
    let hides = init.trail.contains(&place.identity)
        || init.paths.iter().any(|path| is_at_or_below(path, to));
    if !hides {
        return Ok(());
    }
    Err(format!(
        "{} of the new root leads to {}, and mounted there it would hide the init {}; put the init elsewhere, or make {} a directory in the image",
        place.point,
        escape::path(to),
        escape::path(&init.paths[0]),
        place.point
    ))
}

fn is_mounted(mounts: &[Mount], point: &str) -> bool {
    mounts.iter().any(|mount| mount.point == point.as_bytes())
}
