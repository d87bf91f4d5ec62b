//! Registries that want to know who asks.

use std::sync::atomic::AtomicUsize;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::registries::{basic, registry, v1};
use super::*;

#[test]
fn a_name_and_a_password_are_sent_where_they_are_asked_for() {
    let server = registry("one", |request| {
        (request.header("authorization") != basic("user:secret:1"))
            .then(|| Reply::status(401).with("www-authenticate", "Basic realm=\"r\""))
    });
    let mut pull = Pull::new();
    pull.registries.hosts.insert(
        server.host.clone(),
        Host {
            credentials: Some(Credentials::Basic {
                username: "user".into(),
                password: "secret:1".into(),
            }),
            ..Host::default()
        },
    );
    assert_eq!(pull.pull_tree(&v1(&server)), unpacked("one"));
    // Once without, to be asked.
    let without = server
        .asked()
        .iter()
        .filter(|request| request.header("authorization").is_empty())
        .count();
    assert_eq!(without, 1);

    let mut pull = Pull::new();
    let auth = STANDARD.encode("user:secret:1");
    pull.docker_config = Some(format!(
        r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#,
        server.host
    ));
    assert_eq!(pull.pull_tree(&v1(&server)), unpacked("one"));

    let mut pull = Pull::new();
    let auth = STANDARD.encode("user:wrong");
    pull.docker_config = Some(format!(
        r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#,
        server.host
    ));
    let error = pull.fails(&[&v1(&server)]);
    assert_eq!(error.kind, Kind::Unauthorized);
    let error = error.to_string();
    assert!(
        error.contains("config.json") && error.contains(&server.host),
        "{error}"
    );
    assert!(
        !error.contains("wrong") && !error.contains(&auth),
        "{error}"
    );

    let error = Pull::new().fails(&[&v1(&server)]);
    assert_eq!(error.kind, Kind::Unauthorized);
    assert!(
        error.to_string().contains("there are no credentials"),
        "{error}"
    );
}

/// A registry whose tokens are good for `uses` requests.
fn with_tokens(uses: usize) -> (Server, Server) {
    let tokens = Server::start(|request| {
        let scope = request.path.contains("scope=repository:a/b:pull")
            || request.body.contains("scope=repository");
        let who = request.header("authorization") == basic("user:secret")
            || request.body.contains("refresh_token=identity");
        match scope && who {
            true => Reply::ok(r#"{"access_token": "good"}"#),
            false => Reply::status(401),
        }
    });
    let realm = format!("http://{}/token", tokens.host);
    let count = AtomicUsize::new(0);
    let server = registry("one", move |request| {
        let good = request.header("authorization") == "Bearer good";
        let left = good && count.fetch_add(1, Ordering::Relaxed) < uses;
        if good && !left {
            count.store(0, Ordering::Relaxed);
        }
        (!left).then(|| {
            Reply::status(401).with(
                "www-authenticate",
                format!("Bearer realm=\"{realm}\",service=\"s\",scope=\"repository:a/b:pull\""),
            )
        })
    });
    (server, tokens)
}

#[test]
fn a_token_is_got_once_and_renewed_when_it_has_expired() {
    for (uses, expected) in [(100, 1), (1, 3)] {
        let (server, tokens) = with_tokens(uses);
        let mut pull = Pull::new();
        let auth = STANDARD.encode("user:secret");
        pull.docker_config = Some(format!(
            r#"{{"auths": {{"http://{}/v1/": {{"auth": "{auth}"}}}}}}"#,
            server.host
        ));
        assert_eq!(pull.pull_tree(&v1(&server)), unpacked("one"));
        assert_eq!(tokens.asked().len(), expected);
        assert!(tokens.paths()[0].starts_with("/token?service=s&scope="));
        // The token server alone gets the password.
        let got = server.asked();
        assert!(
            got.iter()
                .all(|request| !request.header("authorization").starts_with("Basic"))
        );
    }
}

#[test]
fn an_identity_token_is_exchanged() {
    let (server, tokens) = with_tokens(100);
    let mut pull = Pull::new();
    pull.docker_config = Some(format!(
        r#"{{"auths": {{"{}": {{"identitytoken": "identity"}}}}}}"#,
        server.host
    ));
    assert_eq!(pull.pull_tree(&v1(&server)), unpacked("one"));
    assert!(tokens.asked()[0].body.contains("grant_type=refresh_token"));
}

#[test]
fn a_token_that_is_refused_says_where_credentials_are_looked_for() {
    let (server, tokens) = with_tokens(100);
    let error = Pull::new().fails(&[&v1(&server)]);
    assert_eq!(error.kind, Kind::Unauthorized);
    let error = error.to_string();
    assert!(
        error.contains(&tokens.host) && error.contains("config.json"),
        "{error}"
    );
}

#[test]
fn a_token_server_without_tls_elsewhere_gets_no_credentials() {
    let server = registry("one", |_| {
        Some(Reply::status(401).with(
            "www-authenticate",
            "Bearer realm=\"http://tokens.example/\"",
        ))
    });
    let error = Pull::new().fails(&[&v1(&server)]).to_string();
    assert!(error.contains("without TLS"), "{error}");
}

#[test]
fn redirects_are_followed_without_what_is_not_for_others() {
    let content = simple("one");
    let elsewhere = Server::start(move |request| content.reply(request));
    let host = elsewhere.host.clone();
    let server = registry("one", move |request| {
        if request.header("authorization") != basic("user:secret") {
            return Some(Reply::status(401).with("www-authenticate", "Basic"));
        }
        request
            .path
            .contains("/blobs/")
            .then(|| Reply::status(307).with("location", format!("http://{host}{}", request.path)))
    });
    let mut pull = Pull::new();
    pull.docker_config = Some(format!(
        r#"{{"auths": {{"{}": {{"username": "user", "password": "secret"}}}}}}"#,
        server.host
    ));
    assert_eq!(pull.pull_tree(&v1(&server)), unpacked("one"));
    let got = elsewhere.asked();
    assert_eq!(got.len(), 2);
    assert!(
        got.iter()
            .all(|request| request.header("authorization").is_empty())
    );

    let around = Server::start(|request| Reply::status(302).with("location", request.path.clone()));
    let error = Pull::new().fails(&[&v1(&around)]).to_string();
    assert!(error.contains("redirects more than five times"), "{error}");
}
