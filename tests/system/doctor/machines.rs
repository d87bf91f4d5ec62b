//! What there is to find about a machine.

use serde_json::{Value, json};
use switch_root_tests::archive;

use super::patient::{
    BOOT, ETC, Files, HOOK, INTO_IMAGE, Machine, OTHER_ENGINE, PROGRAM, boot_program, has,
    report_of, well,
};
use crate::tools::{Checked, need_privileges};

/// One thing is changed; the checks that then want something to be done, and words.
type Case<'a> = (&'a str, Files, &'a [&'a str], &'a [&'a str]);

pub fn each_thing_about_a_machine_has_its_finding() -> Checked {
    need_privileges()?;
    let Machine { root, image } = well()?;
    let dracut = root
        .clone()
        .without("/usr/sbin/update-initramfs")
        .program("/usr/bin/dracut", "")
        .file(
            "/usr/lib/dracut/modules.d/99switch-root/module-setup.sh",
            "",
        );
    let mkinitcpio = root
        .clone()
        .without("/usr/sbin/update-initramfs")
        .program("/usr/bin/mkinitcpio", "")
        .file("/usr/lib/initcpio/install/switch-root", "");
    let broken = |sidecar: &str| {
        root.clone()
            .file(&format!("{ETC}/60-bad.wasm"), "no policy")
            .file(&format!("{ETC}/60-bad.json"), sidecar)
    };
    let report = |report: Value| {
        root.clone()
            .file("/run/switch-root/report.json", report.to_string().as_str())
    };
    let parameters = |text: &str| root.clone().file("/proc/cmdline", text);
    let cases: Vec<Case<'_>> = vec![
        (
            "an old kernel",
            root.clone()
                .file("/proc/sys/kernel/osrelease", "5.9.0")
                .file("/boot/initrd.img-5.9.0", archive::of(&image.steps())?),
            &["kernel problem"],
            &["5.12"],
        ),
        (
            "no generator",
            root.clone().without("/usr/sbin/update-initramfs"),
            &["generator warning"],
            &["srctl image add-policy"],
        ),
        (
            "no hook",
            root.clone().without(HOOK),
            &["hook problem"],
            &[HOOK, "is missing", "update-initramfs -u"],
        ),
        (
            "a hook that is not executable",
            root.clone().file(HOOK, "#!/bin/sh\n"),
            &["hook problem"],
            &["is not executable", "chmod 755"],
        ),
        (
            "a hook without what it calls",
            root.clone().without(INTO_IMAGE),
            &["hook problem"],
            &[INTO_IMAGE, "update-initramfs -u"],
        ),
        (
            "what it calls is not executable",
            root.clone().file(INTO_IMAGE, "#!/bin/sh\n"),
            &["hook problem"],
            &[INTO_IMAGE, "is missing or not executable"],
        ),
        (
            "no srctl",
            root.clone().without("/usr/bin/srctl"),
            &["hook warning"],
            &["install the package srctl"],
        ),
        (
            "dracut",
            dracut.clone(),
            &[],
            &["dracut", "99switch-root/module-setup.sh"],
        ),
        (
            "dracut that leaves the module out",
            dracut.file(
                "/etc/dracut.conf.d/x.conf",
                "omit_dracutmodules+=\" plymouth switch-root \"\n",
            ),
            &["hook problem"],
            &["/etc/dracut.conf.d/x.conf", "dracut --force"],
        ),
        (
            "mkinitcpio that has the hook",
            mkinitcpio
                .clone()
                .file("/etc/mkinitcpio.conf", "HOOKS=(base\n  switch-root)\n"),
            &[],
            &["mkinitcpio"],
        ),
        (
            "mkinitcpio that has not",
            mkinitcpio.file("/etc/mkinitcpio.conf", "HOOKS=(base udev) # switch-root\n"),
            &["hook problem"],
            &["mkinitcpio -P"],
        ),
        (
            "booster",
            root.clone()
                .without("/usr/sbin/update-initramfs")
                .program("/usr/bin/booster", ""),
            &["hook warning"],
            &["has no place for a hook"],
        ),
        (
            "two generators",
            root.clone().program("/usr/bin/dracut", "").file(
                "/usr/lib/dracut/modules.d/99switch-root/module-setup.sh",
                "",
            ),
            &[],
            &["are all installed"],
        ),
        (
            "settings that are none",
            root.clone()
                .file("/etc/switch-root/initramfs.conf", "STRICT=maybe\n"),
            &["settings problem"],
            &["`maybe`"],
        ),
        (
            "settings that are no file",
            root.clone()
                .without("/etc/switch-root/initramfs.conf")
                .file("/etc/switch-root/initramfs.conf/x", ""),
            &["settings unknown"],
            &["is not a regular file"],
        ),
        (
            "a folder of policies that is a dangling symbolic link",
            root.clone().without(ETC).link(ETC, "/srv/nowhere"),
            &["policy problem", "image-policies warning"],
            &[ETC, "is a dangling symbolic link", "correct the link"],
        ),
        (
            "signers that are malformed",
            root.clone()
                .file("/usr/lib/switch-root/trust/a.signers", "nonsense\n"),
            &[
                "signatures problem",
                "policy problem",
                "policy problem",
                "image-policies warning",
                "image-trust problem",
            ],
            &["a.signers", "correct the lists of signers: what is wrong"],
        ),
        (
            "a sidecar that is empty",
            root.clone().file(&format!("{ETC}/50-more.json"), ""),
            &["image-policies warning"],
            &["is empty or a link to /dev/null: policy 50-more has the default settings"],
        ),
        (
            "no package",
            root.clone()
                .without(PROGRAM)
                .without(&format!("{PROGRAM}-aot")),
            &["package problem"],
            &["install the package switch-root"],
        ),
        (
            "another program in its place",
            root.clone().program(PROGRAM, "busybox"),
            &["package problem"],
            &["is another program"],
        ),
        (
            "a package of another release",
            root.clone()
                .program(PROGRAM, boot_program(OTHER_ENGINE, "")),
            &["package warning", "image-binary warning"],
            &[OTHER_ENGINE, "is another build"],
        ),
        (
            "a policy that is none",
            broken("{}"),
            &["policy problem"],
            &[
                "is not WebAssembly",
                "nothing of the initramfs would be deleted",
            ],
        ),
        (
            "one that may not fail",
            broken(r#"{"on_failure": "refuse"}"#),
            &["policy problem"],
            &["no image is made without it, as its sidecar says"],
        ),
        (
            "one that may fail",
            broken(r#"{"on_failure": "ignore"}"#),
            &["policy warning"],
            &["as if it were not there"],
        ),
        (
            "a sidecar that is none",
            root.clone().file(&format!("{ETC}/50-more.json"), "{"),
            &["policy problem", "image-policies warning"],
            &["is not a sidecar file"],
        ),
        (
            "a sidecar without a policy",
            root.clone().file(&format!("{ETC}/70-gone.json"), "{}"),
            &["sidecar warning"],
            &["70-gone.json"],
        ),
        (
            "code of another engine",
            root.clone().file(
                &format!("{ETC}/50-more.cwasm"),
                "switch-root ahead-of-time policy 1\n{}\n",
            ),
            &["policy-compiled warning"],
            &["50-more.cwasm is not used"],
        ),
        (
            "signatures that are demanded and missing",
            root.clone().file("/etc/switch-root/trust/ops.signers", "x"),
            &[
                "signatures problem",
                "policy problem",
                "policy problem",
                "image-policies warning",
                "image-trust problem",
            ],
            &["srctl policy sign", "the next image", "is not made"],
        ),
        (
            "a way out that stayed",
            parameters("switch_root.policies=default switch_root.extensions=ignore"),
            &["parameter warning", "parameter warning"],
            &["take it off"],
        ),
        (
            "a parameter that is none",
            parameters("switch_root.colour=red"),
            &["parameter warning"],
            &["there is no such parameter"],
        ),
        (
            "parameters that only say how",
            parameters("switch_root.keep_initramfs switch_root.log=debug switch_root.foreground"),
            &[],
            &["nothing of the initramfs is deleted"],
        ),
        (
            "no report",
            root.clone().without("/run"),
            &[],
            &["this boot was not switched by switch_root"],
        ),
        (
            "a report of another boot",
            report(report_of("another", &[])),
            &[],
            &["is of another boot"],
        ),
        (
            "a report that tells of trouble",
            report(report_of(BOOT, &["odd"])),
            &["report warning"],
            &["not all is well: 1 warning"],
        ),
        (
            "a report that is none",
            report(json!("text")),
            &["report unknown"],
            &["is not a report"],
        ),
        (
            "a machine that does not run",
            root.clone().without("/proc").without("/run"),
            &["kernel unknown", "image unknown"],
            &["is not known", "srctl doctor IMAGE --root root"],
        ),
        (
            "no /boot that is known",
            root.clone().file("/proc/sys/kernel/osrelease", "6.99.0"),
            &["image unknown"],
            &["of 6.99.0 is not found"],
        ),
    ];
    for (what, root, expected, words) in cases {
        let image = image.clone();
        has(&Machine { root, image }, what, expected, words)?;
    }
    Ok(())
}
