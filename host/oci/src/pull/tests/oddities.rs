//! Registries that answer in ways that others do not.

use super::registries::{registry, v1};
use super::*;

const IMAGE: &str = "application/vnd.oci.image.config.v1+json";
const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// Asks `mirror` before the registry.
fn mirrored(mirror: &Server) -> Pull {
    let mut pull = Pull::new();
    let mirror = Mirror {
        endpoints: vec![format!("http://{}", mirror.host).into()],
        ..Mirror::default()
    };
    pull.registries.mirrors.insert("*".into(), mirror);
    pull
}

#[test]
fn a_mirror_that_answers_with_a_page_is_named_and_passed_over() {
    let page = || Reply::ok("<html>Log in</html>").with("content-type", "text/html; charset=utf-8");
    let server = registry("one", |_| None);
    let mirror = Server::start(move |_| page());
    assert_eq!(mirrored(&mirror).pull_tree(&v1(&server)), unpacked("one"));

    // It has the manifest, and a page in place of the layer.
    let content = simple("one");
    let mirror = Server::start(move |request| match request.path.contains("/blobs/") {
        true => page(),
        false => content.reply(request),
    });
    assert_eq!(mirrored(&mirror).pull_tree(&v1(&server)), unpacked("one"));

    let none = registry("one", |_| Some(Reply::status(404)));
    let mirror = Server::start(move |_| page());
    let error = mirrored(&mirror).fails(&[&v1(&none)]).to_string();
    assert!(
        error.contains(&mirror.host) && error.contains("`text/html`"),
        "{error}"
    );
}

#[test]
fn a_challenge_with_two_spaces_among_others_is_answered() {
    let tokens = Server::start(|_| Reply::ok(r#"{"token": "good"}"#));
    let challenge = format!(
        r#"Negotiate, Bearer  realm="http://{}/token", service="r", Basic realm="x""#,
        tokens.host
    );
    let server = registry("one", move |request| {
        (request.header("authorization") != "Bearer good")
            .then(|| Reply::status(401).with("www-authenticate", challenge.clone()))
    });
    assert_eq!(Pull::new().pull_tree(&v1(&server)), unpacked("one"));
}

#[test]
fn a_redirect_may_be_relative() {
    let content = simple("one");
    let server =
        Server::start(
            move |request| match request.path.strip_prefix("/v2/a/b/blobs/sha256:") {
                Some(hex) => Reply::status(307).with("location", format!("../moved/{hex}")),
                None => {
                    let mut request = request.clone();
                    request.path = request.path.replace("/moved/", "/blobs/sha256:");
                    content.reply(&request)
                }
            },
        );
    assert_eq!(Pull::new().pull_tree(&v1(&server)), unpacked("one"));
}

#[test]
fn media_types_may_have_parameters() {
    let mut content = Content::default();
    let config = content.blob(
        &format!("{IMAGE}; charset=utf-8"),
        br#"{"os": "linux", "architecture": "arm64"}"#,
    );
    let layer = content.blob(
        "Application/vnd.oci.image.layer.v1.tar+gzip;x=y",
        &layer("one"),
    );
    let written = format!("{}; charset=utf-8", super::super::server::MANIFEST);
    let image = content.document(
        &written,
        &serde_json::json!({"schemaVersion": 2, "mediaType": written, "config": config, "layers": [layer]}),
    );
    content.tag("v1", &image);
    let server = Server::start(move |request| content.reply(request));
    let mut pull = Pull::new();
    let error = pull.fails(&[&v1(&server)]).to_string();
    assert!(error.contains("it is there for linux/arm64"), "{error}");
    pull.platform = "linux/aarch64".parse().unwrap();
    assert_eq!(pull.pull_tree(&v1(&server)), unpacked("one"));
}

/// A registry with an image whose layer it does not have, and which names `urls` for it.
fn without_layer(urls: Vec<String>) -> Server {
    let mut content = Content::default();
    let config = content.blob(IMAGE, br#"{"os": "linux", "architecture": "amd64"}"#);
    let mut layer = content.blob(FOREIGN, &layer("one"));
    let digest = layer["digest"].as_str().unwrap().to_owned();
    content.0.remove(&format!("/v2/a/b/blobs/{digest}"));
    layer["urls"] = urls.into();
    let image = content.document(
        super::super::server::MANIFEST,
        &serde_json::json!({"schemaVersion": 2, "config": config, "layers": [layer]}),
    );
    content.tag("v1", &image);
    Server::start(move |request| content.reply(request))
}

#[test]
fn a_foreign_layer_is_read_where_its_manifest_says() {
    let gone = Server::start(|_| Reply::status(404));
    let elsewhere = Server::start(|_| Reply::ok(layer("one")));
    let url = |server: &Server| format!("http://{}/x", server.host);
    let server = without_layer(vec![url(&gone), url(&elsewhere)]);
    let mut pull = Pull::new();
    pull.docker_config = Some(format!(
        r#"{{"auths": {{"{}": {{"auth": "YTpi"}}}}}}"#,
        elsewhere.host
    ));
    assert_eq!(pull.pull_tree(&v1(&server)), unpacked("one"));
    let asked = elsewhere.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("authorization"), "");

    let evil = Server::start(|_| Reply::ok(layer("two")));
    let error = Pull::new().fails(&[&v1(&without_layer(vec![url(&evil)]))]);
    assert_eq!(error.kind, Kind::Corrupt, "{error}");
    let error = Pull::new().fails(&[&v1(&without_layer(vec!["ftp://x/y".into()]))]);
    assert!(error.to_string().contains("ftp://x/y"), "{error}");
}
