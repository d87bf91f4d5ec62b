//! What survives of this machine's initramfs: what the policies claim, what is in use,
//! and what could not be looked at.

use policy::FileKind;
use policy::preservation::Review;
use policy::session::Session;
use policy::survivors::{self, Kept, Survivor};
use rustix::fs::{self, AtFlags};

use crate::in_use::InUse;
use crate::init::Init;
use crate::new_root::NewRoot;
use crate::proc::Proc;
use crate::{carry, listing};

/// Joins what policies and host keep, by path.
pub fn join(
    review: &Review,
    in_use: &[InUse],
    session: &Session<'_>,
    new_root: &NewRoot,
    init: &Init,
    proc: &Proc,
) -> Vec<Survivor> {
    let used = in_use.iter().map(|used| (&used.path, used.why.clone()));
    let unlisted = review
        .unlisted
        .iter()
        .map(|(path, _)| (path, "it could not be listed".to_owned()));
    let kept: Vec<Kept> = used
        .chain(unlisted)
        .map(|(path, why)| Kept {
            path: path.clone(),
            kind: kind_of(path),
            why,
        })
        .collect();
    survivors::join(review, &kept, session, |target, kind| {
        carry::place(new_root, target, kind, init, proc)
    })
}

fn kind_of(path: &[u8]) -> FileKind {
    fs::statat(fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .map_or(FileKind::Directory, |stat| listing::kind(stat.st_mode))
}
