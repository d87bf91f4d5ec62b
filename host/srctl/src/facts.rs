//! The machine that extensions are for, as policies are told of it.

use std::path::Path;

use oci::pull::Platform;
use switch_root_core::contract::HostFacts;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::{self, Shown};
use switch_root_core::os_release;
use switch_root_policy::extra_info::uname_machine;

use crate::command::options::MachineOptions;
use crate::input;

switch_root_core::outcomes! {
    /// What is not known of the machine that extensions are for.
    pub(crate) enum NoMachine in "srctl" {
        /// A policy is asked about the operating system that is booted, which is not the one that
        /// `srctl` runs on.
        "SR-H22" Policy = "the policy cannot be asked about extensions without an operating system to ask about; name its os-release with --os-release FILE, or its version with --target-version VERSION",
        "SR-H23" Policies = "the policies cannot be asked without an operating system to ask about; name its os-release with --os-release FILE, or its version with --target-version VERSION",
        "SR-H24" Initramfs { path: String } = "{path} does not tell which operating system it boots (it has no root image of squashfs with an os-release); name its os-release with --os-release FILE, or its version with --target-version VERSION",
        /// Extensions of another architecture do not run on the machine.
        "SR-H25" Platform { wanted: String, initramfs: String, architecture: String } = "--platform {wanted} is not what {initramfs} is for: its init is a program for {architecture}; leave the option out",
    }
}

/// What was found out about the machine from its image.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The text of its os-release.
    pub os_release: Option<String>,
    /// The one kernel that it has modules for.
    pub kernel_release: Option<String>,
    /// What its programs are for, as `uname -m` has it.
    pub architecture: Option<&'static str>,
}

/// Puts together what the command line says and, where that says nothing, what was
/// found. `None` where nobody says which operating system it is: then policies
/// cannot be asked.
pub fn facts(
    options: &MachineOptions,
    found: Found,
    platform: &Platform,
) -> Result<Option<HostFacts>> {
    let text = match (&options.os_release, &options.target_version) {
        (Some(path), _) => Some(input::read_text(path)?),
        (None, Some(version)) => {
            warn_unless_version(version);
            Some(format!("ID={}\nVERSION_ID={version}\n", options.target_os))
        }
        (None, None) => found.os_release,
    };
    let Some(text) = text else { return Ok(None) };
    Ok(Some(HostFacts {
        os_release: os_release::parse(&text),
        kernel_release: options
            .kernel_release
            .clone()
            .or(found.kernel_release)
            .unwrap_or_default(),
        architecture: options
            .architecture
            .as_deref()
            .map(|named| match named {
                "amd64" | "arm64" => uname_machine(named).to_owned(),
                _ => named.to_owned(),
            })
            .or_else(|| found.architecture.map(str::to_owned))
            .unwrap_or_else(|| uname_machine(&platform.architecture).to_owned()),
        kernel_command_line: String::new(),
    }))
}

/// Says of a flag what a policy can say of an os-release alone.
fn warn_unless_version(version: &str) {
    let digits = version.strip_prefix('v').unwrap_or(version);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        tracing::warn!(
            "--target-version {} is not a version that constraints can be compared with; versions are written 1.9.2",
            escape::message(version, 256)
        );
    }
}

/// The platform whose images a machine runs.
///
/// # Errors
/// The command line wants another one than the initramfs is for.
pub fn platform(
    wanted: Option<&Platform>,
    architecture: Option<&str>,
    initramfs: &Path,
) -> Result<Platform> {
    let Some(architecture) = architecture else {
        return Ok(wanted.cloned().unwrap_or_default());
    };
    let Some(wanted) = wanted else {
        return Ok(Platform {
            architecture: image_architecture(architecture).to_owned(),
            ..Platform::default()
        });
    };
    if image_architecture(uname_machine(&wanted.architecture)) != image_architecture(architecture) {
        return Err(Error::input(NoMachine::Platform {
            wanted: wanted.to_string(),
            initramfs: initramfs.shown(),
            architecture: architecture.to_owned(),
        }));
    }
    Ok(wanted.clone())
}

/// An architecture as images name it.
fn image_architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i686" => "386",
        "loongarch64" => "loong64",
        "armv6l" | "armv7l" | "armv8l" => "arm",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_those_of_the_initramfs() {
        let platform = |wanted: Option<&str>, architecture| {
            let wanted = wanted.map(|text| text.parse::<Platform>().unwrap());
            let found = platform(wanted.as_ref(), architecture, Path::new("in"));
            found.map(|platform| platform.architecture)
        };
        assert_eq!(platform(None, Some("aarch64")).unwrap(), "arm64");
        assert_eq!(
            platform(Some("linux/arm64/v8"), Some("aarch64")).unwrap(),
            "arm64"
        );
        assert_eq!(platform(Some("linux/arm/v6"), Some("arm")).unwrap(), "arm");
        assert_eq!(platform(Some("linux/arm64"), None).unwrap(), "arm64");
        let error = platform(Some("linux/amd64"), Some("aarch64")).unwrap_err();
        assert!(error.to_string().contains("for aarch64"), "{error}");
    }
}
