//! What `srctl` prints, and how it ends: each session is a desk, and commands that are run
//! on it one after the other.

use switch_root_tests::archive;
use switch_root_tests::steps::{Step, Steps};

use super::boots::KEEP;
use crate::planning;
use crate::srctl::{Desk, Ran};
use crate::status::{delegated, unwell, well};
use crate::tools::{Stop, policy};

/// A session: its name, what lies on its desk, and its command lines without `srctl`.
pub struct Session {
    /// The name of the snapshot.
    pub name: &'static str,
    /// Makes the desk.
    pub desk: fn() -> Result<Desk, Stop>,
    /// What is run.
    pub commands: &'static [&'static str],
}

impl Session {
    /// Runs it, and gives all that was said.
    pub fn text(&self) -> Result<String, Stop> {
        let desk = (self.desk)()?;
        let mut text = String::new();
        for command in self.commands {
            text.push_str(&shown(&format!("srctl {command}"), &desk.run(command)?));
        }
        Ok(text)
    }
}

/// A command with what came of it.
pub fn shown(command: &str, ran: &Ran) -> String {
    let status = ran.status.map_or("none".into(), |it| it.to_string());
    let mut text = format!("$ {command}\n{}", ran.stdout);
    if !ran.stderr.is_empty() {
        text.push_str(&format!("--- standard error\n{}", ran.stderr));
    }
    text + &format!("--- exit status {status}\n\n")
}

pub const SESSIONS: &[Session] = &[
    Session {
        name: "srctl-plan",
        desk: image,
        commands: &[
            "plan image",
            "plan image --list",
            "plan image --depth 1",
            "plan image --explain /etc/machine.conf",
            "plan image --explain /etc/ssh/sshd_config",
            "plan image --target-version v1.8.0",
            "plan nowhere",
            "plan image --explain /nowhere",
        ],
    },
    Session {
        name: "srctl-plan-json",
        desk: image,
        commands: &[
            "plan image --format json",
            "plan image --explain /etc/machine.conf --format json",
            "plan nowhere --format json",
        ],
    },
    Session {
        name: "srctl-plan-unknown",
        desk: || planning::desk(&published(planning::nobodys()?)?),
        commands: &["plan image", "plan image --format json"],
    },
    Session {
        name: "srctl-diff",
        desk: two_images,
        commands: &[
            "diff before after",
            "diff before after --format json",
            "diff before before",
            "diff before nowhere",
        ],
    },
    Session {
        name: "srctl-status",
        desk: reports,
        commands: &[
            "status --report well.json",
            "status --report unwell.json",
            "status --report delegated.json",
            "status --report unwell.json --format json",
            "status --report nowhere.json",
        ],
    },
    Session {
        name: "srctl-status-prometheus",
        desk: reports,
        commands: &[
            "status --report well.json --format prometheus",
            "status --report unwell.json --format prometheus",
            "status --report delegated.json --format prometheus",
            "status --report nowhere.json --format prometheus",
        ],
    },
];

/// The image that plans are tried on, with that policy, and extensions of which one does not
/// fit.
fn steps() -> Result<Vec<Step>, Stop> {
    let list = "layers:\n  - image: 000.old.sqsh\n    metadata: {name: old, version: '1', compatibility: {talos: {version: '< v1.7.0'}}}\n  - image: 001.new.sqsh\n    metadata: {name: new, version: '2', compatibility: {talos: {version: '>= v1.6.0'}}}\n";
    Ok(published(planning::steps()?)?.file("/extensions.yaml", list))
}

/// The same with the published policy.
fn published(mut steps: Vec<Step>) -> Result<Vec<Step>, Stop> {
    let path = format!("{}/50-keep-paths.wasm", planning::POLICIES);
    steps.retain(|step| step.path != path.as_bytes());
    Ok(steps.file(path, policy(KEEP)?))
}

fn image() -> Result<Desk, Stop> {
    planning::desk(&steps()?)
}

fn two_images() -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    desk.write("before", archive::of(&steps()?)?)?;
    let mut after = steps()?;
    let replaced: [&[u8]; 3] = [b"/usr/lib/large", b"/etc/machine.conf", b"/extensions.yaml"];
    after.retain(|step| !replaced.contains(&step.path.as_slice()));
    let after = after
        .file("/etc/machine.conf", "changed")
        .file("/etc/ssh/ssh_host_more", "kept");
    desk.write("after", archive::of(&after)?)?;
    Ok(desk)
}

fn reports() -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    for (name, report) in [
        ("well", well()),
        ("unwell", unwell()),
        ("delegated", delegated()),
    ] {
        desk.write(&format!("{name}.json"), format!("{report:#}\n"))?;
    }
    Ok(desk)
}
