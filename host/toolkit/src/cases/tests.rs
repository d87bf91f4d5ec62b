use std::collections::BTreeMap;
use std::fs;

use switch_root_core::contract::{Entry, HostFacts};
use switch_root_core::file_kind::FileKind;

use super::bless::bless;
use super::case::{Case, parse};
use super::difference;

use super::*;
use crate::answers::{Answers, Opinion, Say};
use crate::ask::Initramfs;

fn yaml(text: &str) -> Result<Case> {
    parse(text, Path::new("a.yaml"))
}

fn toml(text: &str) -> Result<Case> {
    parse(text, Path::new("a.toml"))
}

fn answers(decisions: &[(&str, Say)]) -> Answers {
    let decisions = decisions.iter().cloned();
    Answers {
        decisions: decisions
            .map(|(path, say)| (path.to_owned(), say))
            .collect(),
        ..Answers::default()
    }
}

#[test]
fn both_forms_say_the_same() {
    let one = yaml(
        r#"
host: {os-release: {ID: talos, VERSION_ID: 1.10}, kernel-release: 6.12.1, architecture: x86_64}
settings: {n: 1, version: 1.10}
expect:
  decisions: {/a: keep, /b: {carry: /c}}
  verdicts: {x.sqsh: {incompatible: no}}
  error: {question: load, kind: fuel, message: ran out}
"#,
    )
    .unwrap();
    let two = toml(
        r#"
[host]
os-release = "VERSION_ID=1.10\nID=talos"
kernel-release = "6.12.1"
architecture = "x86_64"
[settings]
n = 1
version = "1.10"
[expect.decisions]
"/a" = "keep"
"/b" = {carry = "/c"}
[expect.verdicts]
"x.sqsh" = {incompatible = "no"}
[expect.error]
question = "load"
kind = "fuel"
message = "ran out"
"#,
    )
    .unwrap();
    assert_eq!(one.expect, two.expect);
    assert_eq!(one.settings, two.settings);
    let facts = |case: &Case| {
        let mut facts: HostFacts = case.host.facts();
        facts.os_release.sort();
        facts
    };
    assert_eq!(facts(&one), facts(&two));
    // Not the number that it could be.
    assert_eq!(facts(&one).os_release[1].1, "1.10");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, parts) in [
        ("", &["is empty"][..]),
        ("- a", &["a list"]),
        (
            "tree: {}\nsetings: {}",
            &["line 2 column 1", "unknown field `setings`", "`settings`"],
        ),
        (
            "tree:\n  /a: {contnts: x}",
            &["line 2", "unknown field `contnts`", "`contents`"],
        ),
        ("tree: {/a: {mode: 0888}}", &["four octal digits"]),
        ("tree: {/a: {mode: 017777}}", &["four octal digits"]),
        ("limits: {fule: 1}", &["unknown field `fule`"]),
        (
            "expect: {decisions: {/a: delete}}",
            &["unknown variant `delete`", "`keep`"],
        ),
        (
            "expect: {error: {question: load, kind: odd, message: x}}",
            &["unknown variant `odd`"],
        ),
        ("tree: {}\ninitramfs: a", &["both `tree` and `initramfs`"]),
        ("a: b\na: c", &["stands twice"]),
    ] {
        let error = yaml(text).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(error.contains("a.yaml"), "{error}");
    }
    let error = toml("[tree]\n\"/a\" = {size = -1}")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("line 2") && error.contains("number of bytes"),
        "{error}"
    );
    let error = toml("setings = 1").unwrap_err().to_string();
    assert!(error.contains("unknown field `setings`"), "{error}");
}

fn tree(text: &str) -> Result<Initramfs> {
    let case = yaml(text)?;
    Ok(initramfs::of(&case, Path::new("a.yaml"))?.unwrap())
}

#[test]
fn a_tree_is_made_of_what_is_said_of_its_paths() {
    let tree = tree(
        r#"
tree:
  /a: contents
  /b/: {}
  /b/c: {size: 10000000000, mode: "0600"}
  /d: {symlink: a}
  /e: {kind: fifo}
  /f: {mount-point: true}
  /g: {kind: file, mode: 4755}
  "/h\\xff\\\\": ""
"#,
    )
    .unwrap();
    let entry = |name: &[u8], kind, size, mode| Entry {
        name: name.to_vec(),
        kind,
        size,
        mode,
        mount_point: false,
    };
    let mut entries = tree.list(b"/").unwrap();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    // What the size of a directory is is the file system's business.
    for entry in &mut entries {
        if entry.kind == FileKind::Directory {
            entry.size = 0;
        }
    }
    let expected = [
        entry(b"a", FileKind::Regular, 8, 0o644),
        entry(b"b", FileKind::Directory, 0, 0o755),
        entry(b"d", FileKind::Symlink, 1, 0o777),
        entry(b"e", FileKind::Fifo, 0, 0o644),
        Entry {
            mount_point: true,
            ..entry(b"f", FileKind::Directory, 0, 0o755)
        },
        entry(b"g", FileKind::Regular, 0, 0o4755),
        entry(b"h\xff\\", FileKind::Regular, 0, 0o644),
    ];
    assert_eq!(entries, expected);
    let below = tree.list(b"/b").unwrap();
    assert_eq!(
        below,
        [entry(b"c", FileKind::Regular, 10_000_000_000, 0o600)]
    );
}

#[test]
fn a_tree_that_cannot_be_is_refused() {
    for (item, part) in [
        ("a: x", "no absolute path"),
        ("/: {}", "a part that is empty"),
        ("/a/../b: x", "`..`"),
        ("/a//b: x", "empty"),
        ("'/a\\x': x", "backslash"),
        ("/a/: x", "two different things"),
        ("/a: {kind: directory, symlink: b}", "two different things"),
        ("/a: {kind: symlink}", "needs `symlink`"),
        ("/a: {size: 1, contents: x}", "more than one"),
    ] {
        let error = tree(&format!("tree:\n  {item}\n")).map(drop).unwrap_err();
        assert!(error.to_string().contains(part), "{item}: {error}");
    }
}

#[test]
fn blessing_leaves_everything_else_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let new = answers(&[("/a", Say::Keep), ("/b", Say::Carry("/c".into()))]);
    let written = "expect:\n  decisions:\n    /a: keep\n    /b:\n      carry: /c\n";
    for (before, after) in [
        ("# é\ntree: {}", format!("# é\ntree: {{}}\n{written}")),
        (
            "# é\nexpect: {decisions: {}} # gone\n\n# of the next\ntree: {}\n# end",
            format!("# é\n{written}\n# of the next\ntree: {{}}\n# end"),
        ),
        (
            "tree: {}\nexpect:\n  decisions:\n    /z: keep\n    # inside\n# end\n",
            format!("tree: {{}}\n{written}# end\n"),
        ),
    ] {
        let file = folder.path().join("a.yaml");
        fs::write(&file, before).unwrap();
        assert!(bless(&file, before, &new).unwrap());
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text, after);
        assert!(!bless(&file, &text, &new).unwrap(), "{text}");
    }
    let before = "# é\n[tree] # t\n\"/a\" = \"x\"\n\n[expect.decisions]\n\"/z\" = \"keep\"\n\n[settings]\nb = 1 # one\n";
    let file = folder.path().join("a.toml");
    fs::write(&file, before).unwrap();
    assert!(bless(&file, before, &new).unwrap());
    let text = fs::read_to_string(&file).unwrap();
    for part in [
        "# é\n[tree] # t\n\"/a\" = \"x\"\n",
        "[settings]\nb = 1 # one\n",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(toml(&text).unwrap().expect, Some(new.clone()));
    assert!(!bless(&file, &text, &new).unwrap(), "{text}");
    // A line on which nothing can be put.
    let error = bless(&file.with_extension("yaml"), "{tree: {}}", &new).unwrap_err();
    assert!(error.to_string().contains("first column"), "{error}");
}

#[test]
fn differences_are_told_path_by_path_and_not_without_end() {
    let expected = answers(&[("/a", Say::Keep), ("/b", Say::Descend)]);
    let mut actual = answers(&[("/a", Say::Carry("/x".into())), ("/c", Say::Keep)]);
    actual.verdicts.insert("l".into(), Opinion::Abstain);
    assert_eq!(
        difference::lines(&expected, &actual),
        [
            "/a: expected keep, answered carry to /x",
            "/b: expected descend, answered delete, or not asked",
            "/c: expected delete, or not asked, answered keep",
            "l: expected nothing, answered abstain",
        ]
    );
    let many: BTreeMap<String, Say> = (0..1000).map(|n| (format!("/{n}"), Say::Keep)).collect();
    let many = Answers {
        decisions: many,
        ..Answers::default()
    };
    let lines = difference::lines(&many, &Answers::default());
    assert_eq!(lines.last().unwrap(), "and 960 more");
    assert!(difference::lines(&many, &many).is_empty());
}

#[test]
fn a_folder_without_cases_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("README"), "").unwrap();
    let error = find(folder.path()).unwrap_err().to_string();
    assert!(error.contains("has no cases"), "{error}");
    for name in ["b.yml", "a.toml", "c.yaml"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let names: Vec<_> = find(folder.path())
        .unwrap()
        .iter()
        .map(|path| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["a.toml", "b.yml", "c.yaml"]);
}
