//! Debian's changelog, made of the one that people read.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::release::{Release, VERSION, version_of};
use crate::run::{output, workspace};

/// What changed, in the form of <https://keepachangelog.com>.
const CHANGELOG: &str = "host/book/CHANGELOG.md";
/// Who made it. There is no address yet, and nobody else's may be said: see RFC 2606.
const MAINTAINER: &str = "The switch-root developers <switch-root@project.invalid>";
/// Columns of a line.
const WIDTH: usize = 78;

/// A release, as the changelog tells of it.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    version: String,
    /// As year, month and day.
    date: Option<String>,
    changes: Vec<String>,
}

/// The changelog for the packages.
///
/// # Errors
/// It cannot be read, or its newest release is another than this one.
pub fn debian(release: &Release) -> Result<String> {
    let path = workspace().join(CHANGELOG);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let releases = read(&text)?;
    let newest = releases.first().map(|newest| newest.version.as_str());
    ensure!(
        newest == Some(VERSION),
        "{CHANGELOG} begins with {}, and Cargo.toml has {VERSION}: they have to be the same",
        newest.unwrap_or("no release")
    );
    releases.iter().map(|told| entry(told, release)).collect()
}

fn entry(told: &Told, release: &Release) -> Result<String> {
    let version = version_of(&told.version);
    let mut text = format!("switch-root ({version}) unstable; urgency=medium\n\n");
    let none = [format!("Release {}.", told.version)];
    let changes = match told.changes.is_empty() {
        true => &none[..],
        false => &told.changes,
    };
    for change in changes {
        wrap(change, &mut text);
    }
    // The newest entry is what the packages are dated by.
    let date = match &told.date {
        Some(date) if told.version != VERSION => date.clone(),
        _ => format!("@{}", release.epoch),
    };
    let date = output(
        Command::new("date")
            .args(["--utc", "--rfc-email", "--date", &date])
            .env("LC_ALL", "C"),
    )?;
    text.push_str(&format!("\n -- {MAINTAINER}  {}\n\n", date.trim()));
    Ok(text)
}

/// Adds one change, as lines that begin as Debian's do.
fn wrap(change: &str, text: &mut String) {
    let options = textwrap::Options::new(WIDTH)
        .initial_indent("  * ")
        .subsequent_indent("    ")
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    text.push_str(&textwrap::fill(change, options));
    text.push('\n');
}

/// The releases of a changelog, newest first; without what is not released.
fn read(text: &str) -> Result<Vec<Told>> {
    let changelog = parse_changelog::parse(text).with_context(|| format!("reading {CHANGELOG}"))?;
    let releases = changelog.values();
    let released = releases.filter(|release| release.version != "Unreleased");
    Ok(released
        .map(|release| Told {
            version: release.version.to_owned(),
            date: release
                .title
                .split_once(" - ")
                .map(|(_, date)| date.to_owned()),
            changes: changes(release.notes),
        })
        .collect())
}

/// The items of the lists in the notes of a release, each as one line.
fn changes(notes: &str) -> Vec<String> {
    let mut changes: Vec<String> = Vec::new();
    for line in notes.lines() {
        if let Some(change) = line.strip_prefix("- ") {
            changes.push(change.to_owned());
        } else if let (Some(continued), Some(change)) =
            (line.strip_prefix("  "), changes.last_mut())
        {
            change.push(' ');
            change.push_str(continued.trim());
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_what_is_not_released_is_none() {
        let text = "# Changes\n\n## [Unreleased]\n\n- later\n\n## [0.2.0] - 2027-01-31\n\n### Added\n\n- one thing\n  on two lines\n- another\n\nText.\n\n## 0.1.0\n\n- first\n";
        let told = |version: &str, date: Option<&str>, changes: &[&str]| Told {
            version: version.into(),
            date: date.map(str::to_owned),
            changes: changes.iter().map(|change| (*change).to_owned()).collect(),
        };
        assert_eq!(
            read(text).unwrap(),
            [
                told(
                    "0.2.0",
                    Some("2027-01-31"),
                    &["one thing on two lines", "another"]
                ),
                told("0.1.0", None, &["first"]),
            ]
        );
    }

    #[test]
    fn the_newest_release_of_the_changelog_is_the_version_of_the_workspace() {
        let text = fs::read_to_string(workspace().join(CHANGELOG)).unwrap();
        assert_eq!(read(&text).unwrap()[0].version, VERSION);
    }

    #[test]
    fn lines_are_as_long_as_debians() {
        let mut text = String::new();
        wrap(&"word ".repeat(40), &mut text);
        assert!(text.starts_with("  * word word"));
        assert!(
            text.lines()
                .skip(1)
                .all(|line| line.starts_with("    word"))
        );
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert_eq!(text.matches("word").count(), 40);
    }

    #[test]
    fn debian_says_what_the_changelog_says() {
        let release = Release {
            dist: std::path::PathBuf::new(),
            architecture: switch_root_tests::architecture::Architecture::X86_64,
            epoch: 1_000_000_000,
        };
        let text = debian(&release).unwrap();
        assert!(text.starts_with(&format!(
            "switch-root ({}) ",
            crate::packages::release::version()
        )));
        assert!(text.contains(&format!(
            " -- {MAINTAINER}  Sun, 09 Sep 2001 01:46:40 +0000\n"
        )));
    }
}
