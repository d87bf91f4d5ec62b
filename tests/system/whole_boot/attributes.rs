//! Extended attributes of directories that a layer has in common with the root image.

use std::collections::BTreeMap;

use switch_root_tests::image::Format;
use switch_root_tests::modules::as_it_is;
use switch_root_tests::scene::Ending;
use switch_root_tests::steps::{Content, Make, Step, Steps};
use switch_root_tests::testimony::Testimony;

use super::{ANY, Maker, boot_image, oldest, whose};
use crate::check::{content, ensure, says};
use crate::machines::here;
use crate::tools::{Checked, Stop, cases};

cases![
    shared_directories_keep_the_attributes_of_the_root_image,
    default_access_control_lists_are_not_inherited,
    layer_of_which_attributes_cannot_be_restored_is_left_out,
    where_selinux_is_active_layers_keep_the_labels,
];

/// What SELinux reads.
const LABEL: &str = "security.selinux";
/// What no module of the kernel reads.
const ORIGIN: &str = "trusted.origin";
/// When the directories of the root image were modified.
const MODIFIED: i64 = 981_173_106;

fn attribute(name: &str, value: impl AsRef<[u8]>) -> Make {
    Make::Attribute {
        name: name.into(),
        value: value.as_ref().into(),
    }
}

/// An attribute as the kernel gives it to programs: with the zero byte that is stored.
fn label(kind: &str) -> String {
    format!("system_u:object_r:{kind}\0")
}

fn examine(maker: Maker, paths: &[&str]) -> Maker {
    let mut maker = maker;
    maker
        .details
        .extend(paths.iter().map(|path| (*path).into()));
    maker
}

/// The attributes of a directory of the running system.
fn attributes<'s>(seen: &'s Testimony, path: &str) -> &'s BTreeMap<String, String> {
    &seen.details[path].attributes
}

/// Adds a root image that is not the usual one.
fn with_root(maker: Maker, format: Format, steps: &[Step], more: &str) -> Result<Maker, Stop> {
    let root = maker.image("other", format, steps)?;
    Ok(maker.scene(|scene| {
        scene
            .file("/other", Content::Copy(root))
            .kernel_command_line(&format!("switch_root.root=/other {more}"))
    }))
}

fn shared_directories_keep_the_attributes_of_the_root_image() -> Checked {
    let places = ["/", "/usr", "/usr/lib", "/usr/lib/deep", "/etc"];
    for (format, ending) in [(Format::Squashfs, "sqsh"), (Format::Erofs, "erofs")] {
        let maker = examine(Maker::new()?.look_at(&["/whose", "/usr/lib/b"]), &places);
        let mut root = maker
            .root()?
            .directory("/usr/lib/deep")
            .make("/usr/lib", Make::Directory { mode: 0o2751 });
        for place in places {
            root = root.make(
                place,
                attribute(LABEL, label(&format!("of{}", place.len()))),
            );
        }
        root = root.make("/usr", attribute(ORIGIN, b"root"));
        for place in places {
            let seconds = MODIFIED + place.len() as i64;
            root = root.make(place, Make::Modified { seconds });
        }
        let open = Make::Directory { mode: 0o2751 };
        // One without any attribute, one with others, and one that has more of them.
        let b = Vec::new()
            .file("/usr/lib/b", "b")
            .make("/usr/lib", open.clone())
            .make("/usr/lib", attribute(LABEL, label("other")))
            .make("/usr/lib", attribute("user.more", "of the layer"));
        let c = whose("c")
            .directory("/usr/lib/deep")
            .make("/usr/lib", open)
            .make("/etc/c", Make::Directory { mode: 0o755 });
        let booted = with_root(maker, format, &root, "")?
            .layer(&format!("000.a.{ending}"), ANY, whose("a"))?
            .layer(&format!("001.b.{ending}"), ANY, b)?
            .layer(&format!("002.c.{ending}"), ANY, c)?
            .boots()?;
        let seen = &booted.seen;
        let activated: Vec<_> = booted.report.activated().into_values().collect();
        ensure!(
            activated == [Some(true); 3],
            "{:#}",
            booted.report.0["extensions"]
        );
        ensure!(content(seen, "/whose") == Some("c"), "{:?}", seen.files);
        ensure!(content(seen, "/usr/lib/b") == Some("b"), "{:?}", seen.files);
        for place in places {
            let mut expected = BTreeMap::new();
            let text = format!("system_u:object_r:of{}\\x00", place.len());
            expected.insert(LABEL.to_owned(), text);
            if place == "/usr" {
                expected.insert(ORIGIN.to_owned(), "root".to_owned());
            }
            let found = attributes(seen, place);
            ensure!(*found == expected, "{place}: {found:?}");
            let modified = seen.details[place].modified;
            let expected = MODIFIED + place.len() as i64;
            ensure!(modified == Some(expected), "{place}: {modified:?}");
        }
        // Nothing of the way there is left.
        booted.freed_all_but(&["/extensions.yaml"])?;
    }
    Ok(())
}

/// An access control list that gives user 7 everything, as the kernel takes and stores it.
fn list_for_user_7() -> Vec<u8> {
    const ANYBODY: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 5] = [
        (0x01, 7, ANYBODY),
        (0x02, 7, 7),
        (0x04, 5, ANYBODY),
        (0x10, 7, ANYBODY),
        (0x20, 5, ANYBODY),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, who) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(who.to_le_bytes());
    }
    bytes
}

fn default_access_control_lists_are_not_inherited() -> Checked {
    const DEFAULT: &str = "system.posix_acl_default";
    let maker = examine(
        Maker::new()?.look_at(&["/usr/lib/a", "/usr", "/usr/lib"]),
        &["/", "/usr", "/usr/lib"],
    );
    let root = maker
        .root()?
        .directory("/usr/lib")
        .make("/usr/lib", attribute(ORIGIN, b"root"))
        .make("/usr", attribute(DEFAULT, list_for_user_7()))
        .make("/", attribute(DEFAULT, list_for_user_7()));
    let layer = Vec::new().file("/usr/lib/a", "a");
    let booted = with_root(maker, Format::Erofs, &root, "")?
        .layer("000.a.sqsh", ANY, layer)?
        .boots()?;
    let seen = &booted.seen;
    ensure!(content(seen, "/usr/lib/a") == Some("a"), "{:?}", seen.files);
    for place in ["/", "/usr"] {
        let found = attributes(seen, place);
        let only: Vec<_> = found.keys().collect();
        ensure!(only == [DEFAULT], "{place}: {found:?}");
    }
    let found = attributes(seen, "/usr/lib");
    let only: Vec<_> = found.keys().collect();
    ensure!(only == [ORIGIN], "/usr/lib: {found:?}");
    let mode = seen.files["/usr/lib"].mode;
    ensure!(mode == Some(0o755), "{mode:?}");
    Ok(())
}

/// The oldest kernel's tmpfs has no attributes of users.
fn layer_of_which_attributes_cannot_be_restored_is_left_out() -> Checked {
    const OF_USER: &str = "user.origin";
    let mut maker = examine(
        Maker::new()?.look_at(&["/whose", "/usr/lib/a", "/opt/c"]),
        &["/usr", "/usr/lib", "/opt"],
    );
    maker.ending = Ending::PowerOff;
    let root = maker
        .root()?
        .directory("/usr/lib")
        .directory("/opt")
        .make("/usr/lib", attribute(OF_USER, b"root"))
        .make("/opt", attribute(ORIGIN, b"root"))
        // No extension is left out for this one: each has a root directory.
        .make("/", attribute(OF_USER, b"root"));
    let maker = with_root(maker, Format::Squashfs, &root, "")?
        .layer("000.a.sqsh", ANY, Vec::new().file("/usr/lib/a", "a"))?
        .layer("001.b.sqsh", ANY, whose("b"))?
        .layer("002.c.sqsh", ANY, Vec::new().file("/opt/c", "c"))?;
    let (report, seen, console) = boot_image(&oldest()?, maker, as_it_is)?;
    let activated: Vec<_> = report.activated().into_values().collect();
    ensure!(
        activated == [Some(false), Some(true), Some(true)],
        "{:#}\n{console}",
        report.0["extensions"]
    );
    let reason = &report.extensions()["000.a.sqsh"].1;
    says(
        reason,
        &["host", "/usr/lib", OF_USER, "restoring them failed"],
    )?;
    ensure!(content(&seen, "/whose") == Some("b"), "{:?}", seen.files);
    ensure!(content(&seen, "/opt/c") == Some("c"), "{:?}", seen.files);
    let value = |place: &str, name: &str| attributes(&seen, place).get(name).cloned();
    for (place, name) in [("/usr/lib", OF_USER), ("/opt", ORIGIN)] {
        let found = value(place, name);
        ensure!(found.as_deref() == Some("root"), "{place}: {found:?}");
    }
    Ok(())
}

/// It gives no label to what is made before its policy is loaded.
fn where_selinux_is_active_layers_keep_the_labels() -> Checked {
    let machine = here()?.pop().ok_or("no kernel")?;
    let labelled = |steps: Vec<Step>, places: &[&str]| {
        places.iter().fold(steps, |steps, place| {
            steps.make(place, attribute(LABEL, label("some_t")))
        })
    };
    let mut maker = examine(
        Maker::new()?.look_at(&["/usr/lib/a", "/usr/lib/b", "/usr/lib/c"]),
        &["/", "/usr", "/usr/lib"],
    );
    maker.ending = Ending::PowerOff;
    let root = maker.root()?.directory("/usr/lib");
    let root = labelled(root, &["/", "/usr", "/usr/lib"]);
    let file = |name: &str| Vec::new().file(format!("/usr/lib/{name}"), name);
    let same = labelled(file("b"), &["/", "/usr", "/usr/lib"]);
    let without_top = labelled(file("c"), &["/usr", "/usr/lib"]);
    let maker = with_root(maker, Format::Squashfs, &root, "security=selinux selinux=1")?
        .layer("000.a.sqsh", ANY, labelled(file("a"), &["/", "/usr"]))?
        .layer("001.b.sqsh", ANY, same)?
        .layer("002.c.sqsh", ANY, without_top)?;
    let (report, seen, console) = boot_image(&machine, maker, as_it_is)?;
    let activated: Vec<_> = report.activated().into_values().collect();
    ensure!(
        activated == [Some(false), Some(true), Some(false)],
        "{:#}\n{console}",
        report.0["extensions"]
    );
    let reasons = report.extensions();
    for (name, place) in [
        ("000.a.sqsh", "directory /usr/lib of"),
        ("002.c.sqsh", "directory / of"),
    ] {
        says(&reasons[name].1, &["host", "SELinux", place, "selinux=0"])?;
    }
    ensure!(
        content(&seen, "/usr/lib/b") == Some("b"),
        "{:?}",
        seen.files
    );
    for place in ["/", "/usr", "/usr/lib"] {
        let found = attributes(&seen, place).get(LABEL).cloned();
        ensure!(
            found.as_deref() == Some("system_u:object_r:some_t\\x00"),
            "{place}: {found:?}"
        );
    }
    // What is made at boot would have no label: nothing is.
    let top = |line: &&String| line.contains("lowerdir") && line.contains("/top");
    let found = seen.mounts.iter().find(top);
    ensure!(found.is_none(), "{found:?}");
    Ok(())
}
