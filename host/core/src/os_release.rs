//! os-release(5): which operating system the new root holds.

use crate::locations::OS_RELEASE;

/// The text of the new root's os-release: of the first of its two files that can be read.
/// The second value holds why others could not. `read` gives what is at a path of the new root,
/// if that is a regular file of at most [`OS_RELEASE`](crate::limits::fixed::OS_RELEASE) bytes,
/// and otherwise what follows the path in a sentence.
pub fn find(
    mut read: impl FnMut(&'static str) -> Result<Option<Vec<u8>>, String>,
) -> (Option<String>, Vec<String>) {
    let mut warnings = Vec::new();
    for path in OS_RELEASE {
        match read(path) {
            Ok(Some(bytes)) => {
                return (Some(String::from_utf8_lossy(&bytes).into_owned()), warnings);
            }
            Ok(None) => {}
            Err(reason) => warnings.push(format!("{path} of the new root {reason}")),
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

    #[test]
    fn the_first_os_release_that_can_be_read_counts() {
        let of = |first: Result<Option<&str>, &str>| {
            find(|path| match path == OS_RELEASE[0] {
                true => first
                    .map(|text| text.map(|text| text.as_bytes().to_vec()))
                    .map_err(str::to_owned),
                false => Ok(Some(b"second".to_vec())),
            })
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(of(Ok(Some("first"))), (text("first"), vec![]));
        assert_eq!(of(Ok(None)), (text("second"), vec![]));
        let warning = "/etc/os-release of the new root is not a regular file".to_owned();
        let expected = (text("second"), vec![warning]);
        assert_eq!(of(Err("is not a regular file")), expected);
        assert_eq!(find(|_| Ok(None)), (None, vec![]));
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
