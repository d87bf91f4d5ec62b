//! What became of an extension, as plans and reports have it.

use serde::{Deserialize, Serialize};

use crate::contract::{Extension, Outcome};
use crate::escape;
use crate::lenient;
use crate::outcome::Code;

/// One extension.
#[derive(Clone, Debug, Serialize)]
pub struct ExtensionReport {
    /// The file name of the layer.
    pub image: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.version`.
    pub version: String,
    /// The sum of the verdicts; absent in the plan of an image where the policies could not be
    /// asked.
    pub verdict: Option<Outcome>,
    /// Whether its layer is part of the new root; absent where somebody else
    /// than this program mounted the layers.
    pub activated: Option<bool>,
    /// Why it is incompatible, or was not activated.
    pub reasons: Vec<Reason>,
}

impl ExtensionReport {
    /// One that nobody was asked about.
    pub fn unasked(extension: &Extension) -> Self {
        let shown = |text: &str| escape::message(text, 4096);
        Self {
            image: shown(&extension.image),
            name: shown(&extension.name),
            version: shown(&extension.version),
            verdict: None,
            activated: None,
            reasons: Vec::new(),
        }
    }

    /// Whether it is left out.
    pub fn is_left_out(&self) -> bool {
        self.verdict == Some(Outcome::Incompatible) || self.activated == Some(false)
    }

    /// The verdict in a word.
    pub fn word(&self) -> &'static str {
        match self.verdict {
            Some(Outcome::Compatible) => "compatible",
            Some(Outcome::Incompatible) => "incompatible",
            Some(Outcome::Unjudged) => "unjudged",
            None => "not asked",
        }
    }
}

/// Why an extension is incompatible, or was not activated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reason {
    /// The policy that objects; `host` where it is not a policy's word.
    #[serde(deserialize_with = "lenient::value")]
    pub policy: String,
    /// The code of the host's own words; a policy's have none.
    #[serde(deserialize_with = "lenient::value")]
    pub code: Option<Code>,
    /// Its words.
    #[serde(deserialize_with = "lenient::value")]
    pub reason: String,
}

impl Reason {
    /// Whose words, and which.
    pub fn sentence(&self) -> String {
        format!("{}: {}", self.policy, self.reason)
    }
}
