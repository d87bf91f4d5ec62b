//! One thing that was looked at, and what came of it.

use serde::Serialize;
use switch_root_core::outcome::{Code, Message};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing, and nothing to be done.
    Note,
    /// The machine boots, and not as it should; or something could not be looked at.
    Warning,
    /// The next boot does not switch, or not as it was set up to.
    Problem,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, for programs. Such a name does not change.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: a path, or a name. Escaped.
    pub about: String,
    /// What there is to say, after `about`.
    pub message: String,
    /// The code of what there is to say, where it has one.
    pub code: Option<Code>,
    /// What to do.
    pub remedy: Option<String>,
    /// Whether it is that something could not be found out, which would decide.
    pub unknown: bool,
}

impl Finding {
    /// One that has no remedy.
    fn new(
        check: &'static str,
        severity: Severity,
        about: impl Into<String>,
        message: impl Into<Message>,
    ) -> Self {
        let message = message.into();
        Self {
            check,
            severity,
            about: about.into(),
            message: message.text,
            code: message.code,
            remedy: None,
            unknown: false,
        }
    }
}

/// Findings, as they are made.
pub trait Findings {
    /// Adds one.
    fn add(&mut self, finding: Finding);

    /// That something is as it should be.
    fn ok(&mut self, check: &'static str, about: impl Into<String>, message: impl Into<String>) {
        self.add(Finding {
            check,
            severity: Severity::Ok,
            about: about.into(),
            message: message.into(),
            code: None,
            remedy: None,
            unknown: false,
        });
    }

    /// That something is worth knowing.
    fn note(&mut self, check: &'static str, about: impl Into<String>, message: impl Into<Message>) {
        self.add(Finding::new(check, Severity::Note, about, message));
    }

    /// That something is not as it should be.
    fn warning(
        &mut self,
        check: &'static str,
        about: impl Into<String>,
        message: impl Into<Message>,
        remedy: impl Into<String>,
    ) {
        self.add(Finding {
            remedy: Some(remedy.into()),
            ..Finding::new(check, Severity::Warning, about, message)
        });
    }

    /// That something could not be found out, so that nobody can say that all is well.
    fn unknown(
        &mut self,
        check: &'static str,
        about: impl Into<String>,
        message: impl Into<Message>,
        remedy: impl Into<String>,
    ) {
        self.add(Finding {
            remedy: Some(remedy.into()),
            unknown: true,
            ..Finding::new(check, Severity::Warning, about, message)
        });
    }

    /// That something is wrong.
    fn problem(
        &mut self,
        check: &'static str,
        about: impl Into<String>,
        message: impl Into<Message>,
        remedy: impl Into<String>,
    ) {
        self.add(Finding {
            remedy: Some(remedy.into()),
            ..Finding::new(check, Severity::Problem, about, message)
        });
    }
}

impl Findings for Vec<Finding> {
    fn add(&mut self, finding: Finding) {
        self.push(finding);
    }
}
