//! The settings: `{"keep": [PATTERN, ...], "carry": {FROM: TO, ...}}`.

use std::collections::BTreeMap;

use serde::Deserialize;
use switch_root_policy::{Configuration, Globs, Selection, path};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    keep: Vec<String>,
    #[serde(default)]
    carry: BTreeMap<String, String>,
}

/// Reads the JSON text. An error names the setting and what it should be.
pub(crate) fn read(json: &str) -> Result<Selection, String> {
    let written: Written = Configuration::parse_json(json)?;
    let keep = Globs::new(written.keep).map_err(|error| prefixed("keep", error.into()))?;
    let mut carry = Vec::with_capacity(written.carry.len());
    for (from, to) in written.carry {
        for path in [&from, &to] {
            path::check(path.as_bytes())
                .map_err(|rule| prefixed("carry", ["the path \"", path, "\" ", rule].concat()))?;
        }
        carry.push((from.into_bytes(), to.into_bytes()));
    }
    // Of a path and another one below it only the first could be carried.
    for pair in carry.windows(2) {
        if path::relative(&pair[1].0, &pair[0].0).is_some() {
            let names = [&pair[0].0, &pair[1].0].map(|name| String::from_utf8_lossy(name));
            let problem = [
                "\"",
                &names[1],
                "\" is carried with \"",
                &names[0],
                "\" already",
            ];
            return Err(prefixed("carry", problem.concat()));
        }
    }
    Ok(Selection::new(keep, carry))
}

fn prefixed(setting: &str, problem: String) -> String {
    ["the setting \"", setting, "\": ", &problem].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use switch_root_policy::{Decision, Entry, FileKind};

    #[test]
    fn without_settings_nothing_is_kept() {
        let entries = [Entry::new("etc", FileKind::Directory)];
        assert_eq!(
            read("{}").unwrap().review(b"/", &entries),
            [Decision::Delete]
        );
    }

    #[test]
    fn errors_name_the_setting_and_what_it_should_be() {
        for (json, parts) in [
            (r#"{"kep": []}"#, ["kep", "`keep` or `carry`"]),
            (
                r#"{"keep": "/etc"}"#,
                ["string \"/etc\"", "expected a sequence"],
            ),
            (r#"{"keep": ["/etc/[a"]}"#, ["\"keep\"", "position 6"]),
            (r#"{"keep": ["etc"]}"#, ["\"keep\"", "starts with \"/\""]),
            (r#"{"carry": ["/etc"]}"#, ["sequence", "expected a map"]),
            (
                r#"{"carry": {"etc": "/etc"}}"#,
                ["\"carry\"", "must start with \"/\""],
            ),
            (
                r#"{"carry": {"/etc": "/etc/../x"}}"#,
                ["\"/etc/../x\"", "\"..\""],
            ),
            (
                r#"{"carry": {"/a": "/x", "/a/b": "/y"}}"#,
                ["\"/a/b\" is carried", "with \"/a\""],
            ),
            ("[]", ["must be a JSON object", ""]),
            ("{nonsense}", ["line 1", "column"]),
        ] {
            let error = read(json).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{json}: {error}");
            }
        }
    }
}
