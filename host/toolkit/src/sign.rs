//! Signing policies, as `ssh-keygen -Y sign -n switch-root-policy` does it.

use policy::trust::NAMESPACE;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;

switch_root_core::outcomes! {
    /// Why a policy is not signed.
    pub(crate) enum NotSigned in "policies" {
        /// Signatures are made with a private ed25519 key in OpenSSH's format, or by an agent that has
        /// one.
        "SR-T56" Public { key: String, command: String } = "cannot sign with {key}: it is a public key; name the private one, or let an agent that has it sign: {command}",
        "SR-T57" NoKey { key: String } = "cannot sign with {key}: it is no private key in OpenSSH's format; make one with `ssh-keygen -t ed25519`, or convert it with `ssh-keygen -p -f {key}`",
        "SR-T58" OtherType { key: String, name: String } = "cannot sign with {key}: it is a key of {name}, and signatures of policies are accepted by ed25519 keys only; make one with `ssh-keygen -t ed25519`",
        "SR-T59" Unreadable { key: String, error: String } = "cannot sign with {key}: the key cannot be read: {error}",
        "SR-T60" Device { key: String, command: String } = "cannot sign with {key}: the key is in a device; let OpenSSH ask it: {command}",
        "SR-T61" Passphrase { key: String } = "cannot sign with {key}: the passphrase is wrong",
        "SR-T62" Refused { error: String } = "cannot sign: {error}",
    }
}

/// What OpenSSH's private keys begin with.
const PRIVATE: &[u8] = b"-----BEGIN OPENSSH PRIVATE KEY-----";

/// Reads a private key in OpenSSH's format. Where it is encrypted, `passphrase` is asked.
/// `shown` is how the file is called.
///
/// # Errors
/// It is no such key, of a type whose signatures are not accepted, or the passphrase is
/// wrong; with what to do.
pub fn read_key(
    shown: &str,
    bytes: &[u8],
    passphrase: &mut dyn FnMut() -> Result<String>,
) -> Result<PrivateKey> {
    let named = || shown.to_owned();
    let sign_with = |key: &str| format!("`ssh-keygen -Y sign -n {NAMESPACE} -f {key} FILE.wasm`");
    if bytes.starts_with(b"ssh-") || bytes.starts_with(b"sk-") || bytes.starts_with(b"ecdsa-") {
        return Err(Error::input(NotSigned::Public {
            command: sign_with(shown),
            key: named(),
        }));
    }
    if !bytes.starts_with(PRIVATE) {
        return Err(Error::input(NotSigned::NoKey { key: named() }));
    }
    let other_type = |name: &str| {
        Error::input(NotSigned::OtherType {
            key: named(),
            name: name.to_owned(),
        })
    };
    let key = PrivateKey::from_openssh(bytes).map_err(|error| match error {
        ssh_key::Error::AlgorithmUnknown => other_type("another type"),
        error => Error::input(NotSigned::Unreadable {
            key: named(),
            error: escape::message(&error.to_string(), 200),
        }),
    })?;
    match key.public_key().algorithm() {
        Algorithm::Ed25519 => {}
        Algorithm::SkEd25519 => {
            return Err(Error::input(NotSigned::Device {
                command: sign_with(shown),
                key: named(),
            }));
        }
        other => {
            let name = escape::message(other.as_str(), 100);
            return Err(other_type(&format!("the type {name}")));
        }
    }
    if !key.is_encrypted() {
        return Ok(key);
    }
    key.decrypt(passphrase()?).map_err(|_| {
        Error::input(NotSigned::Passphrase {
            key: shown.to_owned(),
        })
    })
}

/// Signs the bytes of a policy. The signature is armored, and the same for the same
/// bytes and key.
///
/// # Errors
/// The key cannot sign.
pub fn sign(key: &PrivateKey, wasm: &[u8]) -> Result<String> {
    // What ssh-keygen takes by default.
    key.sign(NAMESPACE, HashAlg::Sha512, wasm)
        .and_then(|signature| signature.to_pem(LineEnding::LF))
        .map_err(|error| {
            let error = error.to_string();
            Error::input(NotSigned::Refused { error })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::trust::{Trust, now};
    use ssh_key::private::{Ed25519Keypair, KeypairData};
    use switch_root_core::outcome::Message;

    fn no_passphrase() -> Result<String> {
        Err(Error::input(Message::quoted("asked")))
    }

    fn key() -> PrivateKey {
        let pair = KeypairData::from(Ed25519Keypair::from_seed(&[7; 32]));
        PrivateKey::new(pair, "me").unwrap()
    }

    #[test]
    fn what_is_signed_is_verified() {
        let text = key().to_openssh(LineEnding::LF).unwrap();
        let read = read_key("key", text.as_bytes(), &mut no_passphrase).unwrap();
        let signature = sign(&read, b"wasm").unwrap();
        assert!(signature.starts_with("-----BEGIN SSH SIGNATURE-----\n"));
        let line = format!("me {}\n", key().public_key().to_openssh().unwrap());
        let mut trust = Trust::default();
        trust.add("list", line.as_bytes()).unwrap();
        let signed = trust.verify(b"wasm", signature.as_bytes(), now()).unwrap();
        assert_eq!(signed.signer.principals, "me");
        assert!(trust.verify(b"wasn", signature.as_bytes(), now()).is_err());
    }

    #[test]
    fn what_is_no_key_is_told() {
        let text = key().to_openssh(LineEnding::LF).unwrap();
        let public = key().public_key().to_openssh().unwrap();
        for (bytes, expected) in [
            (&text.as_bytes()[..200], "cannot be read"),
            (public.as_bytes(), "it is a public key"),
            (
                b"-----BEGIN PRIVATE KEY-----",
                "no private key in OpenSSH's format",
            ),
            (b"", "no private key"),
        ] {
            let error = read_key("a/key", bytes, &mut no_passphrase).unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with("cannot sign with a/key: "), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }
}
