//! `cargo xtask test`: everything that shows that the project works.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::beside::beside;
use crate::engine;
use crate::installed;
use crate::policies;
use crate::run::{cargo, run, step, target};
use crate::setup::{self, IMAGES, PEERS, QEMU, REGISTRY, STATIC, WASM};
use crate::subjects::{self, Boot, Skipped, Subjects};

/// The arguments of cargo that choose the unit tests.
const UNIT_TESTS: [&str; 3] = ["--workspace", "--exclude", "switch-root-tests"];

/// Runs all tests.
///
/// # Errors
/// At the first step that fails.
pub fn test() -> Result<()> {
    setup::targets(&[STATIC, WASM])?;
    let mut skipped = Skipped::default();
    step("formatting");
    run(cargo().args(["fmt", "--all", "--check"]))?;
    installed::spelling(&mut skipped)?;
    installed::dependencies(&mut skipped)?;
    // The engine first, alone: everything else waits for it.
    let components = policies::build_for_tests()?;
    let ((), subjects) = beside(lint_and_compile, || {
        Subjects::build(Boot::Tested, &components, &mut skipped)
    })?;
    step("the default policy that is checked in is what its source makes");
    if let Some(reason) = policies::compare_default(&components.join("default.wasm"))? {
        skipped.push(format!(
            "the comparison of the checked-in default policy with its source: {reason}"
        ));
    }
    step("unit tests");
    run(engine::testing("test")?.args(UNIT_TESTS))?;
    policies::run_cases(&subjects.srctl, &components)?;
    step("whole-system tests");
    subjects.test(None, false)?;
    skipped.settle()?;
    println!("all tests passed");
    Ok(())
}

/// What shows faults without running a test, and the tests compiled. They run when nothing
/// else is built: some wait for what must happen in time.
fn lint_and_compile() -> Result<()> {
    step("lints");
    run(engine::testing("clippy")?.args([
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))?;
    step("compiling the tests");
    run(engine::testing("test")?.args(UNIT_TESTS).arg("--no-run"))?;
    run(subjects::tests()?.arg("--no-run"))
}

/// Measures beside the peers.
///
/// # Errors
/// What cannot be built or measured.
pub fn bench(json: Option<PathBuf>) -> Result<()> {
    let components = policies::build_for_tests()?;
    let mut missing = Skipped::default();
    let subjects = Subjects::of_this_architecture(Boot::Installed, &components, &mut missing)?;
    let tools: Vec<_> = PEERS.iter().chain(&IMAGES).chain(&REGISTRY).collect();
    for package in setup::tools(&tools)
        .into_iter()
        .chain(setup::tools(&[&QEMU]))
    {
        missing.push(format!("what needs Debian's package {package}"));
    }
    for reason in missing.reasons() {
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
    let mut bench = cargo();
    bench.args(["run", "--quiet"]).args(arguments);
    bench.args(["--bin", "bench", "--"]).arg(&json);
    subjects.name_to(&mut bench);
    run(&mut bench)?;
    subjects.compare_sizes()
}
