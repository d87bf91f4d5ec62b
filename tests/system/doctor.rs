//! `srctl doctor`: a machine that is well, and one thing after the other that is not.

mod images;
mod machines;
mod parameters;
pub mod patient;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use switch_root_tests::archive;
use switch_root_tests::steps::Content;

use crate::check::{ensure, says};
use crate::signing::desk as signing_desk;
use crate::srctl::Desk;
use crate::tools::{Checked, Stop, cases, need_privileges, policy, small, subject};
use images::{each_thing_about_an_image_has_its_finding, init_of_the_command_line_is_examined};
use machines::each_thing_about_a_machine_has_its_finding;
use parameters::doctor_and_boot_agree_on_each_kernel_parameter;
use patient::{ETC, Files, KERNEL, Machine, SETTINGS, desk, engine, findings, has, severe, well};

cases![
    a_machine_that_is_well_has_no_warning,
    each_thing_about_a_machine_has_its_finding,
    each_thing_about_an_image_has_its_finding,
    init_of_the_command_line_is_examined,
    an_image_that_is_not_the_machines_is_told,
    an_image_alone_is_looked_at,
    the_boot_programs_are_known_by_their_notes,
    the_boot_programs_are_known_without_their_notes,
    an_image_that_cannot_be_read_is_a_finding,
    nothing_is_read_from_outside_of_the_root,
    people_are_shown_findings_with_their_remedies,
    what_is_unknown_is_not_shown_as_a_warning,
    the_image_of_every_installed_kernel_is_looked_at,
    after_a_revocation_the_image_is_what_counts,
    lists_of_signers_that_cannot_be_read_are_not_the_same,
    doctor_and_boot_agree_on_each_kernel_parameter,
];

fn a_machine_that_is_well_has_no_warning() -> Checked {
    need_privileges()?;
    let desk = desk(&well()?)?;
    let found = findings(&desk, "--root root", 0)?;
    ensure!(severe(&found).is_empty(), "{found:#?}");
    let checks: Vec<&str> = found
        .iter()
        .filter_map(|finding| finding["check"].as_str())
        .collect();
    ensure!(
        checks
            == [
                "kernel",
                "settings",
                "generator",
                "hook",
                "package",
                "policies",
                "policy",
                "policy",
                "image",
                "image-binary",
                "policy",
                "policy",
                "image-policies",
                "plan",
                "boot-space",
                "report",
            ],
        "{checks:?}"
    );
    Ok(())
}

fn an_image_that_is_not_the_machines_is_told() -> Checked {
    need_privileges()?;
    let Machine { root, image } = well()?;
    let other = r#"{"limits": {"fuel": 200000000}}"#;
    let cases: Vec<(&str, Files, Files, &str)> = vec![
        (
            "a policy more on the machine",
            root.clone()
                .file(&format!("{ETC}/60-more.wasm"), policy("default")?),
            image.clone(),
            "is active on the machine, and not in the image",
        ),
        (
            "a policy more in the image",
            root.clone().file(&format!("{ETC}/50-more.wasm"), ""),
            image.clone(),
            "is in the image, and not active on the machine",
        ),
        (
            "another sidecar",
            root.clone().file(&format!("{ETC}/50-more.json"), other),
            image.clone(),
            "has another sidecar in the image",
        ),
        (
            "another policy",
            root.clone()
                .file(&format!("{ETC}/50-more.wasm"), policy("sysext")?)
                .without(&format!("{ETC}/50-more.cwasm")),
            image.clone(),
            "is another one in the image",
        ),
    ];
    for (what, root, image, words) in cases {
        has(
            &Machine { root, image },
            what,
            &["image-policies warning"],
            &[words, "update-initramfs -u"],
        )?;
    }
    // Of signers what is in the image counts, and that it is the machine's.
    let key = "ops@example.org namespaces=\"switch-root-policy\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUoUyaMyBbsc2QzDOtTg7Ow6GBQsqkZKOVJpcmbYHP1\n";
    let trusting = |files: &Files, path: &str| {
        files
            .clone()
            .without(ETC)
            .file(&format!("{path}/ops.signers"), key)
    };
    let machine = trusting(&root, "/etc/switch-root/trust");
    let in_image = trusting(&image, "/usr/lib/switch-root/trust");
    for (what, image, expected) in [
        ("the same signers", in_image.clone(), &[][..]),
        (
            "others",
            in_image.file("/usr/lib/switch-root/trust/more.signers", key),
            &["image-trust warning"],
        ),
        ("none", image.clone().without(ETC), &["image-trust problem"]),
    ] {
        let root = machine.clone();
        has(&Machine { root, image }, what, expected, &[])?;
    }
    Ok(())
}

fn an_image_alone_is_looked_at() -> Checked {
    let desk = desk(&well()?)?;
    let image = format!("root/boot/initrd.img-{KERNEL}");
    let found = findings(&desk, &image, 0)?;
    ensure!(severe(&found).is_empty(), "{found:#?}");
    ensure!(
        !found.iter().any(|finding| finding["check"] == "kernel"),
        "{found:#?}"
    );
    // As that of a machine, under whatever name.
    fs::rename(desk.path(&image), desk.path("other"))?;
    let found = findings(&desk, "other --root root", 0)?;
    says(&format!("{found:?}"), &["has the policies of the machine"])?;
    // A folder that one would be made of.
    desk.tree("folder", &well()?.image.steps())?;
    let found = findings(&desk, "folder", 0)?;
    says(&format!("{found:?}"), &["is called by initramfs-tools"])
}

fn the_boot_programs_are_known_by_their_notes() -> Checked {
    for (program, words) in [(subject()?, ""), (small()?, ", without a compiler")] {
        is_known(Content::Copy(program), words)?;
    }
    Ok(())
}

/// The texts of these programs are those of 0.1.0, whose programs have no note.
fn the_boot_programs_are_known_without_their_notes() -> Checked {
    const DESCRIPTION: usize = 256;
    let sizes: Vec<u8> = [12, DESCRIPTION as u32, 1]
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect();
    let head = [&sizes, &b"switch-root\0"[..]].concat();
    for (program, words) in [(subject()?, ""), (small()?, ", without a compiler")] {
        let mut bytes = fs::read(program)?;
        let found: Vec<usize> = (0..bytes.len())
            .filter(|at| bytes[*at..].starts_with(&head))
            .collect();
        let [note] = found[..] else {
            return Err(format!("notes at {found:?}").into());
        };
        bytes[note..note + head.len() + DESCRIPTION].fill(0);
        is_known(bytes.into(), words)?;
    }
    Ok(())
}

/// Has a program be the boot program of an image.
fn is_known(program: Content, words: &str) -> Checked {
    let image = well()?.image.program("/usr/bin/run-init", program);
    let desk = Desk::new()?;
    desk.write("image", archive::of(&image.steps())?)?;
    let found = findings(&desk, "image", 0)?;
    let name = format!("is switch_root ({}{words})", engine()?);
    says(&format!("{found:?}"), &[&name])
}

fn an_image_that_cannot_be_read_is_a_finding() -> Checked {
    let desk = desk(&well()?)?;
    let image = format!("root/boot/initrd.img-{KERNEL}");
    desk.write("text", "some text")?;
    let found = findings(&desk, "text", 3)?;
    says(&format!("{found:?}"), &["check the path"])?;
    for (content, words) in [
        (
            &b"LUKS\xba\xbe encrypted"[..],
            "cannot be read as an initramfs",
        ),
        (b"", "cannot be read as an initramfs"),
        (b"\x1f\x8b cut off", "cannot be read as an initramfs"),
    ] {
        desk.write(&image, content)?;
        for arguments in [image.as_str(), "--root root"] {
            let found = findings(&desk, arguments, 3)?;
            says(&format!("{found:?}"), &[words])?;
        }
    }
    desk.fails("doctor nowhere", &["cannot examine nowhere"])?;
    desk.fails("doctor nowhere --root root", &["cannot examine nowhere"])?;
    // Root may read everything.
    if !nix::unistd::geteuid().is_root() {
        fs::set_permissions(desk.path(&image), fs::Permissions::from_mode(0o000))?;
        let ran = desk.run(&format!("doctor {image}"))?;
        ensure!(ran.status == Some(4), "{}", ran.said());
        says(&ran.stdout, &["run srctl doctor as root", "1 unknown"])?;
    }
    desk.fails("doctor --root nowhere", &["cannot look into nowhere"])
}

fn nothing_is_read_from_outside_of_the_root() -> Checked {
    need_privileges()?;
    let Machine { root, image } = well()?;
    // Links of the machine lead where they lead there.
    let root = root
        .without("/etc/switch-root")
        .link("/etc/switch-root", "/usr/share/ours")
        .file(
            "/usr/share/ours/policies.d/50-more.wasm",
            policy("default")?,
        )
        .file("/usr/share/ours/policies.d/50-more.json", SETTINGS)
        .link(
            "/usr/share/ours/initramfs.conf",
            "/../../../../etc/hostname",
        );
    has(
        &Machine { root, image },
        "links",
        &[],
        &["/etc/switch-root/policies.d/50-more.wasm"],
    )
}

fn people_are_shown_findings_with_their_remedies() -> Checked {
    need_privileges()?;
    let mut machine = well()?;
    machine.root = machine
        .root
        .file(&format!("{ETC}/60-\u{1b}[2J.wasm"), "no policy")
        .without("/usr/bin/srctl");
    let desk = desk(&machine)?;
    let ran = desk.changes_nothing("doctor --root root", 3)?;
    let text = &ran.stdout;
    ensure!(
        text.chars().all(|c| c == '\n' || !c.is_control()),
        "{text:?}"
    );
    for line in [
        "machine  root",
        "ok       6.12.1-test is a kernel that a switch runs on",
        "ok       /usr/share/initramfs-tools/hooks/switch-root is in place for initramfs-tools",
        "warning  /usr/bin/srctl is missing: initramfs-tools cannot check policies and compile them for the image",
        "         -> install the package srctl",
        "ok       /run/switch-root/report.json says that this boot was switched by switch_root 0.1.0 (move), and all is well",
    ] {
        ensure!(text.lines().any(|it| it == line), "no {line:?} in\n{text}");
    }
    let last = text.lines().last().unwrap_or_default();
    ensure!(last == "1 problem and 1 warning", "{text}");
    Ok(())
}

/// Each line begins with the word that the sum counts it by.
fn what_is_unknown_is_not_shown_as_a_warning() -> Checked {
    let desk = Desk::new()?;
    desk.tree("empty", &[])?;
    let text = desk.changes_nothing("doctor --root empty", 3)?.stdout;
    let lines = |word: &str| {
        let is = |line: &&str| line.split(' ').next() == Some(word);
        text.lines().filter(is).count()
    };
    let sum = format!(
        "{} problem and {} warning and {} unknown",
        lines("problem"),
        lines("warning"),
        lines("unknown")
    );
    ensure!(text.lines().last() == Some(sum.as_str()), "{sum}\n{text}");
    says(
        &text,
        &[
            "unknown  the initramfs image is not found",
            "srctl doctor IMAGE --root empty",
            "warning  this machine has no generator of images that srctl knows (",
            "ok       this machine has no policies of its own: ",
        ],
    )
}

fn the_image_of_every_installed_kernel_is_looked_at() -> Checked {
    need_privileges()?;
    let Machine { root, image } = well()?;
    let root = ["6.1.0-9-test", "6.1.0-10-test", "5.4.0-gone", KERNEL]
        .iter()
        .fold(root, |root, kernel| {
            root.file(&format!("/lib/modules/{kernel}/modules.order"), "")
        })
        .file("/usr/lib/modules/6.9.1-arch/pkgbase", "linux-lts\n");
    let desk = desk(&Machine {
        root,
        image: image.clone(),
    })?;
    let stale = image.clone().without(&format!("{ETC}/50-more.cwasm"));
    let without = image.without("/usr/bin/run-init");
    for (name, image) in [
        ("initrd.img-6.1.0-9-test", &without),
        ("initrd.img-6.1.0-10-test", &stale),
        ("initramfs-linux-lts.img", &stale),
    ] {
        desk.write(&format!("root/boot/{name}"), archive::of(&image.steps())?)?;
    }
    // As bad as the worst of them.
    let found = findings(&desk, "--root root", 3)?;
    ensure!(
        severe(&found)
            == [
                "kernel problem",
                "policy-compiled warning",
                "policy-compiled warning",
                "image-binary problem",
            ],
        "{found:#?}"
    );
    let about = |check: &str, severity: &str| -> Vec<&str> {
        let found = found
            .iter()
            .filter(|finding| finding["check"] == check && finding["severity"] == severity);
        found
            .filter_map(|finding| finding["about"].as_str())
            .collect()
    };
    let boot = "root/boot";
    ensure!(
        about("policy-compiled", "warning")
            == [
                format!("50-more of {boot}/initramfs-linux-lts.img"),
                format!("50-more of {boot}/initrd.img-6.1.0-10-test"),
            ],
        "{found:#?}"
    );
    ensure!(
        about("image-binary", "problem") == [format!("{boot}/initrd.img-6.1.0-9-test")],
        "{found:#?}"
    );
    ensure!(
        about("image", "note") == ["the initramfs image"],
        "{found:#?}"
    );
    let ran = desk.changes_nothing("doctor --root root", 3)?;
    let images: Vec<&str> = ran
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("image    "))
        .collect();
    ensure!(
        images
            == [
                format!("{boot}/initrd.img-{KERNEL}"),
                format!("{boot}/initramfs-linux-lts.img"),
                format!("{boot}/initrd.img-6.1.0-10-test"),
                format!("{boot}/initrd.img-6.1.0-9-test"),
            ],
        "{}",
        ran.said()
    );
    says(
        &ran.stdout,
        &[
            "5.4.0-gone",
            "-> make the image again: update-initramfs -u -k all",
        ],
    )
}

fn after_a_revocation_the_image_is_what_counts() -> Checked {
    need_privileges()?;
    let signing = signing_desk()?;
    signing.succeeds("policy sign a.wasm --key ops")?;
    let ours = signing.read("ops.signers")?;
    let others = [&b"other@example.org "[..], &signing.read("other.pub")?].concat();
    let signed = |files: &Files| -> Result<Files, Stop> {
        let files = files.clone().without(ETC);
        let policy = Content::Copy(signing.path("a.wasm"));
        Ok(files.file(&format!("{ETC}/50-more.wasm"), policy).file(
            &format!("{ETC}/50-more.wasm.sig"),
            signing.read("a.wasm.sig")?,
        ))
    };
    let Machine { root, image } = well()?;
    let machine = |list: &[u8]| -> Result<Files, Stop> {
        Ok(signed(&root)?.file("/etc/switch-root/trust/ops.signers", list))
    };
    let booted = signed(&image)?.file("/usr/lib/switch-root/trust/ops.signers", &ours[..]);
    // The key was taken out: the present image still boots, and accepts it.
    has(
        &Machine {
            root: machine(&others)?,
            image: booted.clone(),
        },
        "a revoked key",
        &[
            "policy warning",
            "policy-compiled warning",
            "image-policies warning",
            "image-trust warning",
        ],
        &[
            "the next image is made without it",
            "accepts what the machine does not any more: ops@example.org (SHA256:",
        ],
    )?;
    // What the next image would have said of itself.
    let strict = machine(&others)?.file("/etc/switch-root/initramfs.conf", "STRICT=yes\n");
    has(
        &Machine {
            root: strict,
            image: booted.clone(),
        },
        "the same with STRICT=yes",
        &[
            "policy problem",
            "policy-compiled warning",
            "image-policies warning",
            "image-trust warning",
        ],
        &["no image is made"],
    )?;
    let expired = String::from_utf8_lossy(&ours).replacen(' ', " valid-before=20200101 ", 1);
    let list = expired.as_bytes();
    has(
        &Machine {
            root: machine(list)?,
            image: signed(&image)?.file("/usr/lib/switch-root/trust/ops.signers", list),
        },
        "a key that has expired",
        &[
            "policy-warning warning",
            "key-expiry warning",
            "policy-warning warning",
            "policy-compiled warning",
        ],
        &["has expired on 2020-01-01"],
    )
}

fn lists_of_signers_that_cannot_be_read_are_not_the_same() -> Checked {
    need_privileges()?;
    let Machine { root, image } = well()?;
    // Larger than any list that is read.
    let large = |byte: u8| vec![byte; (1 << 20) + 1];
    let machine = Machine {
        root: root.file("/etc/switch-root/trust/ops.signers", large(b'a')),
        image: image.file("/usr/lib/switch-root/trust/ops.signers", large(b'b')),
    };
    let found = findings(&desk(&machine)?, "--root root", 3)?;
    let compared: Vec<_> = found
        .iter()
        .filter(|finding| finding["check"] == "image-trust")
        .collect();
    ensure!(
        compared.len() == 1 && compared[0]["unknown"] == true,
        "{compared:#?}"
    );
    says(&compared[0].to_string(), &["ops.signers", "compared"])
}
