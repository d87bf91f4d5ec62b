//! The description of one run: an initramfs, a new root, and the command that is to
//! hand over from one to the other.

use std::ffi::OsStr;
use std::io::{Error, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::fault::Watch;
use crate::steps::{Content, Make, Step, Steps};

/// Where scenes mount the new root.
pub const NEW_ROOT: &str = "/sysroot";
/// Where the layers of an initramfs lie that is an overlay.
pub const SQUASH: &str = "/squash";
/// Where scenes put the program under test.
pub const SUBJECT: &str = "/bin/switch_root";
/// Where images that are booted whole have the program under test. `/init` is stage 1 in
/// a virtual machine.
pub const IMAGE_INIT: &str = "/bin/init";
/// The init of the new root, seen from within it: the probe.
pub const INIT: &str = "/sbin/init";
/// What the probe is to look at, seen from within the new root.
pub const QUESTIONS: &str = "/etc/questions.json";

/// What `/` of the initramfs is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Root {
    /// A file system without a device: `tmpfs` or `ramfs`.
    Memory(String),
    /// A directory of the machine that runs the tests, bound onto itself; which one is
    /// up to the runner.
    Disk,
    /// An overlay as the squash module of dracut makes it: its lower layer is this image of
    /// squashfs, or else an empty directory, and what the scene makes lies in the upper one.
    /// All layers are below [`SQUASH`].
    Overlay(Option<PathBuf>),
}

/// How the new root is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NewRoot {
    /// A tmpfs of its own.
    Mounted,
    /// A tmpfs of its own that is read-only when the subject starts.
    ReadOnly,
    /// A bind mount of another directory of the initramfs.
    SameFileSystem,
    /// A plain directory.
    Unmounted,
    /// Nothing is made.
    Missing,
}

/// A resource that there is little of. Only the soft limit is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// Open file descriptors, the three standard ones among them.
    Descriptors(u64),
    /// Bytes of address space.
    AddressSpace(u64),
    /// Bytes of memory of its own.
    Data(u64),
}

impl Limit {
    /// Its number, and how much there is.
    fn parts(self) -> (Resource, u64) {
        match self {
            Self::Descriptors(count) => (Resource::RLIMIT_NOFILE, count),
            Self::AddressSpace(bytes) => (Resource::RLIMIT_AS, bytes),
            Self::Data(bytes) => (Resource::RLIMIT_DATA, bytes),
        }
    }

    /// Makes it so for this process and its children.
    ///
    /// # Errors
    /// Those of setrlimit(2).
    pub fn set(self) -> nix::Result<()> {
        let (resource, soft) = self.parts();
        setrlimit(resource, soft, getrlimit(resource)?.1)
    }

    /// Lifts all limits again, as far as that is allowed.
    pub fn lift() {
        for limit in [Self::Descriptors(0), Self::AddressSpace(0), Self::Data(0)] {
            let (resource, _) = limit.parts();
            if let Ok((_, hard)) = getrlimit(resource) {
                let _ = setrlimit(resource, hard, hard);
            }
        }
    }
}

/// What becomes of the probe once it has written its testimony.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Ending {
    /// It exits with status 0.
    #[default]
    Exit,
    /// It powers the machine off.
    PowerOff,
}

/// What the probe is asked to look at.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Questions {
    /// Absolute paths, escaped, whose bytes and read-only-ness are wanted.
    pub files: Vec<String>,
    /// Absolute paths, escaped, that more is wanted of.
    pub details: Vec<String>,
    /// How long to wait for the report to be complete and the children of PID 1 to
    /// end, in milliseconds.
    pub patience_ms: u64,
    /// The names of processes that live on, and are not waited for.
    pub living: Vec<String>,
    /// How long to wait after that before the second look, in milliseconds.
    pub linger_ms: u64,
    /// Whether the kernel is to start programs: see [`crate::probe::start_helpers`].
    pub helpers: bool,
    /// What comes last.
    pub ending: Ending,
}

/// One run. Made with [`Scene::boot`], changed with the methods here and in [`Steps`],
/// played by [`crate::namespace::play`] or [`crate::machine::boot`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scene {
    /// What `/` is. Namespaces only: in a virtual machine it is the kernel's rootfs.
    pub root: Root,
    /// The file systems that are mounted before the subject starts, out of `/dev`,
    /// `/proc`, `/sys` and `/run`.
    pub pseudo: Vec<String>,
    /// How the new root is made.
    pub new_root: NewRoot,
    /// Its directories for the pseudo file systems.
    pub targets: Vec<String>,
    /// What is made, in order. Paths are those of the initramfs.
    pub steps: Vec<Step>,
    /// What is made after `steps` and after the new root became read-only.
    pub last_steps: Vec<Step>,
    /// Commands that process 1 runs before, each to its end. What they leave in the
    /// background lives on.
    pub before: Vec<Vec<Vec<u8>>>,
    /// Program and arguments, as the initramfs sees them; bytes.
    pub command: Vec<Vec<u8>>,
    /// Environment of the command, `NAME=value`.
    pub environment: Vec<String>,
    /// Whether the command is process 1, or a child of it.
    pub first_process: bool,
    /// What `/proc/cmdline` says; that of the running kernel where it is `None`. In a
    /// virtual machine it is added to the kernel's command line.
    pub kernel_command_line: Option<String>,
    /// Whether `/dev/console` is a terminal whose output is collected. Namespaces only.
    pub console: bool,
    /// What the probe looks at.
    pub questions: Questions,
    /// Everything is killed after this many milliseconds.
    pub time_limit_ms: u64,
    /// What the subject may use up, as setrlimit(2) has it. Namespaces only; the probe
    /// lifts what it inherits of it.
    pub limits: Vec<Limit>,
    /// Whether the system calls of the subject are watched. Namespaces only, and only a
    /// subject that is process 1.
    pub watch: Option<Watch>,
}

impl Steps for Scene {
    fn steps(&mut self) -> &mut Vec<Step> {
        &mut self.steps
    }
}

impl Scene {
    /// An ordinary boot: a tmpfs initramfs which holds `subject` at [`SUBJECT`], `/dev`,
    /// `/proc`, `/sys` and `/run` mounted, a tmpfs new root at [`NEW_ROOT`] with `probe`
    /// as its [`INIT`] and an os-release, and the command `switch_root /sysroot
    /// /sbin/init`.
    pub fn boot(subject: &Path, probe: &Path) -> Self {
        let pseudo = ["/dev", "/proc", "/sys", "/run"].map(String::from).to_vec();
        let scene = Self {
            root: Root::Memory("tmpfs".into()),
            pseudo: pseudo.clone(),
            new_root: NewRoot::Mounted,
            targets: pseudo,
            steps: Vec::new(),
            last_steps: Vec::new(),
            before: Vec::new(),
            command: Vec::new(),
            environment: vec!["PATH=/sbin:/bin".into(), "HOME=/".into()],
            first_process: true,
            kernel_command_line: None,
            console: false,
            questions: Questions {
                patience_ms: 20_000,
                ..Questions::default()
            },
            time_limit_ms: 60_000,
            limits: Vec::new(),
            watch: None,
        };
        scene
            .executable(SUBJECT, Content::Copy(subject.into()))
            .in_new_root(|tree| {
                tree.executable(INIT, Content::Copy(probe.into())).file(
                    "/etc/os-release",
                    "ID=probeos\nVERSION_ID=\"2.5.1\"\nPRETTY_NAME=\"Probe OS\"\n",
                )
            })
            .command([SUBJECT, NEW_ROOT, INIT])
    }

    /// An image that is booted whole: an initramfs which holds nothing but `subject` as
    /// its init. What it boots is added with [`Steps`].
    pub fn image(subject: &Path) -> Self {
        let mut scene = Self::boot(subject, subject);
        scene.steps.clear();
        // What the kernel command line says can only be changed where it is seen.
        scene.pseudo.retain(|place| place == "/proc");
        scene.targets.clear();
        scene.new_root = NewRoot::Missing;
        scene
            .executable(IMAGE_INIT, Content::Copy(subject.into()))
            .command([IMAGE_INIT])
    }

    /// Adds steps whose paths are those of the new root.
    pub fn in_new_root(mut self, describe: impl FnOnce(Vec<Step>) -> Vec<Step>) -> Self {
        self.steps
            .extend(describe(Vec::new()).into_iter().map(|step| Step {
                path: [NEW_ROOT.as_bytes(), &step.path].concat(),
                make: step.make,
            }));
        self
    }

    /// Adds a step that comes after all others.
    pub fn at_last(mut self, path: impl AsRef<[u8]>, make: Make) -> Self {
        self.last_steps.push(Step {
            path: path.as_ref().to_vec(),
            make,
        });
        self
    }

    /// Replaces the command.
    pub fn command<A: AsRef<[u8]>>(mut self, command: impl IntoIterator<Item = A>) -> Self {
        self.command = command
            .into_iter()
            .map(|part| part.as_ref().to_vec())
            .collect();
        self
    }

    /// Adds a command that is run before.
    pub fn before<A: AsRef<[u8]>>(mut self, command: impl IntoIterator<Item = A>) -> Self {
        let command = command.into_iter().map(|part| part.as_ref().to_vec());
        self.before.push(command.collect());
        self
    }

    /// Runs the commands that come before the subject.
    ///
    /// # Errors
    /// The one that failed.
    pub fn run_before(&self) -> std::io::Result<()> {
        for command in &self.before {
            let words: Vec<&OsStr> = command.iter().map(|word| OsStr::from_bytes(word)).collect();
            let (program, arguments) = words.split_first().ok_or(ErrorKind::InvalidInput)?;
            let status = Command::new(program).args(arguments).status();
            if !status.as_ref().is_ok_and(ExitStatus::success) {
                let words = words.join(OsStr::new(" "));
                return Err(Error::other(format!("{}: {status:?}", words.display())));
            }
        }
        Ok(())
    }

    /// Puts options between the program and the rest of the command.
    pub fn options<A: AsRef<[u8]>>(mut self, options: impl IntoIterator<Item = A>) -> Self {
        self.command
            .splice(1..1, options.into_iter().map(|part| part.as_ref().to_vec()));
        self
    }

    /// Makes the new root in another way.
    pub fn new_root(mut self, kind: NewRoot) -> Self {
        self.new_root = kind;
        self
    }

    /// Leaves one of `/dev`, `/proc`, `/sys` and `/run` unmounted in the initramfs.
    pub fn without(mut self, pseudo: &str) -> Self {
        self.pseudo.retain(|mounted| mounted != pseudo);
        self
    }

    /// Leaves the directory for one of them out of the new root.
    pub fn without_target(mut self, pseudo: &str) -> Self {
        self.targets.retain(|target| target != pseudo);
        self
    }

    /// Has the probe look at these files.
    pub fn look_at<'p>(mut self, paths: impl IntoIterator<Item = &'p str>) -> Self {
        self.questions
            .files
            .extend(paths.into_iter().map(String::from));
        self
    }

    /// Has the probe say more about these files, links among them.
    pub fn examine<'p>(mut self, paths: impl IntoIterator<Item = &'p str>) -> Self {
        let paths = paths.into_iter().map(String::from);
        self.questions.details.extend(paths);
        self
    }

    /// Sets what `/proc/cmdline` says.
    pub fn kernel_command_line(mut self, text: &str) -> Self {
        self.kernel_command_line = Some(text.into());
        self
    }

    /// Sets the time limit, in seconds.
    pub fn time_limit(mut self, seconds: u64) -> Self {
        self.time_limit_ms = seconds * 1000;
        self
    }

    /// Limits what the subject may use up.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Watches the system calls of the subject.
    pub fn watch(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// The files of this machine that the steps copy.
    pub fn copied_files(&self) -> Vec<PathBuf> {
        self.steps
            .iter()
            .chain(&self.last_steps)
            .filter_map(|step| match &step.make {
                Make::File {
                    content: Content::Copy(path),
                    ..
                } => Some(path.clone()),
                _ => None,
            })
            .collect()
    }
}
