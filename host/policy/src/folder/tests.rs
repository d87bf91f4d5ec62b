use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// A root directory with the given files; empty contents for `b""`.
fn root(name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let root =
        std::env::temp_dir().join(format!("switch-root-folder-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    for (path, contents) in files {
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    fs::create_dir_all(&root).unwrap();
    root
}

fn summary(root: &Path) -> Vec<(String, String)> {
    discover(root)
        .policies
        .into_iter()
        .map(|policy| (policy.name, policy.origin))
        .collect()
}

fn pair(name: &str, origin: &str) -> (String, String) {
    (name.into(), origin.into())
}

#[test]
fn without_folders_there_is_the_embedded_default_alone() {
    let root = root("none", &[]);
    assert_eq!(summary(&root), [pair("00-default", "embedded")]);
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn the_operators_file_replaces_the_vendors_and_the_order_is_by_name() {
    let root = root(
        "override",
        &[
            ("/usr/lib/switch-root/policies.d/50-b.wasm", b"vendor"),
            ("/usr/lib/switch-root/policies.d/60-c.wasm", b"vendor"),
            ("/etc/switch-root/policies.d/50-b.wasm", b"operator"),
            ("/etc/switch-root/policies.d/10-a.wasm", b"operator"),
            (
                "/etc/switch-root/policies.d/60-c.json",
                br#"{"on_failure": "ignore"}"#,
            ),
            ("/etc/switch-root/policies.d/README", b"not a policy"),
        ],
    );
    assert_eq!(
        summary(&root),
        [
            pair("00-default", "embedded"),
            pair("10-a", "/etc/switch-root/policies.d/10-a.wasm"),
            pair("50-b", "/etc/switch-root/policies.d/50-b.wasm"),
            pair("60-c", "/usr/lib/switch-root/policies.d/60-c.wasm"),
        ]
    );
    let sidecar = &discover(&root).policies[3].sidecar;
    assert_eq!(sidecar.on_failure, crate::sidecar::OnFailure::Ignore);
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn an_empty_file_or_a_link_to_dev_null_masks() {
    let root = root(
        "mask",
        &[
            ("/usr/lib/switch-root/policies.d/50-b.wasm", b"vendor"),
            ("/etc/switch-root/policies.d/50-b.wasm", b""),
            ("/usr/lib/switch-root/policies.d/60-c.wasm", b"vendor"),
        ],
    );
    let operator = root.join("etc/switch-root/policies.d");
    symlink("/dev/null", operator.join("60-c.wasm")).unwrap();
    symlink("/dev/null", operator.join("00-default.wasm")).unwrap();
    assert_eq!(summary(&root), []);
    assert_eq!(discover(&root).masked, ["00-default", "50-b", "60-c"]);
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn what_cannot_be_read_is_a_failed_policy_and_not_an_absent_one() {
    let root = root(
        "unreadable",
        &[
            ("/usr/lib/switch-root/policies.d", b"a file, not a folder"),
            ("/etc/switch-root/policies.d/50-b.wasm", b"x"),
            ("/etc/switch-root/policies.d/50-b.json", b"{"),
        ],
    );
    let operator = root.join("etc/switch-root/policies.d");
    symlink("/nowhere", operator.join("60-c.wasm")).unwrap();
    nix::unistd::mkfifo(&operator.join("70-d.wasm"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let failures: Vec<_> = discover(&root)
        .policies
        .into_iter()
        .filter_map(|policy| {
            policy
                .code
                .err()
                .map(|failure| (policy.name, failure.message))
        })
        .collect();
    let expected = [
        (
            "/usr/lib/switch-root/policies.d",
            "cannot be read as a policy folder",
        ),
        (
            "50-b",
            "/etc/switch-root/policies.d/50-b.json is not a sidecar file",
        ),
        ("60-c", "is a link to nothing"),
        ("70-d", "is not a regular file"),
    ];
    assert_eq!(failures.len(), expected.len(), "{failures:?}");
    for ((name, message), (expected_name, part)) in failures.iter().zip(expected) {
        assert_eq!(name, expected_name);
        assert!(message.contains(part), "{message}");
    }
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn native_code_is_used_only_where_it_can_be_trusted() {
    let wasm = b"some wasm";
    let native = |source: &str, engine: &str| {
        let record = format!(r#"{{"source":"{source}","engine":"{engine}","target":"t"}}"#);
        [
            b"switch-root ahead-of-time policy 1
",
            record.as_bytes(),
            b"
code",
        ]
        .concat()
    };
    let good = native(&engine::digest(wasm), engine::ENGINE);
    let cases: [(&str, Vec<u8>, u32, Option<&str>); 5] = [
        ("good", good.clone(), 0o644, None),
        ("mode", good.clone(), 0o666, Some("written by others")),
        (
            "source",
            native(&engine::digest(b"other"), engine::ENGINE),
            0o644,
            Some("another .wasm"),
        ),
        (
            "engine",
            native(&engine::digest(wasm), "wasmtime 1"),
            0o644,
            Some("was compiled by"),
        ),
        ("forged", b"ELF".to_vec(), 0o644, Some("no record")),
    ];
    for (name, bytes, mode, expected) in cases {
        use std::os::unix::fs::PermissionsExt;
        let root = root(
            &format!("native-{name}"),
            &[
                ("/etc/switch-root/policies.d/50-a.wasm", wasm),
                ("/etc/switch-root/policies.d/50-a.cwasm", &bytes),
            ],
        );
        let cwasm = root.join("etc/switch-root/policies.d/50-a.cwasm");
        fs::set_permissions(&cwasm, fs::Permissions::from_mode(mode)).unwrap();
        let policy = discover(&root).policies.remove(1);
        let native = policy.code.unwrap().native;
        match expected {
            // Only root's files are trusted, so this half needs root to be shown.
            None if nix::unistd::geteuid().is_root() => {
                assert_eq!(
                    native.as_ref().map(AsRef::as_ref),
                    Some(&b"code"[..]),
                    "{:?}",
                    policy.warnings
                );
            }
            None => assert!(policy.warnings[0].text.contains("not by root")),
            Some(part) => {
                assert!(native.is_none());
                assert!(
                    policy.warnings[0].text.contains(part)
                        || policy.warnings[0].text.contains("not by root")
                );
            }
        }
        fs::remove_dir_all(root).unwrap();
    }
}
