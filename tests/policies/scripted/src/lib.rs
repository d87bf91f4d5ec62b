//! A policy that answers what its settings say for each path: `delete`, unless they say
//! something else. A path is written in hexadecimal digits, since it may be any bytes:
//! `{"answers": {"2f657463": "keep", "2f61": "descend", "2f62": "/etc/carried"}}`. An
//! answer that begins with a slash is where the path is carried to.

use std::collections::BTreeMap;
use std::fmt::Write;

use switch_root_policy::{Configuration, Decision, Entry, Preservation, Settings, register};

struct Scripted;

/// Answers by path, in hexadecimal digits.
type Answers = BTreeMap<String, BTreeMap<String, String>>;

static ANSWERS: Configuration<Answers> = Configuration::new();

impl Settings for Scripted {
    fn configure(json: &str) -> Result<(), String> {
        ANSWERS.set_json(json)
    }
}

impl Preservation for Scripted {
    fn review(directory: &[u8], entries: &[Entry]) -> Result<Vec<Decision>, String> {
        let settings = ANSWERS.get()?;
        let answers = settings.get("answers").ok_or("there are no answers")?;
        let answer = |entry: &Entry| {
            let path = hexadecimal(&entry.path(directory));
            match answers.get(&path).map(String::as_str) {
                None | Some("delete") => Ok(Decision::Delete),
                Some("keep") => Ok(Decision::Keep),
                Some("descend") => Ok(Decision::Descend),
                Some("error") => Err("its settings say so".to_owned()),
                Some(target) => Ok(Decision::Carry(target.into())),
            }
        };
        entries.iter().map(answer).collect()
    }
}

fn hexadecimal(path: &[u8]) -> String {
    path.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

register!(Scripted: preservation, settings);
