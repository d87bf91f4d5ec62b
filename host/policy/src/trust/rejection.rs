//! Why a signature does not count.

use switch_root_core::escape;

use super::signature::NAMESPACE;
use super::time::Time;

/// The most of a text from a signature that is shown, in bytes.
const SHOWN: usize = 256;

switch_root_core::outcomes! {
    /// Why a signature does not count: what follows the policy's name in a sentence.
    #[derive(Clone, PartialEq, Eq)]
    pub enum Rejection in "signatures" {
        /// The file was damaged, or is something else; the reason is in parentheses.
        "SR-S10" Malformed { reason: String } = "has a signature file that is no armored SSH signature ({reason}); sign it again with `srctl policy sign`, or `ssh-keygen -Y sign -n {NAMESPACE}`",
        /// Sign it with an Ed25519 key.
        "SR-S11" Algorithm { name: String } = "is signed by a key of the type {name}, and only keys of the types ssh-ed25519 and sk-ssh-ed25519@openssh.com are accepted",
        "SR-S12" UnknownAlgorithm = "is signed by a key of another type, and only keys of the types ssh-ed25519 and sk-ssh-ed25519@openssh.com are accepted",
        /// Add the key to a `*.signers` file of the trust folder if it is to be accepted.
        "SR-S13" UnknownKey { fingerprint: String } = "is signed by a key that is not among those that are accepted: {fingerprint}",
        /// Sign with `-n switch-root-policy`, or let the line of the signers file accept that
        /// namespace.
        "SR-S14" Namespace { name: String } = "has a signature that was made for something else: its namespace is `{name}`, and that of policies is `{NAMESPACE}`",
        "SR-S15" OtherNamespaces { fingerprint: String, place: String } = "is signed by the key {fingerprint}, which {place} accepts for other namespaces than `{NAMESPACE}` only",
        /// The policy was rebuilt after it was signed; or somebody changed it.
        "SR-S16" Changed { signer: String } = "is not what {signer} signed: the signature is that of another file, or the file was changed since",
    }
}

switch_root_core::outcomes! {
    /// That the key of a signature is not valid at a time. What is displayed goes on a sentence
    /// that begins with the policy.
    #[derive(Clone, PartialEq, Eq)]
    pub enum OutsideValidity in "signature-warnings" {
        /// Clocks are often wrong in an initramfs. A key that must not count any more is taken out
        /// of the trust folder.
        "SR-S50" Expired { who: String, time: Time, place: String } = "is signed by {who}, whose key expired on {time} ({place})",
        "SR-S51" NotYetValid { who: String, time: Time, place: String } = "is signed by {who}, whose key is not valid before {time} ({place})",
    }
}

impl Rejection {
    pub(super) fn algorithm(name: &str) -> Self {
        Self::Algorithm {
            name: escape::message(name, SHOWN),
        }
    }

    pub(super) fn namespace(name: &str) -> Self {
        Self::Namespace {
            name: escape::message(name, SHOWN),
        }
    }
}
