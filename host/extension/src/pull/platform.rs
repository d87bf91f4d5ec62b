//! Which of an image's platforms is wanted.

use std::fmt;
use std::str::FromStr;

use policy::escape;

use crate::error::{Error, Result};

/// An operating system and an architecture, in the words of Go, which images
/// use: `linux/amd64`, `linux/arm/v7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, `riscv64` and so on.
    pub architecture: String,
    /// The version of the architecture, such as `v7` of `arm`. `None` takes
    /// any.
    pub variant: Option<String>,
}

/// This machine's.
impl Default for Platform {
    fn default() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "loongarch64" => "loong64",
            other => other,
        };
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: None,
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let valid = |part: &String| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        };
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(os), Some(architecture), variant, None)
                if [&os, &architecture].into_iter().chain(&variant).all(valid) =>
            {
                Ok(Self {
                    os,
                    architecture,
                    variant,
                })
            }
            _ => Err(Error::input(format!(
                "`{}` is no platform; write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/amd64",
                escape::message(text, 100)
            ))),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl Platform {
    /// Whether an image for `other` is one for this platform. Not saying a
    /// variant means any.
    pub(super) fn takes(&self, other: &Self) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && match (&self.variant, &other.variant) {
                (Some(wanted), Some(there)) => wanted == there,
                _ => true,
            }
    }
}

/// As the standard has it.
impl From<&oci_spec::image::Platform> for Platform {
    fn from(platform: &oci_spec::image::Platform) -> Self {
        Self {
            os: platform.os().to_string(),
            architecture: platform.architecture().to_string(),
            variant: platform.variant().clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_and_written_alike() {
        for text in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "a/b/c/d",
            "linux/a b",
            "linux/arm/",
        ] {
            let error = text.parse::<Platform>().unwrap_err().to_string();
            assert!(error.contains("is no platform"), "{text}: {error}");
        }
        assert_eq!(Platform::default().os, "linux");
    }

    #[test]
    fn a_variant_that_is_not_said_is_any() {
        let is = |wanted: &str, there: &str| {
            let there: Platform = there.parse().unwrap();
            wanted.parse::<Platform>().unwrap().takes(&there)
        };
        assert!(is("linux/arm64", "linux/arm64/v8"));
        assert!(is("linux/arm64/v8", "linux/arm64"));
        assert!(is("linux/arm/v7", "linux/arm/v7"));
        assert!(!is("linux/arm/v7", "linux/arm/v6"));
        assert!(!is("linux/amd64", "linux/arm64"));
        assert!(!is("linux/amd64", "windows/amd64"));
    }
}
