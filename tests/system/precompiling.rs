//! `srctl policy compile`: policies compiled ahead of time, and hosts that take them.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use switch_root_tests::steps::{Content, Steps};

use crate::check::{boots, ensure, says};
use crate::inspecting::put;
use crate::native::{self, NATIVE, keeping, kept};
use crate::srctl::{Desk, json};
use crate::tools::{Checked, boot, boot_small, cases, policy};

cases![
    what_is_compiled_is_taken_by_both_builds,
    it_is_written_where_it_is_wanted_and_nobody_else_may_write_it,
    the_same_component_gives_the_same_bytes,
    what_no_host_runs_is_not_compiled_and_nothing_is_written,
    what_is_compiled_for_another_machine_is_not_run_on_this_one,
    a_target_that_cannot_be_compiled_for_is_told_with_those_that_can,
    a_component_is_not_written_over,
];

fn what_is_compiled_is_taken_by_both_builds() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "keep-paths")?;
    let printed = desk.succeeds("policy compile keep-paths.wasm --arch x86_64 --format json")?;
    let one = &json(&printed)?["compiled"][0];
    let native = desk.read("keep-paths.cwasm")?;
    ensure!(
        one["output"] == "keep-paths.cwasm"
            && one["cwasm_bytes"] == native.len()
            && one["wasm_bytes"] == native::bytes(policy("keep-paths")?)?.len()
            && one["record"]["target"] == "x86_64-unknown-linux-musl"
            && one["warning"].is_null(),
        "{printed}"
    );
    let native = Content::Bytes(native);
    let scene = keeping(boot()?)?.file(NATIVE, native.clone());
    let warnings = kept(&boots(&scene)?, false)?;
    ensure!(warnings == "[]", "{warnings}");
    let scene = keeping(boot_small()?)?.file(NATIVE, native);
    let warnings = kept(&boots(&scene)?, false)?;
    ensure!(warnings == "[]", "{warnings}");
    Ok(())
}

fn it_is_written_where_it_is_wanted_and_nobody_else_may_write_it() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "keep-paths")?;
    put(&desk, "default")?;
    desk.tree("out", &[])?;
    // What was there had another mode.
    desk.write("out/default.cwasm", "old")?;
    let old = desk.path("out/default.cwasm");
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o666))?;
    let table = desk.succeeds("policy compile keep-paths.wasm default.wasm --output out")?;
    let words = [
        "out/keep-paths.cwasm",
        "out/default.cwasm",
        "x86_64-unknown-linux-musl",
    ];
    says(&table, &words)?;
    for name in ["out/keep-paths.cwasm", "out/default.cwasm"] {
        let mode = desk.path(name).metadata()?.permissions().mode() & 0o7777;
        ensure!(mode == 0o644, "{name}: {mode:o}");
    }
    desk.succeeds("policy compile keep-paths.wasm -o one.cwasm")?;
    ensure!(
        desk.read("one.cwasm")? == desk.read("out/keep-paths.cwasm")?,
        "other bytes"
    );
    let two = "policy compile keep-paths.wasm default.wasm -o nowhere";
    desk.fails(two, &["there is no folder nowhere"])?;
    desk.tree("more", &[])?;
    desk.write("more/default.wasm", desk.read("default.wasm")?)?;
    let twice = "policy compile default.wasm more/default.wasm -o out";
    desk.fails(twice, &["out/default.cwasm", "two policies"])
}

fn the_same_component_gives_the_same_bytes() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "default")?;
    for output in ["a.cwasm", "b.cwasm"] {
        desk.succeeds(&format!("policy compile default.wasm --output {output}"))?;
    }
    ensure!(
        desk.read("a.cwasm")? == desk.read("b.cwasm")?,
        "they differ"
    );
    Ok(())
}

fn what_no_host_runs_is_not_compiled_and_nothing_is_written() -> Checked {
    let desk = Desk::new()?;
    for name in [
        "default",
        "core-module",
        "wasi-imports",
        "other-version",
        "truncated",
    ] {
        put(&desk, name)?;
    }
    desk.write("text.wasm", "text")?;
    for (name, words) in [
        ("core-module", "is a core module"),
        ("wasi-imports", "imports wasi:cli/environment@0.2.0"),
        ("other-version", "was built for switch-root:policy 0.2.0"),
        ("truncated", "is not a valid component"),
        ("text", "is not WebAssembly"),
    ] {
        let arguments = format!("policy compile default.wasm {name}.wasm");
        let ran = desk.changes_nothing(&arguments, 3)?;
        says(
            &ran.stdout,
            &[&format!("{name}.wasm"), words, "nothing was written"],
        )?;
        let ran = desk.changes_nothing(&format!("{arguments} --format json"), 3)?;
        let printed: Value = json(&ran.stdout)?;
        let refused = &printed["refused"][0];
        ensure!(
            printed["compiled"] == serde_json::json!([])
                && refused["file"] == format!("{name}.wasm")
                && refused["failure"]["message"]
                    .as_str()
                    .is_some_and(|it| it.contains(words)),
            "{printed:#}"
        );
    }
    desk.fails(
        "policy compile nowhere.wasm",
        &["there is no file nowhere.wasm"],
    )
}

fn what_is_compiled_for_another_machine_is_not_run_on_this_one() -> Checked {
    let (other, target) = match std::env::consts::ARCH {
        "aarch64" => ("x86_64", "x86_64-unknown-linux-musl"),
        _ => ("aarch64", "aarch64-unknown-linux-musl"),
    };
    let desk = Desk::new()?;
    put(&desk, "keep-paths")?;
    let compile = format!("policy compile keep-paths.wasm --arch {other} --format json");
    let printed = json(&desk.succeeds(&compile)?)?;
    let record = &printed["compiled"][0]["record"];
    ensure!(record["target"] == target, "{printed:#}");
    let native = Content::Bytes(desk.read("keep-paths.cwasm")?);
    let scene = keeping(boot()?)?.file(NATIVE, native);
    // The component beside it is compiled instead.
    let warnings = kept(&boots(&scene)?, true)?;
    says(
        &warnings,
        &[
            "ahead-of-time form cannot be used",
            other,
            "compiled instead",
        ],
    )
}

fn a_target_that_cannot_be_compiled_for_is_told_with_those_that_can() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "default")?;
    for (target, words) in [
        ("--target nonsense", "nonsense"),
        ("--target x86_64-apple-darwin", "no target of Linux"),
        ("--arch m68k", "m68k-unknown-linux-musl"),
    ] {
        let arguments = format!("policy compile default.wasm {target}");
        desk.fails(
            &arguments,
            &[
                words,
                "this srctl compiles for",
                "x86_64-unknown-linux-musl",
            ],
        )?;
    }
    // As images of containers call it, which is no other target.
    let printed = desk.succeeds("policy compile default.wasm --arch amd64 --format json")?;
    let record = &json(&printed)?["compiled"][0]["record"];
    ensure!(record["target"] == "x86_64-unknown-linux-musl", "{printed}");
    let both = desk.run("policy compile default.wasm --arch x86_64 --target x")?;
    ensure!(both.status == Some(2), "{}", both.said());
    Ok(())
}

fn a_component_is_not_written_over() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "default")?;
    let arguments = "policy compile default.wasm --output default.wasm";
    desk.fails(arguments, &["default.wasm would be written over"])?;
    std::os::unix::fs::symlink("default.wasm", desk.path("default.cwasm"))?;
    desk.fails("policy compile default.wasm", &["would be written over"])
}
