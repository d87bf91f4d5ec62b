//! The plan of an image: what the switch would keep, carry and delete, by whose word,
//! and what the policies say of the extensions. The policies are asked as at boot, in
//! a process of their own; the new root is not known.

mod branch;
mod explain;
mod report;
mod supposed;

use std::path::Path as FilePath;

use branch::Branches;
use explain::Watch;
use extension::known_keys;
use initramfs::called;
use initramfs::image::Image;
use policy::compatibility::{self, NoReview};
use policy::folder::Policy;
use policy::preservation::{self, Review};
use policy::session::Session;
use policy::{account, consequence};
use switch_root_core::contract::HostFacts;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::failure::Failure;
use switch_root_core::file_kind::FileKind;
use switch_root_core::keep::Keep;
use switch_root_core::limits::fixed;
use switch_root_core::outcome::Message;
use switch_root_core::plan::Deletion;
use switch_root_core::preserved::{self, Carry, HOST, Kept};
use switch_root_core::report::{PolicyReport, Reason};
use switch_root_core::{extensions, locations};

use crate::runs;

pub use branch::{Branch, Fate, Summary};
pub use explain::{Explanation, Said, Step};
pub use report::{ImageReport, PartReport, PlannedExtension, Report, Survivor};
pub use supposed::{Supposed, suppose};

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

/// A plan, and what was to be explained.
#[derive(Debug)]
pub struct Plan {
    /// All of it.
    pub report: Report,
    /// Of the path that was asked about.
    pub explanation: Option<Explanation>,
}

/// What the policies say of the extensions.
#[derive(Default)]
struct Judgement {
    extensions: Vec<PlannedExtension>,
    refused: Option<String>,
    warnings: Vec<String>,
    /// Why the policies were not asked about extensions that there are.
    unknown: Option<String>,
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
            Error::system(
                format!("cannot read the folder of policies {}", folder.shown()),
                &error,
            )
        })?;
    }
    let tree = &image.tree;
    let mut watch = asking
        .explain
        .map(|path| Watch::new(tree, path))
        .transpose()?;
    let policies = runs::policies(image, asking.policies);
    let mut session = Session::of_an_image(&policies);
    let whole = image.boots_whole();
    // In the order of the boot, since a policy that failed is not asked again.
    let judgement = judge(image, &mut session, asking);
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
    let refused = consequence::refusal(&session, !judgement.extensions.is_empty())
        .map(|refusal| refusal.text)
        .or(judgement.refused);
    let deletion = match (&review, consequence::nothing_deleted(&session)) {
        (Err(error), _) => Deletion::Skip(format!("the policies could not be asked: {error}")),
        (_, Some(failed)) => Deletion::Skip(failed.text),
        _ => Deletion::Delete,
    };
    let mut unknown = unknown(&session, judgement.unknown, review.as_ref().err());
    unknown.extend(image.cut_off());
    let review = review.unwrap_or_default();
    let survivors = survivors(&review, &session);
    let by_systemd = called::find(tree).is_ok_and(|called| called.by_systemd());
    let mut warnings = tree.warnings();
    warnings.extend(judgement.warnings);
    let stays = refused.is_some() || deletion != Deletion::Delete;
    let keep = match stays {
        true => Keep::Whole,
        false => Keep::new(survivors.iter().map(|survivor| survivor.path.0.as_slice())),
    };
    let in_use = if whole {
        in_use(image, &judgement.extensions)
    } else {
        Vec::new()
    };
    let branches = Branches::new(tree, &keep, &survivors, &in_use, asking.full);
    let (root, summary) = branches.build();
    if summary.in_use.files > 0 {
        warnings.push(
            "the root image and the layers are in use when the rest is deleted: their names go, and their memory does not".into(),
        );
    }
    let explanation = watch.map(|watch| {
        let fate = branches.fate(watch.real());
        let stays = match (&refused, &deletion) {
            (Some(reason), _) => Some(format!("the switch would be refused: {reason}")),
            (None, Deletion::Skip(reason)) => Some(format!("nothing would be deleted: {reason}")),
            (None, Deletion::Delete) => None,
        };
        watch.explain(&session, fate, &survivors, stays, asking.supposed)
    });
    let report = Report {
        schema: SCHEMA,
        image: ImageReport::of(image),
        tree: root,
        policies: account::policies(&session),
        extensions: judgement.extensions,
        survivors: survivors
            .into_iter()
            .map(|survivor| Survivor::of(tree, survivor))
            .collect(),
        deletion,
        refused,
        summary,
        warnings,
        notes: notes(by_systemd, &policies),
        unknown,
    };
    session.take_dismissed().wait();
    Ok(Plan {
        report,
        explanation,
    })
}

/// What survives. Whether something can be bound in the new root is not known here; the
/// rules of the contract have been checked with the answers.
fn survivors(review: &Review, session: &Session<'_>) -> Vec<preserved::Survivor> {
    let unlisted: Vec<Kept> = review
        .unlisted
        .iter()
        .map(|(path, _)| Kept {
            path: path.clone(),
            kind: FileKind::Directory,
            why: "it could not be listed".into(),
        })
        .collect();
    preservation::survivors(review, &unlisted, session, |target, _| {
        Ok(Carry {
            target: target.into(),
            real: target.into(),
            make: false,
        })
    })
}

/// The list of extensions of the image.
///
/// # Errors
/// Why the switch is refused.
fn list(image: &Image) -> std::result::Result<Option<(&'static str, Vec<u8>)>, String> {
    for path in locations::EXTENSIONS {
        let Some((id, _)) = image.tree.at(path.as_bytes()) else {
            continue;
        };
        let node = image.tree.node(id);
        let contents = match node.kind {
            FileKind::Symlink => Err("is a symbolic link; put the file itself there".to_owned()),
            FileKind::Regular if node.size > fixed::EXTENSIONS_FILE => Err(format!(
                "is {} bytes large; at most {} are read",
                node.size,
                fixed::EXTENSIONS_FILE
            )),
            _ => image.tree.contents(path.as_bytes()),
        };
        return match contents {
            Ok(bytes) => Ok(Some((path, bytes.to_vec()))),
            Err(reason) => Err(extensions::unusable(path, &reason).to_string()),
        };
    }
    Ok(None)
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

/// What could not be found out here and would decide, a sentence each.
fn unknown(
    session: &Session<'_>,
    unasked: Option<String>,
    unreviewed: Option<&Message>,
) -> Vec<String> {
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
    untried.chain(unreviewed).chain(unasked).collect()
}

/// Asks the policies about the extensions.
fn judge(image: &Image, session: &mut Session<'_>, asking: &Asking<'_>) -> Judgement {
    let (path, bytes) = match list(image) {
        Ok(Some((path, bytes))) if !bytes.is_empty() => (path, bytes),
        Ok(_) => return Judgement::default(),
        Err(refused) => {
            return Judgement {
                refused: Some(refused),
                ..Judgement::default()
            };
        }
    };
    let Some(host) = asking.host else {
        return unasked(
            image,
            path,
            &bytes,
            format!(
                "whether the extensions are compatible: {} does not say which operating system it boots (it has neither a root image of squashfs nor an os-release of its own); name that operating system's os-release with --os-release FILE, or its version with --target-version VERSION",
                image.name
            ),
        );
    };
    match compatibility::review(session, host, &bytes) {
        Ok(judged) => {
            let mut extensions: Vec<_> = judged.iter().map(PlannedExtension::judged).collect();
            for (entry, judged) in extensions.iter_mut().zip(&judged) {
                missing_layer(image, entry, &judged.extension.image);
            }
            let list = extensions::list(&bytes).unwrap_or_default();
            Judgement {
                extensions,
                warnings: known_keys::unknown_of_list(&list.unknown, path),
                ..Judgement::default()
            }
        }
        Err(NoReview::File(reason)) => Judgement {
            refused: Some(extensions::unusable(path, &reason.text).to_string()),
            ..Judgement::default()
        },
        Err(NoReview::Judge(reason)) => Judgement {
            refused: consequence::refusal(session, true).map(|refusal| refusal.text),
            warnings: vec![format!(
                "{path} cannot be judged, and none of its extensions is: the judge {reason}"
            )],
            unknown: Some(format!(
                "whether the extensions are compatible: the policy worker {reason}"
            )),
            ..Judgement::default()
        },
    }
}

/// The extensions where no policy can be asked about them, for the reason in `unknown`.
fn unasked(image: &Image, path: &str, bytes: &[u8], unknown: String) -> Judgement {
    match compatibility::read(bytes) {
        Ok(list) => Judgement {
            extensions: list
                .extensions
                .iter()
                .map(|extension| {
                    let mut entry = PlannedExtension::unasked(extension);
                    missing_layer(image, &mut entry, &extension.image);
                    entry
                })
                .collect(),
            warnings: known_keys::unknown_of_list(&list.unknown, path),
            unknown: (!list.extensions.is_empty()).then_some(unknown),
            ..Judgement::default()
        },
        Err(NoReview::File(reason)) => Judgement {
            refused: Some(extensions::unusable(path, &reason.text).to_string()),
            ..Judgement::default()
        },
        Err(NoReview::Judge(reason)) => Judgement {
            unknown: Some(format!(
                "whether {path} can be read: the policy worker {reason}"
            )),
            ..Judgement::default()
        },
    }
}

/// Says of an extension whose layer is not in the image that it will be left out.
fn missing_layer(image: &Image, entry: &mut PlannedExtension, layer: &str) {
    if !image.boots_whole() {
        return;
    }
    let there = !layer.contains('/')
        && image
            .tree
            .find(format!("/{layer}").as_bytes())
            .is_some_and(|id| image.tree.node(id).kind == FileKind::Regular);
    if there {
        return;
    }
    entry.activated = Some(false);
    entry.reasons.push(Reason {
        policy: HOST.into(),
        code: None,
        reason: "the layer is missing in the initramfs".into(),
    });
}

/// Files that loop devices use when the rest is deleted: the root image, and the layers
/// that are activated.
fn in_use(image: &Image, extensions: &[PlannedExtension]) -> Vec<Vec<u8>> {
    let root = image.root_image().map(|(path, _)| path);
    let layers = extensions
        .iter()
        .filter(|one| !one.is_left_out())
        .map(|one| format!("/{}", one.image).into_bytes());
    root.into_iter().chain(layers).collect()
}

impl Report {
    /// Whether nothing is known to be wrong: nothing is incompatible, no policy failed,
    /// and the switch would not be refused. What is not known is in `unknown`.
    pub fn is_fine(&self) -> bool {
        let failures = |policy: &'_ PolicyReport| policy.failures.iter().all(Failure::is_untried);
        self.refused.is_none()
            && self.policies.iter().all(failures)
            && !self.extensions.iter().any(PlannedExtension::is_left_out)
    }
}
