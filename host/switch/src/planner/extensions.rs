//! What becomes of the extensions: which policies let through, which layers are activated
//! where the image is booted whole, and what the running system is told of it.

use std::collections::HashSet;

use policy::account;
use policy::compatibility::Judged;
use switch_root_core::contract::Outcome;
use switch_root_core::extensions::{self, Entry, Unknown};
use switch_root_core::outcome::Message;
use switch_root_core::parameters::Extensions;
use switch_root_core::path::Path;
use switch_root_core::plan::{Outline, Rewrite};
use switch_root_core::preserved::HOST;
use switch_root_core::report::{ExtensionReport, Reason};
use switch_root_core::{escape, locations};

use super::decisions::{Compatibility, Decisions};
use super::facts::{Facts, List};
use super::options::{Mode, Options};

switch_root_core::outcomes! {
    /// Why a layer is left out before anybody tries it: what follows its name in a sentence.
    pub enum NotTried in "layers" {
        /// `image` of `extensions.yaml` is a path. It is the file's name alone.
        "SR-L01" NotAName = "is not the name of a file in the root directory of the initramfs",
        /// Remove one of the two entries.
        "SR-L02" Twice = "is listed in extensions.yaml more than once",
        /// Put several extensions into one layer.
        "SR-L03" Many = "is beyond the {MOST} layers that are activated at most",
    }
}

switch_root_core::outcomes! {
    /// That an extension is left out.
    pub enum LeftOut in "extensions" {
        /// Each one is named with its reasons, which are those of [the layers](#layers).
        "SR-E02" Some { extensions: String } = "not every extension can be activated, and switch_root.incompatible=halt is given: {extensions}; start once with switch_root.incompatible=skip to leave them out",
    }
}

switch_root_core::outcomes! {
    /// Why there is no list of extensions.
    pub enum Refused in "extensions" {
        /// The archive with the extensions is not among those that the boot loader gives to the
        /// kernel, or was cut off.
        "SR-E03" Empty { path: &'static str } = "the list of extensions, {path}, is empty, and switch_root.extensions=require is given; make the initramfs again, or start once without that parameter",
        "SR-E04" Missing { paths: String } = "the initramfs has no list of extensions, neither {paths}, and switch_root.extensions=require is given; make the initramfs again, or start once without that parameter",
    }
}

switch_root_core::outcomes! {
    /// Why none of the extensions is examined.
    pub enum Unused in "extension-warnings" {
        /// The reason that the report gives for extensions that were not examined.
        "SR-E51" Ignored = "switch_root.extensions=ignore is given",
        /// See [the policy worker](#a-policy-that-is-run).
        "SR-E52" NoWorker { file: &'static str, reason: String } = "{file} cannot be judged, and none of its extensions is: the judge {reason}",
        /// A policy may have taken over the policy worker. Do not use it, and report it with the
        /// `.wasm`.
        "SR-E53" Contradicted { file: &'static str } = "{file} is not what the process says that ran the policies; none of its extensions is activated",
    }
}

/// Layers that are activated at most. The kernel takes more, but not in the
/// string that older ones are given.
const MOST: usize = 100;

/// Which layers are mounted, one extension after the other, as the file has them.
#[derive(Default)]
pub struct Selection(HashSet<String>);

impl Selection {
    /// Whether the layer of the next extension is to be mounted.
    ///
    /// # Errors
    /// Why it is not.
    pub fn next(&self, judged: &Judged) -> Result<(), Vec<Reason>> {
        if judged.outcome == Outcome::Incompatible {
            Err(account::reasons(judged))
        } else if self.0.contains(&judged.extension.image) {
            Err(left_out(NotTried::Twice.into()))
        } else if self.0.len() == MOST {
            Err(left_out(NotTried::Many.into()))
        } else {
            Ok(())
        }
    }

    /// The layer was mounted.
    pub fn mounted(&mut self, judged: &Judged) {
        self.0.insert(judged.extension.image.clone());
    }
}

/// Why the layer of an extension is left out, by the word of the host: half a sentence.
pub fn left_out(reason: Message) -> Vec<Reason> {
    vec![Reason {
        policy: HOST.into(),
        code: reason.code,
        reason: format!("the layer {reason}"),
    }]
}

/// Says in the outline what becomes of each extension.
///
/// # Errors
/// Why the switch is refused: a sentence for the operator.
pub fn extensions(
    facts: &Facts,
    decisions: &Decisions,
    options: &Options,
    outline: &mut Outline,
) -> Result<(), Message> {
    refuse_list(facts, &decisions.compatibility, options)?;
    if decisions.compatibility.is_trouble() {
        let none = none(facts, &decisions.compatibility);
        outline.warnings.extend(none.map(Message::from));
    }
    match &decisions.compatibility {
        Compatibility::NotAsked | Compatibility::Malformed(_) | Compatibility::Contradicted => {}
        // The machine must boot, and nothing says that the file is bad.
        Compatibility::NoWorker(reason) => {
            outline.unknown.push(format!(
                "whether the extensions are compatible: the policy worker {reason}"
            ));
        }
        Compatibility::NotKnown(list, why) => {
            outline.unknown.push(why.clone());
            let unasked = list.extensions.iter().map(ExtensionReport::unasked);
            outline.extensions.extend(unasked);
            missing(facts, &mut outline.extensions);
        }
        Compatibility::Judged { extensions, .. } if options.mode == Mode::ImageBoot => {
            outline.extensions = activated(facts, extensions);
            if options.halt {
                refuse_to_leave_out(&outline.extensions)?;
            }
        }
        Compatibility::Judged { extensions, .. } => {
            outline.extensions = extensions.iter().map(account::extension).collect();
        }
    }
    Ok(())
}

/// Refuses for the sake of the file that names the extensions.
///
/// # Errors
/// A sentence for the operator.
pub fn refuse_list(
    facts: &Facts,
    compatibility: &Compatibility,
    options: &Options,
) -> Result<(), Message> {
    if let List::Unusable(reason) = &facts.list {
        return Err(reason.clone());
    }
    refuse_without(&facts.list, options)?;
    match compatibility {
        Compatibility::Malformed(reason) => {
            let path = facts.list.path().unwrap_or_default();
            Err(extensions::unusable(path, &reason.text).into())
        }
        _ => Ok(()),
    }
}

/// For `switch_root.incompatible=halt`.
fn refuse_to_leave_out(extensions: &[ExtensionReport]) -> Result<(), LeftOut> {
    let left_out = extensions.iter().filter(|one| one.is_left_out());
    let left_out: Vec<String> = left_out
        .map(|one| {
            let reasons: Vec<String> = one.reasons.iter().map(Reason::sentence).collect();
            let image = escape::message(&one.image, 256);
            format!("{image} ({})", reasons.join("; "))
        })
        .collect();
    if left_out.is_empty() {
        return Ok(());
    }
    let extensions = left_out.join(", ");
    Err(LeftOut::Some { extensions })
}

fn refuse_without(list: &List, options: &Options) -> Result<(), Refused> {
    match list {
        _ if options.extensions != Extensions::Require => Ok(()),
        List::Read(path, bytes) if bytes.is_empty() => Err(Refused::Empty { path }),
        List::Missing => Err(Refused::Missing {
            paths: locations::EXTENSIONS.join(" nor "),
        }),
        _ => Ok(()),
    }
}

/// Why none of the extensions could be looked at.
fn none(facts: &Facts, compatibility: &Compatibility) -> Option<Unused> {
    let file = facts.list.path()?;
    match compatibility {
        _ if matches!(facts.list, List::Ignored(_)) => Some(Unused::Ignored),
        Compatibility::NoWorker(reason) => {
            let reason = reason.text.clone();
            Some(Unused::NoWorker { file, reason })
        }
        Compatibility::Contradicted => Some(Unused::Contradicted { file }),
        _ => None,
    }
}

/// What becomes of the layers of an image that is booted whole.
fn activated(facts: &Facts, judged: &[Judged]) -> Vec<ExtensionReport> {
    let mut selection = Selection::default();
    let tried = facts.image.as_ref().map(|image| &image.layers);
    let each = judged.iter().enumerate().map(|(number, judged)| {
        let mut report = account::extension(judged);
        let outcome = match selection.next(judged) {
            Ok(()) => tried.and_then(|tried| tried.get(number).cloned().flatten()),
            // Its layer is not tried.
            Err(reasons) => Some(Err(reasons)),
        };
        report.activated = outcome.as_ref().map(Result::is_ok);
        match outcome {
            Some(Err(reasons)) => report.reasons = reasons,
            Some(Ok(())) | None => selection.mounted(judged),
        }
        report
    });
    each.collect()
}

/// Says of extensions that nobody was asked about which layers cannot be used.
fn missing(facts: &Facts, extensions: &mut [ExtensionReport]) {
    let layers = facts.image.iter().flat_map(|image| &image.layers);
    for (report, outcome) in extensions.iter_mut().zip(layers) {
        if let Some(Err(reasons)) = outcome {
            report.activated = Some(false);
            report.reasons.extend(reasons.iter().cloned());
        }
    }
}

/// The files of the initramfs that make the new root where it is booted whole.
pub fn images(facts: &Facts, decisions: &Decisions, reports: &[ExtensionReport]) -> Vec<Path> {
    let root = facts
        .image
        .as_ref()
        .and_then(|image| image.root.clone().ok());
    let named = decisions.compatibility.extensions().zip(reports);
    let layers = named
        .filter(|(_, report)| !report.is_left_out())
        .map(|(extension, _)| format!("/{}", extension.image).as_bytes().into());
    root.into_iter().chain(layers).collect()
}

/// The extensions.yaml that tells the running system what was activated, and what not, and
/// why.
pub fn rewrite(
    facts: &Facts,
    decisions: &Decisions,
    reports: &[ExtensionReport],
) -> Option<Rewrite> {
    let path = facts.list.path()?.as_bytes().into();
    if matches!(&facts.list, List::Read(_, bytes) if bytes.is_empty()) {
        return None;
    }
    if let Some(reason) = none(facts, &decisions.compatibility) {
        let text = extensions::render_none(&reason.to_string());
        return Some(Rewrite { path, text });
    }
    let unknown = match &decisions.compatibility {
        Compatibility::Judged { unknown, .. } => unknown,
        _ => &Unknown::default(),
    };
    let (mut activated, mut skipped) = (Vec::new(), Vec::new());
    for (number, (extension, report)) in decisions
        .compatibility
        .extensions()
        .zip(reports)
        .enumerate()
    {
        let unknown = unknown.layers.get(number).map_or("", String::as_str);
        let entry = Entry { extension, unknown };
        match report.is_left_out() {
            false => activated.push(entry),
            true => skipped.push((entry, report.reasons.iter().map(Reason::sentence).collect())),
        }
    }
    let text = extensions::render_outcome(&activated, &skipped, &unknown.file);
    Some(Rewrite { path, text })
}
