//! How a policy fails, in words that name the limit it met.

use serde::{Deserialize, Serialize};

use crate::outcome::{Code, Message, Outcomes};

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

crate::outcomes! {
    /// Why a program without a compiler does not run a policy: what follows its name in a sentence.
    /// By these words such a program is known, so that the others must not have them.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum NoCompiler in "compiled-code" {
        /// The small build runs `.cwasm` files alone.
        "SR-C20" Needed = "has no usable ahead-of-time form (.cwasm), and this build of switch_root has no compiler; compile it on the machine that makes the image",
    }
}

crate::outcomes! {
    /// Why a policy is not tried here, however good it may be: what follows its name in a sentence.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Untried in "compiled-code" {
        /// Only `srctl` says this, of native code of an image, which it runs confined by seccomp or
        /// not at all.
        "SR-C21" NoSeccomp = "has no .wasm, and its ahead-of-time form, native code of an image, is run on a kernel with seccomp alone, and this kernel lacks it (CONFIG_SECCOMP_FILTER); compile it again with `srctl policy compile`, or put its .wasm beside it",
    }
}

/// One failed policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What it was being asked.
    pub question: Question,
    /// What ended it.
    pub kind: Kind,
    /// The code of the message; absent where it has none.
    pub code: Option<Code>,
    /// A sentence for the operator, without the policy's name.
    pub message: String,
}

impl Failure {
    /// A failure in answering `question`.
    pub fn new(question: Question, kind: Kind, message: impl Into<Message>) -> Self {
        let Message { code, text } = message.into();
        Self {
            question,
            kind,
            code,
            message: text,
        }
    }

    /// A failure before any question was put.
    pub fn load(kind: Kind, message: impl Into<Message>) -> Self {
        Self::new(Question::Load, kind, message)
    }

    /// Whether the policy was not tried for a reason of this machine, which says nothing of
    /// the boot of another one.
    pub fn is_untried(&self) -> bool {
        self.code == Some(Untried::NoSeccomp.code())
    }

    /// Whether it took the judge with it. Such a policy is not run again.
    pub fn ended_judge(&self) -> bool {
        matches!(self.kind, Kind::Crash | Kind::Deadline)
    }
}

/// How it failed, whatever it was asked.
impl From<Failure> for Message {
    fn from(failure: Failure) -> Self {
        Self {
            code: failure.code,
            text: failure.message,
        }
    }
}
