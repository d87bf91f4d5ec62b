//! What becomes of the mounts that the initramfs has: which go with the new
//! root, which a policy keeps, and which are detached.

use std::collections::BTreeSet;

use switch_root_core::outcome::Message;
use switch_root_core::path::{Path, is_at_or_below};
use switch_root_core::plan::{Deletion, Move, MoveAction, Run, Strategy};
use switch_root_core::preserved::{Survivor, is_by_policy};

use super::facts::NewRoot;
use super::in_use;
use super::options::{Options, StrategyChoice};
use crate::mounts::{self, Mount};

switch_root_core::outcomes! {
    /// That a mount cannot be kept.
    pub enum Unkept in "lacking-places" {
        /// Another mount covers it, or the new root is mounted below it. A policy keeps a path with a
        /// mount on it that cannot be moved with the new root. Unmount what covers it, or mount the
        /// new root elsewhere.
        "SR-N73" Because { point: Path, why: &'static str, what: &'static str } = "the mount on {point} is to be kept, but {why}: it {what}",
    }
}

switch_root_core::outcomes! {
    /// Why there is no pivoting.
    #[derive(PartialEq, Eq)]
    pub enum NoPivot in "start" {
        /// Called `run-init`, all mounts stay where they are, as with klibc's. Move or unmount them
        /// before, or call the program `switch_root`.
        "SR-A34" Detaches { point: Path } = "--strategy pivot: that would detach the mount on {point}, and run-init detaches none; use --strategy auto",
        /// Older kernels can only move.
        "SR-A35" RootOfAll = "--strategy pivot: this kernel's / is the root of all mounts, which cannot be pivoted away (Linux 7.0 and newer can); use --strategy auto",
    }
}

/// Mounts that do not go with the new root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Left where they are.
    pub staying: Vec<Path>,
    /// Kept, without those that go with another one of them.
    pub kept: Vec<Path>,
    /// Detached, what is mounted on another one before it.
    pub detached: Vec<Path>,
    /// What cannot be as it was wanted.
    pub warnings: Vec<Message>,
}

/// Sorts the mounts that do not go with the new root. Where nothing is deleted,
/// nothing is detached either: what a mount holds would be gone with it. Those of the numbers
/// `stay` stay where they are.
pub fn foreign(
    mounts: &[Mount],
    root: &Mount,
    new_root: &NewRoot,
    survivors: &[Survivor],
    deletion: &Deletion,
    stay: &BTreeSet<u64>,
) -> Foreign {
    let mut found = Foreign::default();
    let mut foreign: Vec<&Mount> = mounts
        .iter()
        .filter(|mount| {
            mount.id != root.id
                && mount.point != b"/"
                && !in_use::outlives(mount, mounts, &new_root.path, new_root.mount_id)
        })
        .collect();
    foreign.sort_by_key(|mount| mounts::depth(mounts, mount));
    for mount in foreign {
        let point = mount.point.as_slice();
        let stays = stay.contains(&mount.id);
        if stays {
            found.staying.push(point.into());
        }
        if found
            .kept
            .iter()
            .any(|above| is_at_or_below(point, &above.0))
        {
            // Goes with the mount that it is mounted on.
            continue;
        }
        let kept = survivors.iter().any(|survivor| {
            let path = survivor.path.0.as_slice();
            // What is in use is the directory below the mount.
            is_at_or_below(point, path) && (point != path || is_by_policy(survivor))
        });
        let wanted = kept || matches!(deletion, Deletion::Skip(_));
        let covered = mounts::top(mounts, point).is_some_and(|top| top.id != mount.id);
        let holds_new_root = is_at_or_below(&new_root.path, point);
        if wanted && !holds_new_root && !covered {
            found.kept.push(point.into());
            continue;
        }
        if wanted {
            let why = if covered {
                "another one covers it"
            } else {
                "the new root is mounted below it"
            };
            let what = if stays {
                "stays in the initramfs"
            } else {
                "is detached"
            };
            let point = point.into();
            found
                .warnings
                .push(Unkept::Because { point, why, what }.into());
        }
        if !stays {
            found.detached.push(point.into());
        }
    }
    found.detached.reverse();
    found
}

/// How to switch; `alone` is whether no other process lives in the initramfs.
///
/// # Errors
/// A sentence for the operator, where what was asked for cannot be.
pub fn strategy(
    options: &Options,
    root: &Mount,
    run: Run,
    kept: &[Path],
    staying: &[Path],
    alone: bool,
) -> Result<Strategy, NoPivot> {
    // The root of the whole tree has no mount below it that pivot_root(2)
    // could leave it on.
    let can_pivot = root.parent != root.id;
    if options.strategy == StrategyChoice::Pivot {
        match staying.first() {
            Some(point) if options.mounts_stay => {
                let point = point.clone();
                return Err(NoPivot::Detaches { point });
            }
            _ if can_pivot => {}
            _ => return Err(NoPivot::RootOfAll),
        }
    }
    // Pivoting detaches what stays, and takes their root directory from others.
    if !staying.is_empty() || !alone {
        return Ok(Strategy::Move);
    }
    // Without a place for kept mounts they stay where they are, which is
    // what pivoting takes away.
    let pivot = can_pivot && (run != Run::Absent || kept.is_empty());
    Ok(match options.strategy {
        StrategyChoice::Auto if pivot => Strategy::Pivot,
        StrategyChoice::Auto | StrategyChoice::Move => Strategy::Move,
        StrategyChoice::Pivot => Strategy::Pivot,
    })
}

/// The mounts that stay in the initramfs where the program is called `run-init`, which neither
/// moves nor detaches any: all but the initramfs, and the new root with what is below it.
pub fn all_stay<'m>(mounts: &'m [Mount], root: &Mount, new_root: &NewRoot) -> Vec<&'m Mount> {
    let stays = |mount: &&Mount| mount.id != root.id && !mounts::within(mount, &new_root.path);
    mounts.iter().filter(stays).collect()
}

/// Where mounts are, each place once.
pub fn points(mounts: &[&Mount]) -> Vec<Path> {
    let mut points: Vec<Path> = mounts
        .iter()
        .map(|mount| mount.point.as_slice().into())
        .collect();
    points.sort();
    points.dedup();
    points
}

/// Leaves to processes that live on what every system has: it is bound in the new root, and
/// stays where it is, too.
pub fn bind(moves: &mut [Move], staying: &mut Vec<Path>) {
    for step in moves {
        step.action = match step.action {
            MoveAction::Move => MoveAction::Bind,
            MoveAction::MakeAndMove => MoveAction::MakeAndBind,
            MoveAction::Detach => MoveAction::Leave,
            other => other,
        };
        staying.push(step.path.clone());
    }
}

/// The mounts that are made private first, out of those that are shared: a mount
/// below a shared one cannot be moved, and detaching one below a shared one
/// detaches it from the peers too, such as a copy in the new root.
pub fn make_private(
    mounts: &[Mount],
    root: &Mount,
    new_root: &NewRoot,
    moves: &[Move],
    staying: &[Path],
) -> Vec<Path> {
    let new_root_mount = mounts.iter().find(|mount| mount.id == new_root.mount_id);
    let parent = new_root_mount.map(|mount| mount.parent);
    let concerned = |mount: &&Mount| {
        let detached = moves
            .iter()
            .any(|step| step.action == MoveAction::Detach && mounts::within(mount, &step.path.0));
        let stays = in_use::outlives(mount, mounts, &new_root.path, new_root.mount_id)
            || staying.iter().any(|point| point.0 == mount.point);
        mount.id == root.id
            || mount.id == new_root.mount_id
            || Some(mount.id) == parent
            || detached
            || !stays
    };
    let mut points: Vec<Path> = Vec::new();
    for mount in mounts.iter().filter(|mount| mount.shared).filter(concerned) {
        let point = Path::from(mount.point.as_slice());
        if !points.contains(&point) {
            points.push(point);
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pivot_is_refused_where_it_was_whoever_else_lives() {
        let mounts = mounts::parse(
            b"1 1 0:2 / / rw - rootfs none rw\n\
              2 1 0:3 / / rw - tmpfs none rw\n",
        )
        .unwrap();
        let [rootfs, nested] = &mounts[..] else {
            unreachable!()
        };
        let strategy = |mounts_stay, root, staying: &[Path], alone| {
            let options = Options {
                mounts_stay,
                strategy: StrategyChoice::Pivot,
                ..Options::default()
            };
            super::strategy(&options, root, Run::There, &[], staying, alone)
        };
        let staying = [Path::from(&b"/mnt"[..])];
        for alone in [true, false] {
            assert!(strategy(false, rootfs, &[], alone).is_err());
            assert!(strategy(true, nested, &staying, alone).is_err());
        }
        let moves = Ok(Strategy::Move);
        assert_eq!(strategy(false, nested, &[], true), Ok(Strategy::Pivot));
        assert_eq!(strategy(false, nested, &[], false), moves);
        assert_eq!(strategy(false, nested, &staying, false), moves);
    }
}
