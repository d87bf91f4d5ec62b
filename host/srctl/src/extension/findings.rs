//! What is wrong with extensions, for people and for programs.

use extension::validate::{Finding, Severity};
use serde_json::{Value, json};

use crate::style::{Stream, Tone, paint};

/// One line for each finding, as it goes to a stream.
pub fn text(findings: &[Finding], stream: Stream) -> String {
    findings
        .iter()
        .map(|finding| {
            let tone = match finding.severity {
                Severity::Error => Tone::Bad,
                Severity::Warning => Tone::Caution,
            };
            format!(
                "{}: {}: {}: {} [{}]\n",
                paint(stream, tone, word(finding.severity)),
                finding.extension,
                finding.path,
                finding.message,
                finding.rule
            )
        })
        .collect()
}

/// The same as JSON.
pub fn json(findings: &[Finding]) -> Value {
    findings
        .iter()
        .map(|finding| {
            json!({
                "severity": word(finding.severity),
                "extension": finding.extension,
                "path": finding.path,
                "rule": finding.rule,
                "code": finding.code,
                "message": finding.message,
            })
        })
        .collect()
}

/// Whether one of them keeps an extension from being packed.
pub fn any_error(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
