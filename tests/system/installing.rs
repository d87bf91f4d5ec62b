//! `srctl extension install`: from a machine configuration and an initramfs to one with
//! layers.

use std::fs::{self, File};
use std::process::Command;

use switch_root_tests::archive::{Archive, members};
use switch_root_tests::image::{self, Format};
use switch_root_tests::layout::{Compression, Layout};
use switch_root_tests::programs::output;
use switch_root_tests::snapshot::difference;
use switch_root_tests::steps::{Content, Step, Steps};

use crate::check::{ensure, says};
use crate::srctl::{Desk, Shelf, extension, json};
use crate::tools::{Checked, Stop, cases, policy, program};

cases![
    layers_are_appended_to_an_initramfs_of_any_compression,
    images_of_a_registry_are_installed,
    a_second_install_replaces_the_first,
    layers_in_the_midst_of_other_files_are_replaced_too,
    an_incompatible_extension_is_not_installed_unless_it_is_allowed,
    the_policies_of_the_initramfs_are_asked,
];

/// Installs what machine.yaml says.
pub const INSTALL: &str =
    "extension install --config machine.yaml --initramfs in.img --output out.img";
/// The same for a system that the root image does not tell of.
pub const FOR_TALOS: &str = "extension install --config machine.yaml --target-version 1.7.0 --initramfs in.img --output out.img";

/// A desk with machine.yaml for the image `tools` of a layout, and nothing else.
pub fn desk() -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    add_images(&desk, &[("tools", extension("tools"))])?;
    configure(&desk, &["oci:images:tools"])?;
    Ok(desk)
}

/// Makes the layout `images`.
pub fn add_images(desk: &Desk, trees: &[(&str, Vec<Step>)]) -> Checked {
    let mut layout = Layout::create(&desk.path("images"))?;
    for (name, steps) in trees {
        let tree = desk.tree(&format!("trees/{name}"), steps)?;
        let image = layout.image(&tree, Compression::Gzip, "amd64")?;
        layout.name(name, &image)?;
    }
    Ok(())
}

/// Writes machine.yaml.
pub fn configure(desk: &Desk, images: &[&str]) -> Checked {
    let images = images
        .iter()
        .map(|image| format!("      - image: {image}\n"));
    let images: String = images.collect();
    desk.write(
        "machine.yaml",
        format!("machine:\n  install:\n    extensions:\n{images}"),
    )
}

/// An archive of files.
pub fn archive(files: &[(&str, &[u8])]) -> Result<Vec<u8>, Stop> {
    let mut archive = Archive::default();
    for (name, content) in files {
        archive.add(name, cpio::newc::ModeFileType::Regular, 0o644, content)?;
    }
    Ok(archive.finish()?)
}

fn microcode() -> Result<Vec<u8>, Stop> {
    archive(&[("kernel/x86/microcode/GenuineIntel.bin", &[7; 5000])])
}

/// What a program, with arguments, makes of bytes; nothing leaves them as they are.
pub fn compressed(desk: &Desk, how: &[&str], bytes: &[u8]) -> Result<Vec<u8>, Stop> {
    let [name, arguments @ ..] = how else {
        return Ok(bytes.to_vec());
    };
    let plain = desk.path("plain");
    fs::write(&plain, bytes)?;
    let mut command = Command::new(program(name)?);
    let compressed = output(command.args(arguments).stdin(File::open(&plain)?))?;
    fs::remove_file(plain)?;
    Ok(compressed)
}

/// The members of what was appended to `before`.
fn appended(desk: &Desk, before: &[u8], after: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Stop> {
    ensure!(
        after.starts_with(before),
        "the initramfs is not what the new one begins with"
    );
    let rest = &after[before.len()..];
    let zeros = rest.iter().take_while(|byte| **byte == 0).count();
    ensure!((before.len() + zeros).is_multiple_of(4), "not aligned");
    Ok(members(&compressed(
        desk,
        &["zstd", "-d", "-c"],
        &rest[zeros..],
    )?)?)
}

fn names(members: &[(String, Vec<u8>)]) -> Vec<&str> {
    members.iter().map(|(name, _)| name.as_str()).collect()
}

fn layers_are_appended_to_an_initramfs_of_any_compression() -> Checked {
    program("mksquashfs")?;
    let desk = desk()?;
    let release = Vec::new().file("/etc/os-release", "ID=talos\nVERSION_ID=v1.7.0\n");
    let root = image::make(&desk.path("."), "root.sqsh", Format::Squashfs, &release)?;
    let main = archive(&[("init", b"#!/bin/sh\n"), ("rootfs.sqsh", &fs::read(root)?)])?;
    for how in [
        &["gzip", "-c", "-n"][..],
        &["zstd", "-c"],
        &["xz", "-c", "--check=crc32"],
        &[],
    ] {
        let before = [microcode()?, compressed(&desk, how, &main)?].concat();
        desk.write("in.img", &before)?;
        let tree = desk.everything()?;
        let printed = desk.succeeds(INSTALL)?;
        let changes = difference(&tree, &desk.everything()?);
        ensure!(changes == ["+ /out.img (file)"], "{how:?}: {changes:?}");
        says(
            &printed,
            &["000.oci-images-tools.sqsh", "compatible", "wrote out.img"],
        )?;
        let members = appended(&desk, &before, &desk.read("out.img")?)?;
        ensure!(
            names(&members) == ["extensions.yaml", "000.oci-images-tools.sqsh"],
            "{how:?}: {:?}",
            names(&members)
        );
        ensure!(members[1].1.starts_with(b"hsqs"), "{how:?}: no squashfs");
        fs::remove_file(desk.path("out.img"))?;
    }
    Ok(())
}

fn images_of_a_registry_are_installed() -> Checked {
    let (desk, mut shelf) = (Desk::new()?, Shelf::new()?);
    let before = archive(&[("init", b"init")])?;
    desk.write("in.img", &before)?;
    desk.write("out.img", "an older one")?;
    let images: Vec<String> = ["first", "second"]
        .map(|name| format!("{}/{name}:v1", shelf.registry.host))
        .into();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    configure(&desk, &images)?;
    let first = desk.tree("first", &extension("first"))?;
    shelf.put("first", &first, Compression::Zstd)?;
    desk.fails(FOR_TALOS, &["cannot pull", "second:v1", "404"])?;
    let second = desk.tree("second", &extension("second"))?;
    shelf.put("second", &second, Compression::Gzip)?;
    let printed = json(&desk.succeeds(&format!("{FOR_TALOS} --format json"))?)?;
    let members = appended(&desk, &before, &desk.read("out.img")?)?;
    for (index, image) in images.iter().enumerate() {
        let layer = format!("{index:03}.{image}.sqsh").replace([':', '/'], "-");
        ensure!(names(&members)[index + 1] == layer, "{:?}", names(&members));
        let said = &printed["layers"][index];
        ensure!(
            said["reference"] == *image && said["layer"] == layer,
            "{printed:#}"
        );
    }
    Ok(())
}

fn a_second_install_replaces_the_first() -> Checked {
    let desk = Desk::new()?;
    add_images(
        &desk,
        &[("tools", extension("tools")), ("other", extension("other"))],
    )?;
    configure(&desk, &["oci:images:tools"])?;
    let before = [
        microcode()?,
        compressed(&desk, &["gzip", "-c"], &archive(&[("init", b"")])?)?,
    ];
    desk.write("in.img", before.concat())?;
    let install = |from: &str, to: &str| -> Result<Vec<u8>, Stop> {
        desk.succeeds(&format!(
            "extension install --config machine.yaml --target-version 1.7.0 --initramfs {from} --output {to}"
        ))?;
        desk.read(to)
    };
    let first = install("in.img", "first.img")?;
    ensure!(
        install("first.img", "second.img")? == first,
        "a second one differs"
    );
    // Also where it takes the place of the first.
    ensure!(
        install("second.img", "second.img")? == first,
        "in its place it differs"
    );
    configure(&desk, &["oci:images:other"])?;
    let other = install("in.img", "other.img")?;
    let printed = desk.succeeds(
        "extension install --config machine.yaml --target-version 1.7.0 --initramfs first.img --output third.img --format json",
    )?;
    let removed = &json(&printed)?["removed"];
    ensure!(
        removed.to_string().contains("000.oci-images-tools.sqsh"),
        "{printed}"
    );
    ensure!(
        desk.read("third.img")? == other,
        "the old layers make a difference"
    );
    // A machine without extensions has an initramfs that says so.
    desk.write("machine.yaml", "machine:\n  install:\n    extensions: []\n")?;
    desk.succeeds(
        "extension install --config machine.yaml --target-version 1.7.0 --initramfs first.img --output none.img --remove-all",
    )?;
    let none = desk.read("none.img")?;
    let members = appended(&desk, &before.concat(), &none)?;
    ensure!(
        names(&members) == ["extensions.yaml"],
        "{:?}",
        names(&members)
    );
    Ok(())
}

fn layers_in_the_midst_of_other_files_are_replaced_too() -> Checked {
    let desk = desk()?;
    let list = b"layers:\n  - image: 000.old.sqsh\n    metadata: {name: old, version: 1}\n";
    let main = archive(&[
        ("init", b"the init"),
        ("000.old.sqsh", b"an old layer"),
        ("extensions.yaml", list),
        ("001.mine.sqsh", b"nobody lists this"),
        ("rest", b"the rest"),
    ])?;
    let microcode = microcode()?;
    let before = [
        microcode.clone(),
        compressed(&desk, &["gzip", "-c"], &main)?,
    ]
    .concat();
    desk.write("in.img", &before)?;
    let printed = desk.succeeds(FOR_TALOS)?;
    says(
        &printed,
        &["compressed segment 2 again, at the default level of gzip: "],
    )?;
    let after = desk.read("out.img")?;
    ensure!(after.starts_with(&microcode), "the microcode was changed");
    // gzip reads up to what is not gzip, and complains of that.
    desk.write("rest.gz", &after[microcode.len()..])?;
    let mut gzip = Command::new(program("gzip")?);
    let unpacked = gzip
        .args(["-d", "-c"])
        .stdin(File::open(desk.path("rest.gz"))?)
        .output()?;
    let kept = members(&unpacked.stdout)?;
    ensure!(
        names(&kept) == ["init", "001.mine.sqsh", "rest"] && kept[2].1 == b"the rest",
        "{:?}",
        names(&kept)
    );
    ensure!(desk.read("in.img")? == before, "the input was changed");
    Ok(())
}

fn an_incompatible_extension_is_not_installed_unless_it_is_allowed() -> Checked {
    let desk = desk()?;
    desk.write("in.img", archive(&[("init", b"init")])?)?;
    desk.write("out.img", "an older one")?;
    let old = FOR_TALOS.replace("1.7.0", "1.5.0");
    let ran = desk.changes_nothing(&old, 3)?;
    says(&ran.stdout, &["incompatible", ">= v1.6.0"])?;
    says(
        &ran.stderr,
        &["out.img was not written", "--allow-incompatible"],
    )?;
    let ran = desk.changes_nothing(&format!("{old} --format json"), 3)?;
    let printed = json(&ran.stdout)?;
    ensure!(
        printed["written"] == false && printed["verdicts"][0]["verdict"] == "incompatible",
        "{printed:#}"
    );
    let printed = json(&desk.succeeds(&format!("{old} --allow-incompatible --format json"))?)?;
    ensure!(
        printed["written"] == true && printed["verdicts"][0]["verdict"] == "incompatible",
        "{printed:#}"
    );
    let members = appended(&desk, &desk.read("in.img")?, &desk.read("out.img")?)?;
    ensure!(members.len() == 2, "{:?}", names(&members));
    Ok(())
}

fn the_policies_of_the_initramfs_are_asked() -> Checked {
    let desk = desk()?;
    let Content::Copy(allow) = policy("extension-allowlist")? else {
        return Err("a policy that is no file".into());
    };
    let allow = fs::read(allow)?;
    for (allowed, status) in [("other", 3), ("tools", 0)] {
        let settings = format!(r#"{{"settings": {{"allow": [{{"name": "{allowed}"}}]}}}}"#);
        let main = archive(&[
            ("init", b"init"),
            ("etc/switch-root/policies.d/50-allow.wasm", &allow),
            (
                "etc/switch-root/policies.d/50-allow.json",
                settings.as_bytes(),
            ),
        ])?;
        desk.write("in.img", compressed(&desk, &["zstd", "-c"], &main)?)?;
        if status == 3 {
            let ran = desk.changes_nothing(FOR_TALOS, 3)?;
            says(
                &ran.stdout,
                &["incompatible", "50-allow: ", "not on the list"],
            )?;
        } else {
            desk.succeeds(FOR_TALOS)?;
        }
    }
    Ok(())
}
