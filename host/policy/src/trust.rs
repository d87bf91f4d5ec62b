//! Whose policies are accepted: the signers in the trust folder of an initramfs, and
//! whether one of them signed a file.
//!
//! A signature is an SSH signature (`ssh-keygen -Y sign`, or `srctl policy sign`) in the
//! namespace [`NAMESPACE`], armored, in the file `NAME.wasm.sig` beside `NAME.wasm`. The
//! keys that are accepted are listed in the files `*.signers` of [`TRUST`], in the format
//! of OpenSSH's allowed_signers ([`signers`]).
//!
//! The folder demands: where it is, every policy that is not embedded must be signed, and
//! the switch is refused where one is not, whatever its sidecar says. An empty folder
//! accepts no key. Files that mask a policy, and sidecars, need no signature: they are the
//! operator's, who can name limits, settings and a failure mode in them, but no code.
//! Native code beside a signed `.wasm` must be signed itself, or be listed as compiled
//! from it when the image was made ([`compiled`]).
//!
//! Clocks are often wrong in an initramfs: a machine without one of its own believes in
//! 1970. So `valid-after` and `valid-before` are held against the clock where images are
//! made, and at boot they are no more than a warning: an expired key must not keep
//! machines from starting that started yesterday, and who can set the clock could pass
//! for any day. A key that must not count any more is taken out of the folder.
//!
//! Signatures are checked in the process of the host, before the judge is started: its
//! word must count, and the judge runs the very code in question. What it parses for that
//! is small and bounded, and lies in the initramfs, beside the binary that parses it.

pub mod compiled;
mod rejection;
mod signature;
pub mod signers;
mod time;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey, SshSig};
use switch_root_core::limits::fixed;
use switch_root_core::locations::TRUST;
use switch_root_core::outcome::Message;

use crate::source::{self, Source};

pub use rejection::{OutsideValidity, Rejection};
pub use signature::{NAMESPACE, signature_path};
pub use signers::Signer;
pub use time::{Time, now};

switch_root_core::outcomes! {
    /// Why a trust folder cannot be used: a sentence that names it, or a file of it.
    pub enum Unusable in "signatures" {
        /// What the words say of the folder, or of one of its files.
        "SR-S20" Folder { folder: String, reason: Message } = "{folder} cannot be read: {reason}",
        "SR-S21" Dangling { file: String } = "{file} is a link to nothing",
        "SR-S23" TooManyFiles { folder: String, count: usize, limit: usize } = "{folder} has {count} files of signers, and at most {limit} are read",
    }
}

switch_root_core::outcomes! {
    /// Why a file is no armored signature.
    pub(crate) enum Unarmored in "signatures" {
        /// Signatures are smaller, and of the one version that there is: the file is something
        /// else, or was made by a tool that this release does not know.
        "SR-S24" TooLarge { limit: u64 } = "it is larger than {limit} bytes",
        "SR-S25" Version { version: u32, own: u32 } = "its version is {version}, and there is only {own}",
    }
}

/// What the names of signers files end with.
const ENDING: &[u8] = b"signers";

/// The signers that are accepted.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    signers: Vec<Signer>,
}

/// A signature that holds.
#[derive(Clone, Debug)]
pub struct Signed<'a> {
    /// Who signed.
    pub signer: &'a Signer,
    /// That the signer's key is not valid at the time in question, if it is not.
    pub untimely: Option<OutsideValidity>,
}

impl Trust {
    /// Reads the trust folder of a root directory; `None` where there is none, and
    /// nothing is demanded.
    ///
    /// # Errors
    /// A sentence that names the file and its line: there is a folder, and it cannot be
    /// read, or is not understood.
    pub fn of(source: &dyn Source) -> Result<Option<Self>, Message> {
        Self::in_folder(source, Path::new(TRUST))
    }

    /// Reads all files `*.signers` of a folder; `None` where there is no such folder.
    ///
    /// # Errors
    /// See [`Trust::of`].
    pub fn in_folder(source: &dyn Source, folder: &Path) -> Result<Option<Self>, Message> {
        let shown = source.shown(folder);
        let unreadable = |reason| Unusable::Folder {
            folder: shown.clone(),
            reason,
        };
        let Some(names) = source.names(folder).map_err(unreadable)? else {
            return match source::is_dangling(source, folder).map_err(unreadable)? {
                true => Err(Unusable::Dangling { file: shown })?,
                false => Ok(None),
            };
        };
        let mut paths: Vec<PathBuf> = names
            .iter()
            .map(|name| folder.join(name))
            .filter(|path| path.extension().map(OsStr::as_bytes) == Some(ENDING))
            .collect();
        paths.sort();
        let limit = fixed::SIGNERS_FILES;
        if paths.len() > limit {
            Err(Unusable::TooManyFiles {
                folder: shown,
                count: paths.len(),
                limit,
            })?;
        }
        let mut trust = Self::default();
        for path in paths {
            let file = source.shown(&path);
            match source.read(&path, fixed::SIGNERS_FILE) {
                Ok(Some(contents)) => trust.add(&file, &contents.bytes)?,
                Ok(None) => Err(Unusable::Dangling { file })?,
                Err(reason) => return Err(reason.reworded(|reason| format!("{file} {reason}"))),
            }
        }
        Ok(Some(trust))
    }

    /// Adds the signers of a file, which is called `shown` in messages.
    ///
    /// # Errors
    /// A sentence that names the file and its line.
    pub fn add(&mut self, shown: &str, bytes: &[u8]) -> Result<(), signers::Malformed> {
        signers::parse(shown, bytes, &mut self.signers)
    }

    /// Those who may sign policies, in the order in which they are listed.
    pub fn signers(&self) -> impl Iterator<Item = &Signer> {
        self.signers.iter().filter(|signer| signer.may_sign())
    }

    /// Whether the key of a signer may sign policies here, too.
    pub fn accepts(&self, signer: &Signer) -> bool {
        self.signers().any(|own| own.key == signer.key)
    }

    /// Checks a signature of these bytes, and whether the signer's key is valid at `now`.
    /// The first line that accepts the key counts, one that is valid before one that is
    /// not.
    ///
    /// # Errors
    /// Why it does not count. That the key is not valid at the time is no error here: the
    /// caller knows whether its clock can be trusted.
    pub fn verify(
        &self,
        bytes: &[u8],
        signature: &[u8],
        now: Time,
    ) -> Result<Signed<'_>, Rejection> {
        let signature = parse(signature)?;
        if signature.namespace() != NAMESPACE {
            return Err(Rejection::namespace(signature.namespace()));
        }
        let key = signature.public_key();
        let fingerprint = || key.fingerprint(HashAlg::Sha256).to_string();
        let listed: Vec<&Signer> = self
            .signers
            .iter()
            .filter(|signer| signer.key == *key)
            .collect();
        let Some(first) = listed.first() else {
            let fingerprint = fingerprint();
            return Err(Rejection::UnknownKey { fingerprint });
        };
        let accepted = listed.iter().copied().filter(|signer| signer.may_sign());
        let Some(signer) = accepted.min_by_key(|signer| signer.untimely(now).is_some()) else {
            return Err(Rejection::OtherNamespaces {
                fingerprint: fingerprint(),
                place: first.place.clone(),
            });
        };
        PublicKey::from(key.clone())
            .verify(NAMESPACE, bytes, &signature)
            .map_err(|_| Rejection::Changed {
                signer: signer.principals.clone(),
            })?;
        Ok(Signed {
            signer,
            untimely: signer.untimely(now),
        })
    }
}

/// Reads an armored signature.
fn parse(bytes: &[u8]) -> Result<SshSig, Rejection> {
    use ssh_key::Error;
    let malformed = |reason: String| Rejection::Malformed { reason };
    let limit = fixed::SIGNATURE_FILE;
    if bytes.len() as u64 > limit {
        return Err(malformed(Unarmored::TooLarge { limit }.to_string()));
    }
    let signature = SshSig::from_pem(bytes).map_err(|error| match error {
        Error::AlgorithmUnknown => Rejection::UnknownAlgorithm,
        Error::AlgorithmUnsupported { algorithm } => Rejection::algorithm(algorithm.as_str()),
        // It repeats what stands there.
        other => malformed(switch_root_core::escape::message(&other.to_string(), 200)),
    })?;
    // The one thing in it that nothing is signed over.
    let (version, own) = (signature.version(), SshSig::VERSION);
    if version != own {
        return Err(malformed(Unarmored::Version { version, own }.to_string()));
    }
    match signature.public_key() {
        KeyData::Ed25519(_) | KeyData::SkEd25519(_) => Ok(signature),
        other => Err(Rejection::algorithm(other.algorithm().as_str())),
    }
}

#[cfg(test)]
mod tests;
