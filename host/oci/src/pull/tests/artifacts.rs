//! Policies that are pushed to registries and pulled from them.

mod pushing;
mod refusing;

use serde_json::{Value, json};
use switch_root_core::escape::Shown;

use super::*;
use crate::access::Access;
use crate::artifact::{self, Policy, Push, Pushed};
use crate::pull::digest::sha256;

const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const WASM: &str = "application/wasm";
const SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n";

const PRESERVATION: &str = "switch-root:policy/preservation@0.1.0";

/// A component with interfaces that hold nothing, and metadata sections.
fn component(imports: &[&str], exports: &[&str], metadata: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::from("(component (type (instance))");
    for name in imports {
        text += &format!("(import \"{name}\" (instance (type 0)))");
    }
    text += "(instance)";
    for name in exports {
        text += &format!("(export \"{name}\" (instance {}))", imports.len());
    }
    for (name, value) in metadata {
        text += &format!("(@custom \"{name}\" \"{value}\")");
    }
    wat::parse_str(text + ")").unwrap()
}

/// A component that could be a policy.
fn wasm() -> Vec<u8> {
    component(
        &["switch-root:policy/log@0.1.0"],
        &[PRESERVATION],
        &[("version", "1.2.0"), ("authors", "Somebody")],
    )
}

/// Who pushes and pulls.
#[derive(Default)]
struct Operator {
    registries: Registries,
}

impl Operator {
    fn access<T>(&self, work: impl FnOnce(&Access<'_>) -> T) -> T {
        work(&Access {
            registries: &self.registries,
            // Never that of who runs the tests.
            docker_config: Some("/nonexistent/config.json".into()),
            progress: &Silent,
        })
    }

    fn push(&self, wasm: &[u8], signature: Option<&str>, to: &str) -> Result<Pushed> {
        let push = Push {
            wasm,
            name: "50-a.wasm",
            signature,
            created: 1_000_000_000,
        };
        self.access(|access| artifact::push(&push, &to.parse().unwrap(), access))
    }

    fn pull(&self, from: &str, expected: Option<&str>) -> Result<Policy> {
        self.access(|access| artifact::pull(&from.parse().unwrap(), expected, access))
    }
}

/// A registry that keeps what it is given in `a/b`; `deny` may answer before.
fn keeping(deny: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let content = Mutex::new(Content::default());
    Server::start(move |request| {
        deny(request).unwrap_or_else(|| content.lock().unwrap().take(request))
    })
}

fn place(server: &Server) -> String {
    format!("{}/a/b", server.host)
}

/// A registry with one artifact `v1`, that `change` has changed.
fn holding(change: impl FnOnce(&mut Content, &mut Value)) -> Server {
    let mut content = Content::default();
    let layer = content.blob(WASM, &wasm());
    let config = json!({"architecture": "wasm", "os": "wasip2", "layerDigests": [layer["digest"]]});
    let config = content.blob(CONFIG, config.to_string().as_bytes());
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": super::super::server::MANIFEST,
        "config": config, "layers": [layer],
    });
    change(&mut content, &mut manifest);
    let media_type = manifest["mediaType"].as_str().unwrap().to_owned();
    let descriptor = content.document(&media_type, &manifest);
    content.tag("v1", &descriptor);
    Server::start(move |request| content.reply(request))
}

#[test]
fn a_policy_is_pulled_as_it_was_pushed() {
    let server = keeping(|_| None);
    let operator = Operator::default();
    let (place, wasm) = (place(&server), wasm());
    let pushed = operator
        .push(&wasm, Some(SIGNATURE), &format!("{place}:v1"))
        .unwrap();
    assert_eq!(pushed.pinned, format!("{place}@{}", pushed.digest));
    for from in [
        format!("{place}:v1"),
        pushed.pinned.clone(),
        format!("{place}:v1@{}", pushed.digest),
    ] {
        let pulled = operator.pull(&from, Some(&pushed.digest)).unwrap();
        assert_eq!(
            pulled,
            Policy {
                wasm: wasm.clone(),
                digest: pushed.digest.clone(),
                pinned: pushed.pinned.clone(),
                signature: Some(SIGNATURE.into()),
                file_name: "50-a.wasm".into(),
                description: pushed.description.clone(),
            }
        );
    }
}

#[test]
fn an_artifact_is_written_as_the_format_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let to = format!("oci:{}:v1", layout.shown());
    let wasm = wasm();
    let pushed = Operator::default()
        .push(&wasm, Some(SIGNATURE), &to)
        .unwrap();
    let blob =
        |digest: &str| fs::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap();
    let manifest: Value = serde_json::from_slice(&blob(&pushed.digest)).unwrap();
    let config = blob(manifest["config"]["digest"].as_str().unwrap());
    assert_eq!(
        manifest,
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": CONFIG, "digest": sha256(&config), "size": config.len()},
            "layers": [{
                "mediaType": WASM, "digest": sha256(&wasm), "size": wasm.len(),
                "annotations": {"org.opencontainers.image.title": "50-a.wasm"},
            }],
            "annotations": {
                "org.opencontainers.image.title": "50-a.wasm",
                "org.opencontainers.image.authors": "Somebody",
                "org.opencontainers.image.version": "1.2.0",
                "io.switch-root.policy.signature": SIGNATURE,
            },
        })
    );
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(
        config,
        json!({
            "created": "2001-09-09T01:46:40Z",
            "author": "Somebody",
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [sha256(&wasm)],
            "component": {
                "exports": [PRESERVATION],
                "imports": ["switch-root:policy/log@0.1.0"],
                "target": "switch-root:policy/preservation-policy@0.1.0",
            },
        })
    );
}

#[test]
fn layouts_keep_what_is_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let layout = |name: &str| format!("oci:{}/layout:{name}", folder.path().shown());
    let operator = Operator::default();
    let (one, two) = (wasm(), component(&[], &[PRESERVATION], &[]));
    operator.push(&one, None, &layout("one")).unwrap();
    let moved = operator.push(&one, None, &layout("two")).unwrap();
    let signed = operator.push(&one, Some(SIGNATURE), &layout("two"));
    let pushed = operator.push(&two, None, &layout("two")).unwrap();
    assert_eq!(operator.pull(&layout("one"), None).unwrap().wasm, one);
    let pulled = operator.pull(&layout("two"), Some(&pushed.digest)).unwrap();
    assert_eq!((pulled.wasm, pulled.signature), (two.clone(), None));
    let error = operator
        .pull(&layout("two"), Some(&moved.digest))
        .unwrap_err();
    assert!(
        error.to_string().contains(&moved.digest) && error.to_string().contains(&pushed.digest),
        "{error}"
    );

    // By its digest it is the same, wherever its name leads.
    assert!(pushed.pinned.ends_with(&format!(":@{}", pushed.digest)));
    assert_eq!(operator.pull(&moved.pinned, None).unwrap().wasm, one);
    let signed = operator.pull(&signed.unwrap().pinned, None).unwrap();
    assert_eq!(signed.signature.as_deref(), Some(SIGNATURE));
    let nothing = operator.pull(&layout(&format!("@{}", sha256(b"x"))), None);
    assert_eq!(nothing.unwrap_err().kind, Kind::NotFound);
    assert_eq!(operator.pull(&pushed.pinned, None).unwrap().wasm, two);
    let error = operator.push(&two, None, &pushed.pinned).unwrap_err();
    assert!(error.to_string().contains("push to a name"), "{error}");

    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("mine"), "mine").unwrap();
    let error = operator
        .push(&two, None, &format!("oci:{}", other.shown()))
        .unwrap_err();
    assert!(
        error.to_string().contains("not an OCI image layout"),
        "{error}"
    );
    assert_eq!(tree(&other), ["mine 644 mine"]);
    fs::create_dir(other.join("blobs")).unwrap();
    fs::write(
        other.join("oci-layout"),
        r#"{"imageLayoutVersion": "1.0.0"}"#,
    )
    .unwrap();
    fs::write(other.join("index.json"), "{}").unwrap();
    let before = tree(&other);
    let error = operator
        .push(&two, None, &format!("oci:{}", other.shown()))
        .unwrap_err();
    assert!(
        error.to_string().contains("no list of manifests"),
        "{error}"
    );
    assert_eq!(tree(&other), before);
    let error = operator
        .push(
            &two,
            None,
            &format!("docker-archive:{}/a.tar", folder.path().shown()),
        )
        .unwrap_err();
    assert!(
        error.to_string().contains("container images alone"),
        "{error}"
    );
}

#[test]
fn older_forms_and_indexes_of_one_artifact_are_read() {
    for layer in [
        "application/vnd.wasm.content.layer.v1+wasm",
        "application/vnd.module.wasm.content.layer.v1+wasm",
    ] {
        let server = holding(|content, manifest| {
            manifest["config"] = content.blob("application/vnd.wasm.config.v1+json", b"{}");
            manifest["layers"][0]["mediaType"] = layer.into();
        });
        let pulled = Operator::default().pull(&format!("{}:v1", place(&server)), None);
        let pulled = pulled.unwrap();
        assert_eq!(pulled.wasm, wasm());
        // Nobody has named the file.
        assert_eq!(pulled.file_name, "b.wasm");
    }
    let server = holding(|content, manifest| {
        let mut entry = content.document(super::super::server::MANIFEST, manifest);
        entry["platform"] = json!({"os": "wasip2", "architecture": "wasm"});
        *manifest = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
    });
    let pulled = Operator::default().pull(&format!("{}:v1", place(&server)), None);
    assert_eq!(pulled.unwrap().wasm, wasm());
}

#[test]
fn a_name_that_leads_elsewhere_is_not_taken_from_an_artifact() {
    for title in [
        "../../etc/passwd.wasm",
        "/a.wasm",
        ".wasm",
        ".a.wasm",
        "a b.wasm",
        "a",
        "a\n.wasm",
    ] {
        let server = holding(|_, manifest| {
            manifest["annotations"] = json!({"org.opencontainers.image.title": title});
        });
        let pulled = Operator::default().pull(&format!("{}:v1", place(&server)), None);
        assert_eq!(pulled.unwrap().file_name, "b.wasm", "{title:?}");
    }
}
