//! The shell that is installed.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use switch_root_tests::steps::{Step, Steps};

use crate::check::{ensure, says};
use crate::doctor::patient::OTHER_ENGINE;
use crate::srctl::{Desk, Ran};
use crate::staging::{X86_64, binary};
use crate::tools::{Checked, Stop, cases, policy, program, srctl};

use super::{BINARY, MALFORMED, OPERATOR, TRUST, malformed_signers, ours, settings};

cases![
    shellcheck_finds_nothing,
    no_shell_script_was_forgotten,
    no_image_is_made_without_the_signers_of_the_machine,
    without_srctl_no_list_of_signers_is_lost,
    what_others_put_into_an_image_does_not_stay,
    malformed_signers_end_the_script_of_mkosi,
    policies_without_compiled_forms_get_the_program_that_compiles,
    a_policy_that_says_to_refuse_is_in_every_image_that_is_made,
    what_a_masked_policy_says_ends_no_image,
    a_dangling_folder_of_policies_is_named,
];

/// The scripts, with their shells.
const SCRIPTS: [(&str, &str); 8] = [
    ("sh", "lib/into-image"),
    ("sh", "initramfs-tools/hooks/switch-root"),
    ("sh", "initramfs-tools/post-update.d/switch-root"),
    ("bash", "dracut/99switch-root/module-setup.sh"),
    ("dash", "dracut/99switch-root/switch-root-check.sh"),
    ("bash", "mkinitcpio/install/switch-root"),
    ("dash", "mkinitcpio/hooks/switch-root"),
    ("sh", "mkosi/mkosi.images/initrd/mkosi.finalize"),
];

fn shellcheck_finds_nothing() -> Checked {
    let shellcheck = program("shellcheck")?;
    for (shell, script) in SCRIPTS {
        let ended = Command::new(&shellcheck)
            .args(["--shell", shell])
            .arg(ours(script))
            .output()?;
        let ran = Ran::new(script, &ended);
        ensure!(ran.status == Some(0), "{}", ran.said());
    }
    Ok(())
}

fn no_shell_script_was_forgotten() -> Checked {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        // Those of the packages are held against the packages' own rules.
        if folder.starts_with("debian") {
            continue;
        }
        for entry in std::fs::read_dir(ours("").join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
                continue;
            }
            let shell = std::fs::read(entry.path())?.starts_with(b"#!");
            let known = SCRIPTS.iter().any(|(_, script)| path.ends_with(script));
            ensure!(!shell || known, "{} is not checked", path.display());
        }
    }
    Ok(())
}

const OPERATORS: &str = "/etc/switch-root/trust";
/// An srctl that is there and does nothing well.
const FAILING: &str = "#!/bin/sh\necho srctl: out of luck >&2; exit 134\n";

/// A desk with a machine of these files, an image that another hook has put a policy into,
/// and the folder of programs `bin`, with `srctl` in it if there is to be one.
fn into_image(machine: Vec<Step>, srctl: Option<&str>, strict: &str) -> Result<(Ran, Desk), Stop> {
    let machine = machine
        .executable(BINARY, "ours")
        .file(format!("{OPERATOR}/10-a.wasm"), policy("kernel-abi")?);
    let mut machine = machine;
    machine.extend(settings(&format!("STRICT={strict}\n")));
    into_image_of(machine, srctl)
}

/// The same, of a machine that has its programs.
fn into_image_of(machine: Vec<Step>, srctl: Option<&str>) -> Result<(Ran, Desk), Stop> {
    let desk = Desk::new()?;
    desk.tree("machine", &machine)?;
    let theirs = format!("{OPERATOR}/70-theirs.wasm");
    desk.tree("image", &Vec::new().file(theirs, "theirs"))?;
    let mut programs = Vec::new().directory("/tools");
    if let Some(script) = srctl {
        programs = programs.executable("/tools/srctl", script);
    }
    desk.tree("bin", &programs)?;
    // The machine that runs this may have an srctl of its own.
    for tool in [
        "sh", "ls", "rm", "mkdir", "cp", "chmod", "readlink", "ln", "cat",
    ] {
        symlink(program(tool)?, desk.path(&format!("bin/tools/{tool}")))?;
    }
    let ended = Command::new("/bin/sh")
        .arg(ours("lib/into-image"))
        .args([desk.path("image"), desk.path("machine")])
        .env("PATH", desk.path("bin/tools"))
        .output()?;
    Ok((Ran::new("into-image", &ended), desk))
}

/// Whatever may be in the place of a list of signers.
fn unusable_signers() -> Vec<(&'static str, Vec<Step>)> {
    let list = format!("{OPERATORS}/a.signers");
    vec![
        ("dangling list", Vec::new().symlink(&list, "/nowhere")),
        ("folder as list", Vec::new().directory(&list)),
        ("dangling folder", Vec::new().symlink(OPERATORS, "/nowhere")),
        ("file as folder", Vec::new().file(OPERATORS, "x")),
        (
            "vendor's dangling folder",
            Vec::new().symlink(TRUST, "/nowhere"),
        ),
        ("vendor's file", Vec::new().file(TRUST, "x")),
    ]
}

/// That nothing tells the generator to go on.
fn refuses(ran: &Ran, words: &[&str]) -> Checked {
    ensure!(ran.status == Some(1), "{}", ran.said());
    ensure!(ran.stdout.is_empty(), "it goes on\n{}", ran.said());
    says(&ran.stderr, words)
}

fn no_image_is_made_without_the_signers_of_the_machine() -> Checked {
    let real = format!("#!/bin/sh\nexec {} \"$@\"\n", srctl()?.display());
    let good = || Vec::new().file(format!("{OPERATORS}/a.signers"), "# nobody\n");
    for strict in ["no", "yes"] {
        let (ran, _) = into_image(malformed_signers(), Some(&real), strict)?;
        refuses(&ran, &MALFORMED)?;
        for (case, machine) in unusable_signers() {
            let (ran, _) = into_image(machine, Some(&real), strict)?;
            refuses(&ran, &["whatever STRICT is"]).map_err(|stop| stop.during(case))?;
        }
        let (ran, _) = into_image(good(), Some(FAILING), strict)?;
        refuses(&ran, &["out of luck", "whatever STRICT is"])?;
    }
    Ok(())
}

fn without_srctl_no_list_of_signers_is_lost() -> Checked {
    for (case, machine) in unusable_signers() {
        let (ran, _) = into_image(machine, None, "no")?;
        let refused = refuses(&ran, &["the lists of signers cannot be copied"]);
        refused.map_err(|stop| stop.during(case))?;
    }
    let both = Vec::new()
        .file(format!("{TRUST}/a.signers"), "# vendor\n")
        .file(format!("{TRUST}/b.signers"), "# vendor\n")
        .file(format!("{OPERATORS}/a.signers"), "# operator\n");
    let (ran, desk) = into_image(both, None, "no")?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    for (name, whose) in [("a", "# operator\n"), ("b", "# vendor\n")] {
        let list = desk.read(&format!("image{TRUST}/{name}.signers"))?;
        ensure!(list == whose.as_bytes(), "{name}: {list:?}");
    }
    // A package may have made the folder.
    let (ran, desk) = into_image(Vec::new().directory(OPERATORS), None, "no")?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    let demands = desk.path(&format!("image{TRUST}")).exists();
    ensure!(!demands, "the image demands signatures");
    Ok(())
}

fn what_others_put_into_an_image_does_not_stay() -> Checked {
    let real = format!("#!/bin/sh\nexec {} \"$@\"\n", srctl()?.display());
    for program in [Some(&real[..]), Some(FAILING), None] {
        let (ran, desk) = into_image(Vec::new(), program, "no")?;
        ensure!(ran.status == Some(0), "{}", ran.said());
        let theirs = desk.path(&format!("image{OPERATOR}/70-theirs.wasm"));
        ensure!(!theirs.exists(), "{program:?}: it stays\n{}", ran.said());
    }
    Ok(())
}

fn malformed_signers_end_the_script_of_mkosi() -> Checked {
    let desk = Desk::new()?;
    desk.tree("root", &malformed_signers())?;
    desk.tree("bin", &Vec::new().directory("/tools"))?;
    symlink(srctl()?, desk.path("bin/tools/srctl"))?;
    let before = desk.everything()?;
    let ended = Command::new("/bin/sh")
        .arg(ours("mkosi/mkosi.images/initrd/mkosi.finalize"))
        .env("PATH", desk.path("bin/tools"))
        .env("BUILDROOT", desk.path("root"))
        .output()?;
    let ran = Ran::new("mkosi.finalize", &ended);
    ensure!(ran.status != Some(0), "{}", ran.said());
    says(&ran.stderr, &MALFORMED[..1])?;
    ensure!(desk.everything()? == before, "something was staged");
    Ok(())
}

fn policies_without_compiled_forms_get_the_program_that_compiles() -> Checked {
    let real = format!("#!/bin/sh\nexec {} \"$@\"\n", srctl()?.display());
    let small = format!("{BINARY}-aot");
    // Programs of another release than srctl, which stages policies as they are then.
    let machine = |strict: &str, full: bool| -> Result<Vec<Step>, Stop> {
        let words = "this build of switch_root has no compiler";
        let other = format!("{OTHER_ENGINE}\n{words}");
        let mut machine = Vec::new()
            .executable(small.as_str(), binary(X86_64, &other))
            .file(format!("{OPERATOR}/10-a.wasm"), policy("kernel-abi")?);
        if full {
            machine = machine.executable(BINARY, binary(X86_64, OTHER_ENGINE));
        }
        machine.extend(settings(&format!("BINARY=aot\nSTRICT={strict}\n")));
        Ok(machine)
    };
    let takes = |ran: &Ran, desk: &Desk, binary: &str| -> Checked {
        let expected = desk.path("machine").display().to_string() + binary;
        let chosen = ran.status == Some(0) && ran.stdout.trim_end() == expected;
        ensure!(chosen, "it is not {binary}\n{}", ran.said());
        Ok(())
    };
    for (program, words) in [
        (Some(&real[..]), "without their compiled forms"),
        (None, "there is no srctl"),
    ] {
        let (ran, desk) = into_image_of(machine("no", true)?, program)?;
        takes(&ran, &desk, BINARY)?;
        says(&ran.stderr, &[words, "full boot binary"])?;
        let (ran, _) = into_image_of(machine("yes", true)?, program)?;
        refuses(&ran, &["no image is made"])?;
        // Without the program that compiles no image would run them.
        let (ran, _) = into_image_of(machine("no", false)?, program)?;
        refuses(&ran, &["there is no ", BINARY])?;
    }
    // What is masked need not be compiled.
    let masked = machine("no", true)?.file(format!("{OPERATOR}/10-a.wasm"), "");
    let (ran, desk) = into_image_of(masked, Some(&real))?;
    takes(&ran, &desk, &small)
}

fn a_policy_that_says_to_refuse_is_in_every_image_that_is_made() -> Checked {
    let real = format!("#!/bin/sh\nexec {} \"$@\"\n", srctl()?.display());
    let needed = |code: &str| {
        Vec::new()
            .file(format!("{OPERATOR}/20-needed.{code}"), "no policy")
            .file(
                format!("{OPERATOR}/20-needed.json"),
                r#"{"on_failure": "refuse"}"#,
            )
    };
    for code in ["wasm", "cwasm"] {
        let (ran, _) = into_image(needed(code), Some(&real), "no")?;
        refuses(
            &ran,
            &["20-needed", "on_failure: refuse", "no image is made"],
        )?;
        let (ran, _) = into_image(needed(code), Some(FAILING), "no")?;
        refuses(&ran, &["out of luck", "on_failure: refuse"])?;
        // Whether it can be used is for the boot to say, which refuses then.
        let (ran, desk) = into_image(needed(code), None, "no")?;
        ensure!(ran.status == Some(0), "{}", ran.said());
        for ending in [code, "json"] {
            desk.read(&format!("image{OPERATOR}/20-needed.{ending}"))?;
        }
    }
    // Beside a .wasm a compiled form is not taken along: it may be of another release.
    let both = needed("cwasm").file(format!("{OPERATOR}/20-needed.wasm"), "no policy");
    let (ran, desk) = into_image(both, None, "no")?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    let compiled = desk.path(&format!("image{OPERATOR}/20-needed.cwasm"));
    ensure!(!compiled.exists(), "its compiled form is in the image");
    Ok(())
}

fn what_a_masked_policy_says_ends_no_image() -> Checked {
    let vendor = "/usr/lib/switch-root/policies.d";
    let sidecar = r#"{"on_failure": "refuse"}"#;
    let vendors = || {
        Vec::new()
            .file(format!("{vendor}/20-needed.wasm"), "no policy")
            .file(format!("{vendor}/20-needed.json"), sidecar)
    };
    let mask = format!("{OPERATOR}/20-needed.wasm");
    for masked in [
        vendors().file(mask.as_str(), ""),
        vendors().symlink(mask.as_str(), "/dev/null"),
        Vec::new()
            .file(format!("{OPERATOR}/20-needed.cwasm"), "")
            .file(format!("{OPERATOR}/20-needed.json"), sidecar),
    ] {
        let (ran, _) = into_image(masked, Some(FAILING), "no")?;
        ensure!(ran.status == Some(0), "{}", ran.said());
        says(&ran.stderr, &["out of luck", "embedded default policy"])?;
    }
    // What is not masked counts as before, and a mask of the vendor's does not mask the operator's.
    for needed in [
        vendors(),
        vendors().file(mask.as_str(), "no policy"),
        Vec::new()
            .file(format!("{vendor}/20-needed.wasm"), "")
            .file(mask.as_str(), "no policy")
            .file(format!("{OPERATOR}/20-needed.json"), sidecar),
    ] {
        let (ran, _) = into_image(needed, Some(FAILING), "no")?;
        refuses(&ran, &["out of luck", "on_failure: refuse"])?;
    }
    Ok(())
}

fn a_dangling_folder_of_policies_is_named() -> Checked {
    let real = format!("#!/bin/sh\nexec {} \"$@\"\n", srctl()?.display());
    for program in [Some(&real[..]), None] {
        let vendor = "/usr/lib/switch-root/policies.d";
        let machine = || Vec::new().symlink(vendor, "/srv/nowhere");
        let (ran, _) = into_image(machine(), program, "no")?;
        ensure!(ran.status == Some(0), "{}", ran.said());
        says(&ran.stderr, &[vendor, "dangling symbolic link"])?;
        if program.is_some() {
            let (ran, _) = into_image(machine(), program, "yes")?;
            refuses(
                &ran,
                &[vendor, "dangling symbolic link", "no image is made"],
            )?;
        }
    }
    Ok(())
}
