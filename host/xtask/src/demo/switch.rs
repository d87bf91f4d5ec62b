//! The first part: from an initramfs full of files to a new root.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use switch_root_tests::machine;
use switch_root_tests::namespace;
use switch_root_tests::scene::Scene;
use switch_root_tests::snapshot::Usage;
use switch_root_tests::steps::{Content, Make, Steps};
use switch_root_tests::testimony::Testimony;

use super::program_paths::Programs;
use super::show::{self, CYAN, FAINT, GREEN, Paint, RED, list, text};
use crate::run::step;

/// Folders of this machine whose files fill the initramfs, and how many of each.
const SOURCES: [(&str, usize); 6] = [
    ("/etc", 120),
    ("/etc/ssl", 20),
    ("/usr/bin", 80),
    ("/usr/share/zoneinfo/Europe", 20),
    ("/usr/share/zoneinfo", 100),
    ("/usr/share/doc", 80),
];
/// Files that are larger than this are left out.
const LARGEST: u64 = 300 << 10;

/// Folders of which is shown what was deleted: those with the most files.
const FOLDERS: usize = 8;

const KEEP_PATHS: &str = r#"{"settings": {
  "keep": ["/etc/ssl/*.cnf", "/etc/ho*", "/usr/share/zoneinfo/Europe/B*"],
  "carry": {"/etc/demo-credentials": "/etc/credentials"}
}}"#;

const ALLOWLIST: &str = r#"{"settings": {"allow": [{"name": "gvisor"}, {"name": "old-driver"}]}}"#;

const EXTENSIONS: &str = r#"layers:
  - image: 000.gvisor.sqsh
    metadata:
      name: gvisor
      version: 20260101.0
      compatibility: {probeos: {version: ">= v2.0.0"}}
  - image: 001.old-driver.sqsh
    metadata:
      name: old-driver
      version: 0.9.1
      compatibility: {probeos: {version: "~> 1.4"}}
  - image: 002.stranger.sqsh
    metadata:
      name: stranger
      version: 1.0.0
"#;

/// What one run showed.
pub struct Shown {
    /// Where it ran, for the heading.
    place: String,
    seen: Testimony,
    before: Usage,
    /// The files that were in the initramfs.
    packed: Vec<String>,
}

/// Makes the initramfs and boots it.
///
/// # Errors
/// What cannot be booted.
pub fn run(programs: &Programs, components: &Path, scratch: &Path) -> Result<Shown> {
    let scene = scene(&programs.boot, &programs.probe, components);
    match &programs.kernel {
        Some(kernel) => boot(kernel, &scene, &programs.probe, scratch),
        None => play(&programs.supervisor, &scene, scratch),
    }
}

fn boot(kernel: &Path, scene: &Scene, probe: &Path, scratch: &Path) -> Result<Shown> {
    let name = kernel.file_name().unwrap_or_default().to_string_lossy();
    step(&format!("booting {name} in QEMU"));
    let boot = machine::boot(kernel, scene, probe, scratch).context("starting QEMU")?;
    let seen = boot
        .testimony
        .ok_or_else(|| anyhow!("the machine did not come up:\n{}", boot.console))?;
    let before = seen
        .stage1
        .as_ref()
        .map(|stage1| stage1.usage)
        .unwrap_or_default();
    Ok(Shown {
        place: format!("Linux {} in QEMU", seen.kernel),
        seen,
        before,
        packed: packed(scene),
    })
}

fn play(supervisor: &Path, scene: &Scene, scratch: &Path) -> Result<Shown> {
    let outcome = namespace::play(supervisor, scene, scratch).map_err(anyhow::Error::msg)?;
    let seen = outcome
        .testimony
        .ok_or_else(|| anyhow!("the init was not started:\n{}", outcome.stderr))?;
    Ok(Shown {
        place: "namespaces of this machine".into(),
        seen,
        before: outcome.before.usage,
        packed: packed(scene),
    })
}

fn scene(binary: &Path, probe: &Path, components: &Path) -> Scene {
    let policy = |name: &str| Content::Copy(components.join(name).with_extension("wasm"));
    let folder = "/etc/switch-root/policies.d";
    let mut scene = Scene::boot(binary, probe)
        .file("/extensions.yaml", EXTENSIONS)
        .file("/etc/demo-credentials", "for the running system\n")
        .file(format!("{folder}/50-keep-paths.wasm"), policy("keep-paths"))
        .file(format!("{folder}/50-keep-paths.json"), KEEP_PATHS)
        .file(
            format!("{folder}/60-extension-allowlist.wasm"),
            policy("extension-allowlist"),
        )
        .file(format!("{folder}/60-extension-allowlist.json"), ALLOWLIST)
        .time_limit(180);
    for (source, most) in SOURCES {
        let mut files = Vec::new();
        collect(Path::new(source), most, &mut files);
        for file in files {
            scene = scene.file(
                file.to_string_lossy().as_bytes(),
                Content::Copy(file.clone()),
            );
        }
    }
    scene
}

/// Files below a folder that anyone may read, in the order of their names.
fn collect(folder: &Path, most: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if files.len() == most {
            return;
        }
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        if metadata.is_dir() {
            collect(&path, most, files);
        } else if metadata.is_file()
            && metadata.len() <= LARGEST
            && metadata.permissions().mode() & 0o004 != 0
        {
            files.push(path);
        }
    }
}

/// The files that the scene puts into the initramfs.
fn packed(scene: &Scene) -> Vec<String> {
    scene
        .steps
        .iter()
        .filter(|step| {
            matches!(step.make, Make::File { .. }) && !step.path.starts_with(b"/sysroot/")
        })
        .map(|step| String::from_utf8_lossy(&step.path).into_owned())
        .collect()
}

/// Shows what was kept and deleted, and why.
///
/// # Errors
/// There is no report, or it cannot be written.
pub fn print(shown: &Shown, scratch: &Path) -> Result<()> {
    let paint = Paint::new();
    let report = shown
        .seen
        .report
        .as_ref()
        .context("the new root has no report")?;
    paint.heading(&format!(
        "switch_root handed over by {} on {}",
        text(&report["strategy"]),
        shown.place
    ));
    print_policies(&paint, report);
    print_survivors(&paint, report);
    print_deleted(&paint, report, shown);
    paint.heading("Extensions");
    show::verdicts(&paint, report);
    paint.heading("As the new root's init saw it");
    let seen = &shown.seen;
    println!(
        "  process {}, program {}",
        seen.process,
        seen.executable.as_deref().unwrap_or("unknown")
    );
    let left = seen.preserved.as_ref().map_or(0, BTreeMap::len);
    println!("  /run/switch-root/preserved holds {left} files and directories, read-only");
    let available =
        |memory: &BTreeMap<String, u64>| memory.get("MemAvailable").copied().unwrap_or(0) / 1024;
    if let Some(stage1) = &seen.stage1 {
        println!(
            "  memory available: {} MiB before the switch, {} MiB after",
            available(&stage1.memory),
            available(&seen.memory)
        );
    }
    for warning in report["warnings"].as_array().into_iter().flatten() {
        println!(
            "  {}",
            paint.with("33", format!("warning: {}", text(warning)))
        );
    }
    println!(
        "  the whole report: /run/switch-root/report.json there, target/demo/report.json here"
    );
    fs::write(scratch.join("report.json"), format!("{report:#}\n")).context("writing the report")
}

fn print_policies(paint: &Paint, report: &Value) {
    paint.heading("Policies that were asked");
    for policy in list(&report["policies"]) {
        let answers: Vec<&str> = list(&policy["answers"]).filter_map(Value::as_str).collect();
        let how = if policy["compiled"] == true {
            "compiled at boot"
        } else {
            "compiled ahead of time"
        };
        println!(
            "  {:<24} {:<27} {} fuel, {:.1} ms, {how}",
            text(&policy["name"]),
            answers.join(", "),
            policy["fuel"],
            policy["time_us"].as_f64().unwrap_or(0.0) / 1000.0,
        );
        for failure in list(&policy["failures"]) {
            println!("    {}", paint.with(RED, text(&failure["message"])));
        }
    }
}

fn print_survivors(paint: &Paint, report: &Value) {
    paint.heading("Kept, and by whose word");
    for survivor in list(&report["survivors"]) {
        let by: Vec<&str> = list(&survivor["by"]).filter_map(Value::as_str).collect();
        let path = format!("{:<40}", text(&survivor["path"]));
        let mut line = format!("  {} {}", paint.with(GREEN, path), by.join(", "));
        if let Some(target) = survivor["carried_to"].as_str() {
            line.push_str(&paint.with(CYAN, format!("  -> {target}, read-only")));
        }
        if let Some(note) = survivor["note"].as_str() {
            line.push_str(&paint.with(FAINT, format!("  ({note})")));
        }
        println!("{line}");
    }
}

fn print_deleted(paint: &Paint, report: &Value, shown: &Shown) {
    paint.heading("Deleted, since nobody keeps it");
    let preserved = shown.seen.preserved.as_ref();
    let mut folders: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for path in shown
        .packed
        .iter()
        .filter(|path| !preserved.is_some_and(|tree| tree.contains_key(*path)))
    {
        let folder: Vec<&str> = path.split('/').skip(1).take(2).collect();
        let depth = if path.matches('/').count() > 2 { 2 } else { 1 };
        folders
            .entry(format!("/{}", folder[..depth].join("/")))
            .or_default()
            .push(path);
    }
    let (count, all) = (folders.len(), folders.values().map(Vec::len).sum::<usize>());
    let mut folders: Vec<_> = folders.into_iter().collect();
    folders.sort_by_key(|(_, files)| std::cmp::Reverse(files.len()));
    folders.truncate(FOLDERS);
    let shown_files: usize = folders.iter().map(|(_, files)| files.len()).sum();
    for (folder, files) in &folders {
        let names: Vec<&str> = files
            .iter()
            .take(3)
            .filter_map(|path| path.rsplit('/').next())
            .collect();
        let more = if files.len() > names.len() {
            ", ..."
        } else {
            ""
        };
        let folder = paint.with(RED, format!("{folder:<24}"));
        println!(
            "  {folder} {:>4}  {}",
            files.len(),
            paint.with(FAINT, format!("{}{more}", names.join(", ")))
        );
    }
    if count > folders.len() {
        let line = format!(
            "{:<24} {:>4}",
            format!("{} more folders", count - folders.len()),
            all - shown_files
        );
        println!("  {}", paint.with(FAINT, line));
    }
    let deletion = &report["deletion"];
    println!(
        "  {} files and {} directories, {} ({:.1} MiB of {:.1} MiB freed)",
        deletion["files"],
        deletion["directories"],
        text(&deletion["state"]),
        deletion["freed_bytes"].as_f64().unwrap_or(0.0) / f64::from(1 << 20),
        shown.before.bytes as f64 / f64::from(1 << 20),
    );
}
