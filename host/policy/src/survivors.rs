//! What survives, and why: the claims of the policies, and what the host keeps.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::bindings::types::FileKind;
use crate::preservation::Review;
use crate::session::Session;
use crate::text::Path;

/// The name under which the host itself keeps something.
pub const HOST: &str = "host";

/// One path that survives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Survivor {
    /// Its path in the initramfs.
    pub path: Path,
    /// What it is.
    #[serde(serialize_with = "kind")]
    pub kind: FileKind,
    /// By whose word it survives: names of policies, or `host`.
    pub by: Vec<String>,
    /// Where it is bound read-only in the new root.
    pub carried_to: Option<Carry>,
    /// Why it survives where no policy said so, or is not bound where one did.
    pub note: Option<String>,
}

/// Where something is bound in the new root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carry {
    /// The path in the new root.
    pub target: Path,
    /// An empty file or directory is made there first.
    pub make: bool,
}

impl Serialize for Carry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.target.serialize(serializer)
    }
}

fn kind<S: Serializer>(kind: &FileKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind_word(*kind))
}

/// What a directory entry is, as plan and report have it.
pub fn kind_word(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Regular => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::BlockDevice => "block-device",
        FileKind::CharacterDevice => "character-device",
        FileKind::Fifo => "fifo",
        FileKind::Socket => "socket",
    }
}

/// A path that survives by the host's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The path in the initramfs.
    pub path: Vec<u8>,
    /// What is there.
    pub kind: FileKind,
    /// Why it survives, as a sentence.
    pub why: String,
}

/// Joins what policies and host keep, by path.
///
/// `place` says where something that a policy carries is bound in the new root, or why
/// it cannot be; of two answers for one place the first one counts.
pub fn join(
    review: &Review,
    kept: &[Kept],
    session: &Session<'_>,
    mut place: impl FnMut(&[u8], FileKind) -> Result<Carry, String>,
) -> Vec<Survivor> {
    let mut survivors: BTreeMap<&[u8], Survivor> = BTreeMap::new();
    let mut taken: BTreeMap<Vec<u8>, &[u8]> = BTreeMap::new();
    for claim in &review.claims {
        let policy = session.policies()[claim.policy].name.clone();
        let survivor = survivors
            .entry(&claim.path)
            .or_insert_with(|| nobodys(&claim.path, claim.kind));
        survivor.by.push(policy);
        let Some(target) = &claim.target else {
            continue;
        };
        let placed: Result<Carry, String> = match (&survivor.carried_to, taken.get(target)) {
            (Some(first), _) if first.target.0 == *target => continue,
            (Some(first), _) => Err(format!("it is bound at {} already", first.target)),
            (None, Some(other)) => Err(format!("{} is bound there already", Path::from(*other))),
            (None, None) if claim.kind == FileKind::Symlink => {
                Err("a symbolic link cannot be bound".into())
            }
            (None, None) => place(target, claim.kind),
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
    for Kept { path, kind, why } in kept {
        let survivor = survivors
            .entry(path)
            .or_insert_with(|| nobodys(path, *kind));
        if !survivor.by.iter().any(|by| by == HOST) {
            survivor.by.push(HOST.into());
        }
        survivor.note.get_or_insert_with(|| why.clone());
    }
    survivors.into_values().collect()
}

fn nobodys(path: &[u8], kind: FileKind) -> Survivor {
    Survivor {
        path: path.into(),
        kind,
        by: Vec::new(),
        carried_to: None,
        note: None,
    }
}
