//! What scenes are made of.

use proptest::collection::vec;
use proptest::prelude::*;
use switch_root_tests::names::escape;
use switch_root_tests::scene::{NEW_ROOT, Scene};
use switch_root_tests::steps::{Content, Make, Steps};

use crate::tools::{Stop, boot, native, policy};

/// A scene, in numbers that can grow smaller one by one. Those that choose one of
/// several are taken modulo how many there are.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What the initramfs has beside the program and the policies.
    pub nodes: Vec<Node>,
    /// In their order.
    pub policies: Vec<Policy>,
    /// A directory that is bound into the new root.
    pub shared: Option<usize>,
    /// `--foreground`
    pub foreground: bool,
}

/// A node of the tree.
#[derive(Clone, Debug)]
pub struct Node {
    /// Which directory it is in: the top, or one of those before it.
    pub parent: usize,
    /// One of [`NAMES`].
    pub name: usize,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// With these permission bits.
    Directory(u32),
    /// Of this size, in bytes.
    File(u64),
    /// To the path of another node, or to nowhere.
    Symlink(Option<usize>),
    /// Of one of the files before it.
    HardLink(usize),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// Directories within each other, so many.
    Nested(u32),
    /// A tmpfs with a file in it.
    Mount,
    /// One of the directories before it, bound here.
    Bind(usize),
    /// One of the files before it, bound here.
    BindFile(usize),
}

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Nodes, and what is answered for each.
    pub answers: Vec<(usize, Answer)>,
    /// What its sidecar says of its failure.
    pub on_failure: OnFailure,
}

/// An answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// `delete`
    Delete,
    /// `keep`
    Keep,
    /// `descend`, also where there is nothing to descend into.
    Descend,
    /// `carry` to one of [`TARGETS`].
    Carry(usize),
    /// The policy fails.
    Error,
}

/// What a policy's failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing is deleted.
    Safe,
    /// As if it were not there.
    Ignore,
    /// The switch is refused.
    Refuse,
}

/// Names of all kinds. None is one of those that the scene has at the top.
pub const NAMES: [&[u8]; 16] = [
    b"a",
    b"b",
    b"c",
    b"d",
    b"etc",
    b"lib",
    b"new\nline",
    b"\xff\xfe\x80",
    b" ",
    b"-rf",
    b"...",
    b"back\\slash",
    "größe".as_bytes(),
    b"\x1b[31m",
    b"*",
    &[b'n'; 255],
];

/// Places in the new root: what is there, see [`scene`], and whether a carry to it is
/// against the rules.
pub const TARGETS: [&str; 13] = [
    "/etc/carried",
    "/etc/also-carried",
    "/srv",
    "/etc/file",
    "/opt/directory",
    "/opt/directory/in-it",
    "/opt/other/in-it",
    "/opt/link",
    "/opt/link/behind-it",
    "/no/such/folder",
    "/etc/größe \\ x",
    "/proc/x",
    "/sbin",
];

/// What the files of the new root hold before.
pub const BEFORE: &str = "as it was";

/// Scenes.
pub fn specs() -> impl Strategy<Value = Spec> {
    let shared = proptest::option::weighted(0.2, 0..1000_usize);
    (
        vec(nodes(), 0..40),
        vec(policies(), 1..4),
        shared,
        any::<bool>(),
    )
        .prop_map(|(nodes, policies, shared, foreground)| Spec {
            nodes,
            policies,
            shared,
            foreground,
        })
}

fn nodes() -> impl Strategy<Value = Node> {
    let modes = prop::sample::select(vec![0o755, 0o700, 0o1777, 0o555, 0]);
    let sizes = prop::sample::select(vec![0, 1, 4095, 4097, 200_000]);
    let kind = prop_oneof![
        12 => modes.prop_map(Kind::Directory),
        8 => sizes.prop_map(Kind::File),
        3 => proptest::option::of(0..1000_usize).prop_map(Kind::Symlink),
        3 => (0..1000_usize).prop_map(Kind::HardLink),
        1 => Just(Kind::Fifo),
        1 => Just(Kind::Socket),
        1 => (1..60_u32).prop_map(Kind::Nested),
        2 => Just(Kind::Mount),
        2 => (0..1000_usize).prop_map(Kind::Bind),
        1 => (0..1000_usize).prop_map(Kind::BindFile),
    ];
    (0..1000_usize, 0..NAMES.len(), kind).prop_map(|(parent, name, kind)| Node {
        parent,
        name,
        kind,
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let answer = prop_oneof![
        2 => Just(Answer::Delete),
        6 => Just(Answer::Keep),
        2 => Just(Answer::Descend),
        // Those that break a rule are the last ones, and seldom.
        5 => (0..TARGETS.len() - 2).prop_map(Answer::Carry),
    ];
    let seldom = prop_oneof![
        Just(Answer::Error),
        (TARGETS.len() - 2..TARGETS.len()).prop_map(Answer::Carry)
    ];
    let answer = prop_oneof![30 => answer, 1 => seldom];
    let on_failure = prop_oneof![
        3 => Just(OnFailure::Safe),
        2 => Just(OnFailure::Ignore),
        1 => Just(OnFailure::Refuse),
    ];
    (vec((0..1000_usize, answer), 0..8), on_failure).prop_map(|(answers, on_failure)| Policy {
        answers,
        on_failure,
    })
}

/// A node with its path, in a tree in which no name stands twice and none too deep.
pub struct Placed<'a> {
    /// Its absolute path.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: &'a Kind,
    /// What it is bound or linked from, where it is.
    pub from: Option<Vec<u8>>,
}

/// The longest path that is made, in bytes: behind it others may follow.
const LONGEST: usize = 2000;
/// The same of a socket: its address has 108 bytes, and the scene is made elsewhere.
const LONGEST_OF_SOCKETS: usize = 40;

/// Places nodes in a tree. Those that have no place are left out.
pub fn placed(spec: &Spec) -> Vec<Placed<'_>> {
    let mut placed: Vec<Placed<'_>> = Vec::new();
    for node in &spec.nodes {
        let of = |wanted: fn(&Kind) -> bool| -> Vec<&Vec<u8>> {
            let all = placed.iter().filter(|other| wanted(other.kind));
            all.map(|other| &other.path).collect()
        };
        let pick = |paths: &[&Vec<u8>], index: usize| {
            let index = index.checked_rem(paths.len())?;
            Some(paths[index].clone())
        };
        let directories = of(|kind| matches!(kind, Kind::Directory(_)));
        let files = of(|kind| matches!(kind, Kind::File(_)));
        // The top is one of them.
        let above = match node.parent % (directories.len() + 1) {
            0 => Vec::new(),
            other => directories[other - 1].clone(),
        };
        let path = [&above[..], b"/", NAMES[node.name]].concat();
        let from = match node.kind {
            Kind::HardLink(index) | Kind::BindFile(index) => pick(&files, index),
            Kind::Bind(index) => pick(&directories, index),
            Kind::Symlink(Some(index)) => pick(&of(|_| true), index),
            _ => None,
        };
        let needs = matches!(
            node.kind,
            Kind::HardLink(_) | Kind::BindFile(_) | Kind::Bind(_)
        );
        let free = !placed.iter().any(|other| other.path == path);
        let longest = match node.kind {
            Kind::Socket => LONGEST_OF_SOCKETS,
            _ => LONGEST,
        };
        if free && path.len() <= longest && (from.is_some() || !needs) {
            placed.push(Placed {
                path,
                kind: &node.kind,
                from,
            });
        }
    }
    placed
}

/// The directory that is bound into the new root, where the spec has one.
pub fn shared(spec: &Spec, placed: &[Placed<'_>]) -> Option<Vec<u8>> {
    let directories: Vec<_> = placed
        .iter()
        .filter(|node| matches!(node.kind, Kind::Directory(_)))
        .collect();
    let index = spec.shared?.checked_rem(directories.len())?;
    Some(directories[index].path.clone())
}

/// The name of a policy by its place.
pub fn policy_name(index: usize) -> String {
    format!("5{index}-scripted")
}

/// What a policy answers by path. It descends into what is above, where nothing else is
/// answered for that.
pub fn answers(policy: &Policy, placed: &[Placed<'_>]) -> Vec<(Vec<u8>, Answer)> {
    let mut answers: Vec<(Vec<u8>, Answer)> = Vec::new();
    for (index, answer) in &policy.answers {
        let Some(index) = index.checked_rem(placed.len()) else {
            continue;
        };
        answers.push((placed[index].path.clone(), answer.clone()));
    }
    for (path, _) in answers.clone() {
        let ends = path.iter().enumerate().skip(1);
        for (end, _) in ends.filter(|(_, byte)| **byte == b'/') {
            answers.push((path[..end].to_vec(), Answer::Descend));
        }
    }
    // The first answer for a path counts.
    let mut seen = std::collections::BTreeSet::new();
    answers.retain(|(path, _)| seen.insert(path.clone()));
    answers
}

fn sidecar(policy: &Policy, placed: &[Placed<'_>]) -> String {
    let answers: serde_json::Map<_, _> = answers(policy, placed)
        .into_iter()
        .map(|(path, answer)| {
            let word = match answer {
                Answer::Delete => "delete",
                Answer::Keep => "keep",
                Answer::Descend => "descend",
                Answer::Carry(target) => TARGETS[target],
                Answer::Error => "error",
            };
            let path: String = path.iter().map(|byte| format!("{byte:02x}")).collect();
            (path, word.into())
        })
        .collect();
    let on_failure = match policy.on_failure {
        OnFailure::Safe => "safe",
        OnFailure::Ignore => "ignore",
        OnFailure::Refuse => "refuse",
    };
    serde_json::json!({"settings": {"answers": answers}, "on_failure": on_failure}).to_string()
}

/// What is looked at in the new root to see that it is as it was.
pub const UNTOUCHED: [&str; 4] = [
    "/etc/untouched",
    "/opt/directory/untouched",
    "/opt/other/untouched",
    "/etc/file",
];

/// Where the init finds what policies keep, and all that is left.
pub use switch_root_tests::probe::{LEFT, PRESERVED};

/// The scene of a spec, without strategy.
pub fn scene(spec: &Spec) -> Result<Scene, Stop> {
    let placed = placed(spec);
    let mut scene = boot()?.in_new_root(|tree| {
        UNTOUCHED
            .into_iter()
            .fold(tree, |tree, path| tree.file(path, BEFORE))
            .symlink("/opt/link", "other")
    });
    for (index, policy_spec) in spec.policies.iter().enumerate() {
        let name = policy_name(index);
        let path = format!("/usr/lib/switch-root/policies.d/{name}");
        scene = scene
            .file(format!("{path}.wasm"), policy("scripted")?)
            .file(format!("{path}.cwasm"), native("scripted")?)
            .file(
                format!("{path}.json"),
                sidecar(policy_spec, &placed).as_str(),
            );
    }
    // Directories get their modes last: some keep others from writing into them.
    let mut modes = Vec::new();
    let mut mounts = Vec::new();
    for (index, node) in placed.iter().enumerate() {
        let from = node.from.clone().unwrap_or_default();
        let make = match node.kind {
            Kind::Directory(mode) => {
                modes.push((node.path.clone(), Make::Directory { mode: *mode }));
                Make::Directory { mode: 0o755 }
            }
            Kind::File(size) => Make::File {
                mode: 0o640,
                content: Content::Filled {
                    byte: index as u8,
                    size: *size,
                },
            },
            Kind::Symlink(_) => Make::Symlink {
                target: match node.from {
                    Some(_) => from,
                    None => b"../nowhere".to_vec(),
                },
            },
            Kind::HardLink(_) => Make::HardLink { from },
            Kind::Fifo => Make::Fifo,
            Kind::Socket => Make::Socket,
            Kind::Nested(depth) => Make::Nested { depth: *depth },
            Kind::Mount => {
                mounts.push(index);
                continue;
            }
            Kind::Bind(_) | Kind::BindFile(_) => {
                mounts.push(index);
                continue;
            }
        };
        scene = scene.make(&node.path, make);
    }
    for index in mounts {
        let node = &placed[index];
        scene = match node.kind {
            Kind::Mount => {
                let inside = [&node.path[..], b"/inside"].concat();
                let kept = [PRESERVED, LEFT].map(|place| format!("{place}{}", escape(&inside)));
                scene
                    .tmpfs(&node.path)
                    .file(inside, format!("in {index}").as_str())
                    // Seen from a second place, which shows what becomes of it.
                    .bind(&node.path, format!("{NEW_ROOT}/seen/{index}"))
                    .look_at([format!("/seen/{index}/inside").as_str(), &kept[0], &kept[1]])
            }
            _ => {
                let from = node.from.clone().unwrap_or_default();
                // What is bound onto a file needs one.
                if matches!(node.kind, Kind::BindFile(_)) {
                    scene = scene.file(&node.path, "");
                }
                scene.bind(from, &node.path)
            }
        };
    }
    if let Some(path) = shared(spec, &placed) {
        scene = scene.bind(path, format!("{NEW_ROOT}/shared"));
    }
    for (path, make) in modes.into_iter().rev() {
        scene = scene.at_last(path, make);
    }
    if spec.foreground {
        scene = scene.options(["--foreground"]);
    }
    Ok(scene.look_at(UNTOUCHED).look_at(TARGETS))
}
