//! What is measured: our two builds, and the peers that this machine has.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The name of our full build in all tables.
pub const FULL: &str = "switch_root";
/// The name of our small build.
pub const SMALL: &str = "switch_root-aot";

/// The name of the peer that the budgets are measured beside.
pub const PEER: &str = "util-linux";

/// The name of the least that a switch with a judge takes.
pub const FLOOR: &str = "floor";

/// One program that switches roots.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name in tables.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// The name that it is called by, which tells multi-call binaries what to do.
    pub called: &'static str,
    /// Its options.
    pub options: Vec<String>,
    /// Libraries that it needs in the initramfs, by their paths.
    pub libraries: Vec<PathBuf>,
    /// Policy files beside the embedded default: path in the initramfs, contents.
    pub policies: Vec<(String, Vec<u8>)>,
    /// Runs on one processor.
    pub one_core: bool,
}

impl Subject {
    /// The size of the program in bytes, without its libraries.
    pub fn bytes(&self) -> u64 {
        std::fs::metadata(&self.program).map_or(0, |file| file.len())
    }
}

/// Our builds, as the environment names them, and the peers that are installed.
pub fn all() -> Result<Vec<Subject>, String> {
    let mut subjects = vec![
        ours(FULL, "SWITCH_ROOT_BIN")?,
        ours(SMALL, "SWITCH_ROOT_AOT_BIN")?,
    ];
    let peers = [
        (PEER, "switch_root", "switch_root"),
        ("busybox", "busybox", "switch_root"),
        ("toybox", "toybox", "switch_root"),
        ("klibc", "run-init", "run-init"),
    ];
    for (name, program, called) in peers {
        match which(program) {
            Some(program) => subjects.push(Subject {
                name: name.into(),
                libraries: libraries(&program),
                program,
                called,
                // It does without no console.
                options: match name {
                    "klibc" => vec!["-c".into(), "/dev/null".into()],
                    _ => Vec::new(),
                },
                policies: Vec::new(),
                one_core: false,
            }),
            None => println!("{name} is not measured: there is no {program}"),
        }
    }
    Ok(subjects)
}

fn ours(name: &str, variable: &str) -> Result<Subject, String> {
    let program =
        std::env::var_os(variable).ok_or_else(|| format!("{variable} does not name {name}"))?;
    Ok(Subject {
        name: name.into(),
        program: program.into(),
        called: "switch_root",
        options: vec!["--log".into(), "warn".into()],
        libraries: Vec::new(),
        policies: Vec::new(),
        one_core: false,
    })
}

/// Where a program is.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/lib/klibc/bin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// What the program is linked to: as ldd says, and klibc's one library, which
/// ldd does not know.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let mut libraries: Vec<PathBuf> = text
        .split_whitespace()
        .filter(|word| word.starts_with('/') && Path::new(word).is_file())
        .map(PathBuf::from)
        .collect();
    if program.starts_with("/usr/lib/klibc")
        && let Ok(entries) = std::fs::read_dir("/lib")
    {
        let klibc = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("klibc-"))
        };
        libraries.extend(entries.flatten().map(|entry| entry.path()).filter(klibc));
    }
    libraries
}
