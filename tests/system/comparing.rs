//! `srctl diff`.

use serde_json::Value;
use switch_root_tests::archive;
use switch_root_tests::steps::{Make, Step, Steps};

use crate::check::{ensure, says};
use crate::planning::nobodys;
use crate::srctl::{Desk, json};
use crate::tools::{Checked, Stop, cases, policy};

cases![
    images_are_compared_entry_by_entry_and_in_their_plans,
    folders_of_policies_are_compared_and_what_they_change_in_a_plan,
    what_is_not_known_of_both_is_no_sameness,
    what_cannot_be_compared_is_refused,
];

const SIDECAR: &str = "/etc/switch-root/policies.d/50-keep.json";

fn image(settings: &str, more: Vec<Step>) -> Result<Vec<u8>, Stop> {
    let steps = more
        .file("/etc/same", "same")
        .file(
            "/etc/switch-root/policies.d/50-keep.wasm",
            policy("keep-paths")?,
        )
        .file(SIDECAR, settings);
    Ok(archive::of(&steps)?)
}

fn names<'a>(difference: &'a Value, section: &str) -> Vec<(&'a str, &'a str)> {
    let list = difference[section].as_array().into_iter().flatten();
    list.filter_map(|change| Some((change["change"].as_str()?, change["name"].as_str()?)))
        .collect()
}

fn images_are_compared_entry_by_entry_and_in_their_plans() -> Checked {
    let desk = Desk::new()?;
    let mode = |mode| Make::File {
        mode,
        content: "x".into(),
    };
    let before = Vec::new()
        .file("/etc/contents", "before")
        .file("/old/deep/file", "x")
        .make("/etc/mode", mode(0o644));
    let after = Vec::new()
        .file("/etc/contents", "after!")
        .file("/new", "x")
        .make("/etc/mode", mode(0o600));
    let settings = |path: &str| format!(r#"{{"settings": {{"keep": ["{path}"]}}}}"#);
    desk.write("a", image(&settings("/etc/same"), before)?)?;
    desk.write("b", image(&settings("/etc/mode"), after)?)?;
    let ran = desk.changes_nothing("diff a b --format json", 3)?;
    let difference = json(&ran.stdout)?;
    ensure!(
        names(&difference, "entries")
            == [
                ("changed", "/etc/contents"),
                ("changed", "/etc/mode"),
                ("changed", SIDECAR),
                ("added", "/new"),
                ("removed", "/old"),
            ],
        "{difference:#}"
    );
    ensure!(
        names(&difference, "policies") == [("changed", "50-keep")]
            && names(&difference, "survivors")
                == [("added", "/etc/mode"), ("removed", "/etc/same")],
        "{difference:#}"
    );
    says(
        &desk.changes_nothing("diff a b", 3)?.stdout,
        &[
            "~ /etc/mode  mode 0644 -> 0600",
            "- /old  directory, 1 file",
            "+ /new  file, 1 B",
            "+ /etc/mode  keep, by 50-keep",
        ],
    )?;
    let same = desk.changes_nothing("diff a a", 0)?;
    ensure!(same.stdout == "no difference\n", "{}", same.said());
    Ok(())
}

fn folders_of_policies_are_compared_and_what_they_change_in_a_plan() -> Checked {
    let desk = Desk::new()?;
    let wasm = || policy("keep-paths");
    let keep = r#"{"settings": {"keep": ["/etc/same"]}}"#;
    desk.tree(
        "a",
        &Vec::new()
            .file("/60-same.wasm", wasm()?)
            .file("/70-gone.wasm", wasm()?),
    )?;
    desk.tree(
        "b",
        &Vec::new()
            .file("/60-same.wasm", wasm()?)
            .file("/60-same.json", keep),
    )?;
    let difference = json(&desk.changes_nothing("diff a b --format json", 3)?.stdout)?;
    let policies = [("changed", "60-same"), ("removed", "70-gone")];
    ensure!(
        names(&difference, "policies") == policies && names(&difference, "survivors").is_empty(),
        "{difference:#}"
    );
    desk.write("image", image("{}", Vec::new())?)?;
    let arguments = "diff a b --image image --format json";
    let difference = json(&desk.changes_nothing(arguments, 3)?.stdout)?;
    ensure!(
        names(&difference, "policies") == policies
            && names(&difference, "survivors") == [("added", "/etc/same")],
        "{difference:#}"
    );
    desk.changes_nothing("diff a a --image image", 0)?;
    Ok(())
}

fn what_is_not_known_of_both_is_no_sameness() -> Checked {
    let desk = Desk::new()?;
    desk.write("a", archive::of(&nobodys()?)?)?;
    let ran = desk.changes_nothing("diff a a", 4)?;
    says(
        &ran.stdout,
        &[
            "NOT KNOWN: whether the extensions",
            "no difference in what is known",
        ],
    )?;
    desk.changes_nothing("diff a a --target-version 1.7.0", 0)?;
    desk.write("b", archive::of(&nobodys()?.file("/more", "more"))?)?;
    let ran = desk.changes_nothing("diff a b --format json", 3)?;
    let difference = json(&ran.stdout)?;
    ensure!(
        difference["unknown"]
            .as_array()
            .is_some_and(|it| !it.is_empty()),
        "{difference:#}"
    );
    Ok(())
}

fn what_cannot_be_compared_is_refused() -> Checked {
    let desk = Desk::new()?;
    desk.tree(
        "policies",
        &Vec::new().file("/a.wasm", policy("keep-paths")?),
    )?;
    desk.write("image", image("{}", Vec::new())?)?;
    desk.fails(
        "diff policies image",
        &["policies is a folder of policies, and image is not"],
    )?;
    desk.fails("diff image nowhere", &["cannot read nowhere"])?;
    desk.fails("diff image image --image image", &["--image goes with"])
}
