//! The planner: a pure function of what is known (facts), of what the policies answered
//! (decisions) and of what was asked for (options). The boot acts on what it says, and `srctl`
//! shows it; only where the facts come from differs.

mod copies;
mod decisions;
mod extensions;
mod facts;
mod in_use;
mod mounts;
mod options;
pub mod outcomes;
mod outline;
mod places;
mod steps;
#[cfg(test)]
mod tests;

use switch_root_core::outcome::Message;
use switch_root_core::plan::{ImageBoot, Outline, Plan, Preserve, Switch};

pub use copies::{is_moved_too, not_copied};
pub use decisions::{Compatibility, Decisions};
pub use extensions::{NotTried, Selection, left_out, refuse_list};
pub use facts::{
    Copied, Facts, ImageFacts, InUse, Init, Initramfs, Kinds, Known, Layer, Layers, List, Machine,
    NewRoot, Others, Place, State,
};
pub use options::{Mode, Options, StrategyChoice};
pub use outline::{
    Missing, NoRootImage, Undeletable, no_root_image, refuse_to_delete, unusable_root_image,
};
pub use places::{Lacks, check_carry};
pub use steps::to_copy;

/// Why nothing is done.
#[derive(Debug)]
pub struct Refusal {
    /// A sentence for the operator.
    pub reason: Message,
    /// What would have become of the initramfs.
    pub outline: Box<Outline>,
}

impl From<Refusal> for Message {
    fn from(refusal: Refusal) -> Self {
        refusal.reason
    }
}

/// Refuses what no answer of a policy could change, before any is asked.
///
/// # Errors
/// A sentence for the operator.
pub fn refuse_early(facts: &Facts, options: &Options) -> Result<(), Message> {
    refuse_list(facts, &Compatibility::NotAsked, options)?;
    match &facts.machine {
        Some(machine) => places::moves(machine, options).map(|_| ()),
        None => Ok(()),
    }
}

/// Makes the plan. The same facts, decisions and options give the same plan.
///
/// # Errors
/// Why nothing is to be done.
pub fn plan(facts: &Facts, decisions: &Decisions, options: &Options) -> Result<Plan, Refusal> {
    let (mut outline, refused) = outline::outline(facts, decisions, options);
    let refuse = |reason, outline| {
        Err(Refusal {
            reason,
            outline: Box::new(outline),
        })
    };
    if let Some(reason) = refused {
        return refuse(reason, outline);
    }
    let steps = match &facts.machine {
        Some(machine) => match steps::steps(facts, machine, decisions, options, &mut outline) {
            Ok(steps) => Some(steps),
            Err(reason) => return refuse(reason, outline),
        },
        None => None,
    };
    Ok(match options.mode {
        Mode::Switch => Plan::Switch(Switch { outline, steps }),
        Mode::Preserve => {
            let copied = facts.machine.as_ref().and_then(|it| it.copied.as_ref());
            let new_root = steps.as_ref().map(|steps| &steps.new_root.path);
            let copies = copied
                .zip(new_root)
                .map(|(copied, new_root)| copies::choose(&outline.preserved, copied, new_root));
            outline
                .warnings
                .extend(copies.iter().flat_map(copies::warnings));
            Plan::Preserve(Preserve {
                outline,
                steps,
                copies,
            })
        }
        Mode::ImageBoot => Plan::ImageBoot(ImageBoot {
            images: extensions::images(facts, decisions, &outline.extensions),
            rewrite: extensions::rewrite(facts, decisions, &outline.extensions),
            outline,
            steps,
        }),
    })
}
