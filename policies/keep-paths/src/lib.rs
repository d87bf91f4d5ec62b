//! A policy that keeps and carries the paths that its settings list: for those who need no
//! policy of their own. README.md beside this crate is its manual.

mod settings;

use switch_root_policy::{
    Configuration, Decision, Entry, Preservation, Selection, Settings, register,
};

/// The policy: a name for its answers, without a value.
pub struct KeepPaths;

static SELECTION: Configuration<Selection> = Configuration::new();

impl Settings for KeepPaths {
    /// Reads and checks the lists.
    fn configure(json: &str) -> Result<(), String> {
        SELECTION.set(settings::read(json)?)
    }
}

impl Preservation for KeepPaths {
    /// Answers by the lists. A path to be carried is carried whatever else matches it.
    fn review(directory: &[u8], entries: &[Entry]) -> Result<Vec<Decision>, String> {
        Ok(SELECTION.get()?.review(directory, entries))
    }
}

register!(KeepPaths: preservation, settings);
