//! Results as JUnit XML, which every CI system shows.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use policy::session::Message;

use super::{Outcome, Verdict};

/// The report of one or more policies, each a suite: its name, and its cases.
///
/// # Errors
/// What the writer of XML says.
pub fn report(suites: &[(String, Vec<Outcome>)]) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("srctl policy test");
    for (name, outcomes) in suites {
        let mut suite = TestSuite::new(name.as_str());
        for outcome in outcomes {
            let mut status = TestCaseStatus::success();
            match &outcome.verdict {
                Verdict::Passed | Verdict::Blessed | Verdict::Unchanged => {}
                Verdict::Failed(lines) => {
                    status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(lines.first().cloned().unwrap_or_default());
                    status.set_description(lines.join("\n"));
                }
                Verdict::Unusable(error) => {
                    status = TestCaseStatus::non_success(NonSuccessKind::Error);
                    status.set_message(error.to_string());
                }
            }
            let mut case = TestCase::new(outcome.name.as_str(), status);
            case.set_time(outcome.time);
            if !outcome.log.is_empty() {
                let line = |it: &Message| format!("{}: {}\n", it.level, it.message);
                case.set_system_out(outcome.log.iter().map(line).collect::<String>());
            }
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}
