//! Whether an image has what the machine would put into it now.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use ::image::files::Files;
use ::image::tree::Tree;
use policy::folder::Policy;
use policy::limits::fixed;
use policy::sidecar::Sidecar;
use policy::source::Source;
use policy::trust::TRUST;

use super::OfMachine;
use crate::as_initramfs::AsInitramfs;
use crate::doctor::finding::{Finding, Findings};
use crate::rooted::Rooted;

/// Compares the policies, and their sidecars.
pub fn policies(
    of: &OfMachine<'_>,
    in_image: &[Policy],
    rebuild: &str,
    findings: &mut Vec<Finding>,
) {
    let check = "image-policies";
    let by_name = |policies: &'_ [Policy]| -> BTreeMap<String, (Option<String>, Sidecar)> {
        let pairs = policies.iter().map(|policy| {
            let sidecar = Sidecar {
                // Where it lies does not matter.
                origin: None,
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
            (Some(_), None) => "is active on the machine, and not in the image",
            (None, Some(_)) => "is in the image, and not active on the machine",
            (Some((now, _)), Some((then, _))) if now != then => {
                "is another one in the image than on the machine"
            }
            (Some((_, now)), Some((_, then))) if now != then => {
                "has another sidecar in the image than on the machine"
            }
            _ => continue,
        };
        findings.warning(check, name.clone(), what, rebuild);
    }
    if findings.len() == before {
        findings.ok(
            check,
            "the image",
            "has the policies of the machine, with the same sidecars",
        );
    }
}

/// Compares the lists of signers.
pub fn signers(root: &Rooted, tree: &Tree, rebuild: &str, findings: &mut Vec<Finding>) {
    let check = "image-trust";
    let files = Files(tree);
    let (machine, image) = (lists(&AsInitramfs::of(root)), lists(&files));
    match (&machine, &image) {
        (None, None) => {}
        (Some(_), None) => findings.problem(
            check,
            "the image",
            "has no trust folder, and the machine has one: it would boot policies that nobody signed",
            rebuild,
        ),
        (machine, image) if machine == image => {
            findings.ok(check, "the image", "has the lists of signers of the machine");
        }
        _ => findings.warning(
            check,
            "the image",
            "has other lists of signers than the machine",
            rebuild,
        ),
    }
}

/// The lists of a trust folder; none where there is no such folder.
fn lists(source: &dyn Source) -> Option<BTreeMap<OsString, Option<Vec<u8>>>> {
    let folder = Path::new(TRUST);
    let names = source.names(folder).ok().flatten()?;
    let lists = names.into_iter().filter_map(|name| {
        let path = folder.join(&name);
        path.extension().filter(|ending| *ending == "signers")?;
        let read = source.read(&path, fixed::SIGNERS_FILE).ok().flatten();
        Some((name, read.map(|contents| contents.bytes)))
    });
    Some(lists.collect())
}
