//! What the judge says to the host, byte by byte: the tests' own idea of the format, which is
//! that of the crate postcard. See `host/policy/src/protocol.rs`.

/// The number of `Reply::Decisions`.
pub const DECISIONS: u8 = 2;
/// The number of `Reply::Extensions`.
pub const EXTENSIONS: u8 = 3;
/// The number of `Reply::Verdicts`.
pub const VERDICTS: u8 = 4;
/// The number of `Reply::Warning`.
pub const WARNING: u8 = 6;
/// The number of `Kind::Signature`.
pub const SIGNATURE: u8 = 1;

/// A message without a code.
pub const NO_CODE: u8 = 0;

/// What an answer took: fuel, time, memory, table elements.
pub const COST: [u8; 4] = [1; 4];
/// One decision: `delete`.
pub const DELETE: [u8; 1] = [0];

/// A frame: its length and its bytes.
pub fn frame(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes()[..], bytes].concat()
}

/// A text of less than 128 bytes.
fn text(text: &str) -> Vec<u8> {
    [&[text.len() as u8][..], text.as_bytes()].concat()
}

/// The judge is ready, and nothing confines it.
pub fn ready() -> Vec<u8> {
    vec![0; 7]
}

/// A policy is loaded, which answers all questions.
pub fn loaded() -> Vec<u8> {
    [&[1, 0, 1, 1, 1, 0][..], &COST, &[0]].concat()
}

/// Decisions of a byte each, as many as are there.
pub fn decisions(decisions: &[u8]) -> Vec<u8> {
    let head = [DECISIONS, 0, decisions.len() as u8];
    [&head[..], decisions, &COST].concat()
}

/// A failure when asked what survives.
pub fn failed(kind: u8, message: &str) -> Vec<u8> {
    [&[DECISIONS, 1, 1, kind, NO_CODE][..], &text(message), &COST].concat()
}

/// There are no extensions, and nothing else in their file.
pub fn no_extensions() -> Vec<u8> {
    vec![EXTENSIONS, 0, 0, 0, 0]
}

/// So many times `compatible`.
pub fn verdicts(count: u8) -> Vec<u8> {
    [
        &[VERDICTS, 0, count][..],
        &vec![0; usize::from(count)],
        &COST,
    ]
    .concat()
}

/// A log message, as an error.
pub fn log(message: &str) -> Vec<u8> {
    [&[5, 0][..], &text(message)].concat()
}

/// A warning.
pub fn warning(message: &str) -> Vec<u8> {
    [&[WARNING, NO_CODE][..], &text(message)].concat()
}

/// The judge met a defect of its own.
pub fn panic(message: &str) -> Vec<u8> {
    [&[7][..], &text(message)].concat()
}
