//! Initramfs images that demand signatures: what boots, and what is refused before
//! anything was moved.

use std::fs;
use std::time::Duration;

use sha2::{Digest, Sha256};
use switch_root_tests::image::{self, Format};
use switch_root_tests::modules::as_it_is;
use switch_root_tests::report::Report;
use switch_root_tests::scene::{Ending, INIT, NEW_ROOT, Questions, SUBJECT, Scene};
use switch_root_tests::steps::{Content, Make, Steps};
use switch_root_tests::{archive, machine};

use crate::check::{Booted, boots, ensure, refuses, said, says};
use crate::native::recorded;
use crate::signing::{desk, keygen};
use crate::srctl::{Desk, json};
use crate::tools::{
    Checked, Stop, boot, boot_small, cases, kernels, native, need_privileges, play, policy, probe,
    program, subject, with_modules,
};

cases![
    a_policy_that_is_signed_decides_and_the_report_says_who_signed_it,
    listed_code_is_used_beside_what_is_signed,
    code_with_an_edited_record_does_not_run,
    code_with_its_own_signature_runs_in_its_signers_name,
    a_list_of_code_that_cannot_be_used_accepts_none,
    srctl_runs_no_code_that_a_boot_would_not_run,
    a_policy_whose_signature_does_not_count_keeps_the_machine_from_switching,
    a_trust_folder_that_cannot_be_used_keeps_the_machine_from_switching,
    code_compiled_ahead_of_time_alone_needs_a_signature_of_its_own,
    the_embedded_policy_masks_and_sidecars_need_no_signature,
    a_key_that_has_expired_is_a_warning_at_boot,
    an_unsigned_policy_is_refused_by_every_name_of_the_program,
    a_kernel_boots_a_policy_that_srctl_added,
];

const POLICY: &str = "/usr/lib/switch-root/policies.d/50-keep";
const TRUST: &str = "/usr/lib/switch-root/trust";
/// The list of native code that needs no signature.
const LIST: &str = "/usr/lib/switch-root/trust/native.digests";
const SIDECAR: &str = r#"{"settings": {"keep": ["/some/file"]}, "on_failure": "ignore"}"#;

/// A desk with `a.wasm`, which keeps paths, and its signature by the key `ops`.
fn signed() -> Result<Desk, Stop> {
    let desk = desk()?;
    let Content::Copy(path) = policy("keep-paths")? else {
        return Err("a policy that is no file".into());
    };
    fs::copy(path, desk.path("a.wasm"))?;
    sign(&desk, "a.wasm", "ops", "switch-root-policy")?;
    Ok(desk)
}

fn sign(desk: &Desk, file: &str, key: &str, namespace: &str) -> Result<String, Stop> {
    let _ = fs::remove_file(desk.path(&format!("{file}.sig")));
    let ran = keygen(
        desk,
        &format!("-q -Y sign -n {namespace} -f {key} {file}"),
        b"",
    )?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    Ok(String::from_utf8(desk.read(&format!("{file}.sig"))?)?)
}

/// An initramfs with files that the policy keeps and does not keep, and the policy, whose
/// failure its sidecar ignores.
fn keeping(scene: Scene) -> Result<Scene, Stop> {
    Ok(scene
        .file("/some/file", "kept")
        .file("/some/other", "not kept")
        .file(format!("{POLICY}.wasm"), policy("keep-paths")?)
        .file(format!("{POLICY}.json"), SIDECAR))
}

/// The same with its signature and the list of signers.
fn trusting(scene: Scene, signature: &str, list: impl Into<Content>) -> Result<Scene, Stop> {
    Ok(keeping(scene)?
        .file(format!("{POLICY}.wasm.sig"), signature)
        .file(format!("{TRUST}/ops.signers"), list))
}

fn signer(booted: &Booted, policy: &str) -> Result<String, Stop> {
    let report = booted
        .report
        .policy(policy)
        .ok_or("it is not in the report")?;
    Ok(report["signed_by"].to_string())
}

fn a_policy_that_is_signed_decides_and_the_report_says_who_signed_it() -> Checked {
    let desk = signed()?;
    let signature = String::from_utf8(desk.read("a.wasm.sig")?)?;
    let booted = boots(&trusting(boot()?, &signature, desk.read("ops.signers")?)?)?;
    booted.left(&["/some/file"])?;
    let by = (signer(&booted, "50-keep")?, signer(&booted, "00-default")?);
    ensure!(
        by == ("\"ops@example.org\"".into(), "null".into()),
        "{by:?}"
    );
    // Without a trust folder nobody looks at a signature.
    let booted = boots(&keeping(boot()?)?.file(format!("{POLICY}.wasm.sig"), "hm"))?;
    booted.left(&["/some/file"])?;
    ensure!(signer(&booted, "50-keep")? == "null", "signed?");
    Ok(())
}

/// A file of this mode.
fn file(mode: u32, content: impl Into<Content>) -> Make {
    Make::File {
        mode,
        content: content.into(),
    }
}

/// The list with these files of native code.
fn listing(code: &[&[u8]]) -> Vec<u8> {
    let digest = |code: &&[u8]| format!("sha256:{:x}\n", Sha256::digest(code));
    code.iter().map(digest).collect::<String>().into_bytes()
}

/// A scene with a policy that `ops` has signed, and with native code beside it.
fn with_code(desk: &Desk, scene: Scene, code: &[u8]) -> Result<Scene, Stop> {
    let signature = String::from_utf8(desk.read("a.wasm.sig")?)?;
    let scene = trusting(scene, &signature, desk.read("ops.signers")?)?;
    Ok(scene.file(format!("{POLICY}.cwasm"), code))
}

/// Checks what became of that policy: whether it was compiled, in whose name it ran, and
/// what was said of its native code.
fn ran(booted: &Booted, compiled: bool, signer: &str, words: &[&str]) -> Checked {
    booted.left(&["/some/file"])?;
    let report = booted.report.policy("50-keep").ok_or("not in the report")?;
    ensure!(
        report["compiled"] == compiled && report["signed_by"] == signer,
        "{report:#}"
    );
    let warnings = report["warnings"].as_array().map_or(0, Vec::len);
    ensure!(warnings == usize::from(!words.is_empty()), "{report:#}");
    says(&report["warnings"].to_string(), words)
}

fn listed_code_is_used_beside_what_is_signed() -> Checked {
    let desk = signed()?;
    let code = native("keep-paths")?.bytes()?;
    for scene in [boot()?, boot_small()?] {
        let list = listing(&[b"another", &code]);
        let scene = with_code(&desk, scene, &code)?.make(LIST, file(0o600, list));
        ran(&boots(&scene)?, false, "ops@example.org", &[])?;
    }
    Ok(())
}

/// Code that is another policy's, and says that it was compiled from the one that is signed.
fn edited(desk: &Desk) -> Result<Vec<u8>, Stop> {
    let digest = format!("sha256:{:x}", Sha256::digest(desk.read("a.wasm")?));
    recorded("hostile", |record| record["source"] = digest.into())
}

fn code_with_an_edited_record_does_not_run() -> Checked {
    let desk = signed()?;
    let code = edited(&desk)?;
    // What the code was before counts for nothing, and neither does what the record says.
    let lists = [
        None,
        Some(listing(&[
            &native("hostile")?.bytes()?,
            &native("keep-paths")?.bytes()?,
        ])),
    ];
    for list in lists {
        let with_list = |scene: Scene| match &list {
            Some(list) => scene.make(LIST, file(0o600, list.clone())),
            None => scene,
        };
        let scene = with_list(with_code(&desk, boot()?, &code)?);
        let words = [
            "50-keep.cwasm is not used: it is not listed in",
            LIST,
            "is not signed: there is no",
            "50-keep.cwasm.sig; the policy is compiled instead",
        ];
        ran(&boots(&scene)?, true, "ops@example.org", &words)?;
        // Its failure is ignored, as its sidecar says.
        let booted = boots(&with_list(with_code(&desk, boot_small()?, &code)?))?;
        booted.failed("50-keep", &["no compiler", ".cwasm"])?;
        booted.left(&[])?;
    }
    Ok(())
}

fn code_with_its_own_signature_runs_in_its_signers_name() -> Checked {
    let desk = signed()?;
    let code = native("keep-paths")?.bytes()?;
    desk.write("a.cwasm", &code)?;
    let own = sign(&desk, "a.cwasm", "other", "switch-root-policy")?;
    let others = String::from_utf8(desk.read("other.pub")?)?;
    for scene in [boot()?, boot_small()?] {
        let scene = with_code(&desk, scene, &code)?
            .file(format!("{POLICY}.cwasm.sig"), own.as_str())
            .file(
                format!("{TRUST}/other.signers"),
                format!("other@example.org {others}").as_str(),
            );
        ran(&boots(&scene)?, false, "other@example.org", &[])?;
    }
    // A signature by nobody that is listed, and code that was changed since.
    let scene = with_code(&desk, boot()?, &code)?.file(format!("{POLICY}.cwasm.sig"), own.as_str());
    let words = ["not used", "not among those that are accepted"];
    ran(&boots(&scene)?, true, "ops@example.org", &words)?;
    let own = sign(&desk, "a.cwasm", "ops", "switch-root-policy")?;
    let scene = with_code(&desk, boot()?, &edited(&desk)?)?
        .file(format!("{POLICY}.cwasm.sig"), own.as_str());
    let words = ["not used", "is not what ops@example.org signed"];
    ran(&boots(&scene)?, true, "ops@example.org", &words)
}

fn a_list_of_code_that_cannot_be_used_accepts_none() -> Checked {
    let desk = signed()?;
    let code = native("keep-paths")?.bytes()?;
    let good = listing(&[&code]);
    let cut = good[..good.len() - 1].to_vec();
    let more = [&good[..], b"more\n"].concat();
    let large = good.repeat(2000);
    for (make, words) in [
        (file(0o644, good.clone()), "by others than root (mode 0644)"),
        (file(0o602, good.clone()), "by others than root (mode 0602)"),
        (file(0o600, cut), "malformed in line 1"),
        (file(0o600, more), "malformed in line 2"),
        (file(0o600, large), "at most 131072 are read"),
        (Make::Directory { mode: 0o700 }, "is not a regular file"),
    ] {
        let scene = with_code(&desk, boot()?, &code)?.make(LIST, make);
        ran(
            &boots(&scene)?,
            true,
            "ops@example.org",
            &["50-keep.cwasm is not used", LIST, words],
        )?;
    }
    Ok(())
}

fn srctl_runs_no_code_that_a_boot_would_not_run() -> Checked {
    need_privileges()?;
    let desk = signed()?;
    let mut tree = with_code(&desk, boot()?, &edited(&desk)?)?;
    desk.write("out.img", archive::of(tree.steps())?)?;
    let ran = desk.run("plan out.img --format json")?;
    let plan = json(&ran.stdout)?;
    let policy = plan["policies"].as_array().into_iter().flatten();
    let policy = policy
        .clone()
        .find(|policy| policy["name"] == "50-keep")
        .ok_or("it was not asked")?;
    ensure!(
        policy["compiled"] == true && policy["signed_by"] == "ops@example.org",
        "{policy:#}"
    );
    says(&policy["warnings"].to_string(), &["not listed in", LIST])?;
    let kept = plan["survivors"].to_string();
    says(&kept, &["/some/file"])?;
    let ran = desk.run("doctor out.img")?;
    says(&ran.stdout, &["50-keep", "not listed in", LIST])
}

/// Refused as it is, and planned no better; the way out starts the machine without the
/// policy.
fn is_refused(scene: &Scene, words: &[&str]) -> Checked {
    let words = [words, &["must be signed", "switch_root.policies=default"]].concat();
    refuses(scene, &words)?;
    refuses(&scene.clone().options(["--plan"]), &words)?;
    let mut way_out = scene.clone();
    way_out.kernel_command_line = Some("switch_root.policies=default".into());
    boots(&way_out)?.left(&[])
}

fn a_policy_whose_signature_does_not_count_keeps_the_machine_from_switching() -> Checked {
    let desk = signed()?;
    let list = desk.read("ops.signers")?;
    let good = String::from_utf8(desk.read("a.wasm.sig")?)?;
    fs::write(desk.path("b.wasm"), "something else")?;
    let of_another = sign(&desk, "b.wasm", "ops", "switch-root-policy")?;
    let foreign = sign(&desk, "a.wasm", "other", "switch-root-policy")?;
    let for_files = sign(&desk, "a.wasm", "ops", "file")?;
    for (case, signature, words) in [
        (
            "of another file",
            of_another.as_str(),
            "is not what ops@example.org signed",
        ),
        (
            "by another key",
            &foreign,
            "not among those that are accepted: sha256:",
        ),
        ("for another purpose", &for_files, "namespace is `file`"),
        (
            "truncated",
            &good[..good.len() / 2],
            "no armored ssh signature",
        ),
        ("empty", "", "no armored ssh signature"),
    ] {
        let scene = trusting(boot()?, signature, list.clone())?;
        is_refused(&scene, &["50-keep.wasm", words]).map_err(|stop| stop.during(case))?;
    }
    let unsigned = keeping(boot()?)?.file(format!("{TRUST}/ops.signers"), list.clone());
    is_refused(
        &unsigned,
        &["is not signed: there is no", "50-keep.wasm.sig"],
    )?;
    // What stands in for the embedded policy, too.
    let default = boot()?
        .file(
            "/etc/switch-root/policies.d/00-default.wasm",
            policy("keep-paths")?,
        )
        .file(format!("{TRUST}/ops.signers"), list);
    is_refused(&default, &["00-default.wasm is not signed"])
}

fn a_trust_folder_that_cannot_be_used_keeps_the_machine_from_switching() -> Checked {
    let desk = signed()?;
    let good = String::from_utf8(desk.read("a.wasm.sig")?)?;
    for (list, words) in [
        ("# ours\nops@example.org\n", "ops.signers, line 2"),
        ("", "not among those that are accepted"),
    ] {
        is_refused(&trusting(boot()?, &good, list)?, &[words])?;
    }
    let empty = keeping(boot()?)?
        .file(format!("{POLICY}.wasm.sig"), good.as_str())
        .directory(TRUST);
    is_refused(&empty, &["not among those that are accepted"])?;
    // Even where there is no policy that it could demand something of.
    is_refused(&boot()?.file(TRUST, "a file"), &[TRUST, "cannot be read"])?;
    is_refused(
        &boot()?.symlink(TRUST, "/nowhere"),
        &[TRUST, "a link to nothing"],
    )?;
    is_refused(
        &boot()?.directory(format!("{TRUST}/a.signers")),
        &["a.signers", "not a regular file"],
    )
}

fn code_compiled_ahead_of_time_alone_needs_a_signature_of_its_own() -> Checked {
    let desk = signed()?;
    let good = String::from_utf8(desk.read("a.wasm.sig")?)?;
    let scene = |scene: Scene| -> Result<Scene, Stop> {
        Ok(scene
            .file("/some/file", "kept")
            .file(format!("{POLICY}.cwasm"), native("keep-paths")?)
            .file(format!("{POLICY}.json"), SIDECAR)
            .file(format!("{POLICY}.wasm.sig"), good.as_str())
            .file(format!("{TRUST}/ops.signers"), desk.read("ops.signers")?))
    };
    is_refused(
        &scene(boot()?)?,
        &["50-keep.cwasm is not signed", "50-keep.cwasm.sig"],
    )?;
    fs::write(desk.path("a.cwasm"), native("keep-paths")?.bytes()?)?;
    let own = sign(&desk, "a.cwasm", "ops", "switch-root-policy")?;
    for subject in [boot()?, boot_small()?] {
        let small = format!("{POLICY}.cwasm.sig");
        let booted = boots(&scene(subject)?.file(small, own.as_str()))?;
        booted.left(&["/some/file"])?;
    }
    Ok(())
}

fn the_embedded_policy_masks_and_sidecars_need_no_signature() -> Checked {
    let booted = boots(
        &boot()?
            .directory(TRUST)
            .file("/some/file", "not kept")
            .file("/etc/switch-root/policies.d/50-a.wasm", "")
            .symlink("/etc/switch-root/policies.d/60-b.wasm", "/dev/null")
            .file("/etc/switch-root/policies.d/00-default.json", "{}"),
    )?;
    booted.left(&[])?;
    let policies = booted.report.policies();
    ensure!(policies == ["00-default"], "{policies:?}");
    Ok(())
}

fn a_key_that_has_expired_is_a_warning_at_boot() -> Checked {
    let desk = signed()?;
    let signature = String::from_utf8(desk.read("a.wasm.sig")?)?;
    let key = String::from_utf8(desk.read("ops.pub")?)?;
    for (options, words) in [
        ("valid-before=20200101Z", "expired on 2020-01-01"),
        ("valid-after=29990101Z", "not valid before 2999-01-01"),
    ] {
        let list = format!("ops@example.org {options} {key}");
        let booted = boots(&trusting(boot()?, &signature, list.as_str())?)?;
        booted.left(&["/some/file"])?;
        let report = booted.report.policy("50-keep").ok_or("not in the report")?;
        says(
            &report["warnings"].to_string(),
            &[words, "the clock says", "used all the same"],
        )?;
        says(&said(&booted.outcome), &[words])?;
    }
    Ok(())
}

fn an_unsigned_policy_is_refused_by_every_name_of_the_program() -> Checked {
    let scene = keeping(boot()?)?.directory(TRUST);
    let as_run_init =
        scene
            .clone()
            .symlink("/run-init", SUBJECT)
            .command(["/run-init", NEW_ROOT, INIT]);
    refuses(&as_run_init, &["is not signed"])?;
    // The program called init mounts /proc and its like before anything else; then it
    // refuses, and no root image is mounted.
    let as_init = scene.symlink("/init", SUBJECT).command(["/init"]);
    let outcome = play(&as_init)?;
    let all = said(&outcome);
    ensure!(outcome.testimony.is_none(), "init was started\n{all}");
    says(&all, &["the machine cannot be started", "is not signed"])?;
    ensure!(!all.contains("root image"), "it went further\n{all}");
    Ok(())
}

fn a_kernel_boots_a_policy_that_srctl_added() -> Checked {
    need_privileges()?;
    program(image::PROGRAMS[0])?;
    let desk = signed()?;
    let kernel = kernels()?
        .pop()
        .ok_or_else(|| Stop::Skip("there is no kernel".into()))?;
    let questions = Questions {
        patience_ms: 20_000,
        ending: Ending::PowerOff,
        ..Questions::default()
    };
    let root = image::root(probe()?, &questions)?;
    let root = image::make(&desk.path(""), "root", Format::Squashfs, &root)?;
    let tree = Vec::new()
        .executable("/init", Content::Copy(subject()?))
        .file("/rootfs.sqsh", Content::Copy(root))
        .file("/some/file", "kept");
    let tree = with_modules(tree, &kernel, as_it_is)?;
    desk.write("in.img", archive::of(&tree)?)?;
    desk.write("settings.json", SIDECAR)?;
    let add = "image add-policy in.img a.wasm --settings settings.json --name 50-keep";
    desk.succeeds(&format!("{add} --trust ops.signers --output out.img"))?;
    let boot = |command_line: &str| {
        let image = desk.path("out.img");
        let patience = Duration::from_secs(180);
        machine::boot_as_it_is(&kernel, &image, command_line, patience)
    };
    let booted = boot("")?;
    let testimony = booted
        .testimony
        .ok_or(format!("init was not started\n{}", booted.console))?;
    let report = testimony.report.map(Report).ok_or("no report")?;
    let policy = report.policy("50-keep").ok_or("it is not in the report")?;
    ensure!(
        policy["signed_by"] == "ops@example.org"
            && policy["compiled"] == false
            && policy["warnings"] == serde_json::json!([])
            && policy["failures"] == serde_json::json!([]),
        "{policy:#}"
    );
    ensure!(
        report.survivors().contains_key("/some/file"),
        "{:#}",
        report.0["survivors"]
    );
    Ok(())
}
