//! How a policy fails, in words that name the limit it met.

use serde::{Deserialize, Serialize};

/// What a policy was being asked when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    /// Nothing yet: it was being found, loaded or given its settings. It
    /// answers no question.
    Load,
    /// Which paths survive.
    Preservation,
    /// Which extensions are compatible.
    Compatibility,
}

/// What ended it. The first column of the table of failures in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The file or its folder could not be read.
    Unreadable,
    /// It is not signed by a key that this machine accepts. The switch is refused,
    /// whatever its sidecar says.
    Signature,
    /// The file is not a component that this host runs.
    NotAPolicy,
    /// The component imports what no policy may import.
    Imports,
    /// The component was built for another version of the contract.
    Version,
    /// The sidecar file is wrong, or the policy refused its settings.
    Settings,
    /// The component stopped itself, or did something that WebAssembly forbids.
    Trap,
    /// It ran out of fuel.
    Fuel,
    /// It asked for more memory than its limit.
    Memory,
    /// It used up its stack.
    Stack,
    /// It met another limit: tables, instances, or bytes passed to the host.
    Limit,
    /// It did not answer in time.
    Deadline,
    /// The process that ran it ended.
    Crash,
    /// It answered against the contract.
    Answer,
    /// It returned an error of its own.
    Error,
}

/// Why the build without a compiler does not run a policy that has a `.wasm` alone.
pub const NO_COMPILER: &str = "has no usable ahead-of-time form (.cwasm), and this build of switch_root has no compiler; compile it on the machine that makes the image";

/// One failed policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What it was being asked.
    pub question: Question,
    /// What ended it.
    pub kind: Kind,
    /// A sentence for the operator, without the policy's name.
    pub message: String,
}

/// Native code of an image that was not run, since nothing here would keep it from system
/// calls.
pub const NO_SECCOMP: &str = "its ahead-of-time form, native code of an image, is run on a kernel with seccomp alone, and this kernel lacks it (CONFIG_SECCOMP_FILTER)";

impl Failure {
    /// A failure in answering `question`.
    pub fn new(question: Question, kind: Kind, message: impl Into<String>) -> Self {
        Self {
            question,
            kind,
            message: message.into(),
        }
    }

    /// A failure before any question was put.
    pub fn load(kind: Kind, message: impl Into<String>) -> Self {
        Self::new(Question::Load, kind, message)
    }

    /// Whether the policy was not tried for a reason of this machine, which says nothing of
    /// the boot of another one.
    pub fn is_untried(&self) -> bool {
        self.kind == Kind::NotAPolicy && self.message.contains(NO_SECCOMP)
    }

    /// Whether it took the judge with it. Such a policy is not run again.
    pub fn ended_judge(&self) -> bool {
        matches!(self.kind, Kind::Crash | Kind::Deadline)
    }
}
