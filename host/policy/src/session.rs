//! The host's side of the judge: starting it, waiting for it no longer than
//! allowed, and going on without the policy that brought it down.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{ForkResult, Pid, fork, pipe2, read, write};
use serde::Serialize;
use switch_root_core::escape;
use switch_root_core::failure::{Failure, Kind, Question};
use switch_root_core::limits::fixed;
use switch_root_core::outcome;

use crate::bindings::log::Level;
use crate::folder::Policy;
use crate::instance::NativeCode;
use crate::judge;
use crate::protocol::{self, Reply, Request};
use crate::sidecar::OnFailure;

pub use crate::protocol::{Answers, Cost, Loading};
pub use switch_root_core::report::Protections;

switch_root_core::outcomes! {
    /// How the process that runs a policy ended, or what it did: what follows the policy's name.
    pub enum Worker in "policy-run" {
        /// `deadline_ms` for one answer, or what was left of `total_ms` for all of them. Where it was
        /// being compiled, compile it ahead of time.
        "SR-R07" Late { time: u128 } = "did not answer within its deadline of {time} ms",
        /// More than 10,000 messages before one answer.
        "SR-R40" Flooded = "flooded the host with messages",
        /// The process that ran it ended while it was asked. It is not run again; the other policies
        /// are asked once more. If there was memory, the policy found a defect of this program:
        /// report it with the `.wasm`.
        "SR-R41" Ended = "ended the judge",
        "SR-R42" ClosedPipe = "made the judge close its pipe",
        "SR-R43" Signal { signal: &'static str } = "ended the judge by {signal}",
        "SR-R44" Filtered { signal: &'static str } = "ended the judge by {signal}: it tried a system call that the judge may not make",
        "SR-R45" Aborted { signal: &'static str } = "ended the judge by {signal}: it ran out of memory, or met a defect",
        "SR-R46" Killed { signal: &'static str } = "ended the judge by {signal}: the machine may have run out of memory",
        /// The policy worker did what it never does by itself: the policy may have taken it over. Do
        /// not use it, and report it with the `.wasm`.
        "SR-R47" Panic { message: String } = "made the judge fail: {message}",
        "SR-R48" NoFrame { what: protocol::NoFrame } = "made the judge send {what}",
        "SR-R49" Confused = "made the judge answer something else than it was asked",
    }
}

switch_root_core::outcomes! {
    /// Why no policy can be asked.
    pub enum NoWorker in "policy-worker" {
        /// The machine lacks memory, processes or descriptors. Give it more memory, or make the
        /// initramfs smaller.
        "SR-R60" Start { what: &'static str, error: Errno } = "the judge cannot be started: {what}: {error}",
        "SR-R61" None = "has no judge",
        "SR-R62" Asking { error: String } = "cannot be asked: {error}",
        "SR-R63" Hearing { error: Errno } = "cannot be heard: {error}",
        "SR-R64" Waiting { error: Errno } = "cannot be waited for: {error}",
    }
}

switch_root_core::outcomes! {
    /// What is not passed on of a policy.
    pub enum Silenced in "policy-run-warnings" {
        /// `log_messages` of one call, and 200 messages of a policy in the whole boot. A message that
        /// is too long (`log_message_bytes`) ends with how many bytes were cut.
        "SR-R70" Messages = "its log messages after the first {MESSAGES} are dropped",
    }
}

/// Time for what is no policy's doing: the start of the engine, the parsing of
/// `extensions.yaml`.
const HOUSEKEEPING: Duration = Duration::from_secs(10);
/// How long a policy worker may take from the closing of its files to its end.
const MOMENT: Duration = Duration::from_millis(500);
/// Log messages of one policy that are passed on, over all its calls: each goes
/// to the console, which may be a slow line.
const MESSAGES: u32 = 200;
/// Messages of any kind after which a policy worker no longer keeps its own caps.
const FLOOD: u32 = 10_000;
/// Warnings of one policy that are kept.
const WARNINGS: usize = 16;
/// The largest frame that holds no answer, in bytes.
const SMALL_FRAME: usize = 64 << 10;

/// How often it is shown that a session waits.
const TICK: Duration = Duration::from_millis(100);

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting<'a> {
    /// The policy that is awaited.
    pub policy: &'a str,
    /// What is done with it: `loading`, `compiling` or `asking`.
    pub what: &'static str,
}

/// Who shows what sessions of this process wait for, if anybody does.
static SHOW: OnceLock<fn(Option<Waiting<'_>>)> = OnceLock::new();

/// Has this called some times a second while a session waits, and with nothing when it ends.
/// It must start no thread: judges are forked meanwhile. A boot shows nothing.
pub fn show_waiting(show: fn(Option<Waiting<'_>>)) {
    // The first one stays.
    let _ = SHOW.set(show);
}

/// What became of one policy in the whole session.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Which interfaces it exports, once it was loaded.
    pub answers: Answers,
    /// What loading and asking it took.
    pub cost: Cost,
    /// Of that, what it took to load it, for the last time if more judges than one did.
    pub loading: Loading,
    /// How it failed: at most once for each question.
    pub failures: Vec<Failure>,
    /// What the operator should hear.
    pub warnings: Vec<outcome::Message>,
    /// The questions that it has answered.
    answered: Vec<Question>,
    /// How long the host has waited for its answers.
    waited: Duration,
    /// Log messages so far.
    messages: u32,
}

impl Account {
    /// The failure that leaves `question` without an answer, if there is one. A
    /// policy that took a judge with it is not run again, so it leaves open
    /// what it had not answered by then.
    pub fn failure(&self, question: Question) -> Option<&Failure> {
        let open = self.answers.to(question) && !self.answered.contains(&question);
        self.failures.iter().find(|failure| {
            failure.question == Question::Load
                || failure.question == question
                || (open && failure.ended_judge())
        })
    }

    /// Whether it may be given to another judge.
    fn can_run(&self) -> bool {
        let gone = |failure: &Failure| failure.question == Question::Load || failure.ended_judge();
        !self.failures.iter().any(gone)
    }
}

/// Policies that are being asked.
pub struct Session<'a> {
    policies: &'a [Policy],
    accounts: Vec<Account>,
    judge: Option<Judge>,
    dismissed: Dismissed,
    protections: Protections,
    judge_time: Duration,
    /// Which native code each of its judges runs.
    native: NativeCode,
    /// Whether policies are given their settings, without which none can be asked.
    configure: bool,
    /// What each answer took, where somebody wants to know.
    costs: Option<Vec<Cost>>,
    /// What the policies logged, where somebody wants to know.
    messages: Option<Vec<Message>>,
}

/// What a policy logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// How much it matters.
    pub level: &'static str,
    /// What it says, escaped.
    pub message: String,
}

/// One process that runs policies.
struct Judge {
    pid: Pid,
    started: Instant,
    requests: OwnedFd,
    replies: OwnedFd,
    /// Bytes for the pipe.
    outgoing: Vec<u8>,
    /// How much of `outgoing` it has taken.
    sent: usize,
    incoming: Vec<u8>,
    /// How much of `incoming` has been taken.
    taken: usize,
    /// Its policies have been loaded, as far as they could be.
    loaded: bool,
    /// Which policies it holds, as indexes into the session's.
    members: Vec<usize>,
}

/// The policy worker is gone, or must go.
pub(crate) struct Death {
    kind: Kind,
    message: outcome::Message,
    /// The process had ended before it was told to.
    by_itself: bool,
}

impl<'a> Session<'a> {
    /// A session with these policies. Nothing runs yet. The caller ignores
    /// SIGPIPE: a judge that ends must not end its host.
    pub fn new(policies: &'a [Policy]) -> Self {
        Self::running(policies, NativeCode::Any)
    }

    /// A session with policies of an image or of another machine, which this one has no
    /// reason to trust: their native code runs only where seccomp confines it.
    pub fn of_an_image(policies: &'a [Policy]) -> Self {
        Self::running(policies, NativeCode::Confined)
    }

    fn running(policies: &'a [Policy], native: NativeCode) -> Self {
        let accounts = policies
            .iter()
            .map(|policy| Account {
                failures: policy.code.as_ref().err().cloned().into_iter().collect(),
                warnings: policy.warnings.clone(),
                ..Account::default()
            })
            .collect();
        Self {
            policies,
            accounts,
            judge: None,
            dismissed: Dismissed::default(),
            protections: Protections::default(),
            judge_time: Duration::ZERO,
            native,
            configure: true,
            costs: None,
            messages: None,
        }
    }

    /// The policies, in the order in which they are asked.
    pub fn policies(&self) -> &'a [Policy] {
        self.policies
    }

    /// What became of each policy so far.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// What confined the judge. All false where none ran.
    pub fn protections(&self) -> &Protections {
        &self.protections
    }

    /// Hands over the judges that were told to end: they are to be waited for.
    pub fn take_dismissed(&mut self) -> Dismissed {
        std::mem::take(&mut self.dismissed)
    }

    /// How long judges ran, from the fork to the last answer.
    pub fn judge_time(&self) -> Duration {
        self.judge_time
    }

    /// The policies that have no answer to `question` because they failed, and
    /// whose failure has an effect of this kind.
    pub fn failed(
        &self,
        question: Question,
        mode: OnFailure,
    ) -> impl Iterator<Item = (&Policy, &Failure)> {
        self.policies
            .iter()
            .zip(&self.accounts)
            .filter_map(move |(policy, account)| {
                let failure = account.failure(question)?;
                (policy.sidecar.on_failure == mode).then_some((policy, failure))
            })
    }

    /// Starts the judge, which gets ready while the caller does something else.
    pub fn begin(&mut self) {
        // What goes wrong here goes wrong again, and is told, when it is asked.
        let _ = self.spawn();
    }

    /// Loads all policies in a judge of their own and asks none: what became of each is
    /// in its account. Without `configure` they are made into instances and no more:
    /// none is given its settings.
    ///
    /// # Errors
    /// That there can be no judge: a sentence for the operator.
    pub fn try_loading(&mut self, configure: bool) -> Result<(), outcome::Message> {
        self.dismiss();
        self.configure = configure;
        let tried = self.ask(Question::Load, |_, _| Ok(()));
        self.dismiss();
        self.configure = true;
        tried
    }

    /// Ends the policy worker. What is asked later starts another one.
    pub fn dismiss(&mut self) {
        if let Some(judge) = self.judge.take() {
            self.judge_time += judge.started.elapsed();
            judge.dismiss();
            self.dismissed.judges.push(judge);
        }
    }

    /// Puts a question, with the policies that can answer it; starts over
    /// without the policy that brings the judge down, and without any where
    /// that cannot be told. Ends, since each round has a policy less.
    ///
    /// # Errors
    /// That there can be no judge. Every policy has failed by then, so that
    /// their failure modes say what that means.
    pub(crate) fn ask<T>(
        &mut self,
        question: Question,
        mut put: impl FnMut(&mut Self, &[usize]) -> Result<T, (Option<usize>, Death)>,
    ) -> Result<T, outcome::Message> {
        loop {
            if let Err(message) = self.start() {
                if self.fail_all(Question::Load, &message) {
                    continue;
                }
                return Err(message);
            }
            let asked = self.able(question);
            match put(self, &asked) {
                Ok(answer) => {
                    for index in asked {
                        if !self.has_failed(index, question) {
                            self.accounts[index].answered.push(question);
                        }
                    }
                    return Ok(answer);
                }
                Err((culprit, death)) => {
                    let death = self.bury(death);
                    match culprit {
                        Some(index) => {
                            self.fail(
                                index,
                                question,
                                Failure::new(question, death.kind, death.message),
                            );
                        }
                        None if self.fail_all(question, &death.message) => {}
                        None => return Err(death.message),
                    }
                }
            }
        }
    }

    /// Fails every policy that could still run, since the judge fails and none
    /// of them can be told to be why. Says whether there was one.
    fn fail_all(&mut self, question: Question, message: &outcome::Message) -> bool {
        let running: Vec<usize> = (0..self.policies.len())
            .filter(|index| self.accounts[*index].can_run())
            .collect();
        for index in &running {
            self.fail(
                *index,
                question,
                Failure::new(question, Kind::Crash, message.clone()),
            );
        }
        !running.is_empty()
    }

    /// Records that a policy failed in answering `question`. What the judge says
    /// of it is as untrusted as the policy: `failure.question` counts only where
    /// it is that the policy could not be loaded.
    pub(crate) fn fail(&mut self, index: usize, question: Question, mut failure: Failure) {
        if failure.question != Question::Load {
            failure.question = question;
        }
        failure.message = escape::message(&failure.message, fixed::ERROR_MESSAGE * 2);
        let Policy { name, sidecar, .. } = &self.policies[index];
        if let (Kind::Settings, Some(file)) = (failure.kind, &sidecar.origin) {
            failure.message.push_str(&format!(" (in {file})"));
        }
        tracing::error!("policy {name}: {}", failure.message);
        let failures = &mut self.accounts[index].failures;
        match failures
            .iter_mut()
            .find(|known| known.question == failure.question)
        {
            None => failures.push(failure),
            // It must not be run again, so that this is the one that counts.
            Some(known) if failure.ended_judge() => *known = failure,
            Some(_) => {}
        }
    }

    /// From now on what policies log is kept, too, as far as it is passed on.
    pub fn keep_messages(&mut self) {
        self.messages.get_or_insert_default();
    }

    /// What was logged since.
    pub fn take_messages(&mut self) -> Vec<Message> {
        self.messages
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// From now on the cost of each answer is kept, too.
    pub fn keep_costs(&mut self) {
        self.costs.get_or_insert_default();
    }

    /// What each answer took since, in the order of the questions. Loading is not among
    /// them.
    pub fn take_costs(&mut self) -> Vec<Cost> {
        self.costs.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn charge(&mut self, index: usize, cost: Cost) {
        if let Some(costs) = &mut self.costs {
            costs.push(cost);
        }
        self.accounts[index].cost += cost;
    }

    /// Whether a policy has failed in a way that leaves `question` without its answer.
    pub(crate) fn has_failed(&self, index: usize, question: Question) -> bool {
        self.accounts[index].failure(question).is_some()
    }

    /// The number by which the policy worker knows a policy.
    pub(crate) fn member(&self, index: usize) -> u16 {
        let members = self
            .judge
            .as_ref()
            .map(|judge| judge.members.as_slice())
            .unwrap_or_default();
        members
            .iter()
            .position(|member| *member == index)
            .map_or(u16::MAX, |position| position as u16)
    }

    /// Hands a request to the policy worker without waiting for anything.
    pub(crate) fn send(&mut self, request: &Request) -> Result<(), Death> {
        let judge = self
            .judge
            .as_mut()
            .ok_or_else(|| Death::crash(NoWorker::None))?;
        protocol::push_frame(&mut judge.outgoing, request)
            .map_err(|error| Death::asking(error.to_string()))?;
        judge.flush()
    }

    /// Waits for the next reply, on behalf of the policy that is being asked. A
    /// reply of more than `limit` bytes is none.
    pub(crate) fn receive(&mut self, current: Option<usize>, limit: usize) -> Result<Reply, Death> {
        let allowed = match current {
            None => HOUSEKEEPING,
            Some(index) => {
                let limits = &self.policies[index].sidecar.limits;
                let left = Duration::from_millis(limits.total_ms)
                    .saturating_sub(self.accounts[index].waited);
                left.min(Duration::from_millis(limits.deadline_ms))
            }
        };
        let started = Instant::now();
        let reply = self
            .next_reply(current, limit, started + allowed)
            .map_err(|death| match death.kind {
                Kind::Deadline => Death::late(allowed),
                _ => death,
            });
        if let Some(index) = current {
            self.accounts[index].waited += started.elapsed();
        }
        reply
    }

    /// Waits for the next reply that is no message.
    fn next_reply(
        &mut self,
        current: Option<usize>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Reply, Death> {
        for _ in 0..FLOOD {
            match self.receive_shown(current, limit, deadline)? {
                Reply::Log { level, message } => self.pass_on(current, level, &message),
                Reply::Warning(message) => {
                    if let Some(index) = current
                        && self.accounts[index].warnings.len() < WARNINGS
                    {
                        let cut = |text: &str| escape::message(text, fixed::ERROR_MESSAGE * 2);
                        self.accounts[index].warnings.push(message.reworded(cut));
                    }
                }
                Reply::Panic(message) => {
                    let message = escape::message(&message, fixed::ERROR_MESSAGE);
                    return Err(Death::crash(Worker::Panic { message }));
                }
                reply => return Ok(reply),
            }
        }
        Err(Death::new(Kind::Limit, Worker::Flooded))
    }

    /// Waits for the next reply, and has that shown where somebody shows it.
    fn receive_shown(
        &mut self,
        current: Option<usize>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Reply, Death> {
        let judge = self
            .judge
            .as_mut()
            .ok_or_else(|| Death::crash(NoWorker::None))?;
        let (Some(show), Some(index)) = (SHOW.get(), current) else {
            return judge.receive(deadline, limit);
        };
        let policy = &self.policies[index];
        let is_native = (policy.code.as_ref()).is_ok_and(|code| code.native.is_some());
        let waiting = Waiting {
            policy: &policy.name,
            what: match (judge.loaded, is_native) {
                (true, _) => "asking",
                (false, true) => "loading",
                (false, false) => "compiling",
            },
        };
        loop {
            show(Some(waiting));
            let tick = deadline.min(Instant::now() + TICK);
            match judge.receive(tick, limit) {
                Err(death) if death.kind == Kind::Deadline && tick < deadline => {}
                other => return other,
            }
        }
    }

    /// Writes a policy's message to the log, as long as there are not too many.
    fn pass_on(&mut self, current: Option<usize>, level: Level, message: &str) {
        let Some(index) = current else { return };
        let name = &self.policies[index].name;
        let account = &mut self.accounts[index];
        account.messages = account.messages.saturating_add(1);
        if account.messages > MESSAGES {
            if account.messages == MESSAGES + 1 {
                let warning = outcome::Message::from(Silenced::Messages);
                tracing::warn!("policy {name}: {warning}");
                account.warnings.push(warning);
            }
            return;
        }
        let message = escape::message(message, fixed::ERROR_MESSAGE * 4);
        let level = match level {
            Level::Error => {
                tracing::error!("policy {name} says: {message}");
                "error"
            }
            Level::Warn => {
                tracing::warn!("policy {name} says: {message}");
                "warn"
            }
            Level::Info => {
                tracing::info!("policy {name} says: {message}");
                "info"
            }
            Level::Debug => {
                tracing::debug!("policy {name} says: {message}");
                "debug"
            }
        };
        if let Some(messages) = &mut self.messages {
            messages.push(Message { level, message });
        }
    }

    /// The policies that can be asked `question`.
    fn able(&self, question: Question) -> Vec<usize> {
        (0..self.policies.len())
            .filter(|index| {
                let account = &self.accounts[*index];
                account.can_run()
                    && account.answers.to(question)
                    && !self.has_failed(*index, question)
            })
            .collect()
    }

    /// Makes sure that a judge runs and has loaded what can be loaded.
    fn start(&mut self) -> Result<(), outcome::Message> {
        loop {
            self.spawn()?;
            let members = match &mut self.judge {
                Some(judge) if judge.loaded => return Ok(()),
                Some(judge) => judge.members.clone(),
                None => Vec::new(),
            };
            let mut current = None;
            match self.load(&members, &mut current) {
                Ok(()) => {}
                Err(death) => {
                    let death = self.bury(death);
                    match current {
                        Some(index) => self.fail(
                            index,
                            Question::Load,
                            Failure::load(death.kind, death.message),
                        ),
                        None => return Err(death.message),
                    }
                }
            }
        }
    }

    /// Makes sure that a judge runs. A policy that brought one down is not
    /// given to the next.
    fn spawn(&mut self) -> Result<(), NoWorker> {
        if self.judge.is_none() {
            let members: Vec<usize> = (0..self.policies.len())
                .filter(|index| self.accounts[*index].can_run())
                .collect();
            let sources: Vec<&Policy> =
                members.iter().map(|index| &self.policies[*index]).collect();
            self.judge = Some(Judge::start(
                &sources,
                members,
                self.configure,
                self.native,
            )?);
        }
        Ok(())
    }

    fn load(&mut self, members: &[usize], current: &mut Option<usize>) -> Result<(), Death> {
        match self.receive(None, SMALL_FRAME)? {
            Reply::Ready(protections) => self.protections = protections,
            _ => return Err(Death::confused()),
        }
        for &index in members {
            *current = Some(index);
            match self.receive(*current, SMALL_FRAME)? {
                Reply::Loaded { outcome, loading } => {
                    self.accounts[index].cost += loading.cost;
                    self.accounts[index].loading = loading;
                    match outcome {
                        Ok(answers) => self.accounts[index].answers = answers,
                        Err(failure) => self.fail(index, Question::Load, failure),
                    }
                }
                _ => return Err(Death::confused()),
            }
        }
        if let Some(judge) = &mut self.judge {
            judge.loaded = true;
        }
        Ok(())
    }

    /// Ends a process that failed and says how it ended.
    fn bury(&mut self, death: Death) -> Death {
        let Some(judge) = self.judge.take() else {
            return death;
        };
        self.judge_time += judge.started.elapsed();
        // Otherwise the signal that ends it below would be taken for how it ended.
        let lives = death.by_itself && !judge.has_ended();
        judge.dismiss();
        let (status, peak) = judge.bury();
        self.dismissed.peak_kib = self.dismissed.peak_kib.max(peak);
        match status {
            _ if lives => Death {
                message: Worker::ClosedPipe.into(),
                ..death
            },
            Some(WaitStatus::Signaled(_, signal, _)) if death.by_itself => {
                let how: fn(_) -> _ = match signal {
                    Signal::SIGSYS => |signal| Worker::Filtered { signal },
                    Signal::SIGABRT => |signal| Worker::Aborted { signal },
                    Signal::SIGKILL => |signal| Worker::Killed { signal },
                    _ => |signal| Worker::Signal { signal },
                };
                Death {
                    message: how(signal.as_str()).into(),
                    ..death
                }
            }
            _ => death,
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Some(show) = SHOW.get() {
            show(None);
        }
        self.dismiss();
    }
}

/// Judges that were told to end. Their parent waits for them, at the latest when
/// this is dropped.
#[derive(Default)]
pub struct Dismissed {
    judges: Vec<Judge>,
    peak_kib: u64,
}

impl Dismissed {
    /// Waits for all, and says how much memory the largest one held at most, in
    /// KiB.
    pub fn wait(&mut self) -> u64 {
        for judge in self.judges.drain(..) {
            let (_, peak) = judge.bury();
            self.peak_kib = self.peak_kib.max(peak);
        }
        self.peak_kib
    }
}

impl Drop for Dismissed {
    fn drop(&mut self) {
        self.wait();
    }
}

impl Death {
    fn new(kind: Kind, message: impl Into<outcome::Message>) -> Self {
        Self {
            kind,
            message: message.into(),
            by_itself: false,
        }
    }

    fn crash(message: impl Into<outcome::Message>) -> Self {
        Self::new(Kind::Crash, message)
    }

    fn late(allowed: Duration) -> Self {
        let time = allowed.as_millis();
        Self::new(Kind::Deadline, Worker::Late { time })
    }

    fn asking(error: String) -> Self {
        Self::crash(NoWorker::Asking { error })
    }

    /// An answer to another question.
    pub(crate) fn confused() -> Self {
        Self::crash(Worker::Confused)
    }
}

impl Judge {
    fn start(
        policies: &[&Policy],
        members: Vec<usize>,
        configure: bool,
        native: NativeCode,
    ) -> Result<Self, NoWorker> {
        let failed = |what, error| NoWorker::Start { what, error };
        let (child_requests, requests) = pipe2(OFlag::O_CLOEXEC).map_err(|e| failed("pipe", e))?;
        let (replies, child_replies) = pipe2(OFlag::O_CLOEXEC).map_err(|e| failed("pipe", e))?;
        fcntl(&requests, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|e| failed("fcntl", e))?;
        fcntl(&replies, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|e| failed("fcntl", e))?;
        let started = Instant::now();
        // SAFETY: switch_root has one thread when it gets here, so the child
        // may use everything that it inherits.
        match unsafe { fork() }.map_err(|e| failed("fork", e))? {
            ForkResult::Child => {
                drop((requests, replies));
                judge::run(policies, configure, native, child_requests, child_replies)
            }
            ForkResult::Parent { child } => {
                Ok(Self::behind(child, started, requests, replies, members))
            }
        }
    }

    /// The process at the other end of these pipes, neither of which blocks.
    fn behind(
        pid: Pid,
        started: Instant,
        requests: OwnedFd,
        replies: OwnedFd,
        members: Vec<usize>,
    ) -> Self {
        Self {
            pid,
            started,
            requests,
            replies,
            outgoing: Vec::new(),
            sent: 0,
            incoming: Vec::new(),
            taken: 0,
            loaded: false,
            members,
        }
    }

    /// Writes what the pipe takes.
    fn flush(&mut self) -> Result<(), Death> {
        while self.sent < self.outgoing.len() {
            match write(&self.requests, &self.outgoing[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                // A judge that ended is found out where its reply is awaited.
                Err(Errno::EPIPE) => self.sent = self.outgoing.len(),
                Err(error) => return Err(Death::asking(error.to_string())),
            }
        }
        self.outgoing.clear();
        self.sent = 0;
        Ok(())
    }

    fn receive(&mut self, deadline: Instant, limit: usize) -> Result<Reply, Death> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // How long it was allowed to take is known to who asks.
                return Err(Death::late(Duration::ZERO));
            }
            let frame = protocol::take_frame(&self.incoming[self.taken..], limit)
                .map_err(|what| Death::crash(Worker::NoFrame { what }))?;
            if let Some((reply, length)) = frame {
                self.taken += length;
                return Ok(reply);
            }
            self.incoming.drain(..self.taken);
            self.taken = 0;
            self.wait(left)?;
            self.flush()?;
            let mut buffer = [0; 8 << 10];
            match read(&self.replies, &mut buffer) {
                Ok(0) => {
                    return Err(Death {
                        by_itself: true,
                        ..Death::crash(Worker::Ended)
                    });
                }
                Ok(count) => self.incoming.extend_from_slice(&buffer[..count]),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => return Err(Death::crash(NoWorker::Hearing { error })),
            }
        }
    }

    fn wait(&self, left: Duration) -> Result<(), Death> {
        let mut fds = [
            PollFd::new(self.replies.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.requests.as_fd(), PollFlags::POLLOUT),
        ];
        let awaited = if self.outgoing.is_empty() { 1 } else { 2 };
        // Rounded up, so as not to spin in the last millisecond.
        let timeout =
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds[..awaited], timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(Death::crash(NoWorker::Waiting { error })),
        }
    }

    /// Whether the process, which has closed its pipe, has ended: its files are closed a
    /// moment before that.
    fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let deadline = Instant::now() + MOMENT;
        loop {
            match waitid(Id::Pid(self.pid), flags) {
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(WaitStatus::StillAlive) | Err(_) => return false,
                Ok(_) => return true,
            }
        }
    }

    /// Kills the process: its answers are here, or not wanted.
    fn dismiss(&self) {
        let _ = kill(self.pid, Signal::SIGKILL);
    }

    /// Waits for a process that was dismissed. Says how it had ended, and its
    /// peak memory in KiB.
    fn bury(self) -> (Option<WaitStatus>, u64) {
        // One that could not be killed ends when nobody asks it any more.
        drop((self.requests, self.replies));
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        let mut status = 0;
        loop {
            // SAFETY: both pointers are to live values that the call fills.
            let waited =
                unsafe { libc::wait4(self.pid.as_raw(), &raw mut status, 0, usage.as_mut_ptr()) };
            match Errno::result(waited) {
                Err(Errno::EINTR) => {}
                Err(_) => return (None, 0),
                Ok(_) => break,
            }
        }
        // SAFETY: all zeroes is a valid rusage, and wait4 has filled it.
        let peak = unsafe { usage.assume_init() }.ru_maxrss;
        (
            WaitStatus::from_raw(self.pid, status).ok(),
            u64::try_from(peak).unwrap_or(0),
        )
    }
}

#[cfg(test)]
mod tests;
