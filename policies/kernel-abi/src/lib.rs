//! A policy that refuses extensions that are made for another kernel or another architecture
//! than the machine's. README.md beside this crate is its manual.

use switch_root_policy::extra_info::{ExtraInfo, KERNEL_RELEASE, uname_machine};
use switch_root_policy::sentence::quote;
use switch_root_policy::{Compatibility, Extension, HostFacts, Verdict, register};

/// The policy: a name for its answers, without a value.
pub struct KernelAbi;

impl Compatibility for KernelAbi {
    /// Approves of extensions that name this kernel or this architecture, objects to those that
    /// name others only, and abstains from those that name none.
    fn review(host: &HostFacts, extensions: &[Extension]) -> Result<Vec<Verdict>, String> {
        Ok(extensions
            .iter()
            .map(|extension| judge(host, extension).unwrap_or_else(Verdict::Incompatible))
            .collect())
    }
}

register!(KernelAbi: compatibility);

/// The verdict, or as an error why what the extension says can't be read: what might be made
/// for another kernel is not tried out.
fn judge(host: &HostFacts, extension: &Extension) -> Result<Verdict, String> {
    let info = ExtraInfo::parse(&extension.metadata)?;
    let releases = info.texts(KERNEL_RELEASE)?;
    let architectures = info.architectures()?;
    let mut reasons = Vec::new();
    // Not known where somebody asks before a boot: then there is nothing to compare.
    let known = !host.kernel_release.is_empty();
    if known && !releases.is_empty() && !releases.contains(&host.kernel_release) {
        reasons.push(format!(
            "its kernel modules are made for {}, and this kernel is {:?}",
            list(&releases),
            host.kernel_release
        ));
    }
    if !architectures.is_empty()
        && !architectures
            .iter()
            .any(|architecture| architecture == uname_machine(&host.architecture))
    {
        reasons.push(format!(
            "it is made for the architecture {}, and this machine is {:?}",
            list(&architectures),
            host.architecture
        ));
    }
    Ok(if !reasons.is_empty() {
        Verdict::Incompatible(reasons.join("; "))
    } else if (releases.is_empty() || !known) && architectures.is_empty() {
        Verdict::Abstain
    } else {
        Verdict::Compatible
    })
}

/// How much of an element is repeated in a reason, in bytes, and how many elements. A reason is
/// one line of a log.
const QUOTED: usize = 80;
const NAMED: usize = 8;

/// The elements in quotes, with "or" before the last one.
fn list(texts: &[String]) -> String {
    let mut list = String::new();
    for (index, text) in texts.iter().enumerate() {
        if index == NAMED {
            list.push_str(", or others");
            break;
        }
        list.push_str(match index {
            0 => "",
            _ if index + 1 == texts.len() => " or ",
            _ => ", ",
        });
        list.push_str(&quote(text, QUOTED));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(extra_info: &str) -> Verdict {
        verdict_for("6.12.6-talos", extra_info)
    }

    fn verdict_for(kernel_release: &str, extra_info: &str) -> Verdict {
        let host = HostFacts {
            os_release: Vec::new(),
            kernel_release: kernel_release.into(),
            architecture: "x86_64".into(),
            kernel_command_line: String::new(),
        };
        let extension = Extension {
            image: "000.x.sqsh".into(),
            digest: None,
            name: "x".into(),
            version: "1".into(),
            author: String::new(),
            description: String::new(),
            compatibility: Vec::new(),
            metadata: format!(r#"{{"extraInfo": {extra_info}}}"#),
        };
        KernelAbi::review(&host, &[extension]).unwrap().remove(0)
    }

    fn reason(extra_info: &str) -> String {
        match verdict(extra_info) {
            Verdict::Incompatible(reason) => reason,
            other => panic!("{other:?} for {extra_info}"),
        }
    }

    #[test]
    fn who_names_neither_is_not_judged() {
        for extra_info in ["null", "{}", r#""a text""#, r#"{"other": 1}"#] {
            assert_eq!(verdict(extra_info), Verdict::Abstain, "{extra_info}");
        }
    }

    #[test]
    fn who_names_this_kernel_or_architecture_is_compatible() {
        for extra_info in [
            r#"{"kernelRelease": "6.12.6-talos"}"#,
            r#"{"kernelRelease": "6.1.0, 6.12.6-talos"}"#,
            r#"{"architecture": "amd64"}"#,
            r#"{"architecture": ["aarch64", "x86_64"]}"#,
            r#"{"kernelRelease": ["6.12.6-talos"], "architecture": "x86_64"}"#,
        ] {
            assert_eq!(verdict(extra_info), Verdict::Compatible, "{extra_info}");
        }
    }

    #[test]
    fn a_kernel_that_is_not_known_is_not_compared() {
        let verdict = |extra_info| verdict_for("", extra_info);
        assert_eq!(verdict(r#"{"kernelRelease": "6.1"}"#), Verdict::Abstain);
        let architecture = r#"{"kernelRelease": "6.1", "architecture": "amd64"}"#;
        assert_eq!(verdict(architecture), Verdict::Compatible);
    }

    #[test]
    fn another_kernel_or_architecture_is_named_beside_the_own_one() {
        assert_eq!(
            reason(r#"{"kernelRelease": "6.12.6"}"#),
            "its kernel modules are made for \"6.12.6\", and this kernel is \"6.12.6-talos\""
        );
        assert_eq!(
            reason(r#"{"kernelRelease": "6.12.6-talos", "architecture": "arm64, riscv64"}"#),
            "it is made for the architecture \"aarch64\" or \"riscv64\", and this machine is \
             \"x86_64\""
        );
        let both = reason(r#"{"kernelRelease": "1", "architecture": "arm64"}"#);
        assert!(both.contains("\"1\"") && both.contains("; it is made for the architecture"));
    }

    #[test]
    fn what_cannot_be_read_is_not_tried_out() {
        assert!(reason(r#"{"kernelRelease": {}}"#).starts_with("extraInfo.kernelRelease holds"));
        assert!(reason("3").starts_with("extraInfo is a number"));
    }

    #[test]
    fn reasons_stay_short_whatever_the_extension_says() {
        let giant = "ü".repeat(1 << 16);
        assert!(reason(&format!(r#"{{"kernelRelease": "{giant}"}}"#)).len() < 400);
        let many = vec!["6.1"; 10_000].join(",");
        assert!(reason(&format!(r#"{{"kernelRelease": "{many}"}}"#)).len() < 400);
    }
}
