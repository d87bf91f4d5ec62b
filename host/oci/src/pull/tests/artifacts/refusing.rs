//! Artifacts that are not taken.

use super::*;

fn fails(server: &Server) -> Error {
    Operator::default()
        .pull(&format!("{}:v1", place(server)), None)
        .unwrap_err()
}

#[test]
fn a_tag_that_moved_is_refused_with_both_digests() {
    let server = holding(|_, _| {});
    let place = place(&server);
    let operator = Operator::default();
    let digest = operator.pull(&format!("{place}:v1"), None).unwrap().digest;
    let other = sha256(b"before");
    let before = server.asked().len();
    for (from, expected) in [
        (format!("{place}:v1"), Some(other.as_str())),
        (format!("{place}:v1@{other}"), None),
        (format!("{place}@{digest}"), Some(&other)),
    ] {
        let error = operator.pull(&from, expected).unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt);
        let error = error.to_string();
        assert!(error.contains(&digest) && error.contains(&other), "{error}");
    }
    // Nothing but manifests was fetched.
    let asked = &server.paths()[before..];
    assert!(
        asked.iter().all(|path| path.contains("manifests")),
        "{asked:?}"
    );
    let error = operator
        .pull(&format!("{place}:v1"), Some("v2"))
        .unwrap_err();
    assert!(
        error.to_string().contains("`v2` is not a digest"),
        "{error}"
    );
}

#[test]
fn content_that_is_not_what_it_should_be_is_refused() {
    let blob = |digest: &Value| format!("/v2/a/b/blobs/{}", digest.as_str().unwrap());
    type Change = fn(&mut Vec<u8>);
    let changes: [(Change, &str); 2] = [
        (|bytes| bytes[20] ^= 1, "not what it should be"),
        (|bytes| bytes.truncate(30), "bytes"),
    ];
    for part in ["layer", "config"] {
        for (change, expected) in changes {
            let server = holding(|content, manifest| {
                let digest = match part {
                    "layer" => &manifest["layers"][0]["digest"],
                    _ => &manifest["config"]["digest"],
                };
                change(&mut content.0.get_mut(&blob(digest)).unwrap().1);
            });
            let error = fails(&server);
            assert_eq!(error.kind, Kind::Corrupt, "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
    let server = holding(|_, manifest| manifest["layers"][0]["size"] = (65 << 20).into());
    let error = fails(&server).to_string();
    assert!(error.contains("at most 67108864 are read"), "{error}");
    let server = holding(|content, manifest| {
        let digest = sha256(b"gone");
        content.0.remove(&blob(&manifest["layers"][0]["digest"]));
        manifest["layers"][0]["digest"] = digest.clone().into();
        let config = json!({"architecture": "wasm", "layerDigests": [digest]});
        manifest["config"] = content.blob(CONFIG, config.to_string().as_bytes());
    });
    assert_eq!(fails(&server).kind, Kind::NotFound);
    let server = holding(|_, _| {});
    let error = Operator::default().pull(&format!("{}:v2", place(&server)), None);
    let error = error.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    assert!(
        error.to_string().contains("check the name and the tag"),
        "{error}"
    );
}

#[test]
fn what_is_no_wasm_artifact_is_told_what_it_is() {
    let image = {
        let content = simple("one");
        Server::start(move |request| content.reply(request))
    };
    let index = holding(|content, manifest| {
        let entry = content.image(&[layer("one")], "amd64");
        *manifest = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
    });
    let helm = holding(|content, manifest| {
        manifest["config"] = content.blob("application/vnd.cncf.helm.config.v1+json", b"{}");
        manifest["layers"][0]["mediaType"] =
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip".into();
    });
    let several = holding(|_, manifest| {
        let layer = manifest["layers"][0].clone();
        manifest["layers"] = json!([layer, layer]);
    });
    let nothing = holding(|_, manifest| {
        manifest["layers"] = json!([]);
        manifest["artifactType"] = "application/vnd.example\u{1b}[2J".into();
    });
    let other = holding(|_, manifest| {
        manifest["layers"][0]["mediaType"] = "application/vnd.wasm.content.layer.v1+wasm".into();
    });
    for (server, expected) in [
        (&image, "a container image, such as one of an extension"),
        (&index, "it is there for linux/amd64"),
        (&helm, "a Helm chart"),
        (&several, "a Wasm artifact of 2 layers"),
        (
            &nothing,
            "an artifact of another kind (of the type `application/vnd.example",
        ),
        (&other, "it is no Wasm artifact"),
    ] {
        let error = fails(server).to_string();
        assert!(
            error.starts_with(&format!("cannot pull {}:v1: ", place(server))),
            "{error}"
        );
        assert!(
            error.contains(expected) && !error.contains('\u{1b}'),
            "{error}"
        );
    }
}

#[test]
fn a_wasm_artifact_of_something_else_is_refused() {
    let layer_of = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        holding(move |content, manifest| {
            let layer = content.blob(WASM, &bytes);
            let config = json!({"architecture": "wasm", "layerDigests": [layer["digest"]]});
            manifest["config"] = content.blob(CONFIG, config.to_string().as_bytes());
            manifest["layers"] = json!([layer]);
        })
    };
    let config = |text: &'static str| {
        holding(move |content, manifest| manifest["config"] = content.blob(CONFIG, text.as_bytes()))
    };
    let wasi = component(&["wasi:cli/environment@0.2.0"], &[PRESERVATION], &[]);
    let signed = holding(|_, manifest| {
        manifest["annotations"] = json!({"io.switch-root.policy.signature": "text"});
    });
    for (server, expected) in [
        (layer_of(b"text"), "is not WebAssembly"),
        (
            layer_of(&wat::parse_str("(module)").unwrap()),
            "is a core module",
        ),
        (layer_of(&wasi), "imports wasi:cli/environment@0.2.0"),
        (layer_of(&component(&[], &[], &[])), "answers no question"),
        (config("{"), "is malformed"),
        (
            config(r#"{"architecture": "amd64", "layerDigests": []}"#),
            "`amd64`",
        ),
        (
            config(r#"{"architecture": "wasm", "layerDigests": []}"#),
            "names other layers",
        ),
        (signed, "is not an SSH signature"),
    ] {
        let error = fails(&server).to_string();
        assert!(error.contains(expected), "{error}");
    }
}
