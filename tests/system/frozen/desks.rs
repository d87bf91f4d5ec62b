//! What lies on the desks that `srctl` is run on.

use switch_root_tests::archive;
use switch_root_tests::image::{self, Format};
use switch_root_tests::steps::{Content, Step, Steps};

use super::boots::KEEP;
use crate::doctor::patient::{self, ETC, PROGRAM, boot_program, engine};
use crate::installing;
use crate::native::bytes;
use crate::planning;
use crate::rehearsing;
use crate::signing;
use crate::srctl::{Desk, extension, manifest};
use crate::status::{delegated, unwell, well};
use crate::tools::{Stop, need_privileges, policy, program, subject};
use crate::validating;

/// The image that plans are tried on, with that policy, and extensions of which one does not
/// fit.
fn steps() -> Result<Vec<Step>, Stop> {
    Ok(published(planning::steps()?)?.file("/extensions.yaml", EXTENSIONS))
}

/// Of an old Talos, and of a newer one.
const EXTENSIONS: &str = "layers:
  - image: 000.old.sqsh
    metadata: {name: old, version: '1', compatibility: {talos: {version: '< v1.7.0'}}}
  - image: 001.new.sqsh
    metadata: {name: new, version: '2', compatibility: {talos: {version: '>= v1.6.0'}}}
";

/// The same with the published policy.
fn published(mut steps: Vec<Step>) -> Result<Vec<Step>, Stop> {
    let path = format!("{}/50-keep-paths.wasm", planning::POLICIES);
    steps.retain(|step| step.path != path.as_bytes());
    Ok(steps.file(path, policy(KEEP)?))
}

/// A desk with that image.
pub fn planned() -> Result<Desk, Stop> {
    planning::desk(&steps()?)
}

/// Two of them, and what has changed.
pub fn two_images() -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    desk.write("before", archive::of(&steps()?)?)?;
    let mut after = steps()?;
    let replaced: [&[u8]; 3] = [b"/usr/lib/large", b"/etc/machine.conf", b"/extensions.yaml"];
    after.retain(|step| !replaced.contains(&step.path.as_slice()));
    let after = after
        .file("/etc/machine.conf", "changed")
        .file("/etc/ssh/ssh_host_more", "kept");
    desk.write("after", archive::of(&after)?)?;
    Ok(desk)
}

/// Reports of boots.
pub fn reports() -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    for (name, report) in [
        ("well", well()),
        ("unwell", unwell()),
        ("delegated", delegated()),
    ] {
        desk.write(&format!("{name}.json"), format!("{report:#}\n"))?;
    }
    Ok(desk)
}

/// An image that does not say which system it boots.
pub fn without_os_release() -> Result<Desk, Stop> {
    planning::desk(&published(planning::nobodys()?)?)
}

/// An image in which systemd switches.
pub fn of_systemd() -> Result<Desk, Stop> {
    let mut steps = steps()?;
    steps.retain(|step| step.path != b"/init");
    let systemd = "/usr/lib/systemd";
    planning::desk(
        &steps
            .symlink("/init", "usr/lib/systemd/systemd")
            .executable(format!("{systemd}/systemd"), "systemd")
            .file(
                format!("{systemd}/system/switch-root-preserve.service"),
                "[Unit]\n",
            )
            .executable(PROGRAM, boot_program(&engine()?, "")),
    )
}

/// Images that this program boots in init mode: `image`, and `without-root`, which has no
/// root image.
pub fn whole(boot_program: Content) -> Result<Desk, Stop> {
    for name in image::PROGRAMS {
        program(name)?;
    }
    let desk = Desk::new()?;
    let root = ["/dev", "/proc", "/sys", "/run"]
        .into_iter()
        .fold(Vec::new(), Steps::directory)
        .executable("/sbin/init", "#!/sbin/init\n")
        .file("/etc/os-release", "ID=talos\nVERSION_ID=v1.7.0\n");
    desk.tree("images", &[])?;
    let root = image::make(&desk.path("images"), "rootfs.sqsh", Format::Squashfs, &root)?;
    let steps = Vec::new()
        .executable("/init", boot_program)
        .file("/extensions.yaml", EXTENSIONS);
    desk.write("without-root", archive::of(&steps)?)?;
    let steps = steps.file("/rootfs.sqsh", Content::Copy(root));
    desk.write("image", archive::of(&steps)?)?;
    Ok(desk)
}

/// A policy that was published, whose bytes do not change.
const ABI: &str = "0.1.0-kernel-abi";

/// Policies, cases of one, and what they are asked about.
pub fn policies() -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    for (name, file) in [
        (KEEP, "keep"),
        (ABI, "abi"),
        ("wasi-imports", "wasi-imports"),
        ("other-version", "other-version"),
        ("core-module", "core-module"),
    ] {
        desk.write(&format!("{file}.wasm"), bytes(policy(name)?)?)?;
    }
    desk.write("text.wasm", "no policy")?;
    let case = "tree:\n  /etc/hostname: text\n  /etc/ssh/key: text\nsettings: {keep: [/etc/ssh/*]}\nexpect:\n  decisions:\n    /etc: descend\n    /etc/ssh: descend\n";
    let cases = Vec::new()
        .file(
            "/good.yaml",
            format!("{case}    /etc/ssh/key: keep\n").as_str(),
        )
        .file(
            "/bad.yaml",
            format!("{case}    /etc/hostname: keep\n").as_str(),
        );
    desk.tree("cases", &cases)?;
    desk.write(
        "keep.json",
        r#"{"settings": {"keep": ["/etc/ssh/*"], "carry": {"/etc/hostname": "/etc/hostname"}}}"#,
    )?;
    let tree = Vec::new()
        .file("/etc/hostname", "name")
        .file("/etc/ssh/key", "key");
    desk.tree("tree", &tree)?;
    desk.write("extensions.yaml", LIST)?;
    Ok(desk)
}

const LIST: &str = "layers:
  - image: 000.drivers.sqsh
    metadata: {name: drivers, version: '1', switchRoot: {kernelRelease: 6.6.1, architecture: amd64}}
  - image: 001.others.sqsh
    metadata: {name: others, version: '2', switchRoot: {kernelRelease: 6.12.0}}
  - image: 002.any.sqsh
    metadata: {name: any, version: '3'}
";

/// A policy to be signed, keys, and lists of signers.
pub fn signed() -> Result<Desk, Stop> {
    let desk = signing::desk()?;
    desk.write("a.wasm", bytes(policy(ABI)?)?)?;
    desk.write("text.wasm", "no policy")?;
    desk.write("bad.signers", "ops@example.org\n")?;
    Ok(desk)
}

/// Extensions without a fault.
pub fn extensions() -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    desk.tree("all/000.first", &extension("first"))?;
    let second = Vec::new()
        .file("/manifest.yaml", manifest("second", "< v1.6.0").as_str())
        .file("/rootfs/usr/local/share/second", "second");
    desk.tree("all/001.second", &second)?;
    desk.write("os-release", "ID=talos\nVERSION_ID=v1.7.0\n")?;
    Ok(desk)
}

/// Extensions with all kinds of faults.
pub fn faulty() -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    validating::faulty(&desk)?;
    Ok(desk)
}

/// An image of an extension, the machine configuration that wants it, and an initramfs.
pub fn images() -> Result<Desk, Stop> {
    let desk = installing::desk()?;
    desk.write("in.img", archive::of(&Vec::new().file("/file", "x"))?)?;
    Ok(desk)
}

/// A machine whose policies are staged, and an initramfs that one is added to.
pub fn machine() -> Result<Desk, Stop> {
    need_privileges()?;
    let desk = Desk::new()?;
    let machine = Vec::new()
        .file(format!("{ETC}/50-keep.wasm"), policy(KEEP)?)
        .file(
            format!("{ETC}/50-keep.json"),
            r#"{"settings": {"keep": ["/kept"]}}"#,
        )
        .file(format!("{ETC}/60-broken.wasm"), "no policy")
        .symlink(format!("{ETC}/70-masked.wasm"), "/dev/null");
    desk.tree("machine", &machine)?;
    for folder in ["staged", "strict"] {
        desk.tree(folder, &[])?;
    }
    desk.write("a.wasm", bytes(policy(ABI)?)?)?;
    desk.write("text.wasm", "no policy")?;
    let image = Vec::new().executable("/init", Content::Copy(subject()?));
    desk.write("in.img", archive::of(&image)?)?;
    Ok(desk)
}

/// A machine that is well.
pub fn sound() -> Result<Desk, Stop> {
    need_privileges()?;
    patient::desk(&patient::well()?)
}

/// One that is not.
pub fn unsound() -> Result<Desk, Stop> {
    need_privileges()?;
    let mut machine = patient::well()?;
    machine.root = machine
        .root
        .without(patient::HOOK)
        .file(&format!("{ETC}/60-broken.wasm"), "no policy")
        .file(
            "/proc/cmdline",
            "root=/dev/sda1 switch_root.keep_initramfs switch_root.none\n",
        );
    machine.image = machine
        .image
        .file(&format!("{ETC}/50-more.json"), r#"{"weather": "fine"}"#);
    patient::desk(&machine)
}

/// An image whose switch is tried, of which a policy keeps something.
pub fn rehearsed() -> Result<Desk, Stop> {
    let keep = policy(KEEP)?;
    rehearsing::desk(|tree| {
        tree.file(format!("{ETC}/50-keep.wasm"), keep).file(
            format!("{ETC}/50-keep.json"),
            r#"{"settings": {"keep": ["/etc/some/**"]}}"#,
        )
    })
}
