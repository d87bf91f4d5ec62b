use std::path::PathBuf;

use super::*;
use crate::folder;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

struct Extensions(tempfile::TempDir);

impl Extensions {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// An extension that nothing is wrong with.
    fn add(&self, folder: &str, metadata: &str) -> &Self {
        let manifest = format!("version: v1alpha1\nmetadata: {{{metadata}}}\n");
        self.directory(&format!("{folder}/rootfs"), 0o755);
        self.file(
            &format!("{folder}/manifest.yaml"),
            manifest.as_bytes(),
            0o644,
        )
    }

    fn directory(&self, path: &str, mode: u32) -> &Self {
        let mut so_far = self.0.path().to_owned();
        for name in Path::new(path) {
            so_far.push(name);
            if fs::create_dir(&so_far).is_ok() {
                chmod(&so_far, 0o755);
            }
        }
        chmod(&so_far, mode);
        self
    }

    fn file(&self, path: &str, bytes: &[u8], mode: u32) -> &Self {
        self.directory(Path::new(path).parent().unwrap().to_str().unwrap(), 0o755);
        fs::write(self.at(path), bytes).unwrap();
        chmod(&self.at(path), mode);
        self
    }

    fn link(&self, path: &str, target: &str) -> &Self {
        self.directory(Path::new(path).parent().unwrap().to_str().unwrap(), 0o755);
        symlink(target, self.at(path)).unwrap();
        self
    }

    fn findings(&self) -> Vec<Finding> {
        validate(&folder::list(self.0.path()).unwrap()).unwrap().1
    }

    /// Severity, rule and path of each finding.
    fn told(&self) -> Vec<(Severity, &'static str, String)> {
        let findings = self.findings().into_iter();
        findings
            .map(|finding| (finding.severity, finding.rule, finding.path))
            .collect()
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const ERROR: Severity = Severity::Error;
const WARNING: Severity = Severity::Warning;

#[track_caller]
fn assert_told(extensions: &Extensions, expected: &[(Severity, &'static str, &str)]) {
    let told = extensions.told();
    let told: Vec<_> = told
        .iter()
        .map(|(severity, rule, path)| (*severity, *rule, path.as_str()))
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn nothing_is_wrong_with_a_good_extension() {
    let extensions = Extensions::new();
    let module = crate::contents::elf_file(62, b"vermagic=6.1.0 SMP\0");
    extensions
        .add(
            "000.a",
            "name: a, version: 1.0.0, compatibility: {talos: {version: '>= 1.0'}}",
        )
        .file("000.a/rootfs/usr/local/bin/a", b"#!/bin/sh\n", 0o755)
        .file("000.a/rootfs/usr/lib/firmware/x.bin", b"x", 0o644)
        .file("000.a/rootfs/usr/lib/modules/6.1.0/a.ko", &module, 0o644)
        .file(
            "000.a/rootfs/usr/lib/extension-release.d/extension-release.a",
            b"ID=_any\n",
            0o644,
        )
        .link("000.a/rootfs/usr/local/bin/b", "a")
        .link("000.a/rootfs/usr/local/lib/c", "../../lib/firmware")
        .directory("000.a/rootfs/usr/local/empty", 0o755);
    assert_told(
        &extensions,
        &[(WARNING, "kernel-modules", "/usr/lib/modules/6.1.0")],
    );
    let (checked, _) = validate(&folder::list(extensions.0.path()).unwrap()).unwrap();
    assert_eq!(checked[0].name, "000.a");
    assert_eq!(checked[0].manifest.as_ref().unwrap().name, "a");
    assert_eq!(
        checked[0].metadata["switchRoot"],
        serde_json::json!({
            "kernelRelease": "6.1.0",
            "architecture": "x86_64",
            "extensionRelease": {"ID": "_any"},
        })
    );
    assert!(checked[0].contents.as_ref().unwrap().entries.len() > 10);
}

#[test]
fn which_extension_release_counts_must_be_clear() {
    let extensions = Extensions::new();
    let add = |folder: &str, name: &str, files: &[(&str, &[u8])]| {
        extensions.add(folder, &format!("name: {name}, version: 1"));
        for (file, bytes) in files {
            let file = format!("rootfs/usr/lib/extension-release.d/extension-release.{file}");
            extensions.file(&format!("{folder}/{file}"), bytes, 0o644);
        }
    };
    add("000.a", "a", &[("x", b"ID=a"), ("y", b"ID=a")]);
    add("001.b", "b", &[("b", b"ID=a"), ("z", b"\xff")]);
    let many: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let many: Vec<_> = many
        .iter()
        .map(|name| (name.as_str(), b"".as_slice()))
        .collect();
    add("002.c", "c", &many);
    let folder = "/usr/lib/extension-release.d";
    assert_told(
        &extensions,
        &[
            (WARNING, "extension-release", folder),
            (
                ERROR,
                "extension-release",
                &format!("{folder}/extension-release.z"),
            ),
            (ERROR, "extension-release", folder),
        ],
    );
}

#[test]
fn the_folder_holds_a_manifest_and_a_root_and_nothing_else() {
    let extensions = Extensions::new();
    extensions
        .directory("000.a", 0o755)
        .file("000.a/README\n", b"", 0o644)
        .file("001.b/rootfs", b"", 0o644)
        .link("001.b/manifest.yaml", "/etc/passwd")
        .add("002.c", "name: c")
        .add(
            "003.d",
            "name: d, version: 1, compatibility: {talos: {version: 'at least 1'}}",
        );
    assert_told(
        &extensions,
        &[
            (ERROR, "unexpected-file", r"README\x0a"),
            (ERROR, "rootfs-missing", "rootfs"),
            (ERROR, "manifest-missing", "manifest.yaml"),
            (ERROR, "rootfs-missing", "rootfs"),
            (ERROR, "manifest-missing", "manifest.yaml"),
            (ERROR, "manifest-invalid", "manifest.yaml"),
            (ERROR, "constraint", "manifest.yaml"),
        ],
    );
    let findings = extensions.findings();
    assert!(
        findings[5].message.contains("line 2 column"),
        "{findings:?}"
    );
    assert_eq!(findings[6].extension, "003.d");
    assert!(findings[6].message.contains("position 1"), "{findings:?}");
}

#[test]
fn files_belong_to_the_places_of_extensions() {
    let extensions = Extensions::new();
    extensions
        .add("000.a", "name: a, version: 1")
        .file("000.a/rootfs/usr/localevil/a/b", b"", 0o644)
        .file("000.a/rootfs/usr/localevil/c", b"", 0o644)
        .file("000.a/rootfs/lib/firmware/x", b"", 0o644)
        .file("000.a/rootfs/etc/passwd", b"", 0o644);
    assert_told(
        &extensions,
        &[
            (ERROR, "outside-allowed-paths", "/etc/passwd"),
            (ERROR, "outside-allowed-paths", "/lib"),
            (ERROR, "outside-allowed-paths", "/usr/localevil"),
        ],
    );
    assert!(extensions.findings()[1].message.contains("below /usr"));
}

#[test]
fn places_of_extensions_are_in_the_message_and_in_the_book() {
    let book = include_str!("../../../book/how-to/extensions.md").replace('\n', " ");
    let extensions = Extensions::new();
    extensions
        .add("000.a", "name: a, version: 1")
        .file("000.a/rootfs/opt/a", b"", 0o644);
    let message = extensions.findings().remove(0).message;
    for place in places::ALLOWED {
        assert!(message.contains(&format!("/{place}")), "{message}");
        assert!(book.contains(&format!("/{place}")), "{place}");
    }
}

#[test]
fn what_talos_takes_by_the_beginning_of_its_name_is_a_warning() {
    let extensions = Extensions::new();
    extensions
        .add("000.a", "name: a, version: 1")
        .file("000.a/rootfs/etc/vulkan/icd.d/a.json", b"", 0o644)
        .file("000.a/rootfs/etc/vulkansc/icd.d/a.json", b"", 0o644)
        .file("000.a/rootfs/etc/vulkansomething", b"", 0o644);
    assert_told(
        &extensions,
        &[
            (WARNING, "outside-allowed-paths", "/etc/vulkansc"),
            (ERROR, "outside-allowed-paths", "/etc/vulkansomething"),
        ],
    );
}

#[test]
fn empty_directories_are_taken_unless_they_hide_a_link() {
    let extensions = Extensions::new();
    extensions
        .add("000.a", "name: a, version: 1")
        .directory("000.a/rootfs/var/lib/a/b", 0o755)
        .directory("000.a/rootfs/opt", 0o755)
        .directory("000.a/rootfs/lib", 0o755)
        .file("000.a/rootfs/srv/a/b", b"", 0o644);
    assert_told(
        &extensions,
        &[
            (ERROR, "outside-allowed-paths", "/lib"),
            (ERROR, "outside-allowed-paths", "/srv"),
        ],
    );
}

#[test]
fn a_container_is_looked_at_as_a_root_of_its_own() {
    let extensions = Extensions::new();
    let root = "000.a/rootfs/usr/local/lib/containers/x";
    extensions
        .add("000.a", "name: a, version: 1")
        .link(&format!("{root}/bin/sh"), "/bin/busybox")
        .link(&format!("{root}/lib/a"), "../../../../../../etc/shadow")
        .link("000.a/rootfs/usr/local/lib/containers/y", "/bin/busybox")
        .directory(&format!("{root}/tmp"), 0o1777)
        .directory(&format!("{root}/all"), 0o777)
        .file(&format!("{root}/su"), b"", 0o4755)
        .file(&format!("{root}/file"), b"", 0o666);
    let x = |path: &str| format!("/usr/local/lib/containers/x/{path}");
    assert_told(
        &extensions,
        &[
            (ERROR, "world-writable", &x("all")),
            (ERROR, "world-writable", &x("file")),
            (WARNING, "symlink-escapes", &x("lib/a")),
            (ERROR, "setuid", &x("su")),
            (WARNING, "world-writable", &x("tmp")),
            (ERROR, "symlink-escapes", "/usr/local/lib/containers/y"),
        ],
    );
}

#[test]
fn permissions_are_looked_at_everywhere() {
    let extensions = Extensions::new();
    extensions
        .add("000.a", "name: a, version: 1")
        .file("000.a/rootfs/usr/local/a", b"", 0o666)
        .file("000.a/rootfs/usr/local/b", b"", 0o4755)
        .file("000.a/rootfs/usr/local/c", b"", 0o2755)
        .directory("000.a/rootfs/usr/local/d", 0o1777)
        .directory("000.a/rootfs/usr/local/e", 0o750)
        .directory("000.a/rootfs/usr/share", 0o700)
        .directory("000.a/rootfs", 0o700);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        extensions.at("000.a/rootfs/usr/local/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert_told(
        &extensions,
        &[
            (ERROR, "root-directory-mode", "/"),
            (ERROR, "world-writable", "/usr/local/a"),
            (ERROR, "setuid", "/usr/local/b"),
            (ERROR, "setuid", "/usr/local/c"),
            (ERROR, "world-writable", "/usr/local/d"),
            (WARNING, "directory-mode", "/usr/local/e"),
            (ERROR, "special-file", "/usr/local/pipe"),
            (ERROR, "directory-mode", "/usr/share"),
        ],
    );
}

#[test]
fn links_stay_in_the_root() {
    let extensions = Extensions::new();
    extensions
        .add("000.a", "name: a, version: 1")
        .link("000.a/rootfs/usr/local/a", "../../../etc/shadow")
        .link("000.a/rootfs/usr/local/b", "/etc/shadow")
        .link("000.a/rootfs/usr/local/c", "/usr/local/bin/c")
        .link("000.a/rootfs/usr/local/d", "../lib/libc.so.6")
        .link("000.a/rootfs/usr/lib", "local/lib");
    assert_told(
        &extensions,
        &[
            (ERROR, "outside-allowed-paths", "/usr/lib"),
            (ERROR, "not-a-directory", "/usr/lib"),
            (ERROR, "symlink-escapes", "/usr/local/a"),
            (ERROR, "symlink-escapes", "/usr/local/b"),
            (WARNING, "symlink-escapes", "/usr/local/c"),
            (WARNING, "symlink-target", "/usr/local/d"),
        ],
    );
}

#[test]
fn kernels_and_machines_are_compared_with_the_manifest() {
    let extensions = Extensions::new();
    let module = crate::contents::elf_file(183, b"vermagic=6.1.1 SMP\0");
    extensions
        .add(
            "000.a",
            "name: a, version: 1, extraInfo: {kernelRelease: 6.1.2, architecture: amd64}",
        )
        .file("000.a/rootfs/usr/lib/modules/6.1.0/a.ko", &module, 0o644)
        .file("000.a/rootfs/usr/lib/modules/6.1.2/b.ko.xz", b"", 0o644)
        .file(
            "000.a/rootfs/usr/local/bin/a",
            &crate::contents::elf_file(3, b""),
            0o755,
        );
    assert_told(
        &extensions,
        &[
            (WARNING, "kernel-modules", "/usr/lib/modules/6.1.0"),
            (WARNING, "kernel-modules", "/usr/lib/modules/6.1.2"),
            (ERROR, "kernel-release", "/usr/lib/modules/6.1.0/a.ko"),
            (ERROR, "kernel-release", "/usr/lib/modules/6.1.0"),
            (WARNING, "kernel-release", "/usr/lib/modules"),
            (ERROR, "architecture", "/usr/lib/modules/6.1.0/a.ko"),
            (WARNING, "architecture", "/"),
        ],
    );
}

#[test]
fn what_does_not_work_in_a_layer_is_a_warning() {
    let extensions = Extensions::new();
    extensions
        .add("000.a", "name: a, version: 1")
        .file(
            "000.a/rootfs/usr/lib/firmware/intel-ucode/06-8e",
            b"x",
            0o644,
        )
        .file("000.a/rootfs/usr/lib/firmware/amd-ucode/x.bin", b"x", 0o644)
        .file("000.a/rootfs/usr/lib/firmware/amd-ucode.txt", b"x", 0o644)
        .file("000.a/rootfs/usr/local/bin/ping", b"x", 0o755);
    let mut expected = vec![
        (WARNING, "microcode", "/usr/lib/firmware/amd-ucode"),
        (WARNING, "microcode", "/usr/lib/firmware/intel-ucode"),
    ];
    let ping = extensions.at("000.a/rootfs/usr/local/bin/ping");
    // Not every file system has attributes.
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::lsetxattr(&ping, "user.x", b"x", flags).is_ok() {
        expected.push((WARNING, "attributes", "/usr/local/bin/ping"));
    }
    assert_told(&extensions, &expected);
}

#[test]
fn layers_are_compared_with_each_other() {
    let extensions = Extensions::new();
    extensions
        .add("000.a", "name: a, version: 1")
        .file("000.a/rootfs/usr/local/same", b"", 0o644)
        .file("000.a/rootfs/usr/local/kind", b"", 0o644)
        .add("001.b", "name: b, version: 1")
        .file("001.b/rootfs/usr/local/same", b"", 0o644)
        .directory("001.b/rootfs/usr/local/kind", 0o755)
        .add("002.c", "name: a, version: 2");
    assert_told(
        &extensions,
        &[
            (ERROR, "duplicate-file", "/usr/local/kind"),
            (WARNING, "duplicate-file", "/usr/local/same"),
            (ERROR, "duplicate-name", "manifest.yaml"),
        ],
    );
    let findings = extensions.findings();
    assert_eq!(findings[0].extension, "001.b");
    let versions = "000.a, in the version 1, and this is 2";
    assert!(findings[2].message.contains(versions), "{findings:?}");
}

#[test]
fn requirements_and_conflicts_are_held_against_the_other_extensions() {
    let extensions = Extensions::new();
    extensions
        .add("000.a", "name: a, version: 1.0.0, extraInfo: {requires: 'b >= 1.2, < 2.0, a', conflicts: 'c < 2.0, d'}")
        .add("001.b", "name: b, version: 1.5.0, extraInfo: {requires: 'a > 1.0.0, nowhere, c 1.x'}")
        .add("002.c", "name: c, version: latest, extraInfo: {conflicts: [a <= 1.0.0, b < 1.0]}")
        .add("003.e", "name: e, version: 1, extraInfo: {requires: a >= latest, conflicts: {}, kernelRelease: [[]], extensionRelease: a}")
        .add("004.f", "name: f, version: 1, extraInfo: [a]")
        .add("005.g", "name: g, version: 1, extraInfo: a text");
    assert_told(
        &extensions,
        &[
            (ERROR, "conflicts", "manifest.yaml"),
            (ERROR, "requires", "manifest.yaml"),
            (ERROR, "requires", "manifest.yaml"),
            (ERROR, "requires", "manifest.yaml"),
            (ERROR, "conflicts", "manifest.yaml"),
            (ERROR, "manifest-invalid", "manifest.yaml"),
            (ERROR, "manifest-invalid", "manifest.yaml"),
            (ERROR, "constraint", "manifest.yaml"),
            (ERROR, "manifest-invalid", "manifest.yaml"),
            (ERROR, "manifest-invalid", "manifest.yaml"),
        ],
    );
    let messages: Vec<String> = extensions
        .findings()
        .into_iter()
        .map(|finding| finding.message)
        .collect();
    assert_eq!(
        messages[1],
        "b requires a > 1.0.0, and its version \"1.0.0\" is there"
    );
    assert!(
        messages[0].contains("\"latest\" cannot be compared"),
        "{messages:?}"
    );
    assert!(
        messages[2].contains("nowhere is not there; add it"),
        "{messages:?}"
    );
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let missing = Unpacked {
        name: "000.a".into(),
        path: "/nowhere".into(),
    };
    let error = validate(&[missing]).unwrap_err().to_string();
    assert!(error.contains("/nowhere"), "{error}");
}

#[test]
fn owners_other_than_root_are_counted_once() {
    if !rustix::process::geteuid().is_root() {
        // Only root can make them.
        return;
    }
    let extensions = Extensions::new();
    extensions
        .add("000.a", "name: a, version: 1")
        .file("000.a/rootfs/usr/local/a", b"", 0o644)
        .file("000.a/rootfs/usr/local/b", b"", 0o644);
    for name in ["a", "b"] {
        let path = extensions.at(&format!("000.a/rootfs/usr/local/{name}"));
        std::os::unix::fs::chown(path, Some(12345), None).unwrap();
    }
    assert_told(&extensions, &[(WARNING, "owner", "/usr/local/a")]);
    assert!(extensions.findings()[0].message.starts_with("2 of the"));
}
