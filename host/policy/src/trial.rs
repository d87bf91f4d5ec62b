//! Loading a policy to see whether it can be: in the judge, as at boot, and nothing is
//! asked.

use std::borrow::Cow;

use crate::failure::{Failure, Kind};
use crate::folder::{Code, Policy};
use crate::session::{Answers, Session};
use crate::sidecar::Sidecar;
use crate::{engine, escape};

/// Loads a `.wasm` with its settings. No other thread may run: the judge is forked.
///
/// # Errors
/// How it failed.
pub fn load(name: &str, wasm: &[u8], sidecar: &Sidecar) -> Result<Answers, Failure> {
    let policies = [Policy {
        name: escape::message(name, 256),
        origin: escape::message(name, 256),
        digest: Some(engine::digest(wasm)),
        code: Ok(Code {
            wasm: Some(Cow::Owned(wasm.to_owned())),
            native: None,
        }),
        signed_by: None,
        sidecar: sidecar.clone(),
        warnings: Vec::new(),
    }];
    let mut session = Session::new(&policies);
    let loaded = session.load_all();
    session.dismiss();
    session.take_dismissed().wait();
    let account = &session.accounts()[0];
    match (account.failures.first(), loaded) {
        (Some(failure), _) => Err(failure.clone()),
        (None, Err(message)) => Err(Failure::load(Kind::Crash, message)),
        (None, Ok(())) => Ok(account.answers),
    }
}
