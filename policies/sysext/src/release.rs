//! The rules by which systemd-sysext matches an extension with the system that it is to extend.

use std::collections::BTreeMap;

use switch_root_policy::{HostFacts, sentence};

use crate::architecture;

/// What stands for every system, or for every architecture.
const ANY: &str = "_any";

/// What extensions are activated on: layers are laid over the root of the running system.
const SCOPE: &str = "system";

/// Where an extension that does not say so can be activated.
const SCOPES: &str = "system portable";

/// How much of what an extension's author wrote is repeated in a reason, in bytes. A reason is
/// one line of a log.
const QUOTED: usize = 80;

/// Compares the fields of an extension with the machine's.
///
/// # Errors
/// The first rule that is not met, with what was compared with what.
pub(crate) fn compare(host: &HostFacts, fields: &BTreeMap<String, String>) -> Result<(), String> {
    // An empty field is like one that is missing, to systemd, everywhere but in the scope.
    let says = |name: &str| {
        fields
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    };
    let is = |name: &str| host.os_release(name).filter(|value| !value.is_empty());
    let Some(system) = is("ID") else {
        return Err(
            "the os-release of the new root has no ID to compare the extension's with".into(),
        );
    };
    let scope = fields.get("SYSEXT_SCOPE").map_or(SCOPES, String::as_str);
    if !words(scope).any(|word| word == SCOPE) {
        return Err(format!(
            "its SYSEXT_SCOPE is {}, and here it would extend the {SCOPE:?}",
            quote(scope)
        ));
    }
    if let Some(architecture) = says("ARCHITECTURE")
        && architecture != ANY
        && !architecture::names(&host.architecture).contains(&architecture)
    {
        return Err(format!(
            "its ARCHITECTURE is {}, and this machine's is {:?}",
            quote(architecture),
            architecture::names(&host.architecture)[0]
        ));
    }
    let Some(id) = says("ID") else {
        return Err(format!(
            "its extension-release has no ID, and must have {system:?}, or \"_any\""
        ));
    };
    if id == ANY {
        return Ok(());
    }
    let like = is("ID_LIKE");
    if id != system && !like.is_some_and(|like| words(like).any(|word| word == id)) {
        let like = like
            .map(|like| format!(", like {}", quote(like)))
            .unwrap_or_default();
        return Err(format!(
            "its ID is {}, and this system is {system:?}{like}",
            quote(id)
        ));
    }
    version(
        [is("SYSEXT_LEVEL"), is("VERSION_ID")],
        [says("SYSEXT_LEVEL"), says("VERSION_ID")],
    )
}

/// Compares the levels where both have one, and the versions otherwise. A system that has no
/// version, as rolling releases do, takes every one.
fn version(host: [Option<&str>; 2], own: [Option<&str>; 2]) -> Result<(), String> {
    let [level, version] = host;
    match (level, version, own) {
        (Some(level), _, [Some(own), _]) => same("SYSEXT_LEVEL", own, level),
        (_, Some(version), [_, Some(own)]) => same("VERSION_ID", own, version),
        (level, Some(version), [_, None]) => Err(format!(
            "its extension-release has no VERSION_ID{}, and this system's is {version:?}",
            if level.is_some() {
                " and no SYSEXT_LEVEL"
            } else {
                ""
            }
        )),
        (_, None, _) => Ok(()),
    }
}

fn same(field: &str, own: &str, host: &str) -> Result<(), String> {
    match own == host {
        true => Ok(()),
        false => Err(format!(
            "its {field} is {}, and this system's is {host:?}",
            quote(own)
        )),
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t', '\n', '\r'])
        .filter(|word| !word.is_empty())
}

fn quote(text: &str) -> String {
    sentence::quote(text, QUOTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEDORA: &str = "ID=fedora VERSION_ID=40";

    /// Fields as `NAME=VALUE`, with `+` for a space in a value.
    fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
        text.split(' ').filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name.to_owned(), value.replace('+', " ")))
        })
    }

    fn compared(host: &str, own: &str) -> Result<(), String> {
        let host = HostFacts {
            os_release: pairs(host).collect(),
            kernel_release: String::new(),
            architecture: "x86_64".into(),
            kernel_command_line: String::new(),
        };
        compare(&host, &pairs(own).collect())
    }

    #[test]
    fn what_fits_to_systemd_fits_here() {
        for (host, own) in [
            (FEDORA, "ID=fedora VERSION_ID=40"),
            (FEDORA, "ID=_any"),
            (FEDORA, "ID=_any VERSION_ID=1 SYSEXT_LEVEL=3"),
            (FEDORA, "ID=fedora VERSION_ID=40 ARCHITECTURE=x86-64"),
            (FEDORA, "ID=fedora VERSION_ID=40 ARCHITECTURE=_any"),
            (FEDORA, "ID=fedora VERSION_ID=40 ARCHITECTURE="),
            (FEDORA, "ID=_any SYSEXT_SCOPE=system"),
            (FEDORA, "ID=_any SYSEXT_SCOPE=initrd+system"),
            // Levels count where both have one.
            (
                "ID=a VERSION_ID=1 SYSEXT_LEVEL=2",
                "ID=a VERSION_ID=9 SYSEXT_LEVEL=2",
            ),
            ("ID=a VERSION_ID=1 SYSEXT_LEVEL=2", "ID=a VERSION_ID=1"),
            ("ID=a VERSION_ID=1", "ID=a VERSION_ID=1 SYSEXT_LEVEL=7"),
            // A system with a level and without a version has nothing more to compare.
            ("ID=a SYSEXT_LEVEL=2", "ID=a"),
            ("ID=a SYSEXT_LEVEL=2", "ID=a VERSION_ID=1"),
            // Rolling releases.
            ("ID=arch", "ID=arch"),
            ("ID=arch VERSION_ID=", "ID=arch VERSION_ID=1"),
            ("ID=manjaro ID_LIKE=x+arch", "ID=arch"),
            (
                "ID=centos VERSION_ID=9 ID_LIKE=rhel+fedora",
                "ID=rhel VERSION_ID=9",
            ),
            // The last one of a field counts.
            ("ID=x ID=a", "ID=a"),
        ] {
            assert_eq!(compared(host, own), Ok(()), "{host}: {own}");
        }
    }

    #[test]
    fn reasons_name_what_was_compared_with_what() {
        for (host, own, reason) in [
            (
                FEDORA,
                "ID=debian VERSION_ID=40",
                "its ID is \"debian\", and this system is \"fedora\"",
            ),
            (
                "ID=centos ID_LIKE=rhel+fedora",
                "ID=debian",
                "its ID is \"debian\", and this system is \"centos\", like \"rhel fedora\"",
            ),
            // Not a part of a name.
            (
                "ID=a ID_LIKE=archlike",
                "ID=arch",
                "its ID is \"arch\", and this system is \"a\", like \"archlike\"",
            ),
            (
                FEDORA,
                "ID=fedora VERSION_ID=39",
                "its VERSION_ID is \"39\", and this system's is \"40\"",
            ),
            (
                FEDORA,
                "ID=fedora VERSION_ID=40.0",
                "its VERSION_ID is \"40.0\", and this system's is \"40\"",
            ),
            (
                FEDORA,
                "ID=fedora SYSEXT_LEVEL=1",
                "its extension-release has no VERSION_ID, and this system's is \"40\"",
            ),
            (
                "ID=a VERSION_ID=1 SYSEXT_LEVEL=2",
                "ID=a",
                "its extension-release has no VERSION_ID and no SYSEXT_LEVEL, and this system's is \"1\"",
            ),
            (
                "ID=a VERSION_ID=1 SYSEXT_LEVEL=2",
                "ID=a VERSION_ID=1 SYSEXT_LEVEL=3",
                "its SYSEXT_LEVEL is \"3\", and this system's is \"2\"",
            ),
            (
                FEDORA,
                "VERSION_ID=40",
                "its extension-release has no ID, and must have \"fedora\", or \"_any\"",
            ),
            (
                FEDORA,
                "",
                "its extension-release has no ID, and must have \"fedora\", or \"_any\"",
            ),
            (
                FEDORA,
                "ID=_any ARCHITECTURE=arm64",
                "its ARCHITECTURE is \"arm64\", and this machine's is \"x86-64\"",
            ),
            // The name that uname has is not systemd's.
            (
                FEDORA,
                "ID=_any ARCHITECTURE=x86_64",
                "its ARCHITECTURE is \"x86_64\", and this machine's is \"x86-64\"",
            ),
            (
                FEDORA,
                "ID=_any SYSEXT_SCOPE=initrd+portable",
                "its SYSEXT_SCOPE is \"initrd portable\", and here it would extend the \"system\"",
            ),
            (
                FEDORA,
                "ID=_any SYSEXT_SCOPE=",
                "its SYSEXT_SCOPE is \"\", and here it would extend the \"system\"",
            ),
            (
                "VERSION_ID=1",
                "ID=_any",
                "the os-release of the new root has no ID to compare the extension's with",
            ),
        ] {
            assert_eq!(compared(host, own), Err(reason.into()), "{host}: {own}");
        }
    }

    #[test]
    fn reasons_stay_short_whatever_the_extension_says() {
        let giant = "ü".repeat(1 << 16);
        for own in [
            format!("ID={giant}"),
            format!("ID=_any ARCHITECTURE={giant}"),
        ] {
            assert!(compared(FEDORA, &own).unwrap_err().len() < 400);
        }
    }
}
