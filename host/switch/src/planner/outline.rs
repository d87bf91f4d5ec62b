//! What becomes of the initramfs and its extensions: the part of a plan that needs no machine.

use std::fmt;

use switch_root_core::file_kind::FileKind;
use switch_root_core::locations::ROOT_IMAGES;
use switch_root_core::outcome::Message;
use switch_root_core::path::Path;
use switch_root_core::plan::{Deletion, Outline};
use switch_root_core::preserved::{self, Carry, Kept, Survivor};

use super::decisions::Decisions;
use super::extensions;
use super::facts::{Facts, InUse, Initramfs};
use super::options::{Mode, Options};

/// What is said where init finds no root image.
pub fn no_root_image() -> String {
    format!(
        "the initramfs has no root image, none of {}; put one there, or name it with the kernel parameter switch_root.root=/path",
        ROOT_IMAGES.join(", ")
    )
}

/// What is said where the root image cannot be used that the kernel's command line names, for the
/// reason given: half a sentence.
pub fn unusable_root_image(path: &[u8], reason: &dyn fmt::Display) -> String {
    format!(
        "the root image {} {reason}; switch_root.root= of the kernel command line names it",
        Path::from(path)
    )
}

/// Refuses to delete what does not lie in memory.
///
/// # Errors
/// A sentence for the operator.
pub fn refuse_to_delete(initramfs: &Initramfs, options: &Options) -> Result<(), String> {
    // What holds for the deletion is nothing to refuse for where nothing is deleted.
    if initramfs.memory || options.keep_initramfs || options.mode == Mode::Preserve {
        return Ok(());
    }
    Err("/ is neither tmpfs nor ramfs, so it is no initramfs, and deleting it would delete data; switch with --keep-initramfs, or the kernel parameter switch_root.keep_initramfs, to delete nothing".into())
}

/// Says what becomes of all that an image tells of, and why the switch is refused, if it is.
pub fn outline(
    facts: &Facts,
    decisions: &Decisions,
    options: &Options,
) -> (Outline, Option<String>) {
    let mut outline = Outline {
        preserved: preserved_paths(facts, decisions, &[]),
        deletion: deletion(facts, decisions, options, None),
        extensions: Vec::new(),
        warnings: facts.said.clone(),
        notes: Vec::new(),
        unknown: Vec::new(),
    };
    outline.warnings.extend(facts.warnings.iter().cloned());
    let listed = extensions::extensions(facts, decisions, options, &mut outline);
    if let Ok(review) = &decisions.preservation {
        let unlisted = review.unlisted.iter().map(|(directory, error)| -> Message {
            let directory = Path::from(directory.as_slice());
            format!("{directory} cannot be listed, and survives whole: {error}").into()
        });
        outline.warnings.extend(unlisted);
    }
    let consequences = &decisions.consequences;
    let image = facts.image.as_ref();
    let refused = refuse_to_delete(&facts.initramfs, options)
        .err()
        .or_else(|| words(consequences.unsigned.as_ref()))
        .or_else(|| image?.root.as_ref().err().cloned())
        .or_else(|| listed.err())
        .or_else(|| {
            let any = decisions.compatibility.any();
            words(consequences.refusal(any))
        });
    (outline, refused)
}

fn words(message: Option<&Message>) -> Option<String> {
    message.map(|message| message.text.clone())
}

/// What survives, by path: by the word of policies, and since it is in use or could not be
/// looked at.
pub fn preserved_paths(facts: &Facts, decisions: &Decisions, in_use: &[InUse]) -> Vec<Survivor> {
    let (claims, unlisted) = match &decisions.preservation {
        Ok(review) => (review.claims.as_slice(), review.unlisted.as_slice()),
        Err(_) => Default::default(),
    };
    let used = in_use.iter().map(|used| (&used.path, used.why.clone()));
    let unlisted = unlisted
        .iter()
        .map(|(path, _)| (path, "it could not be listed".to_owned()));
    let kept: Vec<Kept> = used
        .chain(unlisted)
        .map(|(path, why)| Kept {
            path: path.clone(),
            // What cannot be examined is kept whole.
            kind: *facts.kinds.get(path).unwrap_or(&FileKind::Directory),
            why,
        })
        .collect();
    let name = |policy: usize| decisions.policies[policy].clone();
    preserved::join(claims, &kept, name, |target, kind| {
        let known = facts.targets.get(&(target.to_vec(), kind));
        known.cloned().unwrap_or_else(|| Ok(as_asked(target)))
    })
}

/// Where something is bound in a new root that is not known.
fn as_asked(target: &[u8]) -> Carry {
    Carry {
        target: target.into(),
        real: target.into(),
        make: false,
    }
}

/// Whether the rest is deleted. All of it may be in use, for a reason.
pub fn deletion(
    facts: &Facts,
    decisions: &Decisions,
    options: &Options,
    everything_used: Option<String>,
) -> Deletion {
    let initramfs = &facts.initramfs;
    if options.keep_initramfs {
        let why = if initramfs.memory {
            "the initramfs is to be kept"
        } else {
            "/ is neither tmpfs nor ramfs"
        };
        Deletion::Skip(why.into())
    } else if let Err(error) = &decisions.preservation {
        Deletion::Skip(format!("the policies could not be asked: {error}").into())
    } else if let Some(failed) = &decisions.consequences.nothing_deleted {
        Deletion::Skip(failed.clone())
    } else if let Some(why) = everything_used {
        Deletion::Skip(format!("the whole initramfs is in use: {why}").into())
    } else if initramfs.read_only && options.mode != Mode::Preserve {
        Deletion::Skip("/ is mounted read-only".into())
    } else {
        Deletion::Delete
    }
}
