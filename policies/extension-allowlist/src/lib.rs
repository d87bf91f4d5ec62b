//! A policy that admits only the system extensions that its settings list. README.md beside
//! this crate is its manual.

mod settings;

use switch_root_policy::sentence::quote;
use switch_root_policy::{
    Compatibility, Configuration, Extension, HostFacts, Settings, Verdict, register,
};

use settings::{Allowed, QUOTED};

/// The policy: a name for its answers, without a value.
pub struct ExtensionAllowlist;

static ALLOWED: Configuration<Vec<Allowed>> = Configuration::new();

impl Settings for ExtensionAllowlist {
    /// Reads and checks the list.
    fn configure(json: &str) -> Result<(), String> {
        ALLOWED.set(settings::read(json)?)
    }
}

impl Compatibility for ExtensionAllowlist {
    /// Objects to each extension that is not on the list, and abstains from the others: to be
    /// wanted is not to be compatible, and an extension that no policy judged by its
    /// requirements should be recorded as such.
    fn review(_host: &HostFacts, extensions: &[Extension]) -> Result<Vec<Verdict>, String> {
        let allowed = ALLOWED.get()?;
        Ok(extensions
            .iter()
            .map(|extension| judge(allowed, extension))
            .collect())
    }
}

register!(ExtensionAllowlist: compatibility, settings);

fn judge(allowed: &[Allowed], extension: &Extension) -> Verdict {
    let mut reason = String::new();
    for allowed in allowed
        .iter()
        .filter(|allowed| allowed.name == extension.name)
    {
        match allowed.difference(extension) {
            None => return Verdict::Abstain,
            Some(difference) => {
                reason.push_str(if reason.is_empty() {
                    "it is on the list of allowed extensions only with "
                } else {
                    ", or with "
                });
                reason.push_str(&difference);
            }
        }
    }
    if reason.is_empty() {
        reason = format!(
            "{} is not on the list of allowed extensions",
            quote(&extension.name, QUOTED)
        );
    }
    Verdict::Incompatible(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(name: &str, version: &str, digest: Option<&str>) -> Extension {
        Extension {
            image: "000.x.sqsh".into(),
            digest: digest.map(Into::into),
            name: name.into(),
            version: version.into(),
            author: "Sidero Labs".into(),
            description: String::new(),
            compatibility: Vec::new(),
            metadata: "{}".into(),
        }
    }

    fn check(json: &str, extension: &Extension) -> Result<(), String> {
        match judge(&settings::read(json).unwrap(), extension) {
            Verdict::Abstain => Ok(()),
            Verdict::Incompatible(reason) => Err(reason),
            Verdict::Compatible => panic!("approved {}", extension.name),
        }
    }

    #[test]
    fn what_is_not_on_the_list_is_refused_by_name() {
        let json = r#"{"allow": [{"name": "gvisor"}]}"#;
        assert_eq!(check(json, &extension("gvisor", "1", None)), Ok(()));
        assert_eq!(
            check(json, &extension("Gvisor", "1", None)),
            Err("\"Gvisor\" is not on the list of allowed extensions".into())
        );
        assert!(check(r#"{"allow": []}"#, &extension("gvisor", "1", None)).is_err());
    }

    #[test]
    fn versions_are_constraints_or_exact_texts() {
        for (allowed, good, bad) in [
            ("1.2.3", "1.2.3", "1.2.4"),
            ("1.2.3", "v1.2.3", "1.2.3-rc.1"),
            (">= 1.2, < 2.0", "1.9.0", "2.0.0"),
            (">= 1.2.0", "1.2.0", "1.2.0-rc.1"),
            ("~> 1.2 || 3.x", "v3.4.5", "2.0.0"),
            ("20250101.0-g1234_5", "20250101.0-g1234_5", "20250101.0"),
            ("latest", "latest", "1.0.0"),
            (">= 1.0.0", "1.0.0", "latest"),
        ] {
            let json = format!(r#"{{"allow": [{{"name": "x", "version": "{allowed}"}}]}}"#);
            assert_eq!(
                check(&json, &extension("x", good, None)),
                Ok(()),
                "{allowed}"
            );
            let reason = check(&json, &extension("x", bad, None)).unwrap_err();
            assert_eq!(
                reason,
                format!(
                    "it is on the list of allowed extensions only with version {allowed:?}, not \
                     {bad:?}"
                )
            );
        }
    }

    #[test]
    fn author_and_digest_are_compared() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let json = format!(
            r#"{{"allow": [{{"name": "x", "author": "me"}}, {{"name": "x", "digest": "{digest}"}}]}}"#
        );
        assert_eq!(check(&json, &extension("x", "1", Some(&digest))), Ok(()));
        assert_eq!(
            check(&json, &extension("x", "1", None)),
            Err(format!(
                "it is on the list of allowed extensions only with author \"me\", not \"Sidero \
                 Labs\", or with digest {digest:?}, and its own is not recorded"
            ))
        );
        let other = digest.replace('a', "c");
        assert!(
            check(&json, &extension("x", "1", Some(&other)))
                .unwrap_err()
                .contains(&other)
        );
    }

    #[test]
    fn reasons_stay_short_whatever_the_extension_says() {
        let giant = "ü".repeat(1 << 16);
        let json = r#"{"allow": [{"name": "x", "author": "a"}, {"name": "x", "version": "1.x"}]}"#;
        let mut extension = extension("x", &giant, None);
        extension.author = giant.clone();
        assert!(check(json, &extension).unwrap_err().len() < 600);
        extension.name = giant;
        assert!(check(json, &extension).unwrap_err().len() < 400);
    }
}
