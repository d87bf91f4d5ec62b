//! `cargo xtask bench --compare`: what changed between two runs of the bench.
//!
//! Times of two machines, or of one at two moments, differ for reasons that are not the
//! program's. So a row that was measured beside a peer, in turns, is judged by its ratio
//! to the peer, run by run; and two rows differ only where their ranges do not overlap.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use switch_root_tests::results::{Results, Row, Run, Unit, median};

/// From so many runs on the lowest and the highest are left out of the range.
const TRIMMED_FROM: usize = 7;

/// Prints what changed.
///
/// # Errors
/// A file that cannot be read.
pub fn print(old: &Path, new: &Path) -> Result<()> {
    print!("{}", table(&read(old)?, &read(new)?));
    Ok(())
}

fn read(path: &Path) -> Result<Results> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("reading the figures {}", path.display()))?;
    Results::parse(&text).map_err(|error| anyhow!("{} {error}", path.display()))
}

/// Figures that are judged: those of a row, or their ratios to a peer's.
struct Sample {
    middle: f64,
    low: f64,
    high: f64,
}

impl Sample {
    /// None of no figures.
    fn of(figures: &[f64]) -> Option<Self> {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let inner = match sorted.len() {
            TRIMMED_FROM.. => &sorted[1..sorted.len() - 1],
            _ => &sorted[..],
        };
        Some(Self {
            middle: median(sorted.iter().copied())?,
            low: *inner.first()?,
            high: *inner.last()?,
        })
    }

    /// How far the range reaches from the middle, in percent of it.
    fn spread(&self) -> f64 {
        let reach = (self.high - self.middle).max(self.middle - self.low);
        match self.middle > 0.0 {
            true => reach / self.middle * 100.0,
            false => 0.0,
        }
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Same,
    Noise,
    Better,
    Worse,
    /// Nothing can be said: the machines are of different kinds.
    OtherMachine,
}

impl Verdict {
    fn of(old: &Sample, new: &Sample, unit: Unit) -> Self {
        if old.middle == new.middle {
            Self::Same
        } else if old.low <= new.high && new.low <= old.high {
            Self::Noise
        } else if (new.middle < old.middle) == unit.lower_is_better() {
            Self::Better
        } else {
            Self::Worse
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Same => "the same",
            Self::Noise => "within noise",
            Self::Better => "better",
            Self::Worse => "WORSE",
            Self::OtherMachine => "another machine",
        }
    }
}

/// The ratios to the peer's figures of the same turn; to their median where there are
/// more or fewer of these.
fn ratios(row: &Row, results: &Results) -> Option<Vec<f64>> {
    let peer = results.row(row.peer.as_ref()?)?;
    let middle = median(peer.runs.iter().copied())?;
    let in_turns = peer.runs.len() == row.runs.len();
    let ratio = |(turn, run): (usize, &f64)| run / if in_turns { peer.runs[turn] } else { middle };
    let ratios: Vec<f64> = row.runs.iter().enumerate().map(ratio).collect();
    ratios
        .iter()
        .all(|ratio| ratio.is_finite())
        .then_some(ratios)
}

/// One row of both runs, compared.
struct Compared<'a> {
    row: &'a Row,
    old: Sample,
    new: Sample,
    ratios: Option<(Sample, Sample)>,
    verdict: Verdict,
}

fn compare<'a>(row: &'a Row, old: &Results, new: &Results) -> Option<Compared<'a>> {
    let before = old.row(&row.what)?;
    let ratios = ratios(before, old).zip(ratios(row, new));
    let ratios = ratios.and_then(|(before, after)| Sample::of(&before).zip(Sample::of(&after)));
    let (was, is) = Sample::of(&before.runs).zip(Sample::of(&row.runs))?;
    let verdict = match &ratios {
        Some((was, is)) => Verdict::of(was, is, row.unit),
        None if row.unit.depends_on_the_machine()
            && !old.run.on_the_same_kind_of_machine(&new.run) =>
        {
            Verdict::OtherMachine
        }
        None => Verdict::of(&was, &is, row.unit),
    };
    Some(Compared {
        row,
        old: was,
        new: is,
        ratios,
        verdict,
    })
}

/// The whole comparison, for people.
fn table(old: &Results, new: &Results) -> String {
    let mut text = format!("old: {}\nnew: {}\n", source(&old.run), source(&new.run));
    if !old.run.on_the_same_kind_of_machine(&new.run) {
        text.push_str(
            "The machines are of different kinds: times can be compared only beside a peer's.\n",
        );
    }
    for (ours, title) in [(true, "ours"), (false, "peers, which show the machine")] {
        let compared: Vec<_> = new
            .rows
            .iter()
            .filter(|row| row.ours == ours)
            .filter_map(|row| compare(row, old, new))
            .collect();
        if !compared.is_empty() {
            let _ = writeln!(
                text,
                "\n{title:<62} {:>18} {:>18} {:>9}  {:<26}",
                "old", "new", "change", "of the peer"
            );
            compared.iter().for_each(|it| line(&mut text, it));
        }
    }
    for (name, here, there) in [("old", old, new), ("new", new, old)] {
        let alone: Vec<_> = here
            .rows
            .iter()
            .filter(|row| there.row(&row.what).is_none())
            .collect();
        if !alone.is_empty() {
            let _ = writeln!(text, "\nonly in the {name} one:");
        }
        for row in alone {
            let middle = median(row.runs.iter().copied()).unwrap_or(f64::NAN);
            let _ = writeln!(text, "{:<62} {:>18}", row.what, row.unit.shown(middle));
        }
    }
    budgets(&mut text, old, new);
    text.push_str(
        "\nA figure is the median; +- is how far other runs were from it. Rows with a peer are judged by\nwhat they are of it. Within noise are those whose ranges overlap.\n",
    );
    text
}

fn line(text: &mut String, it: &Compared<'_>) {
    let shown = |sample: &Sample| {
        let spread = sample.spread();
        format!("{} +-{spread:>2.0}%", it.row.unit.shown(sample.middle))
    };
    let change = |old: &Sample, new: &Sample| match old.middle > 0.0 {
        true => format!("{:+.1}%", (new.middle / old.middle - 1.0) * 100.0),
        false => "-".into(),
    };
    let beside = match &it.ratios {
        Some((old, new)) => format!(
            "{:.3} -> {:.3} {}",
            old.middle,
            new.middle,
            change(old, new)
        ),
        None => String::new(),
    };
    // What became of a peer is not ours to judge.
    let verdict = if it.row.ours { it.verdict.text() } else { "" };
    let line = format!(
        "{:<62} {:>18} {:>18} {:>9}  {beside:<26} {verdict}",
        it.row.what,
        shown(&it.old),
        shown(&it.new),
        change(&it.old, &it.new),
    );
    let _ = writeln!(text, "{}", line.trim_end());
}

/// Budgets that are met by one of the two alone.
fn budgets(text: &mut String, old: &Results, new: &Results) {
    for budget in &new.budgets {
        let before = old.budgets.iter().find(|it| it.what == budget.what);
        if let Some(before) = before.filter(|before| before.met != budget.met) {
            let _ = writeln!(
                text,
                "\nbudget {}: {} ({}, was {}; the bar is {})",
                if budget.met { "met now" } else { "MISSED now" },
                budget.what,
                budget.measured,
                before.measured,
                budget.bar
            );
        }
    }
}

fn source(run: &Run) -> String {
    let commit = match &run.commit {
        Some(commit) => format!("commit {}", commit.get(..12).unwrap_or(commit)),
        None => "an unknown commit".into(),
    };
    let changed = if run.changed { " with changes" } else { "" };
    format!(
        "{commit}{changed}, on Linux {}, {} of {}",
        run.kernel, run.processors, run.processor
    )
}

#[cfg(test)]
mod tests;
