//! What a command means by its exit statuses, and how it is called: each has this beside its
//! arguments.

use crate::outcome::status;

/// What a command means by its exit statuses, and how it is called.
pub struct Row {
    /// The words after `srctl`.
    pub command: &'static str,
    /// When it ends with 0.
    pub fine: &'static str,
    /// When it ends with 1.
    pub failed: &'static str,
    /// When it ends with 3, if it can.
    pub unfit: Option<&'static str>,
    /// When it ends with 4, if it can.
    pub unknown: Option<&'static str>,
    /// Whole command lines.
    pub examples: &'static [&'static str],
}

impl Row {
    /// Each status with when it is, by number.
    pub fn statuses(&self) -> Vec<(u8, &'static str)> {
        let mut all = vec![
            (status::FINE, self.fine),
            (status::FAILED, self.failed),
            (status::USAGE, "the command line is wrong"),
        ];
        all.extend(self.unfit.map(|when| (status::UNFIT, when)));
        all.extend(self.unknown.map(|when| (status::UNKNOWN, when)));
        all.push((status::INTERRUPTED, "it was interrupted"));
        all
    }
}

/// Why most commands fail: the sentence that is printed says it.
const FAILED: &str = "something failed; what, is printed";

/// Whatever is below a command.
pub const GROUP: Row = Row {
    command: "",
    fine: "all went well",
    failed: FAILED,
    unfit: Some("the answer is no"),
    unknown: Some("the answer is not known, since something could not be examined or asked"),
    examples: &[],
};

/// What makes something, and answers nothing.
pub const MAKER: Row = Row {
    unfit: None,
    unknown: None,
    ..GROUP
};
