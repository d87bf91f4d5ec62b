//! `--preserve` where `/` is an overlay, as dracut's squash module makes it: the initramfs is
//! not a tmpfs, and is lost by the switch all the same.

use std::path::Path;

use switch_root_tests::image::{self, Format};
use switch_root_tests::scene::{Root, SQUASH, Scene};
use switch_root_tests::steps::Steps;
use tempfile::TempDir;

use super::room::with_a_broken_policy;
use super::{copied_exactly, keeping, preserves};
use crate::check::{ensure, says};
use crate::tools::{Checked, Stop, cases, need_privileges, program};

cases![
    what_an_overlay_root_keeps_is_copied,
    what_a_squashed_root_keeps_is_copied,
    where_a_policy_failed_an_overlay_root_is_copied_whole,
    where_a_policy_failed_a_squashed_root_is_copied_whole,
];

/// The scene with an overlay as its root.
fn overlaid(mut scene: Scene, image: Option<&Path>) -> Scene {
    scene.root = Root::Overlay(image.map(Path::to_owned));
    scene
}

/// An image of squashfs that has files beside those of the scenes here.
fn squashed() -> Result<TempDir, Stop> {
    need_privileges()?;
    program("mksquashfs")?;
    if !Path::new("/dev/loop-control").exists() {
        return Err(Stop::Skip("there is no /dev/loop-control".into()));
    }
    let folder = tempfile::tempdir()?;
    let steps = Vec::new()
        .file("/kept/squashed", "kept")
        .file("/usr/lib/squashed", "not kept")
        .symlink("/lib", "usr/lib");
    image::make(folder.path(), "image", Format::Squashfs, &steps)?;
    Ok(folder)
}

/// Checks that what a policy keeps is copied, and nothing else.
fn copies_what_is_kept(image: Option<&Path>) -> Checked {
    let scene = keeping(r#""/kept", "/link""#)?
        .file("/kept/file", "kept")
        .symlink("/link", "/kept/file")
        .file("/other/file", "not kept");
    let booted = preserves(&overlaid(scene, image))?;
    copied_exactly(&booted, &["*/kept", "/link"])?;
    let inside = booted
        .outcome
        .before
        .initramfs
        .contains_key("/kept/squashed");
    ensure!(
        inside == image.is_some(),
        "{:?}",
        booted.outcome.before.initramfs
    );
    let warnings = booted.report.warnings();
    ensure!(warnings.is_empty(), "{warnings}");
    Ok(())
}

/// Checks that everything is copied, for root alone but for what a policy keeps.
fn copies_everything(image: Option<&Path>) -> Checked {
    let booted = preserves(&overlaid(with_a_broken_policy()?, image))?;
    let before = &booted.outcome.before.initramfs;
    let all = before.iter().filter(|(_, entry)| entry.kind != "mount");
    let all: Vec<&str> = all.map(|(path, _)| path.as_str()).collect();
    copied_exactly(&booted, &["*/kept"])?;
    let left = booted.seen.left.clone().unwrap_or_default();
    let copied: Vec<&str> = left.keys().map(String::as_str).collect();
    ensure!(copied == all, "{copied:?}, not {all:?}");
    says(
        &booted.report.survivor_note("/"),
        &["policy 60-broken failed"],
    )?;
    let squash = format!("what is mounted on {SQUASH} is not copied");
    says(&booted.report.warnings(), &[&squash])
}

fn what_an_overlay_root_keeps_is_copied() -> Checked {
    copies_what_is_kept(None)
}

fn what_a_squashed_root_keeps_is_copied() -> Checked {
    copies_what_is_kept(Some(&squashed()?.path().join("image")))
}

fn where_a_policy_failed_an_overlay_root_is_copied_whole() -> Checked {
    copies_everything(None)
}

fn where_a_policy_failed_a_squashed_root_is_copied_whole() -> Checked {
    copies_everything(Some(&squashed()?.path().join("image")))
}
