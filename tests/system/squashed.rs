//! Images that boot from an image inside them, as dracut's squash modules make them.

use std::fs;

use serde_json::Value;
use switch_root_tests::archive;
use switch_root_tests::image::{self, Format};
use switch_root_tests::steps::{Step, Steps};

use crate::check::{ensure, says};
use crate::doctor::patient::{PROGRAM, boot_program, engine};
use crate::planning::{self, POLICIES};
use crate::srctl::{Desk, json};
use crate::tools::{Checked, Stop, cases, policy, program};

cases![
    the_image_inside_a_squashed_image_is_planned,
    a_root_that_is_an_overlay_is_not_deleted,
    a_squashed_image_that_cannot_be_read_is_unknown,
    nothing_is_put_around_a_squashed_image,
    what_differs_inside_a_squashed_image_is_shown,
    the_limits_hold_inside_a_squashed_image,
];

/// Where dracut puts the image inside, and by which program it is made.
const PLACES: [(&str, Format, &str); 3] = [
    ("/squashfs-root.img", Format::Squashfs, "mksquashfs"),
    ("/squash-root.img", Format::Squashfs, "mksquashfs"),
    ("/erofs-root.img", Format::Erofs, "mkfs.erofs"),
];

/// An initramfs that systemd switches away from.
fn inside() -> Result<Vec<Step>, Stop> {
    let steps = planning::steps()?.into_iter();
    Ok(steps
        .filter(|step| step.path != b"/init")
        .collect::<Vec<_>>()
        .symlink("/init", "usr/lib/systemd/systemd")
        .executable("/usr/lib/systemd/systemd", "systemd")
        .file(
            "/usr/lib/systemd/system/switch-root-preserve.service",
            "[Unit]\n",
        )
        .executable(PROGRAM, boot_program(&engine()?, "")))
}

/// A folder with an image, in which these steps are in an image inside.
fn squashed(place: &str, format: Format, inside: &[Step]) -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    write(&desk, "image", place, format, inside)?;
    Ok(desk)
}

fn write(desk: &Desk, name: &str, place: &str, format: Format, inside: &[Step]) -> Checked {
    let folder = tempfile::tempdir()?;
    let inner = fs::read(image::make(folder.path(), "inner", format, inside)?)?;
    desk.write(name, archive::of(&around(place, inner))?)
}

/// What dracut leaves outside.
fn around(place: &str, inner: Vec<u8>) -> Vec<Step> {
    Vec::new()
        .executable("/init", "#!/bin/sh\nexec switch_root /newroot /init\n")
        .directory("/squash")
        .file(place, inner)
}

fn plan(desk: &Desk, image: &str, status: i32) -> Result<Value, Stop> {
    let ran = desk.changes_nothing(&format!("plan {image} --format json"), status)?;
    json(&ran.stdout)
}

fn the_image_inside_a_squashed_image_is_planned() -> Checked {
    let plain = planning::desk(&inside()?)?;
    let expected = plan(&plain, "image", 0)?;
    for (place, format, maker) in PLACES {
        program(maker)?;
        let desk = squashed(place, format, &inside()?)?;
        let planned = plan(&desk, "image", 0)?;
        for key in ["survivors", "extensions", "refused", "deletion", "unknown"] {
            ensure!(
                planned[key] == expected[key],
                "{place} {key}: {:#} and not {:#}",
                planned[key],
                expected[key]
            );
        }
        let digests = |plan: &Value| -> Vec<Value> {
            let policies = plan["policies"].as_array().into_iter().flatten();
            policies.map(|policy| policy["digest"].clone()).collect()
        };
        ensure!(digests(&planned) == digests(&expected), "{planned:#}");
        says(
            &planned["notes"].to_string(),
            &["what is planned is the image inside", place],
        )?;
        let text = desk.changes_nothing("plan image", 0)?.stdout;
        says(&text, &["note: what is planned is the image inside", place])?;
    }
    Ok(())
}

fn a_root_that_is_an_overlay_is_not_deleted() -> Checked {
    let (place, format, maker) = PLACES[0];
    program(maker)?;
    let desk = squashed(place, format, &planning::steps()?)?;
    let planned = plan(&desk, "image", 3)?;
    says(
        &planned["refused"].to_string(),
        &["/ is neither tmpfs nor ramfs"],
    )
}

fn a_squashed_image_that_cannot_be_read_is_unknown() -> Checked {
    for (place, _, _) in PLACES {
        for damaged in [&b""[..], b"no image at all", &[0xff; 9000]] {
            let desk = planning::desk(&around(place, damaged.to_vec()))?;
            let planned = plan(&desk, "image", 4)?;
            says(
                &planned["unknown"].to_string(),
                &["what boots: the image inside", place],
            )?;
        }
    }
    // Whatever a library reads, it ends with a sentence.
    let (place, format, maker) = PLACES[0];
    program(maker)?;
    let desk = squashed(place, format, &inside()?)?;
    let whole = desk.read("image")?;
    for cut in [whole.len() / 2, whole.len() - 3000] {
        let mut holed = whole.clone();
        let end = whole.len() - 600;
        holed[cut.min(end)..end].fill(0xa5);
        desk.write("holed", &holed)?;
        let ran = desk.run("plan holed --format json")?;
        ensure!(
            [Some(0), Some(1), Some(4)].contains(&ran.status) && !ran.stderr.contains("panicked"),
            "{}",
            ran.said()
        );
    }
    Ok(())
}

fn nothing_is_put_around_a_squashed_image() -> Checked {
    let (place, format, maker) = PLACES[0];
    program(maker)?;
    let desk = squashed(place, format, &inside()?)?;
    desk.tree("p", &Vec::new().file("/kept.wasm", policy("keep-paths")?))?;
    let add = "image add-policy image p/kept.wasm --output out.img --compile none";
    let ran = desk.changes_nothing(add, 1)?;
    says(
        &ran.stderr,
        &[
            "cannot add a policy to image",
            "it boots from the image inside /squashfs-root.img",
        ],
    )?;
    desk.write("machine.yaml", "machine:\n  type: worker\n")?;
    let install = "extension install --config machine.yaml --initramfs image --output out.img";
    let ran = desk.changes_nothing(install, 1)?;
    says(&ran.stderr, &["cannot install extensions into image"])?;
    let ran = desk.changes_nothing("rehearse image", 1)?;
    says(&ran.stderr, &["image cannot be rehearsed", place])
}

fn what_differs_inside_a_squashed_image_is_shown() -> Checked {
    let (place, format, maker) = PLACES[0];
    program(maker)?;
    let desk = squashed(place, format, &inside()?)?;
    let after = inside()?.file(format!("{POLICIES}/note"), "new");
    write(&desk, "after", place, format, &after)?;
    let ran = desk.changes_nothing("diff image after --format json", 3)?;
    let difference = json(&ran.stdout)?;
    let names: Vec<&str> = difference["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["name"].as_str())
        .collect();
    ensure!(
        names == [place, &format!("{place}{POLICIES}/note")],
        "{difference:#}"
    );
    Ok(())
}

fn the_limits_hold_inside_a_squashed_image() -> Checked {
    let (place, format, maker) = PLACES[0];
    program(maker)?;
    let desk = squashed(place, format, &inside()?)?;
    for (limit, words) in [
        ("--max-entries 6", "it has more than 6 entries"),
        (
            "--max-bytes 600000",
            "its files have more than 600000 bytes",
        ),
    ] {
        let ran = desk.changes_nothing(&format!("plan image {limit}"), 4)?;
        says(&ran.stdout, &["the image inside", words])?;
    }
    Ok(())
}
