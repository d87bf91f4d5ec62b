use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use initramfs::archive::Member;
use policy::folder;
use switch_root_core::locations::{OPERATOR, VENDOR};

use super::*;

/// A path, and contents.
type Named<'a> = (&'a str, Option<&'a [u8]>);

/// An initramfs of parts that hold these members: a directory where there are no
/// contents.
fn image(folder: &Path, parts: &[&[Named<'_>]]) -> PathBuf {
    let mut bytes = Vec::new();
    for members in parts {
        let mut writer = Writer::new(Vec::new());
        for (name, contents) in *members {
            match contents {
                None => writer.directory(name, 0o700).unwrap(),
                Some(contents) => writer
                    .file(
                        name,
                        0o644,
                        contents.len() as u64,
                        &mut &contents[..],
                        &mut |_| {},
                    )
                    .unwrap(),
            }
        }
        bytes.extend(writer.finish().unwrap());
    }
    let path = folder.join("in");
    fs::write(&path, bytes).unwrap();
    path
}

/// What the kernel makes of an initramfs: the last member of each path.
fn unpacked(image: &Path) -> BTreeMap<String, (Member, Vec<u8>)> {
    let mut all = BTreeMap::new();
    segments::scan(image, &mut |_, member, contents| {
        let mut bytes = Vec::new();
        contents.read_to_end(&mut bytes).unwrap();
        let path = String::from_utf8_lossy(member.path()).into_owned();
        all.insert(path, (member.clone(), bytes));
        Ok(())
    })
    .unwrap();
    all
}

fn additions(native: Option<&[u8]>) -> Additions {
    Additions {
        folder: OPERATOR,
        policies: vec![Addition {
            name: "50-a".into(),
            wasm: b"new wasm".to_vec(),
            signature: Some(b"new sig".to_vec()),
            native: native.map(<[u8]>::to_vec),
            sidecar: None,
        }],
        ..Additions::default()
    }
}

fn write(additions: &Additions, input: &Path, output: &Path) -> Result<Replaced> {
    let root = tempfile::tempdir().unwrap();
    let image = survey(input, root.path())?;
    let mut file = Vec::new();
    let replaced = additions.write(input, &image, Compression::Zstd(1), &mut file)?;
    fs::write(output, file).unwrap();
    Ok(replaced)
}

const IN_OPERATOR: &str = "etc/switch-root/policies.d";

#[test]
fn only_folders_that_are_missing_are_made_and_all_is_roots() {
    let folder = tempfile::tempdir().unwrap();
    let input = image(folder.path(), &[&[("init", Some(b"#!")), ("etc", None)]]);
    let output = folder.path().join("out");
    let mut wanted = additions(Some(b"native"));
    wanted.signers = Some(("a.signers".into(), b"list".to_vec()));
    assert_eq!(write(&wanted, &input, &output).unwrap().removed, [""; 0]);
    let all = unpacked(&output);
    assert_eq!(all["etc"].0.mode, libc::S_IFDIR | 0o700, "it is as it was");
    for path in [
        "etc/switch-root",
        IN_OPERATOR,
        "usr",
        "usr/lib",
        "usr/lib/switch-root/trust",
    ] {
        assert_eq!(all[path].0.mode, libc::S_IFDIR | 0o755, "{path}");
    }
    for (path, bytes) in [
        ("etc/switch-root/policies.d/50-a.wasm", &b"new wasm"[..]),
        ("etc/switch-root/policies.d/50-a.wasm.sig", b"new sig"),
        ("etc/switch-root/policies.d/50-a.cwasm", b"native"),
        ("usr/lib/switch-root/trust/a.signers", b"list"),
    ] {
        let (member, contents) = &all[path];
        assert_eq!(
            (member.mode, member.uid, member.gid),
            (libc::S_IFREG | 0o644, 0, 0)
        );
        assert_eq!(contents, bytes, "{path}");
    }
    assert_eq!(all.len(), 2 + 4 + 6);
}

#[test]
fn the_list_of_native_code_is_roots_alone_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let list = "usr/lib/switch-root/trust/native.digests";
    let old: &[Named<'_>] = &[("usr/lib/switch-root/trust", None), (list, Some(b"old"))];
    let input = image(folder.path(), &[old]);
    let output = folder.path().join("out");
    let mut wanted = additions(Some(b"native"));
    let mut compiled = Compiled::default();
    wanted.compiled = Some(compiled.clone());
    assert_eq!(write(&wanted, &input, &output).unwrap().removed.len(), 1);
    assert!(
        !unpacked(&output).contains_key(list),
        "an empty list is none"
    );
    compiled.add(b"native");
    wanted.compiled = Some(compiled.clone());
    write(&wanted, &input, &output).unwrap();
    let (member, contents) = &unpacked(&output)[list];
    assert_eq!((member.mode, member.uid), (libc::S_IFREG | 0o600, 0));
    assert_eq!(*contents, compiled.to_bytes());
    let mut kept = survey(&output, &folder.path().join("root"))
        .unwrap()
        .policies;
    assert_eq!(Compiled::of(&kept).unwrap(), compiled);
    wanted.stage(&mut kept).unwrap();
    assert_eq!(Compiled::of(&kept).unwrap(), compiled);
}

#[test]
fn nothing_of_a_policy_that_is_replaced_stays_and_nothing_else_goes() {
    let folder = tempfile::tempdir().unwrap();
    let old: &[Named<'_>] = &[
        ("init", Some(b"#!")),
        ("etc", None),
        ("etc/switch-root", None),
        (IN_OPERATOR, None),
        ("etc/switch-root/policies.d/50-a.wasm", Some(b"old")),
        ("./etc/switch-root/policies.d/50-a.cwasm", Some(b"old")),
        ("/etc/switch-root/policies.d/50-a.json", Some(b"old")),
        ("etc/switch-root/policies.d/50-a.cwasm.sig", Some(b"old")),
        ("etc/switch-root/policies.d/50-ab.json", Some(b"other")),
        (
            "usr/lib/switch-root/policies.d/50-a.json",
            Some(b"vendor's"),
        ),
    ];
    let input = image(folder.path(), &[old]);
    let once = folder.path().join("once");
    let replaced = write(&additions(None), &input, &once).unwrap();
    assert_eq!(replaced.removed.len(), 4, "{:?}", replaced.removed);
    let twice = folder.path().join("twice");
    write(&additions(None), &once, &twice).unwrap();
    assert_eq!(fs::read(&once).unwrap(), fs::read(&twice).unwrap());
    let all = unpacked(&twice);
    let policies: Vec<_> = all
        .keys()
        .filter(|path| path.contains("policies.d/"))
        .collect();
    assert_eq!(
        policies,
        [
            "etc/switch-root/policies.d/50-a.wasm",
            "etc/switch-root/policies.d/50-a.wasm.sig",
            "etc/switch-root/policies.d/50-ab.json",
            "usr/lib/switch-root/policies.d/50-a.json",
        ]
    );
    assert_eq!(all["etc/switch-root/policies.d/50-a.wasm"].1, b"new wasm");
    assert!(all.contains_key("init"));
}

#[test]
fn a_hard_link_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(Vec::new());
    let member = Member {
        name: b"etc/switch-root/policies.d/50-a.json".to_vec(),
        mode: libc::S_IFREG | 0o644,
        nlink: 2,
        ..Member::default()
    };
    writer.member(&member, &mut &b""[..], &mut |_| {}).unwrap();
    let input = folder.path().join("in");
    fs::write(&input, writer.finish().unwrap()).unwrap();
    let error = write(&additions(None), &input, &folder.path().join("out")).unwrap_err();
    assert!(error.to_string().contains("hard links"), "{error}");
}

#[test]
fn links_on_the_way_to_policies_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |name: &str| {
        let member = Member {
            name: name.into(),
            mode: libc::S_IFLNK | 0o777,
            size: 4,
            ..Member::default()
        };
        let mut writer = Writer::new(Vec::new());
        writer
            .member(&member, &mut &b"/run"[..], &mut |_| {})
            .unwrap();
        let input = folder.path().join("in");
        fs::write(&input, writer.finish().unwrap()).unwrap();
        survey(&input, &folder.path().join("root"))
            .err()
            .map(|error| error.to_string())
    };
    for (name, advice) in [
        ("etc", "directory"),
        ("etc/switch-root", "directory"),
        ("usr/lib/switch-root/trust", "directory"),
        ("usr/lib/switch-root/trust/a.signers", "file"),
    ] {
        let refusal = refusal(name).unwrap();
        let expected = format!("/{name} of the image is a symbolic link");
        assert!(
            refusal.contains(&expected) && refusal.ends_with(&format!("{advice} in its place")),
            "{refusal}"
        );
    }
    for name in ["lib", "etc/mtab", "etc/switch-root/policies.d/50-a.wasm"] {
        assert_eq!(refusal(name), None, "{name}");
    }
}

#[test]
fn what_is_staged_is_found_as_at_boot() {
    let folder = tempfile::tempdir().unwrap();
    let old: &[Named<'_>] = &[
        ("etc/switch-root/policies.d/50-a.wasm", Some(b"old")),
        ("etc/switch-root/policies.d/50-a.json", Some(b"{")),
        ("usr/lib/switch-root/trust", None),
    ];
    let input = image(folder.path(), &[old]);
    let mut kept = survey(&input, &folder.path().join("root"))
        .unwrap()
        .policies;
    assert!(kept.has(Path::new(TRUST)));
    assert!(overriding(&kept, "50-a").is_some() && overriding(&kept, "50-b").is_none());
    additions(None).stage(&mut kept).unwrap();
    let found = folder::discover_in(&kept, None);
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].digest, Some(policy::engine::digest(b"new wasm")));
}

#[test]
fn names_are_those_of_files() {
    for (stem, name) in [
        ("keep", "50-keep"),
        ("30-keep", "30-keep"),
        ("3-x", "50-3-x"),
        ("é-x", "50-é-x"),
    ] {
        assert_eq!(default_name(stem), name);
        check_name(name).unwrap();
    }
    for name in ["", ".a", "a/b", "../a", "a\nb", &"x".repeat(201)] {
        assert!(check_name(name).is_err(), "{name}");
    }
    let folders: Vec<_> = with_parents(VENDOR).collect();
    assert_eq!(
        folders,
        [
            "usr",
            "usr/lib",
            "usr/lib/switch-root",
            "usr/lib/switch-root/policies.d"
        ]
    );
}
