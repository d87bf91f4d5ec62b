//! `srctl policy inspect`: what a policy is, and what is told of what is none.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wasm_encoder::{
    CodeSection, Component, ComponentExportKind, ComponentExportSection, ComponentInstanceSection,
    ComponentSectionId, Function, FunctionSection, InstanceSection, Module, ModuleArg,
    ModuleSection, RawSection, StartSection, TypeSection,
};

use crate::check::{ensure, says};
use crate::native::bytes;
use crate::srctl::{Desk, Ran, json as parsed};
use crate::tools::{Checked, Stop, cases, native, policy};

cases![
    what_ships_is_described,
    what_no_host_runs_is_told_why_and_described_all_the_same,
    what_programs_read_keeps_its_form,
    settings_are_tried_where_they_are_given,
    a_limit_that_is_too_low_is_told_with_what_would_do,
    a_component_that_never_starts_is_ended_by_its_limits,
    components_that_are_made_to_be_large_are_told_soon,
    native_code_is_told_by_its_record,
    what_cannot_be_read_is_an_error,
];

/// What inspecting something large may take, by an unoptimized build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Puts a policy of the tests on the desk, into a folder where the name has one.
pub fn put(desk: &Desk, name: &str) -> Checked {
    let file = name.rsplit('/').next().unwrap_or(name);
    desk.write(&format!("{name}.wasm"), bytes(policy(file)?)?)
}

/// Inspects a file, which must change nothing and end with this status.
fn inspect(desk: &Desk, arguments: &str, status: i32) -> Result<Value, Stop> {
    let ran = desk.changes_nothing(&format!("policy inspect {arguments} --format json"), status)?;
    ensure!(ran.stderr.is_empty(), "{}", ran.said());
    parsed(&ran.stdout)
}

fn in_text(desk: &Desk, arguments: &str, status: i32, words: &[&str]) -> Result<Ran, Stop> {
    let ran = desk.changes_nothing(&format!("policy inspect {arguments}"), status)?;
    says(&ran.stdout, words)?;
    Ok(ran)
}

fn what_ships_is_described() -> Checked {
    let desk = Desk::new()?;
    for (name, answers, settings) in [
        ("default", &["preservation", "compatibility"][..], false),
        ("keep-paths", &["preservation"], true),
        ("extension-allowlist", &["compatibility"], true),
        ("extension-relations", &["compatibility"], false),
        ("kernel-abi", &["compatibility"], false),
        ("hostile", &["preservation", "compatibility"], true),
    ] {
        put(&desk, name)?;
        let found = inspect(&desk, &format!("{name}.wasm"), 0)?;
        let loading = &found["loading"];
        ensure!(
            found["usable"] == true
                && found["problem"].is_null()
                && loading["answers"] == json!(answers)
                && loading["takes_settings"] == settings
                // Nobody gave it any, so nothing was called.
                && loading["configured"] == false
                && loading["failure"].is_null()
                && found["limits"]["required"].is_null()
                && found["core"]["memories"] == 1,
            "{name}: {found:#}"
        );
        let tools = found["metadata"]["producers"].to_string();
        says(&tools, &["rustc", "wit-component"])?;
    }
    let words = [
        "a host runs it",
        "sha256:",
        "rustc",
        "preservation",
        "takes settings",
    ];
    in_text(&desk, "keep-paths.wasm", 0, &words).map(drop)
}

fn what_no_host_runs_is_told_why_and_described_all_the_same() -> Checked {
    let desk = Desk::new()?;
    for (name, kind, words) in [
        (
            "wasi-imports",
            "imports",
            &["wasi:cli/environment@0.2.0", "wasi:filesystem/types@0.2.0"],
        ),
        (
            "other-version",
            "version",
            &["built for switch-root:policy 0.2.0", "speaks 0.1.0"],
        ),
        (
            "core-module",
            "not-a-policy",
            &["is a core module", "wasm-tools component new"],
        ),
        (
            "truncated",
            "not-a-policy",
            &["is not a valid component", "out of bounds"],
        ),
    ] {
        put(&desk, name)?;
        let found = inspect(&desk, &format!("{name}.wasm"), 3)?;
        ensure!(
            found["usable"] == false && found["loading"]["failure"]["kind"] == kind,
            "{name}: {found:#}"
        );
        says(found["problem"].as_str().unwrap_or_default(), words)?;
        in_text(&desk, &format!("{name}.wasm"), 3, words)?;
        let size = bytes(policy(name)?)?.len();
        ensure!(found["size"]["file"] == size, "{found:#}");
        let told = match name {
            "core-module" => found["core"]["memories"] == 1,
            "truncated" => !found["unread"].is_null() && !found["imports"][0].is_null(),
            "other-version" => found["contract"]["built_against"] == json!(["0.2.0"]),
            _ => found["exports"][0] == "switch-root:policy/preservation@0.1.0",
        };
        ensure!(told, "{name}: {found:#}");
    }
    desk.write("text.wasm", "#!/bin/sh\n")?;
    desk.write("empty.wasm", "")?;
    for name in ["text", "empty"] {
        let found = inspect(&desk, &format!("{name}.wasm"), 3)?;
        ensure!(found["kind"] == "unknown", "{found:#}");
        says(&found["problem"].to_string(), &["is not WebAssembly"])?;
    }
    Ok(())
}

/// The times, which are others each time.
fn without_times(mut found: Value) -> Value {
    for time in ["compile_us", "time_us"] {
        if found["loading"][time].is_u64() {
            found["loading"][time] = 0.into();
        }
    }
    found
}

fn what_programs_read_keeps_its_form() -> Checked {
    let desk = Desk::new()?;
    desk.write("kernel-abi.wasm", PUBLISHED)?;
    let found = without_times(inspect(&desk, "kernel-abi.wasm", 0)?);
    let expected: Value = serde_json::from_str(PUBLISHED_INSPECTED)?;
    ensure!(found == expected, "{found:#}");
    Ok(())
}

/// The first version's kernel-abi, which is kept to the byte.
const PUBLISHED: &[u8] = include_bytes!("../contract/0.1.0/kernel-abi.wasm");
const PUBLISHED_INSPECTED: &str = include_str!("inspecting/kernel-abi.json");

fn settings_are_tried_where_they_are_given() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "hostile")?;
    desk.write("good.json", r#"{"settings": {"attack": "trap"}}"#)?;
    let found = inspect(&desk, "hostile.wasm --settings good.json", 0)?;
    // It traps where it is asked something, which it is not.
    ensure!(found["loading"]["configured"] == true, "{found:#}");
    desk.write("bad.json", r#"{"settings": {"attack": "nonsense"}}"#)?;
    let found = inspect(&desk, "hostile.wasm --settings bad.json", 3)?;
    ensure!(
        found["loading"]["failure"]["kind"] == "settings",
        "{found:#}"
    );
    let words = ["refuses its settings", "`nonsense`", "bad.json"];
    in_text(&desk, "hostile.wasm --settings bad.json", 3, &words)?;
    desk.write("broken.json", "{\"settings\":")?;
    let arguments = "policy inspect hostile.wasm --settings broken.json";
    desk.fails(arguments, &["broken.json is not a sidecar file", "line 1"])?;
    desk.write("misspelt.json", r#"{"setting": {}}"#)?;
    let arguments = "policy inspect hostile.wasm --settings misspelt.json";
    desk.fails(arguments, &["misspelt.json", "unknown field `setting`"])
}

fn a_limit_that_is_too_low_is_told_with_what_would_do() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "keep-paths")?;
    let limits =
        json!({"limits": {"fuel": 100, "memory_bytes": 65_536, "instances": 1, "tables": 1}});
    desk.write("low.json", limits.to_string())?;
    let found = inspect(&desk, "keep-paths.wasm --settings low.json", 3)?;
    let required = &found["limits"]["required"];
    for limit in ["fuel", "memory_bytes", "instances", "tables"] {
        let enough = required[limit].as_u64() > limits["limits"][limit].as_u64();
        ensure!(enough, "{limit}: {found:#}");
    }
    ensure!(required["memories"].is_null(), "{found:#}");
    // What is said is what has to be written.
    desk.write("enough.json", json!({"limits": required}).to_string())?;
    inspect(&desk, "keep-paths.wasm --settings enough.json", 0)?;
    let words = [
        "no host runs it as it is",
        "4 limits raised",
        "{\"limits\":{",
    ];
    in_text(&desk, "keep-paths.wasm --settings low.json", 3, &words).map(drop)
}

/// A component that passes for a policy by its exports, with this module.
pub fn passing(module: &Module) -> Vec<u8> {
    let mut core = InstanceSection::new();
    core.instantiate(0, Vec::<(&str, ModuleArg)>::new());
    let mut instances = ComponentInstanceSection::new();
    instances.export_items(Vec::<(&str, ComponentExportKind, u32)>::new());
    let mut exports = ComponentExportSection::new();
    let name = "switch-root:policy/preservation@0.1.0";
    exports.export(name, ComponentExportKind::Instance, 0, None);
    let mut component = Component::new();
    component
        .section(&ModuleSection(module))
        .section(&core)
        .section(&instances)
        .section(&exports);
    component.finish()
}

/// The same with a module that starts with this.
pub fn starting(start: &Function) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut code = CodeSection::new();
    code.function(start);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&StartSection { function_index: 0 })
        .section(&code);
    passing(&module)
}

fn a_component_that_never_starts_is_ended_by_its_limits() -> Checked {
    let desk = Desk::new()?;
    let mut forever = Function::new([]);
    forever
        .instructions()
        .loop_(wasm_encoder::BlockType::Empty)
        .br(0)
        .end()
        .end();
    desk.write("loop.wasm", starting(&forever))?;
    let started = Instant::now();
    let found = inspect(&desk, "loop.wasm", 3)?;
    ensure!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    let loading = &found["loading"];
    ensure!(
        loading["failure"]["kind"] == "fuel"
            && loading["fuel"] == 100_000_000
            // No limit would do.
            && found["limits"]["required"].is_null(),
        "{found:#}"
    );
    says(
        &found["problem"].to_string(),
        &["ran out of fuel (limit 100000000"],
    )?;
    let mut trap = Function::new([]);
    trap.instructions().unreachable().end();
    desk.write("trap.wasm", starting(&trap))?;
    let found = inspect(&desk, "trap.wasm", 3)?;
    ensure!(found["loading"]["failure"]["kind"] == "trap", "{found:#}");
    // By its exports it answers; what it exports has nothing in it.
    let mut nothing = Function::new([]);
    nothing.instructions().end();
    desk.write("hollow.wasm", starting(&nothing))?;
    let found = inspect(&desk, "hollow.wasm", 3)?;
    says(
        &found["problem"].to_string(),
        &["does not fit the contract 0.1.0"],
    )
}

/// A module of many functions, which takes long to compile.
pub fn large_module(count: usize) -> Module {
    let mut types = TypeSection::new();
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    let mut body = Function::new([]);
    body.instructions().end();
    for _ in 0..count {
        types.ty().function([], []);
        functions.function(0);
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    module
}

fn million() -> Vec<u8> {
    let mut component = Component::new();
    component.section(&ModuleSection(&large_module(1_000_000)));
    component.finish()
}

fn nested(depth: usize) -> Vec<u8> {
    let mut component = Component::new().finish();
    for _ in 0..depth {
        let mut outer = Component::new();
        outer.section(&RawSection {
            id: ComponentSectionId::Component.into(),
            data: &component,
        });
        component = outer.finish();
    }
    component
}

fn modules(count: usize) -> Vec<u8> {
    let mut component = Component::new();
    let module = Module::new();
    for _ in 0..count {
        component.section(&ModuleSection(&module));
    }
    component.finish()
}

fn components_that_are_made_to_be_large_are_told_soon() -> Checked {
    let desk = Desk::new()?;
    for (name, component) in [
        ("million", million()),
        ("nested", nested(5_000)),
        ("modules", modules(1_000_000)),
    ] {
        desk.write(&format!("{name}.wasm"), &component)?;
        let started = Instant::now();
        let found = inspect(&desk, &format!("{name}.wasm"), 3)?;
        let took = started.elapsed();
        ensure!(took < PATIENCE, "{name}: {took:?}");
        ensure!(
            found["size"]["file"] == component.len() && found["kind"] == "component",
            "{name}: {found:#}"
        );
        ensure!(
            found["unread"].is_null() == (name == "million"),
            "{name}: {found:#}"
        );
    }
    Ok(())
}

fn native_code_is_told_by_its_record() -> Checked {
    let desk = Desk::new()?;
    let file = bytes(native("keep-paths")?)?;
    desk.write("alone.cwasm", &file)?;
    let found = inspect(&desk, "alone.cwasm", 0)?;
    ensure!(
        found["kind"] == "native"
            && found["usable"] == true
            && found["loading"].is_null()
            && found["native"]["target"] == "x86_64-unknown-linux-musl"
            && found["native"]["source"]
                .as_str()
                .is_some_and(|it| it.starts_with("sha256:")),
        "{found:#}"
    );
    desk.write("beside.cwasm", &file)?;
    desk.write("beside.wasm", bytes(policy("hostile")?)?)?;
    let found = inspect(&desk, "beside.cwasm", 0)?;
    says(
        &found["warnings"].to_string(),
        &["beside.wasm", "compiled from another .wasm file"],
    )?;
    let at = |needle: &[u8]| file.windows(needle.len()).position(|part| part == needle);
    let engine = at(b"wasmtime").ok_or("the record names no engine")?;
    let mut other = file.clone();
    other[engine..engine + 8].copy_from_slice(b"Wasmtime");
    desk.write("other.cwasm", &other)?;
    let found = inspect(&desk, "other.cwasm", 3)?;
    says(
        &found["problem"].to_string(),
        &["was compiled by", "Wasmtime"],
    )?;
    // Whatever the code is, it is not run.
    let mut broken = file.clone();
    let end = broken.len();
    broken[end - 1000..].fill(0xcc);
    desk.write("broken.cwasm", &broken)?;
    inspect(&desk, "broken.cwasm", 0)?;
    desk.write("text.cwasm", "text")?;
    let found = inspect(&desk, "text.cwasm", 3)?;
    says(&found["problem"].to_string(), &["no record of its origin"])
}

fn what_cannot_be_read_is_an_error() -> Checked {
    let desk = Desk::new()?;
    desk.fails(
        "policy inspect nowhere.wasm",
        &["there is no file nowhere.wasm"],
    )?;
    desk.fails("policy inspect .", &["there is no component in ."])?;
    put(&desk, "keep-paths")?;
    let arguments = "policy inspect keep-paths.wasm --settings nowhere.json";
    desk.fails(arguments, &["there is no file nowhere.json"])
}
