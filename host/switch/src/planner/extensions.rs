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
            Err(left_out("is listed in extensions.yaml more than once"))
        } else if self.0.len() == MOST {
            Err(left_out(&format!(
                "is beyond the {MOST} layers that are activated at most"
            )))
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
pub fn left_out(reason: &str) -> Vec<Reason> {
    vec![Reason {
        policy: HOST.into(),
        code: None,
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
) -> Result<(), String> {
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
) -> Result<(), String> {
    if let List::Unusable(reason) = &facts.list {
        return Err(reason.clone());
    }
    refuse_without(&facts.list, options)?;
    match compatibility {
        Compatibility::Malformed(reason) => {
            let path = facts.list.path().unwrap_or_default();
            Err(extensions::unusable(path, reason).to_string())
        }
        _ => Ok(()),
    }
}

/// For `switch_root.incompatible=halt`.
fn refuse_to_leave_out(extensions: &[ExtensionReport]) -> Result<(), String> {
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
    Err(format!(
        "not every extension can be activated, and switch_root.incompatible=halt is given: {}; start once with switch_root.incompatible=skip to leave them out",
        left_out.join(", ")
    ))
}

fn refuse_without(list: &List, options: &Options) -> Result<(), String> {
    let what = match list {
        _ if options.extensions != Extensions::Require => return Ok(()),
        List::Read(path, bytes) if bytes.is_empty() => {
            format!("the list of extensions, {path}, is empty")
        }
        List::Missing => format!(
            "the initramfs has no list of extensions, neither {}",
            locations::EXTENSIONS.join(" nor ")
        ),
        _ => return Ok(()),
    };
    Err(format!(
        "{what}, and switch_root.extensions=require is given; make the initramfs again, or start once without that parameter"
    ))
}

/// Why none of the extensions could be looked at.
fn none(facts: &Facts, compatibility: &Compatibility) -> Option<String> {
    let path = facts.list.path()?;
    match compatibility {
        _ if matches!(facts.list, List::Ignored(_)) => {
            Some("switch_root.extensions=ignore is given".into())
        }
        Compatibility::NoWorker(reason) => Some(format!(
            "{path} cannot be judged, and none of its extensions is: the judge {reason}"
        )),
        Compatibility::Contradicted => Some(format!(
            "{path} is not what the process says that ran the policies; none of its extensions is activated"
        )),
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
        let text = extensions::render_none(&reason);
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
