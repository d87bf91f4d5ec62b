//! Paths of any bytes, and what survives by them.

use std::collections::BTreeSet;

use policy::answer::check_target;
use policy::folder::embedded;
use policy::preservation::{self, Review};
use policy::session::Session;
use switch_root_core::escape;
use switch_root_core::file_kind::FileKind;
use switch_root_core::keep::Keep;
use switch_root_core::outcome::Message;
use switch_root_core::path::{is_at_or_below, join};
use switch_root_core::preserved::{Carry, Claim, Kept};

use crate::{Target, assert_shown, split};

/// Escapes, the rules for places in the new root, and the tree of what is kept.
pub const PATHS: Target = Target::new("paths", paths);
/// What the claims of several policies come to.
pub const SURVIVORS: Target = Target::new("survivors", survivors);

fn paths(data: &[u8]) {
    let shown = escape::path(data);
    assert_shown(&shown);
    assert_eq!(escape::unescape(&shown).as_deref(), Some(data));
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = escape::unescape(text);
        let message = escape::message(text, 100);
        assert_shown(&message);
        // Cut, then each byte written as four at most.
        assert!(message.len() <= 440, "{}", message.len());
    }
    let inits = [b"/usr/lib/init".to_vec()];
    if check_target(data, &inits).is_ok() {
        let names: Vec<&[u8]> = data.split(|byte| *byte == b'/').skip(1).collect();
        let joined = names
            .iter()
            .fold(b"/".to_vec(), |path, name| join(&path, name));
        assert_eq!(joined, data);
        assert!(!is_at_or_below(&inits[0], data));
        assert!(!names.iter().any(|name| matches!(*name, b"" | b"." | b"..")));
    }
    keep(data);
}

/// The tree of what is kept, beside a list of it.
fn keep(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let asked = lines.next().unwrap_or_default();
    let kept: Vec<Vec<&[u8]>> = lines.map(names).collect();
    let paths: Vec<&[u8]> = data.split(|byte| *byte == b'\n').skip(1).collect();
    let tree = Keep::new(paths.iter().copied());
    let mut node = Some(&tree);
    let asked = names(asked);
    for name in &asked {
        node = node.and_then(|node| node.child(name));
    }
    let whole = kept.iter().any(|path| asked.starts_with(path));
    let part = kept.iter().any(|path| path.starts_with(&asked));
    match node {
        Some(Keep::Whole) => assert!(whole),
        Some(Keep::Part(_)) => assert!(!whole && (part || asked.is_empty())),
        None => assert!(!whole && !part),
    }
    let reversed = Keep::new(paths.iter().rev().copied());
    assert_eq!(tree, reversed);
}

fn names(path: &[u8]) -> Vec<&[u8]> {
    let names = path.split(|byte| *byte == b'/');
    names.filter(|name| !name.is_empty()).collect()
}

/// A claim is a policy, a kind, and two texts: a path and a target.
fn survivors(data: &[u8]) {
    let policies = ["one", "two", "three"].map(|name| policy::folder::Policy {
        name: name.into(),
        ..embedded()
    });
    let session = Session::new(&policies);
    let mut review = Review::default();
    let mut kept = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some(([by, kind], rest)) = line.split_first_chunk::<2>() else {
            continue;
        };
        let kind = match kind % 3 {
            0 => FileKind::Regular,
            1 => FileKind::Directory,
            _ => FileKind::Symlink,
        };
        let [path, target] = split(rest);
        let path = join(b"/", path);
        match usize::from(*by) % 4 {
            3 => kept.push(Kept {
                path,
                kind,
                why: Message::quoted("it is in use"),
            }),
            policy => review.claims.push(Claim {
                path,
                kind,
                mount_point: false,
                policy,
                target: (!target.is_empty()).then(|| target.to_vec()),
            }),
        }
    }
    let place = |target: &[u8], _| match target.first() {
        Some(b'!') => Err(Message::quoted("there is no place")),
        _ => Ok(Carry {
            target: target.into(),
            real: target.into(),
            make: true,
        }),
    };
    let joined = preservation::survivors(&review, &kept, &session, place);
    let paths: Vec<&[u8]> = joined.iter().map(|survivor| &*survivor.path.0).collect();
    assert!(paths.is_sorted_by(|one, next| one < next), "{paths:?}");
    let claimed: BTreeSet<&[u8]> = review
        .claims
        .iter()
        .map(|claim| &*claim.path)
        .chain(kept.iter().map(|kept| &*kept.path))
        .collect();
    assert!(claimed.iter().eq(&paths));
    let mut targets = BTreeSet::new();
    for survivor in &joined {
        assert!(!survivor.by.is_empty());
        if let Some(carry) = &survivor.carried_to {
            assert!(targets.insert(&carry.real.0), "{carry:?} twice");
            let mut within = carry.real.0.clone();
            within.push(b'/');
            let hidden = joined.iter().filter_map(|other| other.carried_to.as_ref());
            assert!(
                !hidden
                    .into_iter()
                    .any(|other| other.real.0.starts_with(&within)),
                "{carry:?} hides another"
            );
            let asked = |claim: &Claim| {
                claim.path == survivor.path.0
                    && claim.target.as_ref() == Some(&carry.target.0)
                    && claim.kind != FileKind::Symlink
            };
            assert!(review.claims.iter().any(asked), "{survivor:?}");
        }
    }
}
