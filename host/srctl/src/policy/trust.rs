//! Lists of signers that the command line names, and signatures held against them.

use std::path::Path;

use policy::source::Disk;
use policy::trust::{self, Signed, Trust};
use switch_root_core::error::{Error, Result};
use toolkit::policies;

use crate::input::{read_up_to, shown};

/// The largest list of signers that is read, in bytes.
const LIST: u64 = switch_root_core::limits::fixed::SIGNERS_FILE;

/// Reads the signers of a list, or of all lists (`*.signers`) of a folder.
pub fn read(path: &Path) -> Result<Trust> {
    let malformed =
        |reason: String| Error::input(format!("cannot tell whose signatures count: {reason}"));
    if path.is_dir() {
        let read = Trust::in_folder(&Disk::folder(path), Path::new("/"))
            .map_err(|reason| malformed(reason.text))?;
        return read.ok_or_else(|| malformed(format!("there is no {}", shown(path))));
    }
    let mut trust = Trust::default();
    trust
        .add(&shown(path), &read_up_to(path, LIST)?)
        .map_err(|reason| malformed(reason.to_string()))?;
    Ok(trust)
}

/// Holds the signature beside a policy against signers, as strictly as it can be: the
/// clock of the machine that images are made on is right. What is wrong is a sentence.
pub fn check<'a>(
    trust: &'a Trust,
    file: &Path,
    wasm: &[u8],
    signature: Option<&[u8]>,
) -> std::result::Result<Signed<'a>, String> {
    let name = shown(file);
    let Some(signature) = signature else {
        let path = shown(&trust::signature_path(file));
        return Err(format!("{name} is not signed: there is no {path}"));
    };
    let signed = trust.verify(wasm, signature, trust::now());
    match signed {
        Ok(Signed {
            untimely: Some(reason),
            ..
        }) => Err(format!("{name} {reason}")),
        Ok(signed) => Ok(signed),
        Err(rejection) => Err(format!("{name} {rejection}")),
    }
}

/// The signature beside a policy.
pub fn signature(file: &Path) -> Result<Option<Vec<u8>>> {
    policies::signature_beside(file)
}
