//! Whether the report's document and its schema name the same fields. That the schema has
//! those of the report is a unit test of the boot program's.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{markdown, text};

const DOCUMENT: &str = "host/switch/REPORT.md";
const SCHEMA: &str = "host/switch/report.schema.json";
/// The title of the first column of the table that names the fields.
const TITLE: &str = "field";

/// The paths of what a schema describes: `policies.name`.
fn described(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        described(property, &path, found);
        found.insert(path);
    }
    if schema["items"].is_object() {
        described(&schema["items"], path, found);
    }
}

/// The paths that the table names, each with what is said of it. A name that begins with a
/// point is one of the row above it that does not.
fn documented(document: &str) -> Vec<(String, String)> {
    let mut context = String::new();
    let mut found = Vec::new();
    for row in markdown::rows(document, TITLE) {
        for code in &row.code {
            let name = code.replace("[]", "");
            let path = match name.strip_prefix('.') {
                Some(below) => format!("{context}.{below}"),
                None => {
                    let above = name.rsplit_once('.').map(|(above, _)| above);
                    context = above.unwrap_or(&name).to_owned();
                    name
                }
            };
            found.push((path, row.rest.clone()));
        }
    }
    found
}

/// What only one of them has.
fn compare(schema: &Value, document: &str) -> Vec<String> {
    let mut fields = BTreeSet::new();
    described(schema, "", &mut fields);
    let rows = documented(document);
    let is_named = |field: &String| {
        rows.iter().any(|(path, rest)| {
            path == field
                || path.starts_with(&format!("{field}."))
                // Those of a small object stand in its own row.
                || field.rsplit_once('.').is_some_and(|(above, name)| {
                    let is_word = |c: char| c.is_alphanumeric() || c == '_';
                    path == above && rest.split(|c| !is_word(c)).any(|word| word == name)
                })
        })
    };
    let missing = fields.iter().filter(|field| !is_named(field));
    let missing = missing.map(|field| format!("{DOCUMENT} does not name {field}"));
    let gone = rows.iter().filter(|(path, _)| !fields.contains(path));
    let gone = gone.map(|(path, _)| format!("{SCHEMA} does not have {path}"));
    missing.chain(gone).collect()
}

#[test]
fn the_reports_document_names_the_fields_of_its_schema() {
    let schema = serde_json::from_str(&text(SCHEMA)).unwrap();
    let wrong = compare(&schema, &text(DOCUMENT));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_kinds_of_failures_are_those_of_the_schema() {
    let schema: Value = serde_json::from_str(&text(SCHEMA)).unwrap();
    let kinds = schema
        .pointer("/properties/policies/items/properties/failures/items/properties/kind/examples");
    let document = text(DOCUMENT);
    let (_, list) = document.split_once("The kinds of failures are").unwrap();
    let listed: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    let kinds: Vec<&str> = kinds
        .and_then(Value::as_array)
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(listed, kinds);
}

#[test]
fn a_field_that_one_of_them_lacks_is_told() {
    let schema = serde_json::json!({
        "properties": {
            "a": {"items": {"properties": {"b": {}, "c": {"properties": {"d": {}}}}}},
            "e": {},
        },
    });
    let table = |rows: &str| format!("| field | what |\n|---|---|\n{rows}");
    let whole = table("| `a[]` | x |\n| `.b` | x |\n| `.c` | has `d` |\n| `e` | x |\n");
    assert_eq!(compare(&schema, &whole), Vec::<String>::new());
    let other = table("| `a[]` | x |\n| `.c` | has `x` |\n| `e`, `f` | x |\n");
    assert_eq!(
        compare(&schema, &other),
        [
            "host/switch/REPORT.md does not name a.b",
            "host/switch/REPORT.md does not name a.c.d",
            "host/switch/report.schema.json does not have f",
        ]
    );
}
