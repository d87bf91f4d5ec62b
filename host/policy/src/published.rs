//! Tests: policies that were built against the first version of the contract go on
//! working. They lie in `tests/contract/` as they were built then; its README tells their
//! sources.

use std::borrow::Cow;
use std::cell::RefCell;

use switch_root_core::failure::Kind;
use switch_root_core::limits::Limits;

use crate::bindings::log::Level;
use crate::bindings::types::{
    Decision, Entry, Extension, FileKind, HostFacts, Requirement, Verdict,
};
use crate::engine;
use crate::folder::Code;
use crate::instance::{Hosts, NativeCode, Policy, Settings};
use crate::native::Native;
use crate::protocol::{Cost, Loading};

macro_rules! published {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/contract/0.1.0/", $name))
    };
}

const EVERY_ANSWER: &[u8] = published!("every-answer.wasm");
const KEEP_PATHS: &[u8] = published!("keep-paths.wasm");
const KERNEL_ABI: &[u8] = published!("kernel-abi.wasm");

/// What was published, to the byte.
const DIGESTS: [(&str, &[u8], &str); 4] = [
    (
        "every-answer.wasm",
        EVERY_ANSWER,
        "f6dc0dc6b5e94ebc57d81cfb8c34c80a03af9936f2346b67ef489be5e9d24766",
    ),
    (
        "keep-paths.wasm",
        KEEP_PATHS,
        "dabcb348631a32b509d23ba8e71d568d2099ede7b7472cc49adfb77424da41f4",
    ),
    (
        "kernel-abi.wasm",
        KERNEL_ABI,
        "b420abb1a8b9e199d8cf665585a2a5aaa1b49fedba47043958d554acc877eed5",
    ),
    (
        "policy.wit",
        published!("policy.wit"),
        "d2f4192f2ebefcd4489d9cdad1e73270386c346fbc7f3912126c167f88d8cef0",
    ),
];

thread_local! {
    /// What the policies of this thread said.
    static SAID: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

fn load(code: &Code, settings: &str) -> Result<Policy, switch_root_core::failure::Failure> {
    let sink = |level, message| SAID.with_borrow_mut(|said| said.push((level, message)));
    let settings = Some(Settings {
        json: settings.to_owned(),
        in_place: None,
    });
    let (policy, warning) = Hosts::new(NativeCode::Any).load(
        code,
        settings,
        Limits::default(),
        sink,
        &mut Loading::default(),
    );
    assert_eq!(warning, None);
    policy
}

/// Loads a component as it is, and compiled ahead of time, each also with the names of a
/// later compatible version, and lets `ask` ask it.
fn in_every_form(component: &[u8], settings: &str, ask: fn(&mut Policy)) {
    for version in ["@0.1.0", "@0.1.1"] {
        let component = renamed(component, version);
        let environment = if cfg!(target_env = "musl") {
            "musl"
        } else {
            "gnu"
        };
        let target = format!("{}-unknown-linux-{environment}", std::env::consts::ARCH);
        let native = engine::compile(&component, &target).expect("compiling");
        let (_, native) = engine::split_native(&native).expect("reading");
        for (wasm, native) in [
            (Some(Cow::Owned(component.clone())), None),
            (None, Some(Native::copied(native).expect("memory"))),
        ] {
            let code = Code { wasm, native };
            ask(&mut load(&code, settings).expect("loading"));
        }
    }
}

/// A component whose names of the contract have another version of the same length.
fn renamed(component: &[u8], version: &str) -> Vec<u8> {
    let mut renamed = component.to_vec();
    for at in 0..component.len() {
        if component[at..].starts_with(b"@0.1.0") {
            renamed[at..at + version.len()].copy_from_slice(version.as_bytes());
        }
    }
    renamed
}

fn entry(name: &str, kind: FileKind) -> Entry {
    Entry {
        name: name.into(),
        kind,
        size: 7,
        mode: 0o640,
        mount_point: true,
    }
}

fn review(policy: &mut Policy, directory: &str, entries: &[Entry]) -> Vec<Decision> {
    policy
        .preservation(directory.as_bytes(), entries, &mut Cost::default())
        .expect("answering")
}

fn host() -> HostFacts {
    HostFacts {
        os_release: vec![("ID".into(), "probeos".into())],
        kernel_release: "6.1.0".into(),
        architecture: "x86_64".into(),
        kernel_command_line: "quiet".into(),
    }
}

fn extension(name: &str, metadata: &str) -> Extension {
    Extension {
        image: "000.a.sqsh".into(),
        digest: Some("sha256:00".into()),
        name: name.into(),
        version: "1.10".into(),
        author: "Somebody".into(),
        description: "A test.".into(),
        compatibility: vec![Requirement {
            operating_system: "talos".into(),
            version: ">= v1.6.0".into(),
        }],
        metadata: metadata.into(),
    }
}

fn verdicts(policy: &mut Policy, extensions: &[Extension]) -> Vec<Verdict> {
    policy
        .compatibility(&host(), extensions, &mut Cost::default())
        .expect("answering")
}

#[test]
fn what_was_published_is_what_was_published() {
    let readme = include_str!("../../../tests/contract/README.md");
    for (name, bytes, digest) in DIGESTS {
        assert_eq!(
            engine::digest(bytes),
            format!("sha256:{digest}"),
            "{name} is never built again: take it back from the history"
        );
        assert!(readme.contains(digest), "README.md: {name}");
    }
}

#[test]
fn every_answer_of_the_first_version_is_understood() {
    in_every_form(EVERY_ANSWER, "{}", |policy| {
        assert!(policy.answers.preservation && policy.answers.compatibility);
        assert!(policy.answers.settings);
        SAID.take();
        let kinds = [
            ("delete", FileKind::Regular),
            ("keep", FileKind::Symlink),
            ("carry", FileKind::Fifo),
            ("descend", FileKind::Directory),
        ];
        let entries = kinds.map(|(name, kind)| entry(name, kind));
        let expected = [
            Decision::Delete,
            Decision::Keep,
            Decision::Carry(b"/etc/carried".to_vec()),
            Decision::Descend,
        ];
        assert_eq!(review(policy, "/", &entries), expected);
        let said = [
            (Level::Error, "an error".to_owned()),
            (Level::Warn, "a warning".to_owned()),
            (Level::Info, "a notice".to_owned()),
            (Level::Debug, "a detail".to_owned()),
        ];
        assert_eq!(SAID.take(), said);
        let asked = ["compatible", "incompatible", "other"].map(|name| extension(name, "{}"));
        let expected = [
            Verdict::Compatible,
            Verdict::Incompatible(WHAT_IT_WAS_TOLD.into()),
            Verdict::Abstain,
        ];
        assert_eq!(verdicts(policy, &asked), expected);
    });
}

const WHAT_IT_WAS_TOLD: &str = "HostFacts { os-release: [(\"ID\", \"probeos\")], kernel-release: \"6.1.0\", architecture: \"x86_64\", kernel-command-line: \"quiet\" } Extension { image: \"000.a.sqsh\", digest: Some(\"sha256:00\"), name: \"incompatible\", version: \"1.10\", author: \"Somebody\", description: \"A test.\", compatibility: [Requirement { operating-system: \"talos\", version: \">= v1.6.0\" }], metadata: \"{}\" }";

#[test]
fn errors_of_the_first_version_are_understood() {
    in_every_form(EVERY_ANSWER, "{}", |policy| {
        let failure = policy
            .preservation(
                b"/a",
                &[entry("error", FileKind::BlockDevice)],
                &mut Cost::default(),
            )
            .expect_err("no error");
        assert_eq!(failure.kind, Kind::Error);
        assert_eq!(failure.message, WHAT_IT_COMPLAINED_OF);
        let failure = policy
            .compatibility(&host(), &[extension("error", "{}")], &mut Cost::default())
            .expect_err("no error");
        assert_eq!(failure.message, "says: no opinion");
    });
}

const WHAT_IT_COMPLAINED_OF: &str = "says: no opinion in [47, 97] on Entry { name: [101, 114, 114, 111, 114], kind: FileKind::BlockDevice, size: 7, mode: 416, mount-point: true }";

#[test]
fn settings_of_the_first_version_are_understood() {
    let code = Code {
        wasm: Some(EVERY_ANSWER.into()),
        native: None,
    };
    let failure = load(&code, r#"{"a": 1}"#).err().expect("no error");
    assert_eq!(failure.kind, Kind::Settings);
    assert_eq!(
        failure.message,
        r#"refuses its settings: settings are {"a": 1}, and not {}"#
    );
}

#[test]
fn keep_paths_of_the_first_version_keeps_and_carries() {
    let settings =
        r#"{"keep": ["/etc/ssh/ssh_host_*"], "carry": {"/etc/machine.conf": "/etc/m.conf"}}"#;
    in_every_form(KEEP_PATHS, settings, |policy| {
        assert!(policy.answers.preservation && !policy.answers.compatibility);
        let plain = |name, kind| Entry {
            mount_point: false,
            ..entry(name, kind)
        };
        let root = [
            plain("etc", FileKind::Directory),
            plain("var", FileKind::Directory),
        ];
        let expected = [Decision::Descend, Decision::Delete];
        assert_eq!(review(policy, "/", &root), expected);
        let etc = [
            plain("machine.conf", FileKind::Regular),
            plain("motd", FileKind::Regular),
            plain("ssh", FileKind::Directory),
        ];
        let expected = [
            Decision::Carry(b"/etc/m.conf".to_vec()),
            Decision::Delete,
            Decision::Descend,
        ];
        assert_eq!(review(policy, "/etc", &etc), expected);
        let ssh = [
            plain("moduli", FileKind::Regular),
            plain("ssh_host_rsa_key", FileKind::Regular),
        ];
        let expected = [Decision::Delete, Decision::Keep];
        assert_eq!(review(policy, "/etc/ssh", &ssh), expected);
    });
}

#[test]
fn kernel_abi_of_the_first_version_compares_kernels() {
    in_every_form(KERNEL_ABI, "{}", |policy| {
        assert!(!policy.answers.preservation && policy.answers.compatibility);
        let made_for = |release: &str| {
            let metadata = format!(r#"{{"switchRoot": {{"kernelRelease": "{release}"}}}}"#);
            extension("a", &metadata)
        };
        let asked = [
            extension("a", "{}"),
            made_for("6.1.0"),
            made_for("6.12.6-talos"),
        ];
        let reason =
            "its kernel modules are made for \"6.12.6-talos\", and this kernel is \"6.1.0\"";
        let expected = [
            Verdict::Abstain,
            Verdict::Compatible,
            Verdict::Incompatible(reason.into()),
        ];
        assert_eq!(verdicts(policy, &asked), expected);
    });
}

#[test]
fn the_first_version_in_the_name_of_another_one_is_refused_with_both() {
    for version in ["@0.2.0", "@1.0.0", "@0.0.1"] {
        let code = Code {
            wasm: Some(renamed(EVERY_ANSWER, version).into()),
            native: None,
        };
        let failure = load(&code, "{}").err().expect("it was loaded");
        assert_eq!(failure.kind, Kind::Version);
        for word in [&version[1..], "0.1.0"] {
            assert!(failure.message.contains(word), "{}", failure.message);
        }
    }
}
