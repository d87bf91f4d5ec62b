//! The places where an image of a registry is looked for, in their order.

use oci_spec::distribution::Reference;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use ureq::http::Uri;

use super::transport::{Transport, origin};
use crate::registries::MirrorEndpoint;

switch_root_core::outcomes! {
    /// Why there is nowhere to look for an image.
    pub enum Nowhere in "registries" {
        /// The mirrors are those of `machine.registries.mirrors`.
        "SR-Q52" NoEndpoints { registry: String } = "the mirrors of {registry} have no endpoints, and skipFallback forbids asking it; remove one of the two",
        "SR-Q53" Credentials { registry: String } = "an endpoint of the mirrors of {registry} holds an `@`; credentials stand in machine.registries.config, not in a URL",
        "SR-Q54" NotAUrl { url: String, registry: String } = "the endpoint `{url}` of the mirrors of {registry} is not a URL such as https://mirror.example/path",
    }
}

/// Where a registry's interface is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `host` or `host:port`: by which it is configured, and named in errors.
    pub(super) host: String,
    /// The URL of the interface, with `/v2` and without a slash behind it.
    base: String,
    /// The registry that a mirror is asked about.
    mirrored: Option<String>,
}

impl Endpoint {
    /// Whether it is spoken to without TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.base.starts_with("http:")
    }

    /// Scheme and host.
    pub(super) fn origin(&self) -> (&str, &str) {
        let scheme = if self.is_plain() { "http" } else { "https" };
        (scheme, &self.host)
    }

    /// The URL of something, such as `a/b/manifests/latest`.
    pub(super) fn url(&self, path: &str) -> String {
        match &self.mirrored {
            Some(registry) => format!("{}/{path}?ns={registry}", self.base),
            None => format!("{}/{path}", self.base),
        }
    }
}

/// The mirrors of an image's registry, and the registry itself.
///
/// # Errors
/// The URL of a mirror is none; there is nowhere to look.
pub(super) fn endpoints(transport: &Transport<'_>, reference: &Reference) -> Result<Vec<Endpoint>> {
    let registry = reference.registry();
    let mirrors = &transport.registries().mirrors;
    let mirror = mirrors.get(registry).or_else(|| mirrors.get("*"));
    let mut endpoints = Vec::new();
    for endpoint in mirror.iter().flat_map(|mirror| &mirror.endpoints) {
        endpoints.push(of_mirror(endpoint, registry, reference)?);
    }
    if mirror.is_none_or(|mirror| !mirror.skip_fallback) {
        let own = own(transport, reference);
        // A registry may be listed as a mirror of its own.
        if !endpoints.iter().any(|other| other.base == own.base) {
            endpoints.push(own);
        }
    }
    if endpoints.is_empty() {
        let registry = registry.to_owned();
        return Err(Error::input(Nowhere::NoEndpoints { registry }));
    }
    Ok(endpoints)
}

/// The registry itself, which is where things are pushed to: a mirror has what
/// others have put there.
pub(super) fn own(transport: &Transport<'_>, reference: &Reference) -> Endpoint {
    let host = reference.resolve_registry().to_owned();
    let scheme = match transport.plain(&host) {
        true => "http",
        false => "https",
    };
    Endpoint {
        base: format!("{scheme}://{host}/v2"),
        host,
        mirrored: None,
    }
}

fn of_mirror(endpoint: &MirrorEndpoint, registry: &str, reference: &Reference) -> Result<Endpoint> {
    let url = &endpoint.url;
    if url.contains('@') {
        // Not shown: it may hold a password.
        let registry = registry.to_owned();
        return Err(Error::input(Nowhere::Credentials { registry }));
    }
    let wrong = || {
        Error::input(Nowhere::NotAUrl {
            url: escape::message(url, 300),
            registry: registry.to_owned(),
        })
    };
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let (scheme, host) = origin(&uri).map_err(|_| wrong())?;
    if uri.query().is_some() || url.contains('#') {
        return Err(wrong());
    }
    let path = uri.path().trim_end_matches('/');
    let suffix = match endpoint.override_path || path.ends_with("/v2") {
        true => "",
        false => "/v2",
    };
    let base = format!("{scheme}://{host}{path}{suffix}");
    let own = [registry, reference.resolve_registry()].contains(&host.as_str());
    Ok(Endpoint {
        host,
        base,
        mirrored: (!own).then(|| registry.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::stop::Stop;
    use super::*;
    use crate::registries::{Mirror, Registries};

    fn urls(registries: &Registries, image: &str) -> Result<Vec<String>> {
        let stop = Stop::default();
        let transport = Transport::new(registries, &stop);
        let endpoints = endpoints(&transport, &image.parse().unwrap())?;
        Ok(endpoints.iter().map(|endpoint| endpoint.url("x")).collect())
    }

    fn mirrors(registry: &str, endpoints: &[&str], override_path: bool, skip: bool) -> Registries {
        let mut registries = Registries::default();
        registries.mirrors.insert(
            registry.into(),
            Mirror {
                endpoints: endpoints
                    .iter()
                    .map(|&url| MirrorEndpoint {
                        url: url.into(),
                        override_path,
                    })
                    .collect(),
                skip_fallback: skip,
            },
        );
        registries
    }

    #[test]
    fn without_mirrors_the_registry_is_asked() {
        let registries = Registries::default();
        for (image, expected) in [
            ("ghcr.io/a/b", "https://ghcr.io/v2/x"),
            ("a", "https://index.docker.io/v2/x"),
            ("localhost:5000/a", "http://localhost:5000/v2/x"),
        ] {
            assert_eq!(urls(&registries, image).unwrap(), [expected]);
        }
    }

    #[test]
    fn mirrors_come_first_and_are_told_whose_they_are() {
        let some = ["https://m.example/p/", "http://n.example:80"];
        assert_eq!(
            urls(&mirrors("ghcr.io", &some, false, false), "ghcr.io/a").unwrap(),
            [
                "https://m.example/p/v2/x?ns=ghcr.io",
                "http://n.example:80/v2/x?ns=ghcr.io",
                "https://ghcr.io/v2/x"
            ]
        );
        assert_eq!(
            urls(&mirrors("*", &some[..1], true, true), "quay.io/a").unwrap(),
            ["https://m.example/p/x?ns=quay.io"]
        );
        assert_eq!(
            urls(
                &mirrors("quay.io", &["https://quay.io"], false, false),
                "quay.io/a"
            )
            .unwrap(),
            ["https://quay.io/v2/x"]
        );
    }

    #[test]
    fn what_is_no_url_is_quoted_and_nowhere_to_look_is_an_error() {
        for url in ["m.example", "ftp://m", "https://", "https://m/?x"] {
            let error = urls(&mirrors("a.io", &[url], false, false), "a.io/b").unwrap_err();
            assert!(error.to_string().contains(&format!("`{url}`")), "{error}");
        }
        let secret = urls(
            &mirrors("a.io", &["https://u:secret@m"], false, false),
            "a.io/b",
        );
        let error = secret.unwrap_err().to_string();
        assert!(
            error.contains("a.io") && !error.contains("secret"),
            "{error}"
        );
        let error = urls(&mirrors("a.io", &[], false, true), "a.io/b").unwrap_err();
        assert!(error.to_string().contains("skipFallback"), "{error}");
    }
}
