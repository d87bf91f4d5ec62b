//! A report as metrics: what a fleet wants to know of each machine. Bounded in number:
//! each list gives so many series at most, and its length is a metric of its own.

use switch_root_core::escape;
use switch_root_core::report::Reason;
use switch_root_core::report::read::{Copied, Extension, Policy, Report, passed};

use super::complaints::complaints;
use super::exposition::Exposition;

/// Policies, extensions, and reasons of extensions that are told one by one.
const TOLD: usize = 200;
/// Bytes of a text that goes into a label: enough to tell reasons apart.
const LABEL: usize = 120;

const PRESENT: (&str, &str) = (
    "switch_root_report_present",
    "Whether this boot has a report of switch_root.",
);

const WELL: (&str, &str) = (
    "switch_root_well",
    "Whether there is nothing to look at, as the exit status of srctl status says it.",
);

/// What is said of a machine whose report cannot be read.
pub fn unreadable() -> String {
    let mut metrics = Exposition::default();
    metrics.one(PRESENT.0, PRESENT.1, 1.0);
    metrics.one(WELL.0, WELL.1, 0.0);
    metrics.finish()
}

/// What is said of a machine that has no report.
pub fn none() -> String {
    let mut metrics = Exposition::default();
    metrics.one(PRESENT.0, PRESENT.1, 0.0);
    metrics.finish()
}

/// A report as metrics.
pub fn text(report: &Report) -> String {
    let mut metrics = Exposition::default();
    metrics.one(PRESENT.0, PRESENT.1, 1.0);
    switch(report, &mut metrics);
    policies(&report.policies, &mut metrics);
    settings(report, &mut metrics);
    confinement(report, &mut metrics);
    extensions(&report.extensions, &mut metrics);
    deletion(report, &mut metrics);
    copied(report, &mut metrics);
    metrics.finish()
}

fn switch(report: &Report, metrics: &mut Exposition) {
    metrics
        .gauge(
            "switch_root_info",
            "How the machine switched to its root, and by which release.",
        )
        .add(
            &[
                ("version", &label(&report.version)),
                ("strategy", &label(&report.strategy)),
                ("schema", &report.schema.to_string()),
                (
                    "kernel",
                    &label(report.kernel.as_deref().unwrap_or_default()),
                ),
            ],
            1.0,
        );
    let well = complaints(report).is_empty() && report.newer().is_none();
    metrics.one(WELL.0, WELL.1, flag(well));
    let policies = report.policies.iter();
    let warnings: usize = policies.map(|policy| policy.warnings.len()).sum();
    metrics.one(
        "switch_root_warnings",
        "Warnings of the boot.",
        (report.warnings.len() + warnings) as f64,
    );
    metrics.one(
        "switch_root_survivors",
        "Paths of the initramfs that survive.",
        report.survivors.len() as f64,
    );
    let unbound = report.survivors.iter().filter(|one| one.is_unbound());
    metrics.one(
        "switch_root_survivors_not_carried",
        "Survivors that could not be bound in the new root.",
        unbound.count() as f64,
    );
    let mut phases = metrics.gauge(
        "switch_root_phase_seconds",
        "Time from the start of switch_root to the end of a phase.",
    );
    let timings = &report.timings;
    for (phase, us) in [
        ("policies", passed(timings.policies_us)),
        ("plan", passed(timings.plan_us)),
        ("copying", timings.copied_us),
        ("switch", timings.switched_us),
        ("deletion", timings.deleted_us),
    ] {
        if let Some(us) = us {
            phases.add(&[("phase", phase)], seconds(us));
        }
    }
}

fn policies(policies: &[Policy], metrics: &mut Exposition) {
    metrics.one(
        "switch_root_policies",
        "Policies that took part in the boot.",
        policies.len() as f64,
    );
    let policies = &policies[..policies.len().min(TOLD)];
    let mut info = metrics.gauge("switch_root_policy_info", "A policy, and who signed it.");
    for policy in policies {
        info.add(
            &[
                ("policy", &label(&policy.name)),
                ("origin", &label(&policy.origin)),
                (
                    "digest",
                    &label(policy.digest.as_deref().unwrap_or_default()),
                ),
                (
                    "signed_by",
                    &label(policy.signed_by.as_deref().unwrap_or_default()),
                ),
            ],
            1.0,
        );
    }
    type Measure = fn(&Policy) -> f64;
    let measures: [(&str, &str, Measure); 4] = [
        (
            "switch_root_policy_failures",
            "Questions that a policy failed at.",
            |policy| policy.failures.len() as f64,
        ),
        (
            "switch_root_policy_compiled",
            "Whether a policy had to be compiled during the boot.",
            |policy| flag(policy.compiled),
        ),
        (
            "switch_root_policy_seconds",
            "Time that loading and asking a policy took.",
            |policy| seconds(policy.time_us),
        ),
        (
            "switch_root_policy_fuel",
            "Fuel that a policy used, about one unit an instruction.",
            |policy| policy.fuel as f64,
        ),
    ];
    for (name, help, measure) in measures {
        let mut metric = metrics.gauge(name, help);
        for policy in policies {
            metric.add(&[("policy", &label(&policy.name))], measure(policy));
        }
    }
    let mut failed = metrics.gauge("switch_root_policy_failed", "How a policy failed.");
    for policy in policies {
        for failure in &policy.failures {
            failed.add(
                &[
                    ("policy", &label(&policy.name)),
                    ("question", &label(&failure.question)),
                    ("kind", &label(&failure.kind)),
                ],
                1.0,
            );
        }
    }
}

/// What changes what policies do, and is no code: a change is visible as a series that ends,
/// and another one that begins.
fn settings(report: &Report, metrics: &mut Exposition) {
    let mut info = metrics.gauge(
        "switch_root_policy_sidecar_info",
        "The sidecar of a policy: settings, limits and failure mode.",
    );
    for policy in report.policies.iter().take(TOLD) {
        if let Some(digest) = &policy.sidecar_digest {
            info.add(
                &[("policy", &label(&policy.name)), ("digest", &label(digest))],
                1.0,
            );
        }
    }
    metrics.one(
        "switch_root_policies_masked",
        "Policies that are masked, and were not asked.",
        report.masked_policies.len() as f64,
    );
    let mut masked = metrics.gauge("switch_root_policy_masked", "A policy that is masked.");
    for name in report.masked_policies.iter().take(TOLD) {
        masked.add(&[("policy", &label(name))], 1.0);
    }
}

fn confinement(report: &Report, metrics: &mut Exposition) {
    let mut confined = metrics.gauge(
        "switch_root_worker_confined",
        "Whether a confinement of the policy worker was in force; absent where none ran.",
    );
    for (protection, is) in report.confinement() {
        confined.add(&[("protection", protection)], flag(is));
    }
}

fn copied(report: &Report, metrics: &mut Exposition) {
    let copied = report.copied.as_ref();
    type Measure = fn(&Copied) -> f64;
    let measures: [(&str, &str, Measure); 6] = [
        (
            "switch_root_copied_files",
            "Names that were copied for another program that switches, but for directories.",
            |copied| copied.tally.files as f64,
        ),
        (
            "switch_root_copied_directories",
            "Directories that were copied.",
            |copied| copied.tally.directories as f64,
        ),
        (
            "switch_root_copied_bytes",
            "Memory that the copies occupy.",
            |copied| copied.tally.bytes as f64,
        ),
        (
            "switch_root_copied_failures",
            "Names that could not be copied, or not wholly.",
            |copied| (copied.tally.failed.len() as u64 + copied.tally.failed_more) as f64,
        ),
        (
            "switch_root_copied_missing",
            "Paths that are kept, and have no copy.",
            |copied| copied.missing.len() as f64,
        ),
        (
            "switch_root_copied_seconds",
            "How long copying took.",
            |copied| seconds(copied.time_us),
        ),
    ];
    for (name, help, measure) in measures {
        metrics.one(name, help, copied.map(measure));
    }
}

fn extensions(extensions: &[Extension], metrics: &mut Exposition) {
    metrics.one(
        "switch_root_extensions",
        "Extensions that extensions.yaml names.",
        extensions.len() as f64,
    );
    let left_out = extensions.iter().filter(|one| one.is_left_out());
    metrics.one(
        "switch_root_extensions_skipped",
        "Extensions that are incompatible, or were not activated.",
        left_out.clone().count() as f64,
    );
    let told = &extensions[..extensions.len().min(TOLD)];
    let mut compatible = metrics.gauge(
        "switch_root_extension_compatible",
        "Whether no policy objects to an extension.",
    );
    for one in told {
        let verdict = flag(!one.is_incompatible());
        compatible.add(&names(one).each_ref().map(borrowed), verdict);
    }
    let mut activated = metrics.gauge(
        "switch_root_extension_activated",
        "Whether an extension is part of the running system; absent where switch_root does not know.",
    );
    for one in told {
        if let Some(value) = one.activated {
            activated.add(&names(one).each_ref().map(borrowed), flag(value));
        }
    }
    let mut skipped = metrics.gauge(
        "switch_root_extension_skipped",
        "Why an extension is incompatible, or was not activated.",
    );
    let nobody = [Reason::default()];
    let reasons = left_out.flat_map(|one| {
        let reasons = match one.reasons.is_empty() {
            true => &nobody[..],
            false => &one.reasons,
        };
        reasons.iter().map(move |reason| (one, reason))
    });
    for (one, Reason { policy, reason, .. }) in reasons.take(TOLD) {
        let [image, name, version] = names(one);
        let why = [("policy", label(policy)), ("reason", label(reason))];
        let [policy, reason] = why.each_ref().map(borrowed);
        let labels = [&image, &name, &version].map(borrowed);
        skipped.add(&[labels[0], labels[1], labels[2], policy, reason], 1.0);
    }
}

fn deletion(report: &Report, metrics: &mut Exposition) {
    let deletion = &report.deletion;
    let mut states = metrics.gauge(
        "switch_root_deletion_state",
        "How far the deletion of the initramfs is: 1 for the state that it is in.",
    );
    for state in ["skipped", "running", "complete"] {
        states.add(&[("state", state)], flag(deletion.state == state));
    }
    if deletion.state == "skipped" {
        let reason = deletion.reason.as_deref().unwrap_or_default();
        metrics
            .gauge(
                "switch_root_deletion_skipped",
                "Why the initramfs is not deleted, or who deletes it.",
            )
            .add(&[("reason", &label(reason))], 1.0);
    }
    let ended = deletion.state == "complete";
    let when_ended = |value: f64| ended.then_some(value);
    metrics.one(
        "switch_root_deletion_files",
        "Names that were deleted, but for those of directories.",
        when_ended(deletion.tally.files as f64),
    );
    metrics.one(
        "switch_root_deletion_directories",
        "Directories that were deleted.",
        when_ended(deletion.tally.directories as f64),
    );
    metrics.one(
        "switch_root_deletion_failures",
        "Names that could not be deleted.",
        when_ended((deletion.tally.failed.len() as u64 + deletion.tally.failed_more) as f64),
    );
    metrics.one(
        "switch_root_deletion_seconds",
        "How long the deletion took.",
        when_ended(seconds(deletion.time_us)),
    );
    for (name, help, value) in [
        (
            "switch_root_deletion_freed_bytes",
            "Memory that the deletion freed, as the file system of the initramfs accounts for it.",
            deletion.freed_bytes,
        ),
        (
            "switch_root_initramfs_bytes",
            "Memory that the initramfs occupied before.",
            deletion.used_before,
        ),
        (
            "switch_root_initramfs_remaining_bytes",
            "Memory that what is left of it occupies.",
            deletion.used_after,
        ),
    ] {
        metrics.one(name, help, value.map(|bytes| bytes as f64));
    }
}

/// The labels by which an extension is known.
fn names(one: &Extension) -> [(&'static str, String); 3] {
    [
        ("image", label(&one.image)),
        ("name", label(&one.name)),
        ("version", label(&one.version)),
    ]
}

fn borrowed<'a>((name, value): &'a (&'static str, String)) -> (&'a str, &'a str) {
    (name, value)
}

/// A text that goes into a label: one line, of bounded length.
fn label(text: &str) -> String {
    escape::message(text, LABEL)
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
