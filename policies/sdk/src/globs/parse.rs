//! Reads patterns, and says where one can't be read.

use core::fmt;

use super::component::{Component, Token};
use crate::sentence;

/// A pattern that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// The pattern as it was given.
    pub pattern: Vec<u8>,
    /// Where it stops to make sense, in bytes, 1 for the first.
    pub position: usize,
    /// What is wrong there and what it should be.
    pub problem: &'static str,
}

impl From<PatternError> for String {
    fn from(error: PatternError) -> String {
        let pattern = String::from_utf8_lossy(&error.pattern);
        let mut text = String::from("the pattern \"");
        sentence::push(&mut text, &[&pattern, "\" can't be read at position "]);
        sentence::push_number(&mut text, error.position);
        sentence::push(&mut text, &[": ", error.problem]);
        text
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from(self.clone()))
    }
}

impl std::error::Error for PatternError {}

/// What is wrong, and at which offset into the pattern.
type Problem = (usize, &'static str);

pub(super) fn pattern(text: &[u8]) -> Result<Vec<Component>, PatternError> {
    components(text).map_err(|(offset, problem)| PatternError {
        pattern: text.to_vec(),
        position: offset + 1,
        problem,
    })
}

fn components(text: &[u8]) -> Result<Vec<Component>, Problem> {
    if text.first() != Some(&b'/') {
        return Err((0, "a pattern starts with \"/\""));
    }
    if let Some(offset) = text.iter().position(|&byte| byte == 0) {
        return Err((offset, "a name has no NUL"));
    }
    let mut components = Vec::new();
    let mut start = 1;
    loop {
        let length = text[start..].iter().position(|&byte| byte == b'/');
        let end = length.map_or(text.len(), |length| start + length);
        components.push(component(&text[..end], start)?);
        if end == text.len() {
            return Ok(components);
        }
        start = end + 1;
    }
}

/// Reads the component that begins at `start` and ends with `text`.
fn component(text: &[u8], start: usize) -> Result<Component, Problem> {
    match &text[start..] {
        b"" => return Err((start, "a name is missing here")),
        b"." | b".." => return Err((start, "a path has neither \".\" nor \"..\"")),
        b"**" => return Ok(Component::AnyDepth),
        _ => {}
    }
    let mut tokens = Vec::new();
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        let token = match byte {
            b'*' if text.get(at + 1) == Some(&b'*') => {
                return Err((at, "\"**\" stands between two \"/\", and nothing beside it"));
            }
            b'*' => Token::AnyBytes,
            b'?' => Token::AnyByte,
            b'[' => {
                let (class, end) = class(text, at)?;
                at = end;
                tokens.push(class);
                continue;
            }
            b'\\' => {
                at += 1;
                Token::Byte(escaped(text, at)?)
            }
            _ => Token::Byte(byte),
        };
        at += 1;
        tokens.push(token);
    }
    Ok(literal(&tokens).map_or(Component::Wild(tokens), Component::Literal))
}

/// The bytes of the tokens, if they are nothing else.
fn literal(tokens: &[Token]) -> Option<Vec<u8>> {
    let bytes = tokens.iter().map(|token| match token {
        Token::Byte(byte) => Some(*byte),
        _ => None,
    });
    bytes.collect()
}

/// The byte after a `\`.
fn escaped(text: &[u8], at: usize) -> Result<u8, Problem> {
    let problem = "a \"\\\" stands before a byte of the same name";
    text.get(at).copied().ok_or((at - 1, problem))
}

/// Reads the class whose `[` is at `open`. Also returns where it ends.
fn class(text: &[u8], open: usize) -> Result<(Token, usize), Problem> {
    let unclosed = (
        open,
        "this \"[\" has no \"]\" in the same name (write \"\\[\" for itself)",
    );
    let mut at = open + 1;
    let negated = text.get(at) == Some(&b'!');
    if negated {
        at += 1;
    }
    if text.get(at) == Some(&b'^') {
        return Err((at, "write \"[!\" for all others, or \"\\^\" for itself"));
    }
    let mut ranges = Vec::new();
    loop {
        let start = at;
        match *text.get(at).ok_or(unclosed)? {
            // The first one stands for itself: a class without a byte would match nothing.
            b']' if !ranges.is_empty() => break,
            b'[' if text.get(at + 1) == Some(&b':') => {
                return Err((
                    at,
                    "\"[:\" names no class here: write ranges such as \"a-z\"",
                ));
            }
            _ => {}
        }
        let first = class_byte(text, &mut at).ok_or(unclosed)?;
        let is_range =
            text.get(at) == Some(&b'-') && !matches!(text.get(at + 1), None | Some(b']'));
        let last = if is_range {
            at += 1;
            class_byte(text, &mut at).ok_or(unclosed)?
        } else {
            first
        };
        if last < first {
            return Err((start, "this range ends before it begins"));
        }
        ranges.push((first, last));
    }
    Ok((Token::Class { negated, ranges }, at + 1))
}

fn class_byte(text: &[u8], at: &mut usize) -> Option<u8> {
    if text.get(*at) == Some(&b'\\') {
        *at += 1;
    }
    let byte = text.get(*at).copied();
    *at += 1;
    byte
}
