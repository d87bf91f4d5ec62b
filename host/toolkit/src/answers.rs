//! What policies answer, as cases expect it and commands show it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use switch_root_core::failure::Failure;

/// What a policy answers, or is expected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// Every answer that is not `delete`, by path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub decisions: BTreeMap<String, Say>,
    /// What it says of each extension, by the name of its layer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub verdicts: BTreeMap<String, Opinion>,
    /// How it failed, for each question at most once.
    #[serde(
        rename = "error",
        with = "one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub errors: Vec<Failure>,
}

/// A decision, less the one that is not written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Say {
    /// It survives, with everything below.
    Keep,
    /// The same, and it is bound at this path of the new root.
    Carry(String),
    /// The policy wants to be asked about what is in it.
    Descend,
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Opinion {
    /// It may be activated.
    Compatible,
    /// It may not, for this reason.
    Incompatible(String),
    /// No opinion.
    Abstain,
}

/// One failure is written as such, several as a list.
mod one_or_more {
    use serde::de::{self, Deserialize, Deserializer};
    use serde::ser::{Serialize, Serializer};
    use serde_json::Value;
    use switch_root_core::failure::Failure;
    use switch_root_core::outcome::Message;

    /// A failure as cases have it: by its words alone, and not by the code of its message.
    #[derive(serde::Deserialize, serde::Serialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        question: switch_root_core::failure::Question,
        kind: switch_root_core::failure::Kind,
        message: String,
    }

    impl From<Strict> for Failure {
        fn from(strict: Strict) -> Self {
            Self::new(
                strict.question,
                strict.kind,
                Message::quoted(strict.message),
            )
        }
    }

    impl From<&Failure> for Strict {
        fn from(failure: &Failure) -> Self {
            Self {
                question: failure.question,
                kind: failure.kind,
                message: failure.message.clone(),
            }
        }
    }

    pub fn serialize<S: Serializer>(
        failures: &[Failure],
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let strict: Vec<Strict> = failures.iter().map(Strict::from).collect();
        match strict.as_slice() {
            [one] => one.serialize(serializer),
            more => more.serialize(serializer),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Vec<Failure>, D::Error> {
        let strict = match Value::deserialize(deserializer)? {
            Value::Array(items) => items,
            one => vec![one],
        };
        strict
            .into_iter()
            .map(|item| {
                serde_json::from_value::<Strict>(item)
                    .map(Failure::from)
                    .map_err(de::Error::custom)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use switch_root_core::failure::{Kind, NoCompiler};

    use super::*;

    #[test]
    fn failures_of_cases_have_no_codes() {
        let failure = Failure::load(Kind::NotAPolicy, NoCompiler::Needed);
        assert!(failure.code.is_some());
        let answers = Answers {
            errors: vec![failure.clone()],
            ..Answers::default()
        };
        let written = serde_json::to_value(&answers).unwrap();
        assert!(written["error"].get("code").is_none(), "{written}");
        let read: Answers = serde_json::from_value(written).unwrap();
        let of_case = Failure {
            code: None,
            ..failure
        };
        assert_eq!(read.errors, [of_case]);
    }
}
