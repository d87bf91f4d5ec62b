//! Which of an image's platforms is wanted.

use std::fmt;
use std::str::FromStr;

use switch_root_core::error::{Error, Result};
use switch_root_core::escape;

switch_root_core::outcomes! {
    /// Why there is nothing for a platform.
    pub enum Unfit in "manifests" {
        /// `uname -m` names the architecture of a machine, in other words.
        "SR-O50" NotAPlatform { text: String } = "`{text}` is no platform; write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/amd64",
        /// The image is not built for that platform: choose another with `--platform`, or another tag.
        "SR-O51" Others { platform: String, there: String } = "the image has nothing for the platform {platform}; it is there for {there}",
        "SR-O52" None { platform: String } = "the image has nothing for the platform {platform}, nor for any other",
    }
}

/// An operating system and an architecture, in the words of Go, which images
/// use: `linux/amd64`, `linux/arm/v7`. Other words for the same are read, too.
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
                Ok(Self::new(&os, &architecture, variant.as_deref()))
            }
            _ => {
                let text = escape::message(text, 100);
                Err(Error::input(Unfit::NotAPlatform { text }))
            }
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

/// How little a version of an architecture fits that is newer than what is sure to run.
const NEWER: u32 = 1000;
/// How little an image fits that says no version where one is wanted.
const UNSAID: u32 = 500;

impl Platform {
    /// From what people and images write: `x86_64`, `aarch64`, `armhf`, `arm/7`. As
    /// containerd reads them.
    pub(super) fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let variant = variant.unwrap_or_default().to_ascii_lowercase();
        let given = architecture.to_ascii_lowercase();
        let (architecture, implied) = match given.as_str() {
            "x86_64" | "x86-64" => ("amd64", ""),
            "i386" | "i486" | "i586" | "i686" | "x86" => ("386", ""),
            "aarch64" => ("arm64", ""),
            // A processor of version 8 that runs programs of 32 bits.
            "armv8l" => ("arm", "v8"),
            "armhf" | "armv7" | "armv7l" => ("arm", "v7"),
            "armel" | "armv6" | "armv6l" => ("arm", "v6"),
            "armv5" | "armv5l" | "armv5tel" => ("arm", "v5"),
            "ppc64el" | "powerpc64le" => ("ppc64le", ""),
            "loongarch64" => ("loong64", ""),
            "mips64el" => ("mips64le", ""),
            "mipsel" => ("mipsle", ""),
            other => (other, ""),
        };
        let variant = match variant.as_str() {
            "" => implied.to_owned(),
            number if number.starts_with(|first: char| first.is_ascii_digit()) => {
                format!("v{number}")
            }
            _ => variant,
        };
        Self {
            os: os.to_ascii_lowercase(),
            architecture: architecture.to_owned(),
            variant: Some(variant).filter(|variant| !variant.is_empty()),
        }
    }

    /// Whether an image for `other` is one for this platform. Not saying a
    /// variant means any.
    pub(super) fn takes(&self, other: &Self) -> bool {
        self.distance(other).is_some()
    }

    /// How well an image for `other` fits this platform, from 0; nothing where it does
    /// not. Processors run what is for older ones of their kind: what is for the wanted
    /// variant, and else for the newest before it. Where none is wanted, what runs
    /// everywhere fits best.
    pub(super) fn distance(&self, other: &Self) -> Option<u32> {
        if self.os != other.os || self.architecture != other.architecture {
            return None;
        }
        if self.variant == other.variant {
            return Some(0);
        }
        let there = other.variant.as_deref().map(level);
        match (&self.variant, there) {
            (Some(wanted), Some(there)) => level(wanted)?.checked_sub(there?),
            (Some(wanted), None) => Some(match level(wanted) == Some(self.basic()) {
                true => 0,
                false => UNSAID,
            }),
            // What cannot be compared comes last.
            (None, Some(None)) => Some(2 * NEWER),
            (None, Some(Some(there))) => Some(match self.basic().checked_sub(there) {
                Some(older) => older + 1,
                None => NEWER + there.min(NEWER),
            }),
            (None, None) => Some(0),
        }
    }

    /// The version of the architecture that is meant where none is said.
    fn basic(&self) -> u32 {
        match self.architecture.as_str() {
            "arm" => 70,
            "arm64" => 80,
            _ => 10,
        }
    }
}

/// `v7` as 70, `v8.2` as 82; nothing where it is no version.
fn level(variant: &str) -> Option<u32> {
    let number = variant.strip_prefix('v')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u32 = whole.parse().ok()?;
    let part: u32 = part.parse().ok()?;
    whole.checked_mul(10)?.checked_add(part)
}

/// As the standard has it.
impl From<&oci_spec::image::Platform> for Platform {
    fn from(platform: &oci_spec::image::Platform) -> Self {
        Self::new(
            &platform.os().to_string(),
            &platform.architecture().to_string(),
            platform.variant().as_deref(),
        )
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
        assert!(!is("linux/arm/v6", "linux/arm/v7"));
        assert!(!is("linux/amd64", "linux/arm64"));
        assert!(!is("linux/amd64", "windows/amd64"));
    }

    #[test]
    fn platforms_have_several_names() {
        for (text, read) in [
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64", "linux/amd64"),
            ("linux/i686", "linux/386"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/aarch64/8", "linux/arm64/v8"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armv6l", "linux/arm/v6"),
            ("linux/armv8l", "linux/arm/v8"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux/armhf/v6", "linux/arm/v6"),
            ("linux/ppc64el", "linux/ppc64le"),
            ("linux/riscv64", "linux/riscv64"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), read);
        }
    }

    #[test]
    fn the_variant_that_fits_best_is_taken() {
        let platform = |text: &str| format!("linux/{text}").parse::<Platform>().unwrap();
        let best = |wanted: &str, there: &[&'static str]| {
            let wanted = platform(wanted);
            let fitting = there.iter().filter(|it| wanted.takes(&platform(it)));
            fitting
                .min_by_key(|it| wanted.distance(&platform(it)))
                .copied()
        };
        let arm = ["arm/v5", "arm/v6", "arm/v7", "arm/v8", "arm64"];
        assert_eq!(best("arm/v7", &arm), Some("arm/v7"));
        assert_eq!(best("arm", &arm), Some("arm/v7"));
        assert_eq!(best("arm/v7", &arm[..2]), Some("arm/v6"));
        assert_eq!(best("arm/v5", &arm[1..]), None);
        assert_eq!(best("arm/v6", &["arm", "arm/v5"]), Some("arm/v5"));
        assert_eq!(best("arm/v6", &["arm"]), Some("arm"));
        assert_eq!(best("arm", &arm[3..]), Some("arm/v8"));
        let amd = ["amd64/v3", "amd64/v2", "amd64"];
        assert_eq!(best("amd64", &amd), Some("amd64"));
        assert_eq!(best("amd64", &amd[..2]), Some("amd64/v2"));
        assert_eq!(best("amd64/v2", &amd), Some("amd64/v2"));
        assert_eq!(best("amd64/v4", &amd), Some("amd64/v3"));
        assert_eq!(best("amd64/v1", &amd), Some("amd64"));
        assert_eq!(best("arm64", &["arm64/v9", "arm64/v8"]), Some("arm64/v8"));
        assert_eq!(best("arm64/v9", &["arm64/v8"]), Some("arm64/v8"));
        assert_eq!(best("arm64/x", &["arm64/y"]), None);
    }
}
