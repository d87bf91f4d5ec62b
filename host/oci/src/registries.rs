//! Where images are pulled from: mirrors, credentials and certificates of
//! registries, as `machine.registries` of a machine configuration has them, or documents
//! of their own.

use std::collections::BTreeMap;

/// How registries are reached. The default goes to each image's own registry,
/// with the credentials of Docker's configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registries {
    /// Endpoints to be tried in order in place of a registry (`host` or
    /// `host:port`); `*` stands for every registry that has no entry.
    pub mirrors: BTreeMap<String, Mirror>,
    /// How to speak to a host, by `host` or `host:port`.
    pub hosts: BTreeMap<String, Host>,
    /// Hosts besides loopback ones that may be spoken to without TLS.
    pub plain_http: Vec<String>,
}

/// `machine.registries.mirrors.<registry>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirror {
    /// Where all of them fail, the registry itself is asked.
    pub endpoints: Vec<MirrorEndpoint>,
    /// Do not ask the registry itself.
    pub skip_fallback: bool,
}

/// One place that a mirror is at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorEndpoint {
    /// A URL such as `https://mirror.example/path`.
    pub url: String,
    /// Its path already holds `/v2`, which is not appended.
    pub override_path: bool,
}

/// Whose path holds no `/v2`.
impl From<String> for MirrorEndpoint {
    fn from(url: String) -> Self {
        Self {
            url,
            override_path: false,
        }
    }
}

/// `machine.registries.config.<host>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// `auth`.
    pub credentials: Option<Credentials>,
    /// `tls.ca`: certificates in PEM that are trusted besides the system's.
    pub ca: Option<Vec<u8>>,
    /// `tls.clientIdentity`: certificate and key in PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// `tls.insecureSkipVerify`: take any certificate.
    pub insecure_skip_verify: bool,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `username` and `password`, or both in `auth`.
    Basic {
        /// The name.
        username: String,
        /// The secret.
        password: String,
    },
    /// `identityToken`: exchanged for a token at the registry's token server.
    IdentityToken(String),
    /// `registryToken`: sent to the registry as it is.
    RegistryToken(String),
}

/// Without the secrets.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Basic { username, .. } => write!(f, "Basic({username})"),
            Self::IdentityToken(_) => f.write_str("IdentityToken"),
            Self::RegistryToken(_) => f.write_str("RegistryToken"),
        }
    }
}
