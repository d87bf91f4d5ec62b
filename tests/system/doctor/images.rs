//! What there is to find about an image.

use super::patient::{
    ETC, Files, Machine, OTHER_ENGINE, PROGRAM, boot_program, desk, engine, findings, has, well,
};
use crate::check::ensure;
use crate::not_rehearsing::foreign_program;
use crate::tools::{Checked, need_privileges};

/// A kernel starts what `rdinit=` names, and `/init` where nothing is named.
pub fn init_of_the_command_line_is_examined() -> Checked {
    need_privileges()?;
    let Machine { root, image } = well()?;
    let root = root.file(
        "/proc/cmdline",
        "rdinit=/none rdinit=/sbin/first -- rdinit=/x\n",
    );
    let start = "#!/bin/sh\nexec run-init /root /sbin/init\n";
    let image = image.without("/init");
    let named = image.clone().program("/sbin/first", start);
    has(
        &Machine {
            root: root.clone(),
            image: named,
        },
        "it is there",
        &[],
        &["is called by initramfs-tools"],
    )?;
    has(
        &Machine {
            root,
            image: image.program("/init", start),
        },
        "it is missing",
        &["image-binary problem"],
        &["has no /sbin/first, which the kernel would start"],
    )
}

/// One thing is changed; the checks that then want something to be done, and words.
type Case<'a> = (&'a str, Files, &'a [&'a str], &'a [&'a str]);

pub fn each_thing_about_an_image_has_its_finding() -> Checked {
    need_privileges()?;
    let Machine { root, image } = well()?;
    let program = boot_program(&engine()?, "");
    let by_systemd = image
        .clone()
        .without("/init")
        .link("/init", "usr/lib/systemd/systemd")
        .program("/usr/lib/systemd/systemd", "systemd")
        .without("/scripts");
    let init = program.clone();
    let by_unit = by_systemd
        .clone()
        .program(PROGRAM, program.clone())
        .file("/usr/lib/systemd/system/switch-root-preserve.service", "");
    let keep = |ending: &str| format!("{ETC}/50-more.{ending}");
    let by_busybox = image
        .clone()
        .file("/usr/bin/busybox", "busybox")
        .link("/usr/bin/sh", "busybox");
    let by_path = "#!/bin/sh\n# not run-init alone\nexec /usr/bin/run-init /root /sbin/init\n";
    let quiet = Machine {
        root: root.clone(),
        image: by_busybox.clone().program("/init", by_path),
    };
    let found = format!("{:?}", findings(&desk(&quiet)?, "--root root", 0)?);
    ensure!(!found.contains("may run its own"), "{found}");
    let cases: Vec<Case<'_>> = vec![
        (
            "a policy that cannot be loaded",
            image.clone().file(&keep("wasm"), "no policy").without(&keep("cwasm")),
            &["policy problem", "image-policies warning", "plan problem"],
            &["srctl policy inspect, on the file that it was taken from, shows more"],
        ),
        (
            "a sidecar that is empty",
            image.clone().file(&keep("json"), ""),
            &["image-policies warning"],
            &["is empty or a link to /dev/null: policy 50-more has the default settings"],
        ),
        (
            "no run-init",
            image.clone().without("/usr/bin/run-init"),
            &["image-binary problem"],
            &["has no run-init, which initramfs-tools would call"],
        ),
        (
            "another run-init",
            image.clone().program("/usr/bin/run-init", "klibc"),
            &["image-binary problem"],
            &["is another program than switch_root"],
        ),
        (
            "another run-init that comes first",
            image.clone().program("/sbin/run-init", "klibc"),
            &["image-binary problem"],
            &["/sbin/run-init of the image"],
        ),
        (
            "a link to ours",
            image
                .clone()
                .without("/usr/bin/run-init")
                .link("/usr/bin/run-init", "../lib/switch-root/switch_root")
                .program(PROGRAM, program.clone()),
            &[],
            &["and is the switch_root that is installed"],
        ),
        (
            "a busybox that may run its own",
            by_busybox.clone(),
            &[],
            &["may run its own command of this name"],
        ),
        (
            "dracut's way",
            image
                .clone()
                .without("/scripts")
                .without("/usr/bin/run-init")
                .file("/usr/lib/dracut-lib.sh", "")
                .program("/usr/sbin/switch_root", program.clone()),
            &[],
            &["is called by dracut"],
        ),
        (
            "mkinitcpio's way",
            image
                .clone()
                .without("/scripts")
                .without("/usr/bin/run-init")
                .file("/init_functions", "")
                .program("/usr/bin/switch_root", program.clone()),
            &[],
            &["is called by mkinitcpio"],
        ),
        (
            "systemd without us",
            by_systemd.clone(),
            &["image-binary problem"],
            &["is run by systemd"],
        ),
        (
            "systemd without our unit",
            by_systemd.program(PROGRAM, program),
            &["image-binary problem"],
            &["has no switch-root-preserve.service"],
        ),
        (
            "systemd",
            by_unit.clone(),
            &[],
            &["is called by systemd"],
        ),
        (
            "a program of another machine",
            by_unit.program("/usr/lib/systemd/systemd", foreign_program()),
            &["image unknown"],
            &["is for aarch64", "its policies are not tried here"],
        ),
        (
            "no init",
            image.clone().without("/init"),
            &["image-binary problem"],
            &["has no /init, which the kernel would start"],
        ),
        (
            "an init that is a dangling link",
            image.clone().without("/init").link("/init", "usr/lib/init"),
            &["image-binary problem"],
            &["has no /init, which the kernel would start"],
        ),
        (
            "an init of no generator that calls it",
            image.clone().without("/scripts"),
            &[],
            &["is called by its init, and is the switch_root that is installed"],
        ),
        (
            "an init that does not name it",
            image
                .clone()
                .without("/scripts")
                .program("/init", "#!/bin/sh\n# no run-init\nexec /bin/busybox sh\n"),
            &["image-binary unknown"],
            &["/init is not a script that names it", "whether it is called is not known"],
        ),
        (
            "an init that is not a script",
            image.clone().without("/scripts").program("/init", "\x7fELF"),
            &["image-binary unknown"],
            &["/init is not a script that names it"],
        ),
        (
            "a policy that is compiled at boot",
            image.clone().without(&keep("cwasm")),
            &["policy-compiled warning"],
            &["is compiled at each boot"],
        ),
        (
            "the same where nobody compiles",
            image.clone().without(&keep("cwasm")).program(
                "/usr/bin/run-init",
                boot_program(&engine()?, "this build of switch_root has no compiler"),
            ),
            &[
                "image-binary warning",
                "policy-compiled problem",
                "plan problem",
            ],
            &["has no compiler", "nothing of it would be deleted"],
        ),
        (
            "the same, of another release than what was compiled",
            image.clone().program(
                "/usr/bin/run-init",
                boot_program(OTHER_ENGINE, "this build of switch_root has no compiler"),
            ),
            &[
                "image-binary warning",
                "policy-compiled problem",
                "plan problem",
            ],
            &["has no compiler", "of its own release alone"],
        ),
        (
            "a boot program of another release",
            image.clone().without(&keep("cwasm")).program(
                "/usr/bin/run-init",
                boot_program(OTHER_ENGINE, ""),
            ),
            &["image-binary warning"],
            &["of its own release alone"],
        ),
        (
            "a switch that would be refused",
            image.clone().file("/extensions.yaml", "layers: ["),
            &["plan problem"],
            &["would not be switched from", "/extensions.yaml"],
        ),
        (
            "our program as the init, and no root image",
            image.clone().without("/scripts").program("/init", init),
            &["plan problem"],
            &["would not be switched from", "has no root image"],
        ),
        (
            "nothing that would be deleted",
            image.clone().file(&format!("{ETC}/60-bad.wasm"), "none"),
            &[
                "policy problem",
                "image-policies warning",
                "plan problem",
            ],
            &["nothing of it would be deleted"],
        ),
        (
            "an extension that would be left out",
            image.clone().file(
                "/extensions.yaml",
                "layers: [{image: 0.sqsh, metadata: {name: a, version: '1', compatibility: {debian: {version: '>= 99'}}}}]\n",
            ),
            &["extension warning"],
            &["extension a 1", "would be left out"],
        ),
    ];
    for (what, image, expected, words) in cases {
        let root = root.clone();
        has(&Machine { root, image }, what, expected, words)?;
    }
    Ok(())
}
