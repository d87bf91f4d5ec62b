//! The policies of a machine or an image: whether each can be loaded as at boot, and in
//! what form.

use std::collections::BTreeSet;
use std::path::Path;

use policy::consequence;
use policy::folder::{self, Policy};
use policy::session::{Account, Session};
use policy::sidecar::OnFailure;
use policy::source::Source;
use switch_root_core::error::Words;
use switch_root_core::failure::{Failure, Kind};
use switch_root_core::outcome::{Code, Message};
use switch_root_core::{escape, locations};
use toolkit::loading::quietly;

use super::finding::{Finding, Findings, Severity};
use crate::as_initramfs::AsInitramfs;
use crate::rooted::Rooted;

switch_root_core::outcomes! {
    /// What is to be said of a sidecar.
    pub(crate) enum Sidecar in "doctor" {
        /// Give it the name of its policy, or remove it.
        "SR-Z49" Lonely = "has no policy of the same name beside it, and is not used",
        /// A file that lost its contents looks the same.
        "SR-Z50" Masked { policy: String } = "is empty or a link to /dev/null: policy {policy} has the default settings and limits, whatever other sidecar there is",
    }
}

const CHECK: &str = "policy";
/// The codes of failures and warnings that something more can be said of.
const DANGLING_FOLDER: Code = Code::declared("SR-P11");
const NO_SIGNERS: Code = Code::declared("SR-S04");
const UNCHECKED: Code = Code::declared("SR-S05");
const OF_OTHER_FOLDER: Code = Code::declared("SR-P71");
const UNUSED: Code = Code::declared("SR-P72");
const OF_OTHER_ENGINE: Code = policy::folder::OF_OTHER_ENGINE;
const UNLISTED: Code = Code::declared("SR-P74");
const UNUSABLE: Code = Code::declared("SR-C12");
const NO_SECCOMP: Code = Code::declared("SR-C22");

/// What to do where the kernel lacks what native code is confined by.
const ELSEWHERE: &str = "a boot runs it all the same: examine it on a kernel with seccomp";

/// Looks at the policies of a machine, and gives back those that can be loaded: the others
/// do not get into an image. `strict`: then none is made.
pub fn of_machine(root: &Rooted, strict: bool, findings: &mut Vec<Finding>) -> Vec<Policy> {
    let machine = AsInitramfs::of(root);
    let policies = discover(&machine);
    let signers = machine.signers();
    if let Err(error) = &signers {
        findings.problem(
            "signatures",
            "the next image",
            error
                .clone()
                .message()
                .reworded(|it| format!("is not made, and the one that there is stays: {it}")),
            "correct the lists of signers",
        );
    }
    let own = policies.iter().filter(|one| one.origin != "embedded");
    match own.count() {
        0 => findings.ok(
            "policies",
            "this machine",
            "has no policies of its own: the embedded default policy is asked, unless it is masked",
        ),
        count => findings.ok(
            "policies",
            "this machine",
            format!(
                "has {}",
                switch_root_core::text::count(count as u64, "active policy", "active policies")
            ),
        ),
    }
    for sidecar in lonely(root) {
        findings.warning(
            "sidecar",
            sidecar,
            Sidecar::Lonely,
            "give it the name of the policy that it is for, or remove it",
        );
    }
    let accounts = quietly(|| accounts(Session::of_an_image(&policies), findings));
    let none_is_made = strict || signers.is_err();
    let mut usable = Vec::new();
    for (policy, account) in policies.into_iter().zip(accounts) {
        match account.failures.first() {
            Some(failure) => {
                masked_sidecar(&policy, findings);
                let here = root.is_this_one();
                findings.add(left_out(&policy, failure, none_is_made, here));
            }
            None => judge(
                &policy,
                &account,
                &policy.name,
                root.is_this_one(),
                findings,
            ),
        }
        if account.failures.is_empty() {
            usable.push(policy);
        }
    }
    usable
}

/// Finds policies as the boot does.
pub fn discover(source: &dyn Source) -> Vec<Policy> {
    quietly(|| folder::discover_in(source, None))
}

/// Loads all of them in the sandbox, and asks none.
pub fn load(policies: &[Policy], findings: &mut Vec<Finding>) -> Vec<Account> {
    quietly(|| {
        let session = Session::of_an_image(policies);
        if let Some(refusal) = consequence::unsigned(&session) {
            findings.problem(
                "signatures",
                "the switch",
                Message::from(refusal).reworded(|it| format!("would be refused: {it}")),
                "sign the policies (srctl policy sign), or correct the lists of signers",
            );
        }
        accounts(session, findings)
    })
}

fn accounts(mut session: Session<'_>, findings: &mut Vec<Finding>) -> Vec<Account> {
    if let Err(reason) = session.try_loading(true) {
        findings.unknown(
            "sandbox",
            "the sandbox",
            reason.reworded(|it| format!("cannot be started, so that no policy is tried: {it}")),
            "run srctl doctor where processes may be forked and confined",
        );
    }
    session.accounts().to_vec()
}

/// What comes of a policy of the machine that fails, in the next image: what a boot with the
/// present one does with it is said of the image.
fn left_out(policy: &Policy, failure: &Failure, none_is_made: bool, here: bool) -> Finding {
    let refused = policy.sidecar.on_failure == OnFailure::Refuse;
    let (severity, effect) = match failure.kind {
        _ if refused => (
            Severity::Problem,
            "no image is made without it, as its sidecar says",
        ),
        Kind::Signature if none_is_made => (Severity::Problem, "no image is made"),
        Kind::Signature => (Severity::Warning, "the next image is made without it"),
        _ => effect(policy, failure),
    };
    finding(policy, failure, &policy.name, (severity, effect), here)
}

fn finding(
    policy: &Policy,
    failure: &Failure,
    about: &str,
    (severity, effect): (Severity, &str),
    here: bool,
) -> Finding {
    Finding {
        check: CHECK,
        severity,
        about: about.into(),
        message: format!("{} ({}); {effect}", failure.message, policy.origin),
        code: failure.code,
        remedy: Some(remedy(policy, failure, here)),
        unknown: failure.is_untried(),
    }
}

/// Says of a policy that its sidecar is masked, which a file that lost its contents does, too.
fn masked_sidecar(policy: &Policy, findings: &mut Vec<Finding>) {
    if let Some(file) = &policy.sidecar.masked_by {
        findings.note(
            "sidecar",
            file.clone(),
            Sidecar::Masked {
                policy: policy.name.clone(),
            },
        );
    }
}

/// What is to be said of one, which is called `about`. `here`: its files are this machine's,
/// by the names that they have.
pub fn judge(
    policy: &Policy,
    account: &Account,
    about: &str,
    here: bool,
    findings: &mut Vec<Finding>,
) {
    masked_sidecar(policy, findings);
    if let Some(failure) = account.failures.first() {
        let effect = effect(policy, failure);
        findings.add(finding(policy, failure, about, effect, here));
        return;
    }
    let answers = account.answers;
    let questions: Vec<&str> = [
        ("preservation", answers.preservation),
        ("compatibility", answers.compatibility),
    ]
    .into_iter()
    .filter_map(|(name, yes)| yes.then_some(name))
    .collect();
    let signed = match &policy.signed_by {
        Some(by) => format!(", signed by {by}"),
        None => String::new(),
    };
    let answers = match questions.is_empty() {
        true => "nothing".to_owned(),
        false => questions.join(" and "),
    };
    findings.ok(
        CHECK,
        about,
        format!("loads, and answers {answers} ({}{signed})", policy.origin),
    );
    for warning in &account.warnings {
        let (check, remedy) = match warning.code {
            Some(UNLISTED) => (
                "policy-compiled",
                "make the image again, which lists what is compiled for it; or sign the .cwasm, or remove it",
            ),
            Some(NO_SECCOMP) => ("policy-compiled", ELSEWHERE),
            Some(UNUSED | OF_OTHER_ENGINE | OF_OTHER_FOLDER | UNUSABLE) => (
                "policy-compiled",
                "compile it again as root, with srctl policy compile, or remove the .cwasm",
            ),
            _ => (
                "policy-warning",
                "look at the policy with srctl policy inspect",
            ),
        };
        findings.warning(check, about, warning.clone(), remedy);
    }
}

/// How bad it is that a policy fails, and what comes of it.
fn effect(policy: &Policy, failure: &Failure) -> (Severity, &'static str) {
    match (failure.kind, policy.sidecar.on_failure) {
        _ if failure.is_untried() => (Severity::Warning, "whether a boot can load it is not known"),
        (Kind::Signature, _) => (Severity::Problem, "the switch would be refused"),
        (_, OnFailure::Refuse) => (
            Severity::Problem,
            "the switch would be refused, as its sidecar says",
        ),
        (_, OnFailure::Ignore) => (
            Severity::Warning,
            "it would be as if it were not there, as its sidecar says",
        ),
        (_, OnFailure::Safe) => (
            Severity::Problem,
            "nothing of the initramfs would be deleted, and no extension that it is asked about activated",
        ),
    }
}

fn remedy(policy: &Policy, failure: &Failure, here: bool) -> String {
    let file = &policy.origin;
    // A path in an image is nothing that a command of this machine could read.
    let (inspect, sign) = match here {
        true => (
            format!("srctl policy inspect {file}"),
            format!("srctl policy sign {file} --key KEY"),
        ),
        false => (
            "srctl policy inspect, on the file that it was taken from,".into(),
            "srctl policy sign, on the file that it was taken from".into(),
        ),
    };
    match failure.kind {
        Kind::NotAPolicy if failure.is_untried() => ELSEWHERE.into(),
        Kind::Unreadable if failure.code == Some(DANGLING_FOLDER) => {
            format!("correct the link {file}, or remove it")
        }
        Kind::Unreadable => format!("make {file} readable, or remove it"),
        // The folder of the lists itself, which nobody could sign.
        Kind::Signature if failure.code == Some(NO_SIGNERS) => {
            "correct the lists of signers: what is wrong is named above".into()
        }
        Kind::Signature if failure.code == Some(UNCHECKED) => {
            format!("correct the lists of signers; where it is not signed yet, sign it ({sign})")
        }
        Kind::Signature => format!("sign it ({sign}), or correct the lists of signers"),
        Kind::Settings => "correct its sidecar: what is wrong is named above".into(),
        Kind::NotAPolicy | Kind::Imports | Kind::Version => {
            format!("replace it, or remove it; {inspect} shows more")
        }
        Kind::Fuel | Kind::Memory | Kind::Stack | Kind::Limit | Kind::Deadline => {
            format!("raise its limits in its sidecar: {inspect} shows which")
        }
        Kind::Trap | Kind::Crash | Kind::Answer | Kind::Error => {
            format!("repair the policy, or remove it; {inspect} shows more")
        }
    }
}

/// Sidecars that no policy is beside.
fn lonely(root: &Rooted) -> Vec<String> {
    let mut sidecars = Vec::new();
    let mut stems = BTreeSet::from([folder::DEFAULT.as_bytes().to_vec()]);
    for path in [locations::VENDOR, locations::OPERATOR]
        .into_iter()
        .flat_map(|folder| root.listing(folder))
    {
        let stem = path.file_stem().unwrap_or_default().as_encoded_bytes();
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("wasm" | "cwasm") => {
                stems.insert(stem.to_vec());
            }
            Some("json") => sidecars.push(path.clone()),
            _ => {}
        }
    }
    let has_none = |path: &Path| {
        let stem = path.file_stem().unwrap_or_default().as_encoded_bytes();
        !stems.contains(stem)
    };
    sidecars
        .iter()
        .filter(|path| has_none(path))
        .map(|path| escape::path(path.as_os_str().as_encoded_bytes()))
        .collect()
}
