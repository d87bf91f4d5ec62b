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
}
