//! Figures, as a table for people and as JSON for programs.

use std::collections::BTreeMap;

use switch_root_tests::results::{Budget, Results, Row, SCHEMA, Unit, median};

use crate::race::{Race, deletion_time};
use crate::run::this_run;
use crate::subjects::{FULL, PEER, SMALL};

/// All that was measured.
#[derive(Default)]
pub struct Figures {
    sizes: Vec<(String, u64)>,
    /// By files, then by subject, in the order of the first run.
    races: BTreeMap<u32, Vec<(String, Vec<Race>)>>,
    bare: BTreeMap<u32, Vec<f64>>,
    budgets: Vec<Budget>,
    more: Vec<Row>,
}

impl Figures {
    /// The size of a program.
    pub fn size(&mut self, subject: &str, bytes: u64) {
        self.sizes.push((subject.to_owned(), bytes));
    }

    /// One run of a subject.
    pub fn race(&mut self, files: u32, subject: &str, race: Race) {
        let subjects = self.races.entry(files).or_default();
        match subjects.iter_mut().find(|(name, _)| name == subject) {
            Some((_, races)) => races.push(race),
            None => subjects.push((subject.to_owned(), vec![race])),
        }
    }

    /// One run of the bare loop.
    pub fn bare(&mut self, files: u32, time: f64) {
        self.bare.entry(files).or_default().push(time);
    }

    /// One budget: what was measured, and whether that is within the bar.
    pub fn budget(&mut self, what: &str, measured: String, bar: &str, met: bool) {
        self.budgets.push(Budget {
            what: what.into(),
            measured,
            bar: bar.into(),
            met,
        });
    }

    /// Single runs of something else, for the JSON; `peer` is what a peer took for the
    /// same.
    pub fn more(&mut self, what: &str, unit: Unit, runs: Vec<f64>, peer: Option<Vec<f64>>) {
        let row = |what: String, ours, peer, runs| Row {
            what,
            ours,
            unit,
            peer,
            runs,
        };
        let of_peers = format!("{what}, by the peers");
        let named = peer.is_some().then(|| of_peers.clone());
        self.more.push(row(what.into(), true, named, runs));
        if let Some(peer) = peer {
            self.more.push(row(of_peers, false, None, peer));
        }
    }

    /// The median of something over the runs of a subject.
    pub fn median(&self, files: u32, subject: &str, figure: impl Fn(&Race) -> f64) -> Option<f64> {
        let (_, races) = self
            .races
            .get(&files)?
            .iter()
            .find(|(name, _)| name == subject)?;
        median(races.iter().map(figure))
    }

    /// The median of the bare loop.
    pub fn bare_median(&self, files: u32) -> Option<f64> {
        median(self.bare.get(&files)?.iter().copied())
    }

    /// The size of a program in bytes.
    pub fn bytes(&self, subject: &str) -> Option<u64> {
        self.sizes
            .iter()
            .find(|(name, _)| name == subject)
            .map(|(_, bytes)| *bytes)
    }

    /// The table for people.
    pub fn print(&self) {
        for (files, subjects) in &self.races {
            println!(
                "\n{files} files          init runs after     all deleted after    peak memory    program"
            );
            for (name, _) in subjects {
                let figure = |figure: fn(&Race) -> f64| {
                    self.median(*files, name, figure).unwrap_or(f64::NAN)
                };
                println!(
                    "{name:<18} {:>12.2} ms {:>18.1} ms {:>10.1} MiB {:>8.2} MB",
                    figure(|race| race.to_init) / 1e3,
                    figure(|race| race.to_deleted) / 1e3,
                    figure(|race| race.peak_kib) / 1024.0,
                    self.bytes(name).unwrap_or(0) as f64 / 1e6,
                );
            }
            if let Some(bare) = self.bare_median(*files) {
                println!("{:<18} {:>15} {:>18.1} ms", "bare loop", "", bare / 1e3);
            }
        }
        if !self.more.is_empty() {
            println!("\n{:<80} {:>12}", "also measured", "median");
        }
        for row in &self.more {
            let median = median(row.runs.iter().copied()).unwrap_or(f64::NAN);
            println!("{:<80} {:>12}", row.what, row.unit.shown(median));
        }
        println!("\n{:<64} {:>28}   bar", "budget", "measured");
        for budget in &self.budgets {
            let mark = if budget.met { "met   " } else { "MISSED" };
            println!(
                "{:<64} {:>28}   {:<30} {mark}",
                budget.what, budget.measured, budget.bar
            );
        }
    }

    /// The same for programs: every single run.
    ///
    /// # Errors
    /// What cannot be learnt of this machine.
    pub fn json(self) -> Result<String, String> {
        let results = Results {
            schema: SCHEMA,
            run: this_run()?,
            rows: self.rows(),
            budgets: self.budgets,
        };
        let text = serde_json::to_string_pretty(&results).map_err(|error| error.to_string())?;
        Ok(text + "\n")
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (name, bytes) in &self.sizes {
            rows.push(Row {
                what: format!("{name}: size"),
                ours: is_ours(name),
                unit: Unit::Bytes,
                peer: None,
                runs: vec![*bytes as f64],
            });
        }
        for (files, subjects) in &self.races {
            let bare = self.bare.get(files).map(|runs| Row {
                what: format!("a bare loop deletes {files} files"),
                ours: false,
                unit: Unit::Microseconds,
                peer: None,
                runs: runs.clone(),
            });
            for (name, races) in subjects {
                rows.extend(of_a_subject(*files, name, races, bare.as_ref()));
            }
            rows.extend(bare);
        }
        rows.extend(self.more.iter().cloned());
        // A figure that could not be had is no figure.
        for row in &mut rows {
            row.runs.retain(|run| run.is_finite());
        }
        rows.retain(|row| !row.runs.is_empty());
        rows
    }
}

fn is_ours(subject: &str) -> bool {
    [FULL, SMALL].contains(&subject)
}

/// The rows about one subject; of ours those with what it is compared with.
fn of_a_subject(files: u32, name: &str, races: &[Race], bare: Option<&Row>) -> Vec<Row> {
    let until_init = |name: &str| format!("{name}: exec to exec of init, {files} files");
    let row = |what: String, unit, peer, figure: fn(&Race) -> f64| Row {
        what,
        ours: is_ours(name),
        unit,
        peer,
        runs: races.iter().map(figure).collect(),
    };
    let peer = is_ours(name).then(|| until_init(PEER));
    let mut rows = vec![
        row(until_init(name), Unit::Microseconds, peer, |race| {
            race.to_init
        }),
        row(
            format!("{name}: exec until {files} files are deleted"),
            Unit::Microseconds,
            None,
            |race| race.to_deleted,
        ),
        row(
            format!("{name}: peak memory, {files} files"),
            Unit::Bytes,
            None,
            |race| race.peak_kib * 1024.0,
        ),
    ];
    if is_ours(name) {
        rows.push(row(
            format!("{name}: deletion of {files} files"),
            Unit::Microseconds,
            bare.map(|bare| bare.what.clone()),
            deletion_time,
        ));
    }
    rows
}
