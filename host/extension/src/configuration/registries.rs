//! `machine.registries`: mirrors, credentials and certificates.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oci::registries::{Credentials, Host, Mirror, MirrorEndpoint, Registries};

use super::reader::{Reader, Value};

switch_root_core::outcomes! {
    /// What is wrong with `machine.registries`: what follows its place in a sentence.
    pub enum Malformed in "configurations" {
        /// Correct the value at the place that is named. Secrets are not repeated.
        "SR-M23" Scheme { url: String } = "is `{url}`; it must begin with `https://` or `http://`",
        "SR-M24" HalfIdentity { missing: &'static str, certificate: &'static str } = "has no `{missing}`; it must have both `{certificate}` and `key`",
        "SR-M25" HalfCredentials { there: &'static str, missing: &'static str } = "has `{there}` and no `{missing}`",
        "SR-M26" NotBase64 = "is not base64 of `USERNAME:PASSWORD`",
        "SR-M27" NotPem { what: String } = "is neither a {what} in PEM nor base64 of one; make the latter with `base64 -w0 FILE`",
    }
}

/// The keys that say who asks.
pub(super) const AUTH: [&str; 5] = [
    "username",
    "password",
    "auth",
    "identityToken",
    "registryToken",
];
/// The keys about TLS.
pub(super) const TLS: [&str; 3] = ["ca", "clientIdentity", "insecureSkipVerify"];

pub(super) fn read(reader: &mut Reader, registries: &Value) -> Registries {
    let mut read = Registries::default();
    reader.known(registries, &["mirrors", "config"]);
    if let Some(mirrors) = reader.child(Some(registries), "mirrors")
        && let Some(mirrors) = reader.mapping(&mirrors, "of registries")
    {
        for (name, value) in mirrors.entries() {
            read.mirrors.insert(name.into(), mirror(reader, &value));
        }
    }
    if let Some(hosts) = reader.child(Some(registries), "config")
        && let Some(hosts) = reader.mapping(&hosts, "of registries")
    {
        for (name, value) in hosts.entries() {
            read.hosts.insert(name.into(), host(reader, &value));
        }
    }
    read
}

fn mirror(reader: &mut Reader, value: &Value) -> Mirror {
    let mut mirror = Mirror::default();
    let Some(value) = reader.mapping(value, "with the key `endpoints`") else {
        return mirror;
    };
    reader.known(&value, &["endpoints", "overridePath", "skipFallback"]);
    let override_path = flag(reader, &value, "overridePath");
    if let Some(endpoints) = value.get("endpoints") {
        for endpoint in reader.list(&endpoints, "of URLs") {
            mirror
                .endpoints
                .extend(url(reader, &endpoint).map(|url| MirrorEndpoint { url, override_path }));
        }
    }
    mirror.skip_fallback = flag(reader, &value, "skipFallback");
    mirror
}

/// The URL of an endpoint.
pub(super) fn url(reader: &mut Reader, value: &Value) -> Option<String> {
    match reader.text(value, "a URL such as `https://mirror.example`")? {
        url if url.starts_with("https://") || url.starts_with("http://") => Some(url.into()),
        url => {
            let url = url.to_owned();
            reader.refuse(value, Malformed::Scheme { url });
            None
        }
    }
}

fn host(reader: &mut Reader, value: &Value) -> Host {
    let mut host = Host::default();
    reader.known(value, &["auth", "tls"]);
    if let Some(auth) = reader.child(Some(value), "auth") {
        reader.known(&auth, &AUTH);
        host.credentials = credentials(reader, &auth);
    }
    if let Some(tls_value) = reader.child(Some(value), "tls") {
        reader.known(&tls_value, &TLS);
        tls(reader, &tls_value, &mut host);
    }
    host
}

/// What is said of TLS.
pub(super) fn tls(reader: &mut Reader, tls: &Value, host: &mut Host) {
    host.ca = pem(reader, tls, "ca", "CERTIFICATE-----");
    if let Some(identity) = reader.child(Some(tls), "clientIdentity") {
        // `cert` in documents of their own, `crt` before.
        let name = match identity.get("cert") {
            Some(_) => "cert",
            None => "crt",
        };
        let certificate = pem(reader, &identity, name, "CERTIFICATE-----");
        let key = pem(reader, &identity, "key", "PRIVATE KEY-----");
        for missing in [name, "key"] {
            if identity
                .get(missing)
                .is_none_or(|value| value.node.is_null())
            {
                let half = Malformed::HalfIdentity {
                    missing,
                    certificate: name,
                };
                reader.refuse(&identity, half);
            }
        }
        host.identity = certificate.zip(key);
    }
    host.insecure_skip_verify = flag(reader, tls, "insecureSkipVerify");
}

/// The credentials, of which the first that are given count, in the order that
/// containerd has: name and password, identity token, registry token, `auth`.
pub(super) fn credentials(reader: &mut Reader, auth: &Value) -> Option<Credentials> {
    let auth = reader.mapping(
        auth,
        "with `username` and `password`, or another kind of credentials",
    )?;
    let mut secret = |key, meant| {
        let value = auth.get(key).filter(|value| !value.node.is_null())?;
        let text = reader.text(&value, meant)?;
        Some(text.to_owned()).filter(|text| !text.is_empty())
    };
    let username = secret("username", "the name of a user");
    let password = secret("password", "the user's password");
    let identity = secret("identityToken", "a token");
    let registry = secret("registryToken", "a token");
    let both = secret("auth", "base64 of `USERNAME:PASSWORD`");
    match (username, password) {
        (Some(username), Some(password)) => return Some(Credentials::Basic { username, password }),
        (None, None) => {}
        (username, _) => {
            let (there, missing) = match username {
                Some(_) => ("username", "password"),
                None => ("password", "username"),
            };
            reader.refuse(&auth, Malformed::HalfCredentials { there, missing });
            return None;
        }
    }
    if let Some(token) = identity {
        return Some(Credentials::IdentityToken(token));
    }
    if let Some(token) = registry {
        return Some(Credentials::RegistryToken(token));
    }
    let decoded = decode(&both?).and_then(|bytes| String::from_utf8(bytes).ok());
    // Some tools pad with zeros.
    let parts = decoded.as_deref().map(|text| text.trim_end_matches('\0'));
    let Some((username, password)) = parts.and_then(|text| text.split_once(':')) else {
        if let Some(value) = auth.get("auth") {
            // The value is a secret, so it is not repeated.
            reader.refuse(&value, Malformed::NotBase64);
        }
        return None;
    };
    Some(Credentials::Basic {
        username: username.into(),
        password: password.into(),
    })
}

/// The PEM text of a key whose value is that, or base64 of it.
fn pem(reader: &mut Reader, parent: &Value, key: &str, label: &str) -> Option<Vec<u8>> {
    let value = reader.child(Some(parent), key)?;
    let text = reader.text(&value, "PEM, or base64 of it")?;
    let is_pem = |text: &str| text.contains("-----BEGIN ") && text.contains(label);
    let found = match is_pem(text) {
        true => Some(text.as_bytes().to_vec()),
        false => decode(text).filter(|bytes| std::str::from_utf8(bytes).is_ok_and(is_pem)),
    };
    if found.is_none() {
        let what = label.trim_end_matches('-').to_lowercase();
        reader.refuse(&value, Malformed::NotPem { what });
    }
    found
}

/// Base64, also where it was folded into lines.
fn decode(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_whitespace().collect();
    STANDARD.decode(text).ok()
}

pub(super) fn flag(reader: &mut Reader, parent: &Value, key: &str) -> bool {
    parent.get(key).is_some_and(|value| reader.flag(&value))
}
