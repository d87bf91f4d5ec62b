//! Bytes as text that is safe to print and can be read back.

use std::fmt::Write;

/// Turns a Linux path or name into text: UTF-8 stays as it is, a backslash is
/// doubled, and control characters and bytes that are not UTF-8 become `\xNN`.
pub fn path(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str(r"\\"),
                c if c.is_control() => {
                    let mut utf8 = [0; 4];
                    push_hex(&mut text, c.encode_utf8(&mut utf8).as_bytes());
                }
                c => text.push(c),
            }
        }
        push_hex(&mut text, chunk.invalid());
    }
    text
}

/// Turns text back into the bytes that [`path()`] made it of.
///
/// # Errors
/// A sentence: a backslash without what must follow it.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let byte = match after {
            [b'\\', ..] => Some((b'\\', 1)),
            [b'x', high, low, ..] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                digit(high)
                    .zip(digit(low))
                    .map(|(high, low)| ((high * 16 + low) as u8, 3))
            }
            _ => None,
        };
        let Some((byte, length)) = byte else {
            return Err(r"has a backslash without what must follow it: write `\\` for the backslash, `\xNN` for a byte".into());
        };
        bytes.push(byte);
        rest = &after[length..];
    }
    Ok(bytes)
}

/// Makes a message from a policy fit for a log: control characters escaped
/// (an escape sequence must not reach the console, a newline must not forge a
/// line), cut at a character boundary to at most `limit` bytes before escaping.
pub fn message(message: &str, limit: usize) -> String {
    let mut end = limit.min(message.len());
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let mut text = String::with_capacity(end);
    for character in message[..end].chars() {
        match character {
            '\n' => text.push_str(r"\n"),
            '\t' => text.push_str(r"\t"),
            c if c.is_control() => {
                let mut utf8 = [0; 4];
                push_hex(&mut text, c.encode_utf8(&mut utf8).as_bytes());
            }
            c => text.push(c),
        }
    }
    if end < message.len() {
        let _ = write!(text, " [{} bytes cut]", message.len() - end);
    }
    text
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, r"\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_printed_so_that_it_can_be_read_back() {
        assert_eq!(path("/etc/größe".as_bytes()), "/etc/größe");
        assert_eq!(path(b"a\nb\\c\xff\x1b[0m"), r"a\x0ab\\c\xff\x1b[0m");
        assert_eq!(path("\u{85}".as_bytes()), r"\xc2\x85");
        for bytes in [
            "/etc/größe".as_bytes(),
            b"a\nb\\c\xff\x1b[0m",
            b"\\x41",
            b"",
        ] {
            assert_eq!(unescape(&path(bytes)).unwrap(), bytes);
        }
        for text in [r"\", r"a\n", r"\x4", r"\xzz"] {
            assert!(unescape(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_message_is_one_line_and_cut_between_characters() {
        assert_eq!(
            message("two\nlines\x1b]0;x\x07", 100),
            r"two\nlines\x1b]0;x\x07"
        );
        assert_eq!(message("ääää", 3), "ä [6 bytes cut]");
    }
}
