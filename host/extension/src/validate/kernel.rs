//! Kernels and machines: what the manifest says, and what is in the extension.

use serde_json::Value;
use switch_root_core::escape;
use switch_root_policy::extra_info::{ExtraInfo, KERNEL_RELEASE};

use super::collector::Collector;
use crate::contents::{Contents, machines_for};

switch_root_core::outcomes! {
    /// What manifest and contents of an extension contradict each other in.
    pub enum Contradicts in "extension-findings" {
        /// Build the extension for one kernel and one architecture, and say so in its manifest.
        "SR-Y41" BuiltFor { kernel: String, directory: String } = "this module was built for the kernel {kernel}, and it is in the directory of {directory}, whose kernel will not load it; build it for that kernel",
        "SR-Y42" Release { said: String, release: String } = "the manifest says kernelRelease {said}, and here are modules for {release}; correct the one or the other",
        "SR-Y43" Releases { releases: String } = "there are modules for several kernels ({releases}), and a machine runs one",
        "SR-Y44" Architecture { said: String, architecture: String } = "the manifest says architecture {said}, and this file is for {architecture}; correct the one or the other",
        "SR-Y45" Architectures { found: String } = "there are programs that no machine runs all of: {found}; leave out those of other machines",
    }
}

/// Compares them.
pub(super) fn check(metadata: &Value, contents: &Contents, findings: &mut Collector) {
    // What cannot be read is told where relations are, once for all keys.
    let info = ExtraInfo::of(metadata).unwrap_or_default();
    releases(
        &info.texts(KERNEL_RELEASE).unwrap_or_default(),
        contents,
        findings,
    );
    architectures(
        &info.architectures().unwrap_or_default(),
        contents,
        findings,
    );
}

fn releases(said: &[String], contents: &Contents, findings: &mut Collector) {
    for module in &contents.modules {
        if let Some(built_for) = &module.vermagic
            && *built_for != module.release
        {
            findings.error(
                "kernel-release",
                &format!("/{}", escape::path(&module.path)),
                Contradicts::BuiltFor {
                    kernel: built_for.clone(),
                    directory: module.release.clone(),
                },
            );
        }
    }
    let releases = contents.kernel_releases();
    if !said.is_empty() {
        for release in &releases {
            if !said.iter().any(|said| said == release) {
                findings.error(
                    "kernel-release",
                    &format!("/usr/lib/modules/{}", escape::path(release.as_bytes())),
                    Contradicts::Release {
                        said: said.join(", "),
                        release: release.to_string(),
                    },
                );
            }
        }
    }
    if releases.len() > 1 {
        let releases: Vec<_> = releases.into_iter().collect();
        findings.warning(
            "kernel-release",
            "/usr/lib/modules",
            Contradicts::Releases {
                releases: releases.join(", "),
            },
        );
    }
}

fn architectures(said: &[String], contents: &Contents, findings: &mut Collector) {
    for (architecture, first) in &contents.architectures {
        let machines = machines_for(architecture);
        if !said.is_empty() && !said.iter().any(|said| machines.contains(&said.as_str())) {
            findings.error(
                "architecture",
                &format!("/{}", escape::path(first)),
                Contradicts::Architecture {
                    said: said.join(", "),
                    architecture: architecture.to_string(),
                },
            );
        }
    }
    if contents.architectures.len() > 1 && contents.machines().is_empty() {
        let found: Vec<String> = contents
            .architectures
            .iter()
            .map(|(architecture, first)| format!("{architecture} (/{})", escape::path(first)))
            .collect();
        findings.warning(
            "architecture",
            "/",
            Contradicts::Architectures {
                found: found.join(", "),
            },
        );
    }
}
