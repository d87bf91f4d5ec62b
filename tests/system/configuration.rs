//! `srctl config add-extension` and `srctl config remove-extension`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::check::{ensure, says};
use crate::srctl::Desk;
use crate::tools::{Checked, cases};

cases![
    an_extension_is_added_and_nothing_else_is_touched,
    an_extension_is_removed_and_nothing_else_is_touched,
    the_result_can_go_elsewhere,
    what_cannot_be_done_leaves_the_file_as_it_was,
];

const BEFORE: &str = "\
# The machine of the cellar.   \n\
version: v1alpha1
machine:
    type: worker   # it only works
    install:
        disk: \"/dev/sda\"

        extensions:
            # for the console
            - image: ghcr.io/siderolabs/gvisor:20260101.0 # pinned
    sysctls: { a.b: 010, c: 'x' }

---
kind: Other
extensions: [untouched]
...
";
const ONE: &str = "            - image: ghcr.io/siderolabs/gvisor:20260101.0 # pinned\n";
/// An image that is not there yet.
pub const NEW: &str = "ghcr.io/siderolabs/iscsi-tools:v0.2.0";

fn added() -> String {
    BEFORE.replace(ONE, &format!("{ONE}            - image: {NEW}\n"))
}

fn an_extension_is_added_and_nothing_else_is_touched() -> Checked {
    let desk = Desk::new()?;
    desk.write("machine.yaml", BEFORE)?;
    fs::set_permissions(desk.path("machine.yaml"), Permissions::from_mode(0o640))?;
    let printed = desk.succeeds(&format!("config add-extension machine.yaml {NEW}"))?;
    ensure!(
        printed == format!("added {NEW}, wrote machine.yaml\n"),
        "it printed {printed}"
    );
    let after = String::from_utf8(desk.read("machine.yaml")?)?;
    ensure!(after == added(), "it became\n{after}");
    let entry = desk.everything()?;
    ensure!(
        entry["/machine.yaml"].mode == 0o640 && entry.len() == 1,
        "{entry:?}"
    );
    // Another version of one that is there is said to be one.
    let ran = desk.run("config add-extension machine.yaml ghcr.io/siderolabs/iscsi-tools:v9")?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    says(&ran.stderr, &["warning", NEW, "two versions"])
}

fn an_extension_is_removed_and_nothing_else_is_touched() -> Checked {
    let desk = Desk::new()?;
    desk.write("machine.yaml", added())?;
    fs::set_permissions(desk.path("machine.yaml"), Permissions::from_mode(0o600))?;
    desk.succeeds(&format!("config remove-extension machine.yaml {NEW}"))?;
    let after = String::from_utf8(desk.read("machine.yaml")?)?;
    ensure!(after == BEFORE, "it became\n{after}");
    ensure!(
        desk.everything()?["/machine.yaml"].mode == 0o600,
        "its mode"
    );
    // The last one leaves a list that is empty, and the comment above it.
    desk.succeeds("config remove-extension machine.yaml ghcr.io/siderolabs/gvisor:20260101.0")?;
    let after = String::from_utf8(desk.read("machine.yaml")?)?;
    ensure!(!after.contains("gvisor"), "it became\n{after}");
    for line in BEFORE
        .lines()
        .filter(|line| !line.contains("gvisor") && *line != "        extensions:")
    {
        ensure!(after.contains(line), "{line:?} is not in\n{after}");
    }
    desk.succeeds(&format!("config add-extension machine.yaml {NEW}"))?;
    let filled = String::from_utf8(desk.read("machine.yaml")?)?;
    let expected = BEFORE.replace("ghcr.io/siderolabs/gvisor:20260101.0 # pinned", NEW);
    ensure!(filled == expected, "it became\n{filled}");
    Ok(())
}

fn the_result_can_go_elsewhere() -> Checked {
    let desk = Desk::new()?;
    desk.write("machine.yaml", BEFORE)?;
    let add = format!("config add-extension machine.yaml {NEW} --output");
    let ran = desk.changes_nothing(&format!("{add} -"), 0)?;
    ensure!(ran.stdout == added(), "{}", ran.said());
    desk.succeeds(&format!("{add} new.yaml"))?;
    ensure!(desk.read("new.yaml")? == added().as_bytes(), "another file");
    ensure!(
        desk.read("machine.yaml")? == BEFORE.as_bytes(),
        "it changed"
    );
    // A link stays one.
    std::os::unix::fs::symlink("machine.yaml", desk.path("link.yaml"))?;
    desk.succeeds(&format!("config add-extension link.yaml {NEW}"))?;
    ensure!(desk.path("link.yaml").is_symlink(), "the link is gone");
    ensure!(
        desk.read("machine.yaml")? == added().as_bytes(),
        "not at the link's end"
    );
    Ok(())
}

fn what_cannot_be_done_leaves_the_file_as_it_was() -> Checked {
    let desk = Desk::new()?;
    desk.write("machine.yaml", added())?;
    let both = [NEW, "gvisor:20260101.0"];
    let missing = "config remove-extension machine.yaml ghcr.io/a/b:v1";
    desk.fails(
        missing,
        &[&["not among the extensions"][..], &both].concat(),
    )?;
    desk.fails(
        &format!("config add-extension machine.yaml {NEW}"),
        &[NEW, "there already", "line 11"],
    )?;
    let usage = desk.changes_nothing("config add-extension machine.yaml a//b", 2)?;
    says(&usage.stderr, &["a//b", "REGISTRY/NAME:TAG"])?;
    desk.fails(
        &format!("config add-extension nowhere.yaml {NEW}"),
        &["cannot read nowhere.yaml"],
    )?;
    for (text, words) in [
        (
            "machine: [",
            &["machine.yaml is not YAML: line 2 column 1: "][..],
        ),
        (
            "machine:\n  install: disk\n",
            &["line 2 column 12", "mapping"],
        ),
        (
            "machine:\n  install: &i\n    extensions: []\nother: *i\n",
            &["write it there yourself"],
        ),
    ] {
        desk.write("machine.yaml", text)?;
        desk.fails(&format!("config add-extension machine.yaml {NEW}"), words)?;
    }
    Ok(())
}
