//! The machine itself: its kernel and what that is told, the room for images, and how this
//! boot was switched.

use std::collections::BTreeSet;
use std::path::Path;

use switch_root_core::limits::fixed;
use switch_root_core::locations::REPORT_PATH;
use switch_root_core::text::bytes;
use switch_root_core::{escape, os_release};

use super::finding::{Finding, Findings};
use super::generator::Generator;
use super::settings::Settings;
use crate::rooted::Rooted;
use crate::status;

switch_root_core::outcomes! {
    /// What is known of a machine, and not as it should be.
    pub(crate) enum Known in "doctor" {
        /// Run `srctl doctor` as root.
        "SR-Z38" User = "is not root: what root alone may read is not looked at",
        /// A switch needs Linux 5.12 or newer.
        "SR-Z39" NoKernel = "is not known: the root directory is not that of a running machine, and it has no modules of kernels",
        "SR-Z40" OldKernel = "is too old: a switch needs Linux 5.12 or newer",
        "SR-Z41" NoVersion = "is not a version that can be read",
        /// Remove kernels that are not used any more, or make the image smaller.
        "SR-Z42" NoBoot = "is not there, or cannot be looked into",
        "SR-Z43" Space { free: String, size: String } = "has {free} left, and the largest image has {size}: another one may not fit beside it",
        /// The boot went another way, or its report was not written: the kernel's log says why.
        "SR-Z44" NoReport = "is not there: this boot was not switched by switch_root",
        "SR-Z45" OtherBoot = "is of another boot: this one was not switched by switch_root",
        /// `srctl status` shows all of the report.
        "SR-Z46" Complaints { complaints: String } = "says that this boot was switched, and not all is well: {complaints}",
        "SR-Z47" Schema { schema: u64 } = "has schema {schema}, which this srctl does not know",
    }
}

/// The largest file of /proc that is read, in bytes.
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
    /// The kernels that it has modules for, and the one that runs: that one first, then the
    /// newest.
    pub kernels: Vec<String>,
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
        let mut kernels = installed(root);
        let only = match kernels.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        };
        if let Some(running) = &running {
            kernels.retain(|one| one != running);
            kernels.insert(0, running.clone());
        }
        Self {
            runs: running.is_some(),
            kernel: running.or(only),
            kernels,
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            command_line: line("/proc/cmdline").unwrap_or_default(),
            os_release: os_release::find(|path| root.bytes(path, fixed::OS_RELEASE)).0,
            ..Self::default()
        }
    }

    /// What makes its images anew, for remedies.
    pub fn rebuild(&self) -> String {
        match self.generators.as_slice() {
            [] => "make the image again".into(),
            [one] => format!("make the image again: {}", one.rebuild),
            several => {
                let commands: Vec<&str> = several.iter().map(|one| one.rebuild).collect();
                format!("make the image again: {}", commands.join(", or "))
            }
        }
    }

    /// Whether all can be read.
    pub fn user(&self, findings: &mut Vec<Finding>) {
        if self.runs && !nix::unistd::geteuid().is_root() {
            findings.note("user", "user", Known::User);
        }
    }

    /// Whether a switch runs on its kernels.
    pub fn kernel(&self, findings: &mut Vec<Finding>) {
        if self.kernels.is_empty() {
            return findings.unknown(
                "kernel",
                "kernel",
                Known::NoKernel,
                "make sure that it is Linux 5.12 or newer; with modules of kernels in /lib/modules it is known",
            );
        }
        for release in &self.kernels {
            let about = escape::message(release, 256);
            match version(release) {
                Some(found) if found < OLDEST => {
                    findings.problem("kernel", about, Known::OldKernel, "install a newer kernel")
                }
                Some(_) => findings.ok("kernel", about, "is a kernel that a switch runs on"),
                None => findings.unknown(
                    "kernel",
                    about,
                    Known::NoVersion,
                    "make sure that it is Linux 5.12 or newer",
                ),
            }
        }
    }

    /// Whether a new image fits.
    pub fn space<'a>(
        &self,
        root: &Rooted,
        images: impl Iterator<Item = &'a Path>,
        findings: &mut Vec<Finding>,
    ) {
        let Some(space) = root.space(BOOT).filter(|_| root.is_directory(BOOT)) else {
            return findings.note("boot-space", BOOT, Known::NoBoot);
        };
        let free = space.f_bavail * space.f_frsize;
        // They are made one after the other.
        let files = images.filter_map(|image| std::fs::metadata(image).ok());
        let sizes = files.filter(std::fs::Metadata::is_file).map(|it| it.len());
        match sizes.max() {
            // The old image stays until the new one is whole.
            Some(size) if free < size => findings.warning(
                "boot-space",
                BOOT,
                Known::Space {
                    free: bytes(free),
                    size: bytes(size),
                },
                "remove kernels that are not used any more, or make the image smaller",
            ),
            _ => findings.ok("boot-space", BOOT, format!("has {} left", bytes(free))),
        }
    }

    /// How this boot was switched.
    pub fn report(&self, root: &Rooted, findings: &mut Vec<Finding>) {
        let text = match root.bytes(REPORT_PATH, LARGE) {
            Ok(Some(text)) => text,
            Ok(None) if !self.runs => return,
            Ok(None) => {
                return findings.note("report", REPORT_PATH, Known::NoReport);
            }
            Err(reason) => {
                return findings.unknown("report", REPORT_PATH, reason, "examine it as root");
            }
        };
        let report = match status::parse(text) {
            Ok(read) => read.report,
            Err(reason) => {
                return findings.unknown(
                    "report",
                    REPORT_PATH,
                    reason,
                    "see the kernel's log: dmesg | grep switch_root",
                );
            }
        };
        let other = |of: &Option<String>| self.boot_id.is_some() && *of != self.boot_id;
        if report.boot_id.is_some() && other(&report.boot_id) {
            return findings.note("report", REPORT_PATH, Known::OtherBoot);
        }
        let complaints = status::complaints(&report);
        if !complaints.is_empty() {
            return findings.warning(
                "report",
                REPORT_PATH,
                Known::Complaints {
                    complaints: complaints.join(", "),
                },
                "see srctl status",
            );
        }
        if let Some(newer) = report.newer() {
            return findings.unknown(
                "report",
                REPORT_PATH,
                Known::Schema { schema: newer },
                "use a newer srctl",
            );
        }
        findings.ok(
            "report",
            REPORT_PATH,
            format!(
                "says that this boot was switched by switch_root {} ({}), and all is well",
                escape::message(&report.version, 64),
                escape::message(&report.strategy, 64)
            ),
        );
    }
}

/// The kernels that there are modules for, the newest first.
fn installed(root: &Rooted) -> Vec<String> {
    let folders = ["/lib/modules", "/usr/lib/modules"];
    let names = folders.into_iter().flat_map(|folder| root.listing(folder));
    let names: BTreeSet<String> = names
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    let mut kernels: Vec<String> = names.into_iter().collect();
    kernels.sort_by_key(|release| std::cmp::Reverse(numbers(release)));
    kernels
}

/// The numbers of a release, in order.
fn numbers(release: &str) -> Vec<u64> {
    let digits = release.split(|c: char| !c.is_ascii_digit());
    digits.filter_map(|digits| digits.parse().ok()).collect()
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
    fn kernels_are_ordered_by_their_numbers() {
        let mut kernels = ["6.1.0-9-amd64", "6.1.0-10-amd64", "6.12.1", "custom"];
        kernels.sort_by_key(|release| std::cmp::Reverse(numbers(release)));
        assert_eq!(
            kernels,
            ["6.12.1", "6.1.0-10-amd64", "6.1.0-9-amd64", "custom"]
        );
    }

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.4-rc1"), Some((5, 4)));
        assert!(version("5.9.1") < Some(OLDEST));
        assert!(version("5.12") >= Some(OLDEST));
        assert_eq!(version("custom"), None);
    }
}
