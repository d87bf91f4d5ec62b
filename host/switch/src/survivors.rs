//! What survives, and why: the claims of the policies, and what the host keeps.

use std::collections::BTreeMap;

use policy::FileKind;
use policy::preservation::Review;
use policy::session::Session;
use rustix::fs::{self, AtFlags};

use crate::in_use::InUse;
use crate::init::Init;
use crate::new_root::NewRoot;
use crate::plan::{Carry, Survivor};
use crate::proc::Proc;
use crate::text::Path;
use crate::{carry, listing};

/// The name under which the host itself keeps something.
const HOST: &str = "host";

/// Joins what policies and host keep, by path.
pub fn join(
    review: &Review,
    in_use: &[InUse],
    session: &Session<'_>,
    new_root: &NewRoot,
    init: &Init,
    proc: &Proc,
) -> Vec<Survivor> {
    let mut survivors: BTreeMap<&[u8], Survivor> = BTreeMap::new();
    let mut taken: BTreeMap<Vec<u8>, &[u8]> = BTreeMap::new();
    for claim in &review.claims {
        let policy = session.policies()[claim.policy].name.clone();
        let survivor = survivors.entry(&claim.path).or_insert_with(|| Survivor {
            path: claim.path.as_slice().into(),
            kind: claim.kind,
            by: Vec::new(),
            carried_to: None,
            note: None,
        });
        survivor.by.push(policy);
        let Some(target) = &claim.target else {
            continue;
        };
        let placed: Result<Carry, String> = match (&survivor.carried_to, taken.get(target)) {
            (Some(first), _) if first.target.0 == *target => continue,
            (Some(first), _) => Err(format!("it is bound at {} already", first.target)),
            (None, Some(other)) => Err(format!("{} is bound there already", Path::from(*other))),
            (None, None) => carry::place(new_root, target, claim.kind, init, proc),
        };
        match placed {
            Ok(carry) => {
                taken.insert(target.clone(), &claim.path);
                survivor.carried_to = Some(carry);
            }
            Err(reason) => {
                let note = format!("not bound at {}: {reason}", Path::from(target.as_slice()));
                survivor.note.get_or_insert(note);
            }
        }
    }
    let unlisted = review
        .unlisted
        .iter()
        .map(|(path, _)| (path.as_slice(), "it could not be listed".to_owned()));
    let used = in_use
        .iter()
        .map(|used| (used.path.as_slice(), used.why.clone()));
    for (path, why) in used.chain(unlisted) {
        let survivor = survivors.entry(path).or_insert_with(|| Survivor {
            path: path.into(),
            kind: kind_of(path),
            by: Vec::new(),
            carried_to: None,
            note: None,
        });
        if !survivor.by.iter().any(|by| by == HOST) {
            survivor.by.push(HOST.into());
        }
        survivor.note.get_or_insert(why);
    }
    survivors.into_values().collect()
}

fn kind_of(path: &[u8]) -> FileKind {
    fs::statat(fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .map_or(FileKind::Directory, |stat| listing::kind(stat.st_mode))
}
