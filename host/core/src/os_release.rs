//! os-release(5): which operating system the new root holds.

use crate::locations::OS_RELEASE;
use crate::outcome::Message;

crate::outcomes! {
    /// What extensions are judged without.
    pub enum Unusable in "init-warnings" {
        /// `os-release` cannot be used, so that extensions are judged without it. Repair the image.
        "SR-N55" Because { path: &'static str, reason: Message } = "{path} of the new root {reason}",
    }
}

/// The text of the new root's os-release: of the first of its two files that can be read.
/// The second value holds why others could not. `read` gives what is at a path of the new root,
/// if that is a regular file of at most [`OS_RELEASE`](crate::limits::fixed::OS_RELEASE) bytes,
/// and otherwise what follows the path in a sentence.
pub fn find(
    mut read: impl FnMut(&'static str) -> Result<Option<Vec<u8>>, Message>,
) -> (Option<String>, Vec<Unusable>) {
    let mut warnings = Vec::new();
    for path in OS_RELEASE {
        match read(path) {
            Ok(Some(bytes)) => {
                return (Some(String::from_utf8_lossy(&bytes).into_owned()), warnings);
            }
            Ok(None) => {}
            Err(reason) => warnings.push(Unusable::Because { path, reason }),
        }
    }
    (None, warnings)
}

/// Reads os-release(5): assignments in the syntax of a shell, without
/// expansion. Lines that are none are passed over, as the format asks.
pub fn parse(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.trim().split_once('=')?;
            let valid = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            valid.then(|| (name.to_owned(), unquote(value.trim())))
        })
        .collect()
}

fn unquote(value: &str) -> String {
    let quoted = |quote: char| {
        value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    };
    if let Some(inner) = quoted('\'') {
        return inner.to_owned();
    }
    let inner = quoted('"').unwrap_or(value);
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => text.extend(characters.next()),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::Unreadable;

    #[test]
    fn the_first_os_release_that_can_be_read_counts() {
        let of = |first: Result<Option<&str>, Unreadable>| {
            let mut first = Some(first);
            let (text, warnings) = find(|_| match first.take() {
                Some(first) => Ok(first?.map(|text| text.as_bytes().to_vec())),
                None => Ok(Some(b"second".to_vec())),
            });
            let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
            (text, warnings)
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(of(Ok(Some("first"))), (text("first"), vec![]));
        assert_eq!(of(Ok(None)), (text("second"), vec![]));
        let warning = "/etc/os-release of the new root is not a regular file".to_owned();
        let expected = (text("second"), vec![warning]);
        assert_eq!(of(Err(Unreadable::NotRegular)), expected);
        assert_eq!(find(|_| Ok(None)).0, None);
    }

    #[test]
    fn os_release_is_read_with_its_quotes() {
        let fields = parse(
            "NAME=\"Talos\"\nID=talos\n# comment\nVERSION_ID='v1.6.0'\n\nPRETTY_NAME=\"A \\\"B\\\" \\$C\"\nbad line\n=x\nA-B=c\nEMPTY=\n",
        );
        let expected = [
            ("NAME", "Talos"),
            ("ID", "talos"),
            ("VERSION_ID", "v1.6.0"),
            ("PRETTY_NAME", "A \"B\" $C"),
            ("EMPTY", ""),
        ];
        assert_eq!(
            fields,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
