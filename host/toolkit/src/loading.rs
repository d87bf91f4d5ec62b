//! Reading a policy's files, and loading it as at boot: in the judge, within its limits.

use std::borrow::Cow;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use policy::engine;
use policy::folder::{Code, Policy};
use policy::native::Native;
use policy::session::{Account, Session};
use policy::sidecar::Sidecar;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::limits::fixed;
use switch_root_core::outcome::Message;
use switch_root_core::progress::Progress;
use switch_root_core::{escape, file, reading};
use tracing::subscriber::{NoSubscriber, with_default};

switch_root_core::outcomes! {
    /// Why a policy cannot be read.
    pub(crate) enum NoFile in "policies" {
        /// Check the path.
        "SR-T70" Missing { path: String } = "there is no file {path}; check the path",
    }
}

/// Reads a `.wasm` or `.cwasm` file, whatever is in it.
///
/// # Errors
/// The path, and why it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_within(path, fixed::POLICY_FILE)
}

/// Reads an `extensions.yaml`.
///
/// # Errors
/// The path, and why it cannot be read.
pub fn extensions(path: &Path) -> Result<Vec<u8>> {
    read_within(path, fixed::EXTENSIONS_FILE)
}

/// Reads a sidecar; the defaults where no path is given.
///
/// # Errors
/// The path, and why it cannot be read or what is wrong in it.
pub fn sidecar(path: Option<&Path>) -> Result<Sidecar> {
    let Some(path) = path else {
        return Ok(Sidecar::default());
    };
    let bytes = read_within(path, fixed::SIDECAR_FILE)?;
    let parsed = Sidecar::parse(&bytes)
        .map_err(|reason| Error::input(Message::from(reason).said_of(shown(path))))?;
    Ok(Sidecar {
        origin: Some(shown(path)),
        ..parsed
    })
}

/// The sidecar of a policy's file: the one that is named, or else `NAME.json` beside it, as
/// at boot. It has an origin where there is one; an empty one masks what it would replace.
///
/// # Errors
/// See [`sidecar`].
pub fn sidecar_of(policy: &Path, named: Option<&Path>) -> Result<Sidecar> {
    let beside = policy.with_extension("json");
    let is_there = |file: Metadata| file.is_file() && file.len() > 0;
    let beside = beside.metadata().is_ok_and(is_there).then_some(beside);
    sidecar(named.or(beside.as_deref()))
}

fn read_within(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = reading::regular(path).map_err(|error| match error.kind {
        Kind::NotFound if path.symlink_metadata().is_err() => {
            Error::new(error.kind, NoFile::Missing { path: shown(path) })
        }
        _ => error,
    })?;
    let contents = file::contents(file, limit);
    let (bytes, _) =
        contents.map_err(|reason| Error::input(Message::from(reason).said_of(shown(path))))?;
    Ok(bytes)
}

/// A path for people.
pub fn shown(path: &Path) -> String {
    escape::path(path.as_os_str().as_bytes())
}

/// What a policy is called by its file.
fn name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    let is_descriptor = path.parent().is_some_and(|it| it.ends_with("fd"))
        && stem.as_bytes().iter().all(u8::is_ascii_digit);
    match is_descriptor {
        // `/proc/PID/fd/7` has no name that says anything: it was `-` on the command line.
        true => "-".into(),
        false => escape::path(stem.as_bytes()),
    }
}

/// The policy that a component is with a sidecar.
pub fn policy(path: &Path, wasm: Vec<u8>, sidecar: Sidecar) -> Policy {
    Policy {
        name: name(path),
        origin: shown(path),
        digest: Some(engine::digest(&wasm)),
        code: Ok(Code {
            wasm: Some(Cow::Owned(wasm)),
            native: None,
        }),
        signed_by: None,
        native_signed_by: None,
        untimely: None,
        sidecar,
        warnings: Vec::new(),
    }
}

/// The same policy without the deadlines of a boot: who prepares it waits for the compiler.
pub fn unhurried(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    policy.sidecar.limits.deadline_ms = u64::MAX;
    policy.sidecar.limits.total_ms = u64::MAX;
    policy
}

/// The same policy as it was compiled ahead of time for this machine, without what it was
/// compiled from.
///
/// # Errors
/// The file is no such code: a sentence.
pub fn natively(policy: &Policy, cwasm: &[u8]) -> std::result::Result<Policy, Message> {
    Ok(Policy {
        code: Ok(Code {
            wasm: None,
            native: Some(native(cwasm)?),
        }),
        ..policy.clone()
    })
}

/// The code of a `.cwasm` file.
///
/// # Errors
/// The file is no such code, or there is no memory for it.
pub fn native(cwasm: &[u8]) -> std::result::Result<Native, Message> {
    let (_, code) = engine::split_native(cwasm)?;
    let size = code.len() as u64;
    let copied = Native::copied(code).map_err(|_| file::Unreadable::NoMemory { size })?;
    Ok(copied)
}

/// Compiles a component ahead of time, and shows that it does, under this name.
///
/// # Errors
/// See [`engine::compile`].
pub fn ahead(
    name: &str,
    wasm: &[u8],
    target: &str,
    progress: &dyn Progress,
) -> std::result::Result<Vec<u8>, Message> {
    let task = progress.begin(name, None);
    task.say("compiling");
    engine::compile(wasm, target)
}

/// The same policy, compiled ahead of time for this machine: what is asked by hand need not
/// wait within a boot's deadline for that. Where it cannot be compiled it is as it was, so
/// that the judge says why.
pub fn prepared(policy: &Policy, progress: &dyn Progress) -> Policy {
    let code = policy.code.as_ref().ok();
    let wasm = code.and_then(|code| code.wasm.as_deref());
    let target = engine::target_of(std::env::consts::ARCH);
    ahead(&policy.name, wasm.unwrap_or_default(), &target, progress)
        .and_then(|file| natively(policy, &file))
        .unwrap_or_else(|_| policy.clone())
}

/// Loads a policy in the judge and asks it nothing. Without `configure` it is
/// instantiated and not given its settings. No other thread may run: the judge is forked.
///
/// # Errors
/// There can be no judge. That the policy cannot be loaded is in the account.
pub fn load(policy: &Policy, configure: bool) -> Result<Account> {
    load_in(Session::new(std::slice::from_ref(policy)), configure)
}

/// Like [`load`], for a policy of an image or of another machine: its native code runs only
/// where seccomp confines it.
///
/// # Errors
/// See [`load`].
pub fn load_of_an_image(policy: &Policy, configure: bool) -> Result<Account> {
    load_in(
        Session::of_an_image(std::slice::from_ref(policy)),
        configure,
    )
}

fn load_in(mut session: Session, configure: bool) -> Result<Account> {
    quietly(|| {
        session.try_loading(configure).map_err(no_judge)?;
        Ok(session.accounts()[0].clone())
    })
}

/// Does something without its log: what is logged at boot is part of the answer here.
pub fn quietly<T>(work: impl FnOnce() -> T) -> T {
    with_default(NoSubscriber::default(), work)
}

/// The warnings about a policy, for people.
pub fn warnings(account: &Account) -> Vec<String> {
    account.warnings.iter().map(ToString::to_string).collect()
}

/// That there is no judge to ask.
pub fn no_judge(reason: Message) -> Error {
    Error::new(
        Kind::System,
        reason.reworded(|it| format!("the policy cannot be loaded: {it}")),
    )
}
