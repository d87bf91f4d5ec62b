//! Reading JSON of other releases: what is not as it is known is as if it were not there.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A number, a truth value, a text, or one of these that may be absent.
pub fn value<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).unwrap_or_default())
}

/// An object. An array is not taken for one, whatever its elements would be.
pub fn object<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(of_object(Value::deserialize(from)?).unwrap_or_default())
}

/// An object that may be absent.
pub fn optional<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Ok(of_object(Value::deserialize(from)?))
}

/// A list of objects.
pub fn objects<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    let elements = elements(from)?.into_iter();
    Ok(elements
        .map(|element| of_object(element).unwrap_or_default())
        .collect())
}

/// A list of texts.
pub fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let elements = elements(from)?.into_iter();
    Ok(elements
        .filter_map(|element| match element {
            Value::String(text) => Some(text),
            _ => None,
        })
        .collect())
}

/// A list of codes, with nothing where a place has none.
pub fn codes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Option<String>>, D::Error> {
    let elements = elements(from)?.into_iter();
    Ok(elements
        .map(|element| match element {
            Value::String(code) => Some(code),
            _ => None,
        })
        .collect())
}

fn of_object<T: DeserializeOwned>(value: Value) -> Option<T> {
    let object = value.is_object().then_some(value)?;
    serde_json::from_value(object).ok()
}

fn elements<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Value>, D::Error> {
    match Value::deserialize(from)? {
        Value::Array(elements) => Ok(elements),
        _ => Ok(Vec::new()),
    }
}
