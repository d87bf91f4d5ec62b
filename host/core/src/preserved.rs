//! What survives, and why: the claims of the policies, and what the host keeps.

use std::collections::{BTreeMap, BTreeSet};

use crate::file_kind::FileKind;
use crate::outcome::{Code, Message};
use crate::path::{Path, is_at_or_below};
use serde::{Serialize, Serializer};

crate::outcomes! {
    /// Why what a policy carries is not bound at its target, whatever the new root has there.
    pub enum NotBound in "carried-paths" {
        /// Carry what the link leads to, to where the link leads to.
        "SR-V09" Link = "a symbolic link cannot be bound",
        /// Two policies carry the same. The first one's target counts.
        "SR-V20" Already { target: Path } = "it is bound at {target} already",
        "SR-V21" Taken { path: Path } = "{path} is bound there already",
        /// What is bound is read-only: nothing can be made within it, and what is bound above would
        /// hide it. The first one counts.
        "SR-V22" Within { path: Path, target: Path } = "{path} is bound at {target} already, and of two places one within the other only one can be used",
    }
}

/// The name under which the host itself keeps something.
pub const HOST: &str = "host";

/// One path that survives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Survivor {
    /// Its path in the initramfs.
    pub path: Path,
    /// What it is.
    #[serde(serialize_with = "as_word")]
    pub kind: FileKind,
    /// By whose word it survives: names of policies, or `host`.
    pub by: Vec<String>,
    /// Where it is bound read-only in the new root.
    pub carried_to: Option<Carry>,
    /// Why it survives where no policy said so, or is not bound where one did.
    pub note: Option<String>,
    /// The code of the note.
    pub code: Option<Code>,
}

impl Survivor {
    /// Notes something, where nothing is noted yet.
    fn note(&mut self, note: Message) {
        if self.note.is_none() {
            self.code = note.code;
            self.note = Some(note.text);
        }
    }

    /// The note with its code.
    pub fn noted(&self) -> Option<Message> {
        let (code, text) = (self.code, self.note.clone()?);
        Some(Message { code, text })
    }
}

/// Where something is bound in the new root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carry {
    /// The path in the new root.
    pub target: Path,
    /// Where that leads, as far as is known.
    pub real: Path,
    /// An empty file or directory is made there first.
    pub make: bool,
}

impl Serialize for Carry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.target.serialize(serializer)
    }
}

fn as_word<S: Serializer>(kind: &FileKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.word())
}

/// One path that a policy wants to survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The absolute path in the initramfs.
    pub path: Vec<u8>,
    /// What is there.
    pub kind: FileKind,
    /// Whether something else is mounted there.
    pub mount_point: bool,
    /// The policy, as an index into the session's.
    pub policy: usize,
    /// Where it is to be bound in the new root, if anywhere.
    pub target: Option<Vec<u8>>,
}

/// A path that survives by the host's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The path in the initramfs.
    pub path: Vec<u8>,
    /// What is there.
    pub kind: FileKind,
    /// Why it survives, as a sentence.
    pub why: Message,
}

/// Joins what policies and host keep, by path; `name` is that of a policy by its index.
///
/// `place` says where something that a policy carries is bound in the new root, or why
/// it cannot be; of two answers for one place, or for one within the other, the first one
/// counts.
pub fn join(
    claims: &[Claim],
    kept: &[Kept],
    name: impl Fn(usize) -> String,
    mut place: impl FnMut(&[u8], FileKind) -> Result<Carry, Message>,
) -> Vec<Survivor> {
    let mut survivors: BTreeMap<&[u8], Survivor> = BTreeMap::new();
    let mut taken = Taken::default();
    for claim in claims {
        let policy = name(claim.policy);
        let survivor = survivors
            .entry(&claim.path)
            .or_insert_with(|| nobodys(&claim.path, claim.kind));
        survivor.by.push(policy);
        let Some(target) = &claim.target else {
            continue;
        };
        let placed: Result<Carry, Message> = match &survivor.carried_to {
            Some(first) if first.target.0 == *target => continue,
            Some(first) => {
                let target = first.target.clone();
                Err(NotBound::Already { target }.into())
            }
            None if claim.kind == FileKind::Symlink => Err(NotBound::Link.into()),
            None => place(target, claim.kind).and_then(|carry| {
                taken.take(&carry, &claim.path)?;
                Ok(carry)
            }),
        };
        match placed {
            Ok(carry) => survivor.carried_to = Some(carry),
            Err(reason) => {
                let target = Path::from(target.as_slice());
                survivor.note(reason.reworded(|why| format!("not bound at {target}: {why}")));
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
        survivor.note(why.clone());
    }
    survivors.into_values().collect()
}

/// The places of the new root that something is bound at, and what.
#[derive(Default)]
struct Taken<'a>(BTreeMap<Vec<u8>, &'a [u8]>);

impl<'a> Taken<'a> {
    /// Takes a place for something, unless what is bound would hide something else that
    /// is, or could not be made within it: survivors are read-only.
    fn take(&mut self, carry: &Carry, path: &'a [u8]) -> Result<(), NotBound> {
        let place = &carry.real.0;
        if let Some(other) = self.0.get(place) {
            let path = (*other).into();
            return Err(NotBound::Taken { path });
        }
        let mut above = (1..place.len()).filter(|end| place[*end] == b'/');
        let around = above.find_map(|end| self.0.get_key_value(&place[..end]));
        let mut below = place.clone();
        below.push(b'/');
        let within = self.0.range(below.clone()..).next();
        let within = within.filter(|(taken, _)| taken.starts_with(&below));
        if let Some((taken, other)) = around.or(within) {
            return Err(NotBound::Within {
                path: (*other).into(),
                target: taken.as_slice().into(),
            });
        }
        self.0.insert(place.clone(), path);
        Ok(())
    }
}

fn nobodys(path: &[u8], kind: FileKind) -> Survivor {
    Survivor {
        path: path.into(),
        kind,
        by: Vec::new(),
        carried_to: None,
        note: None,
        code: None,
    }
}

/// What policies keep: these paths, without those within another one of them.
pub fn by_policies(survivors: &[Survivor]) -> Vec<&Path> {
    let all: BTreeSet<&[u8]> = survivors
        .iter()
        .filter(|survivor| is_by_policy(survivor))
        .map(|survivor| survivor.path.0.as_slice())
        .collect();
    let outermost = |path: &&Path| {
        let path = path.0.as_slice();
        let mut above = (1..path.len()).filter(|end| path[*end] == b'/');
        all.contains(path) && !above.any(|end| all.contains(&path[..end]))
    };
    survivors
        .iter()
        .map(|survivor| &survivor.path)
        .filter(outermost)
        .collect()
}

/// Whether a policy keeps it, and not the host alone.
pub fn is_by_policy(survivor: &Survivor) -> bool {
    survivor.by.iter().any(|by| by != HOST)
}

/// Whether a mount of the initramfs that is kept is shown to others than root.
pub fn is_shown(point: &Path, survivors: &[Survivor]) -> bool {
    by_policies(survivors)
        .iter()
        .any(|path| is_at_or_below(&point.0, &path.0))
}

#[cfg(test)]
mod tests {
    use crate::file_kind::FileKind;

    use super::*;

    fn survivor(path: &str, by: &[&str]) -> Survivor {
        Survivor {
            path: path.as_bytes().into(),
            kind: FileKind::Directory,
            by: by.iter().map(|by| (*by).to_owned()).collect(),
            carried_to: None,
            note: None,
            code: None,
        }
    }

    #[test]
    fn what_the_host_alone_keeps_is_not_shown() {
        let survivors = [
            survivor("/", &[HOST]),
            survivor("/a", &["50-keep"]),
            survivor("/a-b", &["50-keep", HOST]),
            survivor("/a/b", &["51-keep"]),
            survivor("/layers", &[HOST]),
        ];
        let shown: Vec<String> = by_policies(&survivors)
            .into_iter()
            .map(Path::to_string)
            .collect();
        assert_eq!(shown, ["/a", "/a-b"]);
        assert!(is_shown(&b"/a/b/c"[..].into(), &survivors));
        assert!(!is_shown(&b"/layers/1"[..].into(), &survivors));
    }
}
