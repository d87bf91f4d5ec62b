//! Lists of signers, in the format of OpenSSH's allowed_signers (ssh-keygen(1)): in each
//! line the signers' names, options, and a key, separated by blanks.
//!
//! ```text
//! # comments and empty lines are skipped
//! ops@example.org namespaces="switch-root-policy",valid-before="20271231Z" ssh-ed25519 AAAA...
//! ```
//!
//! The options are `namespaces`, `valid-after` and `valid-before`; there are no certificate
//! authorities here, so `cert-authority` is an error, as every unknown option is. Keys of
//! other types than ed25519 are skipped, as the list may be used for something else, too;
//! nothing that they sign is accepted.

use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey};
use switch_root_core::escape;
use switch_root_core::limits::fixed;

use super::rejection::OutsideValidity;
use super::signature::NAMESPACE;
use super::time::Time;

/// The types of keys whose signatures are checked.
const ACCEPTED: [&str; 2] = ["ssh-ed25519", "sk-ssh-ed25519@openssh.com"];

/// The other types that OpenSSH has.
const SKIPPED: [&str; 6] = [
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// The most of a line that is shown, in bytes.
const SHOWN: usize = 80;

switch_root_core::outcomes! {
    /// What is wrong with a list: a sentence that names the file and its line.
    pub enum Malformed in "signatures" {
        /// The line of the signers file that is named; what is wrong with it is one of the next.
        "SR-S30" Line { place: String, reason: BadLine } = "{place}: {reason}; a line is: NAME [OPTION,...] KEY-TYPE KEY",
        /// Signers files are text. Remove the line, or write it again.
        "SR-S31" NotUtf8 { place: String } = "{place}: it is not UTF-8",
        /// Remove the keys that nothing is signed with.
        "SR-S32" TooMany { place: String, limit: usize } = "{place}: it is more than the {limit} keys that are read",
    }
}

switch_root_core::outcomes! {
    /// What is wrong with a line.
    pub enum BadLine in "signatures" {
        /// What is wrong with the line of a signers file. Correct it.
        "SR-S33" Nobody = "it names nobody",
        "SR-S34" Quotation = "a quotation mark is not closed",
        "SR-S35" NoKey { kind: String } = "there is no key behind {kind}",
        "SR-S36" NoKeyAtAll { word: String } = "no key stands behind `{word}`",
        "SR-S37" NoType { word: String } = "`{word}` is no type of key",
        "SR-S38" Key { error: String } = "its key cannot be read ({error})",
        "SR-S39" NoOption { option: String } = "`{option}` is no option; there are namespaces=, valid-after= and valid-before=",
        "SR-S40" Twice { name: String } = "the option `{name}` is given twice",
        "SR-S41" NoTime { option: String } = "`{option}` has no time; one is YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with or without a Z, and is UTC",
        "SR-S42" NeverValid { after: Time, before: Time } = "its key is never valid: after {after}, and before {before}",
        /// The line has the option `cert-authority`.
        "SR-S43" Authority = "certificate authorities are not supported; list the keys that sign themselves",
    }
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Signer {
    /// The names of the signer, escaped: `ops@example.org`, or several with commas between
    /// them.
    pub principals: String,
    /// The file and line that list it.
    pub place: String,
    /// The key.
    pub(super) key: KeyData,
    options: Options,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Options {
    namespaces: Option<String>,
    valid_after: Option<Time>,
    valid_before: Option<Time>,
}

/// Reads a list, and adds its signers to `signers`.
///
/// # Errors
/// A sentence that names the file, as `shown` has it, and the line.
pub fn parse(shown: &str, bytes: &[u8], signers: &mut Vec<Signer>) -> Result<(), Malformed> {
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let place = format!("{shown}, line {}", number + 1);
        let Ok(line) = std::str::from_utf8(line) else {
            return Err(Malformed::NotUtf8 { place });
        };
        let line = line.trim_matches(is_blank);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (principals, options, key) = match fields(line) {
            Ok(Some(fields)) => fields,
            Ok(None) => continue,
            Err(reason) => return Err(Malformed::Line { place, reason }),
        };
        let limit = fixed::SIGNERS;
        if signers.len() >= limit {
            return Err(Malformed::TooMany { place, limit });
        }
        signers.push(Signer {
            principals: escape::message(principals, SHOWN),
            place,
            key,
            options,
        });
    }
    Ok(())
}

/// Takes a line apart. `None` where its key is of a type that is skipped.
fn fields(line: &str) -> Result<Option<(&str, Options, KeyData)>, BadLine> {
    let shown = |text: &str| escape::message(text, SHOWN);
    let (principals, rest) = word(line)?;
    if principals.is_empty() {
        return Err(BadLine::Nobody);
    }
    let is_type = |word: &str| ACCEPTED.contains(&word) || SKIPPED.contains(&word);
    let (first, behind) = word(rest)?;
    let (list, key) = if is_type(first) {
        ("", rest)
    } else {
        (first, behind)
    };
    let options = options(list)?;
    let mut words = key.split(is_blank).filter(|word| !word.is_empty());
    let (kind, base64) = (words.next(), words.next());
    match (kind, base64) {
        (None, _) => Err(BadLine::NoKeyAtAll { word: shown(first) }),
        (Some(kind), _) if !is_type(kind) => Err(BadLine::NoType { word: shown(kind) }),
        (Some(kind), None) => Err(BadLine::NoKey {
            kind: kind.to_owned(),
        }),
        (Some(kind), Some(_)) if SKIPPED.contains(&kind) => Ok(None),
        (Some(kind), Some(base64)) => {
            // Without the comment, which may be anything.
            let key = PublicKey::from_openssh(&format!("{kind} {base64}")).map_err(|error| {
                // It repeats what stands there.
                let error = shown(&error.to_string());
                BadLine::Key { error }
            })?;
            Ok(Some((principals, options, key.key_data().clone())))
        }
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r')
}

/// Splits off the first word. Blanks within quotation marks are part of it; those that
/// enclose it as a whole are not.
fn word(line: &str) -> Result<(&str, &str), BadLine> {
    let mut quoted = false;
    let end = line.find(|character| {
        quoted ^= character == '"';
        is_blank(character) && !quoted
    });
    let end = end.unwrap_or(line.len());
    if quoted && end == line.len() {
        return Err(BadLine::Quotation);
    }
    let (word, rest) = line.split_at(end);
    let whole = word
        .strip_prefix('"')
        .and_then(|word| word.strip_suffix('"'));
    Ok((whole.unwrap_or(word), rest.trim_start_matches(is_blank)))
}

fn options(list: &str) -> Result<Options, BadLine> {
    let mut options = Options::default();
    let mut rest = list;
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest.find(|character| {
            quoted ^= character == '"';
            character == ',' && !quoted
        });
        let (option, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind.strip_prefix(',').unwrap_or(behind);
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let value = value.map(|value| {
            let whole = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
            whole.unwrap_or(value)
        });
        let shown = escape::message(option, SHOWN);
        let again = |given: bool| match given {
            true => Err(BadLine::Twice {
                name: name.to_owned(),
            }),
            false => Ok(()),
        };
        let time = |value: &str| {
            Time::parse(value).ok_or_else(|| BadLine::NoTime {
                option: shown.clone(),
            })
        };
        match (name.to_ascii_lowercase().as_str(), value) {
            ("namespaces", Some(patterns)) => {
                again(options.namespaces.is_some())?;
                options.namespaces = Some(patterns.to_owned());
            }
            ("valid-after", Some(value)) => {
                again(options.valid_after.is_some())?;
                options.valid_after = Some(time(value)?);
            }
            ("valid-before", Some(value)) => {
                again(options.valid_before.is_some())?;
                options.valid_before = Some(time(value)?);
            }
            ("cert-authority", _) => {
                return Err(BadLine::Authority);
            }
            _ => {
                let option = shown;
                return Err(BadLine::NoOption { option });
            }
        }
    }
    if let (Some(after), Some(before)) = (options.valid_after, options.valid_before)
        && after >= before
    {
        return Err(BadLine::NeverValid { after, before });
    }
    Ok(options)
}

impl Signer {
    /// The fingerprint of the key: `SHA256:` and 43 characters.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The last moment at which the key is valid, where that is limited.
    pub fn valid_before(&self) -> Option<Time> {
        self.options.valid_before
    }

    /// Whether the key may sign policies.
    pub(super) fn may_sign(&self) -> bool {
        match &self.options.namespaces {
            Some(patterns) => matches_list(patterns, NAMESPACE),
            None => true,
        }
    }

    /// That the key is not valid at this time, if it is not.
    pub(super) fn untimely(&self, now: Time) -> Option<OutsideValidity> {
        let who = || format!("{} ({})", self.principals, self.fingerprint());
        let place = || self.place.clone();
        match (self.options.valid_after, self.options.valid_before) {
            (Some(time), _) if now < time => Some(OutsideValidity::NotYetValid {
                who: who(),
                time,
                place: place(),
            }),
            (_, Some(time)) if now > time => Some(OutsideValidity::Expired {
                who: who(),
                time,
                place: place(),
            }),
            _ => None,
        }
    }
}

/// Whether a list of patterns takes a text: one of them does, and none that has a `!` in
/// front.
fn matches_list(patterns: &str, text: &str) -> bool {
    let mut taken = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern.as_bytes(), text.as_bytes()) => return false,
            Some(_) => {}
            None => taken |= matches(pattern.as_bytes(), text.as_bytes()),
        }
    }
    taken
}

/// Whether a pattern with `*` and `?` takes a text. Takes at most the product of both
/// lengths in steps: only the last `*` is ever tried again.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut retry = None;
    while position < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at, position));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[position] => {
                at += 1;
                position += 1;
            }
            _ => match &mut retry {
                Some((star, from)) => {
                    *from += 1;
                    (at, position) = (*star + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFNGZgeGrl4GnWu2PVVyLQhCuQCJQyHu0fCdO9Qr+YQd";

    fn read(text: &str) -> Result<Vec<Signer>, Malformed> {
        let mut signers = Vec::new();
        parse("a.signers", text.as_bytes(), &mut signers).map(|()| signers)
    }

    #[test]
    fn a_list_is_read_as_openssh_reads_it() {
        let text = format!(
            "# comment\n\n  a@b,c@* {KEY} a comment with \" in it\r\n\
             \"d e\"\tnamespaces=\"git,switch-root-*\",valid-before=20270101Z {KEY}\n\
             f valid-after=\"20260101\",Namespaces=file {KEY}\n\
             g ssh-rsa AAAAB3NzaC1yc2E=\n"
        );
        let signers = read(&text).unwrap();
        let seen: Vec<_> = signers
            .iter()
            .map(|it| (it.principals.as_str(), it.place.as_str(), it.may_sign()))
            .collect();
        assert_eq!(
            seen,
            [
                ("a@b,c@*", "a.signers, line 3", true),
                ("d e", "a.signers, line 4", true),
                ("f", "a.signers, line 5", false),
            ]
        );
        assert_eq!(signers[0].options, Options::default());
        assert_eq!(signers[1].options.valid_before, Time::parse("20270101"));
        assert_eq!(signers[2].options.valid_after, Time::parse("20260101"));
        assert_eq!(read("").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_with_its_number() {
        let long = "x".repeat(100);
        for (line, expected) in [
            ("just-a-name", "no key stands behind"),
            ("a ssh-ed25519", "no key behind ssh-ed25519"),
            ("a ssh-ed25519 AAAA", "its key cannot be read"),
            ("a ssh-ed25519 %%%%", "its key cannot be read"),
            ("a ssh-ed25519-cert-v01@openssh.com AAAA", "is no option"),
            (
                "a valid-before=20270101 ssh-ed448 AAAA",
                "`ssh-ed448` is no type of key",
            ),
            (
                &format!("a cert-authority {KEY}"),
                "certificate authorities are not supported",
            ),
            (&format!("a valid-before=tomorrow {KEY}"), "has no time"),
            (
                &format!("a valid-before {KEY}"),
                "`valid-before` is no option",
            ),
            (&format!("a namespaces=a,namespaces=b {KEY}"), "given twice"),
            (
                &format!("a valid-after=20270101,valid-before=20270101 {KEY}"),
                "never valid",
            ),
            (&format!("a namespaces=\"a {KEY}"), "not closed"),
            (&format!("\"\" {KEY}"), "names nobody"),
            (&format!("a \u{1b}[2J{long} {KEY}"), "\\x1b[2J"),
        ] {
            let error = read(&format!("# first\n{line}\n")).unwrap_err().to_string();
            assert!(error.starts_with("a.signers, line 2: "), "{error}");
            assert!(error.contains(expected), "{line}: {error}");
        }
        let mut signers = Vec::new();
        let error = parse("a.signers", b"\xff\n", &mut signers)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "a.signers, line 1: it is not UTF-8");
    }

    #[test]
    fn there_are_only_so_many_keys() {
        let most = format!("a {KEY}\n").repeat(fixed::SIGNERS);
        assert_eq!(read(&most).unwrap().len(), fixed::SIGNERS);
        let error = read(&format!("{most}a {KEY}\n")).unwrap_err().to_string();
        assert!(error.contains("more than the 1000 keys"), "{error}");
    }

    #[test]
    fn patterns_take_what_they_say() {
        for (pattern, taken) in [
            ("switch-root-policy", true),
            ("*", true),
            ("switch*policy", true),
            ("*-?oot-*", true),
            ("git,switch-root-policy", true),
            ("*,!switch-root-policy", false),
            ("switch-root", false),
            ("?", false),
            ("", false),
            ("*x", false),
        ] {
            assert_eq!(matches_list(pattern, NAMESPACE), taken, "{pattern}");
        }
        let stars = "*a".repeat(50_000);
        assert!(!matches(stars.as_bytes(), NAMESPACE.as_bytes()));
    }
}
