//! The plan of an image: what the switch would keep, carry and delete, by whose word,
//! and what the policies say of the extensions. The policies are asked as at boot, in
//! a process of their own; the new root is not known.

mod branch;
pub(crate) mod explain;
mod facts;
mod report;
pub(crate) mod supposed;

use std::path::Path as FilePath;

use branch::Branches;
use explain::Watch;
use extension::known_keys;
use initramfs::called;
use initramfs::image::{Image, Inner};
use policy::folder::{self, Policy};
use policy::session::Session;
use policy::{account, compatibility, preservation};
use switch_root::planner::{self, Compatibility, Decisions, Facts, List, Mode};
use switch_root_core::contract::HostFacts;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::extensions;
use switch_root_core::failure::Failure;
use switch_root_core::keep::Keep;
use switch_root_core::outcome::{self, Message};
use switch_root_core::plan::{Deletion, Outline};
use switch_root_core::report::{ExtensionReport, PolicyReport};

use crate::runs;

pub use branch::{Branch, Fate, Summary};
pub use explain::{Explanation, Said, Step};
pub use facts::root_image;
pub use report::{ImageReport, PartReport, Report, Survivor};
pub use supposed::{NotSupposed, Supposed, suppose};

switch_root_core::outcomes! {
    /// Why there is no plan.
    pub enum NoPlan in "plans" {
        /// Check the path that `--policies` names.
        "SR-J50" Policies { path: String } = "cannot read the folder of policies {path}",
    }
}

/// The version of the schema of [`Report`]. Fields may be added within one version.
pub const SCHEMA: u32 = 1;

/// What a plan is made with.
#[derive(Clone, Debug, Default)]
pub struct Asking<'a> {
    /// A folder of policies beside those of the image. Its files replace those of the
    /// same name.
    pub policies: Option<&'a FilePath>,
    /// The machine, as policies are told of it.
    pub host: Option<&'a HostFacts>,
    /// The paths of the new root that lead to its init: nothing may be carried over
    /// them.
    pub inits: Vec<Vec<u8>>,
    /// Whether the report has the whole tree, and not only the way to what survives.
    pub full: bool,
    /// A path, of which is to be told who said what.
    pub explain: Option<&'a [u8]>,
    /// That path is not of the image: see [`Image::suppose`].
    pub supposed: bool,
}

switch_root_core::outcomes! {
    /// What takes memory after the switch.
    pub(crate) enum Kept in "plans" {
        /// A kernel does not free a file that a loop device reads. Nothing is to be done.
        "SR-J60" InUse = "the root image and the layers are in use when the rest is deleted: their names go, and their memory does not",
    }
}

/// A plan, and what was to be explained.
#[derive(Debug)]
pub struct Plan {
    /// All of it.
    pub report: Report,
    /// Of the path that was asked about.
    pub explanation: Option<Explanation>,
}

/// Makes the plan. No other thread may run: the process that runs the policies is
/// forked.
///
/// # Errors
/// The folder of policies cannot be read, or the path to be explained is not there. A
/// policy that fails is no error: it is in the report, and so is what could not be found
/// out.
pub fn make(image: &Image, asking: &Asking<'_>) -> Result<Plan> {
    if let Some(folder) = asking.policies {
        std::fs::read_dir(folder).map_err(|error| {
            let path = folder.shown();
            Error::system(NoPlan::Policies { path }, &error)
        })?;
    }
    let tree = &image.tree;
    let mut watch = asking
        .explain
        .map(|path| Watch::new(tree, path))
        .transpose()?;
    let policies = match facts::parameters(asking.host).default_policy_only {
        true => vec![folder::embedded()],
        false => runs::policies(image, asking.policies),
    };
    let mut session = Session::of_an_image(&policies);
    let (mut facts, options) = facts::gather(image, asking.host);
    // In the order of the boot, since a policy that failed is not asked again.
    let compatibility = ask_compatibility(image, &mut session, &facts);
    facts::look_at_layers(image, &compatibility, &mut facts);
    let review = preservation::review_watched(
        &mut session,
        &mut |directory| tree.list(directory),
        &asking.inits,
        &mut |policy, directory, entries, decisions| {
            if let Some(watch) = &mut watch {
                watch.answer(policy, directory, entries, decisions);
            }
        },
    );
    session.dismiss();
    let unknown = not_found_out(&session, review.as_ref().err());
    let decisions = Decisions::of(&session, compatibility, review);
    let planned = planner::plan(&facts, &decisions, &options);
    let (outline, images, refused) = match planned {
        Ok(plan) => (plan.outline().clone(), plan.images().to_vec(), None),
        Err(refusal) => (*refusal.outline, Vec::new(), Some(refusal.reason)),
    };
    let Outline {
        preserved,
        deletion,
        extensions,
        warnings,
        notes: mut more_notes,
        unknown: of_the_plan,
    } = outline;
    let mut warnings = warnings;
    let unknown_keys = unknown_keys(&facts.list, &decisions.compatibility);
    warnings.extend(unknown_keys.into_iter().map(Message::quoted));
    let stays = refused.is_some() || deletion != Deletion::Delete;
    let keep = match stays {
        true => Keep::Whole,
        false => Keep::new(preserved.iter().map(|one| one.path.0.as_slice())),
    };
    let in_use: Vec<Vec<u8>> = images.into_iter().map(|path| path.0).collect();
    let branches = Branches::new(tree, &keep, &preserved, &in_use, asking.full);
    let (root, summary) = branches.build();
    if summary.in_use.files > 0 {
        warnings.push(Kept::InUse.into());
    }
    let explanation = watch.map(|watch| {
        let fate = branches.fate(watch.real());
        let stays = match (&refused, &deletion) {
            (Some(reason), _) => Some(format!("the switch would be refused: {reason}")),
            (None, Deletion::Skip(reason)) => Some(format!("nothing would be deleted: {reason}")),
            (None, Deletion::Delete) => None,
        };
        watch.explain(&session, fate, &preserved, stays, asking.supposed)
    });
    let (warnings, warning_codes) = outcome::split(&warnings);
    let report = Report {
        schema: SCHEMA,
        image: ImageReport::of(image),
        tree: root,
        policies: account::policies(&session),
        extensions,
        survivors: preserved
            .into_iter()
            .map(|one| Survivor::of(tree, one))
            .collect(),
        deletion,
        refused_code: refused.as_ref().and_then(|reason| reason.code),
        refused: refused.map(|reason| reason.text),
        summary,
        warnings,
        warning_codes,
        notes: notes(options.mode == Mode::Preserve, &policies)
            .into_iter()
            .chain(image.inner.as_ref().map(of_inner))
            .chain(more_notes.drain(..))
            .collect(),
        unknown: unknown
            .into_iter()
            .chain(of_the_plan)
            .chain(image.cut_off())
            .chain(image.unread.as_ref().map(|unread| unread.text.clone()))
            .collect(),
    };
    session.take_dismissed().wait();
    Ok(Plan {
        report,
        explanation,
    })
}

/// What is worth knowing, a sentence each.
fn notes(by_systemd: bool, policies: &[Policy]) -> Vec<String> {
    let systemd = by_systemd.then(|| called::SYSTEMD_SWITCHES.to_owned());
    let masked = policies.iter().filter_map(|policy| {
        let file = policy.sidecar.masked_by.as_ref()?;
        Some(format!(
            "policy {} has the default settings and limits: {file} is empty or a link to /dev/null, whatever other sidecar there is",
            policy.name
        ))
    });
    systemd.into_iter().chain(masked).collect()
}

/// Of what image the plan is.
fn of_inner(inner: &Inner) -> String {
    format!(
        "what is planned is the image inside {}, which the rest of the initramfs mounts and switches to: nothing of that rest is in the plan",
        inner.path
    )
}

/// What could not be found out here and would decide, a sentence each.
fn not_found_out(session: &Session<'_>, unreviewed: Option<&Message>) -> Vec<String> {
    let untried = session.policies().iter().zip(session.accounts());
    let untried = untried.filter_map(|(policy, account)| {
        let failure = account.failures.iter().find(|one| one.is_untried())?;
        Some(format!(
            "whether policy {} can be loaded: {}; ask on a kernel with seccomp",
            policy.name, failure.message
        ))
    });
    let unreviewed = unreviewed.map(|reason| {
        format!("which paths are preserved: the policies could not be asked: {reason}")
    });
    untried.chain(unreviewed).collect()
}

/// Asks the policies about the extensions.
fn ask_compatibility(image: &Image, session: &mut Session<'_>, facts: &Facts) -> Compatibility {
    match (&facts.list, &facts.host) {
        (List::Read(_, bytes), _) if bytes.is_empty() => Compatibility::NotAsked,
        (List::Read(_, bytes), Some(host)) => {
            Compatibility::of(compatibility::review(session, host, bytes))
        }
        (List::Read(_, bytes), None) => Compatibility::unasked(
            compatibility::read(bytes),
            format!(
                "whether the extensions are compatible: {} does not say which operating system it boots (it has neither a root image of squashfs nor an os-release of its own); name that operating system's os-release with --os-release FILE, or its version with --target-version VERSION",
                image.name
            ),
        ),
        _ => Compatibility::NotAsked,
    }
}

/// What of the list nobody knows, a sentence each.
fn unknown_keys(list: &List, compatibility: &Compatibility) -> Vec<String> {
    let List::Read(path, bytes) = list else {
        return Vec::new();
    };
    match compatibility {
        Compatibility::Judged { .. } => {
            let list = extensions::list(bytes).unwrap_or_default();
            known_keys::unknown_of_list(&list.unknown, path)
        }
        Compatibility::NotKnown(list, _) => known_keys::unknown_of_list(&list.unknown, path),
        _ => Vec::new(),
    }
}

impl Report {
    /// Whether nothing is known to be wrong: nothing is incompatible, no policy failed,
    /// and the switch would not be refused. What is not known is in `unknown`.
    pub fn is_fine(&self) -> bool {
        let failures = |policy: &'_ PolicyReport| policy.failures.iter().all(Failure::is_untried);
        self.refused.is_none()
            && self.policies.iter().all(failures)
            && !self.extensions.iter().any(ExtensionReport::is_left_out)
    }
}
