//! What a failure to talk to a host is called, for who can do something about
//! it.

use std::io;

use switch_root_core::escape;

use super::timeouts::{CONNECT, SILENCE};

switch_root_core::outcomes! {
    /// Why a host cannot be reached: what follows its name in a sentence.
    pub enum Failure in "registries" {
        /// A registry that is reached by a proxy alone is reached by that of `HTTPS_PROXY`.
        "SR-O15" UnknownHost = "the host is not known; check its name, and the network",
        "SR-O16" NoAnswer { seconds: u64 } = "no answer within {seconds} seconds",
        "SR-O17" Silent { seconds: u64 } = "the connection was silent for {seconds} seconds",
        "SR-O18" Refused = "the connection was refused: nothing listens there",
        "SR-O19" Closed = "the connection was closed early",
        "SR-Q45" EndedEarly = "it ended early",
        /// Settings of TLS are those of `machine.registries.config`.
        "SR-Q40" Certificate { what: String } = "TLS failed: {what}; where its certificate is of an authority of your own, name that in tls.ca",
        "SR-Q41" PlainHttp { what: String } = "TLS failed: {what}; where it speaks plain HTTP, that has to be allowed",
        "SR-Q42" ClientCertificate { what: String } = "TLS failed: {what}; where it wants to see a certificate, name that in tls.clientIdentity",
        "SR-Q43" Tls { what: String } = "TLS failed: {what}",
        /// These are the words of the system, or of what speaks HTTP.
        "SR-Q44" Other { what: String } = "{what}",
    }
}

/// Whether another attempt may go better at once.
pub(super) fn is_break(error: &ureq::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

    matches!(error, ureq::Error::Io(error)
        if matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

/// Why a request failed, for who can do something about it.
pub(super) fn reason(error: &ureq::Error) -> Failure {
    match error {
        ureq::Error::HostNotFound => Failure::UnknownHost,
        ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
            let seconds = CONNECT.as_secs();
            Failure::NoAnswer { seconds }
        }
        ureq::Error::Timeout(_) => Failure::Silent {
            seconds: SILENCE.as_secs(),
        },
        ureq::Error::Io(error) => io_reason(error),
        ureq::Error::Rustls(error) => tls_reason(error),
        other => Failure::Other {
            what: escape::message(&other.to_string(), 300),
        },
    }
}

/// As [`reason`], of what came while an answer was read.
pub(in crate::pull) fn io_reason(error: &io::Error) -> Failure {
    if let Some(inner) = error.get_ref() {
        if let Some(error) = inner.downcast_ref::<ureq::Error>() {
            return reason(error);
        }
        if let Some(error) = inner.downcast_ref::<rustls::Error>() {
            return tls_reason(error);
        }
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::Refused,
        io::ErrorKind::UnexpectedEof => Failure::Closed,
        // What the standard library calls it; it has no kind of its own.
        _ if error
            .to_string()
            .starts_with("failed to lookup address information") =>
        {
            Failure::UnknownHost
        }
        _ => Failure::Other {
            what: escape::message(&error.to_string(), 300),
        },
    }
}

fn tls_reason(error: &rustls::Error) -> Failure {
    let what = escape::message(&error.to_string(), 300);
    match error {
        rustls::Error::InvalidCertificate(_) => Failure::Certificate { what },
        rustls::Error::InvalidMessage(_) => Failure::PlainHttp { what },
        rustls::Error::AlertReceived(_) => Failure::ClientCertificate { what },
        _ => Failure::Tls { what },
    }
}
