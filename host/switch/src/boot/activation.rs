//! Mounting the layers of the extensions that are activated: those that the plan selects, and
//! whose layers can be used. One that cannot is left out, with the reason, and
//! takes no other with it.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use policy::compatibility::Judged;
use switch_root_core::contract::Extension;
use switch_root_core::escape;
use switch_root_core::outcome::{Message, warn};
use switch_root_core::report::Reason;

use super::attributes;
use super::conflict;
use super::image::Image;
use super::modules::Modules;
use super::mounted::Mounted;
use crate::planner::{NotTried, Selection, left_out};

/// Every extension of extensions.yaml, and what became of it.
pub struct Activation {
    extensions: Vec<One>,
}

struct One {
    name: String,
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
    pub fn new(judged: &[Judged], root: &Mounted, modules: &mut Modules) -> Self {
        let mut selection = Selection::default();
        let each = judged.iter().enumerate().map(|(number, judged)| {
            let name = shown(&judged.extension);
            let outcome = selection.next(judged).and_then(|()| {
                mount_layer(&judged.extension, number, root, modules)
                    .inspect(|_| selection.mounted(judged))
                    .map_err(|reason| leave_out(&name, reason))
            });
            One { name, outcome }
        });
        Self {
            extensions: each.collect(),
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
            .filter_map(|one| Some((one.name.clone(), one.outcome.as_ref().ok()?)))
    }

    /// Whether there is any.
    pub fn any(&self) -> bool {
        self.layers().next().is_some()
    }

    /// Leaves out those that a test fails for, with its words.
    pub fn keep_if(&mut self, mut test: impl FnMut(&Layer) -> Result<(), Message>) {
        for one in &mut self.extensions {
            let Ok(layer) = &one.outcome else { continue };
            if let Err(reason) = test(layer) {
                one.outcome = Err(leave_out(&one.name, reason));
            }
        }
    }

    /// Leaves out what is still there.
    pub fn leave_all_out(&mut self, reason: &Message) {
        self.keep_if(|_| Err(reason.clone()));
    }

    /// What came of each, by its place in the file.
    pub fn outcomes(&self) -> Vec<Option<Result<(), Vec<Reason>>>> {
        let outcome = |one: &One| one.outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        let each = self.extensions.iter();
        each.map(|one| Some(outcome(one))).collect()
    }
}

fn leave_out(name: &str, reason: Message) -> Vec<Reason> {
    let named = |reason: &str| format!("the layer {name} {reason}");
    warn(&reason.clone().reworded(named));
    left_out(reason)
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
) -> Result<Layer, Message> {
    let name = extension.image.as_str();
    if name.contains(['/', '\0']) || matches!(name, "." | "..") {
        Err(NotTried::NotAName)?;
    }
    let image = Image::open(format!("/{name}").as_bytes())?;
    match &extension.digest {
        Some(digest) => image.verify(digest)?,
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
