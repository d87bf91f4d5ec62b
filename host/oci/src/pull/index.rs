//! Choosing from an index.

use std::collections::HashMap;

use oci_spec::image::Descriptor;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;

use super::platform::{Platform, Unfit};

/// The entry of an index for a platform, and whether it says that it is.
pub(super) fn choose<'a>(
    entries: &'a [Descriptor],
    platform: &Platform,
) -> Result<(&'a Descriptor, bool)> {
    let images = || entries.iter().filter(|entry| !is_attached(entry));
    let distance = |entry: &&Descriptor| {
        let there = entry.platform().as_ref()?;
        platform.distance(&there.into())
    };
    let fitting = images().filter_map(|entry| Some((distance(&entry)?, entry)));
    if let Some((_, found)) = fitting.min_by_key(|(distance, _)| *distance) {
        return Ok((found, true));
    }
    // What it is for, its configuration says. What is an artifact is that of an image,
    // where there is one.
    let unsaid = || images().filter(|entry| entry.platform().is_none());
    let mut plain = unsaid().filter(|entry| entry.artifact_type().is_none());
    let mut all = unsaid();
    match (plain.next(), plain.next(), all.next(), all.next()) {
        (Some(only), None, ..) | (None, _, Some(only), None) => return Ok((only, false)),
        _ => {}
    }
    let mut there: Vec<String> = images()
        .filter_map(|entry| entry.platform().as_ref())
        .map(|platform| escape::message(&Platform::from(platform).to_string(), 60))
        .collect();
    there.truncate(30);
    let (platform, there) = (platform.to_string(), there.join(", "));
    let unfit = match there.is_empty() {
        true => Unfit::None { platform },
        false => Unfit::Others { platform, there },
    };
    Err(Error::new(Kind::NotFound, unfit))
}

/// Whether an entry of an index is something that is attached to images, such as an
/// attestation or a signature.
fn is_attached(entry: &Descriptor) -> bool {
    let nowhere = |platform: &oci_spec::image::Platform| platform.os().to_string() == "unknown";
    let annotated = |annotations: &HashMap<String, String>| {
        annotations.contains_key("vnd.docker.reference.type")
    };
    entry.platform().as_ref().is_some_and(nowhere)
        || entry.annotations().as_ref().is_some_and(annotated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pull::digest;

    #[test]
    fn what_is_attached_to_an_image_is_not_the_image() {
        let entry = |other: serde_json::Value| {
            let mut entry = serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest::sha256(other.to_string().as_bytes()),
                "size": 2,
            });
            if let (Some(entry), Some(other)) = (entry.as_object_mut(), other.as_object()) {
                entry.extend(other.clone());
            }
            serde_json::from_value::<Descriptor>(entry).unwrap()
        };
        let image = entry(serde_json::json!({}));
        let other = entry(serde_json::json!({"annotations": {"x": "y"}}));
        let arm = entry(serde_json::json!({"platform": {"os": "linux", "architecture": "arm64"}}));
        let attached = [
            serde_json::json!({"platform": {"os": "unknown", "architecture": "unknown"}}),
            serde_json::json!({"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}),
            serde_json::json!({"artifactType": "application/vnd.dev.sigstore.bundle"}),
        ]
        .map(entry);
        let platform: Platform = "linux/amd64".parse().unwrap();
        let chosen = |entries: &[&Descriptor]| {
            let entries: Vec<Descriptor> = entries.iter().map(|it| (*it).clone()).collect();
            choose(&entries, &platform).map(|(entry, said)| (entry.clone(), said))
        };
        for one in &attached {
            assert_eq!(chosen(&[one, &image]).unwrap(), (image.clone(), false));
        }
        assert_eq!(chosen(&[&attached[0]]).unwrap_err().kind, Kind::NotFound);
        assert_eq!(chosen(&[&attached[1]]).unwrap_err().kind, Kind::NotFound);
        // An artifact that stands alone is what is wanted.
        let artifact = attached[2].clone();
        assert_eq!(chosen(&[&artifact]).unwrap(), (artifact, false));
        assert_eq!(chosen(&[&arm, &image]).unwrap(), (image.clone(), false));
        let error = chosen(&[&arm, &image, &other]).unwrap_err().to_string();
        assert!(error.contains("it is there for linux/arm64"), "{error}");
    }
}
