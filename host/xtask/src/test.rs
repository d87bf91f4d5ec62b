//! `cargo xtask test`: everything that shows that the project works.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use switch_root_tests::architecture::Architecture;

use crate::policies::{self, Comparison};
use crate::run::{cargo, run, step, target};
use crate::setup::{self, IMAGES, LANGUAGES, PEERS, QEMU, QEMU_AARCH64, REGISTRY, STATIC, WASM};
use crate::{dist, foreign, kernels, native};

/// Runs all tests.
///
/// # Errors
/// At the first step that fails.
pub fn test() -> Result<()> {
    setup::targets(&[STATIC, WASM])?;
    let mut skipped = Vec::new();
    step("formatting");
    run(cargo().args(["fmt", "--all", "--check"]))?;
    step("lints");
    run(cargo().args([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))?;
    let components = policies::build_for_tests()?;
    step("the default policy that is checked in is what its source makes");
    if let Comparison::OtherCompiler(reason) =
        policies::compare_default(&components.join("default.wasm"))?
    {
        skipped.push(format!(
            "the comparison of the checked-in default policy with its source: {reason}"
        ));
    }
    step("unit tests");
    run(cargo().args([
        "test",
        "--locked",
        "--workspace",
        "--exclude",
        "switch-root-tests",
    ]))?;
    let binary = dist::boot_binary(true)?;
    let aot = dist::boot_binary(false)?;
    let native = native::policies(&components)?;
    let aarch64 = foreign::programs(Architecture::Aarch64, &components)?;
    if let Err(packages) = &aarch64 {
        skipped.push(format!(
            "the tests on aarch64, whose programs cannot be built without Debian's {packages}"
        ));
    }
    let srctl = dist::operator_binary()?;
    policies::run_cases(&srctl, &components)?;
    let mut tools = vec![&QEMU, &QEMU_AARCH64, &PEERS[1]];
    tools.extend(IMAGES.iter().chain(&REGISTRY).chain(&LANGUAGES));
    let missing = setup::tools(&tools);
    skipped.extend(
        missing
            .iter()
            .map(|package| format!("the tests that need Debian's package {package}")),
    );
    let (kernels, missing) = kernels::fetch(Architecture::X86_64);
    skipped.extend(missing);
    let (_, missing) = kernels::fetch(Architecture::Aarch64);
    skipped.extend(missing);
    step("whole-system tests");
    let mut tests = cargo();
    if let Ok(folder) = aarch64 {
        tests.env("SWITCH_ROOT_AARCH64", folder);
    }
    run(tests
        .args([
            "test",
            "--locked",
            "--package",
            "switch-root-tests",
            "--target",
            STATIC,
        ])
        .env("SWITCH_ROOT_BIN", binary)
        .env("SWITCH_ROOT_AOT_BIN", aot)
        .env("SWITCH_ROOT_SRCTL", srctl)
        .env("SWITCH_ROOT_POLICIES", native)
        .env("SWITCH_ROOT_KERNELS", kernels))?;
    for reason in &skipped {
        println!("skipped: {reason}");
    }
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    if ci && !skipped.is_empty() {
        bail!("with CI=true nothing may be skipped that could run");
    }
    println!("all tests passed");
    Ok(())
}

/// Measures beside the peers.
///
/// # Errors
/// What cannot be built or measured.
pub fn bench(json: Option<PathBuf>) -> Result<()> {
    setup::targets(&[STATIC, WASM])?;
    let components = policies::build_for_tests()?;
    let binary = dist::boot_binary(true)?;
    let aot = dist::boot_binary(false)?;
    let native = native::policies(&components)?;
    let srctl = dist::operator_binary()?;
    let tools: Vec<_> = PEERS.iter().chain(&IMAGES).chain(&REGISTRY).collect();
    let missing = setup::tools(&tools);
    if !missing.is_empty() {
        println!(
            "not measured, since they are not installed: {}",
            missing.join(" ")
        );
    }
    let (kernels, missing) = kernels::fetch(Architecture::X86_64);
    for reason in missing.into_iter().chain(setup::tools(&[&QEMU])) {
        println!("not measured: {reason}");
    }
    let arguments = [
        "--locked",
        "--release",
        "--package",
        "switch-root-tests",
        "--target",
        STATIC,
    ];
    // The virtual machines' init lies beside the program that measures.
    run(cargo().arg("build").args(arguments).arg("--bins"))?;
    let json = json.unwrap_or_else(|| target().join("bench.json"));
    let json = std::path::absolute(&json).with_context(|| format!("naming {}", json.display()))?;
    step("measuring");
    run(cargo()
        .args(["run", "--quiet"])
        .args(arguments)
        .args(["--bin", "bench", "--"])
        .arg(&json)
        .env("SWITCH_ROOT_BIN", binary)
        .env("SWITCH_ROOT_AOT_BIN", aot)
        .env("SWITCH_ROOT_SRCTL", srctl)
        .env("SWITCH_ROOT_POLICIES", native)
        .env("SWITCH_ROOT_KERNELS", kernels))
}
