//! os-release(5): which operating system the new root holds.

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
