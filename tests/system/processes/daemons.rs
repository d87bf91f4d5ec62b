//! FUSE file systems that new roots are served by, from this machine's packages.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use switch_root_tests::programs::output;
use switch_root_tests::scene::{NEW_ROOT, Scene};
use switch_root_tests::steps::{Content, Steps};

use crate::tools::{Checked, Stop, program};

use super::{BRANCH, served_from};

/// A directory that changes go to.
const UPPER: &str = "/branches/high";
/// A file with a file system in it.
const DISK: &str = "/branches/disk";

/// One of them.
pub struct Daemon {
    /// The program, and the name of its process.
    pub name: &'static str,
    /// Its Debian package.
    package: &'static str,
    /// Its arguments.
    arguments: &'static [&'static str],
}

const DAEMONS: [Daemon; 4] = [
    Daemon {
        name: "mergerfs",
        package: "mergerfs",
        arguments: &[
            "-o",
            "allow_other",
            "/branches/high:/branches/low",
            NEW_ROOT,
        ],
    },
    Daemon {
        name: "unionfs-fuse",
        package: "unionfs-fuse",
        arguments: &[
            "-o",
            "cow,allow_other",
            "/branches/high=RW:/branches/low=RO",
            NEW_ROOT,
        ],
    },
    Daemon {
        name: "fuse-overlayfs",
        package: "fuse-overlayfs",
        arguments: &[
            "-o",
            "lowerdir=/branches/low,upperdir=/branches/high/upper,workdir=/branches/high/work",
            NEW_ROOT,
        ],
    },
    Daemon {
        name: "ntfs-3g",
        package: "ntfs-3g",
        arguments: &[DISK, NEW_ROOT],
    },
];

/// Does something with each of them. Those that are not installed are skipped together, when
/// the others were tried.
pub fn each_daemon(mut check: impl FnMut(&Daemon) -> Checked) -> Checked {
    let mut missing = Vec::new();
    for daemon in &DAEMONS {
        match check(daemon) {
            Err(Stop::Skip(reason)) => missing.push(reason),
            Err(stop) => return Err(stop.during(daemon.name)),
            Ok(()) => {}
        }
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Stop::Skip(missing.join("; "))),
    }
}

impl Daemon {
    /// Has it serve the new root of a scene: its branches are two mounts, or a file system in
    /// a file that is filled first.
    pub fn serves(&self, scene: Scene) -> Result<Scene, Stop> {
        let program = program(self.name).map_err(|_| {
            Stop::Skip(format!(
                "there is no {}: install the package {}",
                self.name, self.package
            ))
        })?;
        let path = format!("/bin/{}", self.name);
        let mut scene = scene
            .executable(&path, Content::Copy(program.canonicalize()?))
            .tmpfs(BRANCH)
            .tmpfs(UPPER)
            .directory(format!("{UPPER}/upper"))
            .directory(format!("{UPPER}/work"));
        for library in libraries(&program)? {
            let content = Content::Copy(library.canonicalize()?);
            scene = scene.executable(library.to_string_lossy().as_bytes(), content);
        }
        let command = [&[path.as_str()], self.arguments].concat();
        let mut scene = served_from(scene, BRANCH)?;
        if self.arguments.contains(&DISK) {
            scene = scene.file(DISK, empty_ntfs()?).before(command);
            let copy = [
                switch_root_tests::companion::COMPANION,
                "copy",
                BRANCH,
                NEW_ROOT,
            ];
            return Ok(scene.before(copy));
        }
        Ok(scene.before(command))
    }
}

/// The libraries and the loader that a program needs, as ldd(1) has them.
fn libraries(program: &Path) -> Result<BTreeSet<PathBuf>, Stop> {
    let text = output(Command::new("ldd").arg(program))?;
    let text = String::from_utf8_lossy(&text);
    let words = text.split_whitespace();
    Ok(words
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect())
}

/// A file with an empty NTFS in it, as mkntfs(8) makes it.
fn empty_ntfs() -> Result<Content, Stop> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("empty.ntfs");
    std::fs::File::create(&file)?.set_len(48 << 20)?;
    output(
        Command::new("mkntfs")
            .args(["--force", "--fast", "--quiet"])
            .arg(&file),
    )?;
    Ok(Content::Copy(file))
}
