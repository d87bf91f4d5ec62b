//! Findings as they come, without end neither for a rule nor for a message.

use std::collections::{BTreeMap, HashMap};

use switch_root_core::error::Words;
use switch_root_core::escape;
use switch_root_core::outcome::{Message, Outcomes};

use super::finding::{Finding, Severity};

switch_root_core::outcomes! {
    /// What else was found.
    pub enum More in "extension-findings" {
        /// A mistake in a build is made for every file. The first ones are listed.
        "SR-Y40" Same { count: usize } = "the same {count} times more",
    }
}

/// How many findings of one rule are told of one extension: a mistake in a build
/// is made for every file.
const TOLD: usize = 100;

/// How long a message may be, in bytes.
const LENGTH: usize = 1000;

/// What was found until now.
#[derive(Default)]
pub(super) struct Collector {
    extension: String,
    findings: Vec<Finding>,
    /// How many there are of a rule, told or not, by extension.
    counts: BTreeMap<(String, &'static str, Severity), usize>,
}

impl Collector {
    /// What is found from now on is about this extension.
    pub(super) fn of(&mut self, extension: &str) {
        extension.clone_into(&mut self.extension);
    }

    /// Something that must not be. `path` is one that is fit for a terminal.
    pub(super) fn error(&mut self, rule: &'static str, path: &str, what: impl Words) {
        self.add(Severity::Error, rule, path, what.message());
    }

    /// Something that should not be.
    pub(super) fn warning(&mut self, rule: &'static str, path: &str, what: impl Words) {
        self.add(Severity::Warning, rule, path, what.message());
    }

    fn add(&mut self, severity: Severity, rule: &'static str, path: &str, what: Message) {
        let key = (self.extension.clone(), rule, severity);
        let count = self.counts.entry(key).or_default();
        *count += 1;
        if *count <= TOLD {
            self.findings.push(Finding {
                severity,
                extension: self.extension.clone(),
                path: path.into(),
                rule,
                code: what.code,
                message: escape::message(&what.text, LENGTH),
            });
        }
    }

    /// All findings, in the order of the extensions; where a rule has more than
    /// are told, the last one says how many.
    pub(super) fn finish<'n>(mut self, order: impl Iterator<Item = &'n str>) -> Vec<Finding> {
        for ((extension, rule, severity), count) in self.counts {
            if count > TOLD {
                let more = More::Same {
                    count: count - TOLD,
                };
                self.findings.push(Finding {
                    severity,
                    extension,
                    path: "/".into(),
                    rule,
                    code: Some(more.code()),
                    message: more.into(),
                });
            }
        }
        let order: HashMap<&str, usize> = order.zip(0..).collect();
        self.findings
            .sort_by_key(|finding| order.get(finding.extension.as_str()).copied());
        self.findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_every_file_is_counted() {
        let mut findings = Collector::default();
        findings.of("b");
        for _ in 0..TOLD + 7 {
            findings.error("setuid", "/x", Message::quoted("m\n"));
        }
        findings.warning("setuid", "/x", Message::quoted("m"));
        findings.of("a");
        findings.error("setuid", "/x", Message::quoted("m"));
        let findings = findings.finish(["a", "b"].into_iter());
        assert_eq!(findings.len(), TOLD + 3);
        assert_eq!(findings[0].extension, "a");
        assert_eq!(findings[1].message, r"m\n");
        assert_eq!(findings[TOLD + 2].message, "the same 7 times more");
    }
}
