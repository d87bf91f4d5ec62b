//! Findings, as they are printed.

use std::fmt::Write;

use serde_json::{Value, json};
use switch_root_core::error::Result;
use switch_root_core::escape;
use switch_root_core::text::count;

use super::examination::Examination;
use super::finding::{Finding, Severity};
use crate::input::shown;
use crate::print::value;
use crate::streams;
use crate::style::{Stream, Tone, paint};

/// The version of the document that is printed as JSON. Fields and checks may be added
/// within one version.
const SCHEMA: u32 = 1;
/// The most of a text that is shown, in bytes.
const TEXT: usize = 4096;

/// Findings for people.
pub fn text(examination: &Examination) -> String {
    let mut text = String::new();
    if let Some(root) = &examination.root {
        let _ = writeln!(text, "machine  {}", shown(root));
    }
    for image in &examination.images {
        let _ = writeln!(text, "image    {}", streams::renamed(&shown(image)));
    }
    for finding in &examination.findings {
        let (tone, word) = match finding.severity {
            Severity::Ok => (Tone::Good, "ok"),
            Severity::Note => (Tone::Heading, "note"),
            Severity::Warning => (Tone::Caution, "warning"),
            Severity::Problem => (Tone::Bad, "problem"),
        };
        let padding = " ".repeat(9 - word.len());
        let _ = writeln!(
            text,
            "{}{padding}{} {}",
            paint(Stream::Output, tone, word),
            line(&finding.about),
            line(&finding.message)
        );
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "         -> {}", line(remedy));
        }
    }
    let number = |severity: Severity| {
        let findings = examination.findings.iter();
        findings.filter(|one| one.severity == severity).count()
    };
    let unknown = examination
        .findings
        .iter()
        .filter(|one| one.unknown)
        .count();
    let mut sum = Vec::new();
    for (number, one, many) in [
        (number(Severity::Problem), "problem", "problems"),
        (
            number(Severity::Warning).saturating_sub(unknown),
            "warning",
            "warnings",
        ),
    ] {
        if number > 0 {
            sum.push(count(number as u64, one, many));
        }
    }
    if unknown > 0 {
        sum.push(format!(
            "{} not examined",
            count(unknown as u64, "thing", "things")
        ));
    }
    let sum = match sum.is_empty() {
        true => paint(Stream::Output, Tone::Good, "all is well"),
        false => sum.join(" and "),
    };
    let _ = writeln!(text, "\n{sum}");
    text
}

/// Findings for programs.
pub fn json(examination: &Examination) -> Result<Value> {
    let worst = examination
        .findings
        .iter()
        .map(|one: &Finding| one.severity);
    let mut value = json!({
        "schema": SCHEMA,
        "root": examination.root.as_deref().map(shown),
        "image": examination.images.first().map(|path| streams::renamed(&shown(path))),
        "images": examination
            .images
            .iter()
            .map(|path| streams::renamed(&shown(path)))
            .collect::<Vec<_>>(),
        "worst": value(&worst.max().unwrap_or(Severity::Ok))?,
        "findings": value(&examination.findings)?,
    });
    streams::rename(&mut value);
    Ok(value)
}

/// What comes from files cannot control the terminal, or look like another line.
fn line(text: &str) -> String {
    escape::message(text, TEXT)
}
