//! What is known of the system calls of a subject, and the one that fails.

use serde::{Deserialize, Serialize};

/// Whether the subject is watched, and what is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Watch {
    /// Its calls are written down.
    Record,
    /// The same, and one of them does not go as it should.
    Fault(Fault),
}

/// What happens at one system call of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The process, in the order of the forks: 0 is the subject itself.
    pub process: usize,
    /// The call, counted from 0 in that process.
    pub number: usize,
    /// What happens.
    pub happens: Happens,
}

/// What happens instead of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happens {
    /// It fails with this errno. It is not made, but for close(2), which closes even
    /// where it fails.
    Error(i32),
    /// The process that makes it is killed.
    Kill,
    /// Process 1 is killed, and with it all others.
    KillAll,
}

/// One system call that was made, or was to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The process, as in [`Fault`].
    pub process: usize,
    /// The call, as in [`Fault`].
    pub number: usize,
    /// Its name.
    pub name: String,
    /// What it is about, as far as that is known: a path, or what a descriptor refers
    /// to, in the subject's view; a number that says what is asked for. Where a fault is
    /// made, known only of that call and the one after it.
    pub argument: String,
    /// What it gave back: negative for an error. `None` where it did not return.
    pub result: Option<i64>,
}

impl Call {
    /// Whether two runs have the same call at the same place.
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.argument == other.argument
    }
}
