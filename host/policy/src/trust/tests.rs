mod native;

use std::fs;

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};
use switch_root_core::failure::Kind;

use super::*;
use crate::consequence;
use crate::folder::{Policy, discover};
use crate::session::Session;

const FILE: &[u8] = b"the bytes of a policy";

fn key(seed: u8) -> PrivateKey {
    let pair = KeypairData::from(Ed25519Keypair::from_seed(&[seed; 32]));
    PrivateKey::new(pair, "").unwrap()
}

fn line(options: &str, seed: u8) -> String {
    let key = key(seed).public_key().to_openssh().unwrap();
    format!("signer-{seed} {options} {key}\n")
}

fn sign(seed: u8, namespace: &str, bytes: &[u8]) -> String {
    let signature = key(seed).sign(namespace, HashAlg::Sha512, bytes).unwrap();
    signature.to_pem(LineEnding::LF).unwrap()
}

fn trust(list: &str) -> Trust {
    let mut trust = Trust::default();
    trust.add("a.signers", list.as_bytes()).unwrap();
    trust
}

fn rejected(list: &str, signature: impl AsRef<[u8]>) -> Rejection {
    match trust(list).verify(FILE, signature.as_ref(), now()) {
        Ok(signed) => panic!("it is accepted by {}", signed.signer.place),
        Err(rejection) => rejection,
    }
}

#[test]
fn a_signature_by_a_listed_key_counts() {
    let trust = trust(&[line("", 1), line("", 2)].concat());
    for seed in [1, 2] {
        let signature = sign(seed, NAMESPACE, FILE);
        let signed = trust.verify(FILE, signature.as_bytes(), now()).unwrap();
        assert_eq!(signed.signer.principals, format!("signer-{seed}"));
        assert_eq!(signed.untimely, None);
    }
}

#[test]
fn each_reason_not_to_accept_a_signature_is_told() {
    let good = sign(1, NAMESPACE, FILE);
    let listed = line("", 1);
    assert_eq!(
        rejected(&listed, sign(1, NAMESPACE, b"other")),
        Rejection::Changed {
            signer: "signer-1".into()
        }
    );
    assert_eq!(
        rejected(&listed, sign(1, "file", FILE)),
        Rejection::Namespace {
            name: "file".into()
        }
    );
    let Rejection::UnknownKey { fingerprint } = rejected(&line("", 2), &good) else {
        panic!("an unknown key");
    };
    assert_eq!(fingerprint, key(1).fingerprint(HashAlg::Sha256).to_string());
    assert!(matches!(rejected("", &good), Rejection::UnknownKey { .. }));
    assert!(matches!(
        rejected(&line("namespaces=\"git\"", 1), &good),
        Rejection::OtherNamespaces { place, .. } if place == "a.signers, line 1"
    ));
    for bad in [
        "",
        "hello",
        &good[..good.len() / 2],
        &good.replace("SSH", "PGP"),
    ] {
        assert!(
            matches!(rejected(&listed, bad), Rejection::Malformed { .. }),
            "{bad}"
        );
    }
    let large = vec![b'\n'; fixed::SIGNATURE_FILE as usize + 1];
    assert!(
        rejected(&listed, large)
            .to_string()
            .contains("larger than 16384")
    );
}

#[test]
fn whatever_counts_in_a_signature_that_is_changed_is_rejected_and_nothing_panics() {
    let good = sign(1, NAMESPACE, FILE);
    let trust = trust(&line("", 1));
    for end in 0..good.len() - 1 {
        let cut = &good.as_bytes()[..end];
        // The end of a line may be missing.
        if !good.trim_end().as_bytes().eq(cut) {
            assert!(trust.verify(FILE, cut, now()).is_err(), "cut at {end}");
        }
    }
    let begin = good.find('\n').unwrap() + 1;
    for at in begin..good.len() - 1 {
        for byte in [b'A', b'/', 0, 0xff] {
            let mut changed = good.clone().into_bytes();
            if std::mem::replace(&mut changed[at], byte) == byte {
                continue;
            }
            // The parser passes over wrong lengths of what encloses others: then it has
            // read the same.
            if trust.verify(FILE, &changed, now()).is_ok() {
                assert_eq!(parse(&changed), parse(good.as_bytes()), "{at}: {byte}");
            }
        }
    }
}

#[test]
fn the_time_of_a_key_is_told_and_a_line_that_is_valid_goes_first() {
    let signature = sign(1, NAMESPACE, FILE);
    let at = |time: &str, list: &str| {
        let now = Time::parse(time).unwrap();
        let trust = trust(list);
        let signed = trust.verify(FILE, signature.as_bytes(), now).unwrap();
        (
            signed.signer.place.clone(),
            signed.untimely.map(|it| it.to_string()).unwrap_or_default(),
        )
    };
    let list = line("valid-after=20260101,valid-before=20270101", 1);
    assert!(
        at("19700101", &list)
            .1
            .contains("not valid before 2026-01-01T00:00:00Z")
    );
    assert_eq!(at("20260101", &list).1, "");
    assert_eq!(at("20270101", &list).1, "");
    let expired = at("20270102", &list).1;
    assert!(expired.contains("signer-1 (SHA256:"), "{expired}");
    assert!(expired.contains("expired on 2027-01-01"), "{expired}");
    assert!(expired.contains("a.signers, line 1"), "{expired}");
    let both = [list, line("namespaces=git", 1), line("", 1)].concat();
    assert_eq!(
        at("20270102", &both),
        ("a.signers, line 3".into(), String::new())
    );
}

/// A path, and contents; none of a folder.
type Named<'a> = (&'a str, &'a [u8]);

/// The policies of a root directory with these files.
fn policies(files: &[Named<'_>]) -> Vec<Policy> {
    let root = tempfile::tempdir().unwrap();
    for (path, contents) in files {
        let path = root.path().join(path.trim_start_matches('/'));
        if contents.is_empty() && path.extension().is_none() {
            fs::create_dir_all(&path).unwrap();
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    discover(root.path()).policies
}

fn refusal(policies: &[Policy]) -> Option<String> {
    consequence::of(&Session::new(policies))
        .refusal(false)
        .map(|refusal| refusal.text.clone())
}

const WASM: &str = "/etc/switch-root/policies.d/50-a.wasm";
const SIG: &str = "/etc/switch-root/policies.d/50-a.wasm.sig";
const SIDECAR: Named<'_> = (
    "/etc/switch-root/policies.d/50-a.json",
    br#"{"on_failure": "ignore"}"#,
);
const SIGNERS: &str = "/usr/lib/switch-root/trust/a.signers";

#[test]
fn without_a_trust_folder_nothing_is_demanded() {
    let found = policies(&[(WASM, FILE), (SIG, b"hello")]);
    assert!(found[1].code.is_ok() && found[1].signed_by.is_none());
    assert_eq!(refusal(&found), None);
}

#[test]
fn what_is_signed_is_used_and_says_by_whom() {
    let signature = sign(1, NAMESPACE, FILE);
    let expired = line("valid-before=20200101", 1);
    for (list, warnings) in [(line("", 1), 0), (expired, 1)] {
        let found = policies(&[
            (WASM, FILE),
            (SIG, signature.as_bytes()),
            (SIGNERS, list.as_bytes()),
            ("/usr/lib/switch-root/trust/README", b"not a list"),
            ("/etc/switch-root/policies.d/60-masked.wasm", b""),
        ]);
        assert_eq!(refusal(&found), None);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].signed_by, None, "it is embedded");
        assert_eq!(found[1].signed_by.as_deref(), Some("signer-1"));
        assert_eq!(found[1].warnings.len(), warnings, "{:?}", found[1].warnings);
    }
}

#[test]
fn what_is_not_signed_is_refused_whatever_its_sidecar_says() {
    let list = line("", 1);
    let good = sign(1, NAMESPACE, FILE);
    let of_another = sign(1, NAMESPACE, b"other");
    let trusted = (SIGNERS, list.as_bytes());
    let cwasm = "/etc/switch-root/policies.d/50-a.cwasm";
    let cases: [(&[Named<'_>], &str); 9] = [
        (
            &[(WASM, FILE), trusted],
            "50-a.wasm is not signed: there is no",
        ),
        (
            &[(WASM, FILE), (SIG, of_another.as_bytes()), trusted],
            "not what signer-1 signed",
        ),
        (
            &[(WASM, FILE), (SIG, b""), trusted],
            "no armored SSH signature",
        ),
        (
            &[(WASM, FILE), (SIG, &[0; 20_000]), trusted],
            "at most 16384 are read",
        ),
        (
            &[
                (WASM, FILE),
                (SIG, good.as_bytes()),
                ("/usr/lib/switch-root/trust", b""),
            ],
            "not among those that are accepted",
        ),
        (
            &[(WASM, FILE), (SIG, good.as_bytes()), (SIGNERS, b"\nhm\n")],
            "a.signers, line 2: no key",
        ),
        (
            &[
                (WASM, FILE),
                (SIG, good.as_bytes()),
                ("/usr/lib/switch-root/trust.x", b"x"),
                (SIGNERS, b"\xff"),
            ],
            "line 1: it is not UTF-8",
        ),
        // Native code alone: the signature of the .wasm does not count for it.
        (
            &[(cwasm, FILE), (SIG, good.as_bytes()), trusted],
            "50-a.cwasm is not signed",
        ),
        // In place of the embedded one.
        (
            &[
                ("/usr/lib/switch-root/policies.d/00-default.wasm", FILE),
                trusted,
            ],
            "00-default.wasm is not signed",
        ),
    ];
    for (files, expected) in cases {
        let found = policies(&[files, &[SIDECAR]].concat());
        let refusal = refusal(&found).unwrap_or_else(|| panic!("{expected}: not refused"));
        assert!(refusal.contains(expected), "{expected}: {refusal}");
        assert!(
            refusal.contains("switch_root.policies=default"),
            "{refusal}"
        );
        for policy in &found {
            let embedded = policy.origin == "embedded";
            assert_eq!(policy.code.is_ok(), embedded, "{}", policy.origin);
            assert_eq!(policy.signed_by, None);
            let failure = policy.code.as_ref().err();
            assert!(failure.is_none_or(|failure| failure.kind == Kind::Signature));
        }
    }
}

#[test]
fn native_code_alone_is_checked_by_a_signature_of_its_own() {
    let cwasm = "/etc/switch-root/policies.d/50-a.cwasm";
    let signature = sign(1, NAMESPACE, FILE);
    let list = line("", 1);
    let found = policies(&[
        (cwasm, FILE),
        (
            "/etc/switch-root/policies.d/50-a.cwasm.sig",
            signature.as_bytes(),
        ),
        (SIGNERS, list.as_bytes()),
    ]);
    assert_eq!(refusal(&found), None);
    assert_eq!(found[1].signed_by.as_deref(), Some("signer-1"));
}

#[test]
fn a_trust_folder_that_leads_nowhere_is_none_that_is_absent() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("usr/lib/switch-root");
    fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink("/nowhere", folder.join("trust")).unwrap();
    let refusal = refusal(&discover(root.path()).policies).unwrap();
    assert!(refusal.contains("trust is a link to nothing"), "{refusal}");
}
