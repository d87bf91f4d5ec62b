//! `srctl extension install` where it must not install: OUT and everything else stay as
//! they were.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use switch_root_tests::snapshot::difference;
use switch_root_tests::steps::Steps;

use crate::check::{ensure, says};
use crate::installing::{FOR_TALOS, INSTALL, add_images, archive, compressed, configure, desk};
use crate::srctl::{Ran, manifest, noise};
use crate::tools::{Checked, Stop, cases, program};

cases![
    the_operating_system_must_be_known,
    an_image_that_is_no_extension_is_not_installed,
    more_extensions_than_layers_are_refused_before_they_are_pulled,
    what_is_no_initramfs_is_refused,
    a_configuration_that_means_nothing_is_refused_with_its_place,
    what_is_no_machine_configuration_takes_no_extension_out,
    an_image_loses_its_last_extension_only_where_that_is_said,
    a_configuration_that_grows_when_it_is_read_costs_nothing,
    a_full_disk_leaves_what_was_there,
];

fn the_operating_system_must_be_known() -> Checked {
    let desk = desk()?;
    desk.write("in.img", archive(&[("init", b"init")])?)?;
    desk.write("out.img", "an older one")?;
    desk.fails(
        INSTALL,
        &[
            "in.img does not tell",
            "--os-release FILE",
            "--target-version VERSION",
        ],
    )?;
    let broken = archive(&[("rootfs.sqsh", b"hsqs and nothing else")])?;
    desk.write("in.img", broken)?;
    desk.fails(
        INSTALL,
        &["rootfs.sqsh cannot be looked into", "--target-version"],
    )
}

fn an_image_that_is_no_extension_is_not_installed() -> Checked {
    let desk = desk()?;
    let rootless = Vec::new().file("/manifest.yaml", manifest("rootless", ">= v1.6.0").as_str());
    let busybox = Vec::new().file("/bin/busybox", "busybox");
    add_images(&desk, &[("busybox", busybox), ("rootless", rootless)])?;
    desk.write("in.img", archive(&[("init", b"init")])?)?;
    desk.write("out.img", "an older one")?;
    configure(&desk, &["oci:images:busybox", "oci:images:rootless"])?;
    let ran = desk.changes_nothing(FOR_TALOS, 3)?;
    says(
        &ran.stderr,
        &[
            "[manifest-missing]",
            "000.oci-images-busybox: bin: ",
            "[unexpected-file]",
            "001.oci-images-rootless",
            "[rootfs-missing]",
        ],
    )?;
    configure(&desk, &["oci:images:missing"])?;
    desk.fails(
        FOR_TALOS,
        &["cannot pull oci:images:missing", "busybox", "rootless"],
    )
}

fn more_extensions_than_layers_are_refused_before_they_are_pulled() -> Checked {
    let desk = desk()?;
    desk.write("in.img", archive(&[("init", b"init")])?)?;
    let images: Vec<String> = (0..101)
        .map(|number| format!("oci:nowhere:{number}"))
        .collect();
    configure(
        &desk,
        &images.iter().map(String::as_str).collect::<Vec<_>>(),
    )?;
    desk.fails(FOR_TALOS, &["machine.yaml lists 101 extensions", "100"])
}

fn what_is_no_initramfs_is_refused() -> Checked {
    let desk = desk()?;
    desk.fails(FOR_TALOS, &["cannot read in.img"])?;
    let whole = archive(&[("init", &[1; 9000])])?;
    let packed = compressed(&desk, &["zstd", "-c"], &archive(&[("init", &noise(9000))])?)?;
    let inputs: [(&[u8], &[&str]); 9] = [
        (b"", &["in.img is empty"]),
        (b"Not an initramfs.\n", &["no initramfs", "`Not an"]),
        (
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
            &["ELF executable"],
        ),
        (b"hsqs\x01\0\0\0\0\0\0\0\0\0\0\0", &["squashfs image"]),
        (b"MZ\0\0\0\0\0\0\0\0\0\0\0\0\0\0", &["kernel"]),
        (&[0; 4096], &["nothing but zeros"]),
        (&whole[..5000], &["truncated"]),
        (&packed[..5000], &["cannot read in.img", "zstd"]),
        (
            &[&whole[..], b"trailing text"].concat(),
            &["behind part 1", "`trailing"],
        ),
    ];
    for output in [None, Some("an older one")] {
        if let Some(older) = output {
            desk.write("out.img", older)?;
        }
        for (bytes, words) in &inputs {
            desk.write("in.img", bytes)?;
            desk.fails(FOR_TALOS, words)?;
        }
    }
    fs::remove_file(desk.path("in.img"))?;
    fs::create_dir(desk.path("in.img"))?;
    desk.fails(FOR_TALOS, &["in.img", "not a regular file"])
}

fn a_configuration_that_means_nothing_is_refused_with_its_place() -> Checked {
    let desk = desk()?;
    desk.write("in.img", archive(&[("init", b"init")])?)?;
    desk.write("out.img", "an older one")?;
    let list = |items: &str| format!("machine:\n  install:\n    extensions:\n{items}");
    for (text, words) in [
        (
            "machine: {install: [".to_owned(),
            &["machine.yaml is not YAML: line 2 column 1: "][..],
        ),
        (
            "machine:\n\tinstall: {}\n".to_owned(),
            &["machine.yaml is not YAML: line 2 column"],
        ),
        (
            "machine:\n  install:\n    extensions: yes\n".to_owned(),
            &[
                "machine.yaml: line 3 column 17: machine.install.extensions",
                "a list",
            ],
        ),
        (
            list("      - oci:images:tools\n      - image: [a]\n      - name: a\n"),
            // All of them at once.
            &[
                "line 4 column 9",
                "extensions[0]",
                "line 5 column 16",
                "extensions[1].image",
                "extensions[2]",
            ],
        ),
        (
            list("      - image: UPPER/CASE\n"),
            &["line 4 column 16", "UPPER/CASE"],
        ),
        (
            list("      - image: oci:images:tools\n      - image: oci:images:tools\n"),
            &[
                "line 5 column 16",
                "names the image `oci:images:tools`",
                "line 4 column 16 already",
            ],
        ),
        (
            "machine: {}\n---\nmachine: {}\n".to_owned(),
            &["line 3 column 1", "a second document"],
        ),
    ] {
        desk.write("machine.yaml", text)?;
        desk.fails(FOR_TALOS, words)?;
    }
    desk.write("machine.yaml", b"machine:\n  \xff\xfe: 1\n")?;
    desk.fails(FOR_TALOS, &["machine.yaml: line 2 column 3", "UTF-8"])?;
    fs::remove_file(desk.path("machine.yaml"))?;
    desk.fails(FOR_TALOS, &["cannot read machine.yaml"])
}

/// A desk on which `in.img` has an extension.
fn with_an_extension() -> Result<crate::srctl::Desk, Stop> {
    let desk = desk()?;
    desk.write("bare.img", archive(&[("init", b"init")])?)?;
    desk.succeeds(&FOR_TALOS.replace("in.img", "bare.img"))?;
    fs::rename(desk.path("out.img"), desk.path("in.img"))?;
    desk.write("out.img", "an older one")?;
    Ok(desk)
}

fn what_is_no_machine_configuration_takes_no_extension_out() -> Checked {
    let desk = with_an_extension()?;
    let good = String::from_utf8_lossy(&desk.read("machine.yaml")?).replace('\n', "\n    ");
    let resource =
        format!("node: 192.0.2.1\nmetadata:\n    type: MachineConfigs\nspec: |\n    {good}\n");
    for (text, words) in [
        (resource.as_str(), "the text below `spec`"),
        ("context: a\ncontexts:\n  a: {}\n", "a talosconfig"),
        ("clusterName: a\nnodes: []\n", "talhelper"),
        ("customization:\n  systemExtensions: {}\n", "a schematic"),
        ("- machine: {}\n", "a list"),
    ] {
        desk.write("machine.yaml", text)?;
        let words = ["machine.yaml is not a machine configuration", words];
        desk.fails(FOR_TALOS, &words)?;
        desk.fails(&format!("{FOR_TALOS} --remove-all"), &words)?;
        desk.fails(
            "config add-extension machine.yaml ghcr.io/siderolabs/iscsi-tools:v0.1.4",
            &words,
        )?;
        desk.fails(
            "extension pull --config machine.yaml --output pulled oci:images:tools",
            &words,
        )?;
    }
    Ok(())
}

fn an_image_loses_its_last_extension_only_where_that_is_said() -> Checked {
    let desk = with_an_extension()?;
    for text in ["cluster: {}\n", "machine: {install: {extension: []}}\n", ""] {
        desk.write("machine.yaml", text)?;
        let words = [
            "out.img was not written",
            "machine.yaml lists no extensions",
            "000.oci-images-tools.sqsh",
            "--remove-all",
        ];
        desk.fails(FOR_TALOS, &words)?;
    }
    // Where there is none, none is lost.
    desk.succeeds(&FOR_TALOS.replace("in.img", "bare.img"))?;
    desk.succeeds(&format!("{FOR_TALOS} --remove-all"))?;
    Ok(())
}

fn a_configuration_that_grows_when_it_is_read_costs_nothing() -> Checked {
    let desk = desk()?;
    desk.write("in.img", archive(&[("init", b"init")])?)?;
    let level = |n: usize| {
        let ten = vec![format!("*a{}", n - 1); 10].join(", ");
        format!("a{n}: &a{n} [{ten}]\n")
    };
    let bomb: String = (1..30).map(level).collect();
    let bomb = format!("a0: &a0 lol\n{bomb}machine:\n  install:\n    extensions:");
    let begun = Instant::now();
    // What is not ours is not looked at, however large it would be.
    desk.write(
        "machine.yaml",
        format!("{bomb}\n      - image: oci:images:tools\n"),
    )?;
    desk.succeeds(FOR_TALOS)?;
    desk.write("machine.yaml", format!("{bomb} *a29\n"))?;
    desk.fails(FOR_TALOS, &["machine.yaml: line 33 column 17", "alias"])?;
    let time = begun.elapsed();
    ensure!(time < Duration::from_secs(10), "it took {time:?}");
    Ok(())
}

fn a_full_disk_leaves_what_was_there() -> Checked {
    let unshare = program("unshare")?;
    let desk = desk()?;
    desk.write("in.img", archive(&[("init", &[1; 300_000])])?)?;
    fs::create_dir(desk.path("small"))?;
    // A mount of its own, which is gone when the commands have ended.
    let script = r#"
        mount -t tmpfs -o size=256k none small || exit 77
        echo "an older one" > small/out.img
        "$0" "$@"
        status=$?
        ls -A small
        cat small/out.img
        exit $status
    "#;
    let subject = desk.command(&FOR_TALOS.replace("out.img", "small/out.img"))?;
    let mut command = Command::new(unshare);
    command.args(["--map-root-user", "--mount", "/bin/sh", "-c", script]);
    command.arg(subject.get_program()).args(subject.get_args());
    let before = desk.everything()?;
    let ran = Ran::new(
        "(in 256 KiB)",
        &command.current_dir(desk.path(".")).output()?,
    );
    if ran.status == Some(77) || ran.stderr.contains("unshare failed") {
        return Err(Stop::Skip(format!("no mount: {}", ran.stderr)));
    }
    ensure!(ran.status == Some(1), "{}", ran.said());
    says(
        &ran.stderr,
        &[
            "cannot write small/out.img",
            "No space left",
            "free some space",
        ],
    )?;
    ensure!(ran.stdout == "out.img\nan older one\n", "{}", ran.said());
    let changes = difference(&before, &desk.everything()?);
    ensure!(changes.is_empty(), "changed: {changes:?}");
    Ok(())
}
