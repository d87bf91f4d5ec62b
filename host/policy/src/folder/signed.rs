//! What the trust folder demands of the files that policies are run from.

use switch_root_core::failure::{Failure, Kind};
use switch_root_core::limits::fixed;
use switch_root_core::locations::COMPILED;

use super::file::File;
use crate::source::Source;
use crate::trust::compiled::Compiled;
use crate::trust::{self, Time, Trust, signature_path};

/// What is demanded.
pub enum Demand {
    /// There is no trust folder.
    Nothing,
    /// A signature by one of these.
    Signature {
        /// Whose signatures count.
        trust: Trust,
        /// The native code that needs none beside a `.wasm` that has one; or what follows
        /// the name of that list in a sentence: why it lists nothing.
        compiled: Result<Compiled, String>,
    },
    /// There is a folder, and it cannot be used, for this reason: no signature will do.
    Impossible(String),
}

/// Who signed a file.
pub struct Signed {
    /// The signer's names, escaped.
    pub by: String,
    /// That the key is not valid by the clock, if it is not.
    pub untimely: Option<String>,
    /// What the clock says.
    pub now: Time,
}

impl Demand {
    /// What the trust folder of a root directory demands.
    pub fn of(source: &dyn Source) -> Self {
        match Trust::of(source) {
            Ok(None) => Self::Nothing,
            Ok(Some(trust)) => Self::Signature {
                trust,
                compiled: Compiled::of(source),
            },
            Err(reason) => Self::Impossible(reason),
        }
    }

    /// That the folder itself cannot be used.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Impossible(reason) => Some(Failure::load(
                Kind::Signature,
                format!("has no usable list of signers: {reason}"),
            )),
            _ => None,
        }
    }

    /// Checks the signature beside a file with these contents. `None` where none is
    /// demanded.
    pub fn check(&self, file: &File<'_>, bytes: &[u8]) -> Result<Option<Signed>, Failure> {
        let trust = match self {
            Self::Nothing => return Ok(None),
            Self::Signature { trust, .. } => trust,
            Self::Impossible(_) => {
                return Err(refused(
                    "cannot be checked: there is no usable list of signers",
                ));
            }
        };
        let path = signature_path(&file.path);
        let shown = file.source.shown(&path);
        let signature = match file.source.read(&path, fixed::SIGNATURE_FILE) {
            Ok(Some(contents)) => contents.bytes,
            Ok(None) => return Err(refused(format!("is not signed: there is no {shown}"))),
            Err(reason) => return Err(refused(format!("has a signature, {shown}, that {reason}"))),
        };
        let now = trust::now();
        let signed = trust
            .verify(bytes, &signature, now)
            .map_err(|rejection| refused(rejection.to_string()))?;
        Ok(Some(Signed {
            by: signed.signer.principals.clone(),
            untimely: signed.untimely.map(|rejection| rejection.to_string()),
            now,
        }))
    }

    /// Checks native code with these contents, which is beside a `.wasm` whose signature
    /// holds: its own record proves nothing. `None` where it needs no signature.
    ///
    /// # Errors
    /// What follows the name of the file in a sentence.
    pub fn check_native(&self, file: &File<'_>, bytes: &[u8]) -> Result<Option<Signed>, String> {
        let Self::Signature { compiled, .. } = self else {
            return Ok(None);
        };
        let unlisted = match compiled {
            Ok(compiled) if compiled.lists(bytes) => return Ok(None),
            Ok(_) => format!("is not listed in {COMPILED}"),
            Err(reason) => format!("counts as not listed in {COMPILED}, which {reason}"),
        };
        self.check(file, bytes)
            .map_err(|failure| format!("{unlisted}, and {}", failure.message))
    }
}

fn refused(reason: impl Into<String>) -> Failure {
    Failure::load(Kind::Signature, reason)
}
