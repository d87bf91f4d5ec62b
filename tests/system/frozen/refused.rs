//! Boots that the boot program refuses.

use switch_root_tests::scene::{INIT, NEW_ROOT, NewRoot, Root, SUBJECT, Scene};
use switch_root_tests::steps::Steps;

use crate::preserving::PRESERVE;
use crate::tools::{Policies, Stop, boot};

/// Boots that are refused, or all but refused, in one snapshot: what of them is not as it
/// should be, and the scene.
pub fn refusals() -> Result<Vec<(&'static str, Scene)>, Stop> {
    let command = |words: &[&str]| Ok::<_, Stop>(boot()?.command(words));
    let mut on_disk = boot()?;
    on_disk.root = Root::Disk;
    let mut child = boot()?;
    child.first_process = false;
    let broken = |sidecar| Ok::<_, Stop>(boot()?.policy("50-broken", "no".into(), Some(sidecar)));
    let with_init =
        |text: &str| Ok::<_, Stop>(boot()?.in_new_root(|tree| tree.executable(INIT, text)));
    Ok(vec![
        ("no arguments", command(&[SUBJECT])?),
        ("no init", command(&[SUBJECT, NEW_ROOT])?),
        (
            "an option that does not exist",
            command(&[SUBJECT, "--none", NEW_ROOT, INIT])?,
        ),
        (
            "a strategy that does not exist",
            command(&[SUBJECT, "--strategy", "none", NEW_ROOT, INIT])?,
        ),
        (
            "a format that does not exist",
            command(&[SUBJECT, "--format", "none", NEW_ROOT, INIT])?,
        ),
        (
            "a new root that is missing",
            command(&[SUBJECT, "/nowhere", INIT])?,
        ),
        (
            "an init that is missing",
            command(&[SUBJECT, NEW_ROOT, "/sbin/none"])?,
        ),
        (
            "an init that is a directory",
            command(&[SUBJECT, NEW_ROOT, "/sbin"])?,
        ),
        (
            "an init that is not executable",
            command(&[SUBJECT, NEW_ROOT, "/etc/os-release"])?,
        ),
        ("/ as the new root", command(&[SUBJECT, "/", INIT])?),
        (
            "a new root that is not a mount point",
            boot()?.new_root(NewRoot::Unmounted),
        ),
        (
            "a new root on the same file system",
            boot()?.new_root(NewRoot::SameFileSystem),
        ),
        ("an initramfs on a disk", on_disk),
        ("not the first process", child),
        (
            "an init whose interpreter is missing",
            with_init("#!/no/such/interpreter\n")?,
        ),
        ("an init that is not a program", with_init("no program")?),
        (
            "extensions.yaml that is malformed",
            boot()?.file("/extensions.yaml", "layers: {\n"),
        ),
        (
            "extensions.yaml that is a directory",
            boot()?.directory("/extensions.yaml"),
        ),
        (
            "extensions.yaml that is required and missing",
            boot()?.kernel_command_line("switch_root.extensions=require"),
        ),
        (
            "a policy that must not fail",
            broken(r#"{"on_failure": "refuse"}"#)?,
        ),
        (
            "its sidecar with an unknown key",
            broken(r#"{"on_failure": "refuse", "weather": "fine"}"#)?,
        ),
        (
            "its sidecar with an unknown limit",
            broken(r#"{"on_failure": "refuse", "limits": {"weather": 1}}"#)?,
        ),
        (
            "its sidecar with an unknown failure mode",
            broken(r#"{"on_failure": "halt", "settings": "refuse"}"#)?,
        ),
        (
            "its sidecar of a newer release",
            broken(r#"{"on_failure": "refuse", "version": 2}"#)?,
        ),
        (
            "a policy without the signature that is demanded",
            boot()?.directory("/usr/lib/switch-root/trust").policy(
                "50-unsigned",
                "no".into(),
                None,
            ),
        ),
        (
            "--preserve without /run",
            boot()?.command(PRESERVE.iter().copied()).without("/run"),
        ),
        (
            "--preserve with an option of the switch",
            boot()?
                .command(PRESERVE.iter().copied())
                .options(["--foreground"]),
        ),
    ])
}
