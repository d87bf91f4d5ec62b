//! What the tests run: the programs that cargo built, and those that the environment
//! names. A test whose tools are missing is skipped and says what is missing; with
//! `CI=true` that is a failure.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libtest_mimic::{Completion, Failed, Trial};
use switch_root_tests::architecture::Architecture;
use switch_root_tests::machine::{self, Boot};
use switch_root_tests::modules;
use switch_root_tests::namespace;
use switch_root_tests::outcome::Outcome;
use switch_root_tests::scene::{Root, Scene};
use switch_root_tests::steps::{Content, Steps};

use crate::durations::timed;
use crate::machines::sample;

/// Why a test did not go on.
#[derive(Clone, Debug)]
pub enum Stop {
    /// Something that it needs is missing.
    Skip(String),
    /// What it is about is not in what is tested, wherever that is done.
    NotThere(String),
    /// What it checks is not so.
    Fail(String),
}

impl Stop {
    /// The same, with the case that it happened in.
    pub fn during(self, case: &str) -> Self {
        match self {
            Self::Fail(reason) => Self::Fail(format!("{case}: {reason}")),
            other => other,
        }
    }
}

impl<E: std::fmt::Display> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Fail(error.to_string())
    }
}

/// Where cargo builds the policies that tests begin: what they have in common is compiled
/// once.
pub const POLICIES_TARGET: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/policies");

/// What a test gives back.
pub type Checked = Result<(), Stop>;

/// Makes trials of functions; the functions' names are the sentences.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        /// The tests of this theme.
        pub fn cases() -> Vec<libtest_mimic::Trial> {
            vec![$(crate::tools::trial(module_path!(), stringify!($case), $case)),*]
        }
    };
}
pub(crate) use cases;

/// One trial. Use [`cases!`].
pub fn trial(module: &str, name: &str, case: fn() -> Checked) -> Trial {
    let theme = module.rsplit("::").next().unwrap_or(module);
    timed(format!("{theme}::{name}"), case)
}

/// Gives a test's result to the runner.
pub fn completion(checked: Checked) -> Result<Completion, Failed> {
    match checked {
        Ok(()) => Ok(Completion::Completed),
        Err(Stop::Fail(reason)) => Err(Failed::from(reason)),
        Err(Stop::Skip(reason)) if std::env::var("CI").is_ok_and(|value| value == "true") => {
            Err(Failed::from(format!(
                "skipped, which is a failure with CI=true: {reason}"
            )))
        }
        Err(Stop::Skip(reason) | Stop::NotThere(reason)) => Ok(Completion::ignored_with(reason)),
    }
}

/// The probe, which must be static: nothing else is in the new root.
pub fn probe() -> Result<&'static Path, Stop> {
    static STATIC: LazyLock<Result<(), String>> = LazyLock::new(|| {
        let bytes = std::fs::read(PROBE).map_err(|error| format!("{PROBE}: {error}"))?;
        // Only a program that needs a loader names one.
        match bytes.windows(4).any(|name| name == b"/ld-") && cfg!(target_env = "gnu") {
            true => Err(
                "run these tests with --target x86_64-unknown-linux-musl: the probe must \
                         be a static program"
                    .into(),
            ),
            false => Ok(()),
        }
    });
    STATIC.clone().map_err(Stop::Skip)?;
    Ok(Path::new(PROBE))
}

const PROBE: &str = env!("CARGO_BIN_EXE_probe");
const SUPERVISOR: &str = env!("CARGO_BIN_EXE_supervisor");

/// What a variable of the environment names.
pub fn named_by(variable: &str, what: &str) -> Result<PathBuf, Stop> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    let path = path.ok_or_else(|| Stop::Skip(format!("{variable} does not name {what}")))?;
    match path.exists() {
        true => Ok(std::path::absolute(path)?),
        false => Err(Stop::Skip(format!(
            "{variable}: there is no {}",
            path.display()
        ))),
    }
}

/// The program under test.
pub fn subject() -> Result<PathBuf, Stop> {
    named_by("SWITCH_ROOT_BIN", "the static switch_root to test")
}

/// The build of it that has no compiler.
pub fn small() -> Result<PathBuf, Stop> {
    named_by("SWITCH_ROOT_AOT_BIN", "the static switch_root-aot to test")
}

/// The operator's command line.
pub fn srctl() -> Result<PathBuf, Stop> {
    named_by("SWITCH_ROOT_SRCTL", "the srctl to test")
}

/// The directory of policies.
pub fn policies() -> Result<PathBuf, Stop> {
    named_by("SWITCH_ROOT_POLICIES", "the directory of policies")
}

/// A file that a test copies.
pub fn copied(path: PathBuf) -> Result<Content, Stop> {
    match path.exists() {
        true => Ok(Content::Copy(path)),
        false => Err(Stop::Skip(format!("there is no {}", path.display()))),
    }
}

/// A policy by its name, such as `hostile`.
pub fn policy(name: &str) -> Result<Content, Stop> {
    copied(policies()?.join(format!("{name}.wasm")))
}

/// The same policy, compiled ahead of time.
pub fn native(name: &str) -> Result<Content, Stop> {
    copied(policies()?.join(format!("{name}.cwasm")))
}

/// The kernels to boot on machines like this one, oldest first: of a sample the first and
/// the last.
pub fn kernels() -> Result<Vec<PathBuf>, Stop> {
    all_kernels().map(sample)
}

/// All of them.
pub fn all_kernels() -> Result<Vec<PathBuf>, Stop> {
    kernels_of(Architecture::X86_64)
}

/// The kernels of an architecture, oldest first.
pub fn kernels_of(architecture: Architecture) -> Result<Vec<PathBuf>, Stop> {
    machine::possible(architecture).map_err(Stop::Skip)?;
    let folder = named_by(
        "SWITCH_ROOT_KERNELS",
        "a directory with kernels, vmlinuz-RELEASE",
    )?;
    let folder = match architecture {
        Architecture::X86_64 => folder,
        other => folder.join(other.name()),
    };
    let found = match folder.exists() {
        true => machine::kernels(&folder)?,
        false => Vec::new(),
    };
    match found.is_empty() {
        true => Err(Stop::Skip(format!(
            "there is no kernel for {} in {}",
            architecture.name(),
            folder.display()
        ))),
        false => Ok(found),
    }
}

/// Adds the modules of a kernel, each changed by `change`: see [`modules::add`].
pub fn with_modules<S: Steps>(
    tree: S,
    kernel: &Path,
    change: impl Fn(&Path) -> std::io::Result<(String, Content)>,
) -> Result<S, Stop> {
    let folder = modules::folder(kernel);
    match folder.exists() {
        true => Ok(modules::add(tree, kernel, change)?),
        false => Err(Stop::Skip(format!("there is no {}", folder.display()))),
    }
}

/// A program of this machine, for tests of the harness itself.
pub fn program(name: &str) -> Result<PathBuf, Stop> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|it| it.exists());
    found.ok_or_else(|| Stop::Skip(format!("there is no program {name}: install it")))
}

/// Prometheus' own tool: one that is unpacked among the generators, or that is installed.
pub fn promtool() -> Result<PathBuf, Stop> {
    let folder = named_by(
        "SWITCH_ROOT_GENERATORS",
        "a directory with Debian's packages",
    );
    match folder.map(|folder| folder.join("prometheus/usr/bin/promtool")) {
        Ok(unpacked) if unpacked.exists() => Ok(unpacked),
        _ => program("promtool"),
    }
}

/// Stops a test that needs device nodes or inode flags.
pub fn need_privileges() -> Checked {
    match nix::unistd::geteuid().is_root() {
        true => Ok(()),
        false => Err(Stop::Skip("needs to run as root".into())),
    }
}

/// An ordinary boot with the program under test.
pub fn boot() -> Result<Scene, Stop> {
    Ok(Scene::boot(&subject()?, probe()?))
}

/// The same with the build that has no compiler.
pub fn boot_small() -> Result<Scene, Stop> {
    Ok(Scene::boot(&small()?, probe()?))
}

/// Plays a scene in namespaces.
pub fn play(scene: &Scene) -> Result<Outcome, Stop> {
    static POSSIBLE: LazyLock<Result<(), String>> =
        LazyLock::new(|| namespace::possible(Path::new(SUPERVISOR)));
    POSSIBLE.clone().map_err(Stop::Skip)?;
    // A root on disk must be on a disk, which a directory for temporary files need not be.
    let staging = match scene.root {
        Root::Memory(_) | Root::Overlay(_) => tempfile::tempdir()?,
        Root::Disk => tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?,
    };
    Ok(namespace::play(
        Path::new(SUPERVISOR),
        scene,
        staging.path(),
    )?)
}

/// Plays a scene in a virtual machine.
pub fn boot_kernel(kernel: &Path, scene: &Scene) -> Result<Boot, Stop> {
    let scratch = tempfile::tempdir()?;
    Ok(machine::boot(kernel, scene, probe()?, scratch.path())?)
}

/// Puts a policy into the vendor's folder.
pub trait Policies: Steps {
    /// `name` is the file's name without its ending, such as `50-hostile`; `sidecar` is
    /// the JSON beside it, if there is any.
    fn policy(self, name: &str, component: Content, sidecar: Option<&str>) -> Self {
        let path = |ending: &str| format!("/usr/lib/switch-root/policies.d/{name}.{ending}");
        let with_policy = self.file(path("wasm"), component);
        match sidecar {
            Some(sidecar) => with_policy.file(path("json"), sidecar),
            None => with_policy,
        }
    }
}

impl<S: Steps> Policies for S {}
