//! An initramfs image: whether it holds the boot program, where that is called, and what a
//! boot will make of it.

mod called;
mod stale;

use std::io::ErrorKind;
use std::path::Path;

use ::image::files::Files;
use ::image::image::Image;
use ::image::plan::{self, Asking};
use extension::progress::Progress;
use policy::consequence::Deletion;
use policy::escape;
use policy::folder::Policy;
use workshop::loading::quietly;

use super::finding::{Finding, Findings};
use super::machine::Machine;
use super::policies;
use crate::boot_program::Binary;
use crate::command::{Doctor, MachineOptions};
use crate::input::shown;
use crate::policy::time;
use crate::rooted::Rooted;
use crate::table::bytes;

/// Warnings about the contents of an image that are told.
const TOLD: usize = 5;

/// The machine that an image is of.
pub struct OfMachine<'a> {
    pub root: &'a Rooted,
    pub machine: &'a Machine,
    /// Its policies that can be loaded.
    pub policies: &'a [Policy],
}

/// Reads an image. What cannot be read is a finding.
pub fn read(
    path: &Path,
    command: &Doctor,
    progress: &dyn Progress,
    findings: &mut Vec<Finding>,
) -> Option<Image> {
    if let Err(error) = std::fs::File::open(path)
        && error.kind() == ErrorKind::PermissionDenied
    {
        findings.unknown(
            "image",
            shown(path),
            format!("cannot be opened: {error}"),
            "run srctl doctor as root",
        );
        return None;
    }
    match crate::plan::read(path, &command.limits, &called::wanted(), progress) {
        Ok(image) => Some(image),
        Err(error) => {
            findings.problem(
                "image",
                shown(path),
                format!("cannot be read as an initramfs, nor by a kernel that has no other means: {error}"),
                "make the image anew; one that is encrypted or within another file is to be taken out first",
            );
            None
        }
    }
}

/// Looks at an image.
pub fn look(image: &Image, of: Option<&OfMachine<'_>>, findings: &mut Vec<Finding>) {
    let about = image.name.clone();
    let size = match image.parts.len() as u64 {
        0 => "a folder".into(),
        parts => format!(
            "{} in {}",
            bytes(image.bytes),
            policy::text::count(parts, "part", "parts")
        ),
    };
    findings.ok("image", about.clone(), format!("can be read: {size}"));
    let rebuild = match of {
        Some(of) => of.machine.rebuild(),
        None => "make the image anew with switch-root".into(),
    };
    let binary = called::program(image, of, &rebuild, findings);
    let architecture = image.machine().architecture;
    let foreign = architecture.filter(|it| *it != std::env::consts::ARCH);
    let policies = policies::discover(&Files(&image.tree));
    if let Some(architecture) = foreign {
        findings.unknown(
            "image",
            about,
            format!("is for {architecture}: its policies are not tried here, and there is no plan"),
            format!("run srctl doctor on a machine of {architecture}"),
        );
        for policy in &policies {
            if let Err(failure) = &policy.code {
                findings.problem(
                    "policy",
                    in_image(&policy.name),
                    failure.message.clone(),
                    rebuild.clone(),
                );
            }
        }
    } else {
        loadable(&policies, binary.as_ref(), &rebuild, findings);
    }
    if let Some(of) = of {
        stale::policies(of, &policies, &rebuild, findings);
        stale::signers(of.root, &image.tree, &rebuild, findings);
    }
    if foreign.is_none() {
        make_plan(image, of, binary.is_some(), findings);
    }
}

fn in_image(name: &str) -> String {
    format!("{name} of the image")
}

/// Whether the policies can be loaded, and need not be compiled at each boot.
fn loadable(
    policies: &[Policy],
    binary: Option<&Binary>,
    rebuild: &str,
    findings: &mut Vec<Finding>,
) {
    // Another release takes other code, which only it can tell.
    let other = binary.filter(|binary| !binary.takes_ours());
    if let Some(other) = other {
        findings.unknown(
            "policy-compiled",
            "the image",
            format!(
                "has switch_root of another release ({}): whether it takes the .cwasm files is not known here",
                other.name()
            ),
            "run srctl doctor of that release, or make the image again with this one",
        );
    }
    let mut told = Vec::new();
    for (policy, account) in policies.iter().zip(policies::load(policies, findings)) {
        let about = in_image(&policy.name);
        policies::judge(policy, &account, &about, &mut told);
        let compiled = account.failures.is_empty() && account.answers.compiled;
        if !compiled || policy.origin == "embedded" || other.is_some() {
            continue;
        }
        match binary.is_some_and(|binary| binary.small) {
            true => told.problem(
                "policy-compiled",
                about,
                "has no .cwasm that is used, and the image's switch_root has no compiler: it fails",
                rebuild,
            ),
            false => told.warning(
                "policy-compiled",
                about,
                format!(
                    "is compiled at each boot, which took {} here",
                    time(account.loading.code_us)
                ),
                format!("{rebuild}, with srctl installed; or srctl image add-policy"),
            ),
        }
    }
    told.retain(|finding| other.is_none() || finding.check != "policy-compiled");
    findings.append(&mut told);
}

/// What a boot would make of it. Where the boot program is not `called`, that it would is
/// not said.
fn make_plan(image: &Image, of: Option<&OfMachine<'_>>, called: bool, findings: &mut Vec<Finding>) {
    let machine = of.map(|of| of.machine);
    let host = crate::plan::host(image, &MachineOptions::default(), machine)
        .ok()
        .and_then(|(host, _)| host);
    let asking = Asking {
        host: host.as_ref(),
        inits: vec![b"/sbin/init".to_vec()],
        ..Asking::default()
    };
    let about = image.name.clone();
    let plan = match quietly(|| plan::make(image, &asking)) {
        Ok(plan) => plan.report,
        Err(error) => {
            return findings.unknown(
                "plan",
                about,
                format!("has no plan: {error}"),
                "ask for it with srctl plan, and tell it what is missing",
            );
        }
    };
    let see = "srctl plan shows all of it";
    if let Some(reason) = &plan.refused {
        findings.problem(
            "plan",
            about.clone(),
            format!("would not be switched from: {reason}"),
            see,
        );
    } else if let Deletion::Skip(reason) = &plan.deletion {
        findings.problem(
            "plan",
            about.clone(),
            format!("would stay in memory, since nothing of it would be deleted: {reason}"),
            see,
        );
    } else if called {
        let summary = &plan.summary;
        findings.ok(
            "plan",
            about.clone(),
            format!(
                "would be switched from: {} stay, and {} go",
                bytes(summary.kept.bytes + summary.carried.bytes),
                bytes(summary.deleted.bytes)
            ),
        );
    }
    for one in &plan.extensions {
        if !one.is_left_out() {
            continue;
        }
        let reasons = one.reasons.iter();
        let reasons: Vec<String> = reasons
            .map(|reason| format!("{}: {}", reason.policy, reason.reason))
            .collect();
        findings.warning(
            "extension",
            format!("extension {} {}", one.name, one.version),
            format!("would be left out: {}", reasons.join("; ")),
            "install another version of it, or take it out of the image",
        );
    }
    for what in &plan.unknown {
        findings.unknown(
            "plan",
            about.clone(),
            format!("is not known in all: {}", escape::message(what, 1024)),
            "ask for it with srctl plan, with what it lacks",
        );
    }
    for warning in plan.warnings.iter().take(TOLD) {
        findings.note(
            "image-contents",
            about.clone(),
            escape::message(warning, 1024),
        );
    }
}
