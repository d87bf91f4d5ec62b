//! Linux names as text: a path is bytes, JSON and test output are not.

/// Writes bytes as text that [`unescape`] turns back: `\\` for a backslash, `\xNN`
/// for a control character and for each byte that is not part of valid UTF-8.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                control if control.is_ascii_control() => {
                    text.push_str(&format!("\\x{:02x}", control as u32));
                }
                other => text.push(other),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The bytes that [`escape`], or the escaping in a report, was given. A backslash that
/// begins no escape stands for itself.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
        } else if let Some(after) = after.strip_prefix(b"\\") {
            bytes.push(b'\\');
            rest = after;
        } else if let Some((byte, after)) = hexadecimal(after) {
            bytes.push(byte);
            rest = after;
        } else {
            bytes.push(b'\\');
        }
    }
    bytes
}

/// Reads `xNN` at the start of `text`: the byte, and what comes after it.
fn hexadecimal(text: &[u8]) -> Option<(u8, &[u8])> {
    let digits = text.strip_prefix(b"x")?.get(..2)?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u8::from_str_radix(digits, 16).ok()?, &text[3..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_round_trip() {
        let all: Vec<u8> = (1..=255).collect();
        assert_eq!(unescape(&escape(&all)), all);
        assert_eq!(escape(b"a\n\\\xff\xc3\xa9"), "a\\x0a\\\\\\xff\u{e9}");
    }

    #[test]
    fn a_backslash_that_escapes_nothing_is_kept() {
        assert_eq!(unescape("\\q\\x1"), b"\\q\\x1");
    }
}
