//! `srctl policy run`: one question, put by hand.

use serde_json::json;
use switch_root_tests::archive;
use switch_root_tests::steps::Steps;

use crate::check::{ensure, says};
use crate::inspecting::put;
use crate::srctl::{Desk, json as parsed};
use crate::tools::{Checked, cases};

cases![
    a_tree_or_an_image_is_asked_about_by_hand,
    extensions_come_from_files_and_from_flags,
    a_policy_that_fails_by_hand_shows_its_log,
    without_a_question_the_command_line_is_wrong,
    the_folder_of_a_project_stands_for_its_component,
];

const SETTINGS: &str = r#"{"settings": {
    "keep": ["/etc/ssh/*"], "carry": {"/etc/hostname": "/etc/hostname"}}}"#;

fn a_tree_or_an_image_is_asked_about_by_hand() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "keep-paths")?;
    desk.write("keep-paths.json", SETTINGS)?;
    let tree = Vec::new()
        .executable("/init", "#!/bin/sh\n")
        .file("/etc/hostname", "name")
        .file("/etc/ssh/key", "key");
    desk.tree("tree", &tree)?;
    desk.write("image", archive::of(&tree)?)?;
    for tree in ["tree", "image"] {
        let arguments = format!("policy run keep-paths.wasm --tree {tree}");
        let ran = desk.changes_nothing(&format!("{arguments} --format json"), 0)?;
        let answer = parsed(&ran.stdout)?;
        ensure!(
            answer["decisions"]
                == json!({
                    "/etc": "descend",
                    "/etc/hostname": {"carry": "/etc/hostname"},
                    "/etc/ssh": "descend",
                    "/etc/ssh/key": "keep",
                })
                && answer["verdicts"] == json!({})
                && answer["failures"] == json!([])
                && answer["log"] == json!([]),
            "{answer:#}"
        );
        let ran = desk.changes_nothing(&arguments, 0)?;
        says(
            &ran.stdout,
            &["keep     /etc/ssh/key", "/etc/hostname  to /etc/hostname"],
        )?;
    }
    desk.write("none.json", "{}")?;
    let ran = desk.changes_nothing(
        "policy run keep-paths.wasm --tree tree --settings none.json",
        0,
    )?;
    says(&ran.stdout, &["it keeps nothing"])
}

fn extensions_come_from_files_and_from_flags() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "default")?;
    put(&desk, "extension-relations")?;
    desk.write(
        "extensions.yaml",
        "layers:\n- image: old.sqsh\n  metadata: {name: old, version: '1', compatibility: {talos: {version: '< 1.5'}}}\n",
    )?;
    let run = "policy run default.wasm --target-version 1.8.0 --extensions extensions.yaml";
    let ran = desk.changes_nothing(&format!("{run} --extension new=2 --format json"), 0)?;
    let answer = parsed(&ran.stdout)?;
    let verdicts = &answer["verdicts"];
    ensure!(
        verdicts["old.sqsh"]["incompatible"].is_string()
            && !verdicts["new.sqsh"].is_null()
            && answer["decisions"] == json!({}),
        "{answer:#}"
    );
    let ran = desk.changes_nothing(run, 0)?;
    says(&ran.stdout, &["incompatible", "old.sqsh", "1.5"])?;
    desk.fails("policy run default.wasm --extension a", &["--os-release"])?;
    // Nothing is asked of a policy that does not answer the question.
    put(&desk, "keep-paths")?;
    let ran = desk.changes_nothing(
        "policy run keep-paths.wasm --extension a --target-version 1",
        0,
    )?;
    says(&ran.stdout, &["it has no answer about extensions"])
}

fn a_policy_that_fails_by_hand_shows_its_log() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "hostile")?;
    desk.tree("tree", &Vec::new().file("/a", "text"))?;
    desk.write("hostile.json", r#"{"settings": {"attack": "panic"}}"#)?;
    let run = "policy run hostile.wasm --tree tree";
    let ran = desk.changes_nothing(run, 3)?;
    let logged = [
        "log, error: panicked at ",
        "resources.rs:",
        ": as a defect does",
    ];
    says(&ran.stdout, &logged)?;
    says(&ran.stdout, &["failed: it trapped: "])?;
    let ran = desk.changes_nothing(&format!("{run} --format json"), 3)?;
    let answer = parsed(&ran.stdout)?;
    ensure!(
        answer["failures"][0]["kind"] == "trap" && answer["log"][0]["level"] == "error",
        "{answer:#}"
    );
    // What no host runs is one that failed.
    put(&desk, "wasi-imports")?;
    let ran = desk.changes_nothing("policy run wasi-imports.wasm --tree tree", 3)?;
    says(&ran.stdout, &["failed: it imports wasi:"])
}

fn without_a_question_the_command_line_is_wrong() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "default")?;
    let ran = desk.changes_nothing("policy run default.wasm", 2)?;
    says(&ran.stderr, &["--tree"])?;
    desk.fails("policy run nowhere.wasm --tree .", &["nowhere.wasm"])
}

fn the_folder_of_a_project_stands_for_its_component() -> Checked {
    let desk = crate::signing::desk()?;
    desk.tree("p", &Vec::new().directory("/tree"))?;
    put(&desk, "p/keep-paths")?;
    desk.write("p/keep-paths.json", SETTINGS)?;
    desk.write(
        "in.img",
        archive::of(&Vec::new().executable("/init", "#!/bin/sh\n"))?,
    )?;
    for (arguments, words) in [
        ("policy run p --tree p/tree", "it keeps nothing"),
        ("policy inspect p", "p/keep-paths.wasm, a component"),
        ("policy bench p --rounds 1", "p/keep-paths.wasm, 1 round"),
        ("policy compile p", "p/keep-paths.cwasm"),
        ("policy sign p --key ops", "wrote p/keep-paths.wasm.sig"),
        (
            "policy verify p --signers ops.signers",
            "p/keep-paths.wasm is signed by",
        ),
        ("policy push p oci:shelf:v1", "@sha256:"),
        (
            "image add-policy in.img p --output out.img --compile none",
            "50-keep-paths",
        ),
    ] {
        says(&desk.succeeds(arguments)?, &[words])?;
    }
    desk.tree("empty", &[])?;
    let words = ["there is no component in empty", "srctl policy build empty"];
    desk.fails("policy inspect empty", &words)
}
