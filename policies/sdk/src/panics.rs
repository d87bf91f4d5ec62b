//! What a panic says, said to the operator: without this all that is known of it is that the
//! component stopped itself.

use std::panic::{PanicHookInfo, set_hook};
use std::sync::Once;

use crate::log;

/// Has every panic of this instance log its message and its place, at `error`, before it
/// traps.
pub fn are_logged() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_hook(Box::new(|panic| log::error(&sentence(panic)))));
}

/// One line, since the host escapes newlines; and without the formatting code of the
/// standard library, which would be a third of a small policy.
fn sentence(panic: &PanicHookInfo<'_>) -> String {
    let mut sentence = String::from("panicked");
    if let Some(place) = panic.location() {
        sentence.push_str(" at ");
        sentence.push_str(place.file());
        sentence.push(':');
        push_number(&mut sentence, place.line());
    }
    if let Some(message) = panic.payload_as_str() {
        sentence.push_str(": ");
        sentence.push_str(message);
    }
    sentence
}

fn push_number(text: &mut String, number: u32) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}
