//! Images that boot from an image inside them, as dracut's squash modules make them.

pub mod exhausting;

use std::fs;

use serde_json::Value;
use switch_root_tests::archive;
use switch_root_tests::image::{self, Format};
use switch_root_tests::steps::{Step, Steps};

use crate::check::{ensure, says};
use crate::doctor::patient::{PROGRAM, boot_program, engine};
use crate::planning::{self, POLICIES};
use crate::rehearsing::possible;
use crate::srctl::{Desk, json};
use crate::tools::{Checked, Stop, cases, policy, program, subject};

cases![
    the_image_inside_a_squashed_image_is_planned,
    a_root_that_is_an_overlay_is_not_deleted,
    a_squashed_image_that_cannot_be_read_is_unknown,
    nothing_is_put_around_a_squashed_image,
    what_differs_inside_a_squashed_image_is_shown,
    the_limits_hold_inside_a_squashed_image,
    a_file_that_init_does_not_mount_hides_nothing,
    a_file_named_like_an_image_inside_breaks_nothing,
    an_image_that_may_boot_another_is_unknown,
    the_page_of_a_squashed_image_notes_it,
    links_to_init_and_the_image_inside_are_followed,
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

/// What dracut leaves outside: a script that mounts the image, and switches to it.
fn around(place: &str, inner: Vec<u8>) -> Vec<Step> {
    let script = format!(
        "#!/bin/sh\n# Mount the image\nmount -t squashfs -o ro,loop {place} /squash/root\nmount -t overlay overlay -o lowerdir=/squash/root,upperdir=/squash/upper,workdir=/squash/work /newroot/\nexec switch_root /newroot /init\n"
    );
    Vec::new()
        .executable("/init", script.as_str())
        .directory("/squash")
        .file(place, inner)
}

/// An image with a file at each of the places, which holds what would be planned without a fault.
fn with_a_file(image: &[Step]) -> Result<Vec<(&'static str, Vec<u8>)>, Stop> {
    let folder = tempfile::tempdir()?;
    let mut images = Vec::new();
    for (number, (place, format, maker)) in PLACES.into_iter().enumerate() {
        program(maker)?;
        let name = format!("inner{number}");
        let inner = fs::read(image::make(folder.path(), &name, format, &inside()?)?)?;
        images.push((place, archive::of(&image.to_vec().file(place, inner))?));
    }
    Ok(images)
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
            "its /init switches to the image inside /squashfs-root.img",
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

/// What a plan decides.
fn planned(plan: &Value) -> Vec<&Value> {
    let keys = ["refused", "deletion", "survivors", "unknown"];
    keys.into_iter().map(|key| &plan[key]).collect()
}

fn a_file_that_init_does_not_mount_hides_nothing() -> Checked {
    let image = Vec::new()
        .executable(
            "/init",
            "#!/bin/sh\n# no /squashfs-root.img\nexec switch_root /newroot /sbin/init\n",
        )
        .executable("/sbin/switch_root", boot_program(&engine()?, ""))
        .file(format!("{POLICIES}/50-broken.wasm"), "no component")
        .file(
            format!("{POLICIES}/50-broken.json"),
            r#"{"on_failure": "refuse"}"#,
        );
    let desk = planning::desk(&image)?;
    let expected = plan(&desk, "image", 3)?;
    ensure!(expected["refused"].is_string(), "{expected:#}");
    for (place, image) in with_a_file(&image)? {
        desk.write("image", image)?;
        let found = plan(&desk, "image", 3)?;
        ensure!(planned(&found) == planned(&expected), "{place}: {found:#}");
        let text = desk.changes_nothing("plan image", 3)?.stdout;
        says(&text, &["THE SWITCH WOULD BE REFUSED", &place[1..]])?;
        ensure!(!text.contains("the image inside"), "{text}");
        desk.changes_nothing("doctor image", 3)?;
    }
    Ok(())
}

fn a_file_named_like_an_image_inside_breaks_nothing() -> Checked {
    let folder = tempfile::tempdir()?;
    let (_, format, maker) = PLACES[0];
    program(maker)?;
    let root = Vec::new()
        .file("/etc/os-release", "ID=talos\nVERSION_ID=1.7.0\n")
        .executable("/sbin/init", "")
        .directory("/run");
    let root = fs::read(image::make(folder.path(), "root", format, &root)?)?;
    let image = Vec::new()
        .executable("/init", boot_program(&engine()?, ""))
        .file("/rootfs.sqsh", root.clone());
    let desk = planning::desk(&image)?;
    desk.tree("p", &Vec::new().file("/kept.wasm", policy("keep-paths")?))?;
    desk.write("machine.yaml", "machine:\n  type: worker\n")?;
    let expected = plan(&desk, "image", 0)?;
    let examined = desk.run("doctor image")?;
    let rehearsed = desk.run("rehearse image")?;
    possible(&rehearsed)?;
    let add = "image add-policy image p/kept.wasm --output out.img --compile none";
    let install = "extension install --config machine.yaml --initramfs image --output out.img";
    for (place, image) in with_a_file(&image)? {
        desk.write("image", image)?;
        let found = plan(&desk, "image", 0)?;
        ensure!(planned(&found) == planned(&expected), "{place}: {found:#}");
        let ran = desk.run("doctor image")?;
        ensure!(ran.status == examined.status, "{}", ran.said());
        let ran = desk.run("rehearse image")?;
        ensure!(
            ran.status == rehearsed.status && !ran.stderr.contains("the image inside"),
            "{}",
            ran.said()
        );
        for command in [add, install] {
            desk.succeeds(command)?;
            fs::remove_file(desk.path("out.img"))?;
        }
    }
    // It is the root image where the command line says so.
    let (place, ..) = PLACES[0];
    let image = Vec::new()
        .executable("/init", fs::read(subject()?)?)
        .file(place, root);
    desk.write("image", archive::of(&image)?)?;
    let named = format!("rehearse image --append switch_root.root={place}");
    let ran = desk.changes_nothing(&named, 0)?;
    says(&ran.stdout, &["/init of the image"])
}

fn an_image_that_may_boot_another_is_unknown() -> Checked {
    let (place, format, maker) = PLACES[0];
    program(maker)?;
    let folder = tempfile::tempdir()?;
    let inner = fs::read(image::make(folder.path(), "inner", format, &inside()?)?)?;
    let ours = || Ok::<_, Stop>(boot_program(&engine()?, ""));
    let live = format!(
        "#!/bin/sh\nmount -o ro,loop {place} /newroot\nexec switch_root /newroot /sbin/init\n"
    );
    let around = |inner| around(place, inner);
    let (other, ..) = PLACES[2];
    let both = format!("#!/bin/sh\nfor i in {place} {other}; do boot $i; done\n");
    for (image, words) in [
        (
            // The root itself, perhaps, which this switches to.
            Vec::new()
                .executable("/init", live.as_str())
                .executable("/sbin/switch_root", ours()?)
                .file(place, inner.clone()),
            "/init refers to it, and does not switch to it",
        ),
        (
            around(inner.clone()).executable("/sbin/switch_root", ours()?),
            "with /sbin/switch_root, a boot program of switch-root",
        ),
        (
            Vec::new()
                .executable("/init", both.as_str())
                .executable("/sbin/switch_root", ours()?)
                .file(place, inner.clone())
                .file(other, "another"),
            "/init refers to /erofs-root.img as well",
        ),
    ] {
        let desk = planning::desk(&image)?;
        let planned = plan(&desk, "image", 4)?;
        says(
            &planned["unknown"].to_string(),
            &["what boots: the image inside", place, words],
        )?;
        desk.changes_nothing("doctor image", 4)?;
        desk.changes_nothing("diff image image", 4)?;
        desk.tree("p", &Vec::new().file("/kept.wasm", policy("keep-paths")?))?;
        desk.write("machine.yaml", "machine:\n  type: worker\n")?;
        for (command, attempt) in [
            (
                "image add-policy image p/kept.wasm --output out.img --compile none",
                "cannot add a policy to image",
            ),
            (
                "extension install --config machine.yaml --initramfs image --output out.img",
                "cannot install extensions into image",
            ),
            ("rehearse image", "cannot rehearse image"),
        ] {
            let ran = desk.changes_nothing(command, 1)?;
            says(&ran.stderr, &[attempt, "is not known", words])?;
        }
    }
    Ok(())
}

fn the_page_of_a_squashed_image_notes_it() -> Checked {
    let (place, format, maker) = PLACES[0];
    program(maker)?;
    let desk = squashed(place, format, &inside()?)?;
    desk.succeeds("plan image --format html --output page.html")?;
    let page = String::from_utf8(desk.read("page.html")?)?;
    let note = format!("Note: what is planned is the image inside {place}");
    ensure!(page.contains(&note), "no note");
    Ok(())
}

fn links_to_init_and_the_image_inside_are_followed() -> Checked {
    let (place, format, maker) = PLACES[0];
    program(maker)?;
    let folder = tempfile::tempdir()?;
    let inner = fs::read(image::make(folder.path(), "inner", format, &inside()?)?)?;
    let mut image = around(place, inner);
    for (path, moved) in [("/init", "/squash/loader"), (place, "/squash/image")] {
        let step = image.iter_mut().find(|step| step.path == path.as_bytes());
        step.ok_or("no such step")?.path = moved.into();
        image = image.symlink(path, &moved[1..]);
    }
    let desk = planning::desk(&image)?;
    let planned = plan(&desk, "image", 0)?;
    says(
        &planned["notes"].to_string(),
        &["what is planned is the image inside", place],
    )?;
    desk.tree("p", &Vec::new().file("/kept.wasm", policy("keep-paths")?))?;
    let add = "image add-policy image p/kept.wasm --output out.img --compile none";
    let ran = desk.changes_nothing(add, 1)?;
    says(
        &ran.stderr,
        &["its /init switches to the image inside", place],
    )
}
