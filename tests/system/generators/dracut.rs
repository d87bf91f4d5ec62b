//! dracut, without systemd in the initramfs and with it.

use crate::check::{ensure, says};
use crate::tools::{Checked, Stop, cases};

use super::{BINARY, MALFORMED, Machine, broken, malformed_signers, settings};

cases![
    without_systemd_switch_root_is_ours,
    where_the_switch_would_be_refused_there_is_a_shell,
    with_systemd_a_unit_asks_the_policies,
    with_strict_dracut_ends_and_the_image_that_there_is_stays,
    malformed_signers_keep_the_image_whatever_strict_is,
    where_there_is_no_room_the_image_that_there_is_stays,
];

const HOOKS: [(&str, &str); 2] = [
    (
        "dracut/99switch-root/module-setup.sh",
        "/usr/lib/dracut/modules.d/99switch-root/module-setup.sh",
    ),
    (
        "dracut/99switch-root/switch-root-check.sh",
        "/usr/lib/dracut/modules.d/99switch-root/switch-root-check.sh",
    ),
];

/// The modules that there are to choose from, and an image of before.
const PREPARE: &str = "cd /
head -c 200000 /dev/urandom >/boot/initramfs.img
cp /boot/initramfs.img /out/before
make() {
    dracut --force --quiet --no-kernel --no-hostonly --no-early-microcode --gzip --modules \"$*\" /boot/initramfs.img 6.1.0-test
}
";
/// dracut strips programs, so that they are not what was installed to the byte; they are to
/// run all the same.
const UNPACK: &str = "mkdir /out/image; cd /out/image; zcat /boot/initramfs.img | cpio --quiet -id
chroot /out/image /usr/lib/switch-root/switch_root -V >/out/version\n";

fn machine() -> Result<Machine, Stop> {
    Machine::new("dracut", &HOOKS)
}

/// Checks what the boot binary of the image said.
fn runs(machine: &Machine) -> Checked {
    let version = std::fs::read_to_string(machine.out().join("version"))?;
    says(&version, &["switch_root 0."])
}

fn without_systemd_switch_root_is_ours() -> Checked {
    let machine = machine()?;
    machine.add(broken())?;
    let ran = machine.succeeds(&[PREPARE, "make base switch-root\n", UNPACK].concat())?;
    let words = ["60-broken is left out", "is not WebAssembly"];
    says(&ran.stderr, &words)?;
    let image = machine.image()?;
    runs(&machine)?;
    let link = image.link("/usr/sbin/switch_root");
    ensure!(
        link == Some(BINARY),
        "switch_root is {link:?}\n{}",
        ran.said()
    );
    ensure!(
        image.has("/usr/sbin/switch_root.stock"),
        "util-linux's is gone"
    );
    let others = [
        "/usr/bin/switch_root",
        "/sbin/switch_root",
        "/bin/switch_root",
    ];
    ensure!(
        !others.iter().any(|path| image.has(path)),
        "there is another"
    );
    let hook = "/usr/lib/dracut/hooks/cleanup/99-switch-root-check.sh";
    ensure!(image.has(hook), "there is no {hook}");
    image.policies(&["50-abi.cwasm", "50-abi.wasm"])
}

/// Runs the hook in the unpacked image as dracut's init does, with what that tells it, and
/// writes what came of it to /out.
const CHECK: &str = r#"check() {
    chroot /out/image /bin/sh -c '
        getarg() { if [ "$1" = init= ]; then echo "$INIT"; fi; }
        getargs() { :; }
        warn() { echo "warn: $*"; }
        emergency_shell() { echo "shell: $*"; }
        NEWROOT=/sysroot
        . /usr/lib/dracut/hooks/cleanup/99-switch-root-check.sh
        echo goes on' >"/out/$1" 2>&1
}
mkdir -p /out/image/sysroot/sbin
cp /out/image/bin/sh /out/image/sysroot/sbin/init
cp /out/image/bin/sh /out/image/sysroot/sbin/other
check refused
cat >/out/image/usr/lib/switch-root/switch_root <<'end'
#!/bin/sh
echo "called: $*" >&2
end
check accepted
INIT=/sbin/other; export INIT; check other
INIT=/sbin/missing; check missing
"#;

fn where_the_switch_would_be_refused_there_is_a_shell() -> Checked {
    let machine = machine()?;
    machine.succeeds(&[PREPARE, "make base switch-root\n", UNPACK, CHECK].concat())?;
    let said = |name: &str| std::fs::read_to_string(machine.out().join(name));
    // The unpacked image is no initramfs.
    let refused = said("refused")?;
    says(
        &refused,
        &[
            "/ is neither tmpfs nor ramfs",
            "warn: switch-root would refuse to switch",
            "shell: -n switch-root",
            "goes on",
        ],
    )?;
    for (name, init) in [
        ("accepted", "/sbin/init"),
        ("other", "/sbin/other"),
        ("missing", "/sbin/init"),
    ] {
        let expected = format!("called: --plan --log error /sysroot {init}\ngoes on\n");
        ensure!(said(name)? == expected, "{name}: {}", said(name)?);
    }
    Ok(())
}

fn with_systemd_a_unit_asks_the_policies() -> Checked {
    let machine = machine()?;
    let ran =
        machine.succeeds(&[PREPARE, "make systemd-initrd base switch-root\n", UNPACK].concat())?;
    let image = machine.image()?;
    runs(&machine)?;
    image.policies(&["50-abi.cwasm", "50-abi.wasm"])?;
    let unit = "/usr/lib/systemd/system/switch-root-preserve.service";
    ensure!(image.has(unit), "there is no {unit}\n{}", ran.said());
    let required = image.tree.keys().any(|path| {
        path.ends_with("initrd-switch-root.service.requires/switch-root-preserve.service")
    });
    ensure!(required, "nothing starts it\n{}", ran.said());
    ensure!(
        image.link("/usr/sbin/switch_root").is_none(),
        "switch_root was replaced, too"
    );
    Ok(())
}

fn keeps(machine: &Machine, before: &str, words: &[&str]) -> Checked {
    let script = "if make base switch-root; then echo an image was made; exit 1; fi
cmp /boot/initramfs.img /out/before\n";
    let ran = machine.succeeds(&[PREPARE, before, script].concat())?;
    says(&ran.stderr, words)
}

fn with_strict_dracut_ends_and_the_image_that_there_is_stays() -> Checked {
    let machine = machine()?;
    machine.add(settings("STRICT=yes\n"))?;
    machine.add(broken())?;
    keeps(
        &machine,
        "",
        &["60-broken", "is not WebAssembly", "no image is made"],
    )
}

fn malformed_signers_keep_the_image_whatever_strict_is() -> Checked {
    for strict in ["no", "yes"] {
        let machine = machine()?;
        machine.add(settings(&format!("STRICT={strict}\n")))?;
        machine.add(malformed_signers())?;
        keeps(&machine, "", &MALFORMED)?;
    }
    Ok(())
}

fn where_there_is_no_room_the_image_that_there_is_stays() -> Checked {
    let machine = machine()?;
    let small = "mkdir /boot-before; cp -a /boot/. /boot-before/
mount -t tmpfs -o size=500k tmpfs /boot; cp -a /boot-before/initramfs.img /boot/
";
    let words = [
        "the image grows by some",
        "KiB are free in /boot",
        "stays as it is",
    ];
    keeps(&machine, small, &words)
}
