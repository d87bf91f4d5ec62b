//! What is done with a policy before it ships, whatever its size: nothing waits for a
//! compiler to say what the names say, no boot's deadline ends it, and what is wrong in a
//! sidecar is named where its author has it.

use switch_root_tests::archive;
use switch_root_tests::steps::{Content, Steps};
use wasm_encoder::{
    Component, ComponentExportKind, ComponentExportSection, ComponentImportSection,
    ComponentInstanceSection, ComponentTypeRef, ComponentTypeSection, Function, InstanceType,
    ModuleSection,
};

use crate::check::{ensure, says};
use crate::inspecting::{large_module, put, starting};
use crate::planning::POLICIES;
use crate::signing;
use crate::srctl::{Desk, json};
use crate::tools::{Checked, Policies, boot, cases, play, policy};

cases![
    foreign_imports_are_named_however_large_the_component,
    what_is_signed_is_never_run,
    compiling_and_inspecting_have_no_deadline,
    the_sidecar_beside_a_policy_is_the_default,
    wrong_settings_are_named_by_their_line_in_the_file,
];

/// What is imported, and no policy may.
const FOREIGN: &str = "wasi:cli/environment@0.2.0";

/// A component that imports a system, and takes longer to compile than a boot waits.
fn large() -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    types.instance(&InstanceType::new());
    let mut imports = ComponentImportSection::new();
    imports.import(FOREIGN, ComponentTypeRef::Instance(0));
    let mut instances = ComponentInstanceSection::new();
    instances.export_items(Vec::<(&str, ComponentExportKind, u32)>::new());
    let mut exports = ComponentExportSection::new();
    let name = "switch-root:policy/preservation@0.1.0";
    exports.export(name, ComponentExportKind::Instance, 1, None);
    let mut component = Component::new();
    component
        .section(&types)
        .section(&imports)
        .section(&ModuleSection(&large_module(1_000_000)))
        .section(&instances)
        .section(&exports);
    component.finish()
}

fn foreign_imports_are_named_however_large_the_component() -> Checked {
    let desk = signing::desk()?;
    desk.write("large.wasm", large())?;
    let installed = |root: Vec<_>| {
        root.executable("/init", "#!/bin/sh\n").file(
            format!("{POLICIES}/50-large.wasm"),
            Content::Copy(desk.path("large.wasm")),
        )
    };
    desk.write("with.img", archive::of(&installed(Vec::new()))?)?;
    let without = Vec::new().executable("/init", "#!/bin/sh\n");
    desk.write("without.img", archive::of(&without)?)?;
    desk.tree("machine", &installed(Vec::new()).directory("/etc"))?;
    desk.tree("empty", &[])?;
    for (arguments, status) in [
        ("policy inspect large.wasm", 3),
        ("policy compile large.wasm", 3),
        ("policy bench large.wasm --rounds 1 --tree empty", 3),
        ("policy sign large.wasm --key ops", 1),
        ("policy push large.wasm oci:shelf:v1", 1),
        (
            "image add-policy without.img large.wasm --output out.img --compile none",
            1,
        ),
        ("image stage empty --root machine --strict", 3),
        ("plan with.img", 3),
    ] {
        let ran = desk.changes_nothing(arguments, status)?;
        let said = format!("{}{}", ran.stdout, ran.stderr);
        says(&said, &[&format!("imports {FOREIGN}")])?;
        ensure!(!said.contains("deadline"), "{}", ran.said());
    }
    Ok(())
}

fn what_is_signed_is_never_run() -> Checked {
    let desk = signing::desk()?;
    let mut trap = Function::new([]);
    trap.instructions().unreachable().end();
    desk.write("trap.wasm", starting(&trap))?;
    desk.succeeds("policy sign trap.wasm --key ops")?;
    // What calls what no host has is no policy, and that shows without running it.
    for name in ["calls-later", "other-version", "wasi-imports"] {
        put(&desk, name)?;
        let words = ["is not signed", "switch-root:policy"];
        desk.fails(&format!("policy sign {name}.wasm --key ops"), &words)?;
    }
    Ok(())
}

fn compiling_and_inspecting_have_no_deadline() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "keep-paths")?;
    put(&desk, "default")?;
    desk.write(
        "short.json",
        r#"{"limits": {"deadline_ms": 1, "total_ms": 1}}"#,
    )?;
    desk.succeeds("policy compile keep-paths.wasm --settings short.json --output one.cwasm")?;
    let told = desk.succeeds("policy inspect keep-paths.wasm --settings short.json")?;
    says(&told, &["a boot waits 1 ms", "srctl policy compile"])?;
    desk.fails(
        "policy compile keep-paths.wasm default.wasm --settings short.json",
        &["--settings is for one policy"],
    )
}

fn the_sidecar_beside_a_policy_is_the_default() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "keep-paths")?;
    desk.write("keep-paths.json", r#"{"settings": {"keep": ["/etc"]}}"#)?;
    let found = json(&desk.succeeds("policy inspect keep-paths.wasm --format json")?)?;
    ensure!(found["loading"]["configured"] == true, "{found:#}");
    desk.write("keep-paths.json", r#"{"settings": {"kep": 1}}"#)?;
    for command in ["inspect", "compile"] {
        let ran = desk.changes_nothing(&format!("policy {command} keep-paths.wasm"), 3)?;
        says(&ran.stdout, &["refuses its settings", "keep-paths.json"])?;
    }
    // One that is named goes first, and an empty one says nothing.
    desk.write("good.json", r#"{"settings": {"keep": []}}"#)?;
    desk.succeeds("policy compile keep-paths.wasm --settings good.json")?;
    desk.write("keep-paths.json", "")?;
    let found = json(&desk.succeeds("policy inspect keep-paths.wasm --format json")?)?;
    ensure!(found["loading"]["configured"] == false, "{found:#}");
    Ok(())
}

fn wrong_settings_are_named_by_their_line_in_the_file() -> Checked {
    let sidecar = "{\n  \"settings\": {\n    \"keep\": [\"/etc\"],\n    \"carrry\": {}\n  }\n}\n";
    let desk = Desk::new()?;
    put(&desk, "keep-paths")?;
    desk.write("keep-paths.json", sidecar)?;
    let ran = desk.changes_nothing("policy inspect keep-paths.wasm", 3)?;
    let words = "unknown field `carrry`, expected `keep` or `carry` at line 4 column 12";
    says(&ran.stdout, &[words, "(in keep-paths.json)"])?;
    let scene = boot()?.options(["--plan", "--format", "json"]).policy(
        "50-mine",
        policy("keep-paths")?,
        Some(sidecar),
    );
    let outcome = play(&scene)?;
    says(&outcome.stdout, &[words, "50-mine.json"])
}
