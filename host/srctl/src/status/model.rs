//! A report as values. Of another schema, and of an older release, whatever is as it is
//! known is taken, and the rest is as if it were not there: a reader that fails helps
//! nobody. What is shown of it is escaped where it is shown.

use serde_json::Value;
use switch_root_core::text::count;

/// The schema that is known.
pub const SCHEMA: u64 = 1;

/// A report. Every field is as host/switch/REPORT.md says; empty or none where it is not
/// there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub schema: u64,
    pub version: String,
    pub boot_id: Option<String>,
    pub kernel: Option<String>,
    pub strategy: String,
    pub new_root: String,
    pub init: String,
    pub policies: Vec<Policy>,
    pub masked_policies: Vec<String>,
    /// What confined the policy worker; nothing where none ran.
    pub confinement: Vec<(&'static str, bool)>,
    pub directories: u64,
    pub entries: u64,
    pub survivors: Vec<Survivor>,
    pub extensions: Vec<Extension>,
    pub processes: Vec<Process>,
    pub processes_more: u64,
    pub deletion: Deletion,
    pub copied: Option<Copied>,
    pub warnings: Vec<String>,
    pub timings: Timings,
}

/// See `policies[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub name: String,
    pub origin: String,
    pub digest: Option<String>,
    pub sidecar_digest: Option<String>,
    pub signed_by: Option<String>,
    pub answers: Vec<String>,
    pub compiled: bool,
    pub fuel: u64,
    pub time_us: u64,
    pub failures: Vec<Failure>,
    pub warnings: Vec<String>,
}

/// See `policies[].failures[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    pub question: String,
    pub kind: String,
    pub message: String,
}

/// See `survivors[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survivor {
    pub path: String,
    pub kind: String,
    pub by: Vec<String>,
    pub carried_to: Option<String>,
    pub note: Option<String>,
}

/// See `extensions[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    pub image: String,
    pub name: String,
    pub version: String,
    pub verdict: String,
    pub activated: Option<bool>,
    /// Who objects, and why.
    pub reasons: Vec<(String, String)>,
}

/// See `processes[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    pub pid: u64,
    pub name: String,
    pub executable: Option<String>,
    pub serves: bool,
}

/// See `deletion`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    pub state: String,
    pub reason: Option<String>,
    pub files: u64,
    pub directories: u64,
    /// What could not be deleted, and why.
    pub failed: Vec<(String, String)>,
    pub failed_more: u64,
    pub skipped_mounts: Vec<String>,
    pub time_us: u64,
    pub used_before: Option<u64>,
    pub used_after: Option<u64>,
    pub freed_bytes: Option<u64>,
    pub memory_available_before: Option<u64>,
    pub memory_available_after: Option<u64>,
}

/// See `copied`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub files: u64,
    pub directories: u64,
    pub bytes: u64,
    /// How many names were not copied, or not wholly.
    pub failed: u64,
    /// How many paths are kept, and have no copy.
    pub missing: u64,
    pub time_us: u64,
}

/// See `timings`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    pub policies_us: Option<u64>,
    pub plan_us: Option<u64>,
    pub switched_us: Option<u64>,
    pub deleted_us: Option<u64>,
    pub copied_us: Option<u64>,
}

impl Report {
    /// What is known of a report.
    pub fn of(value: &Value) -> Self {
        let deletion = &value["deletion"];
        let timings = &value["timings"];
        Self {
            schema: number(value, "schema"),
            version: text(value, "version"),
            boot_id: optional_text(value, "boot_id"),
            kernel: optional_text(value, "kernel"),
            strategy: text(value, "strategy"),
            new_root: text(value, "new_root"),
            init: text(value, "init"),
            policies: list(value, "policies", Policy::of),
            masked_policies: texts(value, "masked_policies"),
            confinement: confinement(value),
            directories: number(&value["review"], "directories"),
            entries: number(&value["review"], "entries"),
            survivors: list(value, "survivors", Survivor::of),
            extensions: list(value, "extensions", Extension::of),
            processes: list(value, "processes", |value| Process {
                pid: number(value, "pid"),
                name: text(value, "name"),
                executable: optional_text(value, "executable"),
                serves: value["serves"] == true,
            }),
            processes_more: number(value, "processes_more"),
            deletion: Deletion {
                state: text(deletion, "state"),
                reason: optional_text(deletion, "reason"),
                files: number(deletion, "files"),
                directories: number(deletion, "directories"),
                failed: pairs(deletion, "failed", ["path", "error"]),
                failed_more: number(deletion, "failed_more"),
                skipped_mounts: texts(deletion, "skipped_mounts"),
                time_us: number(deletion, "time_us"),
                used_before: deletion["used_before"].as_u64(),
                used_after: deletion["used_after"].as_u64(),
                freed_bytes: deletion["freed_bytes"].as_u64(),
                memory_available_before: deletion["memory_available_before"].as_u64(),
                memory_available_after: deletion["memory_available_after"].as_u64(),
            },
            copied: value["copied"]
                .is_object()
                .then(|| Copied::of(&value["copied"])),
            warnings: texts(value, "warnings"),
            timings: Timings {
                policies_us: timings["policies_us"].as_u64(),
                plan_us: timings["plan_us"].as_u64(),
                switched_us: timings["switched_us"].as_u64(),
                deleted_us: timings["deleted_us"].as_u64(),
                copied_us: timings["copied_us"].as_u64(),
            },
        }
    }

    /// The schema of a report that is newer than what is known.
    pub fn newer(&self) -> Option<u64> {
        (self.schema > SCHEMA).then_some(self.schema)
    }

    /// Whether there will be another report.
    pub fn is_running(&self) -> bool {
        self.deletion.state == "running"
    }

    /// What somebody should look at, as parts of a sentence; nothing where all is well.
    pub fn complaints(&self) -> Vec<String> {
        let sum = |number: usize, singular: &str, plural: &str| {
            (number > 0).then(|| count(number as u64, singular, plural))
        };
        let failed = |policy: &&Policy| !policy.failures.is_empty();
        let left_out = |one: &&Extension| one.is_left_out();
        let warnings: usize = self.policies.iter().map(|one| one.warnings.len()).sum();
        let stayed = self.deletion.failed.len() + self.deletion.failed_more as usize;
        [
            sum(
                self.policies.iter().filter(failed).count(),
                "policy failed",
                "policies failed",
            ),
            sum(
                self.extensions.iter().filter(left_out).count(),
                "extension left out",
                "extensions left out",
            ),
            sum(
                self.survivors.iter().filter(|one| one.is_unbound()).count(),
                "survivor not carried",
                "survivors not carried",
            ),
            sum(stayed, "name not deleted", "names not deleted"),
            sum(warnings + self.warnings.len(), "warning", "warnings"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Policy {
    fn of(value: &Value) -> Self {
        Self {
            name: text(value, "name"),
            origin: text(value, "origin"),
            digest: optional_text(value, "digest"),
            sidecar_digest: optional_text(value, "sidecar_digest"),
            signed_by: optional_text(value, "signed_by"),
            answers: texts(value, "answers"),
            compiled: value["compiled"] == true,
            fuel: number(value, "fuel"),
            time_us: number(value, "time_us"),
            failures: list(value, "failures", |value| Failure {
                question: text(value, "question"),
                kind: text(value, "kind"),
                message: text(value, "message"),
            }),
            warnings: texts(value, "warnings"),
        }
    }
}

impl Copied {
    fn of(value: &Value) -> Self {
        let listed = |name: &str| value[name].as_array().map_or(0, Vec::len) as u64;
        Self {
            files: number(value, "files"),
            directories: number(value, "directories"),
            bytes: number(value, "bytes"),
            failed: listed("failed") + number(value, "failed_more"),
            missing: listed("missing"),
            time_us: number(value, "time_us"),
        }
    }
}

/// See `judge`: its members that say whether something was in force.
fn confinement(value: &Value) -> Vec<(&'static str, bool)> {
    let worker = &value["judge"];
    if number(worker, "time_us") == 0 {
        return Vec::new();
    }
    [
        "unprivileged_user",
        "no_capabilities",
        "no_new_privileges",
        "no_files",
        "address_space",
        "seccomp",
    ]
    .into_iter()
    .map(|name| {
        let is = &worker[name];
        (name, is == &Value::Bool(true) || is.as_u64() > Some(0))
    })
    .collect()
}

impl Survivor {
    fn of(value: &Value) -> Self {
        Self {
            path: text(value, "path"),
            kind: text(value, "kind"),
            by: texts(value, "by"),
            carried_to: optional_text(value, "carried_to"),
            note: optional_text(value, "note"),
        }
    }

    /// A policy wanted it to be bound in the new root, and it is not. A note on what the
    /// host itself keeps says why, and is no complaint.
    pub fn is_unbound(&self) -> bool {
        self.note.is_some()
            && !self
                .by
                .iter()
                .any(|by| by == switch_root_core::preserved::HOST)
    }
}

impl Extension {
    fn of(value: &Value) -> Self {
        Self {
            image: text(value, "image"),
            name: text(value, "name"),
            version: text(value, "version"),
            verdict: text(value, "verdict"),
            activated: value["activated"].as_bool(),
            reasons: pairs(value, "reasons", ["policy", "reason"]),
        }
    }

    /// It is not to be used, or is not.
    pub fn is_left_out(&self) -> bool {
        self.verdict == "incompatible" || self.activated == Some(false)
    }
}

fn optional_text(value: &Value, name: &str) -> Option<String> {
    value[name].as_str().map(str::to_owned)
}

fn text(value: &Value, name: &str) -> String {
    optional_text(value, name).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_default()
}

fn list<T>(value: &Value, name: &str, of: impl Fn(&Value) -> T) -> Vec<T> {
    value[name]
        .as_array()
        .into_iter()
        .flatten()
        .map(of)
        .collect()
}

fn texts(value: &Value, name: &str) -> Vec<String> {
    let elements = value[name].as_array().into_iter().flatten();
    elements
        .filter_map(|element| element.as_str().map(str::to_owned))
        .collect()
}

fn pairs(value: &Value, name: &str, of: [&str; 2]) -> Vec<(String, String)> {
    list(value, name, |value| {
        (text(value, of[0]), text(value, of[1]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_as_it_is_known_is_as_if_it_were_not_there() {
        let report = Report::of(&json!({
            "schema": 2,
            "version": 7,
            "strategy": {"name": "move"},
            "policies": [{"name": "a", "failures": "none"}, 3],
            "extensions": null,
            "deletion": [],
            "survivors": [{"path": "/a", "by": ["x", 1], "note": null}],
        }));
        assert_eq!(report.newer(), Some(2));
        assert_eq!((&*report.version, &*report.strategy), ("", ""));
        assert_eq!(report.policies.len(), 2);
        assert_eq!(report.policies[0].name, "a");
        assert_eq!(report.survivors[0].by, ["x"]);
        assert_eq!(report.complaints(), Vec::<String>::new());
        assert_eq!(Report::of(&json!({"schema": 1})).newer(), None);
    }

    #[test]
    fn each_thing_that_is_not_well_is_a_complaint() {
        let whole = json!({
            "schema": 1,
            "policies": [
                {"name": "a", "failures": [{"kind": "trap"}, {"kind": "fuel"}]},
                {"name": "b", "warnings": ["w"]},
            ],
            "extensions": [
                {"verdict": "incompatible", "activated": null},
                {"verdict": "unjudged", "activated": false},
                {"verdict": "unjudged", "activated": null},
            ],
            "survivors": [
                {"path": "/a", "by": ["a"], "note": "not bound"},
                {"path": "/b", "by": ["a", "host"], "note": "in use"},
                {"path": "/c", "by": ["a"], "note": null},
            ],
            "deletion": {"failed": [{"path": "/x", "error": "EPERM"}], "failed_more": 2},
            "warnings": ["w"],
        });
        assert_eq!(
            Report::of(&whole).complaints(),
            [
                "1 policy failed",
                "2 extensions left out",
                "1 survivor not carried",
                "3 names not deleted",
                "2 warnings",
            ]
        );
        let kept = json!({"schema": 1, "deletion": {"state": "skipped", "reason": "to be kept"}});
        assert!(Report::of(&kept).complaints().is_empty());
    }
}
