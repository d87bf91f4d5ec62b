//! What the init of the new root saw.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::snapshot::{Tree, Usage};

/// What the line that carries a testimony begins with.
pub const MARKER: &str = "@testimony ";

/// One file that the probe was asked to look at.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Its bytes, escaped, 64 KiB at most; `None` if it is no regular file or can't be
    /// read.
    pub content: Option<String>,
    /// The error of opening it for writing, or of making a file in it where it is a
    /// directory, as the name of an errno; `None` if that succeeded.
    pub write_error: Option<String>,
    /// Its permission bits, links followed; `None` where there is nothing.
    pub mode: Option<u32>,
}

/// More of a file, a link being a file of its own: what differs from one run to the next,
/// or is seldom asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Details {
    /// When it was modified, in seconds since 1970; `None` where there is nothing.
    pub modified: Option<i64>,
    /// Bytes that it occupies.
    pub occupied: Option<u64>,
    /// Its extended attributes, escaped.
    pub attributes: BTreeMap<String, String>,
}

/// What the init of the new root saw. Paths are escaped; kernel texts are as they are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Testimony {
    /// Its process id.
    pub process: i32,
    /// Its argument vector, the program's name included; empty without `/proc`.
    pub arguments: Vec<String>,
    /// Its environment, sorted.
    pub environment: Vec<String>,
    /// Its working directory.
    pub directory: String,
    /// Where `/proc/1/exe` points.
    pub executable: Option<String>,
    /// The fields of `/proc/self/status`.
    pub status: BTreeMap<String, String>,
    /// The most memory that process 1 held before, in KiB: the subject, which it was until
    /// then.
    pub peak_kib: u64,
    /// Its open file descriptors and what they refer to; empty without `/proc`.
    pub descriptors: BTreeMap<i32, String>,
    /// The lines of `/proc/self/mountinfo`; empty without `/proc`.
    pub mounts: Vec<String>,
    /// The names in `/` after the deletion, as paths, sorted.
    pub top: Vec<String>,
    /// The permission bits of the report.
    pub report_mode: Option<u32>,
    /// The tree at `/run/switch-root/preserved` when it started, with what is mounted there.
    pub preserved_at_start: Option<Tree>,
    /// The same tree after the deletion.
    pub preserved: Option<Tree>,
    /// The tree at `/run/switch-root/private/initramfs` after the deletion: all that is left
    /// of the initramfs.
    pub left: Option<Tree>,
    /// How much the file system of that tree holds after the deletion.
    pub left_usage: Option<Usage>,
    /// What the user nobody finds in `/run/switch-root` when it started: escaped paths.
    /// `None` where nobody else can be become.
    pub found_at_start: Option<BTreeSet<String>>,
    /// The same after the deletion.
    pub found: Option<BTreeSet<String>>,
    /// The report when it started.
    pub report_at_start: Option<Value>,
    /// The report after the deletion.
    pub report: Option<Value>,
    /// Whether the report was final, or absent, and process 1 had no children any
    /// more, before its patience ended.
    pub settled: bool,
    /// The statuses of the children that ended meanwhile, in any order.
    pub reaped: Vec<i32>,
    /// What programs that the kernel started wrote down, by the kind of the program.
    pub helpers: BTreeMap<String, String>,
    /// The files that it was asked about.
    pub files: BTreeMap<String, Seen>,
    /// The files that it was asked to say more about.
    pub details: BTreeMap<String, Details>,
    /// What [`crate::probe::memory`] says, in kB, when it started.
    pub memory_at_start: BTreeMap<String, u64>,
    /// The same after the deletion.
    pub memory: BTreeMap<String, u64>,
    /// `CLOCK_MONOTONIC` when it started, in microseconds.
    pub started_us: u64,
    /// How long it waited for the deletion to end, in microseconds.
    pub waited_us: u64,
    /// `uname -r`.
    pub kernel: String,
    /// The records of the kernel's log which name switch_root.
    pub kernel_log: Vec<String>,
    /// What stage 1 wrote down before it started the subject; virtual machines only.
    pub stage1: Option<Stage1>,
}

/// The machine just before the subject was started.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stage1 {
    /// How much the initramfs held.
    pub usage: Usage,
    /// What [`crate::probe::memory`] says, in kB.
    pub memory: BTreeMap<String, u64>,
    /// `CLOCK_MONOTONIC`, in microseconds.
    pub started_us: u64,
}
