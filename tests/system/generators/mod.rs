//! Images that Debian's generators make with our hooks, on a machine that has our files
//! where the packages install them.

mod dracut;
mod initramfs_tools;
mod mkinitcpio;
mod scripts;

use std::fs;
use std::path::{Path, PathBuf};

use switch_root_tests::apply::apply_in;
use switch_root_tests::overlaid;
use switch_root_tests::snapshot::Tree;
use switch_root_tests::steps::{Content, Step, Steps};
use tempfile::TempDir;

use crate::check::ensure;
use crate::srctl::{Ran, tree};
use crate::tools::{self, Checked, Stop, named_by, need_privileges};

/// The tests of all generators.
pub fn cases() -> Vec<libtest_mimic::Trial> {
    [
        initramfs_tools::cases(),
        dracut::cases(),
        mkinitcpio::cases(),
        scripts::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The release of a kernel that is not there: no modules are wanted.
const RELEASE: &str = "6.1.0-test";
/// Where images have the boot binary.
const BINARY: &str = "/usr/lib/switch-root/switch_root";
/// The operator's policies.
const OPERATOR: &str = "/etc/switch-root/policies.d";

/// The files of this project for distributions.
fn ours(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../host/distribution")
        .join(path)
}

/// A machine with switch-root installed, and one of the generators.
struct Machine {
    /// What is laid over the machine's tree.
    folder: TempDir,
    generator: PathBuf,
}

impl Machine {
    /// A machine with our files, and with those of a generator that is unpacked under
    /// this name.
    fn new(generator: &str, hooks: &[(&str, &str)]) -> Result<Self, Stop> {
        need_privileges()?;
        let folder = named_by("SWITCH_ROOT_GENERATORS", "a directory with generators")?;
        let generator = folder.join(generator);
        if !generator.is_dir() {
            return Err(Stop::Skip(format!("there is no {}", generator.display())));
        }
        let machine = Self {
            folder: TempDir::new()?,
            generator,
        };
        fs::create_dir_all(machine.folder.path().join("scratch"))?;
        machine.add(installed(hooks)?)?;
        Ok(machine)
    }

    /// Adds files.
    fn add(&self, steps: Vec<Step>) -> Checked {
        Ok(apply_in(&self.folder.path().join("machine"), &steps)?)
    }

    /// Takes a file away that was added.
    fn remove(&self, path: &str) -> Checked {
        let path = self.folder.path().join("machine").join(&path[1..]);
        Ok(fs::remove_file(path)?)
    }

    /// Runs a script there; what it leaves in /out is in [`Machine::out`]. It begins anew
    /// each time.
    fn run(&self, script: &str) -> Result<Ran, Stop> {
        let out = self.out();
        let _ = fs::remove_dir_all(&out);
        fs::create_dir_all(&out)?;
        let machine = self.folder.path().join("machine");
        let trees = [self.generator.as_path(), &machine];
        let scratch = self.folder.path().join("scratch");
        let ended = overlaid::run(&trees, &scratch, &out, script)?;
        Ok(Ran::new(script, &ended))
    }

    /// The same, of what must succeed.
    fn succeeds(&self, script: &str) -> Result<Ran, Stop> {
        let ran = self.run(script)?;
        ensure!(ran.status == Some(0), "{}", ran.said());
        Ok(ran)
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// What is in the image that a script has unpacked to /out/image.
    fn image(&self) -> Result<Image, Stop> {
        let folder = self.out().join("image");
        Ok(Image {
            tree: tree(&folder)?,
            folder,
        })
    }
}

/// What our packages install, with the hooks of a generator, and a policy that is good.
fn installed(hooks: &[(&str, &str)]) -> Result<Vec<Step>, Stop> {
    let unit = "/usr/lib/systemd/system/switch-root-preserve.service";
    let mut steps = Vec::new()
        .file(
            unit,
            Content::Copy(ours("systemd/switch-root-preserve.service")),
        )
        .executable(BINARY, Content::Copy(tools::subject()?))
        .executable(
            "/usr/lib/switch-root/switch_root-aot",
            Content::Copy(tools::small()?),
        )
        .executable(
            "/usr/lib/switch-root/into-image",
            Content::Copy(ours("lib/into-image")),
        )
        .executable("/usr/bin/srctl", Content::Copy(tools::srctl()?))
        .file(
            "/etc/switch-root/initramfs.conf",
            Content::Copy(ours("etc/initramfs.conf")),
        )
        .file(
            format!("{OPERATOR}/50-abi.wasm"),
            tools::policy("kernel-abi")?,
        );
    for (from, to) in hooks {
        steps = steps.executable(to, Content::Copy(ours(from)));
    }
    Ok(steps)
}

/// Settings of the hooks.
fn settings(text: &str) -> Vec<Step> {
    Vec::new().file("/etc/switch-root/initramfs.conf", text)
}

/// A policy that no boot would run.
fn broken() -> Vec<Step> {
    Vec::new().file(format!("{OPERATOR}/60-broken.wasm"), "not WebAssembly")
}

/// Where the image lists whose signatures count.
const TRUST: &str = "/usr/lib/switch-root/trust";

/// A list of signers with one malformed line.
fn malformed_signers() -> Vec<Step> {
    Vec::new().file(
        "/etc/switch-root/trust/ops.signers",
        "# ours\nops@example.org\n",
    )
}

/// What is said of it.
const MALFORMED: [&str; 3] = [
    "/etc/switch-root/trust/ops.signers, line 2",
    "no image is made, whatever STRICT is",
    "would accept anybody's policies",
];

/// An unpacked image.
struct Image {
    folder: PathBuf,
    tree: Tree,
}

impl Image {
    /// Whether there is something of this name.
    fn has(&self, path: &str) -> bool {
        self.tree.contains_key(path)
    }

    /// What a link says.
    fn link(&self, path: &str) -> Option<&str> {
        let entry = self.tree.get(path)?;
        (entry.kind == "symlink").then_some(entry.content.as_deref()?)
    }

    /// Checks that a file is this one.
    fn is(&self, path: &str, file: &Path) -> Checked {
        let found = fs::read(self.folder.join(&path[1..]))
            .map_err(|error| Stop::Fail(format!("{path}: {error}")))?;
        ensure!(found == fs::read(file)?, "{path} is not {}", file.display());
        Ok(())
    }

    /// Checks which policies there are: the names of their files.
    fn policies(&self, expected: &[&str]) -> Checked {
        let names: Vec<&str> = self
            .tree
            .keys()
            .filter_map(|path| path.strip_prefix(OPERATOR)?.strip_prefix('/'))
            .collect();
        ensure!(names == expected, "{names:?} in place of {expected:?}");
        Ok(())
    }
}
