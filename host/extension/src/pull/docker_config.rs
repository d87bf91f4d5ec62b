//! Docker's configuration file: credentials that were stored by `docker login`
//! and its kin, and the programs that keep them.

use std::collections::HashMap;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::escape;
use serde::Deserialize;

use super::transport::aliases;
use crate::error::{Error, Kind, Result};
use crate::registries::Credentials;

/// Bytes of the file, and of what a program answers.
const LIMIT: u64 = 4 << 20;

/// What of the file matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DockerConfig {
    #[serde(default)]
    auths: HashMap<String, Stored>,
    #[serde(default)]
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

/// Credentials as they are stored.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct Stored {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

/// Without the secrets.
impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stored")
    }
}

/// Where the file is, if it is anywhere.
pub(super) fn default_path() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".docker")))
        .map(|folder| folder.join("config.json"))
}

impl DockerConfig {
    /// Reads the file. A missing one is empty.
    ///
    /// # Errors
    /// It cannot be read, or is malformed. Nothing of its content is told.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let shown = escape::path(path.as_os_str().as_bytes());
        let cannot = |error: &std::io::Error| Error::system(format!("cannot read {shown}"), error);
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(Self::default());
            }
            Err(error) => return Err(cannot(&error)),
        };
        let mut bytes = Vec::new();
        file.take(LIMIT)
            .read_to_end(&mut bytes)
            .map_err(|error| cannot(&error))?;
        // The parser's own words might quote a secret.
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::input(format!(
                "cannot read {shown}: it is not a configuration of Docker (line {} column {}); correct or remove it",
                error.line(),
                error.column()
            ))
        })
    }

    /// Leaves out the programs that keep credentials.
    #[cfg(feature = "fuzzing")]
    pub(super) fn forget_helpers(&mut self) {
        self.cred_helpers.clear();
        self.creds_store = None;
    }

    /// The credentials for a registry, `host` or `host:port`.
    ///
    /// # Errors
    /// They are malformed; the program that keeps them fails.
    pub(super) fn credentials(&self, host: &str) -> Result<Option<Credentials>> {
        let names = aliases(host);
        let is = |key: &str| names.contains(&bare(key));
        let own = self
            .cred_helpers
            .iter()
            .find(|(key, _)| is(key))
            .map(|(_, helper)| helper);
        for helper in own.into_iter().chain(&self.creds_store) {
            if helper.is_empty() {
                continue;
            }
            let server = match names.len() {
                1 => host,
                _ => "https://index.docker.io/v1/",
            };
            if let Some(credentials) = ask(helper, server)? {
                return Ok(Some(credentials));
            }
            if own.is_some() {
                break;
            }
        }
        // Other keys of the same host are not the registry's: some tools keep tokens
        // below a path.
        let written = names.iter().flat_map(|name| {
            ["", "https://", "http://"]
                .into_iter()
                .flat_map(move |scheme| {
                    ["", "/", "/v1/", "/v1", "/v2/", "/v2"]
                        .map(move |path| format!("{scheme}{name}{path}"))
                })
        });
        for key in written {
            if let Some(stored) = self.auths.get(&key) {
                return stored.credentials(&key);
            }
        }
        Ok(None)
    }
}

/// The host of a key: `https://index.docker.io/v1/` and `host` are written.
fn bare(key: &str) -> &str {
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    key.split('/').next().unwrap_or_default()
}

impl Stored {
    fn credentials(&self, key: &str) -> Result<Option<Credentials>> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credentials::IdentityToken(self.identitytoken.clone())));
        }
        if !self.registrytoken.is_empty() {
            return Ok(Some(Credentials::RegistryToken(self.registrytoken.clone())));
        }
        let (username, password) = if self.auth.is_empty() {
            (self.username.clone(), self.password.clone())
        } else {
            STANDARD
                .decode(self.auth.trim())
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .and_then(|text| {
                    let (username, password) = text.split_once(':')?;
                    // Some tools have padded it so.
                    let password = password.trim_end_matches('\0');
                    Some((username.to_owned(), password.to_owned()))
                })
                .ok_or_else(|| {
                    Error::input(format!(
                        "auths.{}.auth of Docker's configuration is not NAME:PASSWORD in base64; log in again",
                        escape::message(key, 200)
                    ))
                })?
        };
        Ok((!username.is_empty()).then_some(Credentials::Basic { username, password }))
    }
}

/// What a program that keeps credentials answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

/// Asks `docker-credential-NAME` for a server's credentials.
fn ask(name: &str, server: &str) -> Result<Option<Credentials>> {
    let program = format!("docker-credential-{name}");
    let answer = match name.contains('/') {
        true => Err("its name is a path".to_owned()),
        false => converse(Command::new(&program).arg("get"), server),
    };
    answer.map_err(|why| {
        Error::new(
            Kind::Unauthorized,
            format!(
                "{}, which Docker's configuration names for the credentials of {}, failed: {why}",
                escape::message(&program, 200),
                escape::message(server, 200)
            ),
        )
    })
}

/// Runs such a program. Errors say why it failed.
fn converse(
    program: &mut Command,
    server: &str,
) -> std::result::Result<Option<Credentials>, String> {
    let mut run = || -> std::io::Result<_> {
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // One that has ended already is told by its status.
            let _ = writeln!(input, "{server}");
        }
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(LIMIT).read_to_end(&mut output)?;
        }
        Ok((child.wait()?, output))
    };
    let (status, output) = run().map_err(|error| error.to_string())?;
    if !status.success() {
        // By the protocol errors are on the standard output, too.
        let output = String::from_utf8_lossy(&output);
        if output.trim().starts_with("credentials not found") {
            return Ok(None);
        }
        return Err(format!("{status}: {}", escape::message(output.trim(), 300)));
    }
    let kept: Kept = serde_json::from_slice(&output)
        .map_err(|_| "its answer is not what such a program answers".to_owned())?;
    Ok(match (kept.username.as_str(), kept.secret) {
        (_, secret) if secret.is_empty() => None,
        ("<token>", secret) => Some(Credentials::IdentityToken(secret)),
        (username, password) => Some(Credentials::Basic {
            username: username.to_owned(),
            password,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Result<DockerConfig> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, json).unwrap();
        DockerConfig::read(&path)
    }

    fn basic(username: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Basic {
            username: username.into(),
            password: password.into(),
        })
    }

    #[test]
    fn credentials_are_found_by_any_spelling_of_the_host() {
        let config = config(
            r#"{"auths": {
                "https://index.docker.io/v1/": {"auth": "aHViOnNlY3JldDp4"},
                "ghcr.io": {"username": "a", "password": "b"},
                "https://r.example:5000/v1/": {"identitytoken": "t"},
                "empty.example": {}
            }}"#,
        )
        .unwrap();
        for host in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
            assert_eq!(config.credentials(host).unwrap(), basic("hub", "secret:x"));
        }
        assert_eq!(config.credentials("ghcr.io").unwrap(), basic("a", "b"));
        assert_eq!(
            config.credentials("r.example:5000").unwrap(),
            Some(Credentials::IdentityToken("t".into()))
        );
        for host in ["r.example", "empty.example", "other"] {
            assert_eq!(config.credentials(host).unwrap(), None);
        }
    }

    #[test]
    fn what_other_tools_keep_below_the_host_is_not_the_registrys() {
        let config = config(
            r#"{"auths": {
                "a.example/v1/access-token": {"username": "x", "password": "access"},
                "a.example/namespace": {"username": "x", "password": "other"},
                "https://a.example": {"username": "a", "password": "b"},
                "b.example/v1/refresh-token": {"username": "x", "password": "refresh"}
            }}"#,
        )
        .unwrap();
        assert_eq!(config.credentials("a.example").unwrap(), basic("a", "b"));
        assert_eq!(config.credentials("b.example").unwrap(), None);
    }

    #[test]
    fn a_missing_file_is_empty_and_a_broken_one_is_named_without_its_secrets() {
        let missing = DockerConfig::read(Path::new("/nonexistent/config.json")).unwrap();
        assert_eq!(missing.credentials("a").unwrap(), None);
        let error = config(r#"{"auths": {"a": "hunter2"}}"#)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("config.json") && !error.contains("hunter2"),
            "{error}"
        );
        let broken = config(r#"{"auths": {"a": {"auth": "hunter2"}}}"#).unwrap();
        let error = broken.credentials("a").unwrap_err().to_string();
        assert!(
            error.contains("auths.a.auth") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let config = config(r#"{"credHelpers": {"a": "does-not-exist-here"}, "credsStore": ""}"#);
        let config = config.unwrap();
        let error = config.credentials("a").unwrap_err().to_string();
        assert!(
            error.contains("docker-credential-does-not-exist-here"),
            "{error}"
        );
        assert_eq!(config.credentials("b").unwrap(), None);
    }

    #[test]
    fn a_program_is_asked_for_the_server_and_answers_in_its_own_words() {
        let answer =
            |script: &str| converse(Command::new("sh").args(["-c", script]), "r.example:1");
        assert_eq!(
            answer(
                r#"read server; echo "{\"ServerURL\": \"x\", \"Username\": \"$server\", \"Secret\": \"s\"}""#
            ),
            Ok(basic("r.example:1", "s"))
        );
        assert_eq!(
            answer(r#"echo '{"Username": "<token>", "Secret": "t"}'"#),
            Ok(Some(Credentials::IdentityToken("t".into())))
        );
        let missing = "echo 'credentials not found in native keychain'; exit 1";
        assert_eq!(answer(missing), Ok(None));
        let error = answer("echo locked; exit 3").unwrap_err();
        assert!(error.contains("3") && error.contains("locked"), "{error}");
        let error = answer("echo hunter2").unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
