//! Layouts and archives on this machine.

use switch_root_core::escape::Shown;

use super::super::digest::sha256;
use super::*;

/// A layout of named images, with content of their name.
fn layout(folder: &Path, names: &[&str]) {
    let mut content = Content::default();
    let mut manifests = Vec::new();
    for name in names {
        let mut descriptor = content.image(&[layer(name)], "amd64");
        descriptor["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": name});
        manifests.push(descriptor);
    }
    write_layout(folder, &content, &manifests);
}

fn write_layout(folder: &Path, content: &Content, manifests: &[serde_json::Value]) {
    let index = serde_json::json!({"schemaVersion": 2, "manifests": manifests});
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion": "1.0.0"}"#,
    )
    .unwrap();
    for (path, (_, bytes)) in &content.0 {
        if let Some((_, hex)) = path.split_once("blobs/sha256:") {
            fs::write(folder.join("blobs/sha256").join(hex), bytes).unwrap();
        }
    }
}

fn archive(folder: &Path, file: &Path) {
    let mut builder = tar::Builder::new(fs::File::create(file).unwrap());
    builder.append_dir_all("", folder).unwrap();
    builder.finish().unwrap();
}

#[test]
fn a_layout_is_unpacked_by_name() {
    let pull = Pull::new();
    let folder = pull.folder.path().join("layout");
    layout(&folder, &["one", "two"]);
    let shown = folder.shown();
    let pulled = pull.pull(&[&format!("oci:{shown}:two")]).unwrap();
    assert_eq!(tree(&pulled[0].folder), unpacked("two"));
    let pull = Pull::new();
    let error = pull.fails(&[&format!("oci:{shown}")]).to_string();
    assert!(
        error.contains("several images") && error.contains("one, two"),
        "{error}"
    );
    let error = pull.fails(&[&format!("oci:{shown}:three")]);
    assert_eq!(error.kind, Kind::NotFound);
    assert!(
        error.to_string().contains("`three`; it holds: one, two"),
        "{error}"
    );
    let error = pull.fails(&["oci:/nonexistent"]).to_string();
    assert!(error.contains("not an OCI image layout"), "{error}");
}

#[test]
fn a_layout_may_be_in_an_archive() {
    let pull = Pull::new();
    let folder = pull.folder.path().join("layout");
    layout(&folder, &["one", "two"]);
    let file = pull.folder.path().join("images.tar");
    archive(&folder, &file);
    let shown = file.shown();
    let pulled = pull.pull(&[&format!("oci-archive:{shown}:two")]);
    assert_eq!(tree(&pulled.unwrap()[0].folder), unpacked("two"));
    let pull = Pull::new();
    let error = pull.fails(&[&format!("oci-archive:{shown}")]).to_string();
    assert!(error.contains("several images"), "{error}");
    let docker_archive = pull.folder.path().join("docker.tar");
    docker(&docker_archive, None);
    let error = pull
        .fails(&[&format!("oci-archive:{}", docker_archive.shown())])
        .to_string();
    assert!(error.contains("name it docker-archive:"), "{error}");
}

#[test]
fn a_layout_with_nested_indexes_leads_to_the_platform() {
    let pull = Pull::new();
    let folder = pull.folder.path().join("layout");
    let mut content = Content::default();
    let images = [
        content.image(&[layer("one")], "amd64"),
        content.image(&[layer("two")], "arm64"),
    ];
    let index = content.document(
        INDEX,
        &serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": images}),
    );
    write_layout(&folder, &content, &[index]);
    let pulled = pull.pull(&[&format!("oci:{}", folder.shown())]).unwrap();
    assert_eq!(tree(&pulled[0].folder), unpacked("one"));
}

#[test]
fn a_damaged_layout_is_corrupt_and_leads_nowhere_else() {
    for damage in ["layer", "manifest"] {
        let pull = Pull::new();
        let folder = pull.folder.path().join("layout");
        layout(&folder, &["one"]);
        for entry in fs::read_dir(folder.join("blobs/sha256")).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            let is_layer = bytes.starts_with(&[0x1f, 0x8b]);
            let is_manifest = bytes.windows(6).any(|window| window == b"layers");
            if (damage == "layer" && is_layer) || (damage == "manifest" && is_manifest) {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                fs::write(&path, bytes).unwrap();
            }
        }
        let error = pull.fails(&[&format!("oci:{}", folder.shown())]);
        assert_eq!(error.kind, Kind::Corrupt, "{error}");
    }
    let pull = Pull::new();
    let folder = pull.folder.path().join("layout");
    layout(&folder, &["one"]);
    let index = fs::read_to_string(folder.join("index.json")).unwrap();
    let hex = index.split("sha256:").nth(1).unwrap()[..64].to_owned();
    let evil = index.replace(&hex, "../../../../../../etc/passwd");
    fs::write(folder.join("index.json"), evil).unwrap();
    let error = pull.fails(&[&format!("oci:{}", folder.shown())]);
    assert_eq!(error.kind, Kind::Input, "{error}");
}

/// What `docker save` writes: names of members and their content.
fn docker(file: &Path, diff_id: Option<&str>) {
    let plain = Layer::default().file("manifest.yaml", "saved").end();
    let config = serde_json::json!({
        "os": "linux", "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": [diff_id.unwrap_or(&sha256(&plain)), sha256(&plain)]}
    })
    .to_string();
    let name = format!("{}.json", &sha256(config.as_bytes())["sha256:".len()..]);
    let manifest = serde_json::json!([{
        "Config": name, "RepoTags": ["busybox:latest", "ghcr.io/a/b:v1"],
        "Layers": ["1/layer.tar", "2/layer.tar"]
    }]);
    let mut builder = tar::Builder::new(fs::File::create(file).unwrap());
    let mut append = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes).unwrap();
    };
    append(&name, config.as_bytes());
    append("1/layer.tar", &gzip(&plain));
    append("manifest.json", manifest.to_string().as_bytes());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder
        .append_link(&mut header, "2/layer.tar", "../1/layer.tar")
        .unwrap();
    builder.finish().unwrap();
}

#[test]
fn what_docker_saves_is_unpacked_where_it_is() {
    for name in [
        "",
        ":busybox",
        ":docker.io/library/busybox:latest",
        ":ghcr.io/a/b:v1",
    ] {
        let pull = Pull::new();
        let file = pull.folder.path().join("saved.tar");
        docker(&file, None);
        let image = format!("docker-archive:{}{name}", file.shown());
        let pulled = pull.pull(&[&image]).unwrap();
        assert_eq!(
            tree(&pulled[0].folder),
            ["manifest.yaml 644 saved"],
            "{image}"
        );
        assert!(pulled[0].digest.starts_with("sha256:"));
    }
    let pull = Pull::new();
    let file = pull.folder.path().join("saved.tar");
    docker(&file, None);
    let error = pull.fails(&[&format!("docker-archive:{}:other", file.shown())]);
    assert!(
        error.to_string().contains("busybox:latest, ghcr.io/a/b:v1"),
        "{error}"
    );
    let mut pull = pull;
    pull.platform = "linux/arm64".parse().unwrap();
    let error = pull.fails(&[&format!("docker-archive:{}", file.shown())]);
    assert!(
        error.to_string().contains("it is there for linux/amd64"),
        "{error}"
    );
}

#[test]
fn an_archive_with_a_wrong_layer_or_in_a_wrong_form_is_refused() {
    let pull = Pull::new();
    let file = pull.folder.path().join("saved.tar");
    docker(&file, Some(&format!("sha256:{}", "0".repeat(64))));
    let image = format!("docker-archive:{}", file.shown());
    let error = pull.fails(&[&image]);
    assert_eq!(error.kind, Kind::Corrupt, "{error}");
    docker(&file, None);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, gzip(&whole)).unwrap();
    let error = pull.fails(&[&image]).to_string();
    assert!(
        error.contains("is compressed") && error.contains("gunzip"),
        "{error}"
    );
    // Within the content of the first member.
    fs::write(&file, &whole[..600]).unwrap();
    let error = pull.fails(&[&image]);
    assert_eq!(error.kind, Kind::Corrupt, "{error}");
    fs::write(&file, Layer::default().file("x", "x").end()).unwrap();
    let error = pull.fails(&[&image]).to_string();
    assert!(
        error.contains("neither `manifest.json` nor `index.json`"),
        "{error}"
    );
}

#[test]
fn an_archive_of_a_layout_is_unpacked() {
    let pull = Pull::new();
    let (folder, file) = (
        pull.folder.path().join("layout"),
        pull.folder.path().join("a.tar"),
    );
    layout(&folder, &["one", "two"]);
    archive(&folder, &file);
    let pulled = pull
        .pull(&[&format!("docker-archive:{}:one", file.shown())])
        .unwrap();
    assert_eq!(tree(&pulled[0].folder), unpacked("one"));
}
