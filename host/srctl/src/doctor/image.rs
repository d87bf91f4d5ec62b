//! An initramfs image: whether it holds the boot program, where that is called, and what a
//! boot will make of it.

pub mod called;
pub mod of_machine;
pub mod stale;

use std::io::ErrorKind;
use std::path::Path;

use initramfs::boot_program::Binary;
use initramfs::files::Files;
use initramfs::image::Image;
use initramfs::tree::Wanted;
use of_machine::OfMachine;
use policy::folder::Policy;
use preview::plan::{self, Asking};
use preview::runs;
use switch_root_core::error::Words;
use switch_root_core::failure::NoCompiler;
use switch_root_core::outcome::{Message, Outcomes};
use switch_root_core::plan::Deletion;
use switch_root_core::progress::Progress;
use switch_root_core::text::{bytes, time};
use switch_root_core::{escape, reading};
use toolkit::loading::quietly;

use super::finding::{Finding, Findings};
use super::keys;
use super::policies;
use crate::command::options::{LimitOptions, MachineOptions};
use crate::input::shown;

switch_root_core::outcomes! {
    /// What is not as it should be with an image, or is not known of it.
    pub(crate) enum NotWell in "doctor" {
        /// Examine it as root.
        "SR-Z17" Unopened { error: std::io::Error } = "cannot be opened: {error}",
        /// Policies run where their machine's code runs.
        "SR-Z18" Architecture { architecture: &'static str } = "is for {architecture}: its policies are not tried here, and there is no plan",
        /// Install both programs in the same version, and make the image again.
        "SR-Z19" Release { program: String } = "has switch_root of another release than this srctl ({program}), which takes .cwasm files of its own release alone",
        /// Make the image again where `srctl` is installed, or add the policy with `srctl image
        /// add-policy`: both compile it.
        "SR-Z20" NoNative = "has no .cwasm that is used, and the image's switch_root has no compiler: it fails",
        "SR-Z21" AtEachBoot { time: String } = "is compiled at each boot, which took {time} here",
        /// `srctl plan` shows all of it.
        "SR-Z22" Refused { reason: String } = "would not be switched from: {reason}",
        "SR-Z23" Stays { reason: String } = "would stay in memory, since nothing of it would be deleted: {reason}",
        /// Install another version of the extension, or remove it from the image.
        "SR-Z24" LeftOut { reasons: String } = "would be left out: {reasons}",
        /// Ask for it with `srctl plan`, with what it lacks.
        "SR-Z25" NotKnown { what: String } = "is not known in all: {what}",
    }
}

/// Warnings about the contents of an image that are told.
const TOLD: usize = 5;

/// Reads an image, which the command line may have `named`. What cannot be read is a finding.
pub fn read(
    path: &Path,
    limits: &LimitOptions,
    named: bool,
    progress: &dyn Progress,
    findings: &mut Vec<Finding>,
) -> Option<Image> {
    if let Err(error) = reading::stream(path)
        && error.kind() == ErrorKind::PermissionDenied
    {
        findings.unknown(
            "image",
            shown(path),
            NotWell::Unopened { error },
            "run srctl doctor as root",
        );
        return None;
    }
    match crate::plan::read(path, limits, &Wanted::of_plan(), progress) {
        Ok(image) => Some(image),
        Err(error) => {
            // Who names it may have named another file than was meant.
            let remedy = match named {
                true => {
                    "check the path; an image that is encrypted or within another file is to be taken out first, and one that is damaged made again"
                }
                false => {
                    "make the image again; one that is encrypted or within another file is to be taken out first"
                }
            };
            findings.problem(
                "image",
                shown(path),
                error.message().reworded(|it| {
                    format!("cannot be read as an initramfs, nor by a kernel that has no other means: {it}")
                }),
                remedy,
            );
            None
        }
    }
}

/// Looks at an image, which is called `label` where its path is not said.
pub fn look(image: &Image, label: &str, of: Option<&OfMachine<'_>>, findings: &mut Vec<Finding>) {
    let about = image.name.clone();
    let size = match image.parts.len() as u64 {
        0 => "a folder".into(),
        parts => format!(
            "{} in {}",
            bytes(image.bytes),
            switch_root_core::text::count(parts, "part", "parts")
        ),
    };
    findings.ok("image", about.clone(), format!("can be read: {size}"));
    let rebuild = match of {
        Some(of) => of.machine.rebuild(),
        None => "make the image anew with switch-root".into(),
    };
    let program = called::program(image, label, of, &rebuild, findings);
    let architecture = image.machine().architecture;
    let foreign = architecture.filter(|it| *it != std::env::consts::ARCH);
    let policies = quietly(|| runs::policies(image, None));
    if let Some(architecture) = foreign {
        findings.unknown(
            "image",
            about,
            NotWell::Architecture { architecture },
            format!("run srctl doctor on a machine of {architecture}"),
        );
        for policy in &policies {
            if let Err(failure) = &policy.code {
                findings.problem(
                    "policy",
                    format!("{} of {label}", policy.name),
                    Message::from(failure.clone()),
                    rebuild.clone(),
                );
            }
        }
    } else {
        loadable(
            &policies,
            label,
            program.binary.as_ref(),
            &rebuild,
            findings,
        );
    }
    if let Some(of) = of {
        stale::policies(of, &policies, label, &rebuild, findings);
        stale::signers(of.root, &image.tree, label, &rebuild, findings);
    } else {
        keys::look(&Files(&image.tree), findings);
    }
    if foreign.is_none() {
        make_plan(image, of, program.called, findings);
    }
}

/// Whether the policies can be loaded, and need not be compiled at each boot.
fn loadable(
    policies: &[Policy],
    label: &str,
    binary: Option<&Binary>,
    rebuild: &str,
    findings: &mut Vec<Finding>,
) {
    let other = binary.filter(|binary| !binary.takes_ours());
    if let Some(other) = other {
        findings.note(
            "policy-compiled",
            label,
            NotWell::Release {
                program: other.name(),
            },
        );
    }
    for (policy, account) in policies.iter().zip(policies::load(policies, findings)) {
        let about = format!("{} of {label}", policy.name);
        let failure = account.failures.first();
        if failure.is_some_and(|failure| failure.code == Some(NoCompiler::Needed.code())) {
            findings.problem("policy-compiled", about, NotWell::NoNative, rebuild);
            continue;
        }
        policies::judge(policy, &account, &about, false, findings);
        let compiled = account.failures.is_empty() && account.answers.compiled;
        // What another release takes is compiled here all the same.
        if !compiled || policy.origin == "embedded" || other.is_some() {
            continue;
        }
        findings.warning(
            "policy-compiled",
            about,
            NotWell::AtEachBoot {
                time: time(account.loading.code_us),
            },
            format!("{rebuild}, with srctl installed; or srctl image add-policy"),
        );
    }
}

/// What a boot would make of it. Where the boot program is not `called`, that it would is
/// not said.
fn make_plan(image: &Image, of: Option<&OfMachine<'_>>, called: bool, findings: &mut Vec<Finding>) {
    let machine = of.map(|of| of.machine);
    let options = MachineOptions {
        kernel_release: of.and_then(|of| of.kernel.map(str::to_owned)),
        ..MachineOptions::default()
    };
    let host = crate::plan::host(image, &options, machine)
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
                error.message().reworded(|it| format!("has no plan: {it}")),
                "ask for it with srctl plan, and tell it what is missing",
            );
        }
    };
    let see = "srctl plan shows all of it";
    if let Some(reason) = &plan.refused {
        findings.problem(
            "plan",
            about.clone(),
            NotWell::Refused {
                reason: reason.to_string(),
            },
            see,
        );
    } else if let Deletion::Skip(reason) = &plan.deletion {
        findings.problem(
            "plan",
            about.clone(),
            NotWell::Stays {
                reason: reason.to_string(),
            },
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
            NotWell::LeftOut {
                reasons: reasons.join("; "),
            },
            "install another version of it, or take it out of the image",
        );
    }
    for what in &plan.unknown {
        findings.unknown(
            "plan",
            about.clone(),
            NotWell::NotKnown {
                what: escape::message(what, 1024),
            },
            "ask for it with srctl plan, with what it lacks",
        );
    }
    for (warning, code) in plan.warnings.iter().zip(&plan.warning_codes).take(TOLD) {
        let mut warning = Message::quoted(escape::message(warning, 1024));
        warning.code = *code;
        findings.note("image-contents", about.clone(), warning);
    }
}
