//! What registries and layouts answer, and how images are named.

use oci::pull::Platform;
use oci::pull::fuzzing::{archived, challenge, docker_config, image};
use oci::reference::{ImageRef, folder_name};

use crate::{Target, assert_shown, file, split};

/// Manifests and indexes of images.
pub const OCI: Target = Target::new("oci", oci);
/// Archives of images, and OCI layouts in them.
// The grammar of the names that they are found by is compiled: see below.
pub const IMAGE_ARCHIVE: Target = Target::new("image_archive", archive).with_memory(48);
/// How a registry asks for a token.
pub const CHALLENGE: Target = Target::new("challenge", ask);
/// Docker's file of credentials.
pub const DOCKER_CONFIG: Target = Target::new("docker_config", config);
/// The name of an image.
// Their grammar is compiled when the first one is read.
pub const REFERENCE: Target = Target::new("reference", reference).with_memory(48);

fn platform() -> Platform {
    Platform {
        os: "linux".into(),
        architecture: "amd64".into(),
        variant: None,
    }
}

fn oci(data: &[u8]) {
    let [media_type, document, behind] = split(data);
    let media_type = std::str::from_utf8(media_type).ok();
    match image(document, media_type, behind, &platform()) {
        Ok(layers) => layers.iter().for_each(|(digest, _)| {
            // It becomes a part of paths and of addresses.
            let (algorithm, hex) = digest.split_once(':').expect("a digest");
            assert!(
                !algorithm.contains('/') && !hex.contains(['/', '.']),
                "{digest}"
            );
        }),
        Err(error) => assert_shown(&error.to_string()),
    }
}

fn archive(data: &[u8]) {
    let (_file, path) = file(data);
    for name in [None, Some("a"), Some("registry.example/a:1")] {
        match archived(&path, name, &platform()) {
            // A duplicate is read again; nothing is read that is not there.
            Ok(layers) => layers
                .iter()
                .for_each(|(_, bytes)| assert!(*bytes <= data.len() as u64)),
            Err(error) => assert_shown(&error.to_string()),
        }
    }
}

fn ask(data: &[u8]) {
    if let Some((realm, _, _)) = challenge(data) {
        assert!(!realm.is_empty());
    }
}

fn config(data: &[u8]) {
    let (_file, path) = file(data);
    for host in ["registry.example", "docker.io", "localhost:5000"] {
        if let Err(error) = docker_config(&path, host) {
            assert_shown(&error.to_string());
        }
    }
}

fn reference(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(reference) = text.parse::<ImageRef>() else {
        return;
    };
    assert_eq!(reference.to_string(), text);
    assert_eq!(
        reference.to_string().parse::<ImageRef>().ok(),
        Some(reference.clone())
    );
    let name = folder_name(7, &reference);
    assert!(
        name.starts_with("007.") && !name.contains(['/', '\0']),
        "{name}"
    );
    assert!(name.is_ascii());
}
