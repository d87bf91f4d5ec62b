//! What a policy costs: time, fuel and memory of each question, on a given tree.

mod figures;

use std::time::Instant;

use figures::Gathered;
use initramfs::tree::Tree;
use policy::compatibility::{self, NoReview};
use policy::folder::Policy;
use policy::session::{Account, Cost, Session};
use policy::{engine, preservation};
use serde::Serialize;
use switch_root_core::contract::HostFacts;
use switch_root_core::error::{Error, Result};
use switch_root_core::failure::{Failure, Question};
use switch_root_core::limits::Limits;
use switch_root_core::outcome::Message;
use switch_root_core::progress::Progress;
use switch_root_core::{escape, interrupt};

use crate::loading;

pub use figures::{Figures, Share};

/// The init that nothing may be carried over, as at boot where none is named.
const INIT: &[u8] = b"/sbin/init";

/// What a policy is asked.
pub struct Questions<'a> {
    /// What `preservation` is asked about.
    pub tree: Option<&'a Tree>,
    /// What `compatibility` is asked about.
    pub extensions: Option<Extensions<'a>>,
}

/// Extensions, and the machine that they are for.
pub struct Extensions<'a> {
    /// The machine.
    pub host: &'a HostFacts,
    /// An `extensions.yaml`.
    pub file: &'a [u8],
    /// The path of it, for errors.
    pub origin: &'a str,
}

/// What was measured. Times are those of the judge, in microseconds. Fields may be added.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// The path of the file.
    pub file: String,
    /// `sha256:` and 64 digits.
    pub digest: String,
    /// How often everything was done.
    pub rounds: u32,
    /// Loading it as it is, which compiles it.
    pub load_wasm: Option<Figures>,
    /// Loading what was compiled ahead of time.
    pub load_native: Option<Figures>,
    /// Each directory that it was asked about, in the order of the questions.
    pub directories: Vec<Directory>,
    /// All directories together.
    pub preservation: Option<Figures>,
    /// All extensions, in the one question that there is.
    pub compatibility: Option<Figures>,
    /// How near it came to its limits.
    pub limits: Vec<Share>,
    /// How it failed, if it did. Then there are figures of what was done before.
    pub failures: Vec<Failure>,
    /// What is worth a word.
    pub warnings: Vec<String>,
}

/// One directory.
#[derive(Clone, Debug, Serialize)]
pub struct Directory {
    /// Its path, escaped.
    pub path: String,
    /// What it took.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Asks a policy everything, `rounds` times, each time in a judge of its own as at boot. No
/// other thread may run: judges are forked.
///
/// # Errors
/// There can be no judge, the component cannot be compiled, the extensions cannot be read,
/// or the user has interrupted. That the policy fails is no error.
pub fn measure(
    policy: &Policy,
    questions: &Questions<'_>,
    rounds: u32,
    progress: &dyn Progress,
) -> Result<Measured> {
    let mut measured = Measured {
        file: policy.origin.clone(),
        digest: policy.digest.clone().unwrap_or_default(),
        rounds,
        load_wasm: None,
        load_native: None,
        directories: Vec::new(),
        preservation: None,
        compatibility: None,
        limits: Vec::new(),
        failures: Vec::new(),
        warnings: Vec::new(),
    };
    let mut loads = Gathered::default();
    for _ in 0..rounds {
        interrupt::check()?;
        let account = loading::load(policy, true)?;
        loads.add(account.loading.cost, 0);
        if !account.failures.is_empty() {
            take_account(&mut measured, &account);
            measured.load_wasm = loads.figures();
            return Ok(measured);
        }
    }
    measured.load_wasm = loads.figures();

    let policies = [compiled(policy, progress)?];
    let mut native = Gathered::default();
    let mut rounds_done = Vec::new();
    for _ in 0..rounds {
        interrupt::check()?;
        let round = loading::quietly(|| round(&policies, questions))?;
        native.add(round.account.loading.cost, 0);
        let failed = !round.account.failures.is_empty();
        rounds_done.push(round);
        if failed {
            break;
        }
    }
    measured.load_native = native.figures();
    gather(
        &mut measured,
        &rounds_done,
        questions,
        &policy.sidecar.limits,
    );
    Ok(measured)
}

/// The same policy, compiled ahead of time: what there is to run does not differ.
fn compiled(policy: &Policy, progress: &dyn Progress) -> Result<Policy> {
    let wasm = policy
        .code
        .as_ref()
        .ok()
        .and_then(|code| code.wasm.as_deref());
    let cannot =
        |reason: Message| Error::input(reason.reworded(|it| format!("{}: {it}", policy.origin)));
    let target = engine::target_of(std::env::consts::ARCH);
    let file = loading::ahead(&policy.name, wasm.unwrap_or_default(), &target, progress)
        .map_err(cannot)?;
    loading::natively(policy, &file).map_err(cannot)
}

/// What came of asking everything once.
struct Round {
    account: Account,
    /// Path, number of entries and cost of each directory.
    directories: Vec<(Vec<u8>, usize, Cost)>,
    compatibility: Option<(usize, Cost)>,
    /// Microseconds that the host waited for all answers.
    waited_us: u64,
}

fn round(policies: &[Policy], questions: &Questions<'_>) -> Result<Round> {
    let mut session = Session::new(policies);
    session.keep_costs();
    let mut asked: Vec<(Vec<u8>, usize)> = Vec::new();
    let started = Instant::now();
    if let Some(tree) = questions.tree {
        let mut list = |directory: &[u8]| {
            let entries = tree.list(directory)?;
            asked.push((directory.to_vec(), entries.len()));
            Ok(entries)
        };
        preservation::review(&mut session, &mut list, &[INIT.to_vec()])
            .map_err(loading::no_judge)?;
    }
    // There is one policy, so that each answer is to one listing, in the same order. One
    // that brought the judge down has fewer answers.
    let directories = asked
        .into_iter()
        .zip(session.take_costs())
        .map(|((directory, entries), cost)| (directory, entries, cost))
        .collect();
    let mut compatibility = None;
    if let Some(Extensions { host, file, origin }) = &questions.extensions {
        let judged =
            compatibility::review(&mut session, host, file).map_err(|reason| match reason {
                NoReview::File(reason) => {
                    Error::input(reason.reworded(|it| format!("cannot read {origin}: {it}")))
                }
                NoReview::Judge(reason) => loading::no_judge(reason),
            })?;
        let cost = session.take_costs().pop();
        compatibility = cost.map(|cost| (judged.len(), cost));
    }
    if questions.tree.is_none() && questions.extensions.is_none() {
        session.try_loading(true).map_err(loading::no_judge)?;
    }
    let waited_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(Round {
        account: session.accounts()[0].clone(),
        directories,
        compatibility,
        waited_us,
    })
}

fn gather(measured: &mut Measured, rounds: &[Round], questions: &Questions<'_>, limits: &Limits) {
    let Some(last) = rounds.last() else { return };
    take_account(measured, &last.account);
    let mut of_all = Gathered::default();
    let mut of_each: Vec<(&[u8], Gathered)> = Vec::new();
    let mut of_extensions = Gathered::default();
    let mut nearest = figures::Nearest::default();
    for round in rounds {
        let mut sum = Cost::default();
        let mut entries = 0;
        for (number, (path, count, cost)) in round.directories.iter().enumerate() {
            match of_each.get_mut(number) {
                Some((known, gathered)) if *known == path.as_slice() => {
                    gathered.add(*cost, *count);
                }
                Some(_) => {
                    let warning = "it asks for other directories in one round than in another: it does not decide by what it is told alone";
                    if !measured.warnings.iter().any(|known| known == warning) {
                        measured.warnings.push(warning.into());
                    }
                }
                None => {
                    let mut gathered = Gathered::default();
                    gathered.add(*cost, *count);
                    of_each.push((path, gathered));
                }
            }
            sum += *cost;
            entries += count;
            nearest.add(cost, *count, limits);
        }
        if !round.directories.is_empty() {
            of_all.add(sum, entries);
        }
        if let Some((count, cost)) = &round.compatibility {
            of_extensions.add(*cost, *count);
            nearest.add(cost, *count, limits);
        }
        nearest.loading(&round.account.loading.cost, limits);
        nearest.total(round.waited_us);
    }
    // As it is loaded where there is no code compiled ahead of time.
    if let Some(load) = &measured.load_wasm {
        nearest.time(load.max_us);
    }
    measured.preservation = of_all.figures();
    measured.compatibility = of_extensions.figures();
    measured.directories = of_each
        .into_iter()
        .filter_map(|(path, gathered)| {
            Some(Directory {
                path: escape::path(path),
                figures: gathered.figures()?,
            })
        })
        .collect();
    measured.limits = nearest.shares(limits);
    let answers = last.account.answers;
    for (question, name, given, option) in [
        (
            Question::Preservation,
            "preservation",
            questions.tree.is_some(),
            "--tree IMAGE|DIR",
        ),
        (
            Question::Compatibility,
            "compatibility",
            questions.extensions.is_some(),
            "--extensions FILE",
        ),
    ] {
        match (answers.to(question), given) {
            (true, false) => measured.warnings.push(format!(
                "it answers {name} and was not asked: there is nothing to ask about, give {option}"
            )),
            (false, true) if measured.failures.is_empty() => {
                measured.warnings.push(format!("it does not answer {name}"));
            }
            _ => {}
        }
    }
}

fn take_account(measured: &mut Measured, account: &Account) {
    measured.failures.clone_from(&account.failures);
    measured.warnings.extend(loading::warnings(account));
}
