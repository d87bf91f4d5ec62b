//! The file `NN-name.json` beside a policy: its settings, limits and failure mode.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use switch_root_core::limits::Limits;

switch_root_core::outcomes! {
    /// Why a file is not a sidecar: what follows its name in a sentence.
    pub enum Malformed in "policy-files" {
        /// Line and column say where. That it says to refuse still counts, where it can be read.
        "SR-P50" NotSidecar { error: serde_json::Error } = "is not a sidecar file: {error}; it holds a JSON object with `version`, `settings`, `limits` and `on_failure`, each optional",
        /// What its keys mean is not known here. That it says to refuse still counts.
        "SR-P51" Newer { newer: u64 } = "was written for a newer release: its version is {newer}, and this one knows {VERSION}; use that release, or remove the version and what is new in it",
    }
}

mod in_place;

pub use in_place::InPlace;

/// The version of the keys below. A sidecar that names a later one was written for a release
/// that has more of them.
pub const VERSION: u32 = 1;

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
    /// The version of the keys that it was written with, see [`VERSION`].
    pub version: Option<u32>,
    /// Handed to the policy as JSON text, `{}` where absent.
    pub settings: Option<Value>,
    /// What the policy may use up.
    pub limits: Limits,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// The path of the file, escaped; nothing where there is none.
    #[serde(skip)]
    pub origin: Option<String>,
    /// The text of `settings` at the line and the column where the file has it; nothing
    /// where there is no file.
    #[serde(skip)]
    pub in_place: Option<InPlace>,
    /// The path of a file, escaped, that is empty or a link to /dev/null, and so says that the
    /// defaults count.
    #[serde(skip)]
    pub masked_by: Option<String>,
    /// It cannot be read as a sidecar, and may be meant to say that the machine must not
    /// switch without its policy.
    #[serde(skip)]
    pub may_refuse: bool,
    /// The digest of the file: what tells that settings, limits or failure mode were changed.
    #[serde(skip)]
    pub digest: Option<String>,
}

impl Sidecar {
    /// Reads the bytes of a sidecar file.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if let Some(newer) = newer(bytes) {
            return Err(Malformed::Newer { newer });
        }
        let parsed: Self =
            serde_json::from_slice(bytes).map_err(|error| Malformed::NotSidecar { error })?;
        Ok(Self {
            in_place: InPlace::of(bytes),
            ..parsed
        })
    }

    /// The sidecar of which [`Sidecar::parse`] says what is wrong. That the policy must not
    /// fail still counts where it can be read: a key of a newer release is a failure, and no
    /// reason to go on without the policy.
    pub fn of_malformed(bytes: &[u8]) -> Self {
        let refuses = serde_json::from_slice::<Value>(bytes)
            .is_ok_and(|value| value["on_failure"] == "refuse");
        let word = b"refuse";
        let mut words = bytes.windows(word.len());
        Self {
            may_refuse: bytes.is_empty() || words.any(|it| it.eq_ignore_ascii_case(word)),
            on_failure: match refuses {
                true => OnFailure::Refuse,
                false => OnFailure::default(),
            },
            ..Self::default()
        }
    }

    /// The JSON text for `settings.configure`.
    pub fn settings_json(&self) -> String {
        self.settings
            .as_ref()
            .map_or_else(|| "{}".into(), ToString::to_string)
    }
}

/// The version that a file names, if it is later than ours.
fn newer(bytes: &[u8]) -> Option<u64> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let version = value.get("version")?.as_u64()?;
    (version > u64::from(VERSION)).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_at_their_place_in_the_file() {
        let file = b"{\n  \"on_failure\": \"safe\",\n  \"settings\": {\n    \"keep\": [],\n    \"carrry\": 1\n  }\n}\n";
        let sidecar = Sidecar::parse(file).unwrap();
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(dead_code, reason = "only its error counts")]
        struct Policys {
            keep: Vec<String>,
        }
        let refuse = |text: &str| serde_json::from_str::<Policys>(text).unwrap_err();
        let there = refuse(sidecar.in_place.as_ref().unwrap().text());
        assert_eq!((there.line(), there.column()), (5, 12));
        // What a policy is given has a place of its own.
        assert_eq!(refuse(&sidecar.settings_json()).line(), 1);
        let compact = Sidecar::parse(br#"{"settings":{"keep":[],"carrry":1}}"#).unwrap();
        let spread = Sidecar::parse(b"{\"settings\":\n{\"keep\":[], \"carrry\":1}}").unwrap();
        assert_eq!(compact, spread);
        assert_eq!(
            Sidecar::parse(b"{\"settings\": null}").unwrap().in_place,
            None
        );
    }

    #[test]
    fn settings_reach_the_policy_as_they_are() {
        for settings in [
            // Words that libraries of JSON have uses of their own for.
            r#"{"$serde_json::private::RawValue":"{\"keep\":[]}"}"#,
            r#"{"$serde_json::private::RawValue":7}"#,
            r#"{"deep":[{"$serde_json::private::RawValue":"no JSON"}]}"#,
            r#"{"$serde_json::private::Number":"1"}"#,
        ] {
            let file = format!(r#"{{"settings":{settings}}}"#);
            let sidecar = Sidecar::parse(file.as_bytes()).unwrap();
            assert_eq!(sidecar.settings_json(), settings);
            assert_eq!(sidecar.in_place.unwrap().text().trim(), settings);
        }
    }

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
            let error = Sidecar::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn keys_of_a_later_version_are_named_as_such() {
        assert_eq!(
            Sidecar::parse(br#"{"version": 1}"#).unwrap().version,
            Some(1)
        );
        let later = br#"{"version": 7, "on_failure": "refuse", "weather": "sunny"}"#;
        let error = Sidecar::parse(later).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "was written for a newer release: its version is 7, and this one knows 1"
            ),
            "{error}"
        );
        // Even where every key is known: what they mean may have changed.
        let error = Sidecar::parse(br#"{"version": 2}"#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("newer release"), "{error}");
        for text in [r#"{"version": "1"}"#, r#"{"version": -1}"#] {
            let error = Sidecar::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("is not a sidecar file"), "{error}");
        }
    }

    #[test]
    fn a_malformed_sidecar_still_says_to_refuse() {
        for (text, expected) in [
            (r#"{"on_failure": "refuse", "new": 1}"#, OnFailure::Refuse),
            (
                r#"{"version": 9, "on_failure": "refuse"}"#,
                OnFailure::Refuse,
            ),
            // It makes nothing weaker, which the malformed part may be meant to prevent.
            (r#"{"on_failure": "ignore", "new": 1}"#, OnFailure::Safe),
            (r#"{"on_failure": "refuse""#, OnFailure::Safe),
            (r#"["refuse"]"#, OnFailure::Safe),
        ] {
            let sidecar = Sidecar::of_malformed(text.as_bytes());
            assert_eq!(sidecar.on_failure, expected, "{text}");
        }
        // Whoever makes an image takes it for what it may be meant to say.
        for text in [
            r#"{"on_failure":"refuse",}"#,
            r#"{"on_failure":"Refuse"}"#,
            r#"{"on_failure":"refuse","on_failure":"safe"}"#,
            "",
        ] {
            assert!(Sidecar::of_malformed(text.as_bytes()).may_refuse, "{text}");
        }
        for text in [r#"{"settings": }"#, r#"{"on_failure":"ignore","new":1}"#] {
            assert!(!Sidecar::of_malformed(text.as_bytes()).may_refuse, "{text}");
        }
    }
}
