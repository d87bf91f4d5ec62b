//! Registries that refuse, redirect, break and lie.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// A registry with the image `v1` that first asks `before`.
pub(super) fn registry(
    name: &str,
    before: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
) -> Server {
    let content = simple(name);
    Server::start(move |request| before(request).unwrap_or_else(|| content.reply(request)))
}

pub(super) fn v1(server: &Server) -> String {
    format!("{}/a/b:v1", server.host)
}

pub(super) fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

#[test]
fn an_index_leads_to_the_platform() {
    let mut content = Content::default();
    let images = [
        content.image(&[layer("one")], "amd64"),
        content.image(&[layer("two")], "arm64"),
    ];
    let attestation = serde_json::json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": images[0]["digest"], "size": 1,
        "platform": {"os": "unknown", "architecture": "unknown"}
    });
    let index =
        serde_json::json!({"schemaVersion": 2, "manifests": [attestation, images[0], images[1]]});
    let index = content.document(INDEX, &index);
    content.tag("v1", &index);
    let server = Server::start(move |request| content.reply(request));
    for (platform, name, image) in [("linux/amd64", "one", 0), ("linux/arm64", "two", 1)] {
        let mut pull = Pull::new();
        pull.platform = platform.parse().unwrap();
        let pulled = pull.pull(&[&v1(&server)]).unwrap();
        assert_eq!(tree(&pulled[0].folder), unpacked(name));
        assert_eq!(pulled[0].digest, images[image]["digest"].as_str().unwrap());
    }
    let mut pull = Pull::new();
    pull.platform = "linux/riscv64".parse().unwrap();
    let error = pull.fails(&[&v1(&server)]);
    assert_eq!(error.kind, Kind::NotFound);
    let error = error.to_string();
    assert!(
        error.contains("linux/riscv64; it is there for linux/amd64, linux/arm64"),
        "{error}"
    );
    let accept = server.asked()[0].header("accept").to_owned();
    assert!(
        accept.contains("manifest.list.v2") && accept.contains("oci.image.index"),
        "{accept}"
    );
}

#[test]
fn of_several_variants_the_one_that_is_wanted_comes_first() {
    let mut content = Content::default();
    let mut newer = content.image(&[layer("newer")], "amd64");
    newer["platform"]["variant"] = "v3".into();
    let index = serde_json::json!({
        "schemaVersion": 2,
        "manifests": [newer, content.image(&[layer("plain")], "amd64")]
    });
    let index = content.document(INDEX, &index);
    content.tag("v1", &index);
    let server = Server::start(move |request| content.reply(request));
    for (platform, name) in [("linux/amd64", "plain"), ("linux/amd64/v3", "newer")] {
        let mut pull = Pull::new();
        pull.platform = platform.parse().unwrap();
        let pulled = pull.pull(&[&v1(&server)]).unwrap();
        assert_eq!(tree(&pulled[0].folder), unpacked(name));
    }
}

#[test]
fn an_image_for_another_platform_is_refused_without_an_index_too() {
    let server = registry("one", |_| None);
    let mut pull = Pull::new();
    pull.platform = "linux/arm64".parse().unwrap();
    let error = pull.fails(&[&v1(&server)]).to_string();
    assert!(error.contains("it is there for linux/amd64"), "{error}");
}

#[test]
fn layers_are_applied_in_their_order() {
    let mut content = Content::default();
    let lower = gzip(&Layer::default().file("a", "lower").file("b", "lower").end());
    let upper = zstd::encode_all(
        &*Layer::default().file("a", "upper").file(".wh.b", "").end(),
        1,
    );
    let image = content.image(&[lower, upper.unwrap(), layer("one")], "amd64");
    content.tag("v1", &image);
    let server = Server::start(move |request| content.reply(request));
    let pulled = Pull::new().pull_tree(&v1(&server));
    let mut expected = unpacked("one");
    expected.insert(0, "a 644 upper".to_owned());
    assert_eq!(pulled, expected);
}

#[test]
fn what_is_missing_is_told_in_the_registrys_words() {
    let server = registry("one", |_| None);
    let error = Pull::new().fails(&[&format!("{}/a/b:other", server.host)]);
    assert_eq!(error.kind, Kind::NotFound);
    let error = error.to_string();
    assert!(
        error.contains("MANIFEST_UNKNOWN") && error.contains("a/b/manifests/other"),
        "{error}"
    );
    let server = registry("one", |_| Some(Reply::status(403)));
    let error = Pull::new().fails(&[&v1(&server)]);
    assert_eq!(error.kind, Kind::Unauthorized);
    assert!(error.to_string().contains("403"), "{error}");
}

#[test]
fn who_is_told_to_come_back_later_does() {
    let count = AtomicUsize::new(0);
    let server = registry("one", move |_| {
        (count.fetch_add(1, Ordering::Relaxed) < 2)
            .then(|| Reply::status(429).with("retry-after", "1"))
    });
    let start = Instant::now();
    assert_eq!(Pull::new().pull_tree(&v1(&server)), unpacked("one"));
    assert!(start.elapsed().as_millis() >= 2000);

    let server = registry("one", |_| {
        Some(Reply::status(429).with("retry-after", "3600"))
    });
    let start = Instant::now();
    let error = Pull::new().fails(&[&v1(&server)]);
    assert_eq!(error.kind, Kind::TooManyRequests);
    let error = error.to_string();
    assert!(
        error.contains("in 3600 seconds") && error.contains(&server.host),
        "{error}"
    );
    assert!(start.elapsed().as_secs() < 10);
}

#[test]
fn a_failing_server_is_asked_again_and_then_named() {
    let count = AtomicUsize::new(0);
    let server = registry("one", move |_| {
        (count.fetch_add(1, Ordering::Relaxed) < 2).then(|| Reply::status(503))
    });
    assert_eq!(Pull::new().pull_tree(&v1(&server)), unpacked("one"));
    let server = registry("one", |_| Some(Reply::status(500)));
    let error = Pull::new().fails(&[&v1(&server)]);
    assert_eq!(error.kind, Kind::Unreachable);
    assert!(error.to_string().contains("status 500"), "{error}");
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn a_reference_with_a_digest_is_pulled_by_it() {
    let mut content = Content::default();
    let image = content.image(&[layer("one")], "amd64");
    let server = Server::start(move |request| content.reply(request));
    let digest = image["digest"].as_str().unwrap();
    let pulled = Pull::new()
        .pull(&[&format!("{}/a/b:gone@{digest}", server.host)])
        .unwrap();
    assert_eq!(pulled[0].digest, digest);
}

#[test]
fn mirrors_are_asked_first_and_the_registry_last() {
    let registry_server = registry("registry", |_| None);
    let mirror = registry("mirror", |_| None);
    let empty = Server::start(|_| Reply::status(404));
    let denied = Server::start(|_| Reply::status(403));
    let lying = Server::start(|_| Reply::ok("not a manifest"));
    let with = |endpoints: &[&str], skip_fallback: bool| {
        let mut pull = Pull::new();
        pull.registries.mirrors.insert(
            registry_server.host.clone(),
            Mirror {
                endpoints: endpoints
                    .iter()
                    .map(|host| format!("http://{host}").into())
                    .collect(),
                skip_fallback,
            },
        );
        pull
    };
    let image = v1(&registry_server);
    let pull = with(&[&mirror.host], false);
    assert_eq!(pull.pull_tree(&image), unpacked("mirror"));
    let namespace = format!("?ns={}", registry_server.host);
    assert!(mirror.paths().iter().all(|path| path.ends_with(&namespace)));
    assert!(registry_server.asked().is_empty());

    // Nothing listens on port 1.
    let broken = ["127.0.0.1:1", empty.host.as_str(), &denied.host];
    let pull = with(&broken, false);
    assert_eq!(pull.pull_tree(&image), unpacked("registry"));

    let error = with(&broken, true).fails(&[&image]).to_string();
    for host in broken {
        assert!(error.contains(host), "{error}");
    }
    assert!(
        error.contains("all 3 endpoints failed") && error.contains("refused"),
        "{error}"
    );

    // One that lies about what was asked by its digest is passed over, too.
    let digest = {
        let content = simple("registry");
        super::super::digest::sha256(&content.0["/v2/a/b/manifests/v1"].1)
    };
    let pull = with(&[&lying.host], false);
    let image = format!("{}/a/b@{digest}", registry_server.host);
    assert_eq!(pull.pull_tree(&image), unpacked("registry"));
}

#[test]
fn what_is_no_image_is_named() {
    let large = format!(
        r#"{{"schemaVersion": 2, "layers": [], "x": "{}"}}"#,
        "x".repeat(5 << 20)
    );
    for (media_type, body, expected) in [
        (
            "application/vnd.cncf.helm.v1+json",
            "{}",
            "`application/vnd.cncf.helm.v1+json`",
        ),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "{}",
            "schema 1",
        ),
        ("application/json", r#"{"schemaVersion": 1}"#, "schema 1"),
        ("application/json", "{", "with what is no manifest"),
        (
            "application/json",
            r#"{"schemaVersion": 2, "layers": [], "manifests": []}"#,
            "at once",
        ),
        ("application/json", &large, "larger than"),
    ] {
        let reply = Reply::ok(body).with("content-type", media_type);
        let server = Server::start(move |_| reply.clone());
        let error = Pull::new().fails(&[&v1(&server)]).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let mut content = Content::default();
    let config = content.blob("application/vnd.oci.empty.v1+json", b"{}");
    let layer = content.blob("application/vnd.acme.rocket", b"x");
    let manifest = serde_json::json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let image = content.document(super::super::server::MANIFEST, &manifest);
    content.tag("v1", &image);
    let server = Server::start(move |request| content.reply(request));
    let error = Pull::new().fails(&[&v1(&server)]).to_string();
    assert!(error.contains("`application/vnd.acme.rocket`"), "{error}");
}

#[test]
fn who_cannot_be_reached_is_told_why() {
    let error = Pull::new().fails(&["127.0.0.1:1/a/b"]);
    assert_eq!(error.kind, Kind::Unreachable);
    let error = error.to_string();
    assert!(
        error.contains("127.0.0.1:1") && error.contains("refused"),
        "{error}"
    );
    let mut pull = Pull::new();
    pull.registries
        .plain_http
        .push("does-not-exist.invalid".into());
    let error = pull.fails(&["does-not-exist.invalid/a/b"]).to_string();
    assert!(
        error.contains("does-not-exist.invalid: the host is not known"),
        "{error}"
    );
    // TLS to who does not speak it.
    let server = registry("one", |_| None);
    let mut pull = Pull::new();
    pull.registries.hosts.insert(
        server.host.clone(),
        Host {
            insecure_skip_verify: true,
            ..Host::default()
        },
    );
    let error = pull.fails(&[&v1(&server)]).to_string();
    assert!(
        error.contains("TLS failed") && error.contains("plain HTTP"),
        "{error}"
    );
}
