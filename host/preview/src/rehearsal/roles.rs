//! What this executable is started as by a rehearsal: its first argument, and those of the
//! init.

/// The argument of the supervisor.
pub const SUPERVISOR: &str = "rehearse-supervisor";
/// The argument of the first program of a virtual machine.
pub const STAGE: &str = "rehearse-stage";
/// The first argument of the init; the second is how long it waits, in milliseconds,
/// the third one of the two below.
pub const INIT: &str = "rehearse-init";
/// Where the init runs: it only ends.
pub const NAMESPACE: &str = "namespace";
/// Where the init runs: it ends the machine.
pub const MACHINE: &str = "machine";
