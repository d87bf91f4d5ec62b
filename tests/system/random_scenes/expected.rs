//! What must become of a scene, by the rules of the contract and of the README: a model
//! that knows the tree and the policies' answers, and nothing of the program.

use std::collections::{BTreeMap, BTreeSet};

use switch_root_tests::names::{escape, unescape};
use switch_root_tests::snapshot::Tree;

use super::random::{self, Answer, Kind, OnFailure, Placed, Spec, TARGETS, policy_name};

/// What must become of a scene. Paths are escaped.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// A policy fails without which the machine must not switch.
    pub refused: bool,
    /// A policy fails, so that nothing is deleted.
    pub skipped: bool,
    /// The policies that fail.
    pub failed: BTreeSet<String>,
    /// What survives.
    pub survivors: BTreeMap<String, Survivor>,
    /// Mounts that go to where survivors are.
    pub kept_mounts: BTreeSet<String>,
    /// Mounts that go away.
    pub detached_mounts: BTreeSet<String>,
    /// What is left of the initramfs.
    pub left: BTreeSet<String>,
    /// What is deleted and is no directory, and what is one.
    pub deleted: (u64, u64),
    /// Each tmpfs of the initramfs: its number and whether it is kept.
    pub seen: BTreeMap<usize, (String, bool)>,
    /// Whether something of the initramfs is bound into the new root.
    pub shared: bool,
}

/// One path that survives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survivor {
    /// By whose word.
    pub by: BTreeSet<String>,
    /// Where it is bound.
    pub carried_to: Option<String>,
    /// Whether it is a directory.
    pub directory: bool,
}

/// The mounts that go with the new root, whatever the policies say.
const MOVED: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/sysroot"];

/// What a node of the tree is to the host.
struct World<'a> {
    /// Kinds by path.
    kinds: BTreeMap<Vec<u8>, &'a str>,
    placed: &'a [Placed<'a>],
}

/// A claim: a path, and where it is carried to.
type Claim = (Vec<u8>, Option<usize>);

impl World<'_> {
    /// Whether there is a directory, or one is mounted there.
    fn is_directory(&self, path: &[u8]) -> bool {
        match self.kinds.get(path) {
            Some(&"directory") => true,
            Some(&"mount") => !self
                .placed
                .iter()
                .any(|node| node.path == path && matches!(node.kind, Kind::BindFile(_))),
            _ => false,
        }
    }

    /// The claims of a policy, level by level; nothing where it fails.
    fn claims(&self, answers: &BTreeMap<Vec<u8>, Answer>) -> Option<Vec<Claim>> {
        let mut claims = Vec::new();
        let mut level = BTreeSet::from([Vec::new()]);
        while !level.is_empty() {
            let mut next = BTreeSet::new();
            for directory in level {
                let inside = self.kinds.iter().filter(|(path, _)| {
                    let cut = path.iter().rposition(|byte| *byte == b'/');
                    cut.is_some_and(|cut| path[..cut] == directory)
                });
                for (path, kind) in inside {
                    match answers.get(path).unwrap_or(&Answer::Delete) {
                        Answer::Delete => {}
                        Answer::Keep => claims.push((path.clone(), None)),
                        Answer::Error => return None,
                        Answer::Carry(target) if *target >= TARGETS.len() - 2 => return None,
                        Answer::Carry(target) => claims.push((path.clone(), Some(*target))),
                        Answer::Descend => match *kind {
                            "directory" => drop(next.insert(path.clone())),
                            "mount" => {}
                            _ => return None,
                        },
                    }
                }
            }
            level = next;
        }
        Some(claims)
    }
}

/// Whether something of this kind can be bound at a place of the new root.
fn has_place(target: &str, directory: bool) -> bool {
    match target {
        "/etc/file" => !directory,
        "/opt/directory" => directory,
        "/opt/link" | "/no/such/folder" => false,
        _ => true,
    }
}

/// Where a place of the new root really is.
pub fn real(target: &str) -> String {
    target.replace("/opt/link/", "/opt/other/")
}

fn one_within_the_other(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    at_or_below(one, other) || at_or_below(other, one)
}

fn at_or_below(path: &[u8], ancestor: &[u8]) -> bool {
    let rest = path.strip_prefix(ancestor);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// What must become of a scene whose initramfs holds `before`.
pub fn of(spec: &Spec, before: &Tree) -> Expected {
    let placed = random::placed(spec);
    let world = World {
        kinds: before
            .iter()
            .map(|(path, entry)| (unescape(path), entry.kind.as_str()))
            .collect(),
        placed: &placed,
    };
    let mut expected = Expected::default();
    let mut survivors: BTreeMap<Vec<u8>, Survivor> = BTreeMap::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for (index, policy) in spec.policies.iter().enumerate() {
        let answers = random::answers(policy, &placed).into_iter().collect();
        let name = policy_name(index);
        let Some(claims) = world.claims(&answers) else {
            expected.refused |= policy.on_failure == OnFailure::Refuse;
            expected.skipped |= policy.on_failure == OnFailure::Safe;
            expected.failed.insert(name);
            continue;
        };
        for (path, target) in claims {
            let directory = world.is_directory(&path);
            let link = world.kinds.get(&path) == Some(&"symlink");
            let survivor = survivors.entry(path).or_default();
            survivor.directory = directory;
            survivor.by.insert(name.clone());
            let Some(target) = target.map(|target| TARGETS[target]) else {
                continue;
            };
            if survivor.carried_to.is_none()
                && !link
                && has_place(target, directory)
                && !taken
                    .iter()
                    .any(|other| one_within_the_other(&real(target), other))
            {
                taken.insert(real(target));
                survivor.carried_to = Some(target.into());
            }
        }
    }
    let mounts: Vec<&Placed> = placed
        .iter()
        .filter(|node| matches!(node.kind, Kind::Mount | Kind::Bind(_) | Kind::BindFile(_)))
        .collect();
    let shared = random::shared(spec, &placed);
    expected.shared = shared.is_some();
    // What goes on using the initramfs survives, and mounts on it with it, which may use
    // more of it.
    let mut in_use: BTreeSet<Vec<u8>> = shared.into_iter().collect();
    let kept = loop {
        let stays = |mount: &&&Placed| {
            let by = survivors.keys().chain(&in_use);
            expected.skipped || by.into_iter().any(|path| at_or_below(&mount.path, path))
        };
        let kept: Vec<_> = mounts.iter().filter(stays).collect();
        let before = in_use.len();
        let used: Vec<_> = kept.iter().filter_map(|mount| mount.from.clone()).collect();
        in_use.extend(used);
        if in_use.len() == before {
            break kept;
        }
    };
    expected.kept_mounts = kept.iter().map(|mount| escape(&mount.path)).collect();
    for path in in_use {
        let survivor = survivors.entry(path.clone()).or_default();
        survivor.directory = world.is_directory(&path);
        survivor.by.insert("host".into());
    }
    for mount in &mounts {
        let path = escape(&mount.path);
        if !expected.kept_mounts.contains(&path) {
            expected.detached_mounts.insert(path);
        }
    }
    for (index, node) in placed.iter().enumerate() {
        if matches!(node.kind, Kind::Mount) {
            let path = escape(&node.path);
            let kept = expected.kept_mounts.contains(&path);
            expected.seen.insert(index, (path, kept));
        }
    }
    for path in world.kinds.keys() {
        let stays = survivors
            .keys()
            .any(|survivor| at_or_below(path, survivor) || at_or_below(survivor, path));
        let shown = escape(path);
        if stays || expected.skipped {
            expected.left.insert(shown);
        } else if world.is_directory(path) || MOVED.contains(&shown.as_str()) {
            expected.deleted.1 += 1;
        } else {
            expected.deleted.0 += 1;
        }
    }
    expected.survivors = survivors
        .into_iter()
        .map(|(path, survivor)| (escape(&path), survivor))
        .collect();
    expected
}
