//! The signature that travels with a policy.

use switch_root_core::limits::fixed;

switch_root_core::outcomes! {
    /// Why a text is no signature: what follows its name in a sentence.
    pub enum NotASignature in "artifacts" {
        /// `srctl policy sign` and `ssh-keygen -Y sign` write signatures.
        "SR-O95" TooLarge { size: usize, limit: u64 } = "is {size} bytes large; no signature has more than {limit}",
        "SR-O96" NotArmored = "is not an SSH signature in its armor; sign the policy again",
    }
}

/// Checks that a text can be a signature: an SSH signature as `ssh-keygen` writes
/// it. Whether it is a good one, whoever has the key can tell.
///
/// # Errors
/// It is none: what follows its name in a sentence.
pub fn check_signature(text: &str) -> Result<(), NotASignature> {
    let plain = |byte: u8| byte == b'\n' || byte == b'\r' || matches!(byte, b' '..=b'~');
    // What a boot does not read is of no use to anybody.
    if text.len() as u64 > fixed::SIGNATURE_FILE {
        return Err(NotASignature::TooLarge {
            size: text.len(),
            limit: fixed::SIGNATURE_FILE,
        });
    }
    let armored = text.starts_with("-----BEGIN SSH SIGNATURE-----")
        && text.trim_end().ends_with("-----END SSH SIGNATURE-----");
    match armored && text.bytes().all(plain) {
        true => Ok(()),
        false => Err(NotASignature::NotArmored),
    }
}
