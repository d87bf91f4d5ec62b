//! Whom we believe to be a registry, and how we show who we are: TLS.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::registries::Host;

switch_root_core::outcomes! {
    /// Why settings of TLS are not used.
    pub enum Unusable in "registries" {
        /// They are those of `machine.registries.config`.
        "SR-Q58" NoCertificate { name: String } = "tls.ca of the registry {name} holds no certificate; it must be PEM, in base64",
        "SR-Q59" Key { name: String } = "tls.clientIdentity of the registry {name} cannot be used: its key is not PEM",
        "SR-Q60" Empty { name: String } = "tls.clientIdentity of the registry {name} cannot be used: it holds no certificate in PEM",
        "SR-Q61" Identity { name: String, error: rustls::Error } = "tls.clientIdentity of the registry {name} cannot be used: {error}",
    }
}

/// The system's certificates, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name; none where
/// there are none.
pub(super) fn system() -> Vec<Certificate<'static>> {
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        tracing::warn!(
            "failed to load certificates of this system: {}",
            escape::message(&error.to_string(), 1024)
        );
    }
    let certificates = loaded.certs.iter();
    certificates
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect()
}

/// The certificates of a file, without what cannot be read.
fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect()
}

/// How to speak TLS to the host of that name, whose settings are `settings`.
/// `system` are the system's certificates; where there are none, those that
/// come with this program are trusted, unless the settings bring their own.
///
/// # Errors
/// What the settings hold are no certificates, or the key is not that of the
/// certificate.
pub(super) fn tls(
    name: &str,
    settings: Option<&Host>,
    system: &[Certificate<'static>],
) -> Result<TlsConfig> {
    let mut roots = system.to_vec();
    let mut builder = TlsConfig::builder();
    if let Some(settings) = settings {
        if let Some(pem) = &settings.ca {
            let own = certificates(pem);
            if own.is_empty() {
                let name = name.to_owned();
                return Err(Error::input(Unusable::NoCertificate { name }));
            }
            roots.extend(own);
        }
        if let Some((certificate, key)) = &settings.identity {
            builder = builder.client_cert(Some(identity(name, certificate, key)?));
        }
        builder = builder.disable_verification(settings.insecure_skip_verify);
    }
    Ok(builder
        .root_certs(match roots.is_empty() {
            true => RootCerts::WebPki,
            false => RootCerts::new_with_certs(&roots),
        })
        .build())
}

fn identity(name: &str, certificate: &[u8], key: &[u8]) -> Result<ClientCert> {
    let name = || name.to_owned();
    let wrong = |error| {
        Error::input(Unusable::Identity {
            name: name(),
            error,
        })
    };
    let no_key = || Error::input(Unusable::Key { name: name() });

    let chain = certificates(certificate);
    let private = PrivateKey::from_pem(key).map_err(|_| no_key())?;
    if chain.is_empty() {
        return Err(Error::input(Unusable::Empty { name: name() }));
    }
    // ureq takes for granted that they fit.
    let der = PrivateKeyDer::from_pem_slice(key).map_err(|_| no_key())?;
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_client_auth_cert(
            chain
                .iter()
                .map(|certificate| CertificateDer::from(certificate.der()).into_owned())
                .collect(),
            der,
        )
        .map_err(wrong)?;
    Ok(ClientCert::new_with_certs(&chain, private))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_are_no_certificates_is_an_error_that_names_the_registry() {
        let host = |ca: Option<&[u8]>, identity: bool| Host {
            ca: ca.map(<[u8]>::to_vec),
            identity: identity.then(|| (b"no".to_vec(), b"no".to_vec())),
            ..Host::default()
        };
        for settings in [host(Some(b"nothing"), false), host(None, true)] {
            let error = tls("r.example:5000", Some(&settings), &[]).unwrap_err();
            assert!(error.to_string().contains("r.example:5000"), "{error}");
        }
        assert!(tls("r.example", Some(&Host::default()), &[]).is_ok());
    }
}
