//! A policy that uses everything in the contract: it exports every interface, imports `log`, and
//! gives every decision and every verdict, each for the name that asks for it.
//!
//! What it is told it repeats where tests can compare it: its settings in an error, the machine and
//! the extension in the reason of `incompatible`.

use switch_root_policy::{
    Compatibility, Decision, Entry, Extension, HostFacts, Preservation, Settings, Verdict, log,
    register,
};

struct EveryAnswer;

impl Settings for EveryAnswer {
    fn configure(json: &str) -> Result<(), String> {
        match json {
            "{}" => Ok(()),
            other => Err(format!("settings are {other}, and not {{}}")),
        }
    }
}

impl Preservation for EveryAnswer {
    fn review(directory: &[u8], entries: &[Entry]) -> Result<Vec<Decision>, String> {
        log::error("an error");
        log::warn("a warning");
        log::info("a notice");
        log::debug("a detail");
        let answer = |entry: &Entry| match entry.name.as_slice() {
            b"keep" => Ok(Decision::Keep),
            b"carry" => Ok(Decision::Carry(b"/etc/carried".to_vec())),
            b"descend" => Ok(Decision::Descend),
            b"error" => Err(format!("no opinion in {directory:?} on {entry:?}")),
            _ => Ok(Decision::Delete),
        };
        entries.iter().map(answer).collect()
    }
}

impl Compatibility for EveryAnswer {
    fn review(host: &HostFacts, extensions: &[Extension]) -> Result<Vec<Verdict>, String> {
        let answer = |extension: &Extension| match extension.name.as_str() {
            "compatible" => Ok(Verdict::Compatible),
            "incompatible" => Ok(Verdict::Incompatible(format!("{host:?} {extension:?}"))),
            "error" => Err("no opinion".into()),
            _ => Ok(Verdict::Abstain),
        };
        extensions.iter().map(answer).collect()
    }
}

register!(EveryAnswer: preservation, compatibility, settings);
