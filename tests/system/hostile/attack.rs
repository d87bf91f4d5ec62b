//! One attack: a component, where it strikes, and what must come of it.

use std::time::Duration;

use serde_json::{Value, json};
use switch_root_tests::steps::{Content, Make, Steps};

use crate::check::{Booted, ensure, says};
use crate::tools::{Checked, Stop};

/// Where the policies under attack are.
const FOLDER: &str = "/usr/lib/switch-root/policies.d";

/// The path of a file of the vendor's folder.
pub fn path(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

/// What a policy is being asked when it strikes, as the report spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Nothing yet.
    Load,
    /// Which paths survive.
    Preservation,
    /// Which extensions are compatible.
    Compatibility,
}

/// What must come of an attack.
#[derive(Clone, Debug)]
pub enum Expected {
    /// The review fails. Of the kinds one, and words of the sentence; a kind that the
    /// machine's speed or memory decides on has others beside it.
    Fails(Question, Vec<(&'static str, &'static str)>),
    /// It breaks no rule: nothing fails.
    Nothing,
}

impl Expected {
    /// Whether something fails.
    pub fn fails(&self) -> bool {
        matches!(self, Self::Fails(..))
    }
}

/// One attack.
#[derive(Clone, Debug)]
pub struct Attack {
    /// What the policy does: the end of a sentence that begins with "a policy that".
    pub does: String,
    /// Its `.wasm`.
    pub wasm: Vec<u8>,
    /// Its `.cwasm`, if it has one.
    pub native: Option<Vec<u8>>,
    /// Its limits, where they are not the default ones.
    pub limits: Value,
    /// What must come of it.
    pub expected: Expected,
}

impl Attack {
    /// An attack with the default limits.
    pub fn new(does: impl Into<String>, wasm: Vec<u8>, expected: Expected) -> Self {
        Self {
            does: does.into(),
            wasm,
            native: None,
            limits: json!({}),
            expected,
        }
    }

    /// The same with these limits in its sidecar.
    pub fn limits(mut self, limits: Value) -> Self {
        self.limits = limits;
        self
    }

    /// The same with native code beside it.
    pub fn native(mut self, code: Vec<u8>) -> Self {
        self.native = Some(code);
        self
    }

    /// The name of its policy: it comes before the policy that keeps something.
    pub fn policy(&self) -> String {
        format!("50-{}", self.does.replace(['`', '/', ' '], "-"))
    }

    /// How large its files are, in bytes.
    pub fn size(&self) -> usize {
        self.wasm.len() + self.native.as_ref().map_or(0, Vec::len)
    }

    /// How long the host may wait for it, by its limits.
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.limits["deadline_ms"].as_u64().unwrap_or(10_000))
    }

    /// Whether the answer to `question` is missing: it fails, or comes after a failure that
    /// ended the judge, since the policy is not run again then.
    pub fn silences(&self, question: Question, booted: &Booted) -> bool {
        let Expected::Fails(failed, _) = self.expected else {
            return false;
        };
        let kind = booted.report.failure(&self.policy()).map(|(kind, _)| kind);
        let ended_judge = matches!(kind.as_deref(), Some("crash" | "deadline"));
        match (failed, question) {
            (Question::Load, _) => true,
            // Extensions come first, in every mode.
            (Question::Compatibility, Question::Preservation) => ended_judge,
            (failed, question) => failed == question,
        }
    }

    /// Puts the policy into the vendor's folder.
    pub fn place<S: Steps>(&self, tree: S, on_failure: &str) -> S {
        let path = |ending: &str| path(&format!("{}.{ending}", self.policy()));
        let sidecar = json!({"limits": self.limits, "on_failure": on_failure}).to_string();
        let tree = tree
            .file(path("wasm"), self.wasm.clone())
            .file(path("json"), sidecar.as_str());
        match &self.native {
            Some(code) => tree.make(
                path("cwasm"),
                Make::File {
                    mode: 0o644,
                    content: Content::Bytes(code.clone()),
                },
            ),
            None => tree,
        }
    }

    /// Checks what the report and the log say of it.
    pub fn told(&self, booted: &Booted) -> Checked {
        let name = self.policy();
        let Expected::Fails(question, ways) = &self.expected else {
            let failure = booted.report.failure(&name);
            ensure!(failure.is_none(), "{name} failed: {failure:?}");
            return Ok(());
        };
        let policy = booted.report.policy(&name);
        let failures = policy.map(|policy| &policy["failures"]);
        let failures = failures.and_then(Value::as_array);
        let Some([failure]) = failures.map(Vec::as_slice) else {
            return Err(Stop::Fail(format!(
                "{name} did not fail once: {failures:#?}\n{}",
                booted.outcome.stderr
            )));
        };
        let text = |field: &str| failure[field].as_str().unwrap_or_default();
        let (kind, message) = (text("kind"), text("message"));
        let asked = format!("{question:?}").to_lowercase();
        ensure!(text("question") == asked, "{name}: {failure:#}");
        let as_expected = ways
            .iter()
            .any(|(expected, words)| kind == *expected && message.contains(words));
        ensure!(as_expected, "{name}: {failure:#} instead of {ways:?}");
        says(
            &booted.outcome.stderr,
            &[&format!("policy {name}: {message}")],
        )
    }
}

/// A failure in one way.
pub fn fails(question: Question, kind: &'static str, words: &'static str) -> Expected {
    Expected::Fails(question, vec![(kind, words)])
}
