//! initramfs-tools.

use std::fs;
use std::os::unix::fs::MetadataExt;

use switch_root_tests::scene::{SUBJECT, Scene};
use switch_root_tests::steps::{Content, Make, Step, Steps};

use crate::check::{boots, ensure, said, says};
use crate::tools::{self, Checked, Policies, Stop, cases};

use super::{
    BINARY, Image, MALFORMED, Machine, OPERATOR, RELEASE, TRUST, broken, malformed_signers,
    settings,
};

cases![
    run_init_is_ours_and_the_policies_are_compiled,
    what_busybox_brings_is_replaced_too,
    a_busybox_that_prefers_its_own_commands_runs_ours,
    the_small_binary_is_taken_where_that_is_set,
    a_policy_that_no_boot_would_run_is_left_out_loudly,
    with_strict_the_image_that_there_is_stays,
    malformed_signers_keep_the_image_whatever_strict_is,
    signed_policies_run_in_the_small_build_of_an_image,
    without_srctl_the_policies_are_compiled_at_boot,
    where_proc_is_not_mounted_they_are_compiled_all_the_same,
    a_setting_that_is_misspelt_makes_no_image,
    what_is_removed_is_gone_from_the_next_image,
    a_boot_directory_without_room_keeps_the_image_and_says_how_much_is_needed,
    a_boot_directory_that_cannot_be_written_to_keeps_the_image,
    the_same_machine_makes_the_same_image,
    run_init_finds_its_way_after_the_mounts_were_moved,
];

const HOOKS: [(&str, &str); 2] = [
    (
        "initramfs-tools/hooks/switch-root",
        "/usr/share/initramfs-tools/hooks/switch-root",
    ),
    (
        "initramfs-tools/post-update.d/switch-root",
        "/etc/initramfs/post-update.d/switch-root",
    ),
];

/// A kernel without modules, and an image of before.
fn prepare() -> String {
    format!(
        "mkdir -p /usr/lib/modules/{RELEASE} /etc/initramfs-tools/conf.d
touch /usr/lib/modules/{RELEASE}/modules.order /usr/lib/modules/{RELEASE}/modules.builtin
touch /usr/lib/modules/{RELEASE}/modules.builtin.modinfo
echo CONFIG_RD_GZIP=y >/boot/config-{RELEASE}
printf 'MODULES=list\\nCOMPRESS=gzip\\nRESUME=none\\nBUSYBOX=n\\n' >/etc/initramfs-tools/conf.d/test
head -c 200000 /dev/urandom >/boot/initrd.img-{RELEASE}
cp /boot/initrd.img-{RELEASE} /out/before
"
    )
}

const UPDATE: &str = "update-initramfs -u -k 6.1.0-test\n";
const UNPACK: &str =
    "mkdir /out/image; cd /out/image; zcat /boot/initrd.img-6.1.0-test | cpio --quiet -id\n";
/// For updates that fail.
const UNCHANGED: &str = "cmp /boot/initrd.img-6.1.0-test /out/before && ls /boot >/out/boot\n";

fn machine() -> Result<Machine, Stop> {
    Machine::new("initramfs-tools", &HOOKS)
}

fn run_init_is_ours_and_the_policies_are_compiled() -> Checked {
    let machine = machine()?;
    let ran = machine.succeeds(&[&prepare(), UPDATE, UNPACK].concat())?;
    let image = machine.image()?;
    image.is(BINARY, &tools::subject()?)?;
    let link = image.link("/usr/sbin/run-init");
    ensure!(link == Some(BINARY), "run-init is {link:?}\n{}", ran.said());
    // klibc's, which /init would have taken.
    ensure!(
        image.has("/usr/bin/run-init.stock") && image.link("/usr/bin/run-init").is_none(),
        "klibc's is not out of the way: {:?}",
        image.tree.get("/usr/bin/run-init")
    );
    ensure!(!image.has("/usr/bin/run-init"), "klibc's is still there");
    image.policies(&["50-abi.cwasm", "50-abi.wasm"])?;
    let sizes = ["KiB, was ", "KiB are free in /boot"];
    says(&ran.stdout, &sizes)?;
    ensure!(!ran.stderr.contains("WARNING"), "{}", ran.said());
    // It is run there, as /init checks the new root.
    let check = format!(
        "{}{UPDATE}{UNPACK}chroot /out/image /usr/sbin/run-init -V >/out/version\n",
        prepare()
    );
    machine.succeeds(&check)?;
    let version = std::fs::read_to_string(machine.out().join("version"))?;
    says(&version, &["switch_root 0."])
}

fn what_busybox_brings_is_replaced_too() -> Checked {
    let machine = machine()?;
    let busybox = "sed -i s/BUSYBOX=n/BUSYBOX=y/ /etc/initramfs-tools/conf.d/test\n";
    machine.succeeds(&[&prepare(), busybox, UPDATE, UNPACK].concat())?;
    let image = machine.image()?;
    ensure!(image.has("/usr/bin/busybox"), "there is no busybox");
    let link = image.link("/usr/sbin/run-init");
    ensure!(link == Some(BINARY), "run-init is {link:?}");
    ensure!(!image.has("/usr/bin/run-init"), "another run-init is there");
    Ok(())
}

fn a_busybox_that_prefers_its_own_commands_runs_ours() -> Checked {
    let machine = machine()?;
    // Debian's busybox-static does.
    let busybox = Content::Copy(tools::program("busybox")?);
    machine.add(Vec::new().executable("/usr/bin/busybox", busybox))?;
    let script = "sed -i s/BUSYBOX=n/BUSYBOX=y/ /etc/initramfs-tools/conf.d/test\n";
    // The last line of /init that is reached, with the program asked for its version.
    let call = "call=$(sed -n 's/^exec \\([^ ]*run-init\\) .*/\\1 -V/p' /out/image/init)
# Through which it executes itself; what /init has when it checks the new root.
mkdir -p /out/image/proc; mount --bind /proc /out/image/proc
chroot /out/image /bin/busybox sh -c \"$call\" >/out/version; chroot /out/image /bin/busybox sh -c 'run-init -V' >/out/own 2>&1 || true\n";
    machine.succeeds(&[&prepare(), script, UPDATE, UNPACK, call].concat())?;
    let version = std::fs::read_to_string(machine.out().join("version"))?;
    says(&version, &["switch_root 0."])?;
    let own = std::fs::read_to_string(machine.out().join("own"))?;
    ensure!(
        !own.contains("switch_root 0."),
        "this busybox prefers programs, and shows nothing: {own}"
    );
    Ok(())
}

fn the_small_binary_is_taken_where_that_is_set() -> Checked {
    let machine = machine()?;
    machine.add(settings("BINARY=aot\n"))?;
    machine.succeeds(&[&prepare(), UPDATE, UNPACK].concat())?;
    let image = machine.image()?;
    image.is(BINARY, &tools::small()?)?;
    image.policies(&["50-abi.cwasm", "50-abi.wasm"])
}

fn a_policy_that_no_boot_would_run_is_left_out_loudly() -> Checked {
    let machine = machine()?;
    machine.add(broken())?;
    let ran = machine.succeeds(&[&prepare(), UPDATE, UNPACK].concat())?;
    let words = ["60-broken is left out", "is not WebAssembly"];
    says(&ran.stderr, &words)?;
    machine.image()?.policies(&["50-abi.cwasm", "50-abi.wasm"])
}

/// Checks that an update fails for this reason, and that the image of before is there.
fn keeps(machine: &Machine, before: &str, words: &[&str]) -> Checked {
    let update = "if update-initramfs -u -k 6.1.0-test; then echo an image was made; exit 1; fi\n";
    keeps_after(machine, &[before, update].concat(), words)
}

fn keeps_after(machine: &Machine, update: &str, words: &[&str]) -> Checked {
    let ran = machine.succeeds(&[&prepare(), update, UNCHANGED].concat())?;
    says(&ran.stderr, words)?;
    let left = std::fs::read_to_string(machine.out().join("boot"))?;
    ensure!(!left.contains(".new"), "left in /boot: {left}");
    Ok(())
}

fn with_strict_the_image_that_there_is_stays() -> Checked {
    let machine = machine()?;
    machine.add(settings("STRICT=yes\n"))?;
    machine.succeeds(&[&prepare(), UPDATE].concat())?;
    machine.add(broken())?;
    let words = [
        "60-broken",
        "is not WebAssembly",
        "no image is made",
        "failed with return 1",
    ];
    keeps(&machine, "", &words)
}

fn malformed_signers_keep_the_image_whatever_strict_is() -> Checked {
    // What another hook puts into the image is signed by nobody.
    let another = "#!/bin/sh
[ \"$1\" = prereqs ] && exit 0
mkdir -p \"$DESTDIR/etc/switch-root/policies.d\"
echo theirs >\"$DESTDIR/etc/switch-root/policies.d/70-theirs.wasm\"
";
    for strict in ["no", "yes"] {
        let machine = machine()?;
        machine.add(settings(&format!("STRICT={strict}\n")))?;
        machine.add(malformed_signers())?;
        machine.add(Vec::new().executable("/usr/share/initramfs-tools/hooks/another", another))?;
        keeps(&machine, "", &MALFORMED)?;
    }
    Ok(())
}

/// The files of policies, and of those whose signatures count, with the modes that they
/// have in an image.
fn policies_of(image: &Image) -> Result<Vec<Step>, Stop> {
    let ours = |path: &str| {
        [OPERATOR, TRUST]
            .iter()
            .any(|folder| path.starts_with(folder))
    };
    let mut steps = Vec::new();
    for (path, entry) in image.tree.iter().filter(|(path, _)| ours(path)) {
        if entry.kind == "file" {
            ensure!(entry.owner.0 == 0, "{path}: {entry:?}");
            let make = Make::File {
                mode: entry.mode,
                content: Content::Bytes(fs::read(image.folder.join(&path[1..]))?),
            };
            steps = steps.make(path, make);
        }
    }
    Ok(steps)
}

fn signed_policies_run_in_the_small_build_of_an_image() -> Checked {
    let desk = crate::signing::desk()?;
    desk.write("keep.wasm", tools::policy("keep-paths")?.bytes()?)?;
    desk.succeeds("policy sign keep.wasm --key ops")?;
    let machine = machine()?;
    machine.add(settings("BINARY=aot\n"))?;
    let policy = format!("{OPERATOR}/70-keep");
    let signed = Vec::new()
        .file(format!("{policy}.wasm"), desk.read("keep.wasm")?)
        .file(format!("{policy}.wasm.sig"), desk.read("keep.wasm.sig")?)
        .file(
            format!("{policy}.json"),
            r#"{"settings": {"keep": ["/conf/kept"]}}"#,
        )
        .file(
            "/etc/switch-root/trust/ops.signers",
            desk.read("ops.signers")?,
        );
    machine.add(signed)?;
    let ran = machine.succeeds(&[&prepare(), UPDATE, UNPACK].concat())?;
    says(&ran.stderr, &["50-abi is left out", "is not signed"])?;
    let image = machine.image()?;
    image.is(BINARY, &tools::small()?)?;
    let endings = ["cwasm", "json", "wasm", "wasm.sig"];
    let names = endings.map(|ending| format!("70-keep.{ending}"));
    image.policies(&names.each_ref().map(String::as_str))?;
    let list = fs::symlink_metadata(
        image
            .folder
            .join("usr/lib/switch-root/trust/native.digests"),
    )?;
    ensure!(list.mode() & 0o7777 == 0o600, "{:o}", list.mode());
    let mut scene: Scene = tools::boot_small()?
        .file("/conf/kept", "kept")
        .file("/conf/arch.conf", "DPKG_ARCH=amd64");
    scene.steps().extend(policies_of(&image)?);
    let booted = boots(&scene)?;
    booted.left(&["/conf/kept"])?;
    let report = booted.report.policy("70-keep").ok_or("it was not asked")?;
    ensure!(
        report["signed_by"] == "ops@example.org"
            && report["compiled"] == false
            && report["failures"] == serde_json::json!([])
            && report["warnings"] == serde_json::json!([]),
        "{report:#}"
    );
    Ok(())
}

fn without_srctl_the_policies_are_compiled_at_boot() -> Checked {
    let machine = machine()?;
    machine.remove("/usr/bin/srctl")?;
    machine.add(settings("BINARY=aot\n"))?;
    machine.add(
        Vec::new()
            .symlink("/etc/switch-root/policies.d/00-default.wasm", "/dev/null")
            .file("/etc/switch-root/trust/a.signers", "# nobody\n"),
    )?;
    let ran = machine.succeeds(&[&prepare(), UPDATE, UNPACK].concat())?;
    says(
        &ran.stderr,
        &["WARNING: there is no srctl", "full boot binary"],
    )?;
    let image = machine.image()?;
    image.is(BINARY, &tools::subject()?)?;
    image.policies(&["00-default.wasm", "50-abi.wasm"])?;
    ensure!(
        image.has("/usr/lib/switch-root/trust/a.signers"),
        "the list of signers is missing"
    );
    machine.add(settings("STRICT=yes\n"))?;
    keeps(&machine, "", &["there is no srctl", "no image is made"])
}

fn where_proc_is_not_mounted_they_are_compiled_all_the_same() -> Checked {
    let machine = machine()?;
    let hidden = "mount -t tmpfs none /proc\n";
    let ran = machine.succeeds(&[&prepare(), hidden, UPDATE, UNPACK].concat())?;
    ensure!(!ran.stderr.contains("WARNING"), "{}", ran.said());
    let image = machine.image()?;
    image.is(BINARY, &tools::subject()?)?;
    image.policies(&["50-abi.cwasm", "50-abi.wasm"])
}

fn a_setting_that_is_misspelt_makes_no_image() -> Checked {
    let machine = machine()?;
    for (text, words) in [
        ("STRICT=yse\n", "STRICT is `yse'"),
        ("BINARY=small\n", "BINARY is `small'"),
    ] {
        machine.add(settings(text))?;
        keeps(&machine, "", &[words, "/etc/switch-root/initramfs.conf"])?;
    }
    Ok(())
}

fn what_is_removed_is_gone_from_the_next_image() -> Checked {
    let machine = machine()?;
    for path in [
        "/usr/share/initramfs-tools/hooks/switch-root",
        "/usr/lib/switch-root/into-image",
        BINARY,
        "/usr/lib/switch-root/switch_root-aot",
    ] {
        machine.remove(path)?;
    }
    // What is in /etc stays until the package is purged.
    let ran = machine.succeeds(&[&prepare(), UPDATE, UNPACK].concat())?;
    let all = ran.said();
    ensure!(!all.contains("switch-root:"), "it is still heard\n{all}");
    let image = machine.image()?;
    ensure!(
        image.has("/usr/bin/run-init"),
        "klibc's run-init is missing"
    );
    let ours: Vec<_> = image
        .tree
        .keys()
        .filter(|path| path.contains("switch-root") || path.contains("stock"))
        .collect();
    ensure!(ours.is_empty(), "left: {ours:?}");
    Ok(())
}

fn a_boot_directory_without_room_keeps_the_image_and_says_how_much_is_needed() -> Checked {
    let machine = machine()?;
    let small = "mkdir /boot-before; cp -a /boot/. /boot-before/
mount -t tmpfs -o size=1m tmpfs /boot; cp -a /boot-before/. /boot/
";
    let words = ["KiB in /boot beside /boot/initrd.img", "KiB are free"];
    keeps(&machine, small, &words)
}

fn a_boot_directory_that_cannot_be_written_to_keeps_the_image() -> Checked {
    let machine = machine()?;
    let read_only = "mkdir /boot-before; cp -a /boot/. /boot-before/
mount -t tmpfs tmpfs /boot; cp -a /boot-before/. /boot/; mount -o remount,ro /boot
";
    keeps(&machine, read_only, &["Read-only file system"])?;
    // What makes an image anew does not look before it has begun.
    let anew = "if update-initramfs -c -k 6.1.0-test; then echo an image was made; exit 1; fi\n";
    let words = ["WARNING: /boot cannot be written to", "stays as it is"];
    keeps_after(&machine, &[read_only, anew].concat(), &words)
}

fn the_same_machine_makes_the_same_image() -> Checked {
    let machine = machine()?;
    let twice = "export SOURCE_DATE_EPOCH=1700000000
for name in a b; do mkinitramfs -o /out/$name 6.1.0-test; done; cmp /out/a /out/b\n";
    machine.succeeds(&[&prepare(), twice].concat()).map(drop)
}

/// What /init of an image does at its end, which a shell that is process 1 runs.
const END_OF_INIT: &str = "
PATH=/sbin:/bin
# As udev's script leaves /dev.
mount -n -o move /dev /sysroot/dev && rmdir /dev && ln -s /sysroot/dev /dev
mount -n -o move /run /sysroot/run
/sbin/run-init -n /sysroot /no/init && exit 7
/sbin/run-init -n /sysroot /sbin/init || exit 8
mount -n -o move /sys /sysroot/sys
mount -n -o move /proc /sysroot/proc
exec /sbin/run-init -d cap_sys_module /sysroot /sbin/init argument <>/sysroot/dev/console >&0 2>&1
exit 9
";

fn run_init_finds_its_way_after_the_mounts_were_moved() -> Checked {
    let busybox = tools::program("busybox")?;
    let sidecar = r#"{"settings": {"keep": ["/conf/kept"]}}"#;
    let mut scene = tools::boot()?
        .executable("/bin/busybox", Content::Copy(busybox))
        .symlink("/sbin/run-init", SUBJECT)
        .file("/conf/kept", "kept")
        .file("/conf/arch.conf", "DPKG_ARCH=amd64")
        .policy("50-keep", tools::policy("keep-paths")?, Some(sidecar))
        .command(["/bin/busybox", "sh", "-c", END_OF_INIT]);
    for applet in ["mount", "rmdir", "ln"] {
        scene = scene.symlink(format!("/bin/{applet}"), "busybox");
    }
    scene.console = true;
    let booted = boots(&scene)?;
    booted.left(&["/conf/kept"])?;
    ensure!(
        booted.seen.arguments == ["/sbin/init", "argument"],
        "{:?}",
        booted.seen.arguments
    );
    ensure!(booted.report.warnings().is_empty(), "{:#}", booted.report.0);
    let first = &booted.outcome.console;
    ensure!(
        !first.contains("new root") && !booted.outcome.stdout.contains("new root"),
        "the plan is printed\n{}",
        said(&booted.outcome)
    );
    Ok(())
}
