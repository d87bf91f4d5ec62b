//! The settings: `{"groups": {NAME: true | false | "carry", ...}, "also": [PATTERN, ...]}`.

use picojson::{Event, PullParser, SliceParser};
use switch_root_policy::{Globs, Selection, sentence};

use crate::groups::{GROUPS, Group};

/// What the settings come to.
#[derive(Debug)]
pub(crate) struct Wishes {
    /// The lists of all groups that are wanted.
    pub(crate) selection: Selection,
    /// Links in `/` to the directories of programs and libraries are wanted, too: where `/lib`
    /// is one, no pattern for what is in it matches the link itself.
    pub(crate) links: bool,
}

/// What becomes of a group.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Not,
    Kept,
    Carried,
}

/// A group that a setting names has one of these values.
const VALUES: &str = "true, false or, for \"network\" and \"storage\", \"carry\"";

/// Reads the JSON text. An error names the setting and what it should be.
pub(crate) fn read(json: &str) -> Result<Wishes, String> {
    let mut wanted = GROUPS.each_ref().map(|group| match group.by_default {
        true => Wanted::Kept,
        false => Wanted::Not,
    });
    let mut also = Vec::new();
    // The texts in it are not longer than all of it.
    let mut scratch = vec![0; json.len()];
    let mut reader = Reader(SliceParser::with_buffer(json, &mut scratch));
    if reader.next()? != Token::Object {
        return Err("the settings must be a JSON object".into());
    }
    loop {
        match reader.next()? {
            Token::Key(key) if key == "groups" => groups(&mut reader, &mut wanted)?,
            Token::Key(key) if key == "also" => also = patterns(&mut reader)?,
            Token::Key(key) => {
                let known = ", there are \"groups\" and \"also\"";
                return Err(said(&["there is no setting \"", &key, "\"", known]));
            }
            _ => break,
        }
    }
    if reader.next()? != Token::End {
        return Err("the settings must be one JSON object".into());
    }
    let links = GROUPS
        .iter()
        .zip(&wanted)
        .any(|(group, wanted)| group.links && *wanted != Wanted::Not);
    Ok(Wishes {
        selection: selection(&wanted, also)?,
        links,
    })
}

fn groups(reader: &mut Reader, wanted: &mut [Wanted; GROUPS.len()]) -> Result<(), String> {
    if reader.next()? != Token::Object {
        let rule = "must be an object: names of groups, each with ";
        return Err(said(&["the setting \"groups\" ", rule, VALUES]));
    }
    while let Token::Key(name) = reader.next()? {
        let Some(index) = GROUPS.iter().position(|group| group.name == name) else {
            let mut error = said(&["the setting \"groups\": there is no group \"", &name, "\""]);
            for (index, group) in GROUPS.iter().enumerate() {
                let before = match index {
                    0 => ", there are ",
                    _ if index + 1 == GROUPS.len() => " and ",
                    _ => ", ",
                };
                sentence::push(&mut error, &[before, group.name]);
            }
            return Err(error);
        };
        wanted[index] = match reader.next()? {
            Token::Bool(false) => Wanted::Not,
            Token::Bool(true) => Wanted::Kept,
            Token::Text(text) if text == "carry" && !GROUPS[index].carry.is_empty() => {
                Wanted::Carried
            }
            Token::Text(text) if text == "carry" => {
                let rule = "\" can be kept and not carried, so it must be true or false";
                return Err(said(&["the setting \"groups\": \"", &name, rule]));
            }
            _ => {
                let pieces = ["the setting \"groups\": \"", &name, "\" must be ", VALUES];
                return Err(said(&pieces));
            }
        };
    }
    Ok(())
}

fn patterns(reader: &mut Reader) -> Result<Vec<String>, String> {
    let rule = "the setting \"also\" must be a list of patterns, each a text";
    let mut patterns = Vec::new();
    if reader.next()? != Token::List {
        return Err(rule.into());
    }
    loop {
        match reader.next()? {
            Token::Text(pattern) => patterns.push(pattern),
            Token::EndOfList => return Ok(patterns),
            _ => return Err(rule.into()),
        }
    }
}

fn selection(wanted: &[Wanted], also: Vec<String>) -> Result<Selection, String> {
    // Those of the settings by themselves first: an error counts the bytes of one of them.
    Globs::new(&also).map_err(|error| said(&["the setting \"also\": ", &String::from(error)]))?;
    let chosen =
        |(group, wanted): (&'static Group, &Wanted)| (*wanted != Wanted::Not).then_some(group);
    let kept = GROUPS.iter().zip(wanted).filter_map(chosen);
    let patterns = kept.flat_map(|group| group.keep.iter().copied());
    let keep = Globs::new(patterns.chain(also.iter().map(String::as_str)))?;
    let mut carry = Vec::new();
    for (group, wanted) in GROUPS.iter().zip(wanted) {
        if *wanted == Wanted::Carried {
            let pairs = group.carry.iter();
            carry.extend(pairs.map(|(from, to)| (from.as_bytes().into(), to.as_bytes().into())));
        }
    }
    Ok(Selection::new(keep, carry))
}

fn said(pieces: &[&str]) -> String {
    let mut sentence = String::new();
    sentence::push(&mut sentence, pieces);
    sentence
}

/// A piece of the JSON text, with its text in it.
#[derive(PartialEq)]
enum Token {
    Object,
    EndOfObject,
    List,
    EndOfList,
    Key(String),
    Text(String),
    Bool(bool),
    Other,
    End,
}

struct Reader<'a, 'b>(SliceParser<'a, 'b>);

impl Reader<'_, '_> {
    /// The next piece. The host has read the text before, so an error needs no position.
    fn next(&mut self) -> Result<Token, String> {
        Ok(match self.0.next_event() {
            Ok(Event::StartObject) => Token::Object,
            Ok(Event::EndObject) => Token::EndOfObject,
            Ok(Event::StartArray) => Token::List,
            Ok(Event::EndArray) => Token::EndOfList,
            Ok(Event::Key(key)) => Token::Key(key.as_str().into()),
            Ok(Event::String(text)) => Token::Text(text.as_str().into()),
            Ok(Event::Bool(value)) => Token::Bool(value),
            Ok(Event::EndDocument) => Token::End,
            Ok(Event::Number(_) | Event::Null) => Token::Other,
            Err(_) => return Err("the settings are not JSON".into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switch_root_policy::{Decision, Entry, FileKind};

    fn decide(json: &str, directory: &str, name: &str) -> Decision {
        let entries = [Entry::new(name, FileKind::Regular)];
        let selection = read(json).unwrap().selection;
        selection.review(directory.as_bytes(), &entries).remove(0)
    }

    #[test]
    fn groups_are_switched_and_patterns_added() {
        let carry = |to: &str| Decision::Carry(to.into());
        for (json, directory, name, expected) in [
            ("{}", "/etc", "crypttab", Decision::Keep),
            ("{}", "/etc", "passwd", Decision::Delete),
            ("{}", "/cryptroot/keyfiles", "root.key", Decision::Delete),
            (
                " {\"groups\": {}, \"also\": []}\n",
                "/etc",
                "crypttab",
                Decision::Keep,
            ),
            (
                r#"{"groups": {"luks": false}}"#,
                "/etc",
                "crypttab",
                Decision::Delete,
            ),
            (
                r#"{"groups": {"luks-keys": true}}"#,
                "/cryptroot/keyfiles",
                "root.key",
                Decision::Keep,
            ),
            ("{}", "/etc", "resolv.conf", Decision::Keep),
            (
                r#"{"groups": {"network": "carry"}}"#,
                "/etc",
                "resolv.conf",
                carry("/etc/resolv.conf"),
            ),
            (
                r#"{"groups": {"storage": "carry"}}"#,
                "/etc",
                "initiatorname.iscsi",
                carry("/etc/iscsi/initiatorname.iscsi"),
            ),
            (
                r#"{"groups": {"storage": "carry"}}"#,
                "/etc/multipath",
                "bindings",
                Decision::Keep,
            ),
            (
                r#"{"also": ["/a\u00e4/\\*"]}"#,
                "/a\u{e4}",
                "*",
                Decision::Keep,
            ),
        ] {
            assert_eq!(decide(json, directory, name), expected, "{json} {name}");
        }
    }

    #[test]
    fn errors_name_the_setting_and_what_it_should_be() {
        let values = "true, false or, for \"network\" and \"storage\", \"carry\"";
        for (json, expected) in [
            ("[]", "the settings must be a JSON object"),
            ("", "the settings are not JSON"),
            (r#"{"groups": {}"#, "the settings are not JSON"),
            ("{} {}", "the settings are not JSON"),
            (
                r#"{"grups": {}}"#,
                "there is no setting \"grups\", there are \"groups\" and \"also\"",
            ),
            (
                r#"{"groups": true}"#,
                &format!(
                    "the setting \"groups\" must be an object: names of groups, each with {values}"
                ),
            ),
            (
                r#"{"groups": {"lux": true}}"#,
                "the setting \"groups\": there is no group \"lux\", there are network, storage, \
                 luks, tpm, shutdown, shutdown-programs, luks-keys, tpm-state and credentials",
            ),
            (
                r#"{"groups": {"network": 1}}"#,
                &format!("the setting \"groups\": \"network\" must be {values}"),
            ),
            (
                r#"{"groups": {"luks": "carry"}}"#,
                "the setting \"groups\": \"luks\" can be kept and not carried, so it must be true \
                 or false",
            ),
            (
                r#"{"also": "/etc"}"#,
                "the setting \"also\" must be a list of patterns, each a text",
            ),
            (
                r#"{"also": ["/a", [1]]}"#,
                "the setting \"also\" must be a list of patterns, each a text",
            ),
        ] {
            assert_eq!(read(json).err().as_deref(), Some(expected), "{json}");
        }
        let error = read(r#"{"also": ["/a", "etc"]}"#).unwrap_err();
        assert!(error.starts_with("the setting \"also\": "), "{error}");
    }
}
