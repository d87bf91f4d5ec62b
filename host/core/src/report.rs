//! The report: what happened, for the running system. The schema is described in
//! host/switch/REPORT.md and report.schema.json; whatever changes here changes there.

pub mod read;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::lenient;
use crate::outcome::{self, Code, Message};
use crate::path::Path;
use crate::plan::{Process, Strategy};
use crate::preserved::Survivor;

pub use crate::judged::{ExtensionReport, Reason};

/// Processes, failures and paths that are listed one by one, of each kind.
pub const MAX_LISTED: usize = 50;

/// The version of the schema. Fields may be added within one version; none is
/// removed or changes its meaning.
pub const SCHEMA: u32 = 1;

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Of the program that switched.
    pub version: &'static str,
    /// The kernel's name for this boot, which tells a reader whether the report is of
    /// the boot that it runs in; absent where the kernel does not tell.
    pub boot_id: Option<String>,
    /// `uname -r`; absent where the kernel does not tell.
    pub kernel: Option<String>,
    /// How it switched.
    pub strategy: Strategy,
    /// Where the new root was mounted.
    pub new_root: Path,
    /// The init, as given.
    pub init: Path,
    /// Every policy, in the order in which they were asked.
    pub policies: Vec<PolicyReport>,
    /// The names of policies that are masked, and were not asked.
    pub masked_policies: Vec<String>,
    /// Which directories and entries policies looked at.
    pub review: ReviewReport,
    /// What confined the process that ran them.
    pub judge: JudgeReport,
    /// What survived.
    pub survivors: Vec<Survivor>,
    /// Every extension that extensions.yaml names.
    pub extensions: Vec<ExtensionReport>,
    /// Processes of the initramfs that live on, fifty of them at most.
    pub processes: Vec<Process>,
    /// How many more there are.
    pub processes_more: u64,
    /// The deletion.
    pub deletion: DeletionReport,
    /// What was copied; absent where the program itself switched.
    pub copied: Option<CopyReport>,
    /// What was not as it should be.
    pub warnings: Vec<String>,
    /// The codes of the warnings, in the same order.
    pub warning_codes: Vec<Option<Code>>,
    /// Microseconds since the program started.
    pub timings: Timings,
}

impl Report {
    /// Records something that is not as it should be, and logs it.
    pub fn warn(&mut self, warning: impl Into<Message>) {
        let warning = warning.into();
        outcome::warn(&warning);
        self.warnings.push(warning.text);
        self.warning_codes.push(warning.code);
    }
}

/// The judge.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JudgeReport {
    /// What confined it.
    #[serde(flatten)]
    pub protections: crate::report::Protections,
    /// The most memory it held.
    pub peak_kib: u64,
    /// From its start to its last answer.
    pub time_us: u64,
}

/// How far the deletion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeletionState {
    /// Nothing is deleted.
    Skipped,
    /// It is going on.
    Running,
    /// It has ended.
    Complete,
}

/// The deletion.
#[derive(Clone, Debug, Serialize)]
pub struct DeletionReport {
    /// How far it is.
    pub state: DeletionState,
    /// Why nothing is deleted.
    pub reason: Option<String>,
    /// The code of that reason.
    pub code: Option<Code>,
    /// What was done; all zero before it has ended.
    #[serde(flatten)]
    pub tally: DeletionTally,
    /// How long it took.
    pub time_us: u64,
    /// Bytes that the initramfs occupied before and after, as its file system
    /// accounts for them; absent before the deletion has ended, and where it
    /// does not count (ramfs).
    pub used_before: Option<u64>,
    /// See `used_before`.
    pub used_after: Option<u64>,
    /// The difference.
    pub freed_bytes: Option<u64>,
    /// `MemAvailable` before.
    pub memory_available_before: Option<u64>,
    /// `MemAvailable` after.
    pub memory_available_after: Option<u64>,
}

/// When what was done, in microseconds since the program started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// The policies had been asked.
    #[serde(deserialize_with = "lenient::value")]
    pub policies_us: u64,
    /// The plan was made.
    #[serde(deserialize_with = "lenient::value")]
    pub plan_us: u64,
    /// The new root was the root; absent where another program switches.
    #[serde(deserialize_with = "lenient::value")]
    pub switched_us: Option<u64>,
    /// The deletion had ended.
    #[serde(deserialize_with = "lenient::value")]
    pub deleted_us: Option<u64>,
    /// The copies were made; absent where the program itself switched.
    #[serde(deserialize_with = "lenient::value")]
    pub copied_us: Option<u64>,
}

/// One policy.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyReport {
    /// Its file name without the ending.
    pub name: String,
    /// The file, or `embedded`.
    pub origin: String,
    /// Of the `.wasm`, where known.
    pub digest: Option<String>,
    /// Of its sidecar: settings, limits and failure mode. Absent where it has none.
    pub sidecar_digest: Option<String>,
    /// Who signed what was run, as the trust folder names the key's owner; absent where no
    /// signatures are demanded, or it is embedded.
    pub signed_by: Option<String>,
    /// The questions that it answers.
    pub answers: Vec<&'static str>,
    /// Whether it was compiled at boot.
    pub compiled: bool,
    /// Fuel used by all calls.
    pub fuel: u64,
    /// Time that loading and all calls took.
    pub time_us: u64,
    /// How it failed, at most once for each question.
    pub failures: Vec<Failure>,
    /// What was not as it should be.
    pub warnings: Vec<String>,
    /// The codes of the warnings, in the same order.
    pub warning_codes: Vec<Option<Code>>,
}

/// How much policies looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReviewReport {
    /// Directories.
    #[serde(deserialize_with = "lenient::value")]
    pub directories: u64,
    /// Entries of them.
    #[serde(deserialize_with = "lenient::value")]
    pub entries: u64,
}

/// What confines the judge. Where the kernel lacks one, the others remain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protections {
    /// It runs as the user and group `nobody`.
    pub unprivileged_user: bool,
    /// It holds no capability.
    pub no_capabilities: bool,
    /// It can gain no privilege by executing something.
    pub no_new_privileges: bool,
    /// It can open no further file descriptor, nor write to a file.
    pub no_files: bool,
    /// The largest address space, in bytes; 0 where there is no limit.
    pub address_space: u64,
    /// Any system call but the few it needs ends it.
    pub seccomp: bool,
}

/// What a deletion did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeletionTally {
    /// Names of what is not a directory that were removed.
    #[serde(deserialize_with = "lenient::value")]
    pub files: u64,
    /// Directories that were removed.
    #[serde(deserialize_with = "lenient::value")]
    pub directories: u64,
    /// What could not be removed.
    #[serde(deserialize_with = "lenient::objects")]
    pub failed: Vec<Failed>,
    /// Failures beyond those told above.
    #[serde(deserialize_with = "lenient::value")]
    pub failed_more: u64,
    /// Places that something else is mounted on, which were not touched.
    #[serde(deserialize_with = "lenient::texts")]
    pub skipped_mounts: Vec<String>,
}

/// Something that could not be removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failed {
    /// Its path in the initramfs, escaped.
    #[serde(deserialize_with = "lenient::value")]
    pub path: String,
    /// Why.
    #[serde(deserialize_with = "lenient::value")]
    pub error: String,
    /// The code of what is said of it.
    #[serde(deserialize_with = "lenient::value")]
    pub code: Option<Code>,
}

impl Failed {
    /// Why.
    pub fn why(&self) -> Message {
        let (code, text) = (self.code, self.error.clone());
        Message { code, text }
    }
}

/// What a walk came upon, or copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyTally {
    /// Names of what is no directory.
    #[serde(deserialize_with = "lenient::value")]
    pub files: u64,
    /// Directories, without the one that the walk began with.
    #[serde(deserialize_with = "lenient::value")]
    pub directories: u64,
    /// Bytes that files occupy.
    #[serde(deserialize_with = "lenient::value")]
    pub bytes: u64,
    /// What could not be copied, in whole or in part.
    #[serde(deserialize_with = "lenient::objects")]
    pub failed: Vec<Failed>,
    /// Failures beyond those told above.
    #[serde(deserialize_with = "lenient::value")]
    pub failed_more: u64,
    /// Places that something else is mounted on, which was not copied.
    #[serde(deserialize_with = "lenient::texts")]
    pub skipped_mounts: Vec<String>,
}

impl CopyTally {
    /// Adds what another walk copied.
    pub fn add(&mut self, other: Self) {
        self.files += other.files;
        self.directories += other.directories;
        self.bytes += other.bytes;
        let room = MAX_LISTED
            .saturating_sub(self.failed.len())
            .min(other.failed.len());
        self.failed_more += other.failed_more + (other.failed.len() - room) as u64;
        self.failed.extend(other.failed.into_iter().take(room));
        for point in other.skipped_mounts {
            if !self.skipped_mounts.contains(&point) {
                self.skipped_mounts.push(point);
            }
        }
    }
}

/// What was copied, for the report.
#[derive(Clone, Debug, Serialize)]
pub struct CopyReport {
    /// What was copied, and what could not be.
    #[serde(flatten)]
    pub tally: CopyTally,
    /// Survivors that are not among the copies.
    pub missing: Vec<Failed>,
    /// How long it took.
    pub time_us: u64,
}
