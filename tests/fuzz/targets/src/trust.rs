//! Signatures and those whose signatures count.

use policy::trust::{Time, Trust, signers};
use ssh_key::{PrivateKey, SshSig, private::Ed25519Keypair};

use crate::{Target, assert_shown};

/// A file of signers.
pub const SIGNERS: Target = Target::new("signers", signers);
/// A signature of a policy.
pub const SIGNATURE: Target = Target::new("signature", signature);

/// What is signed.
pub const SIGNED: &[u8] = b"a policy";

fn signers(data: &[u8]) {
    let mut found = Vec::new();
    match signers::parse("/signers", data, &mut found) {
        Ok(()) => found.iter().for_each(|signer| {
            assert!(signer.fingerprint().starts_with("SHA256:"));
        }),
        Err(reason) => assert_shown(&reason.to_string()),
    }
    assert!(found.len() <= 1000);
}

/// The key whose signatures count here.
pub fn key() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))
}

fn signature(data: &[u8]) {
    let key = key();
    let mut trust = Trust::default();
    let public = key.public_key().to_openssh().expect("a key is written");
    trust
        .add("/signers", format!("tests {public}\n").as_bytes())
        .expect("the signers are read");
    match trust.verify(SIGNED, data, Time(0)) {
        // Nobody but the owner of the key can make one.
        Ok(_) => {
            let ours = toolkit::sign::sign(&key, SIGNED).expect("it is signed");
            let [ours, given] =
                [ours.as_bytes(), data].map(|text| SshSig::from_pem(text).expect("it was read"));
            assert_eq!(given.signature_bytes(), ours.signature_bytes());
        }
        Err(rejection) => assert_shown(&rejection.to_string()),
    }
    assert!(trust.verify(b"another policy", data, Time(0)).is_err());
}
