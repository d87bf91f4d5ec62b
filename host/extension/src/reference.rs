//! What an operator names an image by.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use oci_spec::distribution::Reference;

use crate::error::{Error, Result};

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `ghcr.io/siderolabs/gvisor:v1`, also with a digest: a registry's image.
    Registry(Reference),
    /// `oci:DIR` or `oci:DIR:NAME`: an OCI image layout, and the image in it
    /// whose `org.opencontainers.image.ref.name` is NAME.
    Layout {
        /// The folder with `index.json`.
        folder: PathBuf,
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

impl FromStr for ImageRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let with_name = |rest: &str| match rest.rsplit_once(':') {
            Some((path, name)) if !name.contains('/') && !name.is_empty() => {
                (PathBuf::from(path), Some(name.to_owned()))
            }
            _ => (PathBuf::from(rest), None),
        };
        let empty = |rest: &str, what: &str| {
            if rest.is_empty() {
                return Err(Error::input(format!(
                    "the image `{text}` names no {what}; write `{text}PATH`"
                )));
            }
            Ok(())
        };
        let source = if let Some(rest) = text.strip_prefix("oci:") {
            empty(rest, "folder")?;
            let (folder, name) = with_name(rest);
            Source::Layout { folder, name }
        } else if let Some(rest) = text.strip_prefix("docker-archive:") {
            empty(rest, "file")?;
            // Names are references with tags: the file ends at the first colon.
            let (file, name) = match rest.split_once(':') {
                Some((file, name)) if !file.is_empty() && !name.is_empty() => {
                    (PathBuf::from(file), Some(name.to_owned()))
                }
                _ => (PathBuf::from(rest), None),
            };
            Source::DockerArchive { file, name }
        } else {
            Source::Registry(text.parse().map_err(|error| {
                Error::input(format!(
                    "`{text}` is not an image: {error}; images are written REGISTRY/NAME:TAG, REGISTRY/NAME@sha256:DIGEST, oci:FOLDER or docker-archive:FILE"
                ))
            })?)
        };
        Ok(Self {
            text: text.to_owned(),
            source,
        })
    }
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
        assert_eq!(source("oci:a:b/c"), layout("a:b/c", None));
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
    fn what_is_no_image_is_quoted() {
        for text in ["", "oci:", "docker-archive:", "a b", "x@sha256:12"] {
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
