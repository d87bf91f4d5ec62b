//! What the metadata of an extension says of kernels, architectures and other extensions, beyond
//! the fields that the contract knows.
//!
//! | key | what it holds |
//! |---|---|
//! | `kernelRelease` | The `uname -r` of the kernels that its modules are made for. |
//! | `architecture` | The `uname -m` of the machines that its programs are made for; `amd64` and `arm64` are understood, too. |
//! | `requires` | Names of extensions that it needs, each with a version constraint behind it if not every version will do: `gvisor >= 1.2.0`. |
//! | `conflicts` | Names of extensions that it does not work beside, likewise. |
//!
//! Each is a text, with commas between several elements, or a list of texts. One more is a mapping:
//!
//! | key | what it holds |
//! |---|---|
//! | `extensionRelease` | Fields of the extension-release file of systemd's system extensions, [`RELEASE_FIELDS`], each a text. |
//!
//! They stand under `metadata.switchRoot`, which other readers pass over, or under `metadata.extraInfo`, whose keys
//! count more. Talos has `extraInfo` be a text: then it gives none of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::constraint::{SyntaxError, Version};

/// The key for the releases of kernels.
pub const KERNEL_RELEASE: &str = "kernelRelease";
/// The key for the names of architectures.
pub const ARCHITECTURE: &str = "architecture";
/// The key for extensions that are needed.
pub const REQUIRES: &str = "requires";
/// The key for extensions that must not be there.
pub const CONFLICTS: &str = "conflicts";
/// The key for the fields of extension-release, a mapping.
pub const EXTENSION_RELEASE: &str = "extensionRelease";

/// The fields of extension-release that are compared with the machine, and recorded.
pub const RELEASE_FIELDS: [&str; 5] = [
    "ID",
    "VERSION_ID",
    "SYSEXT_LEVEL",
    "SYSEXT_SCOPE",
    "ARCHITECTURE",
];

/// Where the keys stand that Talos does not know: what is recorded when an extension is packed.
pub const SWITCH_ROOT: &str = "switchRoot";
/// Where an author may have them instead.
const EXTRA_INFO: &str = "extraInfo";

/// The keys of one extension, each with where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtraInfo(BTreeMap<String, (&'static str, Value)>);

impl ExtraInfo {
    /// Reads the metadata of an extension as the host hands it over: a JSON text.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong: it is no JSON object, `switchRoot` is no mapping, or
    /// `extraInfo` is neither a mapping nor a text.
    pub fn parse(metadata: &str) -> Result<Self, String> {
        let metadata: Value = serde_json::from_str(metadata)
            .map_err(|error| format!("its metadata is not JSON: {error}"))?;
        Self::of(&metadata)
    }

    /// Takes the keys out of metadata that is read already.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn of(metadata: &Value) -> Result<Self, String> {
        let mut keys = BTreeMap::new();
        let mut add = |place: &'static str, found: &Map<String, Value>| {
            let found = found.iter().filter(|(_, value)| !value.is_null());
            keys.extend(found.map(|(key, value)| (key.clone(), (place, value.clone()))));
        };
        match metadata.get(SWITCH_ROOT) {
            None | Some(Value::Null) => {}
            Some(Value::Object(found)) => add(SWITCH_ROOT, found),
            Some(other) => {
                return Err(format!(
                    "{SWITCH_ROOT} is {}; it must be a mapping",
                    describe(other)
                ));
            }
        }
        match metadata.get(EXTRA_INFO) {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(Value::Object(found)) => add(EXTRA_INFO, found),
            Some(other) => {
                return Err(format!(
                    "{EXTRA_INFO} is {}; it must be a mapping or a text",
                    describe(other)
                ));
            }
        }
        Ok(Self(keys))
    }

    /// Where a key stands, for errors.
    fn place(&self, key: &str) -> &'static str {
        self.0.get(key).map_or(EXTRA_INFO, |(place, _)| place)
    }

    /// The elements of a key, each without spaces around it; none where it is not given.
    ///
    /// # Errors
    ///
    /// A sentence that names the key and says what it should be.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        let mut texts = Vec::new();
        let place = self.place(key);
        let mut add = |value: &Value| {
            let text = match value {
                Value::String(text) => text,
                // What YAML takes for a number is one that JSON spells alike.
                Value::Number(number) => &number.to_string(),
                other => {
                    return Err(format!(
                        "{place}.{key} holds {}; it must be a text, with commas between \
                         several, or a list of texts",
                        describe(other)
                    ));
                }
            };
            let elements = text.split(',').map(str::trim);
            texts.extend(elements.filter(|text| !text.is_empty()).map(String::from));
            Ok(())
        };
        match self.0.get(key).map(|(_, value)| value) {
            None | Some(Value::Null) => {}
            Some(Value::Array(values)) => values.iter().try_for_each(&mut add)?,
            Some(value) => add(value)?,
        }
        Ok(texts)
    }

    /// The fields of a key that is a mapping of texts, in the order of their names; nothing where
    /// it is not given.
    ///
    /// # Errors
    ///
    /// A sentence that names the key, and the field if it is one, and says what it should be.
    pub fn fields(&self, key: &str) -> Result<Option<BTreeMap<String, String>>, String> {
        let Some((place, value)) = self.0.get(key) else {
            return Ok(None);
        };
        let Value::Object(found) = value else {
            return Err(format!(
                "{place}.{key} is {}; it must be a mapping of texts",
                describe(value)
            ));
        };
        let mut fields = BTreeMap::new();
        for (name, value) in found {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                other => {
                    return Err(format!(
                        "{place}.{key}.{name} is {}; it must be a text",
                        describe(other)
                    ));
                }
            };
            fields.insert(name.clone(), text);
        }
        Ok(Some(fields))
    }

    /// The architectures that are given, as `uname -m` spells them.
    ///
    /// # Errors
    ///
    /// As [`texts`](Self::texts).
    pub fn architectures(&self) -> Result<Vec<String>, String> {
        let mut architectures = self.texts(ARCHITECTURE)?;
        for architecture in &mut architectures {
            *architecture = uname_machine(architecture).into();
        }
        Ok(architectures)
    }

    /// The extensions that [`REQUIRES`] or [`CONFLICTS`] names. A comma stands between two of
    /// them, or, before an operator, inside a constraint: `a >= 1.2, < 2.0, b`.
    ///
    /// # Errors
    ///
    /// As [`texts`](Self::texts); and where a name is missing or a constraint can't be read,
    /// with the element and the position.
    pub fn relations(&self, key: &str) -> Result<Vec<Relation>, String> {
        let mut relations: Vec<Relation> = Vec::new();
        for text in self.texts(key)? {
            match relations.last_mut() {
                Some(before) if text.starts_with(OPERATORS) => {
                    if !before.constraint.is_empty() {
                        before.constraint.push_str(", ");
                    }
                    before.constraint.push_str(&text);
                }
                _ => relations.push(Relation::split(&text)),
            }
        }
        let place = self.place(key);
        for relation in &relations {
            relation
                .check()
                .map_err(|error| format!("{place}.{key}: {:?}: {error}", relation.to_string()))?;
        }
        Ok(relations)
    }
}

/// What a version constraint can begin with, other than a version.
const OPERATORS: [char; 5] = ['<', '>', '=', '!', '~'];

/// Another extension, and which versions of it are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The name, as its own metadata has it.
    pub name: String,
    /// A version constraint that can be read; empty where every version is meant.
    pub constraint: String,
}

impl Relation {
    fn split(text: &str) -> Self {
        let end = text
            .find(|c: char| c.is_whitespace() || OPERATORS.contains(&c))
            .unwrap_or(text.len());
        let (name, constraint) = text.split_at(end);
        Self {
            name: name.into(),
            constraint: constraint.trim().into(),
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() {
            return Err("the name of an extension must stand before a constraint".into());
        }
        match self.admits("0.0.0") {
            Err(Unreadable::Constraint(error)) => Err(format!(
                "{:?} can't be read as a version constraint: {error}",
                self.constraint
            )),
            _ => Ok(()),
        }
    }

    /// Whether an extension of this name and version is meant.
    ///
    /// # Errors
    ///
    /// The version is one that can't be compared, such as `latest`, and not every one is meant.
    pub fn admits(&self, version: &str) -> Result<bool, Unreadable> {
        if self.constraint.is_empty() {
            return Ok(true);
        }
        let version = Version::parse(version);
        // The constraint first: a mistake in it does not depend on what it is compared with.
        let any = version.as_ref().copied().unwrap_or_default();
        let admitted = any
            .satisfies(&self.constraint)
            .map_err(Unreadable::Constraint)?;
        version.map_err(Unreadable::Version)?;
        Ok(admitted)
    }
}

/// As it can be written: the name, and the constraint behind it.
impl core::fmt::Display for Relation {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(&self.name)?;
        if !self.constraint.is_empty() {
            write!(formatter, " {}", self.constraint)?;
        }
        Ok(())
    }
}

/// Why a version and a constraint can't be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The constraint is none.
    Constraint(SyntaxError),
    /// The version is none.
    Version(SyntaxError),
}

/// The name that `uname -m` has for an architecture that is written as container images have it.
pub fn uname_machine(architecture: &str) -> &str {
    match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i686",
        "loong64" => "loongarch64",
        other => other,
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(extra_info: &str) -> ExtraInfo {
        ExtraInfo::parse(&format!(r#"{{"extraInfo": {extra_info}}}"#)).unwrap()
    }

    #[test]
    fn the_authors_keys_count_more_than_what_was_recorded() {
        let info = ExtraInfo::parse(
            r#"{"extraInfo": {"architecture": "arm64", "kernelRelease": null}, "switchRoot": {"architecture": "386", "kernelRelease": "6.1", "requires": {}}}"#,
        )
        .unwrap();
        assert_eq!(info.architectures().unwrap(), ["aarch64"]);
        assert_eq!(info.texts(KERNEL_RELEASE).unwrap(), ["6.1"]);
        assert!(
            info.texts(REQUIRES)
                .unwrap_err()
                .starts_with("switchRoot.requires holds")
        );
        let text = ExtraInfo::parse(r#"{"extraInfo": "x", "switchRoot": {"architecture": "386"}}"#);
        assert_eq!(text.unwrap().architectures().unwrap(), ["i686"]);
        let wrong = ExtraInfo::parse(r#"{"switchRoot": 1}"#).unwrap_err();
        assert!(wrong.starts_with("switchRoot is a number"), "{wrong}");
    }

    #[test]
    fn a_text_and_a_list_mean_the_same() {
        for written in [r#""a, b ,c""#, r#"["a", "b", "c"]"#, r#"["a, b", "c", ""]"#] {
            let info = info(&format!(r#"{{"kernelRelease": {written}}}"#));
            assert_eq!(info.texts(KERNEL_RELEASE).unwrap(), ["a", "b", "c"]);
        }
        assert_eq!(info(r#"{"x": 6.1}"#).texts("x").unwrap(), ["6.1"]);
    }

    #[test]
    fn what_is_not_given_is_empty() {
        for metadata in [
            "{}",
            r#"{"extraInfo": null}"#,
            r#"{"extraInfo": "6.12.0-talos"}"#,
            r#"{"extraInfo": {"requires": null}}"#,
            r#"{"extraInfo": {"requires": " , "}}"#,
        ] {
            let info = ExtraInfo::parse(metadata).unwrap();
            assert_eq!(info.texts(REQUIRES).unwrap(), [""; 0], "{metadata}");
        }
    }

    #[test]
    fn fields_are_texts_or_numbers() {
        let info =
            info(r#"{"extensionRelease": {"ID": "a", "VERSION_ID": 12, "SYSEXT_LEVEL": null}}"#);
        let fields = info.fields(EXTENSION_RELEASE).unwrap().unwrap();
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(fields, [("ID", "a"), ("VERSION_ID", "12")]);
        assert_eq!(info.fields("other"), Ok(None));
        for (written, expected) in [
            (
                r#""a""#,
                "extraInfo.x is a text; it must be a mapping of texts",
            ),
            (
                r#"{"ID": []}"#,
                "extraInfo.x.ID is a list; it must be a text",
            ),
        ] {
            let info =
                ExtraInfo::parse(&format!(r#"{{"extraInfo": {{"x": {written}}}}}"#)).unwrap();
            assert_eq!(info.fields("x").unwrap_err(), expected);
        }
    }

    #[test]
    fn what_is_no_text_is_named_with_its_key() {
        let error = ExtraInfo::parse(r#"{"extraInfo": []}"#).unwrap_err();
        assert_eq!(error, "extraInfo is a list; it must be a mapping or a text");
        assert!(ExtraInfo::parse("nonsense").is_err());
        for (written, found) in [("true", "a truth value"), ("[{}]", "a mapping")] {
            let info = info(&format!(r#"{{"requires": {written}}}"#));
            let error = info.texts(REQUIRES).unwrap_err();
            assert!(error.starts_with(&format!("extraInfo.requires holds {found};")));
        }
    }

    #[test]
    fn architectures_are_spelt_as_uname_has_them() {
        let info = info(r#"{"architecture": "amd64, arm64, riscv64"}"#);
        assert_eq!(
            info.architectures().unwrap(),
            ["x86_64", "aarch64", "riscv64"]
        );
    }

    #[test]
    fn a_comma_before_an_operator_belongs_to_the_constraint() {
        let info = info(r#"{"requires": "a >= 1.2, < 2.0, b, c~>1.2 || 3.x"}"#);
        let relation = |name: &str, constraint: &str| Relation {
            name: name.into(),
            constraint: constraint.into(),
        };
        assert_eq!(
            info.relations(REQUIRES).unwrap(),
            [
                relation("a", ">= 1.2, < 2.0"),
                relation("b", ""),
                relation("c", "~>1.2 || 3.x")
            ]
        );
    }

    #[test]
    fn a_constraint_that_cannot_be_read_is_named_with_the_position() {
        for (written, expected) in [
            (
                "a >= latest",
                "\"a >= latest\": \">= latest\" can't be read as a version constraint: position 4",
            ),
            (">= 1.0", "the name of an extension must stand before"),
            ("a, b 1.0 and", "\"1.0 and\""),
        ] {
            let info = info(&format!(r#"{{"conflicts": {written:?}}}"#));
            let error = info.relations(CONFLICTS).unwrap_err();
            assert!(error.starts_with("extraInfo.conflicts: "), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn versions_are_compared_only_where_a_constraint_asks() {
        let relation = Relation::split("a >= 1.2.0");
        assert_eq!(relation.admits("v1.2.0"), Ok(true));
        assert_eq!(relation.admits("1.1.9"), Ok(false));
        assert!(matches!(
            relation.admits("latest"),
            Err(Unreadable::Version(_))
        ));
        assert_eq!(Relation::split("a").admits("latest"), Ok(true));
    }
}
