//! A policy that breaks the rule that its settings name: what the host must survive.
//!
//! The settings are `{"attack": NAME}`; [`Attack`] lists the names. Without an attack, or before
//! it was configured, the policy answers `delete` and `abstain`.

mod answers;
mod attack;
mod resources;

use switch_root_policy::{
    Compatibility, Configuration, Decision, Entry, Extension, HostFacts, Preservation, Settings,
    Verdict, register,
};

pub use attack::Attack;

/// The policy: a name for its answers, without a value.
pub struct Hostile;

static ATTACK: Configuration<Attack> = Configuration::new();

impl Settings for Hostile {
    /// Takes the attack. An unknown one is an error that names it.
    fn configure(json: &str) -> Result<(), String> {
        ATTACK.set(attack::read(json)?)
    }
}

impl Preservation for Hostile {
    /// Attacks the review of the initramfs.
    fn review(directory: &[u8], entries: &[Entry]) -> Result<Vec<Decision>, String> {
        let attack = *ATTACK.get()?;
        resources::strike(attack)?;
        Ok(answers::decisions(attack, directory, entries))
    }
}

impl Compatibility for Hostile {
    /// Attacks the review of the extensions.
    fn review(_host: &HostFacts, extensions: &[Extension]) -> Result<Vec<Verdict>, String> {
        let attack = *ATTACK.get()?;
        resources::strike(attack)?;
        Ok(answers::verdicts(attack, extensions))
    }
}

register!(Hostile: preservation, compatibility, settings);
