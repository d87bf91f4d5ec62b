//! What survives of this machine's initramfs: what the policies claim, what is in use,
//! and what could not be looked at.

use policy::preservation::{self, Review};
use policy::session::Session;
use switch_root_core::file_kind::FileKind;
use switch_root_core::preserved::{Kept, Survivor};

use crate::carry;
use crate::in_use::InUse;
use crate::init::Init;
use crate::initramfs::Initramfs;
use crate::new_root::NewRoot;
use crate::places::Places;
use crate::proc::Proc;

/// Joins what policies and host keep, by path.
pub fn join(
    review: &Review,
    in_use: &[InUse],
    initramfs: &Initramfs<'_>,
    session: &Session<'_>,
    (new_root, places): (&NewRoot, &Places),
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
            // What cannot be examined is kept whole.
            kind: initramfs.kind(path).unwrap_or(FileKind::Directory),
            why,
        })
        .collect();
    preservation::survivors(review, &kept, session, |target, kind| {
        carry::place(new_root, places, target, kind, init, proc)
    })
}
