//! Policies that ship, in the whole: sysext from the file in an extension to the verdict, and
//! handover at a boot. The cases beside each policy ask it alone.

use switch_root_tests::archive::members;
use switch_root_tests::scene::Scene;
use switch_root_tests::steps::{Make, Step, Steps};

use crate::check::{boots, ensure, says};
use crate::srctl::{Desk, extension, json};
use crate::tools::{Checked, Policies, Stop, boot, cases, policy};

cases![
    extension_release_of_an_extension_is_recorded_and_compared,
    handover_keeps_what_dracut_leaves_and_deletes_keys,
    handover_keeps_keys_and_carries_names_where_it_is_told_to,
];

/// An extension with such a file.
fn with_release(text: &str) -> Vec<Step> {
    let path = "/rootfs/usr/lib/extension-release.d/extension-release.a";
    extension("a").file(path, text)
}

fn extension_release_of_an_extension_is_recorded_and_compared() -> Checked {
    let desk = Desk::new()?;
    let text = "ID=talos\nVERSION_ID=\"v1.9.0\"\nNAME=unrelated\n";
    desk.tree("all/000.a", &with_release(text))?;
    let policies = Vec::new().file("/30-sysext.wasm", policy("sysext")?);
    desk.tree("policies", &policies)?;
    let ask = "extension validate all --policies policies --format json --target-version";
    for (version, status) in [("v1.9.0", 0), ("v1.9.1", 3)] {
        let ran = desk.changes_nothing(&format!("{ask} {version}"), status)?;
        let printed = json(&ran.stdout)?;
        if status == 3 {
            let reason = &printed["verdicts"][0]["reasons"][0];
            ensure!(reason["policy"] == "30-sysext", "{printed:#}");
            let words = [r#"its VERSION_ID is \"v1.9.0\""#, r#"is \"v1.9.1\""#];
            says(&ran.stdout, &words)?;
        }
    }
    desk.succeeds("extension pack all --compression none --output all.img")?;
    let members = members(&desk.read("all.img")?)?;
    let list = String::from_utf8_lossy(&members[0].1);
    says(&list, &["extensionRelease:", "VERSION_ID: v1.9.0"])?;
    ensure!(!list.contains("unrelated"), "{list}");
    // What is no text cannot be recorded, so such an extension is not packed.
    let long = "#".repeat(70_000);
    desk.tree("bad/000.a", &with_release(&long))?;
    let ran = desk.changes_nothing("extension pack bad --output bad.img", 3)?;
    says(&ran.said(), &["extension-release.a", "65536 bytes"])
}

/// What dracut and cryptsetup leave, each in a place of its own.
fn left_behind() -> Result<Scene, Stop> {
    let key = Make::File {
        mode: 0o400,
        content: "key".into(),
    };
    Ok(boot()?
        .file("/etc/crypttab", "root UUID=1 none\n")
        .file("/etc/initiatorname.iscsi", "InitiatorName=a\n")
        .file("/etc/passwd", "root")
        .file("/etc/resolv.conf", "nameserver 192.0.2.1\n")
        .file("/tmp/net.ifaces", "eth0")
        .file("/tmp/export.orig", "a")
        .file("/usr/lib/dracut/hooks/shutdown/30-dm.sh", "a")
        .file("/usr/lib/dracut/hooks/mount/10-a.sh", "a")
        .make("/cryptroot/keyfiles/root.key", key))
}

fn handover_keeps_what_dracut_leaves_and_deletes_keys() -> Checked {
    let scene = left_behind()?.policy("20-handover", policy("handover")?, None);
    boots(&scene)?.left(&[
        "/etc/crypttab",
        "/etc/initiatorname.iscsi",
        "/etc/resolv.conf",
        "/tmp/net.ifaces",
        "*/usr/lib/dracut/hooks/shutdown",
    ])
}

fn handover_keeps_keys_and_carries_names_where_it_is_told_to() -> Checked {
    let sidecar = r#"{"settings": {"groups": {"network": false, "storage": "carry", "luks-keys": true, "shutdown": false}, "also": ["/tmp/*.orig"]}}"#;
    let target = "/etc/iscsi/initiatorname.iscsi";
    let scene = left_behind()?
        .policy("20-handover", policy("handover")?, Some(sidecar))
        .in_new_root(|tree| tree.file(target, "hidden"))
        .look_at([target]);
    let booted = boots(&scene)?;
    booted.left(&[
        "/etc/crypttab",
        "/etc/initiatorname.iscsi",
        "*/cryptroot/keyfiles",
        "/tmp/export.orig",
    ])?;
    booted.read_only(target, "InitiatorName=a\\x0a")
}
