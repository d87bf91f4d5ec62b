//! The machine itself: its kernel and what that is told, the room for images, and how this
//! boot was switched.

use policy::{escape, os_release};

use super::finding::{Finding, Findings};
use super::generator::Generator;
use super::settings::Settings;
use crate::command::REPORT;
use crate::rooted::Rooted;
use crate::status::{self, Report};
use crate::table::bytes;
use std::path::Path;

/// The largest file of /proc, or os-release, that is read, in bytes.
const SMALL: u64 = 64 << 10;
/// The largest report that is read, in bytes.
const LARGE: u64 = 64 << 20;
/// The oldest kernel that a switch runs on.
const OLDEST: (u64, u64) = (5, 12);
/// Where images are.
const BOOT: &str = "/boot";

/// What is known of a machine.
#[derive(Debug, Default)]
pub struct Machine {
    /// `uname -r`, where it runs, or has modules for one kernel only.
    pub kernel: Option<String>,
    /// It runs: what /proc says is of this boot.
    runs: bool,
    boot_id: Option<String>,
    /// What the kernel was told, where it runs.
    pub command_line: String,
    /// The text of its os-release.
    pub os_release: Option<String>,
    /// What the hooks are told.
    pub settings: Settings,
    /// What makes its images.
    pub generators: Vec<&'static Generator>,
    /// The digest of the boot program that images get, where it is installed.
    pub binary: Option<String>,
}

impl Machine {
    /// Reads what is needed in several places.
    pub fn read(root: &Rooted) -> Self {
        let small = |path: &str| root.text(path, SMALL).ok().flatten();
        let line = |path: &str| {
            let text = small(path)?.trim_end().to_owned();
            (!text.is_empty()).then_some(text)
        };
        let running = line("/proc/sys/kernel/osrelease");
        let modules = root.listing("/lib/modules");
        let only = match modules.as_slice() {
            [one] => one
                .file_name()
                .map(|name| name.to_string_lossy().into_owned()),
            _ => None,
        };
        Self {
            runs: running.is_some(),
            kernel: running.or(only),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            command_line: line("/proc/cmdline").unwrap_or_default(),
            os_release: os_release::PATHS.into_iter().find_map(small),
            ..Self::default()
        }
    }

    /// What makes its images anew, for remedies.
    pub fn rebuild(&self) -> String {
        match self.generators.as_slice() {
            [] => "make the image anew".into(),
            [one] => format!("make the image anew: {}", one.rebuild),
            several => {
                let commands: Vec<&str> = several.iter().map(|one| one.rebuild).collect();
                format!("make the image anew: {}", commands.join(", or "))
            }
        }
    }

    /// Whether all can be read.
    pub fn user(&self, findings: &mut Vec<Finding>) {
        if self.runs && !nix::unistd::geteuid().is_root() {
            findings.note(
                "user",
                "user",
                "is not root: what root alone may read is not looked at",
            );
        }
    }

    /// Whether a switch runs on its kernel.
    pub fn kernel(&self, findings: &mut Vec<Finding>) {
        let Some(release) = &self.kernel else {
            return findings.unknown(
                "kernel",
                "kernel",
                "is not known: the root directory is not that of a running machine, and it has not the modules of one kernel",
                "make sure that it is Linux 5.12 or newer; with the modules of one kernel in /lib/modules it is known",
            );
        };
        let about = escape::message(release, 256);
        match version(release) {
            Some(found) if found < OLDEST => findings.problem(
                "kernel",
                about,
                "is too old: a switch needs Linux 5.12 or newer",
                "install a newer kernel",
            ),
            Some(_) => findings.ok("kernel", about, "is a kernel that a switch runs on"),
            None => findings.unknown(
                "kernel",
                about,
                "is not a version that can be read",
                "make sure that it is Linux 5.12 or newer",
            ),
        }
    }

    /// Whether a new image fits.
    pub fn space(&self, root: &Rooted, image: Option<&Path>, findings: &mut Vec<Finding>) {
        let Some(space) = root.space(BOOT).filter(|_| root.is_directory(BOOT)) else {
            return findings.note("boot-space", BOOT, "is not there, or cannot be looked into");
        };
        let free = space.f_bavail * space.f_frsize;
        let size = image.and_then(|image| std::fs::metadata(image).ok());
        let size = size.filter(std::fs::Metadata::is_file).map(|it| it.len());
        match size {
            // The old image stays until the new one is whole.
            Some(size) if free < size => findings.warning(
                "boot-space",
                BOOT,
                format!(
                    "has {} left, and the image has {}: another one may not fit beside it",
                    bytes(free),
                    bytes(size)
                ),
                "remove kernels that are not used any more, or make the image smaller",
            ),
            _ => findings.ok("boot-space", BOOT, format!("has {} left", bytes(free))),
        }
    }

    /// How this boot was switched.
    pub fn report(&self, root: &Rooted, findings: &mut Vec<Finding>) {
        let text = match root.bytes(REPORT, LARGE) {
            Ok(Some(text)) => text,
            Ok(None) if !self.runs => return,
            Ok(None) => {
                return findings.note(
                    "report",
                    REPORT,
                    "is not there: this boot was not switched by switch_root",
                );
            }
            Err(reason) => {
                return findings.unknown("report", REPORT, reason, "examine it as root");
            }
        };
        let report = match status::parse(text) {
            Ok(read) => Report::of(&read.value),
            Err(reason) => {
                return findings.unknown(
                    "report",
                    REPORT,
                    reason,
                    "see the kernel's log: dmesg | grep switch_root",
                );
            }
        };
        let other = |of: &Option<String>| self.boot_id.is_some() && *of != self.boot_id;
        if report.boot_id.is_some() && other(&report.boot_id) {
            return findings.note(
                "report",
                REPORT,
                "is of another boot: this one was not switched by switch_root",
            );
        }
        let complaints = report.complaints();
        if !complaints.is_empty() {
            return findings.warning(
                "report",
                REPORT,
                format!(
                    "says that this boot was switched, and not all is well: {}",
                    complaints.join(", ")
                ),
                "see srctl status",
            );
        }
        if let Some(newer) = report.newer() {
            return findings.unknown(
                "report",
                REPORT,
                format!("has schema {newer}, which this srctl does not know"),
                "use a newer srctl",
            );
        }
        findings.ok(
            "report",
            REPORT,
            format!(
                "says that this boot was switched by switch_root {} ({}), and all is well",
                escape::message(&report.version, 64),
                escape::message(&report.strategy, 64)
            ),
        );
    }
}

/// The first two numbers of a release.
fn version(release: &str) -> Option<(u64, u64)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.4-rc1"), Some((5, 4)));
        assert!(version("5.9.1") < Some(OLDEST));
        assert!(version("5.12") >= Some(OLDEST));
        assert_eq!(version("custom"), None);
    }
}
