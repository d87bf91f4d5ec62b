//! The file `NN-name.json` beside a policy: its settings, limits and failure mode.

use serde::{Deserialize, Serialize};

use crate::limits::Limits;

/// What happens to the boot when the policy fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The machine boots. A failed preservation review means that nothing is
    /// deleted, a failed compatibility review that no extension it was asked
    /// about is activated.
    #[default]
    Safe,
    /// As if the policy were not there.
    Ignore,
    /// The switch is refused, before anything is changed.
    Refuse,
}

/// The contents of a sidecar file. Unknown keys are an error: a misspelt limit
/// must not pass for one that is set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sidecar {
    /// Handed to the policy as JSON text, `{}` where absent.
    pub settings: Option<serde_json::Value>,
    /// What the policy may use up.
    pub limits: Limits,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// The path of the file, escaped; nothing where there is none.
    #[serde(skip)]
    pub origin: Option<String>,
}

impl Sidecar {
    /// Reads the bytes of a sidecar file.
    ///
    /// # Errors
    /// A sentence that names line and column of what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| {
            format!("is not a sidecar file: {error}; it holds a JSON object with `settings`, `limits` and `on_failure`, each optional")
        })
    }

    /// The JSON text for `settings.configure`.
    pub fn settings_json(&self) -> String {
        self.settings
            .as_ref()
            .map_or_else(|| "{}".into(), ToString::to_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_optional_and_no_other_is_accepted() {
        assert_eq!(Sidecar::parse(b"{}").unwrap(), Sidecar::default());
        let sidecar = Sidecar::parse(
            br#"{"settings": {"keep": ["/a"]}, "limits": {"fuel": 5}, "on_failure": "refuse"}"#,
        )
        .unwrap();
        assert_eq!(sidecar.settings_json(), r#"{"keep":["/a"]}"#);
        assert_eq!(
            sidecar.limits,
            Limits {
                fuel: 5,
                ..Limits::default()
            }
        );
        assert_eq!(sidecar.on_failure, OnFailure::Refuse);
        for (text, expected) in [
            ("{\"limit\": {}}", "unknown field `limit`"),
            ("{\"limits\": {\"fule\": 1}}", "unknown field `fule`"),
            ("{\"on_failure\": \"halt\"}", "unknown variant `halt`"),
            ("not json", "line 1 column"),
            ("", "EOF"),
        ] {
            let error = Sidecar::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
