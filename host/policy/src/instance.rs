//! One component: loaded, made into instances, asked. Runs in the judge.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Instant;

use switch_root_core::escape;
use switch_root_core::failure::{Failure, Kind, Question, Untried};
use switch_root_core::limits::{Limits, fixed};
use switch_root_core::outcome::Message;
use switch_root_core::report::Protections;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Instance, Linker};
use wasmtime::{Engine, ResourceLimiter, Store, Trap};

use crate::bindings::compatibility::CompatibilityPolicy;
use crate::bindings::log;
use crate::bindings::preservation::PreservationPolicy;
use crate::bindings::settings::ConfigurablePolicy;
use crate::bindings::types::{Decision, Entry, Extension, HostFacts, Verdict};
use crate::contract::{self, CONTRACT, Import};
use crate::folder::Code;
use crate::native::Native;
use crate::protocol::{Answers, Cost, Loading};
use crate::sidecar::InPlace;

switch_root_core::outcomes! {
    /// Why a component cannot be asked: what follows its name in a sentence.
    pub enum Unusable in "policy-files" {
        /// It is damaged, or uses what this engine does not have. `srctl policy inspect` says more.
        "SR-P40" Invalid { error: String } = "is not a valid component: {error}",
        /// Its functions have other types than the contract's: its WIT was edited.
        "SR-P41" OtherTypes { error: String } = "does not fit the contract {CONTRACT}: {error}",
        /// Its own start failed, other than by a limit.
        "SR-P42" Start { error: String } = "cannot be instantiated: {error}",
        /// The policy's own words on the `settings` of the sidecar that is named.
        "SR-P43" Settings { message: String } = "refuses its settings: {message}",
    }
}

switch_root_core::outcomes! {
    /// Why its native code cannot be used: what follows the policy's name, or is a warning.
    pub enum NoNative in "compiled-code" {
        /// It is damaged, or was compiled for a processor with features that this one lacks.
        "SR-C12" Compiled { error: String } = "its ahead-of-time form cannot be used: {error}; compiled instead",
        "SR-C13" Alone { error: String } = "has no .wasm, and its ahead-of-time form cannot be used: {error}; compile it again with `srctl policy compile`, or put its .wasm beside it",
        /// Only `srctl` says this, of native code of an image, which it runs confined by seccomp or
        /// not at all.
        "SR-C22" NoSeccomp = "its ahead-of-time form, native code of an image, is run on a kernel with seccomp alone, and this kernel lacks it (CONFIG_SECCOMP_FILTER); compiled instead",
        /// Mostly memory: the policy worker could not reserve its address space.
        "SR-C15" Engine { error: String } = "cannot run, since the WebAssembly engine does not start: {error}",
    }
}

switch_root_core::outcomes! {
    /// How a call fails, by the limit that it met: what follows the policy's name.
    #[derive(Clone)]
    pub enum Failed in "policy-run" {
        /// An endless loop, or more work than `fuel` and `fuel_per_item` allow.
        "SR-R01" Fuel { fuel: u64, per_item: u64 } = "ran out of fuel (limit {fuel} a call and {per_item} for each entry)",
        /// `memory_bytes`; Python's and JavaScript's run times want more than the default.
        "SR-R02" Memory { bytes: usize, limit: usize } = "asked for {bytes} bytes of memory (limit {limit})",
        /// `table_elements`; the numbers of tables, memories and instances: `tables`, `memories`,
        /// `instances`.
        "SR-R03" Table { elements: usize, limit: usize } = "asked for a table of {elements} elements (limit {limit})",
        "SR-R04" Resources { before: String, after: String } = "{before}resource limit exceeded{after}",
        /// Endless recursion. This limit cannot be raised.
        "SR-R05" Stack { bytes: usize } = "used up its stack of {bytes} bytes",
        /// Answers and log messages of one call: `transfer_bytes`.
        "SR-R06" Transfer { limit: usize } = "passed more than {limit} bytes to the host in one call",
        /// The policy stopped itself (`unreachable`: an assertion or a panic), or did what
        /// WebAssembly forbids. Try it with `srctl policy test`.
        "SR-R10" Trap { trap: Trap } = "trapped: {trap}",
        /// Wrong lists, wrong UTF-8, wrong alignment: its bindings are wrong.
        "SR-R11" Rules { error: String } = "broke the rules of the component model: {error}",
        /// An error that it returned itself, in its own words.
        "SR-R12" Says { message: String } = "says: {message}",
        /// It must answer for each, in order.
        "SR-R34" Verdicts { count: usize, extensions: usize } = "{count} verdicts for {extensions} extensions",
    }
}

/// Passes a policy's messages on.
pub type LogSink = fn(log::Level, String);

/// What a log message counts beyond its text, in bytes: a call costs next to no fuel, so that
/// empty messages could go on until the deadline.
const MESSAGE: usize = 16;

/// How a call fails that meets no limit and is no trap, by what the engine says.
type Otherwise = fn(String) -> (Kind, Message);

/// So, unless it is an instance that could not be made.
const RULES: Otherwise = |error| (Kind::Trap, Failed::Rules { error }.into());

/// What the engine says of limits that are its own.
const NO_TRANSFER: &str = "fuel allocated for hostcalls has been exhausted";
const EXCEEDED: &str = "resource limit exceeded";

/// What an instance's calls into the host work on.
struct State {
    limits: Limits,
    sink: LogSink,
    logged: u32,
    dropped: u64,
    /// Bytes of messages that this call may still hand over. The engine counts
    /// anew for each message.
    transfer_left: usize,
    /// Which limit was met, if one was: the trap that follows does not say.
    met: Option<(Kind, Failed)>,
    /// Bytes of the largest memory, and elements of the largest table.
    largest: (usize, usize),
}

/// A component that is ready to be asked, with the instance that is in use for
/// each question.
pub struct Policy {
    host: Rc<Host>,
    component: Component,
    /// `None` where it is not to be given any, so that it cannot be asked either.
    settings: Option<Settings>,
    limits: Limits,
    sink: LogSink,
    /// Which questions it answers.
    pub answers: Answers,
    current: Option<(Question, Running)>,
    /// A failed review is over: what was asked meanwhile gets the same answer.
    failed: Option<Failure>,
    /// What the component may be run from; the last to go.
    _code: Option<Native>,
}

/// What a policy is configured with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The JSON text that it is given.
    pub json: String,
    /// The same text at its place in the operator's file, for what is said against it.
    pub in_place: Option<InPlace>,
}

struct Running {
    store: Store<State>,
    instance: Instance,
}

/// Which native code a judge runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeCode {
    /// All that is trusted as the program is.
    Any,
    /// Within seccomp all of it, and otherwise what is part of the program.
    Confined,
    /// What is part of the program.
    Embedded,
}

impl NativeCode {
    /// What is left of it in a judge that is confined so.
    pub fn within(self, protections: &Protections) -> Self {
        match self {
            Self::Confined if protections.seccomp => Self::Any,
            Self::Confined => Self::Embedded,
            other => other,
        }
    }

    fn includes(self, code: &Native) -> bool {
        self == Self::Any || code.is_embedded()
    }
}

/// What the policies of one judge share: an engine for those that were compiled
/// ahead of time, and one for those that must be compiled, each made when first
/// needed.
pub struct Hosts {
    runs: NativeCode,
    native: OnceCell<Rc<Host>>,
    #[cfg(feature = "compile")]
    compiling: OnceCell<Rc<Host>>,
}

/// An engine with what policies import.
struct Host {
    engine: Engine,
    linker: Linker<State>,
}

impl Hosts {
    /// No engine yet, for a judge that runs this native code.
    pub fn new(runs: NativeCode) -> Self {
        Self {
            runs,
            native: OnceCell::new(),
            #[cfg(feature = "compile")]
            compiling: OnceCell::new(),
        }
    }

    /// Loads a component, looks at what it imports and exports, instantiates
    /// it and gives it its settings, if there are any to give. The second value is a
    /// warning.
    pub fn load(
        &self,
        code: &Code,
        settings: Option<Settings>,
        limits: Limits,
        sink: LogSink,
        loading: &mut Loading,
    ) -> (Result<Policy, Failure>, Option<Message>) {
        let started = Instant::now();
        let mut warning = None;
        let component = self.component(code, &mut warning);
        loading.code_us += started.elapsed().as_micros() as u64;
        let policy = component.and_then(|(host, component, compiled)| {
            let answers = Answers {
                compiled,
                ..host.inspect(&component)?
            };
            let mut policy = Policy {
                host,
                component,
                settings,
                limits,
                sink,
                answers,
                current: None,
                failed: None,
                _code: code.native.clone(),
            };
            // Some faults of a component show only when it is instantiated.
            policy.running(Question::Load, &mut loading.cost)?;
            Ok(policy)
        });
        loading.cost.time_us += started.elapsed().as_micros() as u64;
        (policy, warning)
    }

    /// The component, its engine, and whether it was compiled for that.
    fn component(
        &self,
        code: &Code,
        warning: &mut Option<Message>,
    ) -> Result<(Rc<Host>, Component, bool), Failure> {
        if let Some(native) = &code.native {
            let error = if self.runs.includes(native) {
                let host = Host::once(&self.native, crate::engine::for_native)?;
                // SAFETY: `native` is what wasmtime serialized: it is embedded in
                // this binary, or comes from a file that only root can write and
                // that carries our record (folder.rs). Bytes that are not a whole
                // serialized component of this engine are refused by wasmtime.
                // What is run in place is kept as long as the policy is.
                let component = unsafe {
                    match native.in_place() {
                        Some(code) => Component::deserialize_raw(&host.engine, code),
                        None => Component::deserialize(&host.engine, native),
                    }
                };
                match component {
                    Ok(component) => return Ok((host, component, false)),
                    Err(error) => Some(one_line(&error)),
                }
            } else {
                None
            };
            if code.wasm.is_none() {
                let reason = match error {
                    Some(error) => NoNative::Alone { error }.into(),
                    None => Message::from(Untried::NoSeccomp),
                };
                return Err(Failure::load(Kind::NotAPolicy, reason));
            }
            let reason = match error {
                Some(error) => NoNative::Compiled { error },
                None => NoNative::NoSeccomp,
            };
            *warning = Some(reason.into());
        }
        let wasm = code.wasm.as_deref().unwrap_or_default();
        self.compile(wasm)
            .map(|(host, component)| (host, component, true))
    }

    #[cfg(feature = "compile")]
    fn compile(&self, wasm: &[u8]) -> Result<(Rc<Host>, Component), Failure> {
        crate::component::check_names(wasm)?;
        let host = Host::once(&self.compiling, crate::engine::for_compiling)?;
        let component = Component::from_binary(&host.engine, wasm).map_err(|error| {
            let error = one_line(&error);
            Failure::load(Kind::NotAPolicy, Unusable::Invalid { error })
        })?;
        Ok((host, component))
    }

    #[cfg(not(feature = "compile"))]
    fn compile(&self, _: &[u8]) -> Result<(Rc<Host>, Component), Failure> {
        Err(Failure::load(
            Kind::NotAPolicy,
            switch_root_core::failure::NoCompiler::Needed,
        ))
    }
}

impl Host {
    /// The one in the cell, made now if there is none.
    fn once(
        cell: &OnceCell<Rc<Self>>,
        engine: fn() -> wasmtime::Result<Engine>,
    ) -> Result<Rc<Self>, Failure> {
        if let Some(host) = cell.get() {
            return Ok(host.clone());
        }
        let made = engine().and_then(|engine| {
            let mut linker = Linker::new(&engine);
            log::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
            Ok(Rc::new(Self { engine, linker }))
        });
        let host = made.map_err(|error| {
            let error = one_line(&error);
            Failure::load(Kind::Limit, NoNative::Engine { error })
        })?;
        Ok(cell.get_or_init(|| host).clone())
    }

    /// Refuses what imports anything but `log`, and finds the questions.
    fn inspect(&self, component: &Component) -> Result<Answers, Failure> {
        let shape = component.component_type();
        let imports: Vec<(&str, ComponentItem)> = shape
            .imports(&self.engine)
            .map(|(name, import)| (name, import.ty))
            .collect();
        let imports: Vec<Import<'_>> = imports
            .iter()
            .map(|(name, item)| Import {
                name,
                functions: match item {
                    ComponentItem::ComponentInstance(interface) => Some(
                        interface
                            .exports(&self.engine)
                            .filter(|(_, item)| !matches!(item.ty, ComponentItem::Type(_)))
                            .map(|(name, _)| name)
                            .collect(),
                    ),
                    _ => None,
                },
            })
            .collect();
        let exports = shape.exports(&self.engine).map(|(name, _)| name);
        let questions = contract::questions(&imports, &exports.collect::<Vec<_>>())?;
        Ok(Answers {
            preservation: questions.preservation,
            compatibility: questions.compatibility,
            settings: questions.settings,
            compiled: false,
        })
    }
}

impl Policy {
    /// Asks about one directory. The answer is not yet held against the contract.
    pub fn preservation(
        &mut self,
        directory: &[u8],
        entries: &[Entry],
        cost: &mut Cost,
    ) -> Result<Vec<Decision>, Failure> {
        self.ask(Question::Preservation, entries.len(), cost, |running| {
            let policy = PreservationPolicy::new(&mut running.store, &running.instance)?;
            policy.switch_root_policy_preservation().call_review(
                &mut running.store,
                directory,
                entries,
            )
        })
    }

    /// Asks about all extensions.
    pub fn compatibility(
        &mut self,
        facts: &HostFacts,
        extensions: &[Extension],
        cost: &mut Cost,
    ) -> Result<Vec<Verdict>, Failure> {
        let verdicts = self.ask(Question::Compatibility, extensions.len(), cost, |running| {
            let policy = CompatibilityPolicy::new(&mut running.store, &running.instance)?;
            policy.switch_root_policy_compatibility().call_review(
                &mut running.store,
                facts,
                extensions,
            )
        })?;
        if verdicts.len() != extensions.len() {
            self.current = None;
            return Err(Failure::new(
                Question::Compatibility,
                Kind::Answer,
                Failed::Verdicts {
                    count: verdicts.len(),
                    extensions: extensions.len(),
                },
            ));
        }
        let cut = |verdict| match verdict {
            Verdict::Incompatible(reason) => {
                Verdict::Incompatible(escape::message(&reason, fixed::ERROR_MESSAGE))
            }
            verdict => verdict,
        };
        Ok(verdicts.into_iter().map(cut).collect())
    }

    /// One call, within its limits. An instance that failed is not used again.
    fn ask<T>(
        &mut self,
        question: Question,
        items: usize,
        cost: &mut Cost,
        call: impl FnOnce(&mut Running) -> wasmtime::Result<Result<T, String>>,
    ) -> Result<T, Failure> {
        if let Some(failure) = &self.failed
            && failure.question == question
        {
            return Err(failure.clone());
        }
        let started = Instant::now();
        let limits = self.limits;
        let outcome = self.running(question, cost).and_then(|running| {
            let fuel = limits
                .fuel
                .saturating_add(limits.fuel_per_item.saturating_mul(items as u64));
            running.refuel(fuel, &limits, items);
            let outcome = call(running);
            cost.fuel += fuel - running.store.get_fuel().unwrap_or(0);
            running.store.data().charge(cost);
            running.store.data().report_dropped();
            match outcome {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(message)) => Err(Failure::new(
                    question,
                    Kind::Error,
                    Failed::Says {
                        message: escape::message(&message, fixed::ERROR_MESSAGE),
                    },
                )),
                Err(error) => Err(running.store.data().classify(question, &error, RULES)),
            }
        });
        if let Err(failure) = &outcome {
            self.current = None;
            self.failed = Some(failure.clone());
        }
        cost.time_us += started.elapsed().as_micros() as u64;
        outcome
    }

    /// The instance for a question: the one in use, or a new one, so that one
    /// question cannot spoil the other.
    fn running(&mut self, question: Question, cost: &mut Cost) -> Result<&mut Running, Failure> {
        let usable = matches!(&self.current, Some((current, _)) if *current == question || *current == Question::Load);
        let running = match self.current.take() {
            Some((_, running)) if usable => running,
            _ => self.instantiate(cost)?,
        };
        Ok(&mut self.current.insert((question, running)).1)
    }

    fn instantiate(&self, cost: &mut Cost) -> Result<Running, Failure> {
        let settings = self.settings.as_ref();
        let json = settings.map(|settings| settings.json.as_str());
        let outcome = self.configured_with(json, self.sink, cost);
        let refused = matches!(&outcome, Err(failure) if failure.kind == Kind::Settings);
        let Some(in_place) = settings.and_then(|it| it.in_place.as_ref()) else {
            return outcome;
        };
        if !refused {
            return outcome;
        }
        // It is asked once more, with what is wrong where the operator has it: a line and a
        // column in its answer are those of the file then. Whatever else comes of that, the
        // first answer counts.
        let quiet: LogSink = |_, _| {};
        match self.configured_with(Some(in_place.text()), quiet, &mut Cost::default()) {
            Err(failure) if failure.kind == Kind::Settings => Err(failure),
            _ => outcome,
        }
    }

    /// An instance that was given these settings.
    fn configured_with(
        &self,
        settings: Option<&str>,
        sink: LogSink,
        cost: &mut Cost,
    ) -> Result<Running, Failure> {
        let limits = self.limits;
        let state = State {
            limits,
            sink,
            logged: 0,
            dropped: 0,
            transfer_left: limits.transfer_bytes,
            met: None,
            largest: (0, 0),
        };
        let mut store = Store::new(&self.host.engine, state);
        store.limiter(|state| state);
        let fuel = limits.fuel;
        // Cannot fail: the engine consumes fuel.
        let _ = store.set_fuel(fuel);
        store.set_hostcall_fuel(limits.transfer_bytes);
        let unfit = |error| {
            let error = one_line(&error);
            Failure::load(Kind::NotAPolicy, Unusable::OtherTypes { error })
        };
        let outcome = (|| {
            let instance = match self.host.linker.instantiate(&mut store, &self.component) {
                Ok(instance) => instance,
                Err(error) => {
                    let otherwise: Otherwise =
                        |error| (Kind::NotAPolicy, Unusable::Start { error }.into());
                    return Err(store.data().classify(Question::Load, &error, otherwise));
                }
            };
            if self.answers.settings
                && let Some(settings) = settings
            {
                let policy = ConfigurablePolicy::new(&mut store, &instance).map_err(unfit)?;
                let configured = policy
                    .switch_root_policy_settings()
                    .call_configure(&mut store, settings);
                match configured {
                    Ok(Ok(())) => {}
                    Ok(Err(message)) => {
                        let message = escape::message(&message, fixed::ERROR_MESSAGE);
                        let refusal = Unusable::Settings { message };
                        return Err(Failure::load(Kind::Settings, refusal));
                    }
                    Err(error) => {
                        return Err(store.data().classify(Question::Load, &error, RULES));
                    }
                }
            }
            // A component whose exports have other types than the contract's
            // is found out here, not when its answer is needed.
            let bound = match self.answers {
                Answers {
                    preservation: true,
                    compatibility: false,
                    ..
                } => PreservationPolicy::new(&mut store, &instance).map(drop),
                Answers {
                    preservation: false,
                    ..
                } => CompatibilityPolicy::new(&mut store, &instance).map(drop),
                _ => PreservationPolicy::new(&mut store, &instance)
                    .and_then(|_| CompatibilityPolicy::new(&mut store, &instance).map(drop)),
            };
            bound.map_err(unfit)?;
            Ok(instance)
        })();
        cost.fuel += fuel - store.get_fuel().unwrap_or(0);
        store.data().charge(cost);
        store.data().report_dropped();
        Ok(Running {
            instance: outcome?,
            store,
        })
    }
}

impl Running {
    fn refuel(&mut self, fuel: u64, limits: &Limits, items: usize) {
        // Cannot fail: the engine consumes fuel.
        let _ = self.store.set_fuel(fuel);
        // A decision or a verdict takes at most this many bytes of the host.
        self.store.set_hostcall_fuel(
            limits
                .transfer_bytes
                .saturating_add(items.saturating_mul(64)),
        );
        let state = self.store.data_mut();
        state.logged = 0;
        state.dropped = 0;
        state.met = None;
        state.transfer_left = limits.transfer_bytes;
    }
}

impl State {
    /// Says which limit ended a call. `otherwise` is what it was where that was none.
    fn classify(
        &self,
        question: Question,
        error: &wasmtime::Error,
        otherwise: Otherwise,
    ) -> Failure {
        let limits = &self.limits;
        let (kind, failed) = match (&self.met, error.downcast_ref::<Trap>()) {
            (_, Some(Trap::OutOfFuel)) => (
                Kind::Fuel,
                Failed::Fuel {
                    fuel: limits.fuel,
                    per_item: limits.fuel_per_item,
                },
            ),
            (_, Some(Trap::StackOverflow)) => (
                Kind::Stack,
                Failed::Stack {
                    bytes: fixed::WASM_STACK,
                },
            ),
            (Some((kind, failed)), _) => (*kind, failed.clone()),
            (None, Some(trap)) => (Kind::Trap, Failed::Trap { trap: *trap }),
            (None, None) => {
                let text = one_line(error);
                if text.contains(NO_TRANSFER) {
                    let limit = limits.transfer_bytes;
                    (Kind::Limit, Failed::Transfer { limit })
                } else if let Some((before, after)) = text.split_once(EXCEEDED) {
                    let (before, after) = (before.to_owned(), after.to_owned());
                    (Kind::Limit, Failed::Resources { before, after })
                } else {
                    let (kind, message) = otherwise(text);
                    return Failure::new(question, kind, message);
                }
            }
        };
        Failure::new(question, kind, failed)
    }

    /// Adds what memories and tables have grown to.
    fn charge(&self, cost: &mut Cost) {
        let (memory, table) = self.largest;
        cost.memory_bytes = cost.memory_bytes.max(memory as u64);
        cost.table_elements = cost.table_elements.max(table as u64);
    }

    fn report_dropped(&self) {
        if self.dropped > 0 {
            (self.sink)(
                log::Level::Warn,
                format!("{} more log messages were dropped", self.dropped),
            );
        }
    }
}

impl log::Host for State {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let size = message.len().saturating_add(MESSAGE);
        match self.transfer_left.checked_sub(size) {
            Some(left) => self.transfer_left = left,
            None => {
                let limit = self.limits.transfer_bytes;
                self.met = Some((Kind::Limit, Failed::Transfer { limit }));
                return Err(wasmtime::Error::msg("too many bytes"));
            }
        }
        if self.logged == self.limits.log_messages {
            self.dropped += 1;
            return Ok(());
        }
        self.logged += 1;
        (self.sink)(
            level,
            escape::message(&message, self.limits.log_message_bytes),
        );
        Ok(())
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = desired <= self.limits.memory_bytes;
        if allowed {
            self.largest.0 = self.largest.0.max(desired);
        } else {
            self.met = Some((
                Kind::Memory,
                Failed::Memory {
                    bytes: desired,
                    limit: self.limits.memory_bytes,
                },
            ));
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = desired <= self.limits.table_elements;
        if allowed {
            self.largest.1 = self.largest.1.max(desired);
        } else {
            self.met = Some((
                Kind::Limit,
                Failed::Table {
                    elements: desired,
                    limit: self.limits.table_elements,
                },
            ));
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        self.limits.memories
    }
}

/// wasmtime's errors may hold component text, and newlines.
fn one_line(error: &wasmtime::Error) -> String {
    escape::message(&format!("{error:#}"), fixed::ERROR_MESSAGE)
}
