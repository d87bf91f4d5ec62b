//! The parameters of the kernel command line that begin with `switch_root.`: which there are,
//! what they take, and what each does. The boot reads them by this table, `srctl doctor` says
//! by it what is given, and the book and the manual page name the same.

use std::str::FromStr;

use crate::command_line::{self, Given};
use crate::outcome::Message;

crate::outcomes! {
    /// That a parameter is not used.
    pub enum Unused in "kernel-parameters" {
        /// The reason is one of the next.
        /// [All parameters](../book/reference/kernel-parameters.md).
        "SR-K01" Because { word: String, reason: Unusable } = "kernel parameter `{word}` is not used: {reason}",
    }
}

crate::outcomes! {
    /// Why a parameter is not used, as half a sentence.
    pub enum Unusable in "kernel-parameters" {
        /// A slip of the pen after `switch_root.`.
        "SR-K03" Unknown = "there is no such parameter",
        /// Of `policies`; of `extensions`; of `incompatible`; of `keep_initramfs`, `foreground` and
        /// `unchecked_init`; of `root` and `rescue`.
        "SR-K04" Default = "the only value is `default`",
        "SR-K05" IgnoreOrRequire = "the values are `ignore` and `require`",
        "SR-K06" SkipOrHalt = "the values are `skip` and `halt`",
        "SR-K07" YesOrNo { value: String } = "`{value}` is neither yes nor no",
        "SR-K08" Path = "the value is a path that begins with a slash",
        /// `--log` has another value. As a parameter of the kernel it is a warning, and the level
        /// stays as it is.
        "SR-K09" Level { text: String } = "`{text}` is not a log level; they are error, warn, info, debug and trace",
    }
}

/// How much is logged. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What went wrong.
    Error,
    /// What is not as it should be.
    Warn,
    /// What happened.
    Info,
    /// Why it happened.
    Debug,
    /// Every step.
    Trace,
}

impl FromStr for Level {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        Ok(match text {
            "error" => Self::Error,
            "warn" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => {
                let text = text.to_owned();
                return Err(Unusable::Level { text });
            }
        })
    }
}

/// What init mode does with extensions that cannot be activated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Incompatible {
    /// Goes on without them.
    #[default]
    Skip,
    /// Does not start the machine.
    Halt,
}

/// What is done with the list of extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extensions {
    /// It is used where there is one.
    #[default]
    Use,
    /// It is passed over.
    Ignore,
    /// Without it nothing is switched to.
    Require,
}

/// The parameters, with their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// `switch_root.log=LEVEL`
    pub log: Option<Level>,
    /// `switch_root.policies=default`: the embedded policy alone. The way out
    /// where a policy refuses the boot.
    pub default_policy_only: bool,
    /// `switch_root.extensions=ignore|require`: as if there were no extensions.yaml, or
    /// not without one.
    pub extensions: Extensions,
    /// `switch_root.keep_initramfs`: delete nothing.
    pub keep_initramfs: bool,
    /// `switch_root.foreground`: wait for the deletion.
    pub foreground: bool,
    /// `switch_root.unchecked_init`: take an init that the kernel will not execute.
    pub unchecked_init: bool,
    /// `switch_root.incompatible=skip|halt`, for `init`.
    pub incompatible: Incompatible,
    /// `switch_root.root=/path`: the root image, for `init`.
    pub root: Option<String>,
    /// `switch_root.rescue=/path`: what `init` executes where it cannot start
    /// the machine.
    pub rescue: Option<String>,
    /// The kernel's `init=`: the init of the new root, for `init`.
    pub init: Option<String>,
    /// What was not understood. It does not stop the boot: a
    /// machine whose command line is hard to change must still start.
    pub warnings: Vec<Message>,
}

/// What a parameter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What follows from it.
    pub what: &'static str,
    /// Whether it is a way out, for one boot: left there it hides what is wrong.
    pub temporary: bool,
}

/// A parameter of the table.
pub struct Parameter {
    /// Its name, without what all begin with.
    pub name: &'static str,
    takes: Takes,
}

impl Parameter {
    /// All that it may do.
    pub fn effects(&self) -> Vec<Effect> {
        match self.takes {
            Takes::Switch { on, off, .. } => vec![on, off],
            Takes::Word { words, .. } => words.iter().map(|(.., effect)| *effect).collect(),
            Takes::Text { effect, .. } => vec![effect],
        }
    }
}

/// What a parameter takes.
enum Takes {
    /// Nothing, which means yes; or yes or no.
    Switch {
        set: fn(&mut Parameters, bool),
        on: Effect,
        off: Effect,
    },
    /// One of some words; and what is said of others.
    Word {
        words: &'static [Word],
        otherwise: fn() -> Unusable,
    },
    /// A text that is read further.
    Text {
        set: fn(&mut Parameters, &str) -> Result<(), Unusable>,
        effect: Effect,
    },
}

/// A word, what it sets, and what it does.
type Word = (&'static str, fn(&mut Parameters), Effect);

const fn lasting(what: &'static str) -> Effect {
    let temporary = false;
    Effect { what, temporary }
}

const fn way_out(what: &'static str) -> Effect {
    let temporary = true;
    Effect { what, temporary }
}

/// All parameters.
pub const TABLE: [Parameter; 9] = [
    Parameter {
        name: "log",
        takes: Takes::Text {
            set: |all, level| level.parse().map(|level| all.log = Some(level)),
            effect: lasting("sets what is logged"),
        },
    },
    Parameter {
        name: "policies",
        takes: Takes::Word {
            words: &[(
                "default",
                |all| all.default_policy_only = true,
                way_out("no policy but the embedded one is asked"),
            )],
            otherwise: || Unusable::Default,
        },
    },
    Parameter {
        name: "extensions",
        takes: Takes::Word {
            words: &[
                (
                    "ignore",
                    |all| all.extensions = Extensions::Ignore,
                    way_out("no extension is examined or activated"),
                ),
                (
                    "require",
                    |all| all.extensions = Extensions::Require,
                    lasting("a machine without a list of extensions does not start"),
                ),
            ],
            otherwise: || Unusable::IgnoreOrRequire,
        },
    },
    Parameter {
        name: "keep_initramfs",
        takes: Takes::Switch {
            set: |all, on| all.keep_initramfs = on,
            on: lasting("nothing of the initramfs is deleted"),
            off: lasting("the initramfs is deleted, as without it"),
        },
    },
    Parameter {
        name: "foreground",
        takes: Takes::Switch {
            set: |all, on| all.foreground = on,
            on: lasting("init waits for the deletion"),
            off: lasting("init does not wait for the deletion, as without it"),
        },
    },
    Parameter {
        name: "unchecked_init",
        takes: Takes::Switch {
            set: |all, on| all.unchecked_init = on,
            on: way_out("an init that the kernel will not execute is not refused"),
            off: lasting("an init that the kernel will not execute is refused, as without it"),
        },
    },
    Parameter {
        name: "incompatible",
        takes: Takes::Word {
            words: &[
                (
                    "skip",
                    |all| all.incompatible = Incompatible::Skip,
                    lasting("extensions that are incompatible are left out, as without it"),
                ),
                (
                    "halt",
                    |all| all.incompatible = Incompatible::Halt,
                    lasting("a machine that would have to leave an extension out does not start"),
                ),
            ],
            otherwise: || Unusable::SkipOrHalt,
        },
    },
    Parameter {
        name: "root",
        takes: Takes::Text {
            set: |all, path| absolute(path).map(|path| all.root = Some(path)),
            effect: lasting("names the root image"),
        },
    },
    Parameter {
        name: "rescue",
        takes: Takes::Text {
            set: |all, path| absolute(path).map(|path| all.rescue = Some(path)),
            effect: lasting("names the rescue program"),
        },
    },
];

/// Takes a parameter over, and says what it does.
///
/// # Errors
/// Why it is not used, as half a sentence.
pub fn take(given: &Given, all: &mut Parameters) -> Result<Effect, Unusable> {
    let value = given.value.as_deref();
    let known = TABLE.iter().find(|one| one.name == given.name);
    match &known.ok_or(Unusable::Unknown)?.takes {
        Takes::Switch { set, on, off } => {
            let yes = switch(value)?;
            set(all, yes);
            Ok(if yes { *on } else { *off })
        }
        Takes::Word { words, otherwise } => {
            let found = words.iter().find(|(word, ..)| Some(*word) == value);
            let (_, set, effect) = found.ok_or_else(otherwise)?;
            set(all);
            Ok(*effect)
        }
        Takes::Text { set, effect } => {
            set(all, value.unwrap_or_default())?;
            Ok(*effect)
        }
    }
}

/// Reads a text as a kernel command line. What comes later counts.
pub fn parse(command_line: &str) -> Parameters {
    let mut all = Parameters::default();
    for word in command_line::words(command_line) {
        if let Some(path) = word.strip_prefix("init=") {
            all.init = Some(path.to_owned());
        }
        let Some(given) = command_line::ours(word) else {
            continue;
        };
        if let Err(reason) = take(&given, &mut all) {
            let Given { word, .. } = given;
            all.warnings.push(Unused::Because { word, reason }.into());
        }
    }
    all
}

fn absolute(path: &str) -> Result<String, Unusable> {
    match path.starts_with('/') {
        true => Ok(path.to_owned()),
        false => Err(Unusable::Path),
    }
}

fn switch(value: Option<&str>) -> Result<bool, Unusable> {
    match value {
        None | Some("1" | "yes" | "on" | "true") => Ok(true),
        Some("0" | "no" | "off" | "false") => Ok(false),
        Some(value) => {
            let value = value.to_owned();
            Err(Unusable::YesOrNo { value })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_parameters_are_found_among_all_others() {
        let parameters = parse(
            "BOOT_IMAGE=/vmlinuz root=\"LABEL=my root\" quiet switch_root.log=debug switch_root.policies=default switch_root.extensions=ignore switch_root.foreground switch_root.keep-initramfs=no switch_root.unchecked_init -- switch_root.log=error\n",
        );
        assert_eq!(
            parameters,
            Parameters {
                log: Some(Level::Debug),
                default_policy_only: true,
                extensions: Extensions::Ignore,
                foreground: true,
                unchecked_init: true,
                ..Parameters::default()
            }
        );
    }

    #[test]
    fn init_has_parameters_of_its_own_and_one_of_the_kernels() {
        let parameters = parse(
            "init=/sbin/first init=/lib/init switch_root.extensions=ignore switch_root.extensions=require switch_root.incompatible=halt switch_root.root=/a.sqsh switch_root.rescue=/bin/sh -- init=/other",
        );
        assert_eq!(
            parameters,
            Parameters {
                init: Some("/lib/init".into()),
                extensions: Extensions::Require,
                incompatible: Incompatible::Halt,
                root: Some("/a.sqsh".into()),
                rescue: Some("/bin/sh".into()),
                ..Parameters::default()
            }
        );
    }

    #[test]
    fn what_is_not_understood_is_a_warning_that_quotes_it() {
        let warnings = parse("switch_root.log=loud switch_root.foregruond switch_root.foreground=maybe switch_root.policies=none switch_root.extensions=1 switch_root.incompatible=panic switch_root.root=a switch_root.rescue").warnings;
        assert_eq!(warnings.len(), 8);
        for (warning, part) in warnings.iter().zip([
            "`loud`",
            "switch_root.foregruond",
            "`maybe`",
            "`default`",
            "`ignore` and `require`",
            "`skip` and `halt`",
            "switch_root.root=a",
            "switch_root.rescue",
        ]) {
            assert!(warning.text.contains(part), "{warning}");
        }
    }
}
