//! Which extensions are activated: those that the policies let through, and
//! whose layers can be used. One that cannot is left out, with the reason, and
//! takes no other with it.

use std::collections::{BTreeSet, HashSet};
use std::os::fd::AsFd;

use policy::account;
use policy::compatibility::Judged;
use switch_root_core::contract::{Extension, Outcome};
use switch_root_core::escape;
use switch_root_core::extensions::{self, Entry};
use switch_root_core::plan::Rewrite;
use switch_root_core::report::{ExtensionReport, Reason};

use super::attributes;
use super::conflict;
use super::image::Image;
use super::modules::Modules;
use super::mounted::Mounted;
use crate::preflight::Judgement;

/// Layers that are activated at most. The kernel takes more, but not in the
/// string that older ones are given.
const MOST: usize = 100;

/// Whose reason it is, where it is no policy's.
const HOST: &str = "host";

/// Every extension of extensions.yaml, and what became of it.
pub struct Activation {
    extensions: Vec<One>,
    /// Where the file is that names them; `None` where there is none.
    file: Option<&'static str>,
    /// What that file holds beside them.
    unknown: String,
    /// Why none of them could be looked at.
    none: Option<String>,
}

struct One {
    judged: Judged,
    /// What the file says of it that nobody here knows.
    unknown: String,
    outcome: Result<Layer, Vec<Reason>>,
}

/// A layer that is mounted.
pub struct Layer {
    /// Its file system.
    pub mounted: Mounted,
    /// Directories of the root image whose attributes it would change, and all above them.
    pub restored: BTreeSet<Vec<u8>>,
}

impl Activation {
    /// Mounts the layers that may be activated, in the order of the file.
    pub fn new(judgement: Judgement, root: &Mounted, modules: &mut Modules) -> Self {
        let mut seen = HashSet::new();
        let mut count = 0;
        let mut extensions = Vec::new();
        let mut unknown = judgement.unknown.layers.into_iter();
        for judged in judgement.extensions {
            let unknown = unknown.next().unwrap_or_default();
            let outcome = if judged.outcome == Outcome::Incompatible {
                Err(account::reasons(&judged))
            } else if seen.contains(&judged.extension.image) {
                Err(left_out("is listed in extensions.yaml more than once"))
            } else if count == MOST {
                Err(left_out(&format!(
                    "is beyond the {MOST} layers that are activated at most"
                )))
            } else {
                mount_layer(&judged.extension, count, root, modules).map_err(|reason| {
                    tracing::warn!("the layer {} {reason}", shown(&judged.extension));
                    left_out(&reason)
                })
            };
            if outcome.is_ok() {
                count += 1;
                seen.insert(judged.extension.image.clone());
            }
            extensions.push(One {
                judged,
                unknown,
                outcome,
            });
        }
        Self {
            extensions,
            file: judgement.file,
            unknown: judgement.unknown.file,
            none: judgement.none,
        }
    }

    /// The mounted layers, lowest first.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.activated().map(|(_, layer)| layer)
    }

    /// The mounted layers with their names, which are fit to be shown.
    pub fn activated(&self) -> impl Iterator<Item = (String, &Layer)> {
        self.extensions
            .iter()
            .filter_map(|one| Some((shown(&one.judged.extension), one.outcome.as_ref().ok()?)))
    }

    /// Whether there is any.
    pub fn any(&self) -> bool {
        self.layers().next().is_some()
    }

    /// Leaves out those that a test fails for, with its words.
    pub fn keep_if(&mut self, mut test: impl FnMut(&Layer) -> Result<(), String>) {
        for one in &mut self.extensions {
            let Ok(layer) = &one.outcome else { continue };
            if let Err(reason) = test(layer) {
                tracing::warn!("the layer {} {reason}", shown(&one.judged.extension));
                one.outcome = Err(left_out(&reason));
            }
        }
    }

    /// Leaves out what is still there.
    pub fn leave_all_out(&mut self, reason: &str) {
        self.keep_if(|_| Err(reason.to_owned()));
    }

    /// For `switch_root.incompatible=halt`.
    ///
    /// # Errors
    /// A sentence that names every extension that is left out, and why.
    pub fn refuse_if_any_is_left_out(&self) -> Result<(), String> {
        let left_out: Vec<String> = self
            .extensions
            .iter()
            .filter_map(|one| {
                let reasons = sentences(one.outcome.as_ref().err()?);
                Some(format!(
                    "{} ({})",
                    shown(&one.judged.extension),
                    reasons.join("; ")
                ))
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

    /// How extensions.yaml is to be written anew, so that what is carried to the new
    /// root tells what was activated, and what not, and why.
    pub fn tell_the_running_system(&self) -> Option<Rewrite> {
        let text = match &self.none {
            Some(reason) => extensions::render_none(reason),
            None => {
                let (mut activated, mut skipped) = (Vec::new(), Vec::new());
                for one in &self.extensions {
                    let entry = Entry {
                        extension: &one.judged.extension,
                        unknown: &one.unknown,
                    };
                    match &one.outcome {
                        Ok(_) => activated.push(entry),
                        Err(reasons) => skipped.push((entry, sentences(reasons))),
                    }
                }
                extensions::render_outcome(&activated, &skipped, &self.unknown)
            }
        };
        let path = self.file?.as_bytes().into();
        Some(Rewrite { path, text })
    }

    /// What the report says of them.
    pub fn into_report(self) -> Vec<ExtensionReport> {
        self.extensions
            .into_iter()
            .map(|one| {
                let mut entry = account::extension(&one.judged);
                entry.activated = Some(one.outcome.is_ok());
                if let Err(reasons) = one.outcome {
                    entry.reasons = reasons;
                }
                entry
            })
            .collect()
    }
}

fn left_out(reason: &str) -> Vec<Reason> {
    vec![Reason {
        policy: HOST.into(),
        code: None,
        reason: format!("the layer {reason}"),
    }]
}

fn sentences(reasons: &[Reason]) -> Vec<String> {
    reasons
        .iter()
        .map(|reason| format!("{}: {}", reason.policy, reason.reason))
        .collect()
}

fn shown(extension: &Extension) -> String {
    escape::message(&extension.image, 256)
}

/// Checks and mounts one layer.
fn mount_layer(
    extension: &Extension,
    number: usize,
    root: &Mounted,
    modules: &mut Modules,
) -> Result<Layer, String> {
    let name = extension.image.as_str();
    if name.contains(['/', '\0']) || matches!(name, "." | "..") {
        return Err("is not the name of a file in the root directory of the initramfs".into());
    }
    let image = Image::open(format!("/{name}").as_bytes()).map_err(|reason| reason.to_string())?;
    match &extension.digest {
        Some(digest) => image.verify(digest).map_err(|reason| reason.to_string())?,
        None => tracing::debug!("extensions.yaml has no digest of {}", shown(extension)),
    }
    let mounted = Mounted::new(&image, &number.to_string(), modules)?;
    let restored = conflict::check(
        mounted.directory.as_fd(),
        root.directory.as_fd(),
        attributes::labels_are_lost(),
    )?;
    Ok(Layer { mounted, restored })
}
