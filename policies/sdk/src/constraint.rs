//! Version constraints, as authors of system extensions write them.
//!
//! Two syntaxes are in use, and both are read, also mixed:
//!
//! - today's: `>= 1.5.0 < 1.9.0 || 2.x`. A space means and, `||` means or. The operators are
//!   `=` `==` (also meant by none), `!=` `!`, `>`, `>=`, `<`, `<=`. `x`, `X` or `*` stands for
//!   any minor or patch version.
//! - the older one: `>= 1.5, ~> 1.5`. A comma means and. `~>` lets the last part that is
//!   written grow and fixes those before it: `~> 1.5.2` is at least 1.5.2 and below 1.6.0.
//!
//! A part that is left out is 0. A `v` may stand before the first digit, and spaces after an
//! operator. With a wildcard only the parts before it are compared, so `> 1.6.x` begins with
//! 1.7.0. A pre-release (`1.6.0-alpha.2`) is below its release, as semantic versioning has it;
//! build metadata (`+...`) is ignored. No library reads it: semver has neither `||` nor `!=`.

use core::cmp::Ordering;

use crate::sentence;

/// A version that is compared with constraints. The default one is 0.0.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version<'a> {
    /// Major, minor and patch version.
    core: [u64; 3],
    /// What stands between `-` and `+`, empty for a release.
    pre_release: &'a str,
}

/// A constraint or a version that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where it stops to make sense, in bytes, 1 for the first.
    pub position: usize,
    /// What should be there.
    pub expected: &'static str,
    /// The character that is there; none at the end.
    pub found: Option<char>,
}

impl From<SyntaxError> for String {
    fn from(error: SyntaxError) -> String {
        let mut text = String::from("position ");
        sentence::push_number(&mut text, error.position);
        let mut utf8 = [0; 4];
        let (before, found, after) = match error.found {
            Some(found) => (", found \"", &*found.encode_utf8(&mut utf8), "\""),
            None => (", found the end", "", ""),
        };
        let pieces = [": expected ", error.expected, before, found, after];
        sentence::push(&mut text, &pieces);
        text
    }
}

impl core::fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(&String::from(self.clone()))
    }
}

impl std::error::Error for SyntaxError {}

impl<'a> Version<'a> {
    /// Reads a version of one to three numbers, with its pre-release.
    ///
    /// # Errors
    ///
    /// Where it can't be read, and what should be there.
    pub fn parse(text: &'a str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor { text, at: 0 };
        let parts = cursor.version()?;
        match cursor.peek() {
            _ if parts.wildcard => Err(cursor.wildcard()),
            None => Ok(Version {
                core: parts.core,
                pre_release: parts.pre_release,
            }),
            Some(_) => Err(cursor.error("the end")),
        }
    }

    /// Reads the numbers of a version and leaves the rest out, whatever it is: `v1.6.0-alpha.2`
    /// is 1.6.0, and `12` is 12.0.0. That is how the version of a running system counts.
    ///
    /// # Errors
    ///
    /// Where the numbers can't be read, and what should be there.
    pub fn parse_core(text: &'a str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor { text, at: 0 };
        let parts = cursor.numbers()?;
        match cursor.peek() {
            _ if parts.wildcard => Err(cursor.wildcard()),
            None | Some(b'-' | b'+') => Ok(Version {
                core: parts.core,
                pre_release: "",
            }),
            Some(_) => Err(cursor.error("\"-\", \"+\" or the end")),
        }
    }

    /// Whether the version is one that the constraint admits.
    ///
    /// # Errors
    ///
    /// Where the constraint can't be read, and what should be there. It is read to its end even
    /// where its beginning decides already.
    pub fn satisfies(&self, constraint: &str) -> Result<bool, SyntaxError> {
        let mut cursor = Cursor {
            text: constraint,
            at: 0,
        };
        cursor.skip_spaces();
        let (mut any, mut all) = (false, true);
        loop {
            all &= cursor.comparison()?.admits(self);
            let spaces = cursor.skip_spaces();
            match cursor.peek() {
                None => return Ok(any || all),
                Some(b',') => cursor.at += 1,
                Some(b'|') => {
                    cursor.at += 1;
                    if !cursor.take(b'|') {
                        return Err(cursor.error("a second \"|\""));
                    }
                    any |= all;
                    all = true;
                }
                Some(_) if spaces => {}
                Some(_) => return Err(cursor.error("a space, a comma, \"||\" or the end")),
            }
            cursor.skip_spaces();
        }
    }
}

/// Compares the first numbers of two versions, `count` of them.
fn compare_first(count: usize, left: &[u64; 3], right: &[u64; 3]) -> Ordering {
    let pairs = left.iter().zip(right).take(count);
    let orders = pairs.map(|(left, right)| left.cmp(right));
    orders.fold(Ordering::Equal, Ordering::then)
}

/// Semantic versioning's order: a release is above its pre-releases; their identifiers are
/// compared one by one, numbers as numbers and below words; of two that begin alike the longer
/// one is above.
fn compare_pre_releases(left: &str, right: &str) -> Ordering {
    if left.is_empty() || right.is_empty() {
        return left.is_empty().cmp(&right.is_empty());
    }
    let is_word = |text: &[u8]| text.iter().any(|byte| !byte.is_ascii_digit());
    let mut left = left.as_bytes().split(|&byte| byte == b'.');
    let mut right = right.as_bytes().split(|&byte| byte == b'.');
    loop {
        let (left, right) = match (left.next(), right.next()) {
            (Some(left), Some(right)) => (left, right),
            (left, right) => return left.is_some().cmp(&right.is_some()),
        };
        let words = (is_word(left), is_word(right));
        let mut order = words.0.cmp(&words.1);
        if words == (false, false) {
            // Without leading zeros the longer number is the larger one, however large.
            order = left.len().cmp(&right.len());
        }
        order = order.then_with(|| left.cmp(right));
        if order.is_ne() {
            return order;
        }
    }
}

/// Which versions an operator admits, compared with the one that is written after it.
struct Operator {
    below: bool,
    equal: bool,
    above: bool,
    /// `~>`: the last part that is written may differ, and those before it may not.
    only_last_part: bool,
}

/// A version as it is written: how much of it is there matters to `~>` and to wildcards.
struct Parts<'a> {
    core: [u64; 3],
    /// How many numbers are written, 1 to 3.
    written: usize,
    /// The parts that are not written may be anything, instead of being 0.
    wildcard: bool,
    pre_release: &'a str,
}

struct Comparison<'a> {
    operator: Operator,
    version: Parts<'a>,
}

impl Comparison<'_> {
    fn admits(&self, version: &Version<'_>) -> bool {
        let (operator, parts) = (&self.operator, &self.version);
        let compare_first = |count| compare_first(count, &version.core, &parts.core);
        let order = if parts.wildcard {
            compare_first(parts.written)
        } else {
            let pre_releases = || compare_pre_releases(version.pre_release, parts.pre_release);
            compare_first(3).then_with(pre_releases)
        };
        let admitted = match order {
            Ordering::Less => operator.below,
            Ordering::Equal => operator.equal,
            Ordering::Greater => operator.above,
        };
        admitted && !(operator.only_last_part && compare_first(parts.written - 1).is_ne())
    }
}

/// Reads one text from left to right. Every byte that it steps over is ASCII, so `at` is always
/// at the beginning of a character.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_spaces(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
        self.at > start
    }

    fn error(&self, expected: &'static str) -> SyntaxError {
        let rest = self.text.get(self.at..).unwrap_or_default();
        SyntaxError {
            position: self.at + 1,
            expected,
            found: rest.chars().next(),
        }
    }

    /// The error where the wildcard that was just read may not be.
    fn wildcard(&self) -> SyntaxError {
        let before = Cursor {
            text: self.text,
            at: self.at - 1,
        };
        before.error("a number (a version and \"~>\" take no wildcard)")
    }

    fn comparison(&mut self) -> Result<Comparison<'a>, SyntaxError> {
        let operator = self.operator()?;
        let version = self.version()?;
        if operator.only_last_part && version.wildcard {
            return Err(self.wildcard());
        }
        Ok(Comparison { operator, version })
    }

    fn operator(&mut self) -> Result<Operator, SyntaxError> {
        let mut operator = Operator {
            below: false,
            equal: true,
            above: false,
            only_last_part: false,
        };
        let Some(first @ (b'=' | b'!' | b'>' | b'<' | b'~')) = self.peek() else {
            return Ok(operator);
        };
        self.at += 1;
        if first == b'~' {
            if !self.take(b'>') {
                return Err(self.error("\">\" after \"~\""));
            }
            operator.above = true;
            operator.only_last_part = true;
        } else {
            let or_equal = self.take(b'=');
            operator.below = first == b'<' || first == b'!';
            operator.equal = first == b'=' || first != b'!' && or_equal;
            operator.above = first == b'>' || first == b'!';
        }
        self.skip_spaces();
        Ok(operator)
    }

    fn version(&mut self) -> Result<Parts<'a>, SyntaxError> {
        let mut parts = self.numbers()?;
        if !parts.wildcard {
            if self.take(b'-') {
                parts.pre_release = self.identifiers(true)?;
            }
            if self.take(b'+') {
                self.identifiers(false)?;
            }
        }
        Ok(parts)
    }

    fn numbers(&mut self) -> Result<Parts<'a>, SyntaxError> {
        let mut parts = Parts {
            core: [0; 3],
            written: 1,
            wildcard: false,
            pre_release: "",
        };
        if self.take(b'v') && !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.error("a digit after \"v\""));
        }
        parts.core[0] = self.number("a version, such as 1.6.0")?;
        while parts.written < 3 && self.take(b'.') {
            if let Some(b'x' | b'X' | b'*') = self.peek() {
                self.at += 1;
                parts.wildcard = true;
                if parts.written == 1 && self.take(b'.') && !self.take_wildcard() {
                    return Err(self.error("\"x\", since the part before is one"));
                }
                return Ok(parts);
            }
            let number = self.number("a number or \"x\"")?;
            // Not by index: the code for an index out of bounds would be linked for nothing.
            if let Some(part) = parts.core.get_mut(parts.written) {
                *part = number;
            }
            parts.written += 1;
        }
        Ok(parts)
    }

    fn take_wildcard(&mut self) -> bool {
        self.take(b'x') || self.take(b'X') || self.take(b'*')
    }

    fn number(&mut self, expected: &'static str) -> Result<u64, SyntaxError> {
        let start = self.at;
        let mut number = Some(0u64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            let digit = u64::from(digit - b'0');
            number = number.and_then(|number| number.checked_mul(10)?.checked_add(digit));
            self.at += 1;
        }
        if self.at == start {
            return Err(self.error(expected));
        }
        match number {
            Some(number) => Ok(number),
            None => {
                self.at = start;
                Err(self.error("a number of at most 18446744073709551615"))
            }
        }
    }

    /// Reads the identifiers of a pre-release or of build metadata.
    fn identifiers(&mut self, pre_release: bool) -> Result<&'a str, SyntaxError> {
        let start = self.at;
        loop {
            let first = self.at;
            let leading_zero = self.peek() == Some(b'0');
            let mut is_number = true;
            while let Some(byte @ (b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-')) = self.peek() {
                is_number &= byte.is_ascii_digit();
                self.at += 1;
            }
            let length = self.at - first;
            if length == 0 {
                return Err(self.error("a letter, a digit or \"-\""));
            }
            if pre_release && is_number && leading_zero && length > 1 {
                self.at = first;
                return Err(self.error("a number without leading zeros"));
            }
            if !self.take(b'.') {
                return Ok(self.text.get(start..self.at).unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests;
