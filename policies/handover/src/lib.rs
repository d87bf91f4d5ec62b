//! A policy that keeps what an initramfs as distributions make it leaves for the running system.
//! README.md beside this crate is its manual.

mod groups;
mod settings;

use switch_root_policy::{
    Configuration, Decision, Entry, FileKind, Preservation, Settings, register,
};

use settings::Wishes;

/// The policy: a name for its answers, without a value.
pub struct Handover;

static WISHES: Configuration<Wishes> = Configuration::new();

impl Settings for Handover {
    /// Reads which groups are wanted.
    fn configure(json: &str) -> Result<(), String> {
        WISHES.set(settings::read(json)?)
    }
}

impl Preservation for Handover {
    /// Answers by the lists of the groups that are wanted.
    fn review(directory: &[u8], entries: &[Entry]) -> Result<Vec<Decision>, String> {
        let wishes = WISHES.get()?;
        let mut decisions = wishes.selection.review(directory, entries);
        if wishes.links && directory == b"/" {
            let answers = entries.iter().zip(&mut decisions);
            for (_, decision) in answers.filter(|(entry, _)| is_link(entry)) {
                *decision = Decision::Keep;
            }
        }
        Ok(decisions)
    }
}

fn is_link(entry: &Entry) -> bool {
    let names: [&[u8]; 5] = [b"bin", b"sbin", b"lib", b"lib32", b"lib64"];
    entry.kind == FileKind::Symlink && names.contains(&entry.name())
}

register!(Handover: preservation, settings);

/// Small, and as fast as the one of the standard library for the many short names of a directory.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();
