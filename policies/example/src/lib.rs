//! Keeps the SSH host keys that the initramfs was given.

use switch_root_policy::{Decision, Entry, Globs, Preservation, register};

struct KeepSshKeys;

impl Preservation for KeepSshKeys {
    fn review(directory: &[u8], entries: &[Entry]) -> Result<Vec<Decision>, String> {
        Ok(Globs::new(["/etc/ssh/ssh_host_*"])?.review(directory, entries))
    }
}

register!(KeepSshKeys: preservation);
