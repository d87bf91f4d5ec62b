//! A machine that is well, to be changed in one thing after the other, and what is found
//! there.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use switch_root_tests::archive;
use switch_root_tests::steps::{Content, Make, Step, Steps};

use crate::check::{ensure, says};
use crate::srctl::{Desk, json};
use crate::tools::{Checked, Stop, native, policy};

/// What explains the checks.
pub const DOCUMENT: &str = include_str!("../../../host/srctl/DOCTOR.md");

pub const KERNEL: &str = "6.12.1-test";
pub const BOOT: &str = "11111111-2222-4333-8444-555555555555";
pub const ETC: &str = "/etc/switch-root/policies.d";
pub const PROGRAM: &str = "/usr/lib/switch-root/switch_root";
/// The hook of initramfs-tools.
pub const HOOK: &str = "/usr/share/initramfs-tools/hooks/switch-root";
/// What the hooks call.
pub const INTO_IMAGE: &str = "/usr/lib/switch-root/into-image";
/// An engine of another release.
pub const OTHER_ENGINE: &str = "switch-root 0.0.9, wasmtime 47";
pub const SETTINGS: &str = r#"{"limits": {"fuel": 100000000}}"#;

/// A file tree that can be changed.
#[derive(Clone, Default)]
pub struct Files(BTreeMap<String, Make>);

impl Files {
    pub fn file(mut self, path: &str, content: impl Into<Content>) -> Self {
        let content = content.into();
        self.0.insert(
            path.into(),
            Make::File {
                mode: 0o644,
                content,
            },
        );
        self
    }

    pub fn program(mut self, path: &str, content: impl Into<Content>) -> Self {
        let content = content.into();
        self.0.insert(
            path.into(),
            Make::File {
                mode: 0o755,
                content,
            },
        );
        self
    }

    pub fn link(mut self, path: &str, target: &str) -> Self {
        let target = target.into();
        self.0.insert(path.into(), Make::Symlink { target });
        self
    }

    pub fn without(mut self, path: &str) -> Self {
        self.0.retain(|name, _| {
            let below = name.strip_prefix(path);
            !below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        self
    }

    pub fn steps(&self) -> Vec<Step> {
        let files = self.0.iter();
        files.fold(Vec::new(), |steps, (path, make)| {
            steps.make(path.as_str(), make.clone())
        })
    }
}

/// The engine that compiled policies are of, out of a record.
pub fn engine() -> Result<String, Stop> {
    let bytes = native("default")?.bytes()?;
    let record = bytes
        .split(|byte| *byte == b'\n')
        .nth(1)
        .ok_or("no record")?;
    let record: Value = serde_json::from_slice(record)?;
    Ok(record["engine"].as_str().ok_or("no engine")?.into())
}

/// What has the texts by which the boot program is known.
pub fn boot_program(engine: &str, more: &str) -> Vec<u8> {
    format!("\x7fELF switch-root ahead-of-time policy 1\n{engine}\n{more}").into_bytes()
}

/// A machine, and the image that it boots.
#[derive(Clone)]
pub struct Machine {
    /// Its root directory.
    pub root: Files,
    /// What its image holds.
    pub image: Files,
}

/// A report of a boot, with warnings.
pub fn report_of(boot: &str, warnings: &[&str]) -> Value {
    json!({
        "schema": 1, "version": "0.1.0", "boot_id": boot, "kernel": null, "strategy": "move",
        "new_root": "/sysroot", "init": "/sbin/init", "policies": [], "review": {}, "judge": {},
        "survivors": [], "extensions": [], "deletion": {"state": "complete"}, "copied": null,
        "warnings": warnings, "timings": {},
    })
}

/// A Debian machine with everything in place.
pub fn well() -> Result<Machine, Stop> {
    let program = boot_program(&engine()?, "");
    let report = report_of(BOOT, &[]);
    let root = Files::default()
        .file("/etc/os-release", "ID=debian\nVERSION_ID=12\n")
        .program("/usr/sbin/update-initramfs", "#!/bin/sh\n")
        .program(
            "/usr/share/initramfs-tools/hooks/switch-root",
            "#!/bin/sh\n",
        )
        .program(INTO_IMAGE, "#!/bin/sh\n")
        .program("/usr/bin/srctl", "srctl")
        .program(PROGRAM, program.clone())
        .program(
            &format!("{PROGRAM}-aot"),
            boot_program(&engine()?, "this build of switch_root has no compiler"),
        )
        .file(
            "/etc/switch-root/initramfs.conf",
            "STRICT=no\nBINARY=full\n",
        )
        .file(&format!("{ETC}/50-more.wasm"), policy("default")?)
        .file(&format!("{ETC}/50-more.cwasm"), native("default")?)
        .file(&format!("{ETC}/50-more.json"), SETTINGS)
        .file("/proc/sys/kernel/osrelease", format!("{KERNEL}\n").as_str())
        .file(
            "/proc/sys/kernel/random/boot_id",
            format!("{BOOT}\n").as_str(),
        )
        .file("/proc/cmdline", "root=/dev/sda1 quiet\n")
        .file("/run/switch-root/report.json", report.to_string().as_str());
    let image = Files::default()
        .program("/init", "#!/bin/sh\nexec run-init ${rootmnt} /sbin/init\n")
        .file("/scripts/functions", "")
        .program("/usr/bin/run-init", program)
        .link("/bin", "usr/bin")
        .file("/file", "file")
        .file(&format!("{ETC}/50-more.wasm"), policy("default")?)
        .file(&format!("{ETC}/50-more.cwasm"), native("default")?)
        .file(&format!("{ETC}/50-more.json"), SETTINGS);
    Ok(Machine { root, image })
}

/// Lays a machine out in a folder, its image in its place.
pub fn desk(machine: &Machine) -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    desk.tree("root", &machine.root.steps())?;
    fs::create_dir_all(desk.path("root/boot"))?;
    desk.write(
        &format!("root/boot/initrd.img-{KERNEL}"),
        archive::of(&machine.image.steps())?,
    )?;
    Ok(desk)
}

/// Runs it, and gives the findings.
pub fn findings(desk: &Desk, arguments: &str, status: i32) -> Result<Vec<Value>, Stop> {
    let ran = desk.changes_nothing(&format!("doctor {arguments} --format json"), status)?;
    let document = json(&ran.stdout)?;
    ensure!(document["schema"] == 1, "{document:#}");
    let findings = document["findings"].as_array().ok_or("no findings")?;
    let unknown = findings.iter().any(|finding| finding["unknown"] == true);
    let expected = match (document["worst"].as_str(), unknown) {
        (Some("problem"), _) => 3,
        (Some("ok" | "note" | "warning"), false) => 0,
        (Some("warning"), true) => 4,
        _ => 1,
    };
    ensure!(expected == status, "{document:#}");
    for finding in findings {
        let check = finding["check"].as_str().unwrap_or_default();
        ensure!(
            DOCUMENT.contains(&format!("\n| `{check}` | ")),
            "DOCTOR.md does not explain {check}"
        );
        let severe = matches!(finding["severity"].as_str(), Some("warning" | "problem"));
        ensure!(
            severe == finding["remedy"].is_string(),
            "what is not well has a remedy, and nothing else: {finding:#}"
        );
    }
    Ok(findings.clone())
}

/// The findings that something is to be done about, as check and severity, or `unknown`.
pub fn severe(findings: &[Value]) -> Vec<String> {
    findings
        .iter()
        .filter(|finding| finding["remedy"].is_string())
        .map(|finding| {
            let severity = match finding["unknown"] == true {
                true => &Value::Null,
                false => &finding["severity"],
            };
            let severity = severity.as_str().unwrap_or("unknown");
            format!(
                "{} {severity}",
                finding["check"].as_str().unwrap_or_default()
            )
        })
        .collect()
}

/// Checks that one change to a machine has these findings, and no others that something is
/// to be done about; and that these words are in them.
pub fn has(machine: &Machine, what: &str, expected: &[&str], words: &[&str]) -> Checked {
    let is = |word: &str| expected.iter().any(|finding| finding.ends_with(word));
    let status = match (is("problem"), is("unknown")) {
        (true, _) => 3,
        (false, true) => 4,
        (false, false) => 0,
    };
    let check = || {
        let desk = desk(machine)?;
        let found = findings(&desk, "--root root", status)?;
        let all = format!("{:#}", Value::Array(found.clone()));
        ensure!(
            severe(&found) == expected,
            "{:?} are not {expected:?}\n{all}",
            severe(&found)
        );
        says(&all, words)
    };
    check().map_err(|stop: Stop| stop.during(what))
}
