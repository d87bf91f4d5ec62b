//! What registries say to who pushes.

use super::*;
use crate::registries::Mirror;

fn fails(operator: &Operator, server: &Server) -> Error {
    operator
        .push(&wasm(), None, &format!("{}:v1", place(server)))
        .unwrap_err()
}

#[test]
fn the_same_policy_is_sent_once_and_is_the_same_artifact() {
    let server = keeping(|_| None);
    let operator = Operator::default();
    let one = operator.push(&wasm(), None, &format!("{}:v1", place(&server)));
    let asked = server.asked().len();
    let two = operator.push(&wasm(), None, &format!("{}:v2", place(&server)));
    let pushed = two.unwrap();
    assert_eq!(one.unwrap(), pushed);
    let again: Vec<String> = server.asked()[asked..]
        .iter()
        .map(|request| request.method.clone())
        .collect();
    assert_eq!(again, ["HEAD", "HEAD", "PUT"]);
    // By its digest alone, and by one that it does not have.
    operator.push(&wasm(), None, &pushed.pinned).unwrap();
    let other = format!("{}:v3@{}", place(&server), sha256(b"other"));
    let error = operator
        .push(&wasm(), None, &other)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&pushed.digest) && error.contains("push to a tag"),
        "{error}"
    );
}

#[test]
fn an_upload_may_go_to_a_relative_place_and_be_answered_with_200() {
    let content = Mutex::new(Content::default());
    let server = Server::start(move |request| {
        let reply = content.lock().unwrap().take(request);
        match (request.method.as_str(), reply.status) {
            ("POST", 202) => Reply::status(202).with("location", "1?state=x%3D"),
            ("PUT", 201) if request.path.contains("/manifests/") => Reply {
                status: 200,
                ..reply
            },
            _ => reply,
        }
    });
    let to = format!("{}:v1", place(&server));
    Operator::default().push(&wasm(), None, &to).unwrap();
    let paths = server.paths();
    assert!(
        paths
            .iter()
            .any(|path| path.starts_with("/v2/a/b/blobs/uploads/1?state=x%3D&digest=")),
        "{paths:?}"
    );
}

#[test]
fn a_token_is_for_pushing_and_goes_to_its_registry_alone() {
    let tokens =
        Server::start(
            |request| match request.path.contains("scope=repository:a/b:pull%2Cpush") {
                true => Reply::ok(r#"{"token": "good"}"#),
                false => Reply::status(401),
            },
        );
    let challenge = format!(
        "Bearer realm=\"http://{}/token\",service=\"r\",scope=\"repository:a/b:pull\"",
        tokens.host
    );
    let server = keeping(move |request| {
        (request.header("authorization") != "Bearer good")
            .then(|| Reply::status(401).with("www-authenticate", challenge.clone()))
    });
    let operator = Operator::default();
    let to = format!("{}:v1", place(&server));
    operator.push(&wasm(), None, &to).unwrap();
    assert_eq!(tokens.asked().len(), 1);
    // Mirrors are not written to.
    let mut operator = Operator::default();
    let mirror = Server::start(|_| Reply::status(500));
    operator.registries.mirrors.insert(
        server.host.clone(),
        Mirror {
            endpoints: vec![format!("http://{}", mirror.host).into()],
            ..Mirror::default()
        },
    );
    operator.push(&wasm(), None, &to).unwrap();
    assert!(mirror.asked().is_empty());
}

#[test]
fn who_may_not_push_is_told_what_to_do() {
    let basic =
        |_: &Request| Some(Reply::status(401).with("www-authenticate", "Basic realm=\"r\""));
    let server = keeping(basic);
    let error = fails(&Operator::default(), &server);
    assert_eq!(error.kind, Kind::Unauthorized);
    assert!(
        error.to_string().contains("there are no credentials"),
        "{error}"
    );

    let mut operator = Operator::default();
    operator.registries.hosts.insert(
        server.host.clone(),
        Host {
            credentials: Some(Credentials::Basic {
                username: "user".into(),
                password: "s3cret".into(),
            }),
            ..Host::default()
        },
    );
    for status in [401, 403] {
        let server = keeping(move |request| {
            (request.method == "POST").then(|| Reply {
                body: br#"{"errors": [{"code": "DENIED", "message": "read only"}]}"#.to_vec(),
                ..Reply::status(status).with("www-authenticate", "Basic realm=\"r\"")
            })
        });
        let host = operator.registries.hosts.values().next().unwrap().clone();
        operator.registries.hosts.insert(server.host.clone(), host);
        let error = fails(&operator, &server);
        assert_eq!(error.kind, Kind::Unauthorized);
        let error = error.to_string();
        for word in [
            &format!("cannot push to {}:v1", place(&server)),
            &format!("status {status}, DENIED: read only"),
            "the right to write",
            "machine.registries.config",
        ] {
            assert!(error.contains(word), "{word}: {error}");
        }
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn what_a_registry_does_not_take_is_told_with_what_to_do() {
    for (method, status, kind, expected) in [
        (
            "POST",
            404,
            Kind::NotFound,
            "make the repository there first",
        ),
        ("POST", 405, Kind::Input, "a mirror or read-only"),
        ("POST", 500, Kind::Unreachable, "fails with the status 500"),
        ("POST", 200, Kind::Input, "status 200"),
        ("PUT", 413, Kind::Input, "too large"),
        ("PUT", 400, Kind::Input, "may want TLS"),
        ("PUT", 404, Kind::NotFound, "no place for the blob"),
        ("HEAD", 403, Kind::Unauthorized, "the right to write"),
    ] {
        let server =
            keeping(move |request| (request.method == method).then(|| Reply::status(status)));
        let error = fails(&Operator::default(), &server);
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!server.paths().iter().any(|path| path.contains("manifests")));
    }
    // A registry that knows images alone.
    let server = keeping(|request| {
        request.path.contains("manifests").then(|| Reply {
            body: br#"{"errors": [{"code": "MANIFEST_INVALID", "message": "unknown media type"}]}"#
                .to_vec(),
            ..Reply::status(400)
        })
    });
    let error = fails(&Operator::default(), &server).to_string();
    assert!(
        error.contains("MANIFEST_INVALID: unknown media type") && error.contains("OCI artifacts"),
        "{error}"
    );
    let server = keeping(|request| {
        request
            .path
            .contains("manifests")
            .then(|| Reply::status(201).with("docker-content-digest", sha256(b"other")))
    });
    let error = fails(&Operator::default(), &server);
    assert_eq!(error.kind, Kind::Corrupt);
    assert!(error.to_string().contains(&sha256(b"other")), "{error}");
}

#[test]
fn an_upload_stays_at_its_registry() {
    let other = Server::start(|_| Reply::status(201));
    let begins = |location: String| {
        keeping(move |request| {
            (request.method == "POST").then(|| match location.as_str() {
                "" => Reply::status(202),
                location => Reply::status(202).with("location", location),
            })
        })
    };
    let elsewhere = format!("http://{}/upload", other.host);
    let tls = |server: &Server| format!("https://{}/upload", server.host);
    for (location, expected) in [
        (elsewhere.clone(), "which is another place and not followed"),
        (
            elsewhere.replace("http:", ""),
            "which is another place and not followed",
        ),
        (String::new(), "does not say where it goes"),
        ("mailto:upload".to_owned(), "what is no URL"),
        ("file:///etc/passwd".to_owned(), "what is no URL"),
        (tls(&other), "which is another place and not followed"),
    ] {
        let error = fails(&Operator::default(), &begins(location.clone())).to_string();
        assert!(error.contains(expected), "{location}: {error}");
    }
    // Neither where the upload itself is redirected.
    let to = elsewhere.clone();
    let server = keeping(move |request| {
        (request.method == "PUT").then(|| Reply::status(307).with("location", to.clone()))
    });
    let error = fails(&Operator::default(), &server).to_string();
    assert!(error.contains("redirects what is sent"), "{error}");
    assert!(other.asked().is_empty());

    // The whole URL of the same registry is as good as a path.
    let server = keeping(|request| {
        let location = format!(
            "http://{}/v2/a/b/blobs/uploads/1?state=x%3D",
            request.header("host")
        );
        (request.method == "POST").then(|| Reply::status(202).with("location", location))
    });
    let to = format!("{}:v1", place(&server));
    Operator::default().push(&wasm(), None, &to).unwrap();
}

#[test]
fn storage_that_is_not_asked_by_head_does_not_hinder() {
    let storage = Server::start(|_| Reply::status(403));
    let to = format!("http://{}/x", storage.host);
    let server = keeping(move |request| {
        (request.method == "HEAD").then(|| Reply::status(307).with("location", to.clone()))
    });
    let to = format!("{}:v1", place(&server));
    Operator::default().push(&wasm(), None, &to).unwrap();
    assert_eq!(storage.asked().len(), 2);
}

#[test]
fn nothing_is_asked_for_what_is_no_policy() {
    let server = keeping(|_| None);
    let to = format!("{}:v1", place(&server));
    let operator = Operator::default();
    let whole = wasm();
    let module = wat::parse_str("(module)").unwrap();
    let wasi = component(&["wasi:cli/environment@0.2.0"], &[PRESERVATION], &[]);
    for (wasm, expected) in [
        (&b"text"[..], "50-a.wasm is not WebAssembly"),
        (&module, "50-a.wasm is a core module"),
        (
            &whole[..whole.len() - 2],
            "50-a.wasm is not a valid component",
        ),
        (&wasi, "50-a.wasm imports wasi:cli/environment@0.2.0;"),
    ] {
        let error = operator.push(wasm, None, &to).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for signature in ["", "text", "-----BEGIN SSH SIGNATURE-----\n\x1b[2J"] {
        let error = operator.push(&whole, Some(signature), &to).unwrap_err();
        assert!(
            error.to_string().contains("not an SSH signature"),
            "{error}"
        );
    }
    // A boot does not read it.
    let large = SIGNATURE.replace("U1NI", &"U1NI".repeat(5000));
    let error = operator.push(&whole, Some(&large), &to).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no signature has more than 16384"),
        "{error}"
    );
    assert!(server.asked().is_empty());
}
