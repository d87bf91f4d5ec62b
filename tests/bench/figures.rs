//! Figures, as a table for people and as JSON for programs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::race::Race;
use crate::subjects::{FULL, SMALL};

/// All that was measured.
#[derive(Default)]
pub struct Figures {
    sizes: Vec<(String, u64)>,
    /// By files, then by subject, in the order of the first run.
    races: BTreeMap<u32, Vec<(String, Vec<Race>)>>,
    bare: BTreeMap<u32, Vec<f64>>,
    budgets: Vec<Budget>,
    more: BTreeMap<&'static str, Value>,
}

/// One row of DESIGN.md's table of budgets.
struct Budget {
    what: String,
    measured: String,
    bar: String,
    met: bool,
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

    /// Single runs of something else, for the JSON.
    pub fn more(&mut self, name: &'static str, runs: Value) {
        self.more.insert(name, runs);
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
        println!("\n{:<64} {:>28}   bar", "budget", "measured");
        for budget in &self.budgets {
            let mark = if budget.met { "met   " } else { "MISSED" };
            println!(
                "{:<64} {:>28}   {:<30} {mark}",
                budget.what, budget.measured, budget.bar
            );
        }
    }

    /// The same for programs: medians, and every single run.
    pub fn json(&self) -> String {
        let races: BTreeMap<String, Value> = self
            .races
            .iter()
            .map(|(files, subjects)| {
                let subjects: BTreeMap<&str, Value> = subjects
                    .iter()
                    .map(|(name, races)| {
                        let all =
                            |figure: fn(&Race) -> f64| races.iter().map(figure).collect::<Vec<_>>();
                        let value = json!({
                            "to_init_us": all(|race| race.to_init),
                            "to_deleted_us": all(|race| race.to_deleted),
                            "peak_kib": all(|race| race.peak_kib),
                        });
                        (name.as_str(), value)
                    })
                    .collect();
                (files.to_string(), json!(subjects))
            })
            .collect();
        let sizes: BTreeMap<&str, u64> = self
            .sizes
            .iter()
            .map(|(name, bytes)| (name.as_str(), *bytes))
            .collect();
        let bare: BTreeMap<String, &Vec<f64>> = self
            .bare
            .iter()
            .map(|(files, times)| (files.to_string(), times))
            .collect();
        let budgets: Vec<Value> = self
            .budgets
            .iter()
            .map(|budget| json!({"what": budget.what, "measured": budget.measured, "bar": budget.bar, "met": budget.met}))
            .collect();
        let ours = [FULL, SMALL];
        let figures = json!({"schema": 1, "ours": ours, "bytes": sizes, "files": races, "bare_loop_us": bare, "more": self.more, "budgets": budgets});
        format!("{figures:#}\n")
    }
}

/// The middle of some figures; none where there is none.
pub fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}
