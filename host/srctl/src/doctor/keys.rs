//! Keys that sign policies: whether one is about to expire. At boot that is a warning, and
//! where images are made no policy is accepted that it signed.

use policy::source::Source;
use policy::trust::{self, Signer, Time, Trust};
use switch_root_core::outcome::Message;

use super::finding::{Finding, Findings};

switch_root_core::outcomes! {
    /// What comes of a key that is valid for a time.
    #[derive(PartialEq)]
    pub(crate) enum Expiry in "doctor" {
        /// Sign with another key, or let `valid-before` name a later day, and make the images again.
        "SR-Z36" Past { end: Time } = "has expired on {end}",
        "SR-Z37" Soon { end: Time } = "expires on {end}",
    }
}

/// How long before it expires a key is named, in seconds: 30 days.
const SOON: u64 = 30 * 24 * 60 * 60;

/// Looks at the keys of a trust folder.
pub fn look(source: &dyn Source, findings: &mut Vec<Finding>) {
    let now = trust::now();
    // A list that cannot be read is a finding of its own.
    let Ok(Some(trust)) = Trust::of(source) else {
        return;
    };
    for signer in trust.signers() {
        let Some(what) = expiry(signer, now) else {
            continue;
        };
        findings.warning(
            "key-expiry",
            name(signer),
            Message::from(what).reworded(|it| format!("{it} ({})", signer.place)),
            "sign with another key, or let valid-before name a later day, and make the images again",
        );
    }
}

/// How a signer is called.
pub fn name(signer: &Signer) -> String {
    format!("{} ({})", signer.principals, signer.fingerprint())
}

fn expiry(signer: &Signer, now: Time) -> Option<Expiry> {
    let end = signer.valid_before()?;
    match end.0.checked_sub(now.0) {
        None => Some(Expiry::Past { end }),
        Some(left) if left <= SOON => Some(Expiry::Soon { end }),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_expire_within_thirty_days_are_named() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFNGZgeGrl4GnWu2PVVyLQhCuQCJQyHu0fCdO9Qr+YQd";
        let list = format!(
            "a {key}\nb valid-before=20270131 {key}\nc valid-before=20270201 {key}\nd valid-before=20261231 {key}\ne valid-before=20270102,namespaces=file {key}\n"
        );
        let mut trust = Trust::default();
        trust.add("list", list.as_bytes()).unwrap();
        let now = Time::parse("20270101").unwrap();
        let found: Vec<_> = trust
            .signers()
            .filter_map(|signer| {
                Some((signer.principals.as_str(), expiry(signer, now)?.to_string()))
            })
            .collect();
        assert_eq!(
            found,
            [
                ("b", "expires on 2027-01-31T00:00:00Z".to_owned()),
                ("d", "has expired on 2026-12-31T00:00:00Z".to_owned()),
            ]
        );
    }
}
