//! `srctl policy test`: cases of policies, each a file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use switch_root_tests::archive;
use switch_root_tests::steps::Steps;

use crate::check::{ensure, says};
use crate::srctl::{Desk, json};
use crate::tools::{Checked, Stop, cases, need_privileges, policy};

cases![
    a_case_passes_where_the_policy_answers_as_expected_and_fails_otherwise,
    blessing_writes_what_the_policy_answers_and_nothing_else,
    verdicts_and_errors_are_expected_like_decisions,
    a_policy_that_answers_otherwise_when_asked_again_is_found_out,
    the_settings_that_a_policy_rejects_are_shown_with_the_file,
    results_are_there_for_programs_and_for_ci,
    what_is_no_policy_is_refused_in_the_words_of_a_boot,
    cases_that_cannot_be_understood_say_where,
    an_image_can_be_the_initramfs_of_a_case,
    a_failed_case_shows_what_the_policy_logged,
    a_policy_without_cases_is_told_where_they_belong,
];

/// A desk with a shipped policy, and its cases.
fn desk(name: &str, cases: &[(&str, &str)]) -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    desk.write(&format!("{name}.wasm"), policy(name)?.bytes()?)?;
    fs::create_dir(desk.path("cases"))?;
    for (file, text) in cases {
        desk.write(&format!("cases/{file}"), text)?;
    }
    Ok(desk)
}

const KEEPS: &str = "\
# What a fleet keeps.
tree:
  /etc/hostname: text
  /etc/ssh/: {}
  /etc/ssh/id: {size: 400, mode: 0600}
  /usr/bin/sh: {symlink: busybox}
settings:
  keep: [/etc/ssh/**]
  carry: {/etc/hostname: /etc/hostname}
";

const KEPT: &str = "\
expect:
  decisions:
    /etc: descend
    /etc/hostname:
      carry: /etc/hostname
    /etc/ssh: keep
";

fn a_case_passes_where_the_policy_answers_as_expected_and_fails_otherwise() -> Checked {
    let good = format!("{KEEPS}{KEPT}");
    let bad = good.replace("/etc/ssh: keep", "/usr: keep");
    let desk = desk("keep-paths", &[("a.yaml", &good), ("b.yaml", &bad)])?;
    let ran = desk.changes_nothing("policy test keep-paths.wasm", 3)?;
    says(
        &ran.stdout,
        &[
            "case cases/a.yaml ... ok\n",
            "case cases/b.yaml ... FAILED\n",
            "/etc/ssh: expected delete, or not asked, answered keep\n",
            "/usr: expected keep, answered delete, or not asked\n",
            "test result: FAILED. 1 passed; 1 failed;",
        ],
    )?;
    let one = desk.succeeds("policy test keep-paths.wasm --filter a.yaml")?;
    says(&one, &["test result: ok. 1 passed; 0 failed;"])?;
    desk.fails(
        "policy test keep-paths.wasm --filter zebra",
        &["no case has `zebra`"],
    )
}

fn blessing_writes_what_the_policy_answers_and_nothing_else() -> Checked {
    let toml =
        "# é\ndescription = \"x\"\n[tree]\n\"/a\" = \"\"\n[settings]\nkeep = [\"/a\"] # one\n";
    let desk = desk("keep-paths", &[("a.yaml", KEEPS), ("b.toml", toml)])?;
    let ran = desk.changes_nothing("policy test keep-paths.wasm", 3)?;
    says(
        &ran.stdout,
        &[
            "it has no `expect`",
            "/etc/ssh: expected delete, or not asked, answered keep",
        ],
    )?;
    let blessed = desk.succeeds("policy test keep-paths.wasm --bless")?;
    says(&blessed, &["a.yaml ... blessed", "b.toml ... blessed"])?;
    let text = String::from_utf8(desk.read("cases/a.yaml")?).unwrap_or_default();
    ensure!(text == format!("{KEEPS}{KEPT}"), "{text}");
    let text = String::from_utf8(desk.read("cases/b.toml")?).unwrap_or_default();
    ensure!(text.starts_with(toml), "{text}");
    desk.succeeds("policy test keep-paths.wasm")?;
    let ran = desk.changes_nothing("policy test keep-paths.wasm --bless", 0)?;
    says(
        &ran.stdout,
        &["a.yaml ... unchanged", "b.toml ... unchanged"],
    )?;
    // Nobody may write there, so it is said, and nothing is lost.
    need_privileges()?;
    desk.write("cases/a.yaml", KEEPS)?;
    let folder = desk.path("cases");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555))?;
    let as_nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    let mut command = std::process::Command::new("setpriv");
    command.args(as_nobody.split(' ').skip(1));
    let srctl = desk.command("policy test keep-paths.wasm --bless")?;
    command.arg(srctl.get_program()).args(srctl.get_args());
    command.current_dir(desk.path(""));
    fs::set_permissions(desk.path(""), fs::Permissions::from_mode(0o755))?;
    let before = desk.everything()?;
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.code() == Some(1), "{said}");
    says(&said, &["a.yaml ... ERROR", "ermission denied"])?;
    ensure!(desk.everything()? == before, "something changed");
    Ok(())
}

fn verdicts_and_errors_are_expected_like_decisions() -> Checked {
    let case = "
host: {os-release: {ID: talos, VERSION_ID: 1.10.0}, kernel-release: 6.12.1, architecture: x86_64}
extensions:
  - image: a.sqsh
    metadata: {name: a, version: 1.10, switchRoot: {kernelRelease: 6.12.1}}
  - image: b.sqsh
    metadata: {name: b, version: 1, switchRoot: {kernelRelease: 6.1.0}}
  - image: c.sqsh
";
    let desk = desk("kernel-abi", &[("a.yaml", case)])?;
    desk.succeeds("policy test kernel-abi.wasm --bless")?;
    let text = String::from_utf8(desk.read("cases/a.yaml")?).unwrap_or_default();
    says(
        &text,
        &[
            "    a.sqsh: compatible\n",
            "    b.sqsh:\n      incompatible: ",
            "    c.sqsh: abstain\n",
        ],
    )?;
    let wrong = text.replace("c.sqsh: abstain", "c.sqsh: compatible");
    desk.write("cases/a.yaml", wrong)?;
    let ran = desk.changes_nothing("policy test kernel-abi.wasm", 3)?;
    says(
        &ran.stdout,
        &["c.sqsh: expected compatible, answered abstain"],
    )?;
    // A failure is an answer, too.
    desk.write("hostile.wasm", policy("hostile")?.bytes()?)?;
    desk.write("trap.yaml", "tree: {/a: x}\nsettings: {attack: trap}\n")?;
    let test = "policy test hostile.wasm --cases trap.yaml";
    let ran = desk.changes_nothing(test, 3)?;
    says(&ran.stdout, &["failed: preservation (trap): "])?;
    desk.succeeds(&format!("{test} --bless"))?;
    desk.succeeds(test)?;
    let text = String::from_utf8(desk.read("trap.yaml")?).unwrap_or_default();
    says(&text, &["    kind: trap\n", "    question: preservation\n"])
}

fn a_policy_that_answers_otherwise_when_asked_again_is_found_out() -> Checked {
    let case = "tree: {/a/b: x}\nsettings: {attack: stateful}\n";
    let desk = desk("hostile", &[("a.yaml", case)])?;
    for more in ["", " --bless"] {
        let ran = desk.changes_nothing(&format!("policy test hostile.wasm{more}"), 3)?;
        says(
            &ran.stdout,
            &[
                "it is not deterministic: asked the same again",
                "/a: expected descend, answered keep",
            ],
        )?;
    }
    Ok(())
}

fn the_settings_that_a_policy_rejects_are_shown_with_the_file() -> Checked {
    let case = "tree: {/a: x}\nsettings: {keeep: [/a]}\nexpect: {}\n";
    let desk = desk("keep-paths", &[("typo.yaml", case)])?;
    let ran = desk.changes_nothing("policy test keep-paths.wasm", 3)?;
    says(
        &ran.stdout,
        &[
            "case cases/typo.yaml ... FAILED",
            "load (settings): refuses its settings: ",
            "keeep",
        ],
    )
}

fn results_are_there_for_programs_and_for_ci() -> Checked {
    let bad = format!("{KEEPS}expect: {{}}\n");
    let desk = desk(
        "keep-paths",
        &[("a<&>.yaml", &format!("{KEEPS}{KEPT}")), ("b.yaml", &bad)],
    )?;
    let ran = desk.run("policy test keep-paths.wasm --format json --junit results.xml")?;
    ensure!(ran.status == Some(3), "{}", ran.said());
    let printed = json(&ran.stdout)?;
    let cases = &printed[0]["cases"];
    ensure!(
        printed[0]["component"] == "keep-paths.wasm"
            && cases[0]["result"] == "ok"
            && cases[0]["details"] == json!([])
            && cases[1]["result"] == "failed"
            && cases[1]["details"][0] == "/etc: expected delete, or not asked, answered descend",
        "{printed:#}"
    );
    let xml = String::from_utf8(desk.read("results.xml")?).unwrap_or_default();
    says(
        &xml,
        &[
            "<testsuite name=\"keep-paths.wasm\" tests=\"2\"",
            "failures=\"1\"",
            "name=\"cases/a&lt;&amp;&gt;.yaml\"",
            "/etc/ssh: expected delete, or not asked, answered keep",
        ],
    )
}

fn what_is_no_policy_is_refused_in_the_words_of_a_boot() -> Checked {
    let desk = desk("core-module", &[("a.yaml", KEEPS)])?;
    for name in ["truncated", "wasi-imports", "other-version"] {
        desk.write(&format!("{name}.wasm"), policy(name)?.bytes()?)?;
    }
    desk.write("text.wasm", "not WebAssembly")?;
    desk.write("cases/a.yaml", "tree: {/a: x}\nexpect: {}\n")?;
    for (name, words) in [
        (
            "core-module",
            "core-module.wasm is a core module, not a component",
        ),
        ("truncated", "truncated.wasm is not a valid component"),
        ("text", "text.wasm is not WebAssembly"),
    ] {
        desk.fails(&format!("policy test {name}.wasm"), &[words])?;
    }
    for (name, words) in [
        (
            "wasi-imports",
            "load (imports): imports wasi:cli/environment",
        ),
        (
            "other-version",
            "load (version): was built for switch-root:policy 0.2.0",
        ),
    ] {
        let ran = desk.changes_nothing(&format!("policy test {name}.wasm"), 3)?;
        says(&ran.stdout, &[words])?;
    }
    desk.fails("policy test absent.wasm", &["cannot read absent.wasm"])?;
    fs::create_dir(desk.path("project"))?;
    desk.fails(
        "policy test project",
        &[
            "there is no component in project",
            "srctl policy build project",
        ],
    )
}

fn cases_that_cannot_be_understood_say_where() -> Checked {
    let desk = desk("keep-paths", &[("a.yaml", "tree: {}\nsetings: {}\n")])?;
    let told = |words: &[&str]| -> Checked {
        let ran = desk.changes_nothing("policy test keep-paths.wasm", 1)?;
        says(&ran.stdout, &["case cases/a.yaml ... ERROR"])?;
        says(&ran.stdout, words)
    };
    told(&[
        "line 2 column 1",
        "unknown field `setings`, expected one of `description`, `tree`",
    ])?;
    desk.write("cases/a.yaml", "expect: {decisions: {/a: keep}}\n")?;
    told(&["expects decisions, and has neither `tree` nor `initramfs`"])?;
    let large = fs::File::create(desk.path("cases/a.yaml"))?;
    large.set_len(100 << 20)?;
    told(&["is 104857600 bytes large; at most 1048576 are read"])?;
    fs::remove_file(desk.path("cases/a.yaml"))?;
    desk.fails(
        "policy test keep-paths.wasm",
        &["cases has no cases", ".yaml, .yml or .toml"],
    )
}

fn an_image_can_be_the_initramfs_of_a_case() -> Checked {
    let desk = desk("keep-paths", &[])?;
    let case = "initramfs: ../image.cpio\nsettings: {keep: [/etc/**]}\nexpect:\n  decisions:\n    /etc: keep\n";
    desk.write("cases/a.yaml", case)?;
    let image = archive::of(&Vec::new().file("/etc/a", "text"))?;
    desk.write("image.cpio", &image)?;
    desk.succeeds("policy test keep-paths.wasm")?;
    desk.write("image.cpio", &image[..image.len() - 200])?;
    let ran = desk.changes_nothing("policy test keep-paths.wasm", 1)?;
    says(
        &ran.stdout,
        &["the case cases/a.yaml: ", "image.cpio", "truncated"],
    )
}

fn a_failed_case_shows_what_the_policy_logged() -> Checked {
    let case = |attack: &str| {
        format!("tree: {{/a: text}}\nsettings: {{attack: {attack}}}\nexpect: {{}}\n")
    };
    let files = [
        ("bad.yaml", &case("panic")),
        ("good.yaml", &case("log-control")),
    ];
    let desk = desk("hostile", &files.map(|(name, text)| (name, text.as_str())))?;
    let ran = desk.run("policy test hostile.wasm --junit results.xml")?;
    ensure!(ran.status == Some(3), "{}", ran.said());
    let words = ["what it logged:", "error: panicked at ", "as a defect does"];
    says(&ran.stdout, &words)?;
    // As other tests do, those that pass say nothing.
    ensure!(!ran.stdout.contains("all is well"), "{}", ran.said());
    let xml = String::from_utf8(desk.read("results.xml")?).unwrap_or_default();
    says(&xml, &["<system-out>error: panicked at "])?;
    let ran = desk.run("policy test hostile.wasm --format json")?;
    let cases = &json(&ran.stdout)?[0]["cases"];
    ensure!(
        cases[0]["log"][0]["level"] == "error" && cases[1]["log"] == json!([]),
        "{cases:#}"
    );
    Ok(())
}

fn a_policy_without_cases_is_told_where_they_belong() -> Checked {
    let desk = Desk::new()?;
    desk.write("keep-paths.wasm", policy("keep-paths")?.bytes()?)?;
    desk.fails(
        "policy test keep-paths.wasm",
        &[
            "there is no folder `cases` beside keep-paths.wasm",
            "--cases",
        ],
    )
}
