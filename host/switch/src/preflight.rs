//! Everything that can refuse: it runs before the first mount is moved, and
//! changes nothing. What comes out is the plan.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path as FilePath;
use std::time::Instant;

use policy::answer::is_at_or_below;
use policy::compatibility::{self, Judged, Outcome};
use policy::folder;
use policy::preservation::{self, Review};
use policy::session::Session;
use policy::sidecar::OnFailure;
use policy::{FileKind, HostFacts, Question};
use rustix::fs::{self, Mode, OFlags};

use crate::arguments::{Arguments, StrategyChoice};
use crate::deletion::is_memory;
use crate::in_use::{self, InUse};
use crate::init::{self, Init};
use crate::mounts::{self, Mount};
use crate::new_root::{self, NewRoot};
use crate::parameters::Parameters;
use crate::plan::{Carry, Deletion, InitPlan, Plan, Run, Strategy, Survivor};
use crate::proc::Proc;
use crate::report::{self, Facts, JudgeReport, ReviewReport};
use crate::text::Path;
use crate::{carry, listing, machine};

/// The name under which the host itself keeps something.
const HOST: &str = "host";

/// Makes the plan.
///
/// # Errors
/// Why the switch is refused: a sentence for the operator.
pub fn plan(
    arguments: &Arguments,
    parameters: &Parameters,
    command_line: &str,
    proc: &Proc,
    started: Instant,
) -> Result<(Plan, Facts), String> {
    let old_root = open_root()?;
    let keep_initramfs = arguments.keep_initramfs || parameters.keep_initramfs;
    let memory = is_memory(&old_root).map_err(|error| format!("/ cannot be examined: {error}"))?;
    if !memory && !keep_initramfs {
        return Err("/ is neither tmpfs nor ramfs, so it is no initramfs, and deleting it would delete data; switch with --keep-initramfs to delete nothing".into());
    }
    let policies = if parameters.default_policy_only {
        vec![folder::embedded()]
    } else {
        folder::discover(FilePath::new("/"))
    };
    let mut session = Session::new(&policies);
    // It gets ready while the rest is checked.
    session.begin();
    let new_root = new_root::open(&arguments.new_root, &old_root, proc)?;
    let init = init::check(
        new_root.fd.as_fd(),
        &new_root.path,
        arguments.init.as_bytes(),
        proc,
    )?;
    tracing::debug!(
        "the new root {} has the init {}",
        Path::from(new_root.path.as_slice()),
        Path::from(init.resolved.as_slice())
    );
    let table = proc
        .read("self/mountinfo")
        .map_err(|error| format!("the table of mounts cannot be read: {error}"))?;
    let mounts = mounts::parse(&table)?;
    let root_mount = mounts::top(&mounts, b"/").ok_or("the table of mounts has no mount on /")?;
    let (moves, run) = new_root::plan_moves(&new_root, &mounts)?;

    let inits = [
        init::absolute(arguments.init.as_bytes()),
        init.resolved.clone(),
    ];
    let (host, mut warnings) = machine::facts(new_root.fd.as_fd(), command_line);
    warnings.extend(init.warnings.iter().cloned());
    let review = ask_preservation(&mut session, &old_root, &inits, &mut warnings);
    let extensions = ask_compatibility(&mut session, parameters, &host)?;
    session.dismiss();
    refuse_on_failure(&session, !extensions.is_empty())?;
    let policies_us = elapsed(started);

    let in_use = in_use::find(&mounts, root_mount.device, &new_root.path);
    let everything_used = in_use
        .iter()
        .find(|used| used.path == b"/")
        .map(|used| used.why.clone());
    let deletion = deletion(
        memory,
        keep_initramfs,
        review.as_ref().err(),
        everything_used,
        &session,
    );
    let review = review.unwrap_or_default();
    tracing::debug!(
        "policies looked at {} directories and {} entries",
        review.directories,
        review.entries
    );
    let survivors = survivors(&review, &in_use, &session, &new_root, &inits, proc);
    let (kept_mounts, detached_mounts) =
        foreign_mounts(&mounts, root_mount, &new_root, &survivors, &mut warnings);

    let plan = Plan {
        strategy: strategy(arguments.strategy, root_mount)?,
        new_root: crate::plan::NewRoot {
            path: new_root.path.clone().into(),
            mount_id: new_root.mount_id,
        },
        init: init_plan(arguments, &init),
        console: arguments
            .console
            .as_ref()
            .map(|console| console.as_bytes().into()),
        drop_capabilities: arguments
            .drop_capabilities
            .iter()
            .map(|capability| capability.index())
            .collect(),
        make_private: make_private(&mounts, root_mount, &new_root),
        moves,
        run,
        kept_mounts,
        detached_mounts,
        survivors,
        deletion,
        foreground: arguments.foreground || parameters.foreground,
    };
    if plan.run == Run::Absent {
        warnings.push("the new root has no /run and is read-only: what survives cannot be reached there, and no report is written".into());
    }
    tracing::debug!("the judge ran for {} us", session.judge_time().as_micros());
    let facts = Facts {
        policies: report::policies(&session),
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
        extensions: report::extensions(&extensions),
        warnings,
        timings: report::Timings {
            policies_us,
            plan_us: elapsed(started),
            ..Default::default()
        },
    };
    Ok((plan, facts))
}

/// Opens `/`, the initramfs.
///
/// # Errors
/// A sentence for the operator.
pub fn open_root() -> Result<OwnedFd, String> {
    fs::open(
        "/",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| format!("/ cannot be opened: {error}"))
}

fn elapsed(started: Instant) -> u64 {
    started.elapsed().as_micros() as u64
}

fn ask_preservation(
    session: &mut Session<'_>,
    old_root: &OwnedFd,
    inits: &[Vec<u8>],
    warnings: &mut Vec<String>,
) -> Result<Review, String> {
    let mut list = |directory: &[u8]| listing::list(old_root, directory);
    let review = preservation::review(session, &mut list, inits)?;
    for (directory, error) in &review.unlisted {
        warnings.push(format!(
            "{} cannot be listed, and survives whole: {error}",
            Path::from(directory.as_slice())
        ));
    }
    Ok(review)
}

fn ask_compatibility(
    session: &mut Session<'_>,
    parameters: &Parameters,
    host: &HostFacts,
) -> Result<Vec<Judged>, String> {
    if parameters.ignore_extensions {
        return Ok(Vec::new());
    }
    match machine::extensions_yaml()? {
        Some((path, bytes)) if !bytes.is_empty() => {
            let judged = compatibility::review(session, host, &bytes)
                .map_err(|reason| machine::extensions_error(path, &reason))?;
            for one in judged
                .iter()
                .filter(|one| one.outcome == Outcome::Incompatible)
            {
                for (policy, reason) in &one.reasons {
                    tracing::warn!(
                        "extension {} is incompatible, says policy {policy}: {reason}",
                        policy::escape::message(&one.extension.image, 256)
                    );
                }
            }
            Ok(judged)
        }
        _ => Ok(Vec::new()),
    }
}

/// Policies whose sidecar says that the machine must not switch without them.
fn refuse_on_failure(session: &Session<'_>, extensions: bool) -> Result<(), String> {
    let questions = [
        Some(Question::Preservation),
        extensions.then_some(Question::Compatibility),
    ];
    for question in questions.into_iter().flatten() {
        if let Some((policy, failure)) = session.failed(question, OnFailure::Refuse).next() {
            return Err(format!(
                "policy {} ({}) failed, and its sidecar says to refuse the switch then: it {}; repair the policy, or start once with the kernel parameter switch_root.policies=default",
                policy.name, policy.origin, failure.message
            ));
        }
    }
    Ok(())
}

fn deletion(
    memory: bool,
    keep_initramfs: bool,
    review: Option<&String>,
    everything_used: Option<String>,
    session: &Session<'_>,
) -> Deletion {
    let failed: Vec<String> = session
        .failed(Question::Preservation, OnFailure::Safe)
        .map(|(policy, failure)| format!("policy {} failed: it {}", policy.name, failure.message))
        .collect();
    if keep_initramfs {
        let why = if memory {
            "the initramfs is to be kept"
        } else {
            "/ is neither tmpfs nor ramfs"
        };
        Deletion::Skip(why.into())
    } else if let Some(error) = review {
        Deletion::Skip(format!("the policies could not be asked: {error}"))
    } else if !failed.is_empty() {
        Deletion::Skip(failed.join("; "))
    } else if let Some(why) = everything_used {
        Deletion::Skip(format!("the whole initramfs is in use: {why}"))
    } else {
        Deletion::Delete
    }
}

/// Joins what policies and host keep, by path.
fn survivors(
    review: &Review,
    in_use: &[InUse],
    session: &Session<'_>,
    new_root: &NewRoot,
    inits: &[Vec<u8>],
    proc: &Proc,
) -> Vec<Survivor> {
    let mut survivors: BTreeMap<&[u8], Survivor> = BTreeMap::new();
    let mut taken: BTreeMap<Vec<u8>, &[u8]> = BTreeMap::new();
    for claim in &review.claims {
        let policy = session.policies()[claim.policy].name.clone();
        let survivor = survivors.entry(&claim.path).or_insert_with(|| Survivor {
            path: claim.path.as_slice().into(),
            kind: claim.kind,
            by: Vec::new(),
            carried_to: None,
            note: None,
        });
        survivor.by.push(policy);
        let Some(target) = &claim.target else {
            continue;
        };
        let placed: Result<Carry, String> = match (&survivor.carried_to, taken.get(target)) {
            (Some(first), _) if first.target.0 == *target => continue,
            (Some(first), _) => Err(format!("it is bound at {} already", first.target)),
            (None, Some(other)) => Err(format!("{} is bound there already", Path::from(*other))),
            (None, None) => carry::place(new_root, target, claim.kind, inits, proc),
        };
        match placed {
            Ok(carry) => {
                taken.insert(target.clone(), &claim.path);
                survivor.carried_to = Some(carry);
            }
            Err(reason) => {
                let note = format!("not bound at {}: {reason}", Path::from(target.as_slice()));
                tracing::warn!("{} survives, but is {note}", survivor.path);
                survivor.note.get_or_insert(note);
            }
        }
    }
    let unlisted = review
        .unlisted
        .iter()
        .map(|(path, _)| (path.as_slice(), "it could not be listed".to_owned()));
    let used = in_use
        .iter()
        .map(|used| (used.path.as_slice(), used.why.clone()));
    for (path, why) in used.chain(unlisted) {
        let survivor = survivors.entry(path).or_insert_with(|| Survivor {
            path: path.into(),
            kind: FileKind::Directory,
            by: Vec::new(),
            carried_to: None,
            note: None,
        });
        if !survivor.by.iter().any(|by| by == HOST) {
            survivor.by.push(HOST.into());
        }
        survivor.note.get_or_insert(why);
    }
    survivors.into_values().collect()
}

/// Sorts the mounts that do not go with the new root into those that a policy
/// keeps and those that go.
fn foreign_mounts(
    mounts: &[Mount],
    root: &Mount,
    new_root: &NewRoot,
    survivors: &[Survivor],
    warnings: &mut Vec<String>,
) -> (Vec<Path>, Vec<Path>) {
    let mut kept: Vec<Path> = Vec::new();
    let mut detached = Vec::new();
    let foreign = mounts.iter().filter(|mount| {
        mount.id != root.id
            && mount.point != b"/"
            && !in_use::outlives(mount, mounts, &new_root.path)
    });
    for mount in foreign {
        let point = mount.point.as_slice();
        if kept.iter().any(|above| is_at_or_below(point, &above.0)) {
            // Goes with the mount that it is mounted on.
            continue;
        }
        let wanted = survivors
            .iter()
            .any(|survivor| is_at_or_below(point, &survivor.path.0));
        let holds_new_root = is_at_or_below(&new_root.path, point);
        if wanted && holds_new_root {
            warnings.push(format!("the mount on {} is to be kept, but the new root is mounted below it: it is detached", Path::from(point)));
        }
        if wanted && !holds_new_root {
            kept.push(point.into());
        } else {
            detached.push(Path::from(point));
        }
    }
    // What is mounted on another mount goes before it.
    detached.reverse();
    (kept, detached)
}

fn strategy(choice: StrategyChoice, root: &Mount) -> Result<Strategy, String> {
    // The root of the whole tree has no mount below it that pivot_root(2)
    // could leave it on.
    let can_pivot = root.parent != root.id;
    match choice {
        StrategyChoice::Move => Ok(Strategy::Move),
        StrategyChoice::Auto if can_pivot => Ok(Strategy::Pivot),
        StrategyChoice::Auto => Ok(Strategy::Move),
        StrategyChoice::Pivot if can_pivot => Ok(Strategy::Pivot),
        StrategyChoice::Pivot => Err("--strategy pivot: this kernel's / is the root of all mounts, which cannot be pivoted away (Linux 7.0 and newer can); use --strategy auto".into()),
    }
}

fn init_plan(arguments: &Arguments, init: &Init) -> InitPlan {
    InitPlan {
        path: arguments.init.as_bytes().into(),
        resolved: init.resolved.clone().into(),
        arguments: arguments
            .init_arguments
            .iter()
            .map(|argument| argument.as_bytes().into())
            .collect(),
        identity: init.identity,
    }
}

/// The mounts that stand in the way of moving while they are shared: the root,
/// the new root, and what the new root is mounted on.
fn make_private(mounts: &[Mount], root: &Mount, new_root: &NewRoot) -> Vec<Path> {
    let new_root_mount = mounts.iter().find(|mount| mount.id == new_root.mount_id);
    let parent =
        new_root_mount.and_then(|mount| mounts.iter().find(|other| other.id == mount.parent));
    let mut points: Vec<Path> = Vec::new();
    for mount in [Some(root), parent, new_root_mount]
        .into_iter()
        .flatten()
        .filter(|mount| mount.shared)
    {
        let point = Path::from(mount.point.as_slice());
        if !points.contains(&point) {
            points.push(point);
        }
    }
    points
}
