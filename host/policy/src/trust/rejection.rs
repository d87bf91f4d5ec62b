//! Why a signature does not count.

use std::fmt;

use switch_root_core::escape;

use super::signature::NAMESPACE;
use super::time::Time;

/// The most of a text from a signature that is shown, in bytes.
const SHOWN: usize = 256;

/// Why a signature does not count. What is displayed goes on a sentence that begins with
/// the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is no armored SSH signature, for this reason.
    Malformed(String),
    /// Its key is of a type that is not checked here, which is named where it is known.
    Algorithm(Option<String>),
    /// It was made for this namespace.
    Namespace(String),
    /// Nobody lists its key, which has this fingerprint.
    UnknownKey(String),
    /// Its key is listed, and only for signatures of other kinds.
    OtherNamespaces {
        /// Of the key.
        fingerprint: String,
        /// The file and line that list it.
        place: String,
    },
    /// It is a signature of something else, by this signer.
    Changed(String),
    /// Its key has expired.
    Expired {
        /// Who signed, and the fingerprint of the key.
        who: String,
        /// The last moment at which it was valid.
        on: Time,
        /// The file and line that say so.
        place: String,
    },
    /// Its key is not valid yet.
    NotYetValid {
        /// Who signed, and the fingerprint of the key.
        who: String,
        /// The first moment at which it is valid.
        from: Time,
        /// The file and line that say so.
        place: String,
    },
}

impl Rejection {
    pub(super) fn algorithm(name: &str) -> Self {
        Self::Algorithm(Some(escape::message(name, SHOWN)))
    }

    pub(super) fn namespace(name: &str) -> Self {
        Self::Namespace(escape::message(name, SHOWN))
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(reason) => write!(
                f,
                "has a signature file that is no armored SSH signature ({reason}); sign it again with `srctl policy sign`, or `ssh-keygen -Y sign -n {NAMESPACE}`"
            ),
            Self::Algorithm(name) => write!(
                f,
                "is signed by a key of {}, and only keys of the types ssh-ed25519 and sk-ssh-ed25519@openssh.com are accepted",
                match name {
                    Some(name) => format!("the type {name}"),
                    None => "another type".into(),
                }
            ),
            Self::Namespace(name) => write!(
                f,
                "has a signature that was made for something else: its namespace is `{name}`, and that of policies is `{NAMESPACE}`"
            ),
            Self::UnknownKey(fingerprint) => write!(
                f,
                "is signed by a key that is not among those that are accepted: {fingerprint}"
            ),
            Self::OtherNamespaces { fingerprint, place } => write!(
                f,
                "is signed by the key {fingerprint}, which {place} accepts for other namespaces than `{NAMESPACE}` only"
            ),
            Self::Changed(signer) => write!(
                f,
                "is not what {signer} signed: the signature is that of another file, or the file was changed since"
            ),
            Self::Expired { who, on, place } => {
                write!(f, "is signed by {who}, whose key expired on {on} ({place})")
            }
            Self::NotYetValid { who, from, place } => write!(
                f,
                "is signed by {who}, whose key is not valid before {from} ({place})"
            ),
        }
    }
}
