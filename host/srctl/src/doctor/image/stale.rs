//! Whether an image has what the machine would put into it now.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use initramfs::files::Files;
use initramfs::tree::Tree;
use policy::folder::Policy;
use policy::sidecar::Sidecar;
use policy::source::Source;
use policy::trust::Trust;
use switch_root_core::escape;
use switch_root_core::limits::fixed;
use switch_root_core::locations::TRUST;
use switch_root_core::outcome::Message;

use super::of_machine::OfMachine;
use crate::as_initramfs::AsInitramfs;
use crate::doctor::finding::{Finding, Findings};
use crate::doctor::keys;
use crate::rooted::Rooted;

switch_root_core::outcomes! {
    /// What an image has otherwise than the machine.
    pub(crate) enum Stale in "doctor" {
        /// The machine's policies were changed since the image was made. Make it again.
        "SR-Z30" Lacking { image: String } = "is active on the machine, and not in {image}",
        "SR-Z31" Left { image: String } = "is in {image}, and not active on the machine",
        "SR-Z32" Other { image: String } = "is another one in {image} than on the machine",
        "SR-Z33" Sidecar { image: String } = "has another sidecar in {image} than on the machine",
        /// The same of the lists of signers.
        "SR-Z34" NoTrust = "has no trust folder, and the machine has one: it would boot policies that nobody signed",
        "SR-Z35" Signers { accepts: String } = "has other lists of signers than the machine{accepts}",
    }
}

switch_root_core::outcomes! {
    /// Why a list of signers of the machine is not compared.
    pub(crate) enum NoList in "doctor" {
        /// Put the list where the link leads, or remove the link.
        "SR-Z29" Dangling = "is a dangling symbolic link",
    }
}

/// Compares the policies, and their sidecars.
pub fn policies(
    of: &OfMachine<'_>,
    in_image: &[Policy],
    label: &str,
    rebuild: &str,
    findings: &mut Vec<Finding>,
) {
    let check = "image-policies";
    let by_name = |policies: &'_ [Policy]| -> BTreeMap<String, (Option<String>, Sidecar)> {
        let pairs = policies.iter().map(|policy| {
            let sidecar = Sidecar {
                // Where it lies does not matter.
                origin: None,
                digest: None,
                ..policy.sidecar.clone()
            };
            (policy.name.clone(), (policy.digest.clone(), sidecar))
        });
        pairs.collect()
    };
    let (machine, image) = (by_name(of.policies), by_name(in_image));
    let before = findings.len();
    let names: BTreeSet<&String> = machine.keys().chain(image.keys()).collect();
    for name in names {
        let what = match (machine.get(name), image.get(name)) {
            (Some(_), None) => Stale::Lacking {
                image: label.to_owned(),
            },
            (None, Some(_)) => Stale::Left {
                image: label.to_owned(),
            },
            (Some((now, _)), Some((then, _))) if now != then => Stale::Other {
                image: label.to_owned(),
            },
            (Some((_, now)), Some((_, then))) if now != then => Stale::Sidecar {
                image: label.to_owned(),
            },
            _ => continue,
        };
        findings.warning(check, name.clone(), what, rebuild);
    }
    if findings.len() == before {
        findings.ok(
            check,
            label,
            "has the policies of the machine, with the same sidecars",
        );
    }
}

/// Compares the lists of signers. What counts for the next boot is what the image has: a key
/// that was taken out on the machine is named where the image still accepts it.
pub fn signers(
    root: &Rooted,
    tree: &Tree,
    label: &str,
    rebuild: &str,
    findings: &mut Vec<Finding>,
) {
    let check = "image-trust";
    let (on_machine, in_image) = (AsInitramfs::of(root), Files(tree));
    let (machine, image) = (lists(&on_machine), lists(&in_image));
    for (whose, lists) in [("the machine", &machine), ("the image", &image)] {
        let unread = |(name, list): (&OsString, &List)| {
            let reason = list.as_ref().err()?;
            Some(reason.clone().said_of(escape::path(name.as_bytes())))
        };
        // What is not read is not the same as anything.
        if let Some(why) = lists.iter().flatten().find_map(unread) {
            findings.unknown(
                check,
                label,
                why.reworded(|it| {
                    format!("could not be compared with the lists of signers of the machine: of {whose}, {it}")
                }),
                format!("correct the list of signers; {rebuild}"),
            );
            return;
        }
    }
    match (&machine, &image) {
        (None, None) => {}
        (Some(_), None) => findings.problem(check, label, Stale::NoTrust, rebuild),
        (machine, image) if machine == image => {
            findings.ok(check, label, "has the lists of signers of the machine");
        }
        _ => {
            let more = accepted_by_image_alone(&on_machine, &in_image);
            let accepts = match more.is_empty() {
                true => String::new(),
                false => format!(
                    ", and until it is made again it accepts what the machine does not any more: {}",
                    more.join(", ")
                ),
            };
            findings.warning(check, label, Stale::Signers { accepts }, rebuild);
        }
    }
}

/// The signers that an image accepts and the machine does not. Where a list cannot be read,
/// that is said elsewhere.
fn accepted_by_image_alone(machine: &dyn Source, image: &dyn Source) -> Vec<String> {
    let of = |source| Trust::of(source).ok().flatten();
    let (Some(machine), Some(image)) = (of(machine), of(image)) else {
        return Vec::new();
    };
    let alone = image.signers().filter(|signer| !machine.accepts(signer));
    alone.map(keys::name).collect()
}

/// The bytes of a list of signers, or why they cannot be read.
type List = Result<Vec<u8>, Message>;

/// The lists of a trust folder; none where there is no such folder.
fn lists(source: &dyn Source) -> Option<BTreeMap<OsString, List>> {
    let folder = Path::new(TRUST);
    let names = source.names(folder).ok().flatten()?;
    let lists = names.into_iter().filter_map(|name| {
        let path = folder.join(&name);
        path.extension().filter(|ending| *ending == "signers")?;
        let list = match source.read(&path, fixed::SIGNERS_FILE) {
            Ok(Some(contents)) => Ok(contents.bytes),
            Ok(None) => Err(NoList::Dangling.into()),
            Err(reason) => Err(reason),
        };
        Some((name, list))
    });
    Some(lists.collect())
}
