//! A report as it is read: of another release, of another schema, or made up. Words, and paths
//! as they are shown, are texts, whatever they are; what is not as it is known is as if it were
//! not there: a reader that fails helps nobody. What is shown of it is escaped where it is shown.
//!
//! That nothing is missing here which [`Report`](super::Report) writes is held by a test of
//! host/switch: a report that is read, and written again, is the same.

#![allow(missing_docs, reason = "each field is described where it is written")]

use serde::{Deserialize, Serialize};

use super::{CopyTally, DeletionTally, Failed, Reason, ReviewReport, Timings};
use crate::lenient::{codes, object, objects, optional, texts, value};
use crate::preserved::HOST;

/// A report, see [`Report`](super::Report). Empty or none where something is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    #[serde(deserialize_with = "value")]
    pub schema: u64,
    #[serde(deserialize_with = "value")]
    pub version: String,
    #[serde(deserialize_with = "value")]
    pub boot_id: Option<String>,
    #[serde(deserialize_with = "value")]
    pub kernel: Option<String>,
    #[serde(deserialize_with = "value")]
    pub strategy: String,
    #[serde(deserialize_with = "value")]
    pub new_root: String,
    #[serde(deserialize_with = "value")]
    pub init: String,
    #[serde(deserialize_with = "objects")]
    pub policies: Vec<Policy>,
    #[serde(deserialize_with = "texts")]
    pub masked_policies: Vec<String>,
    #[serde(deserialize_with = "object")]
    pub review: ReviewReport,
    #[serde(rename = "judge", deserialize_with = "object")]
    pub worker: Worker,
    #[serde(deserialize_with = "objects")]
    pub survivors: Vec<Survivor>,
    #[serde(deserialize_with = "objects")]
    pub extensions: Vec<Extension>,
    #[serde(deserialize_with = "objects")]
    pub processes: Vec<Process>,
    #[serde(deserialize_with = "value")]
    pub processes_more: u64,
    #[serde(deserialize_with = "object")]
    pub deletion: Deletion,
    #[serde(deserialize_with = "optional")]
    pub copied: Option<Copied>,
    #[serde(deserialize_with = "texts")]
    pub warnings: Vec<String>,
    #[serde(deserialize_with = "codes")]
    pub warning_codes: Vec<Option<String>>,
    #[serde(deserialize_with = "object")]
    pub timings: Timings,
}

/// What confined the policy worker, and what it took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Worker {
    #[serde(deserialize_with = "value")]
    pub unprivileged_user: bool,
    #[serde(deserialize_with = "value")]
    pub no_capabilities: bool,
    #[serde(deserialize_with = "value")]
    pub no_new_privileges: bool,
    #[serde(deserialize_with = "value")]
    pub no_files: bool,
    #[serde(deserialize_with = "value")]
    pub address_space: u64,
    #[serde(deserialize_with = "value")]
    pub seccomp: bool,
    #[serde(deserialize_with = "value")]
    pub peak_kib: u64,
    #[serde(deserialize_with = "value")]
    pub time_us: u64,
}

/// See [`PolicyReport`](super::PolicyReport).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    #[serde(deserialize_with = "value")]
    pub name: String,
    #[serde(deserialize_with = "value")]
    pub origin: String,
    #[serde(deserialize_with = "value")]
    pub digest: Option<String>,
    #[serde(deserialize_with = "value")]
    pub sidecar_digest: Option<String>,
    #[serde(deserialize_with = "value")]
    pub signed_by: Option<String>,
    #[serde(deserialize_with = "texts")]
    pub answers: Vec<String>,
    #[serde(deserialize_with = "value")]
    pub compiled: bool,
    #[serde(deserialize_with = "value")]
    pub fuel: u64,
    #[serde(deserialize_with = "value")]
    pub time_us: u64,
    #[serde(deserialize_with = "objects")]
    pub failures: Vec<Failure>,
    #[serde(deserialize_with = "texts")]
    pub warnings: Vec<String>,
    #[serde(deserialize_with = "codes")]
    pub warning_codes: Vec<Option<String>>,
}

/// See [`Failure`](crate::failure::Failure).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    #[serde(deserialize_with = "value")]
    pub question: String,
    #[serde(deserialize_with = "value")]
    pub kind: String,
    #[serde(deserialize_with = "value")]
    pub code: Option<String>,
    #[serde(deserialize_with = "value")]
    pub message: String,
}

/// See [`Survivor`](crate::preserved::Survivor).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Survivor {
    #[serde(deserialize_with = "value")]
    pub path: String,
    #[serde(deserialize_with = "value")]
    pub kind: String,
    #[serde(deserialize_with = "texts")]
    pub by: Vec<String>,
    #[serde(deserialize_with = "value")]
    pub carried_to: Option<String>,
    #[serde(deserialize_with = "value")]
    pub note: Option<String>,
    #[serde(deserialize_with = "value")]
    pub code: Option<String>,
}

/// See [`ExtensionReport`](super::ExtensionReport).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extension {
    #[serde(deserialize_with = "value")]
    pub image: String,
    #[serde(deserialize_with = "value")]
    pub name: String,
    #[serde(deserialize_with = "value")]
    pub version: String,
    #[serde(deserialize_with = "value")]
    pub verdict: String,
    #[serde(deserialize_with = "value")]
    pub activated: Option<bool>,
    #[serde(deserialize_with = "objects")]
    pub reasons: Vec<Reason>,
}

/// See [`Process`](crate::plan::Process).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    #[serde(deserialize_with = "value")]
    pub pid: u64,
    #[serde(deserialize_with = "value")]
    pub name: String,
    #[serde(deserialize_with = "value")]
    pub executable: Option<String>,
    #[serde(deserialize_with = "value")]
    pub serves: bool,
}

/// See [`DeletionReport`](super::DeletionReport).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deletion {
    #[serde(deserialize_with = "value")]
    pub state: String,
    #[serde(deserialize_with = "value")]
    pub reason: Option<String>,
    #[serde(deserialize_with = "value")]
    pub code: Option<String>,
    #[serde(flatten)]
    pub tally: DeletionTally,
    #[serde(deserialize_with = "value")]
    pub time_us: u64,
    #[serde(deserialize_with = "value")]
    pub used_before: Option<u64>,
    #[serde(deserialize_with = "value")]
    pub used_after: Option<u64>,
    #[serde(deserialize_with = "value")]
    pub freed_bytes: Option<u64>,
    #[serde(deserialize_with = "value")]
    pub memory_available_before: Option<u64>,
    #[serde(deserialize_with = "value")]
    pub memory_available_after: Option<u64>,
}

/// See [`CopyReport`](super::CopyReport).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Copied {
    #[serde(flatten)]
    pub tally: CopyTally,
    #[serde(deserialize_with = "objects")]
    pub missing: Vec<Failed>,
    #[serde(deserialize_with = "value")]
    pub time_us: u64,
}

/// A time that every report of this schema has; none where it is not there.
pub fn passed(us: u64) -> Option<u64> {
    Some(us).filter(|us| *us > 0)
}

impl Report {
    /// The schema of a report that is newer than what is known.
    pub fn newer(&self) -> Option<u64> {
        (self.schema > super::SCHEMA.into()).then_some(self.schema)
    }

    /// Whether there will be another report.
    pub fn is_running(&self) -> bool {
        self.deletion.state == "running"
    }

    /// What confined the policy worker; nothing where none ran.
    pub fn confinement(&self) -> Vec<(&'static str, bool)> {
        if self.worker.time_us == 0 {
            return Vec::new();
        }
        let of = &self.worker;
        vec![
            ("unprivileged_user", of.unprivileged_user),
            ("no_capabilities", of.no_capabilities),
            ("no_new_privileges", of.no_new_privileges),
            ("no_files", of.no_files),
            ("address_space", of.address_space > 0),
            ("seccomp", of.seccomp),
        ]
    }
}

impl Survivor {
    /// A policy wanted it to be bound in the new root, and it is not. A note on what the
    /// host itself keeps says why, and is no complaint.
    pub fn is_unbound(&self) -> bool {
        self.note.is_some() && !self.by.iter().any(|by| by == HOST)
    }
}

impl Extension {
    /// Whether a policy objects to it, or has failed.
    pub fn is_incompatible(&self) -> bool {
        self.verdict == "incompatible"
    }

    /// It is not to be used, or is not.
    pub fn is_left_out(&self) -> bool {
        self.is_incompatible() || self.activated == Some(false)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A report of the first release, which had fewer fields.
    const FIRST: &str = include_str!("0.1.0.json");

    fn read(value: serde_json::Value) -> Report {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn reports_of_the_first_release_are_read() {
        let report: Report = serde_json::from_str(FIRST).unwrap();
        assert_eq!((report.schema, &*report.version), (1, "0.1.0"));
        assert_eq!(report.newer(), None);
        assert_eq!(report.strategy, "pivot");
        let [policy] = &report.policies[..] else {
            panic!("{:?}", report.policies);
        };
        assert_eq!((&*policy.name, policy.fuel), ("00-default", 4711));
        assert_eq!(policy.sidecar_digest, None);
        assert!(report.masked_policies.is_empty());
        let survivor = &report.survivors[0];
        assert_eq!(survivor.carried_to.as_deref(), Some("/etc/extensions.yaml"));
        assert!(report.extensions[0].is_left_out());
        assert_eq!(report.extensions[0].reasons[0].policy, "00-default");
        assert_eq!(report.extensions[0].reasons[0].code, None);
        assert!(report.warning_codes.is_empty());
        assert_eq!(report.deletion.tally.files, 812);
        assert_eq!(report.deletion.freed_bytes, Some(41943040));
        assert_eq!(report.timings.switched_us, Some(4100));
        let confinement = report.confinement();
        assert_eq!((confinement.len(), confinement[5]), (6, ("seccomp", true)));
    }

    #[test]
    fn what_is_not_as_it_is_known_is_as_if_it_were_not_there() {
        let report = read(json!({
            "schema": 2,
            "version": 7,
            "strategy": {"name": "move"},
            "policies": [{"name": "a", "failures": "none"}, 3],
            "extensions": null,
            "deletion": ["complete", "by", "position"],
            "survivors": [{"path": "/a", "by": ["x", 1], "note": null}],
            "copied": [],
            "timings": {"plan_us": -1, "policies_us": 2},
        }));
        assert_eq!(report.newer(), Some(2));
        assert_eq!((&*report.version, &*report.strategy), ("", ""));
        assert_eq!(report.policies.len(), 2);
        assert_eq!(report.policies[0].name, "a");
        assert_eq!(report.survivors[0].by, ["x"]);
        assert_eq!(report.deletion, Deletion::default());
        assert_eq!(report.copied, None);
        assert_eq!((report.timings.policies_us, report.timings.plan_us), (2, 0));
        assert_eq!(read(json!({"schema": 1})).newer(), None);
    }
}
