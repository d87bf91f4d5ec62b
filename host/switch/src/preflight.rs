//! Everything that can refuse: it runs before the first mount is moved, and
//! changes nothing. What comes out is the plan.

use std::cell::Cell;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path as FilePath;
use std::time::Instant;

use policy::compatibility::{self, Judged, NoReview};
use policy::folder::{self, Discovered};
use policy::preservation::{self, Review};
use policy::session::Session;
use policy::{account, consequence};
use switch_root_core::contract::{HostFacts, Outcome};
use switch_root_core::extensions::{self, Unknown};
use switch_root_core::locations;
use switch_root_core::path::Path;
use switch_root_core::plan::{Deletion, InitPlan, Plan, Rewrite, Strategy};
use switch_root_core::preserved::{Survivor, is_by_policy};
use switch_root_core::report::{ExtensionReport, JudgeReport, MAX_LISTED, ReviewReport, Timings};

use crate::arguments::{Arguments, StrategyChoice};
use crate::deletion::is_overlay;
use crate::init::{self, Init};
use crate::initramfs::Initramfs;
use crate::layers::OfThisMachine;
use crate::mount_plan::{self, Foreign};
use crate::mounts::{self, Mount};
use crate::new_root::{self, NewRoot};
use crate::old_root;
use crate::old_root::OldRoot;
use crate::places::{Kept, Places};
use crate::preserve::{self, Store, Uncovered, View};
use crate::proc::Proc;
use crate::processes::Others;
use crate::report::Facts;
use crate::{answering, capabilities, in_use, listing, machine, survivors};
use switch_root_core::parameters::{Extensions, Parameters};

/// What a plan is made for.
pub struct Context<'a> {
    /// Other programs that live on.
    pub others: &'a Others,
    /// The command line of the program.
    pub arguments: &'a Arguments,
    /// What the kernel's says.
    pub parameters: &'a Parameters,
    /// The kernel's whole.
    pub command_line: &'a str,
    /// The proc file system.
    pub proc: &'a Proc,
    /// When the program was started.
    pub started: Instant,
}

/// What is known of the extensions already, where the program itself puts the
/// new root together.
pub struct Asked {
    /// Every extension with its verdict.
    pub extensions: Vec<ExtensionReport>,
    /// What was not as it should be, and was logged.
    pub warnings: Vec<String>,
    /// How the file that names the extensions is to be written anew.
    pub rewrite: Option<Rewrite>,
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
            tracing::warn!("policy {}: {warning}", policy.name);
        }
    }
    found
}

/// Makes the plan. The policies of the session are asked about the extensions,
/// too, unless they have been.
///
/// # Errors
/// Why the switch is refused: a sentence for the operator.
pub fn plan(
    context: &Context<'_>,
    session: &mut Session<'_>,
    asked: Option<Asked>,
) -> Result<(Plan, Facts), String> {
    let Context {
        others,
        arguments,
        parameters,
        command_line,
        proc,
        started,
    } = *context;
    let keep_initramfs = arguments.keep_initramfs || parameters.keep_initramfs;
    // What holds for the deletion is nothing to refuse for where nothing is deleted.
    let old = old_root::examine(keep_initramfs || arguments.preserve)
        .map_err(|refusal| without_new_root(arguments, proc).unwrap_or(refusal))?;
    let old_root = &old.fd;
    if arguments.plan.is_none() {
        capabilities::check()?;
    }
    refuse_unsigned(session)?;
    let mounts = table_of_mounts(proc)?;
    let open_new_root = || new_root::open(&arguments.new_root, old_root.as_fd(), proc);
    let examine_init = |new_root: &NewRoot| {
        let place = init::Place {
            new_root: new_root.fd.as_fd(),
            mounted_at: &new_root.path,
            proc,
            unchecked: arguments.unchecked_init || parameters.unchecked_init,
        };
        match &arguments.init {
            Some(path) => {
                let path = path.as_bytes();
                Ok((path.to_vec(), init::check(place, path)?))
            }
            None => init::find(place, &parameters.init),
        }
    };
    let given = arguments.new_root.as_bytes();
    answering::examine_ahead(&mounts, given, answering::PATIENCE, || {
        // All that is read of it below; what comes of it is found out again there.
        let Ok(new_root) = open_new_root() else {
            return;
        };
        let _ = examine_init(&new_root);
        let _ = Places::examine(&new_root, proc);
        let _ = machine::facts(new_root.fd.as_fd(), command_line);
    })?;
    // It gets ready while the rest is checked.
    session.begin();
    let new_root = open_new_root()?;
    let (init_path, init) = examine_init(&new_root)?;
    tracing::debug!(
        "the new root {} has the init {}",
        Path::from(new_root.path.as_slice()),
        Path::from(init.resolved.as_slice())
    );
    let root_id =
        listing::mount_id(old_root).map_err(|error| format!("/ cannot be examined: {error}"))?;
    let root_mount = mounts.iter().find(|mount| mount.id == root_id).ok_or(
        "the table of mounts does not have the mount on /; start the program outside of a chroot",
    )?;
    let places = Places::examine(&new_root, proc);
    let (mut moves, no_places) = match arguments.mounts_stay {
        true => Default::default(),
        false => places.moves(&new_root, &mounts, &init, others.is_empty())?,
    };
    let store = match arguments.preserve {
        true => Some(Store::open(&new_root.fd, &new_root.path, old_root, proc)?),
        false => None,
    };
    let uncovered = match store {
        Some(_) => preserve::uncover(&mounts, root_mount, &new_root.path, proc),
        None => Uncovered::default(),
    };
    let copied_from = uncovered.view.as_ref().map_or(old_root, View::root);
    let initramfs = Initramfs::new(old_root.as_fd(), root_mount, &mounts, |point| {
        uncovered.points.iter().any(|one| one.0 == point)
    });

    let mut warnings: Vec<String> = parameters
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    let logged = warnings.len() + asked.as_ref().map_or(0, |asked| asked.warnings.len());
    let own = asked.is_some().then_some(new_root.mount_id);
    let mut rewrite = None;
    let (extensions, review) = match asked {
        Some(asked) => {
            warnings.extend(asked.warnings);
            warnings.extend(init.warnings.iter().cloned());
            rewrite = asked.rewrite;
            let review = ask_preservation(session, &initramfs, &init.paths, &mut warnings);
            (asked.extensions, review)
        }
        None => {
            let (host, failures) = machine::facts(new_root.fd.as_fd(), command_line);
            warnings.extend(failures);
            warnings.extend(init.warnings.iter().cloned());
            // In this order in every mode: a policy that fails in the one question is not
            // asked the other, and what it means must not depend on who switches.
            let judged = ask_compatibility(session, parameters, &host, &mut warnings)?;
            let review = ask_preservation(session, &initramfs, &init.paths, &mut warnings);
            (
                judged.extensions.iter().map(account::extension).collect(),
                review,
            )
        }
    };
    session.dismiss();
    refuse_on_failure(session, !extensions.is_empty())?;
    let policies_us = elapsed(started);

    let failed_review = review.as_ref().err().cloned();
    let review = review.unwrap_or_default();
    tracing::debug!(
        "policies looked at {} directories and {} entries",
        review.directories,
        review.entries
    );
    let mut foreign = Foreign::default();
    let used = others.mounts(&mounts);
    let mut stay = used.clone();
    let mut staying = Vec::new();
    if arguments.mounts_stay && !arguments.preserve {
        let all = mount_plan::all_stay(&mounts, root_mount, &new_root);
        stay.extend(all.iter().map(|mount| mount.id));
        staying = mount_plan::points(&all);
    }
    let fate = |everything_used| {
        deletion(
            &old,
            keep_initramfs,
            failed_review.as_ref(),
            everything_used,
            arguments.preserve,
            session,
        )
    };
    // Over all rounds, so that mounts which do not answer are not waited for in each.
    let patience = Cell::new(answering::PATIENCE);
    // A mount that is kept may itself use something of the initramfs, which
    // then is kept, with what is mounted there. Ends, since there are only so
    // many mounts.
    let at = (&new_root, &places);
    let (survivors, deletion) = loop {
        let outlives = |mount: &Mount| {
            in_use::outlives(mount, &mounts, &new_root.path, new_root.mount_id)
                || (mount.id != root_mount.id && used.contains(&mount.id))
                || foreign
                    .kept
                    .iter()
                    .any(|kept| mounts::within(mount, &kept.0))
        };
        let mut in_use = in_use::find(&mounts, root_mount, own, outlives, || {
            let alone = initramfs.alone().ok_or(std::io::ErrorKind::Unsupported)?;
            Ok(Box::new(OfThisMachine::new(
                alone, proc, &mounts, &patience,
            )))
        });
        in_use.extend(others.in_use(&mounts, root_mount, |path| initramfs.way(path)));
        let everything = in_use
            .iter()
            .find(|used| used.path == b"/")
            .map(|used| used.why.clone());
        if store.is_some() {
            // A copy does not help those who use the original.
            warnings.extend(in_use.iter().map(preserve::deleted_all_the_same));
            warnings.extend(uncovered.warnings);
            let survivors = survivors::join(&review, &[], &initramfs, session, at, &init, proc);
            // Whatever lies in memory is lost by the switch, an overlay's layers with it.
            let lost = old.memory || is_overlay(old_root);
            break preserve::everything_if_need_be(survivors, fate(None), lost);
        }
        let deletion = fate(everything);
        let survivors = survivors::join(&review, &in_use, &initramfs, session, at, &init, proc);
        let before = foreign.kept.len();
        foreign = mount_plan::foreign(&mounts, root_mount, &new_root, &survivors, &deletion, &stay);
        if foreign.kept.len() <= before {
            break (survivors, deletion);
        }
    };
    for survivor in &survivors {
        if let Some(note) = &survivor.note {
            tracing::warn!("{} survives: {note}", survivor.path);
        }
    }
    warnings.append(&mut foreign.warnings);
    let run = places.run(&new_root, &moves, kept(&survivors), &init);
    if !arguments.mounts_stay {
        staying = std::mem::take(&mut foreign.staying);
    }
    if others.serve() || (!arguments.mounts_stay && !staying.is_empty()) {
        warnings.push(format!(
            "{}; what is used of its mounts and files stays in memory: stop before the switch what is not needed after it",
            others.describe()
        ));
    } else if !others.is_empty() {
        tracing::info!("{}; each keeps its root directory", others.describe());
    }
    if store.is_none() {
        warnings.extend(no_places);
        if let Some(lacks) = &run.lacks {
            let shown = Path::from(new_root.path.as_slice());
            refuse_to_lose(&survivors, lacks, &shown)?;
            warnings.push(format!(
                "the new root {shown} {lacks}: there is no report, and what is left of the initramfs cannot be reached"
            ));
        }
    }
    let copies = store.map(|store| {
        let from = (copied_from, uncovered.points);
        preserve::choose(&survivors, from, &store, &new_root.path, proc)
    });
    let strategy = match &copies {
        Some(copies) => {
            warnings.extend(preserve::warnings(copies));
            Strategy::Delegated
        }
        None => {
            if !others.is_empty() {
                mount_plan::bind(&mut moves, &mut staying);
            }
            mount_plan::strategy(
                arguments,
                root_mount,
                run.run,
                &foreign.kept,
                &staying,
                others.is_empty(),
            )?
        }
    };
    if arguments.strategy == StrategyChoice::Pivot && strategy == Strategy::Move {
        warnings.push(format!(
            "{}: --strategy pivot would change their root directory, so that the new root's mount is moved instead",
            others.describe()
        ));
    }
    let (make_private, moves) = match strategy {
        Strategy::Delegated => Default::default(),
        _ => (
            mount_plan::make_private(&mounts, root_mount, &new_root, &moves, &staying),
            moves,
        ),
    };
    let plan = Plan {
        strategy,
        new_root: switch_root_core::plan::NewRoot {
            path: new_root.path.clone().into(),
            mount_id: new_root.mount_id,
        },
        init: init_plan(arguments, init_path, &init),
        console: arguments
            .console
            .as_ref()
            .map(|console| console.as_bytes().into()),
        drop_capabilities: arguments
            .drop_capabilities
            .iter()
            .map(|capability| capability.index())
            .collect(),
        make_private,
        moves,
        run: run.run,
        run_leads_to: run.leads_to.map(Path::from),
        staying_mounts: staying,
        processes: others.listed(),
        processes_more: others.processes.len().saturating_sub(MAX_LISTED) as u64,
        kept_mounts: foreign.kept,
        detached_mounts: foreign.detached,
        survivors,
        copies,
        rewrite,
        deletion,
        foreground: arguments.foreground || parameters.foreground,
    };
    tracing::debug!("the judge ran for {} us", session.judge_time().as_micros());
    let facts = Facts {
        boot_id: proc.boot_id(),
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
        extensions,
        warnings,
        timings: Timings {
            policies_us,
            plan_us: elapsed(started),
            ..Default::default()
        },
    };
    for warning in &facts.warnings[logged..] {
        tracing::warn!("{warning}");
    }
    for line in plan.to_string().lines() {
        tracing::debug!("plan: {line}");
    }
    Ok((plan, facts))
}

/// What is mounted.
///
/// # Errors
/// A sentence for the operator.
fn table_of_mounts(proc: &Proc) -> Result<Vec<Mount>, String> {
    let table = proc.read("self/mountinfo").map_err(|error| {
        format!(
            "the table of mounts cannot be read: {error}; mount proc on /proc before the switch"
        )
    })?;
    mounts::parse(&table)
}

/// That the new root is missing, if it is. On a machine that runs, `/` is no initramfs, and
/// what is named wrongly on the command line is said before that.
fn without_new_root(arguments: &Arguments, proc: &Proc) -> Option<String> {
    let mounts = table_of_mounts(proc).ok()?;
    let given = &arguments.new_root;
    let open = || drop(new_root::directory(given));
    answering::examine_ahead(&mounts, given.as_bytes(), answering::PATIENCE, open).ok()?;
    new_root::directory(given).err()
}

fn elapsed(started: Instant) -> u64 {
    started.elapsed().as_micros() as u64
}

fn ask_preservation(
    session: &mut Session<'_>,
    initramfs: &Initramfs<'_>,
    inits: &[Vec<u8>],
    warnings: &mut Vec<String>,
) -> Result<Review, String> {
    let mut list = |directory: &[u8]| initramfs.list(directory);
    let review = preservation::review(session, &mut list, inits)?;
    for (directory, error) in &review.unlisted {
        warnings.push(format!(
            "{} cannot be listed, and survives whole: {error}",
            Path::from(directory.as_slice())
        ));
    }
    Ok(review)
}

/// What the policies say of the extensions.
#[derive(Default)]
pub struct Judgement {
    /// In the order of the file.
    pub extensions: Vec<Judged>,
    /// Where the file is.
    pub file: Option<&'static str>,
    /// What else the file holds; only where the program itself activates them.
    pub unknown: Unknown,
    /// Why none of its extensions could be looked at.
    pub none: Option<String>,
}

/// Asks the policies about the extensions.
///
/// # Errors
/// A sentence for the operator: the file cannot be used, or a policy must not
/// fail.
pub fn ask_compatibility(
    session: &mut Session<'_>,
    parameters: &Parameters,
    host: &HostFacts,
    warnings: &mut Vec<String>,
) -> Result<Judgement, String> {
    if parameters.extensions == Extensions::Ignore {
        return Ok(Judgement {
            file: machine::extensions_file(),
            none: Some("switch_root.extensions=ignore is given".into()),
            ..Judgement::default()
        });
    }
    match machine::extensions_yaml()? {
        Some((path, bytes)) if !bytes.is_empty() => {
            let judged = match compatibility::review(session, host, &bytes) {
                Ok(judged) => judged,
                Err(NoReview::File(reason)) => {
                    return Err(extensions::unusable(path, &reason.text).to_string());
                }
                // The machine must boot, and nothing says that the file is bad.
                Err(NoReview::Judge(reason)) => {
                    refuse_on_failure(session, true)?;
                    let reason = format!(
                        "{path} cannot be judged, and none of its extensions is: the judge {reason}"
                    );
                    warnings.push(reason.clone());
                    return Ok(Judgement {
                        file: Some(path),
                        none: Some(reason),
                        ..Judgement::default()
                    });
                }
            };
            for one in judged
                .iter()
                .filter(|one| one.outcome == Outcome::Incompatible)
            {
                for (policy, reason) in &one.reasons {
                    tracing::warn!(
                        "extension {} is incompatible, says policy {policy}: {reason}",
                        switch_root_core::escape::message(&one.extension.image, 256)
                    );
                }
            }
            Ok(Judgement {
                extensions: judged,
                file: Some(path),
                ..Judgement::default()
            })
        }
        found if parameters.extensions == Extensions::Require => {
            let what = match found {
                Some((path, _)) => format!("the list of extensions, {path}, is empty"),
                None => format!(
                    "the initramfs has no list of extensions, neither {}",
                    locations::EXTENSIONS.join(" nor ")
                ),
            };
            Err(format!(
                "{what}, and switch_root.extensions=require is given; make the initramfs again, or start once without that parameter"
            ))
        }
        _ => Ok(Judgement::default()),
    }
}

/// Refuses where a policy is not signed as it must be. Comes first: nothing of it is run.
///
/// # Errors
/// A sentence for the operator.
pub fn refuse_unsigned(session: &Session<'_>) -> Result<(), String> {
    consequence::unsigned(session).map_or(Ok(()), |refusal| Err(refusal.to_string()))
}

/// Refuses where a policy has failed that the machine must not switch without.
fn refuse_on_failure(session: &Session<'_>, extensions: bool) -> Result<(), String> {
    consequence::refusal(session, extensions).map_or(Ok(()), |refusal| Err(refusal.text))
}

/// What depends on a place for /run in the new root.
fn kept(survivors: &[Survivor]) -> Kept {
    let mut by_policies = survivors.iter().filter(|it| is_by_policy(it));
    let bound = |it: &Survivor| it.carried_to.is_some();
    match by_policies.next() {
        None => Kept::Nothing,
        Some(first) if bound(first) && by_policies.all(bound) => Kept::Bound,
        Some(_) => Kept::Unbound,
    }
}

/// Refuses where something that a policy keeps would be out of reach: /run of the new root
/// can hold nothing, for this reason, and it is not bound elsewhere.
///
/// # Errors
/// A sentence for the operator.
fn refuse_to_lose(survivors: &[Survivor], lacks: &str, new_root: &Path) -> Result<(), String> {
    let lost = |it: &&Survivor| is_by_policy(it) && it.carried_to.is_none();
    let Some(Survivor { path, by, .. }) = survivors.iter().find(lost) else {
        return Ok(());
    };
    Err(format!(
        "policy {} keeps {path} of the initramfs, and the new root {new_root} {lacks}, so that /run can hold it nowhere; mount a tmpfs on /run of the initramfs and make /run a directory in the image of the new root, or start once with the kernel parameter switch_root.policies=default",
        by.join(", ")
    ))
}

fn deletion(
    old: &OldRoot,
    keep_initramfs: bool,
    review: Option<&String>,
    everything_used: Option<String>,
    preserve: bool,
    session: &Session<'_>,
) -> Deletion {
    if keep_initramfs {
        let why = if old.memory {
            "the initramfs is to be kept"
        } else {
            "/ is neither tmpfs nor ramfs"
        };
        Deletion::Skip(why.into())
    } else if let Some(error) = review {
        Deletion::Skip(format!("the policies could not be asked: {error}"))
    } else if let Some(failed) = consequence::nothing_deleted(session) {
        Deletion::Skip(failed.text)
    } else if let Some(why) = everything_used {
        Deletion::Skip(format!("the whole initramfs is in use: {why}"))
    } else if old.read_only && !preserve {
        Deletion::Skip("/ is mounted read-only".into())
    } else {
        Deletion::Delete
    }
}

fn init_plan(arguments: &Arguments, path: Vec<u8>, init: &Init) -> InitPlan {
    InitPlan {
        path: path.into(),
        resolved: init.resolved.clone().into(),
        arguments: arguments
            .init_arguments
            .iter()
            .map(|argument| argument.as_bytes().into())
            .collect(),
        identity: init.identity,
    }
}
