//! The code of an outcome.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The code of an outcome, such as `SR-P04`: a letter for what it is about, and a number. It
/// takes two bytes, since the boot program has hundreds of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(u16);

impl Code {
    /// Reads what is displayed; `None` where the text is not a code.
    pub const fn read(text: &str) -> Option<Self> {
        match *text.as_bytes() {
            [
                b'S',
                b'R',
                b'-',
                letter @ b'A'..=b'Z',
                tens @ b'0'..=b'9',
                ones @ b'0'..=b'9',
            ] => {
                let number = (tens - b'0') * 10 + (ones - b'0');
                Some(Self(((letter as u16) << 8) | number as u16))
            }
            _ => None,
        }
    }

    /// The code that a declaration has: compiling fails where that is not one.
    #[must_use]
    pub const fn declared(text: &str) -> Self {
        match Self::read(text) {
            Some(code) => code,
            None => panic!("a code is SR-, a letter and two digits"),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [letter, number] = self.0.to_be_bytes();
        write!(f, "SR-{}{number:02}", char::from(letter))
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| D::Error::custom("not a code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_they_are_displayed() {
        for text in ["SR-A01", "SR-Z99", "SR-P40"] {
            assert_eq!(Code::read(text).unwrap().to_string(), text);
        }
        for text in [
            "", "SR-A1", "SR-a01", "SR-A001", "XR-A01", "SR-AA1", "SR-é01",
        ] {
            assert_eq!(Code::read(text), None, "{text}");
        }
    }

    #[test]
    fn codes_are_texts_in_json() {
        let code = Code::declared("SR-P04");
        let json = serde_json::to_string(&code).unwrap();
        assert_eq!(json, "\"SR-P04\"");
        assert_eq!(serde_json::from_str::<Code>(&json).unwrap(), code);
        assert!(serde_json::from_str::<Code>("\"P04\"").is_err());
    }
}
