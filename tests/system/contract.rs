//! Policies of other versions of the contract: those of the oldest go on working, those of a
//! compatible later one work unless they call what is new, and all others are told both
//! versions. ../contract/README.md says where the old ones come from.

use switch_root_tests::scene::Scene;
use switch_root_tests::steps::{Make, Steps};

use crate::check::{boots, ensure, says};
use crate::srctl::{Desk, extension, json};
use crate::tools::{Checked, Policies, Stop, boot, boot_small, cases, native, policy};

cases![
    every_answer_of_the_first_version_is_carried_out,
    keep_paths_of_the_first_version_keeps_and_carries,
    extensions_are_judged_by_policies_of_the_first_version,
    a_policy_that_calls_what_is_new_is_told_both_versions,
    a_policy_of_a_future_version_is_told_both_versions,
    a_policy_for_hosts_of_two_versions_is_asked,
];

/// The version that the policies were built against, and a later one that they could have
/// been built against.
const VERSIONS: [&str; 2] = ["0.1.0", "0.1.1"];

const NATIVE: &str = "/usr/lib/switch-root/policies.d/50-published.cwasm";

/// Checks each form of a published policy: as WebAssembly, compiled ahead of time beside
/// that, and so in the build that takes nothing else; as it was built, and as if it had been
/// for a later compatible version.
fn in_each_form(
    name: &str,
    sidecar: Option<&str>,
    check: impl Fn(Scene, &str) -> Checked,
) -> Checked {
    for version in VERSIONS {
        let name = format!("{version}-{name}");
        let with = |scene: Scene| -> Result<Scene, Stop> {
            Ok(scene.policy("50-published", policy(&name)?, sidecar))
        };
        let compiled = |scene: Scene| -> Result<Scene, Stop> {
            let content = native(&name)?;
            Ok(scene.make(
                NATIVE,
                Make::File {
                    mode: 0o644,
                    content,
                },
            ))
        };
        for (form, scene) in [
            ("wasm", with(boot()?)?),
            ("cwasm", compiled(with(boot()?)?)?),
            ("the small build", compiled(with(boot_small()?)?)?),
        ] {
            let case = format!("{name}, {form}");
            check(scene, &case).map_err(|stop| stop.during(&case))?;
        }
    }
    Ok(())
}

fn every_answer_of_the_first_version_is_carried_out() -> Checked {
    in_each_form("every-answer", None, |scene, _| {
        let scene = scene
            .file("/other", "goes")
            .file("/keep", "stays")
            .file("/carry", "goes along")
            .file("/descend/keep", "stays, too")
            .file("/descend/other", "goes, too")
            .look_at(["/etc/carried"]);
        let booted = boots(&scene)?;
        booted.left(&["/keep", "/carry", "/descend/keep"])?;
        booted.read_only("/etc/carried", "goes along")?;
        let said = &booted.outcome.stderr;
        says(said, &["an error", "a warning", "a notice"])
    })
}

fn keep_paths_of_the_first_version_keeps_and_carries() -> Checked {
    let sidecar = r#"{"settings": {"keep": ["/a/*"], "carry": {"/b/c": "/etc/c"}}}"#;
    in_each_form("keep-paths", Some(sidecar), |scene, case| {
        let scene = scene
            .file("/a/one", "1")
            .file("/b/c", "carried")
            .file("/b/d", "goes")
            .look_at(["/etc/c"]);
        let booted = boots(&scene)?;
        booted.left(&["/a/one", "/b/c"])?;
        booted.read_only("/etc/c", "carried")?;
        let report = booted.report.policy("50-published").ok_or("no report")?;
        let compiled = case.ends_with(", wasm");
        ensure!(report["compiled"] == compiled, "{report:#}");
        Ok(())
    })
}

const EXTENSIONS: &str = "\
layers:
  - image: same.sqsh
    metadata: {name: same, version: 1, switchRoot: {architecture: MACHINE}}
  - image: other.sqsh
    metadata: {name: other, version: 1, switchRoot: {architecture: vax}}
  - image: incompatible.sqsh
    metadata: {name: incompatible, version: 1}
";

fn extensions_are_judged_by_policies_of_the_first_version() -> Checked {
    let file = EXTENSIONS.replace("MACHINE", std::env::consts::ARCH);
    for (name, expected) in [
        ("kernel-abi", ["compatible", "incompatible", "compatible"]),
        ("every-answer", ["compatible", "compatible", "incompatible"]),
    ] {
        in_each_form(name, None, |scene, _| {
            let scene = scene.file("/extensions.yaml", file.as_str());
            let booted = boots(&scene)?;
            let verdicts = booted.report.extensions();
            for (image, expected) in ["same", "other", "incompatible"].iter().zip(expected) {
                let verdict = verdicts
                    .get(&format!("{image}.sqsh"))
                    .map(|(it, _)| it.as_str());
                ensure!(verdict == Some(expected), "{image}: {verdicts:?}");
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Boots with a policy that is not run: nothing is deleted, and the words say why.
fn refused(name: &str, words: &[&str]) -> Checked {
    let scene = boot()?.file("/some/file", "stays");
    let booted = boots(&scene.policy("50-other", policy(name)?, None))?;
    booted.failed("50-other", words)?;
    booted.everything_left()?;
    // On a workstation it is told the same, before anything is booted.
    let desk = Desk::new()?;
    desk.tree("all/000.a", &extension("a"))?;
    desk.tree(
        "policies",
        &Vec::new().file("/50-other.wasm", policy(name)?),
    )?;
    let ask = "extension validate all --target-version 1.7.0 --policies policies";
    let before = desk.everything()?;
    let ran = desk.run(&format!("{ask} --format json"))?;
    ensure!(desk.everything()? == before, "it changed something");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    json(&ran.stdout)?;
    says(&said, words)
}

fn a_policy_that_calls_what_is_new_is_told_both_versions() -> Checked {
    refused("calls-later", &["version", "log-more", "0.1.1", "0.1.0"])
}

fn a_policy_of_a_future_version_is_told_both_versions() -> Checked {
    for (name, version) in [
        ("other-version", "policy 0.2.0"),
        ("next-major", "policy 1.0.0"),
        ("candidate", "policy 0.1.0-rc.1"),
        ("other-log", "policy 0.2.0"),
    ] {
        let words = [version, "speaks 0.1.0"];
        refused(name, &words).map_err(|stop| stop.during(name))?;
    }
    Ok(())
}

fn a_policy_for_hosts_of_two_versions_is_asked() -> Checked {
    let scene = boot()?.policy("50-two", policy("two-versions")?, None);
    // It traps in its answer, so it was asked.
    boots(&scene)?.failed("50-two", &["trap: ", "trapped"])
}
