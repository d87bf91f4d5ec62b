//! What the kernel command line says to the boot program.

use switch_root_core::outcome::Message;
use switch_root_core::parameters::{Effect, Parameters, take};
use switch_root_core::{command_line, escape};

use super::finding::{Finding, Findings};

switch_root_core::outcomes! {
    /// What the kernel command line says.
    pub(crate) enum Given in "doctor" {
        /// Some parameters help where a machine does not boot, and are removed once it does.
        "SR-Z48" There { what: String } = "is on the kernel command line: {what}",
    }
}

/// What the kernel command line says to the boot program.
pub fn look(command_line: &str, findings: &mut Vec<Finding>) {
    let words = command_line::words(command_line);
    for given in words.filter_map(command_line::ours) {
        let about = escape::message(&given.word, 256);
        match take(&given, &mut Parameters::default()) {
            Ok(Effect {
                what,
                temporary: true,
            }) => findings.warning(
                "parameter",
                about,
                Given::There {
                    what: what.to_string(),
                },
                "take it off the kernel command line once the machine boots without it",
            ),
            Ok(Effect { what, .. }) => findings.note(
                "parameter",
                about,
                Given::There {
                    what: what.to_string(),
                },
            ),
            Err(reason) => findings.warning(
                "parameter",
                about,
                Message::from(reason).reworded(|it| {
                    format!("is on the kernel command line, and has no effect: {it}")
                }),
                "correct it, or take it off the kernel command line",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_is_told_by_name_and_value() {
        let line = "quiet switch_root.policies=default switch_root.keep-initramfs=yes \
                 \"switch_root.rescue=/a b\" switch_root.colour -- switch_root.log=info";
        let mut findings = Vec::new();
        look(line, &mut findings);
        let told: Vec<(&str, bool)> = findings
            .iter()
            .map(|one: &Finding| (&*one.about, one.remedy.is_some()))
            .collect();
        assert_eq!(
            told,
            [
                ("switch_root.policies=default", true),
                ("switch_root.keep-initramfs=yes", false),
                ("switch_root.rescue=/a b", false),
                ("switch_root.colour", true),
            ]
        );
    }
}
