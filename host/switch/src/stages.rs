//! The stages of a switch up to its plan: facts, decisions, plan. Nothing is changed in them.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path as FilePath;
use std::time::Instant;

use policy::consequence::{self, Unsigned};
use policy::folder::{self, Discovered};
use policy::preservation::{self, Review};
use policy::session::Session;
use policy::{account, compatibility};
use switch_root_core::contract::Outcome;
use switch_root_core::escape;
use switch_root_core::outcome::{Message, warn};
use switch_root_core::parameters::Parameters;
use switch_root_core::plan::{self, Plan};
use switch_root_core::report::{JudgeReport, ReviewReport, Timings};

use crate::gather::{self, Open, Wanted};
use crate::initramfs::Initramfs;
use crate::machine;
use crate::planner::{self, Compatibility, Decisions, Facts, List};
use crate::preserve::ToCopy;
use crate::report::Account;

switch_root_core::outcomes! {
    /// What a policy says of an extension.
    pub enum Verdict in "extension-warnings" {
        /// The policy's own words. Called `init`, the extension is left out; otherwise whoever mounts
        /// the layers finds the verdict in the report.
        "SR-E54" Incompatible { image: String, policy: String, reason: String } = "extension {image} is incompatible, says policy {policy}: {reason}",
    }
}

/// The policies that are asked. What is not as it should be with their files is logged.
pub fn policies(parameters: &Parameters) -> Discovered {
    let found = if parameters.default_policy_only {
        Discovered {
            policies: vec![folder::embedded()],
            masked: Vec::new(),
        }
    } else {
        folder::discover(FilePath::new("/"))
    };
    for policy in &found.policies {
        for warning in &policy.warnings {
            let name = &policy.name;
            warn(
                &warning
                    .clone()
                    .reworded(|it| format!("policy {name}: {it}")),
            );
        }
    }
    found
}

/// Refuses where a policy is not signed as it must be. Comes first: nothing of it is run.
///
/// # Errors
/// A sentence for the operator.
pub fn refuse_unsigned(session: &Session<'_>) -> Result<(), Unsigned> {
    consequence::unsigned(session).map_or(Ok(()), Err)
}

/// Refuses where a policy could not be asked about extensions that the machine must not boot
/// without an answer of.
///
/// # Errors
/// A sentence for the operator.
pub fn refuse_on_failure(session: &Session<'_>) -> Result<(), Message> {
    let consequences = consequence::of(session);
    let refusal = consequences.refusal(true);
    refusal.map_or(Ok(()), |refusal| Err(refusal.clone()))
}

/// What comes of the stages.
pub struct Planned {
    /// What will be done.
    pub plan: Plan,
    /// What is open of that which it is about.
    pub open: Open,
    /// What is open for copies, where another program switches.
    pub to_copy: Option<ToCopy>,
    /// What the report tells beside it.
    pub account: Account,
}

/// Goes through the stages. What the policies say of the extensions may be known already.
///
/// # Errors
/// Why the switch is refused: a sentence for the operator.
pub fn plan(
    wanted: &Wanted<'_>,
    (old_root, mut facts): (OwnedFd, Facts),
    session: &mut Session<'_>,
    asked: Option<Compatibility>,
    started: Instant,
) -> Result<Planned, Message> {
    let (open, to_copy) = gather::machine(wanted, old_root, &mut facts, || session.begin())?;
    // Whoever has asked already has read it.
    if asked.is_none() {
        facts.list = machine::list(wanted.options.extensions);
    }
    planner::refuse_early(&facts, wanted.options)?;
    let initramfs = initramfs(&open.old_root, &facts);
    // In this order in every mode: a policy that fails in the one question is not asked the
    // other, and what it means must not depend on who switches.
    let compatibility = match asked {
        Some(asked) => asked,
        None => ask_compatibility(session, &facts),
    };
    planner::refuse_list(&facts, &compatibility, wanted.options)?;
    let preservation = ask_preservation(session, &initramfs, &facts);
    session.dismiss();
    let decisions = Decisions::of(session, compatibility, preservation);
    let policies_us = elapsed(started);
    gather::in_use(wanted, &initramfs, &mut facts);
    let kept = (&open, to_copy.as_ref());
    gather::of_decisions(wanted, &decisions, &initramfs, kept, &mut facts);
    let plan = planner::plan(&facts, &decisions, wanted.options)?;
    say(&plan, facts.said.len());
    tracing::debug!("the judge ran for {} us", session.judge_time().as_micros());
    let review = decisions.preservation.unwrap_or_default();
    let account = Account {
        boot_id: wanted.proc.boot_id(),
        kernel: machine::kernel_release(),
        policies: account::policies(session),
        // Whoever looked for them knows.
        masked_policies: Vec::new(),
        review: ReviewReport {
            directories: review.directories,
            entries: review.entries,
        },
        judge: JudgeReport {
            protections: session.protections().clone(),
            peak_kib: 0,
            time_us: session.judge_time().as_micros() as u64,
        },
        judges: session.take_dismissed(),
        timings: Timings {
            policies_us,
            plan_us: elapsed(started),
            ..Timings::default()
        },
    };
    Ok(Planned {
        plan,
        open,
        to_copy,
        account,
    })
}

fn elapsed(started: Instant) -> u64 {
    started.elapsed().as_micros() as u64
}

/// The initramfs as policies are asked about it.
fn initramfs<'a>(old_root: &'a OwnedFd, facts: &Facts) -> Initramfs<'a> {
    let (mounts, root, uncovered) = match &facts.machine {
        Some(machine) => (
            machine.mounts.as_slice(),
            Some(&machine.root),
            machine.copied.as_ref().map(|copied| &copied.uncovered),
        ),
        None => Default::default(),
    };
    Initramfs::new(old_root.as_fd(), root, mounts, |point| {
        uncovered.is_some_and(|points| points.iter().any(|one| one.0 == point))
    })
}

/// Asks the policies about the extensions.
pub fn ask_compatibility(session: &mut Session<'_>, facts: &Facts) -> Compatibility {
    let (List::Read(_, bytes), Some(host)) = (&facts.list, &facts.host) else {
        return Compatibility::NotAsked;
    };
    if bytes.is_empty() {
        return Compatibility::NotAsked;
    }
    let answer = Compatibility::of(compatibility::review(session, host, bytes));
    if let Compatibility::Judged { extensions, .. } = &answer {
        let against = extensions
            .iter()
            .filter(|one| one.outcome == Outcome::Incompatible);
        for one in against {
            for (policy, reason) in &one.reasons {
                let incompatible = Verdict::Incompatible {
                    image: escape::message(&one.extension.image, 256),
                    policy: policy.clone(),
                    reason: reason.text.clone(),
                };
                warn(&incompatible.into());
            }
        }
    }
    answer
}

/// Asks the policies what survives.
fn ask_preservation(
    session: &mut Session<'_>,
    initramfs: &Initramfs<'_>,
    facts: &Facts,
) -> Result<Review, Message> {
    let inits = match &facts.machine {
        Some(machine) => machine.init.paths.as_slice(),
        None => &[],
    };
    let mut list = |directory: &[u8]| initramfs.list(directory);
    let review = preservation::review(session, &mut list, inits)?;
    tracing::debug!(
        "policies looked at {} directories and {} entries",
        review.directories,
        review.entries
    );
    Ok(review)
}

/// Logs what a plan says that was not said before: `said` warnings were.
fn say(plan: &Plan, said: usize) {
    let plan::Outline {
        preserved,
        warnings,
        notes,
        ..
    } = plan.outline();
    for one in preserved {
        if let Some(note) = one.noted() {
            let path = &one.path;
            warn(&note.reworded(|note| format!("{path} survives: {note}")));
        }
    }
    for note in notes {
        tracing::info!("{note}");
    }
    warnings[said..].iter().for_each(warn);
    for line in plan.to_string().lines() {
        tracing::debug!("plan: {line}");
    }
}
