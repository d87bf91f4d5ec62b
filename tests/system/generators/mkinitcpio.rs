//! mkinitcpio, which Debian does not have: its install file is run with functions of the
//! names and meanings that mkinitcpio(8) gives.

use std::fs;
use std::process::Command;

use switch_root_tests::apply::apply_in;
use switch_root_tests::steps::{Content, Steps};
use tempfile::TempDir;

use crate::check::{ensure, says};
use crate::srctl::{Ran, tree};
use crate::tools::{Checked, Stop, cases};

use super::ours;

cases![
    with_busybox_switch_root_is_ours_and_the_switch_is_checked,
    with_systemd_a_unit_is_required,
    where_no_image_may_be_made_mkinitcpio_ends,
    a_switch_that_would_be_refused_ends_in_a_shell,
];

/// mkinitcpio's functions, the file's own environment in place of this machine's.
const HARNESS: &str = r#"
set -u
BUILDROOT=$1/image
_machine=$1/machine
error() { printf 'error: %s\n' "$1" >&2; }
add_file() {
    mkdir -p "$BUILDROOT${2%/*}"
    install -m "${3:-644}" "$_machine$1" "$BUILDROOT$2.new" && mv "$BUILDROOT$2.new" "$BUILDROOT$2"
}
add_symlink() {
    mkdir -p "$BUILDROOT${1%/*}"
    ln -sfn "$2" "$BUILDROOT$1"
}
add_runscript() { echo switch-root >"$BUILDROOT/runscripts"; }
/usr/lib/switch-root/into-image() { "$_machine/into-image" "$1"; }
. "$2"
help >"$1/help"
build
echo the image is written
"#;

/// Runs the install file; `into_image` is what the shared part does.
fn build(image: &[&str], into_image: &str) -> Result<(Ran, TempDir), Stop> {
    let folder = TempDir::new()?;
    let unit = "/machine/usr/lib/systemd/system/switch-root-preserve.service";
    let mut steps = Vec::new()
        .directory("/image/usr/bin")
        .executable("/machine/usr/lib/switch-root/switch_root", "ours")
        .file(unit, "[Unit]\n")
        .executable("/machine/into-image", Content::from(into_image));
    for path in image {
        steps = steps.executable(format!("/image{path}"), "theirs");
    }
    apply_in(folder.path(), &steps)?;
    let ended = Command::new("bash")
        .args(["-c", HARNESS, "bash"])
        .arg(folder.path())
        .arg(ours("mkinitcpio/install/switch-root"))
        .output()?;
    Ok((Ran::new("install/switch-root", &ended), folder))
}

const WELL: &str = "#!/bin/sh\necho /usr/lib/switch-root/switch_root\n";

fn with_busybox_switch_root_is_ours_and_the_switch_is_checked() -> Checked {
    let (ran, folder) = build(&["/usr/bin/busybox", "/usr/bin/switch_root"], WELL)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    let image = tree(&folder.path().join("image"))?;
    let link = image["/usr/bin/switch_root"].content.as_deref();
    ensure!(
        link == Some("/usr/lib/switch-root/switch_root"),
        "{link:?}\n{}",
        ran.said()
    );
    let binary = &image["/usr/lib/switch-root/switch_root"];
    ensure!(binary.mode == 0o755, "{binary:?}");
    ensure!(
        image.contains_key("/runscripts"),
        "the switch is not checked"
    );
    ensure!(image.contains_key("/usr/bin/busybox"), "busybox is gone");
    says(
        &fs::read_to_string(folder.path().join("help"))?,
        &["/etc/switch-root/initramfs.conf"],
    )
}

fn with_systemd_a_unit_is_required() -> Checked {
    let (ran, folder) = build(&["/usr/lib/systemd/systemd", "/usr/bin/switch_root"], WELL)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    let image = tree(&folder.path().join("image"))?;
    let units = "/usr/lib/systemd/system";
    let required =
        format!("{units}/initrd-switch-root.service.requires/switch-root-preserve.service");
    let link = image.get(&required).and_then(|entry| entry.content.clone());
    ensure!(
        link.as_deref() == Some("../switch-root-preserve.service"),
        "{link:?}\n{}",
        ran.said()
    );
    ensure!(
        image.contains_key(&format!("{units}/switch-root-preserve.service")),
        "there is no unit"
    );
    ensure!(
        image["/usr/bin/switch_root"].kind == "file",
        "it was replaced"
    );
    ensure!(!image.contains_key("/runscripts"), "it is checked twice");
    Ok(())
}

fn where_no_image_may_be_made_mkinitcpio_ends() -> Checked {
    let (ran, _) = build(&[], "#!/bin/sh\nexit 1\n")?;
    ensure!(ran.status == Some(1), "{}", ran.said());
    ensure!(ran.stdout.is_empty(), "an image is written\n{}", ran.said());
    says(&ran.stderr, &["no image is made"])
}

fn a_switch_that_would_be_refused_ends_in_a_shell() -> Checked {
    let hook = fs::read_to_string(ours("mkinitcpio/hooks/switch-root"))?;
    for (status, words) in [("true", ""), ("false", "refuse to switch\na shell\n")] {
        let hook = hook.replace("/usr/lib/switch-root/switch_root", status);
        let script = format!(
            "err() {{ echo \"$1\"; }}; msg() {{ :; }}; launch_interactive_shell() {{ echo a shell; }}\ninit=/sbin/init\n{hook}\nrun_cleanuphook\n"
        );
        let ended = Command::new("sh").args(["-euc", &script]).output()?;
        let ran = Ran::new(status, &ended);
        ensure!(ran.status == Some(0), "{}", ran.said());
        let last = words.split('\n').all(|part| ran.stdout.contains(part));
        ensure!(
            last && ran.stdout.is_empty() == words.is_empty(),
            "{}",
            ran.said()
        );
    }
    Ok(())
}
