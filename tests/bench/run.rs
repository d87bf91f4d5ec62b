//! What identifies a run: the source, and the machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::utsname::uname;
use switch_root_tests::results::Run;

/// What this run measures, and where.
///
/// # Errors
/// What the kernel does not tell.
pub fn this_run() -> Result<Run, String> {
    let system = uname().map_err(|error| format!("asking for the kernel's release: {error}"))?;
    let processors = std::thread::available_parallelism()
        .map_err(|error| format!("counting processors: {error}"))?;
    Ok(Run {
        commit: git(&["rev-parse", "HEAD"]),
        changed: git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty()),
        kernel: system.release().to_string_lossy().into_owned(),
        processor: processor(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
        processors: processors.get(),
    })
}

/// What git says of the source; `None` where it is in no repository.
fn git(arguments: &[&str]) -> Option<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("git")
        .current_dir(source)
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// The processor's name in `/proc/cpuinfo`: processors of ARM have numbers there.
fn processor(cpuinfo: &str) -> String {
    let field = |name: &str| {
        let of_line = |line: &str| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim().to_owned())
        };
        cpuinfo.lines().find_map(of_line)
    };
    field("model name")
        .or_else(|| {
            let (maker, part) = (field("CPU implementer")?, field("CPU part")?);
            Some(format!("implementer {maker}, part {part}"))
        })
        .unwrap_or_else(|| std::env::consts::ARCH.into())
}
