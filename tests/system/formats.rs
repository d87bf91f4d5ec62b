//! `--format json`: what scripts read is what people read.

use serde_json::{Value, json};
use switch_root_tests::steps::Steps;

use crate::check::{ensure, says};
use crate::configuration::NEW;
use crate::installing::{FOR_TALOS, archive, configure, desk as with_layout};
use crate::srctl::{Desk, extension, json as parsed};
use crate::tools::{Checked, cases, program};

cases![
    a_pull_tells_programs_what_it_tells_people,
    packing_tells_programs_what_it_tells_people,
    what_is_not_packed_is_told_with_its_findings,
    an_install_tells_programs_what_it_tells_people,
    an_edit_tells_programs_what_it_tells_people,
    standard_output_is_for_one_thing,
];

/// Checks that each text of a JSON value's `keys` is in what people read.
fn in_text(text: &str, value: &Value, keys: &[&str]) -> Checked {
    for key in keys {
        let Some(word) = value[key].as_str() else {
            return Err(format!("no {key} in {value:#}").into());
        };
        says(text, &[word])?;
    }
    Ok(())
}

fn a_pull_tells_programs_what_it_tells_people() -> Checked {
    let desk = with_layout()?;
    let text = desk.succeeds("extension pull oci:images:tools --output text")?;
    let printed = desk.succeeds("extension pull oci:images:tools --output json --format json")?;
    let list = parsed(&printed)?;
    ensure!(list.as_array().is_some_and(|it| it.len() == 1), "{list:#}");
    ensure!(
        list[0]["folder"] == "000.oci-images-tools" && list[0]["image"] == "oci:images:tools",
        "{list:#}"
    );
    let digest = list[0]["digest"].as_str().unwrap_or_default();
    ensure!(digest.starts_with("sha256:"), "{list:#}");
    in_text(&text, &list[0], &["folder", "image", "digest"])
}

fn packing_tells_programs_what_it_tells_people() -> Checked {
    let desk = Desk::new()?;
    desk.tree("all/000.a", &extension("a"))?;
    let text = desk.succeeds("extension pack all --output all.img")?;
    let printed = desk.succeeds("extension pack all --output again.img --format json")?;
    let value = parsed(&printed)?;
    ensure!(
        value["written"] == true && value["findings"] == json!([]),
        "{value:#}"
    );
    let layer = &value["layers"][0];
    ensure!(
        layer["layer"] == "000.a.sqsh" && layer["size"].as_u64().is_some_and(|size| size > 4096),
        "{value:#}"
    );
    in_text(&text, layer, &["layer", "digest"])?;
    ensure!(
        desk.read("all.img")? == desk.read("again.img")?,
        "another archive"
    );
    Ok(())
}

fn what_is_not_packed_is_told_with_its_findings() -> Checked {
    let desk = Desk::new()?;
    desk.tree("all/000.a", &extension("a").file("/README", "x"))?;
    let ran = desk.changes_nothing("extension pack all --output all.img --format json", 3)?;
    let value = parsed(&ran.stdout)?;
    ensure!(value["written"] == false, "{value:#}");
    let finding = &value["findings"][0];
    ensure!(finding["rule"] == "unexpected-file", "{value:#}");
    ensure!(finding["code"] == "SR-Y46", "{value:#}");
    in_text(
        &ran.stderr,
        finding,
        &["severity", "extension", "path", "rule", "message"],
    )
}

fn an_install_tells_programs_what_it_tells_people() -> Checked {
    program("mksquashfs")?;
    let desk = with_layout()?;
    configure(&desk, &["oci:images:tools"])?;
    desk.write("in.img", archive(&[("init", b"#!/bin/sh\n")])?)?;
    let text = desk.succeeds(FOR_TALOS)?;
    let value = parsed(&desk.succeeds(&format!("{FOR_TALOS} --format json"))?)?;
    ensure!(value["written"] == true, "{value:#}");
    in_text(&text, &value["layers"][0], &["layer"])?;
    in_text(
        &text,
        &value["verdicts"][0],
        &["image", "name", "version", "verdict"],
    )
}

fn an_edit_tells_programs_what_it_tells_people() -> Checked {
    let desk = Desk::new()?;
    let before = "machine:\n  type: worker\n";
    for (command, change) in [("add-extension", "added"), ("remove-extension", "removed")] {
        for file in ["text.yaml", "json.yaml"] {
            if change == "added" {
                desk.write(file, before)?;
            }
        }
        let text = desk.succeeds(&format!("config {command} text.yaml {NEW}"))?;
        ensure!(
            text == format!("{change} {NEW}, wrote text.yaml\n"),
            "{text}"
        );
        let printed = desk.succeeds(&format!("config {command} json.yaml {NEW} --format json"))?;
        let value = parsed(&printed)?;
        let expected = json!({"change": change, "image": NEW, "written": "json.yaml"});
        ensure!(value == expected, "{value:#}");
        ensure!(
            desk.read("text.yaml")? == desk.read("json.yaml")?,
            "another file"
        );
    }
    Ok(())
}

fn standard_output_is_for_one_thing() -> Checked {
    let desk = Desk::new()?;
    desk.write("machine.yaml", "machine:\n  type: worker\n")?;
    for command in ["add-extension", "remove-extension"] {
        let ran = desk.changes_nothing(
            &format!("config {command} machine.yaml {NEW} --output - --format json"),
            2,
        )?;
        ensure!(ran.stdout.is_empty(), "{}", ran.said());
        says(&ran.stderr, &["--format json", "--output -"])?;
    }
    Ok(())
}
