//! Outcomes: what is reported to operators, each with a code that stays the same in every
//! release, and what to do about it.
//!
//! [`outcomes!`](crate::outcomes!) declares those of a module as an enum, next to the code that
//! gives them back. Where outcomes of many kinds come together they are [`Message`]s: `?` makes
//! one of any of them. FAILURES.md is made of the same tables.

mod code;
mod declare;
mod document;
mod message;

pub use code::Code;
pub use document::Document;
pub use message::{Message, error, split, text, warn};

/// An enum of [`outcomes!`](crate::outcomes!).
pub trait Outcomes: std::error::Error {
    /// What documents say of it. The boot program does not use it, and so does not have it.
    const TABLE: Table;

    /// The code of this outcome.
    fn code(&self) -> Code;
}

/// What documents say of an enum of outcomes.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The name of the enum.
    pub name: &'static str,
    /// The table of FAILURES.md that it is a part of.
    pub section: &'static str,
    /// The outcomes, as they are declared.
    pub rows: &'static [Row],
}

/// What documents say of an outcome.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its code.
    pub code: Code,
    /// Its words, with the names of what is filled in between braces.
    pub message: &'static str,
    /// The cause and what to do, in lines; none where the row before it says that.
    pub remedy: &'static [&'static str],
}

/// Every code that was ever used, as the file that lists them has it.
pub const CODES: &str = include_str!("outcome/codes.txt");
