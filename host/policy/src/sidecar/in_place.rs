//! Where in its file the settings stand.
//!
//! serde_json's `RawValue` would find them, too. But with it each value that is read as JSON
//! may be written as an object with a key of serde_json's own, and is another one then.

use std::ops::Range;

/// The settings as they are written, behind as many lines and columns of blanks as the file
/// has other text in front of them: a policy that refuses this text names a place in the
/// operator's own file. Two of them do not differ: what the file says is in the other fields.
#[derive(Clone, Debug, Eq)]
pub struct InPlace(String);

impl PartialEq for InPlace {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl InPlace {
    /// Those of a file that was read as JSON already, and has keys once.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let place = Cursor { bytes, at: 0 }.value_of("settings")?;
        let settings = std::str::from_utf8(bytes.get(place.clone())?).ok()?;
        if settings == "null" {
            return None;
        }
        let blank = |byte: &u8| if *byte == b'\n' { '\n' } else { ' ' };
        let mut text: String = bytes.get(..place.start)?.iter().map(blank).collect();
        text.push_str(settings);
        Some(Self(text))
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// A place in bytes that are JSON.
struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Cursor<'_> {
    /// Where the value of a key of the outermost object stands.
    fn value_of(mut self, key: &str) -> Option<Range<usize>> {
        self.past_blanks();
        self.past(b'{')?;
        loop {
            self.past_blanks();
            let start = self.at;
            self.past_string()?;
            let name: String = serde_json::from_slice(&self.bytes[start..self.at]).ok()?;
            self.past_blanks();
            self.past(b':')?;
            self.past_blanks();
            let start = self.at;
            self.past_value()?;
            if name == key {
                return Some(start..self.at);
            }
            self.past_blanks();
            self.past(b',')?;
        }
    }

    fn next(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn past(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    fn past_blanks(&mut self) {
        while self.next().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn past_string(&mut self) -> Option<()> {
        self.past(b'"')?;
        loop {
            match self.next()? {
                b'\\' => self.at += 2,
                b'"' => return self.past(b'"'),
                _ => self.at += 1,
            }
        }
    }

    fn past_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.next()? {
                b'"' => self.past_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                byte if byte.is_ascii_whitespace() => self.at += 1,
                // A number, or a word.
                _ => {
                    while self
                        .next()
                        .is_some_and(|byte| !b",:}] \t\r\n".contains(&byte))
                    {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(file: &str) -> Option<String> {
        let found = InPlace::of(file.as_bytes())?;
        assert_eq!(
            file.find(found.text().trim_start()),
            Some(found.0.len() - found.0.trim_start().len())
        );
        Some(found.0.trim_start().to_owned())
    }

    #[test]
    fn settings_are_found_among_any_other_keys() {
        for (file, expected) in [
            (r#"{"settings":{"a":[1,{}]}}"#, Some(r#"{"a":[1,{}]}"#)),
            (r#" { "settings" : -1.5e3 } "#, Some("-1.5e3")),
            (
                r#"{"limits":{"settings":1},"settings":"\"}{"}"#,
                Some(r#""\"}{""#),
            ),
            (
                r#"{"a\\":"settings","settings":[ ] , "b":true}"#,
                Some("[ ]"),
            ),
            (r#"{"sett\u0069ngs":true}"#, Some("true")),
            (r#"{"settings":null}"#, None),
            (r#"{"a":"settings"}"#, None),
            ("{}", None),
            ("[]", None),
            ("", None),
            (r#"{"settings":{"#, None),
            (r#"{"settings":"\"#, None),
        ] {
            assert_eq!(settings(file).as_deref(), expected, "{file}");
        }
    }
}
