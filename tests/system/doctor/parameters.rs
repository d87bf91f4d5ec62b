//! Whether a boot takes a parameter of the kernel as doctor says that it does.

use std::fs;

use serde_json::Value;
use switch_root_tests::outcome::End;
use switch_root_tests::scene::{INIT, Scene};
use switch_root_tests::steps::Steps;

use super::patient::{desk, findings, well};
use crate::check::{ensure, said};
use crate::srctl::json;
use crate::tools::{Checked, Stop, boot, need_privileges, play};

const NAMES: [&str; 9] = [
    "keep_initramfs",
    "foreground",
    "unchecked_init",
    "policies",
    "extensions",
    "incompatible",
    "log",
    "root",
    "rescue",
];

/// What is behind the name.
const VALUES: [&str; 10] = [
    "", "=1", "=yes", "=on", "=true", "=0", "=no", "=off", "=false", "=maybe",
];

/// What a parameter comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Effect {
    On,
    Off,
    NotUsed,
}

pub fn doctor_and_boot_agree_on_each_kernel_parameter() -> Checked {
    need_privileges()?;
    let desk = desk(&well()?)?;
    let mut wrong = Vec::new();
    for value in VALUES {
        let words: Vec<String> = NAMES
            .iter()
            .map(|name| format!("switch_root.{name}{value}"))
            .collect();
        let line = words.join(" ");
        let boot = Boot::of(&line)?;
        fs::write(desk.path("root/proc/cmdline"), format!("{line}\n"))?;
        let found = findings(&desk, "--root root", 0)?;
        for (name, word) in NAMES.iter().zip(&words) {
            let boot = boot.effect(name, word);
            let doctor = of_doctor(&found, word)?;
            if boot != doctor {
                wrong.push(format!("{word}: boot {boot:?}, doctor {doctor:?}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// How boots with a command line are planned.
struct Boot {
    /// Of one whose init can be executed.
    plan: Value,
    /// Whether one whose init cannot be executed is tried.
    unchecked: bool,
}

impl Boot {
    fn of(line: &str) -> Result<Self, Stop> {
        let planned = |scene: Scene| {
            play(
                &scene
                    .options(["--plan", "--format", "json"])
                    .kernel_command_line(line),
            )
        };
        let outcome = planned(boot()?)?;
        ensure!(outcome.end == End::Exited(0), "{}", said(&outcome));
        let broken = boot()?.in_new_root(|tree| tree.executable(INIT, "no program"));
        Ok(Self {
            plan: json(&outcome.stdout)?,
            unchecked: planned(broken)?.end == End::Exited(0),
        })
    }

    fn effect(&self, name: &str, word: &str) -> Effect {
        let said = format!("kernel parameter `{word}` is not used");
        let warnings = self.plan["warnings"].as_array().into_iter().flatten();
        let mut warnings = warnings.filter_map(Value::as_str);
        if warnings.any(|warning| warning.starts_with(&said)) {
            return Effect::NotUsed;
        }
        let plan = &self.plan["plan"];
        let is_on = match name {
            "keep_initramfs" => plan["deletion"]["action"] == "skip",
            "foreground" => plan["foreground"] == true,
            "unchecked_init" => self.unchecked,
            _ => true,
        };
        if is_on { Effect::On } else { Effect::Off }
    }
}

/// What doctor says of a parameter.
fn of_doctor(findings: &[Value], word: &str) -> Result<Effect, Stop> {
    let mut about = findings.iter().filter(|finding| finding["about"] == word);
    let (Some(finding), None) = (about.next(), about.next()) else {
        return Err(format!("not one finding about {word}: {findings:#?}").into());
    };
    let message = finding["message"].as_str().unwrap_or_default();
    Ok(match message {
        _ if message.contains("no effect") => Effect::NotUsed,
        _ if message.ends_with("as without it") => Effect::Off,
        _ => Effect::On,
    })
}
