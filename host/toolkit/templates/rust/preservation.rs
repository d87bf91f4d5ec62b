//! Which paths of the initramfs survive: those that match a pattern of the settings.

use serde::Deserialize;
use switch_root_policy::{Configuration, Decision, Entry, Globs, Preservation, Settings};

use crate::Policy;

/// `{"keep": [PATTERN, ...]}`; without it nothing is kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    keep: Vec<String>,
}

static KEEP: Configuration<Globs> = Configuration::new();

impl Settings for Policy {
    fn configure(json: &str) -> Result<(), String> {
        let written: Written = Configuration::parse_json(json)?;
        KEEP.set(Globs::new(written.keep)?)
    }
}

impl Preservation for Policy {
    fn review(directory: &[u8], entries: &[Entry]) -> Result<Vec<Decision>, String> {
        Ok(KEEP.get()?.review(directory, entries))
    }
}
