//! Docker's configuration file, and Podman's and skopeo's `auth.json`, which has the same
//! form: credentials that were stored by `docker login` and its kin, and the programs that
//! keep them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;
use switch_root_core::outcome::Message;

use super::transport::aliases;
use crate::registries::Credentials;
use switch_root_core::reading::{self, cannot_read};

switch_root_core::outcomes! {
    /// Why a program that keeps credentials gives none: what follows its name in a sentence.
    pub enum HelperFailed in "registries" {
        /// Docker's configuration names such programs in `credHelpers` and `credsStore`. Install the
        /// program, log in again, or remove it from there.
        "SR-Q64" Path = "its name is a path",
        "SR-Q65" NotRun { error: std::io::Error } = "{error}",
        "SR-Q66" Status { status: ExitStatus, output: String } = "{status}: {output}",
        "SR-Q67" Answer = "its answer is not what such a program answers",
    }
}

switch_root_core::outcomes! {
    /// Why credentials of Docker or Podman are not used.
    pub enum Unusable in "registries" {
        /// `podman login` and `docker login` write such files.
        "SR-Q62" NotCredentials { path: String, line: usize, column: usize } = "cannot read {path}: it is not a file of credentials of Docker or Podman (line {line} column {column}); correct or remove it",
        "SR-Q63" NotBase64 { key: String } = "auths.{key}.auth of the credentials of Docker or Podman is not NAME:PASSWORD in base64; log in again",
    }
}

/// Bytes of the file, and of what a program answers.
const LIMIT: u64 = 4 << 20;

/// What of the file matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DockerConfig {
    #[serde(default, deserialize_with = "or_nothing")]
    auths: HashMap<String, Stored>,
    #[serde(default, deserialize_with = "or_nothing")]
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

/// Credentials as they are stored.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct Stored {
    #[serde(deserialize_with = "or_nothing")]
    auth: String,
    #[serde(deserialize_with = "or_nothing")]
    username: String,
    #[serde(deserialize_with = "or_nothing")]
    password: String,
    #[serde(deserialize_with = "or_nothing")]
    identitytoken: String,
    #[serde(deserialize_with = "or_nothing")]
    registrytoken: String,
}

/// Null is what is not there.
fn or_nothing<'de, D, T>(deserializer: D) -> std::result::Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Without the secrets.
impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stored")
    }
}

/// Where such files are, the first that has credentials counts: where `podman login` and
/// skopeo write them (containers-auth.json(5)), and Docker's.
pub(super) fn default_paths() -> Vec<PathBuf> {
    places(&|name| std::env::var_os(name).filter(|value| !value.is_empty()))
}

fn places(set: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let below = |variable: &str, path: &str| set(variable).map(|it| Path::new(&it).join(path));
    let podman = match set("REGISTRY_AUTH_FILE") {
        Some(file) => vec![Some(file.into())],
        None => vec![
            below("XDG_RUNTIME_DIR", "containers/auth.json"),
            below("XDG_CONFIG_HOME", "containers/auth.json")
                .or_else(|| below("HOME", ".config/containers/auth.json")),
        ],
    };
    let docker =
        below("DOCKER_CONFIG", "config.json").or_else(|| below("HOME", ".docker/config.json"));
    podman.into_iter().chain([docker]).flatten().collect()
}

impl DockerConfig {
    /// Reads the file. A missing one is empty.
    ///
    /// # Errors
    /// It cannot be read, or is malformed. Nothing of its content is told.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let shown = escape::path(path.as_os_str().as_bytes());
        let file = match reading::stream(path) {
            Ok(file) => file,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(Self::default());
            }
            Err(error) => return Err(cannot_read(path, &error)),
        };
        let mut bytes = Vec::new();
        file.take(LIMIT)
            .read_to_end(&mut bytes)
            .map_err(|error| cannot_read(path, &error))?;
        // The parser's own words might quote a secret.
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::input(Unusable::NotCredentials {
                path: shown,
                line: error.line(),
                column: error.column(),
            })
        })
    }

    /// Leaves out the programs that keep credentials.
    #[cfg(feature = "fuzzing")]
    pub(super) fn forget_helpers(&mut self) {
        self.cred_helpers.clear();
        self.creds_store = None;
    }

    /// The credentials for a repository of a registry, `host` or `host:port`: those of a
    /// key that names it or what is above it, the longest one first, or of the registry.
    ///
    /// # Errors
    /// They are malformed; the program that keeps them fails.
    pub(super) fn credentials(&self, host: &str, repository: &str) -> Result<Option<Credentials>> {
        let names = aliases(host);
        let mut above = Some(repository).filter(|it| !it.is_empty());
        while let Some(namespace) = above {
            let keys = names.iter().map(|name| format!("{name}/{namespace}"));
            for key in keys {
                if let Some(stored) = self.auths.get(&key) {
                    return stored.credentials(&key);
                }
            }
            above = namespace.rsplit_once('/').map(|(above, _)| above);
        }
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
                    let key = escape::message(key, 200);
                    Error::input(Unusable::NotBase64 { key })
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
        true => Err(HelperFailed::Path),
        false => converse(Command::new(&program).arg("get"), server),
    };
    answer.map_err(|why| {
        let failed = |why: &str| {
            format!(
                "{}, which Docker's configuration names for the credentials of {}, failed: {why}",
                escape::message(&program, 200),
                escape::message(server, 200)
            )
        };
        Error::new(Kind::Unauthorized, Message::from(why).reworded(failed))
    })
}

/// Runs such a program. Errors say why it failed.
fn converse(
    program: &mut Command,
    server: &str,
) -> std::result::Result<Option<Credentials>, HelperFailed> {
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
    let (status, output) = run().map_err(|error| HelperFailed::NotRun { error })?;
    if !status.success() {
        // By the protocol errors are on the standard output, too.
        let output = String::from_utf8_lossy(&output);
        if output.trim().starts_with("credentials not found") {
            return Ok(None);
        }
        let output = escape::message(output.trim(), 300);
        return Err(HelperFailed::Status { status, output });
    }
    let kept: Kept = serde_json::from_slice(&output).map_err(|_| HelperFailed::Answer)?;
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
    use switch_root_core::escape::Shown;

    use super::*;

    fn config(json: &str) -> Result<DockerConfig> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, json).unwrap();
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
            assert_eq!(
                config.credentials(host, "x/y").unwrap(),
                basic("hub", "secret:x")
            );
        }
        assert_eq!(
            config.credentials("ghcr.io", "x/y").unwrap(),
            basic("a", "b")
        );
        assert_eq!(
            config.credentials("r.example:5000", "x/y").unwrap(),
            Some(Credentials::IdentityToken("t".into()))
        );
        for host in ["r.example", "empty.example", "other"] {
            assert_eq!(config.credentials(host, "x/y").unwrap(), None);
        }
    }

    #[test]
    fn what_other_tools_keep_below_the_host_is_not_the_registrys() {
        let config = config(
            r#"{"auths": {
                "a.example/v1/access-token": {"username": "x", "password": "access"},
                "a.example/namespace": {"username": "x", "password": "other"},
                "a.example/namespace/b": {"username": "x", "password": "inner"},
                "https://a.example": {"username": "a", "password": "b"},
                "b.example/v1/refresh-token": {"username": "x", "password": "refresh"}
            }}"#,
        )
        .unwrap();
        assert_eq!(
            config.credentials("a.example", "x/y").unwrap(),
            basic("a", "b")
        );
        assert_eq!(config.credentials("b.example", "x/y").unwrap(), None);
        for (repository, password) in [
            ("namespace/a", "other"),
            ("namespace", "other"),
            ("namespace/b/c", "inner"),
        ] {
            let found = config.credentials("a.example", repository).unwrap();
            assert_eq!(found, basic("x", password), "{repository}");
        }
        let found = config.credentials("a.example", "namespaces/a").unwrap();
        assert_eq!(found, basic("a", "b"));
    }

    #[test]
    fn null_is_what_is_not_there() {
        for text in [
            r#"{"auths": null, "credHelpers": null, "credsStore": null}"#,
            r#"{"auths": {"a": {"auth": null, "username": null, "identitytoken": null}}}"#,
        ] {
            assert_eq!(config(text).unwrap().credentials("a", "b").unwrap(), None);
        }
    }

    #[test]
    fn files_of_podman_are_looked_at_before_that_of_docker() {
        let of = |set: &[(&str, &str)]| {
            let set = |name: &str| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| OsString::from(value))
            };
            let paths = places(&set);
            paths.iter().map(|path| path.shown()).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), [""; 0]);
        let home = ("HOME", "/h");
        assert_eq!(
            of(&[home]),
            ["/h/.config/containers/auth.json", "/h/.docker/config.json"]
        );
        assert_eq!(
            of(&[
                home,
                ("XDG_RUNTIME_DIR", "/r"),
                ("XDG_CONFIG_HOME", "/c"),
                ("DOCKER_CONFIG", "/d")
            ]),
            [
                "/r/containers/auth.json",
                "/c/containers/auth.json",
                "/d/config.json"
            ]
        );
        let file = ("REGISTRY_AUTH_FILE", "/f");
        assert_eq!(
            of(&[home, file, ("XDG_RUNTIME_DIR", "/r")]),
            ["/f", "/h/.docker/config.json"]
        );
    }

    #[test]
    fn a_missing_file_is_empty_and_a_broken_one_is_named_without_its_secrets() {
        let missing = DockerConfig::read(Path::new("/nonexistent/config.json")).unwrap();
        assert_eq!(missing.credentials("a", "x/y").unwrap(), None);
        let error = config(r#"{"auths": {"a": "hunter2"}}"#)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("config.json") && !error.contains("hunter2"),
            "{error}"
        );
        let broken = config(r#"{"auths": {"a": {"auth": "hunter2"}}}"#).unwrap();
        let error = broken.credentials("a", "x/y").unwrap_err().to_string();
        assert!(
            error.contains("auths.a.auth") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let config = config(r#"{"credHelpers": {"a": "does-not-exist-here"}, "credsStore": ""}"#);
        let config = config.unwrap();
        let error = config.credentials("a", "x/y").unwrap_err().to_string();
        assert!(
            error.contains("docker-credential-does-not-exist-here"),
            "{error}"
        );
        assert_eq!(config.credentials("b", "x/y").unwrap(), None);
    }

    #[test]
    fn a_program_is_asked_for_the_server_and_answers_in_its_own_words() {
        let answer = |script: &str| {
            converse(Command::new("sh").args(["-c", script]), "r.example:1").map_err(String::from)
        };
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
