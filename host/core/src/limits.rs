//! What a policy may use up.

use serde::{Deserialize, Serialize};

/// The limits of one policy. Every field can be set in its sidecar file; one
/// that is not given there has the default below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Fuel for one call, about one unit a WebAssembly instruction.
    pub fuel: u64,
    /// Fuel on top of that for each entry or extension in the question, so
    /// that a policy that looks at a large directory is not taken for a loop.
    pub fuel_per_item: u64,
    /// Bytes of each linear memory.
    pub memory_bytes: usize,
    /// Linear memories of one instance.
    pub memories: usize,
    /// Elements of each table.
    pub table_elements: usize,
    /// Tables of one instance.
    pub tables: usize,
    /// Core instances that the component is made of.
    pub instances: usize,
    /// Bytes that one call may pass to the host: answers, and log messages, each of which
    /// counts as 16 bytes more than it is long.
    pub transfer_bytes: usize,
    /// Log messages of one call that are passed on; the rest is counted.
    pub log_messages: u32,
    /// Bytes of one log message that are passed on.
    pub log_message_bytes: usize,
    /// Milliseconds of wall-clock time for one answer, and for loading (which
    /// compiles where there is no `.cwasm`).
    pub deadline_ms: u64,
    /// Milliseconds that the host waits for all its answers together.
    pub total_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Ends an empty loop in about 15 ms on current hardware.
            fuel: 100_000_000,
            fuel_per_item: 5_000,
            memory_bytes: 32 << 20,
            memories: 4,
            table_elements: 2_000,
            tables: 8,
            instances: 16,
            transfer_bytes: 4 << 20,
            log_messages: 100,
            log_message_bytes: 1024,
            // Compiling 15 KB takes 40 ms natively; this allows for a slow or
            // emulated processor. Loops are ended by fuel long before.
            deadline_ms: 10_000,
            total_ms: 30_000,
        }
    }
}

/// Sizes that hold for every policy, whatever its sidecar says.
pub mod fixed {
    /// The largest `.wasm` or `.cwasm` file that is read, in bytes.
    pub const POLICY_FILE: u64 = 64 << 20;
    /// The largest sidecar file, in bytes.
    pub const SIDECAR_FILE: u64 = 1 << 20;
    /// The largest signature that is read, in bytes.
    pub const SIGNATURE_FILE: u64 = 16 << 10;
    /// The largest list of signers that is read, in bytes.
    pub const SIGNERS_FILE: u64 = 1 << 20;
    /// Lists of signers.
    pub const SIGNERS_FILES: usize = 100;
    /// Keys in all lists of signers.
    pub const SIGNERS: usize = 1000;
    /// The largest list of digests of native code, in bytes: some 1800 digests.
    pub const COMPILED_FILE: u64 = 128 << 10;
    /// The largest os-release that is read, in bytes.
    pub const OS_RELEASE: u64 = 64 << 10;
    /// The largest `extensions.yaml`, in bytes.
    pub const EXTENSIONS_FILE: u64 = 1 << 20;
    /// The stack of a component, in bytes.
    pub const WASM_STACK: usize = 256 << 10;
    /// Address space for each linear memory, in bytes: the default of 4 GiB
    /// fails on small machines, none makes calls several times slower.
    pub const MEMORY_RESERVATION: u64 = 16 << 20;
    /// Unmapped bytes behind each linear memory.
    pub const MEMORY_GUARD: u64 = 64 << 10;
    /// Address space of the judge beyond what it holds when it starts and
    /// what its policies' memories may take: for compiling and for answers.
    pub const JUDGE_WORKSPACE: u64 = 256 << 20;
    /// The longest path that a policy may name, in bytes, without NUL.
    pub const TARGET_PATH: usize = libc::PATH_MAX as usize - 1;
    /// `carry` answers of one policy: each one is a mount.
    pub const CARRIES: usize = 100;
    /// A policy's own error sentence, in bytes.
    pub const ERROR_MESSAGE: usize = 1024;
}
