//! Policies in every language that `srctl policy new` knows, from a new project to what the
//! judge makes of it; and the examples that are checked in.
//!
//! The tools are no part of this workspace, and some packages come from registries: a test whose
//! tools or packages cannot be had is skipped. Each language has one test, so that packages are
//! installed once.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use switch_root_tests::outcome::End;
use switch_root_tests::steps::{Content, Steps};

use crate::check::{ensure, said, says};
use crate::signing;
use crate::srctl::{self, Desk, Ran};
use crate::tools::{self, Checked, Policies, Stop, boot, cases, play};

cases![
    a_policy_in_rust_builds_and_answers_as_it_was_begun,
    a_policy_in_c_builds_and_answers_as_it_was_begun_and_so_does_the_example,
    a_policy_in_javascript_builds_and_answers_as_it_was_begun_and_so_does_the_example,
    a_policy_in_python_builds_and_answers_as_it_was_begun_and_so_does_the_example,
    a_tool_that_is_missing_is_named_with_what_to_install,
    what_imports_a_system_is_refused_with_the_way_out,
    source_that_is_wrong_leaves_the_component_of_before,
    a_project_is_begun_in_a_new_folder_alone,
    what_is_no_project_is_refused,
];

/// The name of the policies that are begun here.
const NAME: &str = "my-policy";
/// An SSH host key, which each new policy keeps.
const KEY: &str = "/etc/ssh/ssh_host_ed25519_key";

/// `srctl` with the environment of this machine, which the tools need.
fn with_tools(desk: &Desk, arguments: &str) -> Result<Ran, Stop> {
    let mut command = desk.command(arguments)?;
    command.envs(std::env::vars_os());
    command.env("CARGO_TARGET_DIR", tools::POLICIES_TARGET);
    Ok(Ran::new(arguments, &command.output()?))
}

/// Builds the project in the folder `p`, and gives what `srctl` says of the component.
fn build(desk: &Desk) -> Result<Value, Stop> {
    let ran = with_tools(desk, "policy build p --format json")?;
    let missing = [
        "there is no program",
        "install Debian's packages",
        "cannot install the packages",
        "cannot make a virtual environment",
        "rustup target add",
    ];
    if ran.status != Some(0) && missing.iter().any(|words| ran.stderr.contains(words)) {
        return Err(Stop::Skip(ran.said()));
    }
    ensure!(ran.status == Some(0), "{}", ran.said());
    srctl::json(&ran.stdout)
}

/// Runs the cases of the project in the folder `p`.
fn passes(desk: &Desk) -> Checked {
    let told = desk.succeeds("policy test p")?;
    says(&told, &["... ok\n", "test result: ok. "])
}

/// Begins a policy that answers both questions, builds it, and asks it.
fn begin_and_ask(desk: &Desk, language: &str) -> Checked {
    desk.succeeds(&format!(
        "policy new {NAME} --lang {language} --question both --output p"
    ))?;
    let built = build(desk)?;
    passes(desk)?;
    let component = desk.path(&format!("p/{NAME}.wasm"));
    let size = fs::metadata(&component)?.len();
    let mut answers = vec![json!("compatibility"), json!("preservation")];
    if language != "c" {
        answers.push(json!("settings"));
    }
    let mut told = built["answers"].as_array().cloned().unwrap_or_default();
    told.sort_by_key(Value::to_string);
    ensure!(built["size"] == json!(size) && told == answers, "{built:#}");
    let plan = ask(desk, NAME, "", |name| {
        format!("  - image: {name}.sqsh\n    metadata: {{name: twin, version: 1.0.0}}\n")
    })?;
    survive(&plan, &[KEY])?;
    let reason = |other: &str| format!("twin is also the name of {other}.sqsh");
    verdicts(&plan, &[("a", Some(reason("b"))), ("b", Some(reason("a")))])?;
    // Whatever interpreter is in it.
    signing::keygen(desk, "-q -t ed25519 -N '' -f key", b"")?;
    desk.succeeds("policy sign p --key key").map(drop)
}

/// Asks the policy of the project in `p` in an initramfs with some files and two extensions,
/// with the sidecar that the project has.
fn ask(
    desk: &Desk,
    name: &str,
    kernel_command_line: &str,
    extension: impl Fn(&str) -> String,
) -> Result<Value, Stop> {
    let file = |ending: &str| desk.path(&format!("p/{name}.{ending}"));
    let sidecar = fs::read_to_string(file("json"))?;
    let mut scene = boot()?
        .options(["--plan", "--format", "json"])
        .time_limit(600)
        .file(KEY, "secret")
        .file("/etc/ssh/sshd_config", "")
        .file("/kernel/x86/microcode/GenuineIntel.bin", "microcode")
        .file("/var/log/boot.log", "started")
        .file(
            "/var/log/core",
            Content::Filled {
                byte: 1,
                size: 200_000,
            },
        )
        .file(
            "/extensions.yaml",
            format!("layers:\n{}{}", extension("a"), extension("b")).as_str(),
        )
        .policy("50-mine", Content::Copy(file("wasm")), Some(&sidecar));
    if !kernel_command_line.is_empty() {
        scene = scene.kernel_command_line(kernel_command_line);
    }
    let outcome = play(&scene)?;
    ensure!(outcome.end == End::Exited(0), "{}", said(&outcome));
    let plan = srctl::json(&outcome.stdout)?;
    for policy in plan["policies"].as_array().into_iter().flatten() {
        ensure!(
            policy["failures"].as_array().is_none_or(Vec::is_empty),
            "{policy:#}"
        );
    }
    Ok(plan)
}

/// Checks that the policy keeps these paths and no others.
fn survive(plan: &Value, expected: &[&str]) -> Checked {
    let survivors = plan["plan"]["survivors"].as_array();
    let kept: Vec<&str> = survivors
        .into_iter()
        .flatten()
        .filter(|one| one.to_string().contains("50-mine"))
        .filter_map(|one| one["path"].as_str())
        .collect();
    ensure!(kept == expected, "kept {kept:?}\n{plan:#}");
    Ok(())
}

/// Checks which extensions are incompatible, and for which reasons.
fn verdicts(plan: &Value, expected: &[(&str, Option<String>)]) -> Checked {
    for (name, reason) in expected {
        let image = format!("{name}.sqsh");
        let extension = plan["extensions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|one| one["image"] == image.as_str());
        let extension = extension.ok_or(format!("nothing about {image} in {plan:#}"))?;
        let text = extension.to_string();
        match reason {
            Some(reason) => says(&text, &["incompatible", reason])?,
            None => ensure!(!text.contains("incompatible"), "{extension:#}"),
        }
    }
    Ok(())
}

/// Puts an example in place of the project in `p`. What was installed there stays: its list of
/// packages is the same.
fn replace_by_example(desk: &Desk, language: &str) -> Checked {
    let project = desk.path("p");
    for entry in fs::read_dir(&project)? {
        let path = entry?.path();
        match path.file_name().is_some_and(|name| name == ".build") {
            true => {}
            false if path.is_dir() => fs::remove_dir_all(&path)?,
            false => fs::remove_file(&path)?,
        }
    }
    let examples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../policies/examples"));
    copy(&examples.join(language), &project)
}

fn copy(from: &Path, to: &Path) -> Checked {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            // What was built in the sources themselves.
            true if entry.file_name() == ".build" => {}
            true => copy(&entry.path(), &place)?,
            false => _ = fs::copy(entry.path(), place)?,
        }
    }
    Ok(())
}

/// Extensions that say nothing of interest.
fn plain(name: &str) -> String {
    format!("  - image: {name}.sqsh\n    metadata: {{name: {name}, version: 1.0.0}}\n")
}

fn a_policy_in_rust_builds_and_answers_as_it_was_begun() -> Checked {
    let desk = Desk::new()?;
    begin_and_ask(&desk, "rust")
}

fn a_policy_in_c_builds_and_answers_as_it_was_begun_and_so_does_the_example() -> Checked {
    let desk = Desk::new()?;
    begin_and_ask(&desk, "c")?;
    replace_by_example(&desk, "c")?;
    build(&desk)?;
    passes(&desk)?;
    let plan = ask(&desk, "keep-early", "", plain)?;
    survive(&plan, &["/kernel/x86/microcode", "/var/log"])
}

fn a_policy_in_javascript_builds_and_answers_as_it_was_begun_and_so_does_the_example() -> Checked {
    let desk = Desk::new()?;
    begin_and_ask(&desk, "js")?;
    replace_by_example(&desk, "js")?;
    build(&desk)?;
    passes(&desk)?;
    let plan = ask(&desk, "keep-small", "", plain)?;
    survive(&plan, &["/var/log/boot.log"])
}

fn a_policy_in_python_builds_and_answers_as_it_was_begun_and_so_does_the_example() -> Checked {
    let desk = Desk::new()?;
    begin_and_ask(&desk, "python")?;
    replace_by_example(&desk, "python")?;
    build(&desk)?;
    passes(&desk)?;
    let version = |name: &str| if name == "a" { "1.0.0" } else { "2.0.0-rc.1" };
    let plan = ask(&desk, "release-rings", "fleet.ring=stable", |name| {
        plain(name).replace("1.0.0", version(name))
    })?;
    let reason =
        "2.0.0-rc.1 is a pre-release, for rings canary alone, and this machine is of ring stable";
    verdicts(&plan, &[("a", None), ("b", Some(reason.into()))])
}

fn a_tool_that_is_missing_is_named_with_what_to_install() -> Checked {
    for (language, words) in [
        ("rust", ["there is no program cargo", "install Rust"]),
        (
            "c",
            [
                "there is no program clang",
                "clang, lld, wasi-libc and libclang-rt-dev-wasm32",
            ],
        ),
        (
            "js",
            [
                "there is no program node",
                "Debian's packages nodejs and npm",
            ],
        ),
        (
            "python",
            [
                "there is no program python3",
                "Debian's packages python3 and python3-venv",
            ],
        ),
    ] {
        let mut desk = Desk::new()?;
        desk.succeeds(&format!("policy new {NAME} --lang {language} --output p"))?;
        desk.variable("PATH", PathBuf::from("/nonexistent"));
        desk.fails("policy build p", &words)
            .map_err(|stop| stop.during(language))?;
    }
    Ok(())
}

/// A project in C in `p`, built.
fn in_c() -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    desk.succeeds(&format!("policy new {NAME} --lang c --output p"))?;
    build(&desk)?;
    Ok(desk)
}

/// Changes the source of [`in_c`], and checks that a build fails with these words, and leaves
/// the component as it was.
fn fails_to_build(desk: &Desk, add: &str, words: &[&str]) -> Checked {
    let source = String::from_utf8(desk.read("p/policy.c")?)?;
    let component = desk.read("p/my-policy.wasm")?;
    let before = fs::read_dir(desk.path("p"))?.count();
    desk.write("p/policy.c", source + add)?;
    let ran = with_tools(desk, "policy build p")?;
    ensure!(
        ran.status == Some(1) && ran.stdout.is_empty(),
        "{}",
        ran.said()
    );
    says(&ran.stderr, words)?;
    ensure!(
        desk.read("p/my-policy.wasm")? == component
            && fs::read_dir(desk.path("p"))?.count() == before,
        "something was written\n{}",
        ran.said()
    );
    Ok(())
}

fn what_imports_a_system_is_refused_with_the_way_out() -> Checked {
    let uses = "\n#include <stdio.h>\n__attribute__((export_name(\"x\"))) int x(void) { return puts(\"x\"); }\n";
    let words = [
        "my-policy is no policy: it imports wasi_snapshot_preview1; ",
        "a policy may import nothing but switch-root:policy/log",
        "stdio.h",
    ];
    fails_to_build(&in_c()?, uses, &words)
}

fn source_that_is_wrong_leaves_the_component_of_before() -> Checked {
    let words = ["policy.c", "error:", "clang ended with exit status: 1"];
    fails_to_build(&in_c()?, "\nthis is no C\n", &words)
}

fn a_project_is_begun_in_a_new_folder_alone() -> Checked {
    let desk = Desk::new()?;
    fs::create_dir(desk.path("there"))?;
    desk.fails(
        "policy new there --lang c",
        &["cannot begin a project in there: it is there already"],
    )?;
    desk.fails(
        "policy new a --lang rust --output no/where",
        &["cannot make the folder no/where"],
    )?;
    desk.fails(
        "policy new a --lang rust --sdk there",
        &["there is not the crate of the SDK"],
    )?;
    desk.fails("policy new a --lang c --sdk there", &["--lang rust"])?;
    for name in ["Upper", "../a", "a--b", "test"] {
        let ran = desk.changes_nothing(&format!("policy new {name} --lang c"), 2)?;
        says(&ran.stderr, &["invalid value", "name"])?;
    }
    let printed = desk.succeeds("policy new mine --lang js")?;
    says(&printed, &["srctl policy build mine"])?;
    ensure!(desk.path("mine/policy.js").exists(), "{printed}");
    Ok(())
}

fn what_is_no_project_is_refused() -> Checked {
    let desk = Desk::new()?;
    desk.fails("policy build nowhere", &["cannot read the project nowhere"])?;
    fs::create_dir(desk.path("empty"))?;
    desk.fails("policy build empty", &["it has none of Cargo.toml (Rust)"])?;
    desk.write("empty/policy.c", "")?;
    desk.fails(
        "policy build empty",
        &["cannot read the world of the policy in empty/wit"],
    )?;
    desk.write("empty/policy.py", "")?;
    desk.fails("policy build empty", &["cannot tell the language"])
}
