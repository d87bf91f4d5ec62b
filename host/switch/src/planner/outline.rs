//! What becomes of the initramfs and its extensions: the part of a plan that needs no machine.

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

switch_root_core::outcomes! {
    /// Why there is no root image.
    pub enum NoRootImage in "root-image" {
        /// Nothing of that name is in the root directory of the initramfs.
        "SR-B21" Missing { paths: String } = "the initramfs has no root image, none of {paths}; put one there, or name it with the kernel parameter switch_root.root=/path",
        /// The reason is one of those of [images](#images).
        "SR-B22" Named { path: Path, reason: String } = "the root image {path} {reason}; switch_root.root= of the kernel command line names it",
        "SR-B23" Unusable { path: Path, reason: String } = "the root image {path} {reason}",
    }
}

switch_root_core::outcomes! {
    /// That there is no such image: what follows its name in a sentence.
    pub enum Missing in "images" {
        /// The archive that should hold it is not among those that the boot loader gives to the
        /// kernel, or was cut.
        "SR-I01" Image = "is missing in the initramfs",
    }
}

switch_root_core::outcomes! {
    /// Why the initramfs cannot be deleted.
    pub enum Undeletable in "start" {
        /// It runs from a disk or in a container. Where that is meant, keep it. Not said with
        /// `--preserve`, which deletes nothing.
        "SR-A23" NotInMemory = "/ is neither tmpfs nor ramfs, so it is no initramfs, and deleting it would delete data; switch with --keep-initramfs, or the kernel parameter switch_root.keep_initramfs, to delete nothing",
    }
}

switch_root_core::outcomes! {
    /// Why nothing is deleted.
    pub enum Undeleted in "nothing-deleted" {
        /// See [the policy worker](#a-policy-that-is-run).
        "SR-D10" Unasked { reason: String } = "the policies could not be asked: {reason}",
        /// As `--keep-initramfs` or `switch_root.keep_initramfs` says.
        "SR-D11" Kept = "the initramfs is to be kept",
        "SR-D12" NotInMemory = "/ is neither tmpfs nor ramfs",
        /// Remount it (`mount -o remount,rw /`) before the switch.
        "SR-D13" ReadOnly = "/ is mounted read-only",
        /// Something of the new root is a bind mount or an overlay of the initramfs itself.
        "SR-D14" InUse { why: String } = "the whole initramfs is in use: {why}",
        /// Not a fault: `switch_root --preserve` deletes nothing.
        "SR-D15" Delegated = "freeing the initramfs is left to the program that switches, such as systemd",
    }
}

switch_root_core::outcomes! {
    /// What is kept since nobody could look into it.
    pub enum Unlisted in "kept-by-the-host" {
        /// A policy wanted to look into it. The error says why that failed.
        "SR-V37" Kept = "it could not be listed",
        "SR-V38" Warning { directory: Path, error: String } = "{directory} cannot be listed, and survives whole: {error}",
    }
}

/// What is said where init finds no root image.
pub fn no_root_image() -> NoRootImage {
    let paths = ROOT_IMAGES.join(", ");
    NoRootImage::Missing { paths }
}

/// What is said where the root image cannot be used that the kernel's command line names, for the
/// reason given: half a sentence.
pub fn unusable_root_image(path: &[u8], reason: &Message) -> NoRootImage {
    NoRootImage::Named {
        path: path.into(),
        reason: reason.text.clone(),
    }
}

/// Refuses to delete what does not lie in memory.
///
/// # Errors
/// A sentence for the operator.
pub fn refuse_to_delete(initramfs: &Initramfs, options: &Options) -> Result<(), Undeletable> {
    // What holds for the deletion is nothing to refuse for where nothing is deleted.
    if initramfs.memory || options.keep_initramfs || options.mode == Mode::Preserve {
        return Ok(());
    }
    Err(Undeletable::NotInMemory)
}

/// Says what becomes of all that an image tells of, and why the switch is refused, if it is.
pub fn outline(
    facts: &Facts,
    decisions: &Decisions,
    options: &Options,
) -> (Outline, Option<Message>) {
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
            let (directory, error) = (directory.as_slice().into(), error.clone());
            Unlisted::Warning { directory, error }.into()
        });
        outline.warnings.extend(unlisted);
    }
    let consequences = &decisions.consequences;
    let image = facts.image.as_ref();
    let refused = refuse_to_delete(&facts.initramfs, options)
        .err()
        .map(Message::from)
        .or_else(|| consequences.unsigned.clone())
        .or_else(|| image?.root.as_ref().err().cloned())
        .or_else(|| listed.err())
        .or_else(|| {
            let any = decisions.compatibility.any();
            consequences.refusal(any).cloned()
        });
    (outline, refused)
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
        .map(|(path, _)| (path, Unlisted::Kept.into()));
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
    everything_used: Option<Message>,
) -> Deletion {
    let initramfs = &facts.initramfs;
    let reason = if options.keep_initramfs && initramfs.memory {
        Undeleted::Kept
    } else if options.keep_initramfs {
        Undeleted::NotInMemory
    } else if let Err(reason) = &decisions.preservation {
        let reason = reason.text.clone();
        Undeleted::Unasked { reason }
    } else if let Some(failed) = &decisions.consequences.nothing_deleted {
        return Deletion::Skip(failed.clone());
    } else if let Some(why) = everything_used {
        let why = why.text;
        Undeleted::InUse { why }
    } else if initramfs.read_only && options.mode != Mode::Preserve {
        Undeleted::ReadOnly
    } else {
        return Deletion::Delete;
    };
    Deletion::Skip(reason.into())
}
