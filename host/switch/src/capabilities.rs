//! Taking capabilities from init and all that it starts, as `run-init -d` does.

use std::fs;
use std::io;

use caps::{CapSet, Capability};

/// Where the kernel keeps the capabilities of the programs that it starts
/// itself: two numbers, the low and the high half of a set.
const USERMODE_HELPERS: [&str; 2] = [
    "/proc/sys/kernel/usermodehelper/bset",
    "/proc/sys/kernel/usermodehelper/inheritable",
];

/// Takes these capabilities out of every set of the process, and of the
/// kernel's helpers. What fails is returned, as sentences.
pub fn drop_all(capabilities: &[u8]) -> Vec<String> {
    let mut failures = Vec::new();
    if capabilities.is_empty() {
        return failures;
    }
    let dropped: Vec<Capability> = caps::all()
        .into_iter()
        .filter(|capability| capabilities.contains(&capability.index()))
        .collect();
    // While the process may still write there.
    let mask = dropped
        .iter()
        .fold(0u64, |mask, capability| mask | capability.bitmask());
    for path in USERMODE_HELPERS {
        if let Err(error) = lower(path, mask) {
            failures.push(format!(
                "capabilities cannot be taken from the kernel's helpers: {path}: {error}"
            ));
        }
    }
    // The bounding set first: that takes a capability that may be among them.
    for set in [
        CapSet::Bounding,
        CapSet::Ambient,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ] {
        for capability in &dropped {
            if let Err(error) = caps::drop(None, set, *capability) {
                failures.push(format!(
                    "{capability} cannot be taken from the {set:?} set: {error}"
                ));
            }
        }
    }
    failures
}

fn lower(path: &str, mask: u64) -> io::Result<()> {
    let text = fs::read_to_string(path)?;
    let mut halves = text.split_whitespace().map(str::parse::<u32>);
    let (Some(Ok(low)), Some(Ok(high))) = (halves.next(), halves.next()) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not two numbers",
        ));
    };
    let set = (u64::from(high) << 32 | u64::from(low)) & !mask;
    fs::write(path, format!("{} {}", set as u32, (set >> 32) as u32))
}
