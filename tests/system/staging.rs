//! `srctl image stage`: what gets from a machine into the root of its initramfs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use switch_root_tests::scene::Scene;
use switch_root_tests::steps::{Content, Make, Step, Steps};

use crate::check::{boots, ensure, says};
use crate::native::{bytes, recorded};
use crate::signing::{desk as signing_desk, keygen};
use crate::srctl::{Desk, Ran, json, tree};
use crate::tools::{
    Checked, Stop, boot, boot_small, cases, named_by, native, need_privileges, policy, srctl,
};

cases![
    what_is_staged_is_what_a_boot_finds,
    a_machine_without_policies_is_fine,
    what_was_staged_is_used_as_it_was_compiled,
    what_no_boot_would_run_is_left_out_with_a_warning,
    with_strict_nothing_is_staged_where_a_policy_is_left_out,
    a_policy_that_nobody_accepted_signed_is_left_out,
    signers_that_cannot_be_read_stage_nothing,
    an_operators_folder_without_signers_demands_nothing,
    links_lead_to_where_they_would_on_that_machine,
    what_was_staged_before_is_replaced,
    what_cannot_be_put_into_its_place_leaves_all_as_it_was,
    the_same_policies_make_the_same_files,
    a_compiled_form_that_is_accepted_is_taken_as_it_is,
    a_compiled_form_that_others_may_write_is_not_taken,
    of_signed_policies_only_signed_compiled_forms_are_taken,
    for_another_boot_binary_nothing_is_compiled,
    what_is_compiled_for_is_what_the_boot_binary_is_for,
    the_folders_of_an_image_may_be_its_own,
    for_an_image_that_runs_none_nothing_is_staged,
    a_policy_that_says_to_refuse_is_never_left_out,
    keys_that_are_not_valid_now_are_refused_with_strict,
    a_dangling_folder_of_policies_is_left_out_by_name,
];

const VENDOR: &str = "/usr/lib/switch-root/policies.d";
const OPERATOR: &str = "/etc/switch-root/policies.d";

/// Files in the policy folders of a tree.
trait Machine: Steps {
    fn vendors(self, name: &str, content: impl Into<Content>) -> Self {
        self.file(format!("{VENDOR}/{name}"), content)
    }

    fn operators(self, name: &str, content: impl Into<Content>) -> Self {
        self.file(format!("{OPERATOR}/{name}"), content)
    }

    fn operators_link(self, name: &str, target: &str) -> Self {
        self.symlink(format!("{OPERATOR}/{name}"), target)
    }
}

impl<S: Steps> Machine for S {}

const KEEP: &str = r#"{"settings": {"keep": ["/some/file"]}}"#;

/// A desk with the folder `machine`, and an empty one, `image`.
fn desk(machine: Vec<Step>) -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    desk.tree("machine", &machine.directory("/etc"))?;
    desk.tree("image", &[])?;
    Ok(desk)
}

fn stage(desk: &Desk, options: &str) -> Result<Ran, Stop> {
    desk.run(&format!("image stage image --root machine {options}"))
}

fn stages(desk: &Desk, options: &str) -> Result<Ran, Stop> {
    let ran = stage(desk, options)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    Ok(ran)
}

/// Checks that the image holds exactly these files and links, that they are root's if we
/// are, and of the modes that a boot wants.
fn holds(desk: &Desk, expected: &[&str]) -> Checked {
    let found = tree(&desk.path("image"))?;
    let files: Vec<&str> = found
        .iter()
        .filter(|(_, entry)| entry.kind != "directory")
        .map(|(path, _)| path.as_str())
        .collect();
    ensure!(files == expected, "{files:#?}\nin place of\n{expected:#?}");
    let ours = nix::unistd::geteuid().as_raw();
    for (path, entry) in &found {
        let mode = match entry.kind.as_str() {
            "directory" => 0o755,
            "file" if path.ends_with(".digests") => 0o600,
            "file" => 0o644,
            _ => entry.mode,
        };
        ensure!(
            entry.mode == mode && entry.owner.0 == ours,
            "{path}: {entry:?}"
        );
    }
    Ok(())
}

fn what_is_staged_is_what_a_boot_finds() -> Checked {
    let machine = Vec::new()
        .vendors("20-a.wasm", policy("keep-paths")?)
        .vendors("20-a.json", r#"{"settings": {"keep": ["/vendors"]}}"#)
        .operators("20-a.json", KEEP)
        .vendors("30-b.wasm", policy("keep-paths")?)
        .operators("30-b.wasm", policy("kernel-abi")?)
        .vendors("40-c.wasm", policy("keep-paths")?)
        .operators_link("40-c.wasm", "/dev/null")
        .operators("00-default.wasm", "")
        .vendors("50-d.wasm", policy("kernel-abi")?)
        .vendors("50-d.json", r#"{"settings": {"no": "such"}}"#)
        .operators("50-d.json", "")
        .operators("README", "not a policy")
        .operators("60-e.json", "{}")
        .file("/usr/lib/switch-root/switch_root", "not a program");
    let desk = desk(machine)?;
    let ran = stages(&desk, "")?;
    let printed = [
        &format!("{VENDOR}/20-a.wasm"),
        &format!("{OPERATOR}/30-b.wasm"),
        &format!("{VENDOR}/50-d.wasm"),
        &format!("masked by {OPERATOR}/00-default.wasm"),
        &format!("masked by {OPERATOR}/40-c.wasm"),
        "staged 3 policies",
    ];
    says(&ran.stdout, &printed.map(|text| text as &str))?;
    says(&ran.stderr, &["60-e.json has no policy"])?;
    let mut expected = vec![
        format!("{OPERATOR}/00-default.wasm"),
        format!("{OPERATOR}/20-a.json"),
        format!("{OPERATOR}/30-b.cwasm"),
        format!("{OPERATOR}/30-b.wasm"),
        format!("{OPERATOR}/40-c.wasm"),
        format!("{OPERATOR}/50-d.json"),
    ];
    for name in ["20-a", "50-d"] {
        expected.push(format!("{VENDOR}/{name}.cwasm"));
        expected.push(format!("{VENDOR}/{name}.wasm"));
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    holds(&desk, &expected)?;
    let read = |path: &str| desk.read(&format!("image{path}"));
    ensure!(
        read(&format!("{VENDOR}/20-a.wasm"))? == bytes(policy("keep-paths")?)?
            && read(&format!("{OPERATOR}/20-a.json"))? == KEEP.as_bytes(),
        "a file was changed on the way"
    );
    let mask = fs::read_link(desk.path(&format!("image{OPERATOR}/40-c.wasm")))?;
    ensure!(mask == Path::new("/dev/null"), "{}", mask.display());
    Ok(())
}

fn a_machine_without_policies_is_fine() -> Checked {
    let desk = desk(Vec::new())?;
    let ran = desk.changes_nothing("image stage image --root machine --strict", 0)?;
    says(&ran.stdout, &["the embedded default policy applies"])?;
    ensure!(ran.stderr.is_empty(), "{}", ran.said());
    let ran = desk.run("image stage image --root machine --quiet")?;
    ensure!(ran.stdout.is_empty(), "{}", ran.said());
    let no_folder = "image stage no-image --root machine";
    desk.fails(no_folder, &["no-image", "No such file"])?;
    desk.fails("image stage image --root no-machine", &["no-machine"])
}

/// Adds what is in a folder to a scene, and gives the files to root.
fn with_tree(mut scene: Scene, folder: &Path) -> Result<Scene, Stop> {
    for (path, entry) in tree(folder)? {
        let place = folder.join(path.trim_start_matches('/'));
        scene = match entry.kind.as_str() {
            "file" => {
                let (mode, content) = (entry.mode, Content::Copy(place));
                scene.make(&path, Make::File { mode, content })
            }
            "symlink" => scene.symlink(&path, entry.content.unwrap_or_default()),
            _ => scene,
        };
    }
    Ok(scene)
}

fn what_was_staged_is_used_as_it_was_compiled() -> Checked {
    let machine = Vec::new()
        .vendors("50-keep.wasm", policy("keep-paths")?)
        .operators("50-keep.json", KEEP)
        .operators("60-abi.wasm", policy("kernel-abi")?);
    let desk = desk(machine)?;
    stages(&desk, "--strict")?;
    for scene in [boot()?, boot_small()?] {
        let scene = scene.file("/some/file", "kept").file("/other", "deleted");
        let booted = boots(&with_tree(scene, &desk.path("image"))?)?;
        booted.left(&["/some/file"])?;
        for name in ["50-keep", "60-abi"] {
            let report = booted.report.policy(name).ok_or("it was not asked")?;
            ensure!(
                report["compiled"] == false && report["warnings"] == serde_json::json!([]),
                "{name}: {report:#}"
            );
        }
    }
    Ok(())
}

/// Policies that no boot would run, by what is said of them.
fn refused() -> Result<(Vec<Step>, BTreeMap<&'static str, &'static str>), Stop> {
    let machine = Vec::new()
        .operators("10-good.wasm", policy("kernel-abi")?)
        .operators("20-cut.wasm", policy("truncated")?)
        .operators("21-core.wasm", policy("core-module")?)
        .operators("22-wasi.wasm", policy("wasi-imports")?)
        .operators("23-major.wasm", policy("next-major")?)
        .operators("24-settings.wasm", policy("keep-paths")?)
        .operators("24-settings.json", r#"{"settings": {"keeps": []}}"#)
        .operators("25-sidecar.wasm", policy("keep-paths")?)
        .operators("25-sidecar.json", "{")
        .operators_link("26-link.wasm", "nowhere")
        .make(format!("{OPERATOR}/27-pipe.wasm"), Make::Fifo)
        .operators("28-text.wasm", "not WebAssembly")
        .operators("29-native.cwasm", "not compiled either")
        .make(
            format!("{OPERATOR}/30-large.wasm"),
            Make::File {
                mode: 0o644,
                content: Content::Filled {
                    byte: 0,
                    size: (64 << 20) + 1,
                },
            },
        );
    let said = BTreeMap::from([
        ("20-cut", "is not a valid component"),
        ("21-core", "core module"),
        ("22-wasi", "imports"),
        ("23-major", "version"),
        ("24-settings", "keeps"),
        ("25-sidecar", "is not a sidecar file"),
        ("26-link", "is a link to nothing"),
        ("27-pipe", "is not a regular file"),
        ("28-text", "is not WebAssembly"),
        ("29-native", "has no record"),
        ("30-large", "bytes large"),
    ]);
    Ok((machine, said))
}

fn what_no_boot_would_run_is_left_out_with_a_warning() -> Checked {
    let (machine, said) = refused()?;
    let desk = desk(machine)?;
    let ran = stages(&desk, "")?;
    for (name, words) in &said {
        let warned = ran
            .stderr
            .lines()
            .find(|line| line.contains(&format!("warning: policy {name} is left out")));
        let Some(line) = warned else {
            return Err(Stop::Fail(format!("nothing of {name}\n{}", ran.said())));
        };
        says(line, &[words, "the image is made without it"])?;
    }
    says(&ran.stdout, &["staged 1 policy", "left out 11 policies"])?;
    let good = ["cwasm", "wasm"].map(|ending| format!("{OPERATOR}/10-good.{ending}"));
    holds(&desk, &[&good[0], &good[1]])?;
    let ran = stages(&desk, "--format json --quiet")?;
    let value = json(&ran.stdout)?;
    let left: Vec<_> = value["left_out"].as_array().into_iter().flatten().collect();
    ensure!(left.len() == said.len(), "{value:#}");
    ensure!(value["staged"] == true, "{value:#}");
    Ok(())
}

fn with_strict_nothing_is_staged_where_a_policy_is_left_out() -> Checked {
    let (machine, said) = refused()?;
    let desk = desk(machine)?;
    desk.tree("image", &Vec::new().operators("01-before.wasm", "before"))?;
    let ran = desk.changes_nothing("image stage image --root machine --strict", 3)?;
    for name in said.keys() {
        says(&ran.stderr, &[name])?;
    }
    says(&ran.stderr, &["with --strict nothing is staged"])?;
    says(&ran.stdout, &["nothing was staged"])
}

/// A desk with two policies of the machine, one signed and one not, and the list of
/// signers at a path of the machine.
fn signed(list: &str) -> Result<Desk, Stop> {
    let desk = signing_desk()?;
    desk.succeeds("policy sign a.wasm --key ops")?;
    let machine = Vec::new()
        .operators("10-signed.wasm", Content::Copy(desk.path("a.wasm")))
        .operators("10-signed.wasm.sig", Content::Copy(desk.path("a.wasm.sig")))
        .operators("20-unsigned.wasm", Content::Copy(desk.path("a.wasm")))
        .file(list, Content::Copy(desk.path("ops.signers")));
    desk.tree("machine", &machine)?;
    desk.tree("image", &[])?;
    Ok(desk)
}

fn a_policy_that_nobody_accepted_signed_is_left_out() -> Checked {
    for list in [
        "/etc/switch-root/trust/ops.signers",
        "/usr/lib/switch-root/trust/ops.signers",
    ] {
        let desk = signed(list)?;
        let ran = stages(&desk, "")?;
        says(&ran.stderr, &["20-unsigned", "is not signed"])?;
        says(&ran.stdout, &["ops@example.org", "signers  ops.signers"])?;
        let name = |ending: &str| format!("{OPERATOR}/10-signed.{ending}");
        let files = [name("cwasm"), name("wasm"), name("wasm.sig")];
        let trust = ["native.digests", "ops.signers"]
            .map(|name| format!("/usr/lib/switch-root/trust/{name}"));
        holds(
            &desk,
            &[&files[0], &files[1], &files[2], &trust[0], &trust[1]],
        )?;
        // And it boots: what is not signed would have refused the switch.
        for scene in [boot()?, boot_small()?] {
            let booted = boots(&with_tree(scene, &desk.path("image"))?)?;
            let report = booted
                .report
                .policy("10-signed")
                .ok_or("it was not asked")?;
            ensure!(report["signed_by"] == "ops@example.org", "{report:#}");
            ensure!(report["compiled"] == false, "{report:#}");
            ensure!(report["warnings"] == serde_json::json!([]), "{report:#}");
        }
        let ran = stage(&desk, "--strict")?;
        ensure!(ran.status == Some(3), "{}", ran.said());
    }
    Ok(())
}

fn signers_that_cannot_be_read_stage_nothing() -> Checked {
    let fails = |steps: Vec<Step>, words: &[&str]| {
        let desk = desk(steps.operators("10-a.wasm", policy("kernel-abi")?))?;
        desk.fails("image stage image --root machine", words)
    };
    let trust = "/etc/switch-root/trust";
    let list = format!("{trust}/a.signers");
    fails(Vec::new().file(&list, "nonsense\n"), &[&list, "line 1"])?;
    fails(
        Vec::new().symlink(&list, "nowhere"),
        &[&list, "link to nothing"],
    )?;
    fails(
        Vec::new().symlink(trust, "nowhere"),
        &[trust, "link to nothing"],
    )?;
    fails(Vec::new().file(trust, "a file"), &[trust])
}

fn an_operators_folder_without_signers_demands_nothing() -> Checked {
    let steps = Vec::new().directory("/etc/switch-root/trust");
    let desk = desk(steps.operators("10-a.wasm", policy("kernel-abi")?))?;
    let ran = stages(&desk, "--strict")?;
    ensure!(
        ran.stderr.is_empty() || !nix::unistd::geteuid().is_root(),
        "{}",
        ran.said()
    );
    ensure!(
        !desk.path("image/usr").exists(),
        "a trust folder was staged"
    );
    // The vendor's, which the image would have as it is, accepts nobody.
    desk.tree(
        "machine",
        &Vec::new().directory("/usr/lib/switch-root/trust"),
    )?;
    let ran = stages(&desk, "")?;
    says(&ran.stderr, &["10-a", "is not signed"])?;
    holds(&desk, &[])?;
    let kept = desk.path("image/usr/lib/switch-root/trust").is_dir();
    ensure!(kept, "the image would accept anybody's policies");
    Ok(())
}

fn links_lead_to_where_they_would_on_that_machine() -> Checked {
    let shipped = "/usr/share/switch-root/policies/kernel-abi.wasm";
    let desk = Desk::new()?;
    // There is such a file on the machine that runs this, and not on that one.
    desk.write("outside.wasm", bytes(policy("keep-paths")?)?)?;
    let outside = desk.path("outside.wasm").display().to_string();
    let machine = Vec::new()
        .file(shipped, policy("kernel-abi")?)
        .operators_link("10-absolute.wasm", shipped)
        .operators_link("20-relative.wasm", &format!("../../..{shipped}"))
        .operators_link("30-outside.wasm", &outside)
        .operators_link(
            "40-above.wasm",
            &format!("../../../../../../../../../..{outside}"),
        );
    desk.tree("machine", &machine)?;
    desk.tree("image", &[])?;
    let ran = stages(&desk, "")?;
    for name in ["30-outside", "40-above"] {
        says(&ran.stderr, &[name, "link to nothing"])?;
    }
    let mut expected = Vec::new();
    for name in ["10-absolute", "20-relative"] {
        expected.push(format!("{OPERATOR}/{name}.cwasm"));
        expected.push(format!("{OPERATOR}/{name}.wasm"));
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    holds(&desk, &expected)
}

fn what_was_staged_before_is_replaced() -> Checked {
    let machine = Vec::new()
        .vendors("10-a.wasm", policy("kernel-abi")?)
        .operators("20-b.wasm", policy("kernel-abi")?);
    let desk = desk(machine)?;
    let others = Vec::new()
        .file("/etc/switch-root/other", "theirs")
        .file("/init", "theirs");
    desk.tree("image", &others)?;
    stages(&desk, "")?;
    fs::remove_file(desk.path(&format!("machine{VENDOR}/10-a.wasm")))?;
    desk.tree(
        "machine",
        &Vec::new().operators("30-c.wasm", policy("kernel-abi")?),
    )?;
    stages(&desk, "")?;
    let mut expected = vec!["/etc/switch-root/other".to_owned()];
    for name in ["20-b", "30-c"] {
        expected.push(format!("{OPERATOR}/{name}.cwasm"));
        expected.push(format!("{OPERATOR}/{name}.wasm"));
    }
    expected.push("/init".into());
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    holds(&desk, &expected)?;
    ensure!(
        !desk.path(&format!("image{VENDOR}")).exists(),
        "the vendor's folder is left"
    );
    Ok(())
}

fn what_cannot_be_put_into_its_place_leaves_all_as_it_was() -> Checked {
    let machine = Vec::new()
        .vendors("10-a.wasm", policy("kernel-abi")?)
        .operators("20-b.wasm", policy("kernel-abi")?);
    let desk = desk(machine)?;
    // The vendor's folder is put into its place before the operator's cannot be.
    let image = Vec::new()
        .vendors("01-before.wasm", "before")
        .file("/etc/switch-root", "a file");
    desk.tree("image", &image)?;
    desk.fails(
        "image stage image --root machine",
        &["nothing was staged", OPERATOR, "Not a directory"],
    )
}

fn the_same_policies_make_the_same_files() -> Checked {
    let machine = || -> Result<_, Stop> {
        Ok(Vec::new()
            .vendors("10-a.wasm", policy("keep-paths")?)
            .operators("10-a.json", KEEP)
            .operators_link("00-default.wasm", "/dev/null"))
    };
    let (first, second) = (desk(machine()?)?, desk(machine()?)?);
    stages(&first, "")?;
    stages(&second, "")?;
    crate::srctl::same(&first.path("image"), &second.path("image"))?;
    for path in [VENDOR, &format!("{VENDOR}/10-a.cwasm"), OPERATOR] {
        let time = fs::symlink_metadata(first.path(&format!("image{path}")))?.mtime();
        ensure!(time == 0, "{path} is of {time}");
    }
    let mut dated = desk(machine()?)?;
    dated.variable("SOURCE_DATE_EPOCH", "1700000000".into());
    stages(&dated, "")?;
    let file = dated.path(&format!("image{VENDOR}/10-a.cwasm"));
    ensure!(fs::metadata(file)?.mtime() == 1_700_000_000, "not dated");
    Ok(())
}

fn a_compiled_form_that_is_accepted_is_taken_as_it_is() -> Checked {
    need_privileges()?;
    let steps = Vec::new().operators("10-alone.cwasm", native("keep-paths")?);
    let desk = desk(steps)?;
    stages(&desk, "--strict")?;
    holds(&desk, &[&format!("{OPERATOR}/10-alone.cwasm")])?;
    let staged = desk.read(&format!("image{OPERATOR}/10-alone.cwasm"))?;
    ensure!(staged == bytes(native("keep-paths")?)?, "it was changed");
    // For another architecture it is of no use.
    let ran = stage(&desk, "--arch aarch64")?;
    says(&ran.stderr, &["10-alone", "was compiled for x86_64"])?;
    holds(&desk, &[])
}

fn a_compiled_form_that_others_may_write_is_not_taken() -> Checked {
    need_privileges()?;
    let file = |name: &str, mode| -> Result<Step, Stop> {
        Ok(Step {
            path: format!("{OPERATOR}/{name}").into(),
            make: Make::File {
                mode,
                content: native("hostile")?,
            },
        })
    };
    let mut steps = Vec::new().operators("20-beside.wasm", policy("keep-paths")?);
    steps.push(file("10-alone.cwasm", 0o666)?);
    steps.push(file("20-beside.cwasm", 0o666)?);
    let desk = desk(steps)?;
    let ran = stages(&desk, "")?;
    says(&ran.stderr, &["10-alone", "written by others"])?;
    let staged = desk.read(&format!("image{OPERATOR}/20-beside.cwasm"))?;
    let digest = record(&staged)?["source"].clone();
    ensure!(
        digest != record(&bytes(native("hostile")?)?)?["source"],
        "the compiled form of another policy was staged: {digest}"
    );
    Ok(())
}

fn of_signed_policies_only_signed_compiled_forms_are_taken() -> Checked {
    need_privileges()?;
    let desk = signed("/etc/switch-root/trust/ops.signers")?;
    let path = |ending: &str| format!("{OPERATOR}/10-signed.{ending}");
    // The record says what it was compiled from, and anybody can write a record.
    let digest = format!("sha256:{:x}", Sha256::digest(desk.read("a.wasm")?));
    let edited = recorded("keep-paths", |record| record["source"] = digest.into())?;
    let list = format!("sha256:{:x}\n", Sha256::digest(&edited));
    let steps = Vec::new().file(path("cwasm"), edited.clone()).make(
        "/usr/lib/switch-root/trust/native.digests",
        Make::File {
            mode: 0o600,
            content: list.as_str().into(),
        },
    );
    desk.tree("machine", &steps)?;
    stages(&desk, "")?;
    let staged = desk.read(&format!("image{}", path("cwasm")))?;
    ensure!(staged != edited, "the code of another policy was staged");
    // With a signature of its own it is taken as it is.
    desk.write("own.cwasm", &edited)?;
    let sign = "-q -Y sign -n switch-root-policy -f ops own.cwasm";
    ensure!(keygen(&desk, sign, b"")?.status == Some(0), "not signed");
    let own = Vec::new().file(path("cwasm.sig"), Content::Copy(desk.path("own.cwasm.sig")));
    desk.tree("machine", &own)?;
    stages(&desk, "")?;
    let files = ["cwasm", "cwasm.sig", "wasm", "wasm.sig"].map(path);
    let trust = "/usr/lib/switch-root/trust/ops.signers";
    holds(&desk, &[&files[0], &files[1], &files[2], &files[3], trust])?;
    let staged = desk.read(&format!("image{}", files[0]))?;
    ensure!(staged == edited, "it was changed");
    Ok(())
}

/// The record of a compiled policy.
fn record(native: &[u8]) -> Result<serde_json::Value, Stop> {
    let line = native.split(|byte| *byte == b'\n').nth(1);
    json(&String::from_utf8_lossy(line.ok_or("no record")?))
}

/// Something that looks like a boot binary: for the processor of this number, and of this
/// engine.
pub fn binary(machine: u8, engine: &str) -> Vec<u8> {
    let mut program = b"\x7fELF\x02\x01\x01".to_vec();
    program.resize(18, 0);
    program.extend([machine, 0]);
    program.resize(64, 0);
    program.extend(b"switch-root ahead-of-time policy 1\n");
    program.extend(engine.as_bytes());
    program
}

/// The numbers of processors in ELF files.
pub const X86_64: u8 = 62;
const AARCH64: u8 = 183;

fn for_another_boot_binary_nothing_is_compiled() -> Checked {
    let desk = desk(Vec::new().operators("10-a.wasm", policy("kernel-abi")?))?;
    let older = binary(X86_64, "switch-root 0.0.9, wasmtime 47");
    desk.tree(
        "image",
        &Vec::new()
            .executable("/usr/sbin/run-init", "#!/bin/sh\n")
            .executable("/usr/lib/switch-root/switch_root", older),
    )?;
    let strict = "image stage image --root machine --strict";
    let ran = desk.changes_nothing(strict, 3)?;
    let words = [
        "/usr/lib/switch-root/switch_root is of switch-root 0.0.9, wasmtime 47",
        "without their compiled forms",
    ];
    says(&ran.stderr, &words)?;
    let ran = stages(&desk, "")?;
    says(&ran.stderr, &words)?;
    says(&ran.stdout, &["(at boot)"])?;
    ensure!(
        !desk.path(&format!("image{OPERATOR}/10-a.cwasm")).exists(),
        "what the boot binary would not take was staged"
    );
    ensure!(
        desk.path(&format!("image{OPERATOR}/10-a.wasm")).exists(),
        "it was not staged"
    );
    Ok(())
}

fn what_is_compiled_for_is_what_the_boot_binary_is_for() -> Checked {
    let desk = desk(Vec::new().operators("10-a.wasm", policy("kernel-abi")?))?;
    let target = |options: &str| -> Result<_, Stop> {
        stages(&desk, options)?;
        let staged = desk.read(&format!("image{OPERATOR}/10-a.cwasm"))?;
        Ok(record(&staged)?["target"].clone())
    };
    let own = target("")?;
    ensure!(own == "x86_64-unknown-linux-musl", "{own}");
    let engine = record(&bytes(native("keep-paths")?)?)?["engine"].clone();
    let foreign = binary(AARCH64, engine.as_str().unwrap_or_default());
    let place = "/usr/lib/switch-root/switch_root-aot";
    desk.tree("machine", &Vec::new().executable(place, foreign))?;
    let installed = target("")?;
    ensure!(installed == "aarch64-unknown-linux-musl", "{installed}");
    let chosen = target("--arch x86_64")?;
    ensure!(chosen == own, "{chosen}");
    // The real ones say what they are; the image's counts before the machine's.
    for variable in ["SWITCH_ROOT_BIN", "SWITCH_ROOT_AOT_BIN"] {
        let real = Content::Copy(named_by(variable, "a boot binary")?);
        desk.tree("image", &Vec::new().executable("/usr/sbin/run-init", real))?;
        let in_image = target("--strict")?;
        ensure!(in_image == own, "{variable}: {in_image}");
    }
    let ran = stage(&desk, "--arch sparc")?;
    ensure!(ran.status == Some(1), "{}", ran.said());
    says(&ran.stderr, &["cannot compile for sparc"])
}

fn the_folders_of_an_image_may_be_its_own() -> Checked {
    srctl()?;
    let desk = desk(Vec::new())?;
    let image = Vec::new()
        .operators("10-a.wasm", policy("kernel-abi")?)
        .operators("20-b.wasm", "not WebAssembly");
    desk.tree("image", &image)?;
    let ran = desk.run("image stage image --root image")?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    let files = ["cwasm", "wasm"].map(|ending| format!("{OPERATOR}/10-a.{ending}"));
    holds(&desk, &[&files[0], &files[1]])
}

fn for_an_image_that_runs_none_nothing_is_staged() -> Checked {
    let desk = desk(Vec::new().operators("10-a.wasm", policy("kernel-abi")?))?;
    let engine = "switch-root 0.0.9, wasmtime 47\nthis build of switch_root has no compiler";
    let program = Vec::new().executable("/sbin/switch_root", binary(X86_64, engine));
    desk.tree("image", &program)?;
    let ran = desk.changes_nothing("image stage image --root machine", 3)?;
    says(&ran.stderr, &["/sbin/switch_root", "nothing is staged"])?;
    // The machine's is not what the image gets: its hooks choose.
    desk.tree("other", &[])?;
    desk.tree("machine", &program)?;
    let ran = desk.run("image stage other --root machine")?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    says(&ran.stderr, &["without their compiled forms"])
}

fn a_policy_that_says_to_refuse_is_never_left_out() -> Checked {
    let good = || policy("kernel-abi");
    let newer = r#"{"version": 7, "on_failure": "refuse", "weather": "sunny"}"#;
    let unknown = r#"{"on_failure": "refuse", "weather": "sunny"}"#;
    let refuse = r#"{"on_failure": "refuse"}"#;
    for (code, sidecar, words) in [
        (Content::from("no policy"), refuse, "is not WebAssembly"),
        (good()?, unknown, "unknown field `weather`"),
        (
            good()?,
            newer,
            "newer release: its version is 7, and this one knows 1",
        ),
    ] {
        let machine = Vec::new()
            .operators("10-good.wasm", good()?)
            .operators("20-needed.wasm", code)
            .operators("20-needed.json", sidecar);
        let desk = desk(machine)?;
        let ran = desk.changes_nothing("image stage image --root machine", 3)?;
        says(&ran.stderr, &["20-needed", words, "says to refuse"])?;
        says(&ran.stdout, &["nothing was staged"])?;
    }
    // One whose key was revoked.
    let desk = signed("/etc/switch-root/trust/ops.signers")?;
    desk.tree("machine", &Vec::new().operators("20-unsigned.json", refuse))?;
    let ran = desk.changes_nothing("image stage image --root machine", 3)?;
    says(
        &ran.stderr,
        &["20-unsigned", "is not signed", "says to refuse"],
    )
}

fn keys_that_are_not_valid_now_are_refused_with_strict() -> Checked {
    let desk = signed("/etc/switch-root/trust/ops.signers")?;
    fs::remove_file(desk.path(&format!("machine{OPERATOR}/20-unsigned.wasm")))?;
    let list = String::from_utf8(desk.read("ops.signers")?)?;
    for (option, words) in [
        ("valid-before=20200101", "whose key expired on 2020-01-01"),
        ("valid-after=29990101", "whose key is not valid before 2999"),
    ] {
        let list = list.replacen(' ', &format!(" {option} "), 1);
        let list = Vec::new().file("/etc/switch-root/trust/ops.signers", list.as_str());
        desk.tree("machine", &list)?;
        let ran = desk.changes_nothing("image stage image --root machine --strict", 3)?;
        says(&ran.stderr, &["10-signed", words, "nothing is"])?;
        // A boot runs it: clocks are often wrong there.
        let ran = stages(&desk, "")?;
        says(&ran.stderr, &["10-signed", words, "used all the same"])?;
        fs::remove_dir_all(desk.path("image"))?;
        desk.tree("image", &[])?;
    }
    Ok(())
}

fn a_dangling_folder_of_policies_is_left_out_by_name() -> Checked {
    for folder in [VENDOR, OPERATOR] {
        let desk = desk(Vec::new().symlink(folder, "/srv/nowhere"))?;
        let ran = stages(&desk, "")?;
        says(&ran.stderr, &[folder, "is a dangling symbolic link"])?;
        let ran = desk.changes_nothing("image stage image --root machine --strict", 3)?;
        says(&ran.stderr, &[folder, "is a dangling symbolic link"])?;
    }
    Ok(())
}
