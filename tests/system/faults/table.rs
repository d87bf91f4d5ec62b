//! The table of calls, errors and outcomes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use switch_root_tests::fault::Call;

/// The outcomes by call: what happened, and what it came to.
#[derive(Default)]
pub struct Table {
    rows: BTreeMap<usize, (String, BTreeMap<String, Vec<String>>)>,
}

impl Table {
    /// Adds one cell. `place` is the place of the call among all of the run.
    pub fn add(&mut self, place: usize, call: &Call, phase: &str, what: String, outcome: String) {
        let process = match call.process {
            0 => "host".to_owned(),
            1 => "judge".to_owned(),
            2 => "deletion".to_owned(),
            other => format!("child {other}"),
        };
        let Call {
            number,
            name,
            argument,
            ..
        } = call;
        let title = format!("{phase:7} {process:8} {number:4} {name} {argument}");
        let (_, outcomes) = self.rows.entry(place).or_insert((title, BTreeMap::new()));
        outcomes.entry(outcome).or_default().push(what);
    }

    /// Adds a call that has no error of which something could be said.
    pub fn none(&mut self, place: usize, call: &Call, phase: &str) {
        self.add(place, call, phase, "-".into(), "cannot fail".into());
    }

    /// How many cells have which outcome.
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for (outcome, errors) in self.rows.values().flat_map(|(_, outcomes)| outcomes) {
            *counts.entry(outcome.as_str()).or_default() += errors.len();
        }
        counts
    }

    /// Writes the table into a file of the folder `target/prove`.
    ///
    /// # Errors
    /// What cannot be made or written.
    pub fn write(&self, name: &str) -> std::io::Result<()> {
        let mut text = String::new();
        for (outcome, count) in self.counts() {
            let _ = writeln!(text, "{count:6} {outcome}");
        }
        text.push('\n');
        for (title, outcomes) in self.rows.values() {
            let outcomes: Vec<String> = outcomes
                .iter()
                .map(|(outcome, errors)| format!("{} -> {outcome}", errors.join(" ")))
                .collect();
            let _ = writeln!(text, "{title}: {}", outcomes.join("; "));
        }
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Above it is a folder of the machine's type, where one was named.
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        let target = temporary
            .ancestors()
            .find(|folder| folder.file_name().is_some_and(|name| name == "target"))
            .unwrap_or(&target);
        let folder = target.join("prove/faults");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{name}.txt")), text)
    }
}
