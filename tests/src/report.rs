//! Reads `report.json`. The only file of the tests that knows the fields' names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::names::{escape, unescape};

/// Where the report is, in the new root.
pub const REPORT: &str = "/run/switch-root/report.json";

/// Whether nothing will be added to the report any more.
pub fn is_final(report: &Value) -> bool {
    report["deletion"]["state"] != "running"
}

/// A report, with what the tests ask of it.
#[derive(Clone, Debug)]
pub struct Report(pub Value);

/// A text of the report as our own escaping has it.
fn path(value: &Value) -> String {
    escape(&unescape(value.as_str().unwrap_or_default()))
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(String::from).collect()
}

impl Report {
    /// `move` or `pivot`.
    pub fn strategy(&self) -> &str {
        self.0["strategy"].as_str().unwrap_or_default()
    }

    /// The policy of this name.
    pub fn policy(&self, name: &str) -> Option<&Value> {
        self.0["policies"]
            .as_array()?
            .iter()
            .find(|policy| policy["name"] == name)
    }

    /// The names of the policies, in order.
    pub fn policies(&self) -> Vec<String> {
        let list = self.0["policies"].as_array().into_iter().flatten();
        list.filter_map(|policy| policy["name"].as_str())
            .map(String::from)
            .collect()
    }

    /// How a policy failed first: its kind and its sentence; `None` if it did not.
    pub fn failure(&self, name: &str) -> Option<(String, String)> {
        let failure = &self.policy(name)?["failures"][0];
        let text = |field: &str| failure[field].as_str().unwrap_or_default().to_owned();
        failure.is_object().then(|| (text("kind"), text("message")))
    }

    /// The survivors by path, and by whose word each survives.
    pub fn survivors(&self) -> BTreeMap<String, BTreeSet<String>> {
        let list = self.0["survivors"].as_array().into_iter().flatten();
        list.map(|survivor| {
            (
                path(&survivor["path"]),
                texts(&survivor["by"]).into_iter().collect(),
            )
        })
        .collect()
    }

    /// Where a survivor was carried to.
    pub fn carried_to(&self, survivor: &str) -> Option<String> {
        let list = self.0["survivors"].as_array()?;
        let found = list.iter().find(|entry| path(&entry["path"]) == survivor)?;
        found["carried_to"]
            .is_string()
            .then(|| path(&found["carried_to"]))
    }

    /// Why a path survives that no policy keeps, or is not bound where one wants it.
    pub fn survivor_note(&self, survivor: &str) -> String {
        let list = self.0["survivors"].as_array().into_iter().flatten();
        let found = list
            .into_iter()
            .find(|entry| path(&entry["path"]) == survivor);
        found
            .map(|entry| entry["note"].to_string())
            .unwrap_or_default()
    }

    /// The verdicts on extensions by image: `compatible`, `incompatible` or `unjudged`,
    /// and the reasons in one text.
    pub fn extensions(&self) -> BTreeMap<String, (String, String)> {
        let list = self.0["extensions"].as_array().into_iter().flatten();
        list.map(|extension| {
            let image = extension["image"].as_str().unwrap_or_default().to_owned();
            let verdict = extension["verdict"].as_str().unwrap_or_default().to_owned();
            (image, (verdict, extension["reasons"].to_string()))
        })
        .collect()
    }

    /// Which extensions were activated, by image; `None` where the program does not
    /// know.
    pub fn activated(&self) -> BTreeMap<String, Option<bool>> {
        let list = self.0["extensions"].as_array().into_iter().flatten();
        list.map(|extension| {
            let image = extension["image"].as_str().unwrap_or_default().to_owned();
            (image, extension["activated"].as_bool())
        })
        .collect()
    }

    /// `skipped`, `running` or `complete`.
    pub fn deletion(&self) -> &str {
        self.0["deletion"]["state"].as_str().unwrap_or_default()
    }

    /// Why nothing was deleted.
    pub fn deletion_reason(&self) -> &str {
        self.0["deletion"]["reason"].as_str().unwrap_or_default()
    }

    /// A number of the deletion: `files`, `directories`, `freed_bytes`.
    pub fn deleted(&self, what: &str) -> u64 {
        self.0["deletion"][what].as_u64().unwrap_or_default()
    }

    /// What could not be deleted, by path, with the error.
    pub fn failed_deletions(&self) -> BTreeMap<String, String> {
        let list = self.0["deletion"]["failed"]
            .as_array()
            .into_iter()
            .flatten();
        list.map(|failed| (path(&failed["path"]), failed["error"].to_string()))
            .collect()
    }

    /// The mount points that the deletion did not enter.
    pub fn skipped_mounts(&self) -> Vec<String> {
        let list = self.0["deletion"]["skipped_mounts"]
            .as_array()
            .into_iter()
            .flatten();
        list.map(path).collect()
    }

    /// All warnings in one text.
    pub fn warnings(&self) -> String {
        texts(&self.0["warnings"]).join("\n")
    }
}
