//! Running `srctl` as an operator does, and what it is run on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use switch_root_tests::apply::apply_in;
use switch_root_tests::certificates::{self, certificate};
use switch_root_tests::layout::{Compression, Layout};
use switch_root_tests::proxy::{Action, Proxy};
use switch_root_tests::registry::{Access, PROGRAMS, Registry, USER};
use switch_root_tests::snapshot::{self, Reach, Tree};
use switch_root_tests::steps::{Make, Step, Steps};
use tempfile::TempDir;

use crate::check::{ensure, says};
use crate::tools::{self, Checked, Stop, program};

/// A folder that `srctl` is run in.
pub struct Desk {
    folder: TempDir,
    /// Where `$HOME` is: another folder, that nothing is written to.
    home: TempDir,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Desk {
    /// An empty folder.
    pub fn new() -> Result<Self, Stop> {
        tools::srctl()?;
        Ok(Self {
            folder: tempfile::tempdir()?,
            home: tempfile::tempdir()?,
            variables: Vec::new(),
        })
    }

    /// Sets a variable of the environment.
    pub fn variable(&mut self, name: &'static str, value: PathBuf) {
        self.variables.push((name, value));
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Checked {
        Ok(fs::write(self.path(name), content)?)
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Stop> {
        let path = self.path(name);
        fs::read(&path).map_err(|error| Stop::Fail(format!("{}: {error}", path.display())))
    }

    /// Makes a folder of what steps make.
    pub fn tree(&self, name: &str, steps: &[Step]) -> Result<PathBuf, Stop> {
        let path = self.path(name);
        apply_in(&path, steps)?;
        Ok(path)
    }

    /// Everything in the folder.
    pub fn everything(&self) -> Result<Tree, Stop> {
        tree(self.folder.path())
    }

    /// A command that runs in the folder and knows nothing of this machine's settings.
    pub fn command(&self, arguments: &str) -> Result<Command, Stop> {
        let mut command = Command::new(tools::srctl()?);
        command
            .args(arguments.split_whitespace())
            .env_clear()
            .env("HOME", self.home.path())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        Ok(command)
    }

    /// Runs `srctl` with arguments that are separated by spaces.
    pub fn run(&self, arguments: &str) -> Result<Ran, Stop> {
        let output = self.command(arguments)?.output()?;
        Ok(Ran::new(arguments, &output))
    }

    /// Runs what must succeed, and gives what it printed.
    pub fn succeeds(&self, arguments: &str) -> Result<String, Stop> {
        let ran = self.run(arguments)?;
        ensure!(ran.status == Some(0), "{}", ran.said());
        Ok(ran.stdout)
    }

    /// Runs what must fail: with the exit status 1, one sentence with these words, and
    /// everything in the folder as it was.
    pub fn fails(&self, arguments: &str, words: &[&str]) -> Checked {
        let ran = self.changes_nothing(arguments, 1)?;
        ensure!(ran.stdout.is_empty(), "it printed\n{}", ran.said());
        // What a program reads is an object.
        let own = match arguments.contains("--format json") {
            true => "{\"error\":",
            false => "srctl: ",
        };
        ensure!(
            ran.stderr.contains(own),
            "no error of its own\n{}",
            ran.said()
        );
        says(&ran.stderr, words)
    }

    /// Runs what must end with `status`, and leave everything in the folder as it was.
    pub fn changes_nothing(&self, arguments: &str, status: i32) -> Result<Ran, Stop> {
        let before = self.everything()?;
        let ran = self.run(arguments)?;
        let changes = snapshot::difference(&before, &self.everything()?);
        ensure!(ran.status == Some(status), "not {status}\n{}", ran.said());
        ensure!(changes.is_empty(), "changed: {changes:?}\n{}", ran.said());
        Ok(ran)
    }
}

/// How `srctl` ended.
pub struct Ran {
    arguments: String,
    /// The exit status; `None` where a signal ended it.
    pub status: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Ran {
    /// What came of a command.
    pub fn new(arguments: &str, output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            arguments: arguments.into(),
            status: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// All of it, for failures.
    pub fn said(&self) -> String {
        let Self {
            arguments,
            status,
            stdout,
            stderr,
        } = self;
        format!("srctl {arguments}\nstatus: {status:?}\nstdout: {stdout}\nstderr: {stderr}")
    }
}

/// What is below a folder.
pub fn tree(folder: &Path) -> Result<Tree, Stop> {
    let open =
        File::open(folder).map_err(|error| Stop::Fail(format!("{}: {error}", folder.display())))?;
    Ok(snapshot::take(open, Reach::OneMount)?)
}

/// Checks that two folders hold the same.
pub fn same(expected: &Path, found: &Path) -> Checked {
    let difference = snapshot::difference(&tree(expected)?, &tree(found)?);
    ensure!(
        difference.is_empty(),
        "{} is not {}: {difference:?}",
        found.display(),
        expected.display()
    );
    Ok(())
}

/// JSON that was printed.
pub fn json(text: &str) -> Result<Value, Stop> {
    serde_json::from_str(text).map_err(|error| Stop::Fail(format!("{error}: {text}")))
}

/// The manifest of an extension for some versions of Talos Linux.
pub fn manifest(name: &str, versions: &str) -> String {
    format!(
        "version: v1alpha1\nmetadata:\n  name: {name}\n  version: 1.10\n  author: Somebody\n  description: A {name}.\n  compatibility:\n    talos:\n      version: {versions:?}\n"
    )
}

/// An extension with each kind of file that one may have.
pub fn extension(name: &str) -> Vec<Step> {
    let share = format!("/rootfs/usr/local/share/{name}");
    let program = format!("/rootfs/usr/local/bin/{name}");
    Vec::new()
        .file("/manifest.yaml", manifest(name, ">= v1.6.0").as_str())
        .directory("/rootfs")
        .executable(&program, format!("#!/bin/sh\necho {name}\n").as_str())
        .symlink(format!("{program}-too"), name)
        .file(format!("{share}/größe"), noise(40_000))
        .file(format!("{share}/empty"), "")
        .directory(format!("{share}/nothing"))
        .make(
            format!("{share}/secret"),
            Make::File {
                mode: 0o600,
                content: "secret".into(),
            },
        )
        .make(
            format!("{share}/again"),
            Make::HardLink {
                from: format!("{share}/secret").into(),
            },
        )
}

/// Bytes that nothing compresses, always the same.
pub fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(size)
    .collect()
}

/// A registry, and the layout that it is filled from.
pub struct Shelf {
    folder: TempDir,
    layout: Layout,
    /// It gives everything to everybody.
    pub registry: Registry,
}

impl Shelf {
    /// An empty one.
    pub fn new() -> Result<Self, Stop> {
        for name in PROGRAMS {
            program(name)?;
        }
        let folder = tempfile::tempdir()?;
        Ok(Self {
            layout: Layout::create(&folder.path().join("layout"))?,
            registry: Registry::start(folder.path(), &Access::All, None)?,
            folder,
        })
    }

    /// A folder for what else a registry needs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a folder into the registry as `name:v1`, and gives the digest of its layer.
    pub fn put(&mut self, name: &str, tree: &Path, how: Compression) -> Result<String, Stop> {
        let image = self.layout.image(tree, how, "amd64")?;
        self.layout.name(name, &image)?;
        self.push(name)?;
        Ok(self.layout.layer(&image)?)
    }

    /// Puts an image for several architectures into the registry as `name:v1`.
    pub fn put_for_each(&mut self, name: &str, trees: &[(&str, &Path)]) -> Checked {
        let images = trees
            .iter()
            .map(|(architecture, tree)| self.layout.image(tree, Compression::Gzip, architecture));
        let images = images.collect::<Result<Vec<_>, _>>()?;
        let index = self.layout.index(&images)?;
        self.layout.name(name, &index)?;
        self.push(name)
    }

    fn push(&self, name: &str) -> Checked {
        let image = format!("{name}:v1");
        Ok(self.registry.push(&self.layout, name, &image)?)
    }

    /// Starts another registry with the same images.
    pub fn again(
        &self,
        access: &Access,
        tls: Option<&switch_root_tests::registry::Identity>,
    ) -> Result<Registry, Stop> {
        Ok(Registry::start(self.folder(), access, tls)?)
    }
}

/// A service that gives [`USER`] tokens for a repository and what may be done there, and
/// everybody else tokens that are good for nothing; and the access that wants them.
pub fn token_service(
    folder: &Path,
    repository: &str,
    actions: &[&str],
) -> Result<(Proxy, Access), Stop> {
    program(certificates::PROGRAM)?;
    let signer = certificate(folder, "signer", None)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let token = |repository: &str| {
        let claims = serde_json::json!({
            "iss": "issuer", "sub": USER.0, "aud": "registry", "jti": "1",
            "nbf": now - 60, "iat": now - 60, "exp": now + 3600,
            "access": [{"type": "repository", "name": repository, "actions": actions}],
        });
        certificates::token(folder, &signer, &claims)
    };
    let (good, bad) = (token(repository)?, token("nothing/of/this/name")?);
    let service = Proxy::start("127.0.0.1:1", move |request| {
        let known = request.header("authorization") == "Basic dXNlcjpzZWNyZXQ=";
        let token = if known { &good } else { &bad };
        Action::Reply(
            200,
            ("Content-Type", "application/json".into()),
            serde_json::json!({"token": token, "expires_in": 300}).to_string(),
        )
    })?;
    let access = Access::Token {
        realm: format!("http://{}/token", service.host),
        certificate: signer.certificate,
    };
    Ok((service, access))
}

/// An address where nothing listens.
pub fn closed() -> Result<String, Stop> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}
