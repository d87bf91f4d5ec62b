//! Kernels and machines: what the manifest says, and what is in the extension.

use serde_json::Value;
use switch_root_core::escape;
use switch_root_policy::extra_info::{ExtraInfo, KERNEL_RELEASE};

use super::collector::Collector;
use crate::contents::{Contents, machines_for};

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
                &format!(
                    "this module was built for the kernel {built_for}, and it is in the directory of {}, whose kernel will not load it; build it for that kernel",
                    module.release
                ),
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
                    &format!(
                        "the manifest says kernelRelease {}, and here are modules for {release}; correct the one or the other",
                        said.join(", ")
                    ),
                );
            }
        }
    }
    if releases.len() > 1 {
        let releases: Vec<_> = releases.into_iter().collect();
        findings.warning(
            "kernel-release",
            "/usr/lib/modules",
            &format!(
                "there are modules for several kernels ({}), and a machine runs one",
                releases.join(", ")
            ),
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
                &format!(
                    "the manifest says architecture {}, and this file is for {architecture}; correct the one or the other",
                    said.join(", ")
                ),
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
            &format!(
                "there are programs that no machine runs all of: {}; leave out those of other machines",
                found.join(", ")
            ),
        );
    }
}
