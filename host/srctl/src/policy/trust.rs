//! Lists of signers that the command line names, and signatures held against them.

use std::io::ErrorKind;
use std::path::Path;

use policy::source::Disk;
use policy::trust::{self, Signed, Trust};
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::locations::SIGNERS;
use switch_root_core::outcome::Message;
use toolkit::policies;

use crate::input::{read_up_to, shown};

switch_root_core::outcomes! {
    /// Why a signature is not held against signers.
    pub(crate) enum NoTrust in "srctl" {
        /// Check the path.
        "SR-H32" NoFolder { path: String } = "there is no {path}",
        /// `srctl policy sign` makes one beside the policy.
        "SR-H33" Unsigned { policy: String, signature: String } = "{policy} is not signed: there is no {signature}",
        /// A machine that demands no signatures has no such folder. Name the list that the signer gave you.
        "SR-H83" NoLists = "cannot verify a signature, since this machine has no list of signers; name one with --signers, or make the folder {SIGNERS}",
    }
}

/// The largest list of signers that is read, in bytes.
const LIST: u64 = switch_root_core::limits::fixed::SIGNERS_FILE;

/// Reads the signers of a list, or of all lists (`*.signers`) of a folder.
pub fn read(path: &Path) -> Result<Trust> {
    let malformed = |reason: Message| {
        Error::input(reason.reworded(|it| format!("cannot tell whose signatures count: {it}")))
    };
    if path.is_dir() {
        let read = Trust::in_folder(&Disk::folder(path), Path::new("/")).map_err(malformed)?;
        return read.ok_or_else(|| malformed(NoTrust::NoFolder { path: shown(path) }.into()));
    }
    let mut trust = Trust::default();
    trust
        .add(&shown(path), &read_up_to(path, LIST)?)
        .map_err(|reason| malformed(reason.into()))?;
    Ok(trust)
}

/// The same, of a path that is the machine's own folder where none was named.
pub fn of_machine_or(path: &Path) -> Result<Trust> {
    let missing = |error: &std::io::Error| error.kind() == ErrorKind::NotFound;
    if path == Path::new(SIGNERS) && path.symlink_metadata().is_err_and(|error| missing(&error)) {
        return Err(Error::new(Kind::NotFound, NoTrust::NoLists));
    }
    read(path)
}

/// Holds the signature beside a policy against signers, as strictly as it can be: the
/// clock of the machine that images are made on is right.
pub fn check<'a>(
    trust: &'a Trust,
    file: &Path,
    wasm: &[u8],
    signature: Option<&[u8]>,
) -> std::result::Result<Signed<'a>, Message> {
    let name = shown(file);
    let Some(signature) = signature else {
        return Err(NoTrust::Unsigned {
            policy: name,
            signature: shown(&trust::signature_path(file)),
        }
        .into());
    };
    let signed = trust.verify(wasm, signature, trust::now());
    match signed {
        Ok(Signed {
            untimely: Some(reason),
            ..
        }) => Err(Message::from(reason).said_of(name)),
        Ok(signed) => Ok(signed),
        Err(rejection) => Err(Message::from(rejection).said_of(name)),
    }
}

/// The signature beside a policy.
pub fn signature(file: &Path) -> Result<Option<Vec<u8>>> {
    policies::signature_beside(file)
}
