//! `srctl image stage`: from the policies of a machine to the root of an initramfs that a
//! generator is about to pack.
//!
//! What is staged is read back as a boot reads it before it takes its place: what this
//! command lets pass, the boot binary does not compile or refuse.

mod boot_binary;
pub mod folders;
pub mod gather;
mod show;

use std::path::{Path, PathBuf};

use boot_binary::Found;
use clap::Args;
use folders::Folders;
use gather::Gathered;
use policy::{engine, folder};
use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::interrupt;
use switch_root_core::progress::Progress;
use switch_root_core::reading::cannot;
use toolkit::compile;

use crate::as_initramfs::AsInitramfs;
use crate::command::format::Printing;
use crate::command::row::Row;
use crate::input::shown;
use crate::outcome::Outcome;
use crate::rooted::Rooted;

switch_root_core::outcomes! {
    /// Why what was written is not staged.
    pub(crate) enum NotStaged in "srctl" {
        /// What is staged is read back as a boot reads it: something else writes there meanwhile, or
        /// changes the machine's files. Try again.
        "SR-H43" Unlike { policy: String, what: String } = "{policy} cannot be staged: a boot would not take it as it is written: {what}; nothing was staged",
    }
}

/// `srctl image stage`.
#[derive(Debug, Args)]
pub struct Stage {
    /// The root of the initramfs, before it is packed. Its policy folders and its list of
    /// signers are replaced.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The machine whose policies these are.
    #[arg(long, value_name = "ROOT", default_value = "/")]
    pub root: PathBuf,
    /// Stage nothing where a policy would be left out, or the boot binary would not take
    /// what is compiled for it.
    #[arg(long)]
    pub strict: bool,
    /// The architecture that is compiled for, as triples begin [default: that of the boot
    /// binary in DIR, or of the one that is installed in ROOT, or this machine's].
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "image stage",
    fine: "it was staged, if without policies",
    failed: "something failed, and nothing was staged",
    unfit: Some(
        "`--strict` refused, a policy whose sidecar says to refuse would be left out, or the image's `switch_root` would run none of them",
    ),
    unknown: None,
    examples: &[
        "srctl image stage /tmp/initramfs",
        "srctl image stage /tmp/initramfs --root /mnt --strict",
    ],
};

/// Runs the command. Nothing is written before everything was tried.
pub fn run(command: &Stage, quiet: bool, progress: &dyn Progress) -> Result<Outcome> {
    let root = open(&command.root)?;
    let machine = AsInitramfs::of(&root);
    let image = open(&command.directory)?;
    let binary = boot_binary::find(&image, &root);
    let target = target(command, binary.as_ref())?;
    let signers = machine.signers()?;
    // In the process of the judge, which is forked: before anything starts threads.
    let fits = binary.as_ref().is_none_or(|binary| binary.fits);
    let mut gathered = gather::gather(&machine, &target, fits)?;
    gathered.compile(&target, fits, progress)?;
    let other = binary.as_ref().filter(|_| !fits && gathered.needs_engine);
    let never_run = other.is_some_and(|binary| binary.small_of_image);
    if let Some(binary) = other {
        let what = match never_run {
            true => "it has no compiler and would run none of the policies: nothing is staged",
            false => "policies are staged without their compiled forms, which it would not take",
        };
        tracing::warn!(
            "{} is of {}, and this srctl compiles for {}: {what}; install both programs in the same version",
            binary.path,
            binary.engine,
            engine::ENGINE
        );
    }
    let needed = gathered.left_out.iter().any(|left| left.needed);
    let strict = command.strict
        && (!gathered.left_out.is_empty() || !gathered.untimely.is_empty() || other.is_some());
    let refused = never_run || needed || strict;
    for left in &gathered.left_out {
        let without = match refused {
            true if left.needed => {
                "nothing is staged, since its sidecar says to refuse without it (`on_failure`)"
            }
            true if command.strict => "with --strict nothing is staged",
            true => "nothing is staged",
            false => "the image is made without it",
        };
        tracing::warn!(
            "policy {} is left out, and {without}: {}; {}",
            left.name,
            left.reason,
            left.advice
        );
    }
    for (name, reason) in gathered.untimely.iter().filter(|_| command.strict) {
        tracing::warn!(
            "policy {name} is not staged with --strict, and nothing is: {reason}; sign it with a key that is valid now, or correct the list of signers"
        );
    }
    interrupt::check()?;
    if !refused {
        let compiled = gathered.compiled_here();
        let pieces = gathered.pieces();
        let folders = Folders::write(&command.directory, &pieces, &signers, &compiled)?;
        check(&folders, &gathered)?;
        folders.commit(&image)?;
        if !is_root() && !gathered.staged.is_empty() {
            tracing::warn!(
                "this is not run by root, so that the files of {} are not root's, and a boot takes compiled forms from root alone; have the archive say that they are, as `cpio -R 0:0` does",
                shown(&command.directory)
            );
        }
    }
    if !quiet || command.printing.json() {
        show::show(
            command.printing.json(),
            &gathered,
            &signers,
            &target,
            refused,
        )?;
    }
    Ok(if refused {
        Outcome::Unfit
    } else {
        Outcome::Fine
    })
}

fn open(path: &Path) -> Result<Rooted> {
    Rooted::open(path).map_err(|error| cannot(Attempt::Open { path: path.shown() }, path, &error))
}

/// Whether the files that this process makes are root's.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The target triple that is compiled for: that of the boot binary, which need not be this
/// machine's.
fn target(command: &Stage, binary: Option<&Found>) -> Result<String> {
    let of_binary = binary.map(|binary| binary.architecture);
    compile::target(None, command.arch.as_deref().or(of_binary))
}

/// Reads what was written as a boot reads it.
fn check(folders: &Folders, gathered: &Gathered) -> Result<()> {
    let found = folder::discover_in(&folders.as_boot_sees_them(), None);
    for staged in &gathered.staged {
        let unlike = |what: &str| {
            Error::input(NotStaged::Unlike {
                policy: staged.origin.clone(),
                what: what.to_owned(),
            })
        };
        let Some(policy) = found.iter().find(|policy| policy.name == staged.name) else {
            return Err(unlike("it would not be found"));
        };
        match &policy.code {
            Err(failure) => return Err(unlike(&failure.message)),
            Ok(code) if staged.compiled.is_some() && code.native.is_none() => {
                let warnings: Vec<&str> = policy.warnings.iter().map(|one| &*one.text).collect();
                return Err(unlike(&warnings.join("; ")));
            }
            Ok(_) if policy.digest != staged.digest => {
                return Err(unlike("it was changed meanwhile"));
            }
            Ok(_) => {}
        }
        for warning in &policy.warnings {
            tracing::warn!("policy {}: {warning}", policy.name);
        }
    }
    Ok(())
}
