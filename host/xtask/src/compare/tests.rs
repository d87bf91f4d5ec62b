use switch_root_tests::results::{Budget, SCHEMA};

use super::*;

const TIME: Unit = Unit::Microseconds;

fn row(what: &str, unit: Unit, peer: Option<&str>, runs: &[f64]) -> Row {
    Row {
        what: what.into(),
        ours: !what.starts_with("peer"),
        unit,
        peer: peer.map(str::to_owned),
        runs: runs.to_vec(),
    }
}

fn results(processor: &str, rows: Vec<Row>) -> Results {
    Results {
        schema: SCHEMA,
        run: Run {
            commit: Some("0123456789abcdef".into()),
            changed: false,
            kernel: "7.0".into(),
            processor: processor.into(),
            processors: 2,
        },
        rows,
        budgets: Vec::new(),
    }
}

/// What becomes of one row, on machines of the same kind.
fn verdict(unit: Unit, old: &[f64], new: &[f64]) -> Verdict {
    let [old, new] = [old, new].map(|runs| results("a", vec![row("it", unit, None, runs)]));
    compare(&new.rows[0], &old, &new).unwrap().verdict
}

/// The line of the table that begins with something.
fn line_of<'a>(table: &'a str, start: &str) -> &'a str {
    let mut lines = table.lines().filter(|line| line.starts_with(start));
    let line = lines.next().unwrap_or_else(|| panic!("{start}:\n{table}"));
    assert!(lines.next().is_none(), "{start} is there twice:\n{table}");
    line
}

#[test]
fn what_is_better_depends_on_the_unit() {
    let (low, high) = ([1.0, 1.1, 1.2], [2.0, 2.1, 2.2]);
    for unit in [TIME, Unit::Bytes] {
        assert_eq!(verdict(unit, &low, &high), Verdict::Worse);
        assert_eq!(verdict(unit, &high, &low), Verdict::Better);
    }
    for unit in [Unit::FreedBytes, Unit::MillionPerSecond] {
        assert_eq!(verdict(unit, &low, &high), Verdict::Better);
        assert_eq!(verdict(unit, &high, &low), Verdict::Worse);
    }
    assert_eq!(verdict(TIME, &low, &low), Verdict::Same);
}

#[test]
fn ranges_that_overlap_are_noise_and_one_outlier_of_many_is_no_range() {
    assert_eq!(
        verdict(TIME, &[1.0, 2.0, 3.0], &[2.9, 3.5, 4.0]),
        Verdict::Noise
    );
    let steady = [1.0, 1.1, 1.0, 1.1, 1.0, 1.1];
    let slower = [2.0, 2.1, 2.0, 2.1, 2.0, 2.1];
    let with = |one: f64, others: [f64; 6]| [&others[..], &[one]].concat();
    assert_eq!(
        verdict(TIME, &with(9.0, steady), &with(0.5, slower)),
        Verdict::Worse
    );
    assert_eq!(
        verdict(TIME, &with(9.0, steady)[3..], &slower[3..]),
        Verdict::Noise
    );
}

#[test]
fn a_row_with_a_peer_is_judged_by_its_ratio_turn_by_turn() {
    // The second machine is three times slower, and had a slow moment in one turn.
    let rows = |ours: &[f64], peer: &[f64]| {
        vec![
            row("it", TIME, Some("peer: it"), ours),
            row("peer: it", TIME, None, peer),
            row("alone", TIME, None, ours),
            row("size", Unit::Bytes, None, &ours[..1]),
        ]
    };
    let old = results("fast", rows(&[10.0, 10.2, 10.1], &[10.0, 10.1, 10.2]));
    let new = results("slow", rows(&[20.0, 61.0, 20.1], &[30.0, 90.0, 30.2]));
    let table = table(&old, &new);
    let line = line_of(&table, "it ");
    assert!(
        line.ends_with("better") && line.contains("1.000 -> 0.667 -33.3%"),
        "{line}"
    );
    assert!(table.contains("machines are of different kinds"), "{table}");
    assert!(
        line_of(&table, "alone ").ends_with("another machine"),
        "{table}"
    );
    // A file is as large on any machine.
    assert!(line_of(&table, "size ").ends_with("WORSE"), "{table}");
    // Nothing is said against a peer.
    assert!(line_of(&table, "peer: it ").ends_with('%'), "{table}");
}

#[test]
fn a_peer_with_other_turns_is_compared_by_its_median() {
    let new = results(
        "a",
        vec![
            row("it", TIME, Some("peer: it"), &[4.0, 5.0]),
            row("peer: it", TIME, None, &[2.0, 1.0, 9.0]),
        ],
    );
    assert_eq!(ratios(&new.rows[0], &new), Some(vec![2.0, 2.5]));
    // Where the peer is missing, or took no time, there is no ratio.
    let alone = results("a", vec![row("it", TIME, Some("peer: it"), &[4.0])]);
    assert_eq!(ratios(&alone.rows[0], &alone), None);
    let zero = results(
        "a",
        vec![
            row("it", TIME, Some("peer: it"), &[4.0]),
            row("peer: it", TIME, None, &[0.0]),
        ],
    );
    assert_eq!(ratios(&zero.rows[0], &zero), None);
}

#[test]
fn rows_of_one_run_alone_and_budgets_that_changed_are_listed() {
    let budget = |met| Budget {
        what: "the size".into(),
        measured: if met { "2 MB" } else { "3 MB" }.into(),
        bar: "2.5 MB".into(),
        met,
    };
    let mut old = results("a", vec![row("gone", TIME, None, &[1.0])]);
    let mut new = results("a", vec![row("come", TIME, None, &[2000.0])]);
    (old.budgets, new.budgets) = (vec![budget(true)], vec![budget(false)]);
    let table = table(&old, &new);
    let place = |text: &str| {
        table
            .find(text)
            .unwrap_or_else(|| panic!("{text}:\n{table}"))
    };
    assert!(place("only in the old one") < place("gone"));
    assert!(place("gone") < place("only in the new one"));
    assert!(place("only in the new one") < place("come"));
    assert!(line_of(&table, "come").ends_with("2.00 ms"));
    assert!(table.contains("MISSED now: the size (3 MB, was 2 MB; the bar is 2.5 MB)"));
    assert!(table.starts_with("old: commit 0123456789ab, on Linux 7.0, 2 of a\n"));
}

#[test]
fn a_file_that_is_no_result_is_named_with_the_reason() {
    let path = std::env::temp_dir().join(format!("switch-root-compare-{}", std::process::id()));
    let missing = read(&path).unwrap_err();
    assert!(format!("{missing:#}").contains("reading the figures"));
    for (text, reason) in [("{}", "schema"), (r#"{"schema": 1}"#, "schema 1")] {
        std::fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.contains(reason) && error.contains(&path.display().to_string()),
            "{error}"
        );
    }
    std::fs::remove_file(&path).unwrap();
}
