//! Validates JSON against a schema, of as much of JSON Schema (draft 2020-12) as the schemas
//! of this repository use. Of anything else in a schema nobody would know whether it holds,
//! so it is an error.
//!
//! Kept by hand: the crate jsonschema brings 40 crates, five of them in a second version, and adds
//! more than a minute to the build of the tests.

use serde_json::Value;

/// The one draft that is known.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// What says nothing of whether a value is valid.
const ANNOTATIONS: [&str; 4] = ["$schema", "title", "description", "examples"];

/// Everything by which a value differs from a schema, each with its place.
pub fn differences(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if schema["$schema"] != DRAFT {
        found.push(format!("the schema is not of {DRAFT}"));
    }
    compare(schema, value, "", &mut found);
    found
}

fn compare(schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let Some(keywords) = schema.as_object() else {
        return found.push(format!("{place}: the schema is no object"));
    };
    for (keyword, wanted) in keywords {
        if let Err(why) = keyword_holds(keyword, wanted, value, place, found) {
            found.push(format!("{place}: {keyword}: {why}; it is {value}"));
        }
    }
}

fn keyword_holds(
    keyword: &str,
    wanted: &Value,
    value: &Value,
    place: &str,
    found: &mut Vec<String>,
) -> Result<(), String> {
    let fails = |holds: bool| match holds {
        true => Ok(()),
        false => Err(format!("not {wanted}")),
    };
    match keyword {
        _ if ANNOTATIONS.contains(&keyword) => Ok(()),
        "type" => {
            let types = match wanted {
                Value::Array(types) => types.as_slice(),
                one => std::slice::from_ref(one),
            };
            let mut known = true;
            let is = types.iter().any(|name| match name.as_str() {
                Some("null") => value.is_null(),
                Some("boolean") => value.is_boolean(),
                Some("integer") => value.is_u64() || value.is_i64(),
                Some("string") => value.is_string(),
                Some("array") => value.is_array(),
                Some("object") => value.is_object(),
                _ => {
                    known = false;
                    false
                }
            });
            match known {
                true => fails(is),
                false => Err(format!("{wanted} is not known here")),
            }
        }
        "const" => fails(value == wanted),
        "enum" => fails(wanted.as_array().is_some_and(|all| all.contains(value))),
        "minimum" => fails(match (value.as_i64(), wanted.as_i64()) {
            (Some(value), Some(minimum)) => value >= minimum,
            _ => true,
        }),
        "minLength" => fails(value.as_str().is_none_or(|text| {
            let length = text.chars().count() as u64;
            wanted.as_u64().is_some_and(|minimum| length >= minimum)
        })),
        "required" => {
            let names = wanted.as_array().into_iter().flatten();
            let missing: Vec<&Value> = names
                .filter(|name| {
                    let name = name.as_str().unwrap_or_default();
                    value.is_object() && value.get(name).is_none()
                })
                .collect();
            match missing.is_empty() {
                true => Ok(()),
                false => Err(format!("{missing:?} are missing")),
            }
        }
        "properties" => {
            for (name, schema) in wanted.as_object().ok_or("it is no object")? {
                if let Some(value) = value.get(name) {
                    compare(schema, value, &format!("{place}/{name}"), found);
                }
            }
            Ok(())
        }
        "items" => {
            for (number, value) in value.as_array().into_iter().flatten().enumerate() {
                compare(wanted, value, &format!("{place}/{number}"), found);
            }
            Ok(())
        }
        _ => Err("it is not known here".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_keyword_is_told_where_it_does_not_hold() {
        let schema = json!({
            "$schema": DRAFT,
            "type": "object",
            "required": ["a", "b"],
            "properties": {
                "a": {"type": ["integer", "null"], "minimum": 0},
                "b": {"type": "array", "items": {"enum": ["x", "y"]}},
                "c": {"const": 1},
                "d": {"type": "string", "minLength": 1, "examples": ["z"]},
            },
        });
        let good = json!({"a": null, "b": ["x", "y"], "c": 1, "d": "w", "e": []});
        assert_eq!(differences(&schema, &good), Vec::<String>::new());
        let places = |value: Value| -> Vec<String> {
            let found = differences(&schema, &value);
            let start = |text: &String| text.split(": ").take(2).collect::<Vec<_>>().join(" ");
            found.iter().map(start).collect()
        };
        assert_eq!(places(json!([])), [" type"]);
        assert_eq!(places(json!({"b": []})), [" required"]);
        assert_eq!(
            places(json!({"a": -1, "b": ["x", "z"], "c": 2, "d": ""})),
            ["/a minimum", "/b/1 enum", "/c const", "/d minLength"]
        );
        assert_eq!(places(json!({"a": "1", "b": {}})), ["/a type", "/b type"]);
        assert_eq!(places(json!({"a": 1.5, "b": []})), ["/a type"]);
    }

    #[test]
    fn what_is_not_known_of_a_schema_is_an_error() {
        for schema in [
            json!({"$schema": DRAFT, "pattern": "^/"}),
            json!({"$schema": DRAFT, "type": "number"}),
            json!({"$schema": DRAFT, "items": true}),
            json!({"type": "array"}),
        ] {
            assert_eq!(differences(&schema, &json!([1])).len(), 1, "{schema}");
        }
    }
}
