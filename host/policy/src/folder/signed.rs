//! What the trust folder demands of the files that policies are run from.

use switch_root_core::failure::{Failure, Kind};
use switch_root_core::limits::fixed;
use switch_root_core::locations::COMPILED;
use switch_root_core::outcome::Message;

use super::file::File;
use crate::source::Source;
use crate::trust::compiled::Compiled;
use crate::trust::{self, OutsideValidity, Time, Trust, signature_path};

switch_root_core::outcomes! {
    /// That a file is not signed as it is to be: what follows its name in a sentence.
    pub enum Refused in "signatures" {
        /// Sign it with `srctl policy sign`, and put the `.sig` beside it. Of a `.cwasm` that is
        /// alone the signature is its own.
        "SR-S02" Unsigned { file: String } = "is not signed: there is no {file}",
        /// The signature's file cannot be read.
        "SR-S03" Signature { file: String, reason: Message } = "has a signature, {file}, that {reason}",
        /// The folder is there and cannot be used; the reason is one of the next. No signature will
        /// do until it is repaired.
        "SR-S04" NoSigners { reason: Message } = "has no usable list of signers: {reason}",
        "SR-S05" Unchecked = "cannot be checked: there is no usable list of signers",
    }
}

switch_root_core::outcomes! {
    /// Why native code that is not signed does not count: what follows its name in a sentence.
    pub enum Unlisted in "compiled-code" {
        /// Signatures are demanded, and nothing proves that it was compiled from its signed
        /// `.wasm`. Make the image with `srctl image stage` or `srctl image add-policy`, which list
        /// what they compile, or sign it (`NAME.cwasm.sig`). The reason is one of
        /// [the next section](#signatures), of its own signature; the problem with the list is one
        /// of this table.
        "SR-C10" Absent { reason: String } = "is not listed in {COMPILED}, and {reason}",
        "SR-C11" NoList { problem: Message, reason: String } = "counts as not listed in {COMPILED}, which {problem}, and {reason}",
    }
}

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
        compiled: Result<Compiled, Message>,
    },
    /// There is a folder, and it cannot be used, for this reason: no signature will do.
    Impossible(Message),
}

/// Who signed a file.
pub struct Signed {
    /// The signer's names, escaped.
    pub by: String,
    /// That the key is not valid by the clock, if it is not.
    pub untimely: Option<OutsideValidity>,
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
            Self::Impossible(reason) => {
                let reason = reason.clone();
                Some(refused(Refused::NoSigners { reason }))
            }
            _ => None,
        }
    }

    /// Checks the signature beside a file with these contents. `None` where none is
    /// demanded.
    pub fn check(&self, file: &File<'_>, bytes: &[u8]) -> Result<Option<Signed>, Failure> {
        let trust = match self {
            Self::Nothing => return Ok(None),
            Self::Signature { trust, .. } => trust,
            Self::Impossible(_) => return Err(refused(Refused::Unchecked)),
        };
        let path = signature_path(&file.path);
        let shown = || file.source.shown(&path);
        let signature = match file.source.read(&path, fixed::SIGNATURE_FILE) {
            Ok(Some(contents)) => contents.bytes,
            Ok(None) => return Err(refused(Refused::Unsigned { file: shown() })),
            Err(reason) => {
                let file = shown();
                return Err(refused(Refused::Signature { file, reason }));
            }
        };
        let now = trust::now();
        let signed = trust.verify(bytes, &signature, now).map_err(refused)?;
        Ok(Some(Signed {
            by: signed.signer.principals.clone(),
            untimely: signed.untimely,
            now,
        }))
    }

    /// Checks native code with these contents, which is beside a `.wasm` whose signature
    /// holds: its own record proves nothing. `None` where it needs no signature.
    ///
    /// # Errors
    /// What follows the name of the file in a sentence.
    pub fn check_native(&self, file: &File<'_>, bytes: &[u8]) -> Result<Option<Signed>, Unlisted> {
        let Self::Signature { compiled, .. } = self else {
            return Ok(None);
        };
        let problem = match compiled {
            Ok(compiled) if compiled.lists(bytes) => return Ok(None),
            Ok(_) => None,
            Err(problem) => Some(problem),
        };
        let unlisted = |failure: Failure| {
            let reason = failure.message;
            match problem.cloned() {
                None => Unlisted::Absent { reason },
                Some(problem) => Unlisted::NoList { problem, reason },
            }
        };
        self.check(file, bytes).map_err(unlisted)
    }
}

fn refused(reason: impl Into<Message>) -> Failure {
    Failure::load(Kind::Signature, reason)
}
