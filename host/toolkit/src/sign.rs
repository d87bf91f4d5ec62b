//! Signing policies, as `ssh-keygen -Y sign -n switch-root-policy` does it.

use policy::trust::NAMESPACE;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;

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
    let sign_with = |key: &str| format!("`ssh-keygen -Y sign -n {NAMESPACE} -f {key} FILE.wasm`");
    if bytes.starts_with(b"ssh-") || bytes.starts_with(b"sk-") || bytes.starts_with(b"ecdsa-") {
        return Err(Error::input(format!(
            "cannot sign with {shown}: it is a public key; name the private one, or let an agent that has it sign: {}",
            sign_with(shown)
        )));
    }
    if !bytes.starts_with(PRIVATE) {
        return Err(Error::input(format!(
            "cannot sign with {shown}: it is no private key in OpenSSH's format; make one with `ssh-keygen -t ed25519`, or convert it with `ssh-keygen -p -f {shown}`"
        )));
    }
    let other_type = |name: &str| {
        Error::input(format!(
            "cannot sign with {shown}: it is a key of {name}, and signatures of policies are accepted by ed25519 keys only; make one with `ssh-keygen -t ed25519`"
        ))
    };
    let key = PrivateKey::from_openssh(bytes).map_err(|error| match error {
        ssh_key::Error::AlgorithmUnknown => other_type("another type"),
        error => Error::input(format!(
            "cannot sign with {shown}: the key cannot be read: {}",
            escape::message(&error.to_string(), 200)
        )),
    })?;
    match key.public_key().algorithm() {
        Algorithm::Ed25519 => {}
        Algorithm::SkEd25519 => {
            return Err(Error::input(format!(
                "cannot sign with {shown}: the key is in a device; let OpenSSH ask it: {}",
                sign_with(shown)
            )));
        }
        other => {
            let name = escape::message(other.as_str(), 100);
            return Err(other_type(&format!("the type {name}")));
        }
    }
    if !key.is_encrypted() {
        return Ok(key);
    }
    key.decrypt(passphrase()?)
        .map_err(|_| Error::input(format!("cannot sign with {shown}: the passphrase is wrong")))
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
        .map_err(|error| Error::input(format!("cannot sign: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::trust::{Trust, now};
    use ssh_key::private::{Ed25519Keypair, KeypairData};

    fn no_passphrase() -> Result<String> {
        Err(Error::input("asked"))
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
