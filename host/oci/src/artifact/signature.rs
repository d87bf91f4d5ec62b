//! The signature that travels with a policy.

use switch_root_core::limits::fixed;

/// Checks that a text can be a signature: an SSH signature as `ssh-keygen` writes
/// it. Whether it is a good one, whoever has the key can tell.
///
/// # Errors
/// It is none: what follows its name in a sentence.
pub fn check_signature(text: &str) -> std::result::Result<(), String> {
    let plain = |byte: u8| byte == b'\n' || byte == b'\r' || matches!(byte, b' '..=b'~');
    // What a boot does not read is of no use to anybody.
    if text.len() as u64 > fixed::SIGNATURE_FILE {
        return Err(format!(
            "is {} bytes large; no signature has more than {}",
            text.len(),
            fixed::SIGNATURE_FILE
        ));
    }
    let armored = text.starts_with("-----BEGIN SSH SIGNATURE-----")
        && text.trim_end().ends_with("-----END SSH SIGNATURE-----");
    match armored && text.bytes().all(plain) {
        true => Ok(()),
        false => Err("is not an SSH signature in its armor; sign the policy again".into()),
    }
}
