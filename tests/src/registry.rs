//! A registry as others run it: Debian's `docker-registry`, on a port of the loopback
//! device, with a folder of images.

use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::layout::Layout;
use crate::programs::output;

/// The programs that are run: the registry, and what fills it.
pub const PROGRAMS: [&str; 2] = ["docker-registry", "skopeo"];

/// The user that [`Access::Password`] lets in, and the password.
pub const USER: (&str, &str) = ("user", "secret");
/// The line of an `htpasswd` file for it: bcrypt, of the lowest cost.
const HTPASSWD: &str = "user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// How long a registry may take to listen.
const START: Duration = Duration::from_secs(20);

/// Whom a registry answers.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everybody.
    All,
    /// Whoever has the password of [`USER`].
    Password,
    /// Whoever has a token of a service.
    Token {
        /// Where tokens are to be had.
        realm: String,
        /// The certificate that they are signed with, in PEM.
        certificate: PathBuf,
    },
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A registry that runs until it is dropped.
pub struct Registry {
    /// `127.0.0.1:PORT`.
    pub host: String,
    child: Child,
}

impl Registry {
    /// Starts a registry whose images are in `folder`, where its configuration and its
    /// log are, too. Several may have the same folder, while nothing is pushed.
    ///
    /// # Errors
    /// It does not start: with its log.
    pub fn start(folder: &Path, access: &Access, tls: Option<&Identity>) -> io::Result<Self> {
        // Somebody else may take the port before the registry does.
        let mut last = None;
        for _ in 0..3 {
            match Self::attempt(folder, access, tls) {
                Ok(registry) => return Ok(registry),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("the registry was not started")))
    }

    fn attempt(folder: &Path, access: &Access, tls: Option<&Identity>) -> io::Result<Self> {
        let host = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let file = |ending: &str| folder.join(format!("{}.{ending}", host.replace(':', "-")));
        let htpasswd = file("htpasswd");
        fs::write(&htpasswd, HTPASSWD)?;
        let configuration = file("yml");
        let text = configure(&host, folder, &htpasswd, access, tls);
        fs::write(&configuration, text)?;
        let log = file("log");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut registry = Self { host, child };
        let begun = Instant::now();
        loop {
            let ended = registry.child.try_wait()?;
            if ended.is_none() && TcpStream::connect(&registry.host).is_ok() {
                return Ok(registry);
            }
            if ended.is_some() || begun.elapsed() > START {
                let log = fs::read_to_string(&log).unwrap_or_default();
                return Err(io::Error::other(format!("docker-registry: {log}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Copies an image of a layout, with all its platforms, to `image`, such as
    /// `name:tag`.
    ///
    /// # Errors
    /// What `skopeo` says.
    pub fn push(&self, layout: &Layout, name: &str, image: &str) -> io::Result<()> {
        let mut command = Command::new("skopeo");
        command
            .args(["copy", "--quiet", "--insecure-policy", "--all"])
            .arg("--dest-tls-verify=false")
            .arg(format!("oci:{}:{name}", layout.folder.display()))
            .arg(format!("docker://{}/{image}", self.host));
        output(&mut command).map(drop)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The registry's configuration. JSON is YAML, too.
fn configure(
    host: &str,
    folder: &Path,
    htpasswd: &Path,
    access: &Access,
    tls: Option<&Identity>,
) -> String {
    let mut configuration = serde_json::json!({
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": true}},
        "storage": {"filesystem": {"rootdirectory": folder.join("store")}},
        "http": {"addr": host},
    });
    match access {
        Access::All => {}
        Access::Password => {
            configuration["auth"] =
                serde_json::json!({"htpasswd": {"realm": "registry", "path": htpasswd}});
        }
        Access::Token { realm, certificate } => {
            configuration["auth"] = serde_json::json!({"token": {
                "realm": realm,
                "service": "registry",
                "issuer": "issuer",
                "rootcertbundle": certificate,
            }});
        }
    }
    if let Some(identity) = tls {
        configuration["http"]["tls"] = serde_json::json!({
            "certificate": identity.certificate,
            "key": identity.key,
        });
    }
    configuration.to_string()
}
