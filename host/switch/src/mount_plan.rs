//! What becomes of the mounts that the initramfs has: which go with the new
//! root, which a policy keeps, and which are detached.

use policy::answer::is_at_or_below;
use policy::consequence::Deletion;
use policy::survivors::Survivor;
use policy::text::Path;

use crate::arguments::StrategyChoice;
use crate::in_use;
use crate::mounts::{self, Mount};
use crate::new_root::NewRoot;
use crate::plan::{Move, MoveAction, Run, Strategy};
use crate::preserved::is_by_policy;

/// Mounts that do not go with the new root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Kept, without those that go with another one of them.
    pub kept: Vec<Path>,
    /// Detached, what is mounted on another one before it.
    pub detached: Vec<Path>,
    /// What cannot be as it was wanted.
    pub warnings: Vec<String>,
}

/// Sorts the mounts that do not go with the new root. Where nothing is deleted,
/// nothing is detached either: what a mount holds would be gone with it.
pub fn foreign(
    mounts: &[Mount],
    root: &Mount,
    new_root: &NewRoot,
    survivors: &[Survivor],
    deletion: &Deletion,
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
            found.warnings.push(format!(
                "the mount on {} is to be kept, but {why}: it is detached",
                Path::from(point)
            ));
        }
        found.detached.push(point.into());
    }
    found.detached.reverse();
    found
}

/// How to switch.
///
/// # Errors
/// A sentence for the operator, where what was asked for cannot be.
pub fn strategy(
    choice: StrategyChoice,
    root: &Mount,
    run: Run,
    kept: &[Path],
    staying: &[Path],
) -> Result<Strategy, String> {
    // The root of the whole tree has no mount below it that pivot_root(2)
    // could leave it on.
    let can_pivot = root.parent != root.id;
    match choice {
        StrategyChoice::Move => Ok(Strategy::Move),
        StrategyChoice::Auto if !staying.is_empty() => Ok(Strategy::Move),
        StrategyChoice::Pivot if !staying.is_empty() => Err(format!(
            "--strategy pivot: that would detach the mount on {}, and run-init detaches none; use --strategy auto",
            staying[0]
        )),
        // Without a place for kept mounts they stay where they are, which is
        // what pivoting takes away.
        StrategyChoice::Auto if can_pivot && (run != Run::Absent || kept.is_empty()) => Ok(Strategy::Pivot),
        StrategyChoice::Auto => Ok(Strategy::Move),
        StrategyChoice::Pivot if can_pivot => Ok(Strategy::Pivot),
        StrategyChoice::Pivot => Err("--strategy pivot: this kernel's / is the root of all mounts, which cannot be pivoted away (Linux 7.0 and newer can); use --strategy auto".into()),
    }
}

/// The mounts that stay in the initramfs where the program is called `run-init`, which neither
/// moves nor detaches any: all but the initramfs, and the new root with what is below it.
pub fn staying(mounts: &[Mount], root: &Mount, new_root: &NewRoot) -> Vec<Path> {
    let mut points: Vec<Path> = mounts
        .iter()
        .filter(|mount| mount.id != root.id && !mounts::within(mount, &new_root.path))
        .map(|mount| mount.point.as_slice().into())
        .collect();
    points.sort();
    points.dedup();
    points
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
