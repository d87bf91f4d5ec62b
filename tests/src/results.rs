//! What `cargo xtask bench --json` writes: the figures of one run, and what the run was of.

use serde::{Deserialize, Serialize};

/// The version of the format; a file of another one is not read.
pub const SCHEMA: u64 = 2;

/// The figures of one run of the bench.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u64,
    /// What was measured, and where.
    pub run: Run,
    /// What was measured, each `what` once.
    pub rows: Vec<Row>,
    /// The table of budgets.
    pub budgets: Vec<Budget>,
}

/// What identifies a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The commit of the source, in full, where git knows it.
    pub commit: Option<String>,
    /// Whether the source had changes that are in no commit.
    pub changed: bool,
    /// `uname -r` of the machine.
    pub kernel: String,
    /// The machine's processor, as it calls itself.
    pub processor: String,
    /// How many of them there are.
    pub processors: usize,
}

impl Run {
    /// Whether both were measured on machines of the same kind, so that times can be
    /// compared.
    pub fn on_the_same_kind_of_machine(&self, other: &Self) -> bool {
        (&self.kernel, &self.processor, self.processors)
            == (&other.kernel, &other.processor, other.processors)
    }
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Time; less is better.
    Microseconds,
    /// Of a file or of memory; less is better.
    Bytes,
    /// Memory that is free afterwards, in bytes; more is better.
    FreedBytes,
    /// Millions of entries in a second; more is better.
    MillionPerSecond,
    /// Of anything; less is better.
    Count,
}

impl Unit {
    /// Whether the lower figure is the better one.
    pub fn lower_is_better(self) -> bool {
        matches!(self, Self::Microseconds | Self::Bytes | Self::Count)
    }

    /// A figure with its unit, in four digits or so.
    pub fn shown(self, value: f64) -> String {
        match self {
            Self::Microseconds if value >= 1e6 => format!("{:.2} s", value / 1e6),
            Self::Microseconds if value >= 1e3 => format!("{:.2} ms", value / 1e3),
            Self::Microseconds => format!("{value:.1} us"),
            Self::Bytes | Self::FreedBytes if value >= 1e6 => format!("{:.2} MB", value / 1e6),
            Self::Bytes | Self::FreedBytes => format!("{:.1} kB", value / 1e3),
            Self::MillionPerSecond => format!("{value:.2} M/s"),
            Self::Count => format!("{value:.0}"),
        }
    }

    /// Whether figures of two kinds of machines say nothing about each other.
    pub fn depends_on_the_machine(self) -> bool {
        matches!(self, Self::Microseconds | Self::MillionPerSecond)
    }
}

/// One thing that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What, in words that are the same in every run.
    pub what: String,
    /// Whether it is about this project, and not about a peer.
    pub ours: bool,
    /// What the figures count.
    pub unit: Unit,
    /// The row of the peer that this one is measured beside, in turns.
    pub peer: Option<String>,
    /// The figure of each run, in their order; never empty.
    pub runs: Vec<f64>,
}

/// One row of DESIGN.md's table of budgets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// What is bounded.
    pub what: String,
    /// What was measured, in words.
    pub measured: String,
    /// The bar, in words.
    pub bar: String,
    /// Whether the one is within the other.
    pub met: bool,
}

impl Results {
    /// The row about something.
    pub fn row(&self, what: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.what == what)
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// What follows the name of the file in a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        /// What files of all versions have.
        #[derive(Deserialize)]
        struct Version {
            schema: u64,
        }
        let version: Version = serde_json::from_str(text)
            .map_err(|error| format!("is no result of `cargo xtask bench --json`: {error}"))?;
        if version.schema != SCHEMA {
            return Err(format!(
                "has figures of schema {}, and this program reads schema {SCHEMA}; measure that commit again with the bench of this one",
                version.schema
            ));
        }
        let results: Self =
            serde_json::from_str(text).map_err(|error| format!("is damaged: {error}"))?;
        for row in &results.rows {
            let wrong = match () {
                () if row.runs.is_empty() => "no run",
                () if row.runs.iter().any(|run| *run < 0.0) => "a figure below 0",
                () if results.rows.iter().filter(|it| it.what == row.what).count() > 1 => {
                    "more than one row"
                }
                () => continue,
            };
            return Err(format!("is damaged: `{}` has {wrong}", row.what));
        }
        Ok(results)
    }
}

/// The middle of some figures; none where there is none.
pub fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        Results {
            schema: SCHEMA,
            run: Run {
                commit: None,
                changed: true,
                kernel: "7.0".into(),
                processor: "some".into(),
                processors: 2,
            },
            rows: vec![Row {
                what: "some time".into(),
                ours: true,
                unit: Unit::Microseconds,
                peer: None,
                runs: vec![1.5, 2.5],
            }],
            budgets: Vec::new(),
        }
    }

    fn error(results: &Results) -> String {
        Results::parse(&serde_json::to_string(results).unwrap()).unwrap_err()
    }

    #[test]
    fn what_was_written_is_read_again() {
        let results = results();
        let text = serde_json::to_string(&results).unwrap();
        assert_eq!(Results::parse(&text), Ok(results));
    }

    #[test]
    fn files_of_another_kind_are_refused_with_the_reason() {
        let text = serde_json::to_string(&results()).unwrap();
        let cut = Results::parse(&text[..text.len() / 2]).unwrap_err();
        assert!(cut.contains("no result of `cargo xtask bench"), "{cut}");
        let other = error(&Results {
            schema: 1,
            ..results()
        });
        assert!(other.contains("schema 1"), "{other}");
        let unknown = Results::parse(&text.replace("\"ours\"", "\"mine\"")).unwrap_err();
        assert!(
            unknown.contains("damaged") && unknown.contains("mine"),
            "{unknown}"
        );
        let mut empty = results();
        empty.rows[0].runs.clear();
        assert!(error(&empty).contains("`some time` has no run"));
        let mut twice = results();
        twice.rows.push(twice.rows[0].clone());
        assert!(error(&twice).contains("more than one row"));
    }
}
