//! A policy that admits the extensions whose extension-release fields fit to the new root, by
//! the rules of systemd-sysext. README.md beside this crate is its manual.

mod architecture;
mod release;

use switch_root_policy::extra_info::{EXTENSION_RELEASE, ExtraInfo};
use switch_root_policy::{Compatibility, Extension, HostFacts, Verdict, register};

/// The policy: a name for its answers, without a value.
pub struct Sysext;

impl Compatibility for Sysext {
    /// Approves of extensions whose fields fit, objects to those whose fields do not, and
    /// abstains from those that have none.
    fn review(host: &HostFacts, extensions: &[Extension]) -> Result<Vec<Verdict>, String> {
        Ok(extensions
            .iter()
            .map(|extension| judge(host, extension).unwrap_or_else(Verdict::Incompatible))
            .collect())
    }
}

register!(Sysext: compatibility);

/// The verdict, or as an error why not or why the fields can't be read: what might be made for
/// another system is not tried out.
fn judge(host: &HostFacts, extension: &Extension) -> Result<Verdict, String> {
    let info = ExtraInfo::parse(&extension.metadata)?;
    let Some(fields) = info.fields(EXTENSION_RELEASE)? else {
        return Ok(Verdict::Abstain);
    };
    release::compare(host, &fields)?;
    Ok(Verdict::Compatible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_fields_is_not_judged_and_who_has_odd_ones_is_refused() {
        let host = HostFacts {
            os_release: vec![("ID".into(), "fedora".into())],
            kernel_release: String::new(),
            architecture: "x86_64".into(),
            kernel_command_line: String::new(),
        };
        let verdict = |metadata: &str| {
            let extension = Extension {
                image: "000.x.sqsh".into(),
                digest: None,
                name: "x".into(),
                version: "1".into(),
                author: String::new(),
                description: String::new(),
                compatibility: Vec::new(),
                metadata: metadata.into(),
            };
            Sysext::review(&host, &[extension]).unwrap().remove(0)
        };
        for metadata in [
            "{}",
            r#"{"extraInfo": "x"}"#,
            r#"{"switchRoot": {"extensionRelease": null}}"#,
        ] {
            assert_eq!(verdict(metadata), Verdict::Abstain, "{metadata}");
        }
        let of = |fields: &str| {
            verdict(&format!(
                r#"{{"switchRoot": {{"extensionRelease": {fields}}}}}"#
            ))
        };
        assert_eq!(of(r#"{"ID": "fedora"}"#), Verdict::Compatible);
        for (fields, reason) in [
            (
                "3",
                "switchRoot.extensionRelease is a number; it must be a mapping of texts",
            ),
            (
                r#"{"ID": {}}"#,
                "switchRoot.extensionRelease.ID is a mapping; it must be a text",
            ),
        ] {
            assert_eq!(of(fields), Verdict::Incompatible(reason.into()));
        }
    }
}
