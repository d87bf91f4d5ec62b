//! What a failure to talk to a host is called, for who can do something about
//! it.

use std::io;

use switch_root_core::escape;

use super::timeouts::{CONNECT, SILENCE};

/// Whether another attempt may go better at once.
pub(super) fn is_break(error: &ureq::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

    matches!(error, ureq::Error::Io(error)
        if matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

/// Why a request failed, for who can do something about it.
pub(super) fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => unknown_host(),
        ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
            format!("no answer within {} seconds", CONNECT.as_secs())
        }
        ureq::Error::Timeout(_) => format!(
            "the connection was silent for {} seconds",
            SILENCE.as_secs()
        ),
        ureq::Error::Io(error) => io_reason(error),
        ureq::Error::Rustls(error) => tls_reason(error),
        other => escape::message(&other.to_string(), 300),
    }
}

/// As [`reason`], of what came while an answer was read.
pub(in crate::pull) fn io_reason(error: &io::Error) -> String {
    if let Some(inner) = error.get_ref() {
        if let Some(error) = inner.downcast_ref::<ureq::Error>() {
            return reason(error);
        }
        if let Some(error) = inner.downcast_ref::<rustls::Error>() {
            return tls_reason(error);
        }
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "the connection was refused: nothing listens there".to_owned()
        }
        io::ErrorKind::UnexpectedEof => "the connection was closed early".to_owned(),
        // What the standard library calls it; it has no kind of its own.
        _ if error
            .to_string()
            .starts_with("failed to lookup address information") =>
        {
            unknown_host()
        }
        _ => escape::message(&error.to_string(), 300),
    }
}

fn unknown_host() -> String {
    "the host is not known; check its name, and the network".to_owned()
}

fn tls_reason(error: &rustls::Error) -> String {
    let what = escape::message(&error.to_string(), 300);
    match error {
        rustls::Error::InvalidCertificate(_) => format!(
            "TLS failed: {what}; where its certificate is of an authority of your own, name that in tls.ca"
        ),
        rustls::Error::InvalidMessage(_) => {
            format!("TLS failed: {what}; where it speaks plain HTTP, that has to be allowed")
        }
        rustls::Error::AlertReceived(_) => format!(
            "TLS failed: {what}; where it wants to see a certificate, name that in tls.clientIdentity"
        ),
        _ => format!("TLS failed: {what}"),
    }
}
