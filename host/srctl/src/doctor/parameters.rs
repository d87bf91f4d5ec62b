//! What the kernel command line says to the boot program.

use switch_root_core::escape;

use super::finding::{Finding, Findings};

/// A parameter of the kernel that the boot program takes, and what it does; whether that
/// is a way out that is not to stay.
const PARAMETERS: [(&str, bool, &str); 14] = [
    (
        "policies=default",
        true,
        "no policy but the embedded one is asked",
    ),
    (
        "extensions=ignore",
        true,
        "no extension is looked at or activated",
    ),
    (
        "extensions=require",
        false,
        "a machine without a list of extensions does not start",
    ),
    (
        "keep_initramfs",
        false,
        "nothing of the initramfs is deleted",
    ),
    (
        "keep_initramfs=no",
        false,
        "the initramfs is deleted, as without it",
    ),
    ("foreground", false, "init waits for the deletion"),
    (
        "unchecked_init",
        true,
        "an init that the kernel will not execute is not refused",
    ),
    (
        "unchecked_init=no",
        false,
        "an init that the kernel will not execute is refused, as without it",
    ),
    ("log", false, "sets what is logged"),
    ("root", false, "names the root image"),
    (
        "incompatible=halt",
        false,
        "a machine that would have to leave an extension out does not start",
    ),
    (
        "incompatible=skip",
        false,
        "extensions that are incompatible are left out, as without it",
    ),
    ("rescue", false, "names the rescue program"),
    (
        "foreground=no",
        false,
        "the deletion runs beside init, as without it",
    ),
];

/// What the kernel command line says to the boot program.
pub fn look(command_line: &str, findings: &mut Vec<Finding>) {
    for word in words(command_line)
        .into_iter()
        .take_while(|word| word != "--")
    {
        let Some(rest) = word.strip_prefix("switch_root.") else {
            continue;
        };
        let (name, value) = match rest.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (rest, None),
        };
        let name = name.replace('-', "_");
        let whole = value.map(|value| format!("{name}={value}"));
        let known = PARAMETERS
            .iter()
            .find(|(known, ..)| Some(*known) == whole.as_deref())
            .or_else(|| PARAMETERS.iter().find(|(known, ..)| *known == name));
        let about = escape::message(&word, 256);
        match known {
            Some((_, true, what)) => findings.warning(
                "parameter",
                about,
                format!("is on the kernel command line: {what}"),
                "take it off the kernel command line once the machine boots without it",
            ),
            Some((_, false, what)) => findings.note(
                "parameter",
                about,
                format!("is on the kernel command line: {what}"),
            ),
            None => findings.warning(
                "parameter",
                about,
                "is on the kernel command line, and is no parameter of switch_root: it has no effect",
                "correct it, or take it off the kernel command line",
            ),
        }
    }
}

/// The words of a command line, as the kernel has them: quotes keep spaces in a word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
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
