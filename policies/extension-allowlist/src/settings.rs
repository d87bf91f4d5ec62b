//! The settings: `{"allow": [{"name": ..., "author": ..., "version": ..., "digest": ...}, ...]}`.

use serde::Deserialize;
use switch_root_policy::constraint::Version;
use switch_root_policy::sentence::quote;
use switch_root_policy::{Configuration, Extension};

/// How much of what an extension's author wrote is repeated in a reason, in bytes. A reason is
/// one line of a log.
pub(crate) const QUOTED: usize = 120;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    allow: Vec<Allowed>,
}

/// One extension that is allowed. What is not given may be anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Allowed {
    pub(crate) name: String,
    author: Option<String>,
    version: Option<String>,
    digest: Option<String>,
}

/// Reads the JSON text. An error names the setting and what it should be.
pub(crate) fn read(json: &str) -> Result<Vec<Allowed>, String> {
    let written: Written = Configuration::parse_json(json)?;
    for (index, allowed) in written.allow.iter().enumerate() {
        allowed
            .check()
            .map_err(|problem| format!("allow[{index}] ({:?}): {problem}", allowed.name))?;
    }
    Ok(written.allow)
}

impl Allowed {
    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() {
            return Err("the setting \"name\" must not be empty".into());
        }
        if let Some(version) = &self.version
            && is_constraint(version)
            && let Err(error) = any_version().satisfies(version)
        {
            return Err(format!(
                "the setting \"version\", {version:?}, must be a version constraint: {error}"
            ));
        }
        if let Some(digest) = &self.digest
            && !is_digest(digest)
        {
            return Err(format!(
                "the setting \"digest\", {digest:?}, must be \"sha256:\" and 64 hexadecimal digits"
            ));
        }
        Ok(())
    }

    /// What the extension would need to be this one; nothing if it is.
    pub(crate) fn difference(&self, extension: &Extension) -> Option<String> {
        if let Some(author) = &self.author
            && *author != extension.author
        {
            let own = quote(&extension.author, QUOTED);
            return Some(format!("author {author:?}, not {own}"));
        }
        if let Some(version) = &self.version
            && !admits(version, &extension.version)
        {
            let own = quote(&extension.version, QUOTED);
            return Some(format!("version {version:?}, not {own}"));
        }
        match (&self.digest, &extension.digest) {
            (Some(digest), None) => Some(format!("digest {digest:?}, and its own is not recorded")),
            (Some(digest), Some(own)) if !digest.eq_ignore_ascii_case(own) => {
                Some(format!("digest {digest:?}, not {}", quote(own, QUOTED)))
            }
            _ => None,
        }
    }
}

/// Extensions need not have versions that can be compared. A text that is no version is meant
/// as it stands; but one with an operator in it is meant as a constraint, and a mistake in it
/// must not turn it into a text that equals nothing.
fn is_constraint(version: &str) -> bool {
    version.contains(['<', '>', '=', '!', '~', '|', ',', ' '])
        || any_version().satisfies(version).is_ok()
}

/// Stands for the version that a constraint is compared with where only its syntax matters.
fn any_version() -> Version<'static> {
    Version::default()
}

fn admits(allowed: &str, version: &str) -> bool {
    allowed == version
        || is_constraint(allowed)
            && Version::parse(version).is_ok_and(|version| version.satisfies(allowed) == Ok(true))
}

fn is_digest(digest: &str) -> bool {
    let hexadecimal = digest.strip_prefix("sha256:").unwrap_or_default();
    hexadecimal.len() == 64 && hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_setting_and_what_it_should_be() {
        for (json, parts) in [
            ("{}", ["missing field `allow`", "line 1"]),
            (r#"{"alow": []}"#, ["alow", "expected `allow`"]),
            (r#"{"allow": [{}]}"#, ["missing field `name`", ""]),
            (
                r#"{"allow": [{"name": ""}]}"#,
                ["allow[0]", "must not be empty"],
            ),
            (
                r#"{"allow": [{"name": "x", "sha": ""}]}"#,
                ["sha", "expected one of"],
            ),
            (
                r#"{"allow": [{"name": "a"}, {"name": "x", "version": ">= latest"}]}"#,
                ["allow[1] (\"x\")", "position 4"],
            ),
            (
                r#"{"allow": [{"name": "x", "digest": "sha256:abc"}]}"#,
                ["sha256:abc", "64 hexadecimal digits"],
            ),
        ] {
            let error = read(json).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{json}: {error}");
            }
        }
    }
}
