//! The judge: the child process that runs policies, and nothing else.

use std::cell::RefCell;
use std::fs::File;
use std::io::BufReader;
use std::os::fd::{AsRawFd, OwnedFd};

use switch_root_core::extensions;
use switch_root_core::failure::{Failure, Kind};
use switch_root_core::limits::{Limits, fixed};

use crate::bindings::log::Level;
use crate::bindings::types;
use crate::folder::Policy;
use crate::instance::{self, Hosts, NativeCode, Settings};
use crate::protocol::{self, Cost, Loading, Reply, Request};
use crate::sandbox;

switch_root_core::outcomes! {
    /// Why a policy that is asked about was not loaded: what follows its name.
    pub enum Missing in "policy-files" {
        /// A defect of this program; report it.
        "SR-P60" NeverLoaded = "was never loaded",
    }
}

switch_root_core::outcomes! {
    /// What is not right about a policy that was loaded.
    pub enum Unused in "policy-warnings" {
        /// The policy does not export `settings`: the sidecar may be another policy's.
        "SR-P73" Settings = "its sidecar has settings, but it takes none",
    }
}

switch_root_core::outcomes! {
    /// What is said by the process that runs policies, of the one that asks it.
    pub enum Unheard in "policy-run" {
        /// A defect of this program, or the memory of the policy worker was overwritten: report it
        /// with the `.wasm`.
        "SR-R53" Request { error: std::io::Error } = "a request cannot be read: {error}",
    }
}

thread_local! {
    /// Where replies go. A global of the process, since a policy's log
    /// messages and a panic come from deep inside.
    static OUTPUT: RefCell<Option<File>> = const { RefCell::new(None) };
}

/// Answers the host until it closes its end. The process ends with this.
/// Without `configure` no policy is given its settings, and none can be asked.
pub fn run(
    policies: &[&Policy],
    configure: bool,
    native: NativeCode,
    requests: OwnedFd,
    replies: OwnedFd,
) -> ! {
    #[cfg(feature = "fuzzing")]
    crate::fuzzing::play(&replies);
    std::panic::set_hook(Box::new(|panic| reply(&Reply::Panic(panic.to_string()))));
    let memory: u64 = policies
        .iter()
        .map(|policy| address_space(&policy.sidecar.limits))
        .fold(fixed::JUDGE_WORKSPACE, u64::saturating_add);
    let keep = [requests.as_raw_fd(), replies.as_raw_fd()];
    OUTPUT.set(Some(File::from(replies)));
    let protections = sandbox::enter(keep, memory);
    let hosts = Hosts::new(native.within(&protections));
    reply(&Reply::Ready(protections));
    serve(&hosts, policies, configure, File::from(requests));
    // SAFETY: ends the process without running the exit handlers of the
    // program that it was forked from.
    unsafe { libc::_exit(0) }
}

/// What the linear memories of one policy may map, in both of its instances.
fn address_space(limits: &Limits) -> u64 {
    let one = (limits.memory_bytes as u64).max(fixed::MEMORY_RESERVATION) + fixed::MEMORY_GUARD;
    one.saturating_mul(2 * limits.memories as u64)
}

fn serve(hosts: &Hosts, sources: &[&Policy], configure: bool, requests: File) {
    let mut policies: Vec<Result<instance::Policy, Failure>> = sources
        .iter()
        .map(|source| load(hosts, source, configure))
        .collect();
    let mut requests = BufReader::new(requests);
    loop {
        match protocol::read_frame(&mut requests) {
            Ok(Some(request)) => answer(&mut policies, request),
            Ok(None) => return,
            Err(error) => {
                let panic = Unheard::Request { error }.to_string();
                return reply(&Reply::Panic(panic));
            }
        }
    }
}

fn load(hosts: &Hosts, source: &Policy, configure: bool) -> Result<instance::Policy, Failure> {
    let mut loading = Loading::default();
    let (policy, warning) = match &source.code {
        Ok(code) => hosts.load(
            code,
            configure.then(|| Settings {
                json: source.sidecar.settings_json(),
                in_place: source.sidecar.in_place.clone(),
            }),
            source.sidecar.limits,
            log,
            &mut loading,
        ),
        Err(failure) => (Err(failure.clone()), None),
    };
    if let Some(warning) = warning {
        reply(&Reply::Warning(warning));
    }
    if let (Ok(policy), Some(_)) = (&policy, &source.sidecar.settings)
        && !policy.answers.settings
    {
        reply(&Reply::Warning(Unused::Settings.into()));
    }
    let outcome = policy
        .as_ref()
        .map(|policy| policy.answers)
        .map_err(Clone::clone);
    reply(&Reply::Loaded { outcome, loading });
    policy
}

fn answer(policies: &mut [Result<instance::Policy, Failure>], request: Request) {
    match request {
        Request::Preservation {
            policies: asked,
            directory,
            listing,
        } => {
            let entries: Vec<types::Entry> = convert(listing.unpack());
            for index in asked {
                let mut cost = Cost::default();
                let outcome = ask(policies, index, |policy| {
                    policy
                        .preservation(&directory, &entries, &mut cost)
                        .map(convert)
                });
                reply(&Reply::Decisions { outcome, cost });
            }
        }
        Request::Compatibility {
            policies: asked,
            host: facts,
            extensions_yaml,
        } => {
            let list = extensions::list(&extensions_yaml);
            let extensions: Vec<types::Extension> = match &list {
                Ok(list) => convert(list.extensions.clone()),
                Err(_) => Vec::new(),
            };
            reply(&Reply::Extensions(list));
            if extensions.is_empty() {
                return;
            }
            let facts = facts.into();
            for index in asked {
                let mut cost = Cost::default();
                let outcome = ask(policies, index, |policy| {
                    policy
                        .compatibility(&facts, &extensions, &mut cost)
                        .map(convert)
                });
                reply(&Reply::Verdicts { outcome, cost });
            }
        }
    }
}

/// Values of the contract as those of the sandbox, or back.
fn convert<T, U: From<T>>(values: Vec<T>) -> Vec<U> {
    values.into_iter().map(U::from).collect()
}

fn ask<T>(
    policies: &mut [Result<instance::Policy, Failure>],
    index: u16,
    question: impl FnOnce(&mut instance::Policy) -> Result<T, Failure>,
) -> Result<T, Failure> {
    match policies.get_mut(usize::from(index)) {
        Some(Ok(policy)) => question(policy),
        Some(Err(failure)) => Err(failure.clone()),
        None => Err(Failure::load(Kind::Unreadable, Missing::NeverLoaded)),
    }
}

fn log(level: Level, message: String) {
    reply(&Reply::Log { level, message });
}

/// Without this reply the host would wait for it in vain: it is told by our end.
fn reply(reply: &Reply) {
    OUTPUT.with_borrow_mut(|output| {
        if let Some(output) = output
            && protocol::write_frame(output, reply).is_err()
        {
            // SAFETY: as at the end of `run`.
            unsafe { libc::_exit(1) }
        }
    });
}
