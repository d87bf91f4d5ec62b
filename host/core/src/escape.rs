//! Bytes as text that is safe to print and can be read back.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

/// Characters that no terminal shows, or that change how the text around them looks, as
/// ranges: those of the categories Cf, Zl and Zp (DerivedGeneralCategory.txt of Unicode
/// 16), those that may be ignored when they are displayed (Default_Ignorable_Code_Point
/// of DerivedCoreProperties.txt), and the blank of Braille.
const INVISIBLE: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether a character is not seen, or makes other text look like something else.
pub fn is_invisible(character: char) -> bool {
    let found = INVISIBLE.binary_search_by(|(first, last)| match character {
        it if it < *first => std::cmp::Ordering::Greater,
        it if it > *last => std::cmp::Ordering::Less,
        _ => std::cmp::Ordering::Equal,
    });
    found.is_ok()
}

/// Makes text fit for a terminal or a log, whatever it is made of: invisible and
/// directional characters become `\xNN` for each of their bytes. The text is escaped
/// already ([`path()`], [`message()`]) as far as programs read it, too, which do not
/// confuse what looks alike; so all that is shown to people passes here last.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || !text.contains(is_invisible) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match is_invisible(character) {
            true => push_hex(&mut shown, character.encode_utf8(&mut [0; 4]).as_bytes()),
            false => shown.push(character),
        }
    }
    shown.into()
}

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

/// A path as it is shown to people: [`Path::display`] would hand control characters to their
/// terminal.
pub trait Shown {
    /// The path as text: see [`path()`].
    fn shown(&self) -> String;
}

impl Shown for Path {
    fn shown(&self) -> String {
        path(self.as_os_str().as_encoded_bytes())
    }
}

/// Turns text back into the bytes that [`path()`] made it of; nothing where it has a backslash
/// without what must follow it.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
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
        let (byte, length) = byte?;
        bytes.push(byte);
        rest = &after[length..];
    }
    Some(bytes)
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
            assert!(unescape(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_shown_byte_by_byte() {
        assert_eq!(visible("a\u{202e}b"), r"a\xe2\x80\xaeb");
        for hidden in [
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200f}',
            '\u{202a}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{fe0f}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{3164}',
            '\u{2028}',
        ] {
            let shown = visible(&format!("{hidden}")).into_owned();
            assert!(shown.starts_with(r"\x") && shown.is_ascii(), "{shown}");
            let bytes = hidden.to_string().into_bytes();
            assert_eq!(unescape(&shown).unwrap(), bytes, "it can be read back");
        }
        // Text stays, with its colours and lines.
        for text in ["größe 日本 …\n", "\u{1b}[31mred\u{1b}[0m\n", "", "\u{300}"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
        assert!(INVISIBLE.is_sorted_by(|(_, last), (first, _)| last < first));
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
