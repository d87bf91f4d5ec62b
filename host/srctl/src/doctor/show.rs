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
            _ if is_unknown(finding) => (Tone::Caution, "unknown"),
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
    let number = |severity: Severity, unknown: bool| {
        let findings = examination.findings.iter();
        let such = |one: &&Finding| one.severity == severity && is_unknown(one) == unknown;
        findings.filter(such).count() as u64
    };
    let sum: Vec<String> = [
        (number(Severity::Problem, false), "problem", "problems"),
        (number(Severity::Warning, false), "warning", "warnings"),
        (number(Severity::Warning, true), "unknown", "unknown"),
    ]
    .into_iter()
    .filter(|(number, ..)| *number > 0)
    .map(|(number, one, many)| count(number, one, many))
    .collect();
    let sum = match sum.is_empty() {
        true => paint(Stream::Output, Tone::Good, "all is well"),
        false => sum.join(" and "),
    };
    let _ = writeln!(text, "\n{sum}");
    text
}

/// Whether it is shown, and counted, as what is not known. A problem is one either way.
fn is_unknown(finding: &Finding) -> bool {
    finding.unknown && finding.severity == Severity::Warning
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
