//! Sentences for the operator, put together without the formatting code of the standard library:
//! `format!` would be half of a small policy.

/// Appends the pieces to `sentence`, one after the other.
pub fn push(sentence: &mut String, pieces: &[&str]) {
    for piece in pieces {
        sentence.push_str(piece);
    }
}

/// Appends a number in decimal notation.
pub fn push_number(sentence: &mut String, number: usize) {
    if number >= 10 {
        push_number(sentence, number / 10);
    }
    sentence.push(char::from(b'0' + (number % 10) as u8));
}

/// The beginning of a text, at most this many bytes of it: what others wrote has no bound, and a
/// sentence is one line of a log.
pub fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most))
        .unwrap_or_default()
}

/// A text that others wrote, [`cut`] and in quotes, with control characters escaped. This brings
/// the formatting code of the standard library with it.
pub fn quote(text: &str, most: usize) -> String {
    let shown = cut(text, most);
    let dots = if shown.len() < text.len() { "..." } else { "" };
    format!("{shown:?}{dots}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 9, 10, 1234567890, usize::MAX] {
            let mut sentence = String::new();
            push_number(&mut sentence, number);
            assert_eq!(sentence, number.to_string());
        }
    }

    #[test]
    fn quotes_are_cut_between_characters() {
        assert_eq!(quote("a\n", 2), "\"a\\n\"");
        assert_eq!(quote("üü", 3), "\"ü\"...");
        assert_eq!(cut("üü", 4), "üü");
        assert_eq!(cut("ü", 0), "");
    }
}
