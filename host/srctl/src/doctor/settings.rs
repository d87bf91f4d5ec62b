//! `/etc/switch-root/initramfs.conf`: what the hooks of the generators are told.

use switch_root_core::escape;
use switch_root_core::locations::SETTINGS;

use super::finding::{Finding, Findings};
use crate::rooted::Rooted;

switch_root_core::outcomes! {
    /// What is wrong in the settings of the hooks.
    pub(crate) enum NoSetting in "doctor" {
        /// `STRICT` is `yes` or `no`, and `BINARY` is `full` or `aot`, each on a line of its own.
        "SR-Z51" Value { name: String, value: String } = "gives {name} the value `{value}`, which it has not",
        "SR-Z52" Line { line: String } = "has a line that is no setting: `{line}`",
    }
}

const CHECK: &str = "settings";
/// The largest that is read, in bytes.
const LIMIT: u64 = 64 << 10;

/// What is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A policy that cannot be used fails the image, rather than being left out.
    pub strict: bool,
    /// The image gets the build without a compiler.
    pub small: bool,
}

/// Reads it.
pub fn look(root: &Rooted, findings: &mut Vec<Finding>) -> Settings {
    match root.text(SETTINGS, LIMIT) {
        Ok(None) => Settings::default(),
        Ok(Some(text)) => {
            let (settings, wrong) = parse(&text);
            let none_is_wrong = wrong.is_empty();
            for line in wrong {
                findings.problem(
                    CHECK,
                    SETTINGS,
                    line,
                    "write STRICT=no or STRICT=yes, BINARY=full or BINARY=aot, each on a line of its own",
                );
            }
            if none_is_wrong {
                let strict = if settings.strict { "yes" } else { "no" };
                let binary = if settings.small { "aot" } else { "full" };
                findings.ok(
                    CHECK,
                    SETTINGS,
                    format!("says STRICT={strict} BINARY={binary}"),
                );
            }
            settings
        }
        Err(reason) => {
            findings.unknown(
                CHECK,
                SETTINGS,
                reason.reworded(|it| format!("{it}; the defaults are taken here")),
                "make it a file that can be read",
            );
            Settings::default()
        }
    }
}

/// Reads assignments as a shell has them, and gives back what is none of ours.
fn parse(text: &str) -> (Settings, Vec<NoSetting>) {
    let mut settings = Settings::default();
    let mut wrong = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let assigned = line.split_once('=').map(|(name, value)| {
            let value = value.split(" #").next().unwrap_or_default().trim();
            (name, unquoted(value))
        });
        match assigned {
            Some(("STRICT", "yes")) => settings.strict = true,
            Some(("STRICT", "no")) => settings.strict = false,
            Some(("BINARY", "aot")) => settings.small = true,
            Some(("BINARY", "full")) => settings.small = false,
            Some((name @ ("STRICT" | "BINARY"), value)) => wrong.push(NoSetting::Value {
                name: name.to_owned(),
                value: escape::message(value, 100),
            }),
            _ => wrong.push(NoSetting::Line {
                line: escape::message(line, 100),
            }),
        }
    }
    (settings, wrong)
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_a_shell_reads_them() {
        let (settings, wrong) = parse("# c\n\nSTRICT=\"yes\"\n BINARY='aot' # small\n");
        assert_eq!((settings.strict, settings.small), (true, true));
        assert!(wrong.is_empty());
        let (settings, wrong) = parse("STRICT=yes\nSTRICT=no\nBINARY=tiny\nrm -rf\n");
        assert_eq!(settings, Settings::default());
        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        assert_eq!(
            wrong,
            [
                "gives BINARY the value `tiny`, which it has not",
                "has a line that is no setting: `rm -rf`",
            ]
        );
    }
}
