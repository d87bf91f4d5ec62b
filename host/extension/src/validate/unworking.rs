//! What an extension may bring, and a boot makes nothing of.

use switch_root_core::escape;
use switch_root_core::file_kind::FileKind;

use super::collector::Collector;
use crate::contents::Contents;

switch_root_core::outcomes! {
    /// What a boot makes nothing of.
    pub enum Unworking in "extension-findings" {
        /// The sentence says what to do instead.
        "SR-Y75" Modules = "modprobe does not find these kernel modules together with those of the machine: neither packing nor booting runs depmod over both, and an index in the extension hides that of the machine; build one index over all of them, or load these with insmod",
        "SR-Y76" Microcode = "the kernel does not load this microcode when it starts: it reads it from an uncompressed archive at the beginning of the initramfs, and a layer is mounted after that; put it there, such as with `iucode_tool --write-earlyfw`",
        "SR-Y77" Attributes { names: String } = "{names}: layers hold no extended attributes, so it is packed without; what a program needs of capabilities has to come from what starts it",
    }
}

/// Where Linux has the microcode of processors.
const MICROCODE: [&str; 2] = ["usr/lib/firmware/intel-ucode", "usr/lib/firmware/amd-ucode"];

/// Warns of what is there and does not work.
pub(super) fn check(contents: &Contents, findings: &mut Collector) {
    for release in contents.kernel_releases() {
        let release = escape::path(release.as_bytes());
        findings.warning(
            "kernel-modules",
            &format!("/usr/lib/modules/{release}"),
            Unworking::Modules,
        );
    }
    for entry in &contents.entries {
        let is_microcode = MICROCODE.iter().any(|at| entry.path == at.as_bytes());
        if is_microcode && entry.kind == FileKind::Directory {
            findings.warning(
                "microcode",
                &format!("/{}", escape::path(&entry.path)),
                Unworking::Microcode,
            );
        }
    }
    for (path, names) in &contents.attributes {
        findings.warning(
            "attributes",
            &format!("/{}", escape::path(path)),
            Unworking::Attributes {
                names: names.clone(),
            },
        );
    }
}
