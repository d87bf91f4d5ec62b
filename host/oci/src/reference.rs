//! What an operator names an image by.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use oci_spec::distribution::{ParseError, Reference};
use switch_root_core::error::{Error, Result};
use switch_root_core::outcome::Message;

switch_root_core::outcomes! {
    /// Why a text names no image.
    pub enum NotAnImage in "image-names" {
        /// Correct the name.
        "SR-Q90" NoPath { text: String, what: &'static str } = "the image `{text}` names no {what}; write `{text}PATH`",
        /// What follows stands within: `TEXT is not an image: ...`.
        "SR-Q91" Digest { digest: String } = "the digest `{digest}` is not `sha256:` and 64 hexadecimal digits",
        "SR-Q92" Tag { tag: String } = "the tag `{tag}` is not 1 to 128 letters, digits, `_`, `.` and `-`",
        "SR-Q93" Capitals { name: String } = "the name `{name}` has capital letters",
        "SR-Q94" Malformed { error: ParseError } = "{error}",
    }
}

/// A host that is none, by RFC 6761.
const PLACEHOLDER: &str = "address.invalid";

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `ghcr.io/siderolabs/gvisor:v1`, also with a digest: a registry's image.
    Registry(Reference),
    /// `oci:DIR` or `oci:DIR:NAME`: an OCI image layout, and the image in it whose
    /// `org.opencontainers.image.ref.name` is NAME, which may have colons and slashes. The
    /// folder's name has no colon. A NAME of `@DIGEST` is the image of that digest.
    Layout {
        /// The folder with `index.json`.
        folder: PathBuf,
        /// Which of its images, where it has several.
        name: Option<String>,
    },
    /// `oci-archive:FILE` or `oci-archive:FILE:NAME`: an OCI image layout in a tar archive, as
    /// skopeo and Podman write it. The file's name has no colon, the image's may.
    OciArchive {
        /// The tar file.
        file: PathBuf,
        /// Which of its images, where it has several.
        name: Option<String>,
    },
    /// `docker-archive:FILE` or `docker-archive:FILE:NAME`: what `docker save`
    /// writes. The file's name has no colon, the image's may.
    DockerArchive {
        /// The tar file.
        file: PathBuf,
        /// Which of its images, where it has several.
        name: Option<String>,
    },
}

/// An image as it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRef {
    /// The spelling of the operator.
    pub text: String,
    /// What it means.
    pub source: Source,
}

impl ImageRef {
    /// The repository of a registry that it is in; nothing for what is in a file or a
    /// folder, which may hold anything.
    pub fn repository(&self) -> Option<String> {
        match &self.source {
            Source::Registry(reference) => Some(format!(
                "{}/{}",
                reference.registry(),
                reference.repository()
            )),
            _ => None,
        }
    }
}

impl FromStr for ImageRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // Names are references with tags: the path ends at the first colon, as for skopeo.
        let with_name = |rest: &str| match rest.split_once(':') {
            Some((path, name)) if !path.is_empty() && !name.is_empty() => {
                (PathBuf::from(path), Some(name.to_owned()))
            }
            _ => (PathBuf::from(rest), None),
        };
        let empty = |rest: &str, what: &'static str| {
            if rest.is_empty() {
                let text = text.to_owned();
                return Err(Error::input(NotAnImage::NoPath { text, what }));
            }
            Ok(())
        };
        let source = if let Some(rest) = text.strip_prefix("oci:") {
            empty(rest, "folder")?;
            let (folder, name) = with_name(rest);
            Source::Layout { folder, name }
        } else if let Some(rest) = text.strip_prefix("oci-archive:") {
            empty(rest, "file")?;
            let (file, name) = with_name(rest);
            Source::OciArchive { file, name }
        } else if let Some(rest) = text.strip_prefix("docker-archive:") {
            empty(rest, "file")?;
            let (file, name) = with_name(rest);
            Source::DockerArchive { file, name }
        } else {
            Source::Registry(registry(text).map_err(|error| {
                let reason = why(text).unwrap_or(NotAnImage::Malformed { error });
                Error::input(Message::from(reason).reworded(|reason| {
                    format!(
                        "`{text}` is not an image: {reason}; images are written REGISTRY/NAME:TAG, REGISTRY/NAME@sha256:DIGEST, oci:FOLDER, oci-archive:FILE or docker-archive:FILE"
                    )
                }))
            })?)
        };
        Ok(Self {
            text: text.to_owned(),
            source,
        })
    }
}

/// What is wrong with a reference to an image of a registry, quoted, where it can be told.
fn why(text: &str) -> Option<NotAnImage> {
    let (text, digest) = match text.split_once('@') {
        Some((text, digest)) => (text, Some(digest)),
        None => (text, None),
    };
    if let Some(digest) = digest {
        let hex = digest.strip_prefix("sha256:");
        let is_hex = |it: &str| it.len() == 64 && it.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex.is_some_and(is_hex) && !digest.starts_with("sha512:") {
            let digest = digest.to_owned();
            return Some(NotAnImage::Digest { digest });
        }
    }
    let (path, tag) = match text.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (text, None),
    };
    let of_tag = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    match tag {
        Some(tag)
            if tag.is_empty()
                || tag.len() > 128
                || tag.starts_with(['.', '-'])
                || !tag.chars().all(of_tag) =>
        {
            let tag = tag.to_owned();
            return Some(NotAnImage::Tag { tag });
        }
        _ => {}
    }
    let (_, name) = path.split_once('/').unwrap_or(("", path));
    name.chars()
        .any(|c| c.is_ascii_uppercase())
        .then(|| NotAnImage::Capitals {
            name: name.to_owned(),
        })
}

/// A reference to an image of a registry, which may be named by an address of IPv6 in
/// brackets; the library knows names and addresses of IPv4.
fn registry(text: &str) -> std::result::Result<Reference, ParseError> {
    let address = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let is_one = |(address, rest): &(&str, &str)| {
        address.parse::<Ipv6Addr>().is_ok() && rest.starts_with([':', '/']) && rest.contains('/')
    };
    let Some((address, rest)) = address.filter(is_one) else {
        return text.parse();
    };
    // Read with a name of a host in its place.
    let read: Reference = format!("{PLACEHOLDER}{rest}").parse()?;
    let host = read
        .registry()
        .replacen(PLACEHOLDER, &format!("[{address}]"), 1);
    let repository = read.repository().to_owned();
    Ok(match (read.tag(), read.digest()) {
        (Some(tag), Some(digest)) => {
            Reference::with_tag_and_digest(host, repository, tag.into(), digest.into())
        }
        (None, Some(digest)) => Reference::with_digest(host, repository, digest.into()),
        (tag, None) => Reference::with_tag(host, repository, tag.unwrap_or("latest").into()),
    })
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The name of an extension's folder, and, with `.sqsh` behind it, of its layer:
/// its place in the configuration, and its reference as part of a file name, as
/// Talos has them.
pub fn folder_name(position: usize, image: &ImageRef) -> String {
    let name: String = image
        .text
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => c,
            _ => '-',
        })
        .collect();
    format!("{position:03}.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        text.parse::<ImageRef>().unwrap().source
    }

    #[test]
    fn what_is_wrong_with_a_reference_is_quoted() {
        for (text, words) in [
            ("ghcr.io/foo:bad tag", "the tag `bad tag` is not"),
            ("ghcr.io/foo:", "the tag `` is not"),
            (
                "ghcr.io/Foo/bar:v1",
                "the name `Foo/bar` has capital letters",
            ),
            ("foo@sha256:12", "the digest `sha256:12` is not"),
            ("foo:v1@md5:ab", "the digest `md5:ab` is not"),
        ] {
            let error = text.parse::<ImageRef>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn registries_layouts_and_archives_are_told_apart() {
        assert!(matches!(
            source("ghcr.io/siderolabs/gvisor:20220117.0-v1.0.0"),
            Source::Registry(reference)
                if reference.registry() == "ghcr.io" && reference.repository() == "siderolabs/gvisor"
        ));
        let layout = |folder: &str, name: Option<&str>| Source::Layout {
            folder: folder.into(),
            name: name.map(str::to_owned),
        };
        assert_eq!(source("oci:/a/b"), layout("/a/b", None));
        assert_eq!(source("oci:b:v1"), layout("b", Some("v1")));
        assert_eq!(source("oci:a:b/c"), layout("a", Some("b/c")));
        assert_eq!(
            source("oci:/a:ghcr.io/b/c:v1"),
            layout("/a", Some("ghcr.io/b/c:v1"))
        );
        let archive = |file: &str, name: Option<&str>| Source::OciArchive {
            file: file.into(),
            name: name.map(str::to_owned),
        };
        assert_eq!(source("oci-archive:/a.tar"), archive("/a.tar", None));
        assert_eq!(
            source("oci-archive:a.tar:b/c:v1"),
            archive("a.tar", Some("b/c:v1"))
        );
        assert_eq!(
            source("docker-archive:a.tar"),
            Source::DockerArchive {
                file: "a.tar".into(),
                name: None
            }
        );
        assert_eq!(
            source("docker-archive:/b/a.tar:ghcr.io/a/b:v1"),
            Source::DockerArchive {
                file: "/b/a.tar".into(),
                name: Some("ghcr.io/a/b:v1".into())
            }
        );
    }

    #[test]
    fn a_registry_may_be_an_address_of_ipv6() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, registry, tag, digest) in [
            ("[::1]:5000/a/b:v1", "[::1]:5000", Some("v1"), None),
            ("[fd00::2]/a/b", "[fd00::2]", Some("latest"), None),
            (
                &format!("[::1]:5000/a/b@{digest}"),
                "[::1]:5000",
                None,
                Some(digest.as_str()),
            ),
        ] {
            let Source::Registry(reference) = source(text) else {
                panic!("{text}");
            };
            assert_eq!(
                (reference.registry(), reference.repository()),
                (registry, "a/b")
            );
            assert_eq!((reference.tag(), reference.digest()), (tag, digest));
        }
        for text in ["[::1", "[::1]", "[x]/a", "[1.2.3.4]/a", "[::1]x/a"] {
            assert!(text.parse::<ImageRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_image_is_quoted() {
        for text in [
            "",
            "oci:",
            "oci-archive:",
            "docker-archive:",
            "a b",
            "x@sha256:12",
        ] {
            let error = text.parse::<ImageRef>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn folders_sort_as_configured() {
        let image: ImageRef = "ghcr.io/siderolabs/gvisor:20220117.0-v1.0.0"
            .parse()
            .unwrap();
        assert_eq!(
            folder_name(2, &image),
            "002.ghcr.io-siderolabs-gvisor-20220117.0-v1.0.0"
        );
    }
}
