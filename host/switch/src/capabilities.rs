//! Taking capabilities from init and all that it starts, as `run-init -d` does.

use std::io;

use caps::errors::CapsError;
use caps::{CapSet, Capability};

use crate::proc::Proc;

switch_root_core::outcomes! {
    /// Why the process cannot switch.
    pub enum Powerless in "start" {
        /// A container or an earlier step of the initramfs took it away.
        "SR-A11" Lacks { capability: Capability } = "the process lacks {capability}, without which it can neither mount nor change its root; start it with all capabilities",
        /// capget(2) fails: a seccomp filter that the program was started with may forbid it.
        "SR-A12" Unread { error: CapsError } = "the capabilities of the process cannot be read: {error}",
    }
}

switch_root_core::outcomes! {
    /// What has a capability still that was to be taken away.
    pub enum Kept in "switch-warnings" {
        /// `run-init -d`: init, or what the kernel starts by itself, has more capabilities than was
        /// asked for.
        "SR-W50" Helpers { path: &'static str, error: io::Error } = "capabilities cannot be taken from the kernel's helpers: /proc/{path}: {error}",
        "SR-W51" Process { capability: Capability, set: CapSet, error: CapsError } = "{capability} cannot be taken from the {set:?} set: {error}",
        /// A reason: the kernel shows a set in another form than this program knows. Report it.
        "SR-W52" NotTwoNumbers = "not two numbers",
    }
}

/// Where in the proc file system the kernel keeps the capabilities of the programs that it
/// starts itself: two numbers, the low and the high half of a set.
const USERMODE_HELPERS: [&str; 2] = [
    "sys/kernel/usermodehelper/bset",
    "sys/kernel/usermodehelper/inheritable",
];

/// Takes these capabilities from the programs that the kernel starts itself. What
/// fails is returned.
pub fn drop_from_helpers(capabilities: &[u8], proc: &Proc) -> Vec<Kept> {
    if capabilities.is_empty() {
        return Vec::new();
    }
    let mask = named(capabilities).fold(0u64, |mask, capability| mask | capability.bitmask());
    let outcomes = USERMODE_HELPERS
        .iter()
        .map(|path| (path, lower(proc, path, mask)));
    outcomes
        .filter_map(|(path, outcome)| {
            let error = outcome.err()?;
            Some(Kept::Helpers { path, error })
        })
        .collect()
}

/// Takes these capabilities out of every set of the process. What fails is
/// returned.
pub fn drop_from_process(capabilities: &[u8]) -> Vec<Kept> {
    let mut failures = Vec::new();
    // The bounding set first: that takes a capability that may be among them.
    for set in [
        CapSet::Bounding,
        CapSet::Ambient,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ] {
        for capability in named(capabilities) {
            if let Err(error) = caps::drop(None, set, capability) {
                failures.push(Kept::Process {
                    capability,
                    set,
                    error,
                });
            }
        }
    }
    failures
}

fn named(capabilities: &[u8]) -> impl Iterator<Item = Capability> {
    caps::all()
        .into_iter()
        .filter(|capability| capabilities.contains(&capability.index()))
}

/// Whether the process may do what a switch takes.
///
/// # Errors
/// A sentence for the operator.
pub fn check() -> Result<(), Powerless> {
    for capability in [Capability::CAP_SYS_ADMIN, Capability::CAP_SYS_CHROOT] {
        let held = caps::has_cap(None, CapSet::Effective, capability)
            .map_err(|error| Powerless::Unread { error })?;
        if !held {
            return Err(Powerless::Lacks { capability });
        }
    }
    Ok(())
}

fn lower(proc: &Proc, path: &str, mask: u64) -> io::Result<()> {
    let text = proc.read(path)?;
    let text = String::from_utf8_lossy(&text);
    let mut halves = text.split_whitespace().map(str::parse::<u32>);
    let (Some(Ok(low)), Some(Ok(high))) = (halves.next(), halves.next()) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            Kept::NotTwoNumbers,
        ));
    };
    let set = (u64::from(high) << 32 | u64::from(low)) & !mask;
    let halves = format!("{} {}", set as u32, (set >> 32) as u32);
    proc.write(path, halves.as_bytes())
}
