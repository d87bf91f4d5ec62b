//! Policies that were compiled ahead of time, and the small build, which takes no others.

use serde_json::Value;
use switch_root_tests::scene::Scene;
use switch_root_tests::steps::{Content, Make, Steps};

use crate::check::{Booted, boots, ensure, says};
use crate::tools::{Checked, Policies, Stop, boot, boot_small, cases, native, policy};

cases![
    code_compiled_ahead_of_time_is_used,
    code_that_others_may_write_is_not_used,
    code_of_another_component_is_not_used,
    code_of_another_release_is_not_used,
    code_without_a_record_is_not_used,
    code_that_is_damaged_is_not_used,
    code_alone_is_used,
    the_small_build_runs_what_was_compiled_ahead_of_time,
    the_small_build_cannot_run_anything_else,
];

/// Where the code is that is compiled ahead of time.
pub const NATIVE: &str = "/usr/lib/switch-root/policies.d/50-keep.cwasm";

/// keep-paths, which keeps one file.
pub fn keeping(scene: Scene) -> Result<Scene, Stop> {
    let sidecar = r#"{"settings": {"keep": ["/some/file"]}}"#;
    Ok(scene
        .file("/some/file", "kept")
        .file("/some/other", "not kept")
        .policy("50-keep", policy("keep-paths")?, Some(sidecar)))
}

/// Checks that the policy did its work, and whether it was compiled for that.
pub fn kept(booted: &Booted, compiled: bool) -> Result<String, Stop> {
    booted.left(&["/some/file"])?;
    let report = booted
        .report
        .policy("50-keep")
        .ok_or("the policy is not in the report")?;
    ensure!(
        report["compiled"] == compiled,
        "compiled: {}",
        report["compiled"]
    );
    let digest = report["digest"].as_str().unwrap_or_default();
    ensure!(digest.starts_with("sha256:"), "the digest is {digest}");
    Ok(report["warnings"].to_string())
}

/// Boots with something in place of the native code: it is not used, and a warning says
/// why.
fn is_not_used(make: Make, words: &[&str]) -> Checked {
    let warnings = kept(&boots(&keeping(boot()?)?.make(NATIVE, make))?, true)?;
    says(&warnings, words)
}

fn file(content: Content) -> Make {
    Make::File {
        mode: 0o644,
        content,
    }
}

/// What is in a file that is to be copied.
pub fn bytes(content: Content) -> Result<Vec<u8>, Stop> {
    match content {
        Content::Copy(path) => Ok(std::fs::read(path)?),
        _ => Err("not a file".into()),
    }
}

/// The native code of a policy with its record changed.
pub fn recorded(name: &str, change: impl FnOnce(&mut Value)) -> Result<Vec<u8>, Stop> {
    let original = bytes(native(name)?)?;
    let lines: Vec<&[u8]> = original.splitn(3, |byte| *byte == b'\n').collect();
    let [format, record, code] = lines[..] else {
        return Err("no record".into());
    };
    let mut record: Value = serde_json::from_slice(record)?;
    change(&mut record);
    let record = record.to_string();
    Ok([format, b"\n", record.as_bytes(), b"\n", code].concat())
}

fn code_compiled_ahead_of_time_is_used() -> Checked {
    let scene = keeping(boot()?)?.file(NATIVE, native("keep-paths")?);
    let warnings = kept(&boots(&scene)?, false)?;
    ensure!(warnings == "[]", "{warnings}");
    Ok(())
}

fn code_that_others_may_write_is_not_used() -> Checked {
    let content = native("keep-paths")?;
    is_not_used(
        Make::File {
            mode: 0o664,
            content,
        },
        &["50-keep.cwasm", "written by others"],
    )
}

fn code_of_another_component_is_not_used() -> Checked {
    is_not_used(file(native("hostile")?), &["another .wasm file"])
}

fn code_of_another_release_is_not_used() -> Checked {
    let other = "switch-root 0.0.1, wasmtime 1";
    let other = recorded("keep-paths", |record| record["engine"] = other.into())?;
    is_not_used(file(other.into()), &["was compiled by switch-root 0.0.1"])
}

fn code_without_a_record_is_not_used() -> Checked {
    is_not_used(file("\x7fELF".into()), &["no record"])
}

fn code_that_is_damaged_is_not_used() -> Checked {
    let original = bytes(native("keep-paths")?)?;
    let short = Content::Bytes(original[..original.len() / 2].to_vec());
    is_not_used(file(short), &["ahead-of-time form cannot be used"])
}

fn code_alone_is_used() -> Checked {
    let scene = keeping(boot()?)?.file(NATIVE, native("keep-paths")?);
    let scene = scene.make(
        "/usr/lib/switch-root/policies.d/60-keep.cwasm",
        file(native("keep-paths")?),
    );
    let sidecar = r#"{"settings": {"keep": ["/some/other"]}}"#;
    let scene = scene.file("/usr/lib/switch-root/policies.d/60-keep.json", sidecar);
    boots(&scene)?.left(&["/some/file", "/some/other"])
}

fn the_small_build_runs_what_was_compiled_ahead_of_time() -> Checked {
    let scene = keeping(boot_small()?)?.file(NATIVE, native("keep-paths")?);
    kept(&boots(&scene)?, false).map(drop)
}

fn the_small_build_cannot_run_anything_else() -> Checked {
    let booted = boots(&keeping(boot_small()?)?)?;
    booted.failed("50-keep", &["no compiler", ".cwasm"])?;
    booted.everything_left()
}
