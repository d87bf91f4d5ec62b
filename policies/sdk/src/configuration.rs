//! Where a policy keeps its settings between `configure` and the questions.

use std::sync::OnceLock;

/// Settings of type `T`, read once by [`Settings::configure`](crate::Settings::configure).
///
/// They are no state in the sense of the contract: the host calls `configure` for each new
/// instance, before any question.
///
/// ```
/// use switch_root_policy::{Configuration, Decision, Entry, Preservation, Settings, register};
///
/// struct KeepLarge;
/// static LIMIT: Configuration<u64> = Configuration::new();
///
/// impl Settings for KeepLarge {
///     fn configure(json: &str) -> Result<(), String> {
///         LIMIT.set(json.parse().map_err(|_| "the settings must be a number of bytes")?)
///     }
/// }
///
/// impl Preservation for KeepLarge {
///     fn review(_directory: &[u8], entries: &[Entry]) -> Result<Vec<Decision>, String> {
///         let limit = *LIMIT.get()?;
///         let decide = |entry: &Entry| match entry.size >= limit {
///             true => Decision::Keep,
///             false => Decision::Delete,
///         };
///         Ok(entries.iter().map(decide).collect())
///     }
/// }
///
/// register!(KeepLarge: preservation, settings);
/// ```
#[derive(Debug)]
pub struct Configuration<T>(OnceLock<T>);

impl<T> Configuration<T> {
    /// Not configured yet. Meant for a `static`.
    pub const fn new() -> Self {
        Configuration(OnceLock::new())
    }

    /// Keeps the settings.
    ///
    /// # Errors
    ///
    /// If there are some already: the host configures an instance once, and a second set of
    /// settings must not silently lose against the first.
    pub fn set(&self, settings: T) -> Result<(), String> {
        self.0
            .set(settings)
            .map_err(|_| "the settings were given a second time to the same instance".into())
    }

    /// The settings.
    ///
    /// # Errors
    ///
    /// If the policy was asked without having been configured: either it is not registered with
    /// `settings`, or the host broke the contract.
    pub fn get(&self) -> Result<&T, String> {
        self.0.get().ok_or_else(|| {
            "asked before configured: is the policy registered with `settings`?".into()
        })
    }
}

#[cfg(feature = "json")]
impl<T: serde::de::DeserializeOwned> Configuration<T> {
    /// Reads the settings from the JSON text that `configure` was given, and keeps them.
    ///
    /// A type with `#[serde(deny_unknown_fields)]` refuses a misspelt setting by its name.
    ///
    /// # Errors
    ///
    /// What is wrong and at which line and column of the JSON text; and as [`set`](Self::set).
    pub fn set_json(&self, json: &str) -> Result<(), String> {
        self.set(Self::parse_json(json)?)
    }

    /// Reads settings from JSON text without keeping them: for those that need a closer look
    /// first.
    ///
    /// # Errors
    ///
    /// What is wrong and at which line and column of the JSON text. It must be an object, since
    /// that is what gives each setting its name.
    pub fn parse_json(json: &str) -> Result<T, String> {
        // A derived `Deserialize` takes an array too, for the fields in their order.
        if !json.trim_start().starts_with('{') {
            return Err("the settings must be a JSON object".into());
        }
        serde_json::from_str(json).map_err(|error| error.to_string())
    }
}

impl<T> Default for Configuration<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_there_after_set_and_cannot_be_replaced() {
        let configuration = Configuration::new();
        assert!(configuration.get().is_err());
        configuration.set(1).unwrap();
        assert!(configuration.set(2).is_err());
        assert_eq!(configuration.get(), Ok(&1));
    }
}
