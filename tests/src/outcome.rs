//! What one run in namespaces came to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fault::Call;
use crate::report::Report;
use crate::snapshot::{Tree, Usage, difference};
pub use switch_root_core::child::End;

use crate::testimony::{MARKER, Testimony};

/// The state of the initramfs at one moment, seen from outside of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// The files of the initramfs itself, mount points being entries.
    pub initramfs: Tree,
    /// The files of everything that is mounted, `/proc` and `/sys` left out.
    pub everything: Tree,
    /// The lines of `mountinfo`.
    pub mounts: Vec<String>,
    /// How much the initramfs holds.
    pub usage: Usage,
}

/// What one run came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// How process 1 ended.
    pub end: End,
    /// Standard output, the testimony left out.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// What was written to the terminal at `/dev/console`, the testimony left out.
    pub console: String,
    /// Before the subject started.
    pub before: State,
    /// After everything ended.
    pub after: State,
    /// What the probe saw; `None` if it was not started.
    pub testimony: Option<Testimony>,
    /// The system calls of the subject, where it was watched.
    pub calls: Vec<Call>,
}

impl Outcome {
    /// The report as it was in the end.
    pub fn report(&self) -> Option<Report> {
        self.testimony.as_ref()?.report.clone().map(Report)
    }

    /// What differs in trees and mounts between before and after; empty if nothing
    /// does.
    pub fn changes(&self) -> Vec<String> {
        let mut changes = difference(&self.before.everything, &self.after.everything);
        if self.before.mounts != self.after.mounts {
            let (before, after) = (self.before.mounts.join("\n"), self.after.mounts.join("\n"));
            changes.push(format!("mounts were\n{before}\nand are\n{after}"));
        }
        changes
    }
}

/// Takes the testimony out of a text; the rest of the text is left.
pub fn take_testimony(text: &mut String) -> Option<Testimony> {
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    let (mut rest, mut testimony) = (Vec::new(), None);
    for line in lines {
        match line.strip_prefix(MARKER).map(serde_json::from_str) {
            Some(Ok(read)) => testimony = Some(read),
            _ => rest.push(line),
        }
    }
    *text = rest.join("\n");
    testimony
}

/// The mount points of a `mountinfo`, with the file system's type of the topmost mount
/// at each.
pub fn mount_points(mountinfo: &[String]) -> BTreeMap<String, String> {
    let point = |line: &String| {
        let (mount, file_system) = line.split_once(" - ")?;
        let file_system = file_system.split(' ').next()?;
        Some((mount.split(' ').nth(4)?.to_owned(), file_system.to_owned()))
    };
    mountinfo.iter().filter_map(point).collect()
}
