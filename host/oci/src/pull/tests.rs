//! Pulling from registries on this machine that behave as tests want, and from
//! files.

mod artifacts;
mod authentication;
mod connections;
mod files;
mod oddities;
mod registries;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use switch_root_core::progress::{Silent, Task};

use super::server::{Content, INDEX, Reply, Request, Server};
use super::*;
use crate::registries::{Credentials, Host, Mirror};
use crate::unpack::tests::{Layer, tree};

/// Where is pulled to and with which settings.
struct Pull {
    folder: tempfile::TempDir,
    registries: Registries,
    platform: Platform,
    docker_config: Option<String>,
    parallel: usize,
}

impl Pull {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            registries: Registries::default(),
            platform: "linux/amd64".parse().unwrap(),
            docker_config: None,
            parallel: 2,
        }
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("to/output")
    }

    fn pull(&self, images: &[&str]) -> Result<Vec<Pulled>> {
        let images: Vec<ImageRef> = images.iter().map(|image| image.parse().unwrap()).collect();
        let config = self.folder.path().join("config.json");
        if let Some(json) = &self.docker_config {
            fs::write(&config, json).unwrap();
        }
        let before = self.output().exists();
        let result = pull(
            &images,
            &self.output(),
            &Options {
                platform: self.platform.clone(),
                registries: &self.registries,
                // Never that of who runs the tests.
                docker_config: Some(config),
                parallel: self.parallel,
                progress: &Silent,
            },
        );
        if result.is_err() && !before {
            assert!(
                !self.folder.path().join("to").exists(),
                "something was left"
            );
        }
        result
    }

    fn pull_tree(&self, image: &str) -> Vec<String> {
        tree(&self.pull(&[image]).unwrap()[0].folder)
    }

    fn fails(&self, images: &[&str]) -> Error {
        match self.pull(images) {
            Err(error) => error,
            Ok(pulled) => panic!("pulled {pulled:?}"),
        }
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(plain).unwrap();
    gzip.finish().unwrap()
}

/// A layer of an extension.
fn layer(name: &str) -> Vec<u8> {
    gzip(
        &Layer::default()
            .file("manifest.yaml", name)
            .file(&format!("rootfs/usr/local/{name}"), name)
            .end(),
    )
}

/// What comes of [`layer`].
fn unpacked(name: &str) -> Vec<String> {
    vec![
        format!("manifest.yaml 644 {name}"),
        "rootfs/ 755".to_owned(),
        "rootfs/usr/ 755".to_owned(),
        "rootfs/usr/local/ 755".to_owned(),
        format!("rootfs/usr/local/{name} 644 {name}"),
    ]
}

/// A repository `a/b` with the image `v1`.
fn simple(name: &str) -> Content {
    let mut content = Content::default();
    let image = content.image(&[layer(name)], "amd64");
    content.tag("v1", &image);
    content
}

#[test]
fn images_are_unpacked_in_their_order() {
    let server = {
        let content = simple("one");
        Server::start(move |request| content.reply(request))
    };
    let other = {
        let content = simple("two");
        Server::start(move |request| content.reply(request))
    };
    let pull = Pull::new();
    let images = [
        format!("{}/a/b:v1", server.host),
        format!("{}/a/b:v1", other.host),
    ];
    let pulled = pull.pull(&[&images[0], &images[1]]).unwrap();
    assert_eq!(pulled.len(), 2);
    for (position, name) in ["one", "two"].iter().enumerate() {
        let pulled = &pulled[position];
        assert_eq!(pulled.image.text, images[position]);
        assert_eq!(
            pulled.folder,
            pull.output()
                .join(reference::folder_name(position, &pulled.image))
        );
        assert_eq!(tree(&pulled.folder), unpacked(name));
        assert_eq!(pulled.digest.len(), "sha256:".len() + 64);
    }
    assert_eq!(fs::read_dir(pull.output()).unwrap().count(), 2);
    assert_eq!(pull.pull(&[]).unwrap(), []);
}

#[test]
fn one_failing_image_leaves_nothing_of_the_others() {
    let content = simple("one");
    let server = Server::start(move |request| content.reply(request));
    let good = format!("{}/a/b:v1", server.host);
    let bad = format!("{}/a/b:v2", server.host);
    for parallel in [0, 1, 4] {
        let mut pull = Pull::new();
        pull.parallel = parallel;
        let error = pull.fails(&[&good, &bad]);
        assert_eq!(error.kind, Kind::NotFound, "{error}");
        assert!(error.to_string().contains(&bad), "{error}");
    }
    // What was there before stays.
    let pull = Pull::new();
    let output = pull.folder.path().join("existing");
    fs::create_dir(&output).unwrap();
    fs::write(output.join("file"), "kept").unwrap();
    let images: Vec<ImageRef> = [&good, &bad]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let options = Options {
        platform: pull.platform.clone(),
        registries: &pull.registries,
        docker_config: Some(pull.folder.path().join("none")),
        parallel: 2,
        progress: &Silent,
    };
    super::pull(&images, &output, &options).unwrap_err();
    assert_eq!(tree(&output), ["file 644 kept"]);
}

/// What fails because everything is given up is not what is told.
#[test]
fn the_image_that_failed_is_told_where_another_waits_for_its_manifest() {
    let content = simple("one");
    let server = Server::start(move |request| {
        if request.path.ends_with("/manifests/v1") {
            return Reply {
                cut: Some(5),
                hangs: true,
                ..content.reply(request)
            };
        }
        // After the other one has begun to wait.
        std::thread::sleep(std::time::Duration::from_millis(300));
        content.reply(request)
    });
    let waits = format!("{}/a/b:v1", server.host);
    let bad = format!("{}/a/b:v2", server.host);
    let error = Pull::new().fails(&[&waits, &bad]);
    assert_eq!(error.kind, Kind::NotFound, "{error}");
    assert!(error.to_string().contains(&bad), "{error}");
}

#[test]
fn an_image_named_twice_and_a_folder_that_exists_are_refused_before_anything_is_asked() {
    let content = simple("one");
    let server = Server::start(move |request| content.reply(request));
    let image = format!("{}/a/b:v1", server.host);
    let pull = Pull::new();
    let error = pull.fails(&[&image, &image]).to_string();
    assert!(error.contains(&image) && error.contains("twice"), "{error}");
    let error = pull.fails(&["busybox", "docker.io/library/busybox:latest"]);
    assert!(error.to_string().contains("once as busybox"), "{error}");
    assert!(server.asked().is_empty());
    let pulled = pull.pull(&[&image]).unwrap();
    let asked = server.asked().len();
    let error = pull.pull(&[&image]).unwrap_err().to_string();
    assert!(error.contains("is there already"), "{error}");
    assert_eq!(server.asked().len(), asked);
    assert_eq!(tree(&pulled[0].folder), unpacked("one"));
}

#[test]
fn a_device_node_fails_the_image_and_is_named() {
    let mut content = Content::default();
    let layer = Layer::default()
        .special(tar::EntryType::Char, "rootfs/dev/null")
        .special(tar::EntryType::Fifo, "pipe")
        .end();
    let image = content.image(&[gzip(&layer)], "amd64");
    content.tag("v1", &image);
    let server = Server::start(move |request| content.reply(request));
    let error = Pull::new()
        .fails(&[&format!("{}/a/b:v1", server.host)])
        .to_string();
    assert!(
        error.contains("a named pipe at pipe (and others at rootfs/dev/null)"),
        "{error}"
    );
}

#[test]
fn a_directory_that_nobody_may_write_into_is_unpacked_and_removed() {
    let mut content = Content::default();
    let layer = Layer::default()
        .directory("rootfs", 0o555)
        .file("rootfs/a", "a")
        .end();
    let image = content.image(&[gzip(&layer)], "amd64");
    content.tag("v1", &image);
    let server = Server::start(move |request| content.reply(request));
    let (good, bad) = (
        format!("{}/a/b:v1", server.host),
        format!("{}/a/b:v2", server.host),
    );
    let mut pull = Pull::new();
    pull.parallel = 1;
    pull.fails(&[&good, &bad]);
    let pulled = pull.pull(&[&good]).unwrap();
    assert_eq!(tree(&pulled[0].folder), ["rootfs/ 555", "rootfs/a 644 a"]);
    let rootfs = pulled[0].folder.join("rootfs");
    fs::set_permissions(rootfs, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn all_bytes_of_an_image_are_told() {
    struct Told(Mutex<Vec<(String, Option<u64>)>>, Arc<AtomicU64>);
    struct Bytes(Arc<AtomicU64>);
    impl Progress for Told {
        fn begin(&self, name: &str, bytes: Option<u64>) -> Box<dyn Task> {
            self.0.lock().unwrap().push((name.to_owned(), bytes));
            Box::new(Bytes(self.1.clone()))
        }
    }
    impl Task for Bytes {
        fn advance(&self, bytes: u64) {
            self.0.fetch_add(bytes, Ordering::Relaxed);
        }
        fn say(&self, _what: &str) {}
    }
    let layers = [layer("one"), layer("two")];
    let size = (layers[0].len() + layers[1].len()) as u64;
    let mut content = Content::default();
    let image = content.image(&layers, "amd64");
    content.tag("v1", &image);
    let server = Server::start(move |request| content.reply(request));
    let pull = Pull::new();
    let told = Told(Mutex::default(), Arc::default());
    let image: ImageRef = format!("{}/a/b:v1", server.host).parse().unwrap();
    let options = Options {
        platform: pull.platform.clone(),
        registries: &pull.registries,
        docker_config: Some(pull.folder.path().join("none")),
        parallel: 1,
        progress: &told,
    };
    super::pull(std::slice::from_ref(&image), &pull.output(), &options).unwrap();
    assert_eq!(*told.0.lock().unwrap(), [(image.text, Some(size))]);
    assert_eq!(told.1.load(Ordering::Relaxed), size);
}
