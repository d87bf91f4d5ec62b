//! Writing documents.

use serde_json::Value;

/// How deep values are written in block style. Below that a line would be mostly
/// indentation, and what is small as JSON would become large.
const BLOCK: usize = 8;

/// A longer key, in characters as it is written, is none unless a `?` says so (YAML 1.2,
/// 7.4.2 and 8.2.2).
const LONGEST_KEY: usize = 1024;

/// Writes a value as YAML, which [`documents`](super::documents) reads back as the same value: in
/// block style, and from some depth on as JSON, which is YAML too. Nesting is
/// bounded by what JSON parsers accept.
pub fn emit(value: &Value) -> String {
    let mut text = String::new();
    emit_at(value, 0, &mut text);
    text
}

fn emit_at(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Array(items) if !items.is_empty() && indent <= 2 * BLOCK => {
            for item in items {
                text.push_str(&" ".repeat(indent));
                text.push('-');
                emit_after("- ", item, indent + 2, text);
            }
        }
        Value::Object(entries) if !entries.is_empty() && indent <= 2 * BLOCK => {
            for (key, item) in entries {
                let margin = " ".repeat(indent);
                let key = emit_text(key);
                text.push_str(&margin);
                if key.chars().count() > LONGEST_KEY {
                    text.push_str("? ");
                    text.push_str(&key);
                    text.push('\n');
                    text.push_str(&margin);
                } else {
                    text.push_str(&key);
                }
                text.push(':');
                emit_after(": ", item, indent + 2, text);
            }
        }
        scalar => {
            text.push_str(&emit_scalar(scalar));
            text.push('\n');
        }
    }
}

/// Writes a value behind a dash or a key: a scalar on the same line, and so the
/// first entry of a mapping behind a dash.
fn emit_after(mark: &str, item: &Value, indent: usize, text: &mut String) {
    let one_line = match item {
        _ if indent > 2 * BLOCK => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => true,
    };
    if one_line {
        text.push(' ');
        text.push_str(&emit_scalar(item));
        text.push('\n');
    } else if mark == "- " {
        let start = text.len();
        emit_at(item, indent, text);
        // The dash is the indentation of the first line, less one.
        text.replace_range(start..start + indent - 1, "");
    } else {
        text.push('\n');
        emit_at(item, indent, text);
    }
}

fn emit_scalar(value: &Value) -> String {
    match value {
        Value::String(string) => emit_text(string),
        // What JSON has is YAML.
        other => printable(&other.to_string()),
    }
}

/// A text without quotes where nobody could take it for anything else.
fn emit_text(string: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+');
    let plain = string.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && string
            .split(' ')
            .all(|part| !part.is_empty() && part.chars().all(word))
        && !matches!(
            string.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if plain {
        return string.to_owned();
    }
    printable(&Value::from(string).to_string())
}

/// JSON with escapes for the characters that YAML does not take as they are, all
/// of which can only stand in strings.
fn printable(json: &str) -> String {
    let mut quoted = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{feff}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted
}
