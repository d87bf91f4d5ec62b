//! What the kernel command line says to switch_root: the parameters that begin
//! with `switch_root.`, all of them documented in the book, and one of the
//! kernel's own that counts where the program is called `init`.

use std::str::FromStr;

use crate::log::Level;
use crate::proc::Proc;

/// What `init` does with extensions that cannot be activated.
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
    /// What was not understood, as sentences. It does not stop the boot: a
    /// machine whose command line is hard to change must still start.
    pub warnings: Vec<String>,
}

impl Parameters {
    /// Logs what was not understood: at once, since it may be why the machine does
    /// not start.
    pub fn log_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }
}

/// Reads the kernel's command line, and gives it back with what it says. Where it cannot
/// be read nothing is deleted: that may be what it asks for.
pub fn read(proc: &Proc) -> (String, Parameters) {
    match proc.command_line() {
        Ok(text) => {
            let parameters = parse(&text);
            (text, parameters)
        }
        Err(error) => {
            let warning = format!(
                "the kernel command line cannot be read: {error}; none of its parameters is used, and nothing is deleted"
            );
            let parameters = Parameters {
                keep_initramfs: true,
                warnings: vec![warning],
                ..Parameters::default()
            };
            (String::new(), parameters)
        }
    }
}

/// Reads a text as a kernel command line. What comes later counts.
pub fn parse(command_line: &str) -> Parameters {
    let mut parameters = Parameters::default();
    // What follows `--` is for the init.
    for word in words(command_line).take_while(|word| word != "--") {
        let Some(rest) = word.strip_prefix("switch_root.") else {
            if let Some(path) = word.strip_prefix("init=") {
                parameters.init = Some(path.to_owned());
            }
            continue;
        };
        let (name, value) = match rest.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (rest, None),
        };
        // As the kernel has it.
        let name = name.replace('-', "_");
        let understood = match (name.as_str(), value) {
            ("log", Some(value)) => {
                Level::from_str(value).map(|level| parameters.log = Some(level))
            }
            ("policies", Some("default")) => {
                parameters.default_policy_only = true;
                Ok(())
            }
            ("policies", _) => Err("the only value is `default`".into()),
            ("extensions", Some("ignore")) => {
                parameters.extensions = Extensions::Ignore;
                Ok(())
            }
            ("extensions", Some("require")) => {
                parameters.extensions = Extensions::Require;
                Ok(())
            }
            ("extensions", _) => Err("the values are `ignore` and `require`".into()),
            ("keep_initramfs", value) => switch(value).map(|on| parameters.keep_initramfs = on),
            ("foreground", value) => switch(value).map(|on| parameters.foreground = on),
            ("unchecked_init", value) => switch(value).map(|on| parameters.unchecked_init = on),
            ("incompatible", Some("skip")) => {
                parameters.incompatible = Incompatible::Skip;
                Ok(())
            }
            ("incompatible", Some("halt")) => {
                parameters.incompatible = Incompatible::Halt;
                Ok(())
            }
            ("incompatible", _) => Err("the values are `skip` and `halt`".into()),
            ("root", value) => absolute(value).map(|path| parameters.root = Some(path)),
            ("rescue", value) => absolute(value).map(|path| parameters.rescue = Some(path)),
            _ => Err("there is no such parameter".into()),
        };
        if let Err(reason) = understood {
            parameters
                .warnings
                .push(format!("kernel parameter `{word}` is not used: {reason}"));
        }
    }
    parameters
}

fn absolute(value: Option<&str>) -> Result<String, String> {
    match value {
        Some(path) if path.starts_with('/') => Ok(path.to_owned()),
        _ => Err("the value is a path that begins with a slash".into()),
    }
}

fn switch(value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("1" | "yes" | "on" | "true") => Ok(true),
        Some("0" | "no" | "off" | "false") => Ok(false),
        Some(value) => Err(format!("`{value}` is neither yes nor no")),
    }
}

/// Splits at white space outside double quotes, as the kernel does.
fn words(command_line: &str) -> impl Iterator<Item = String> + '_ {
    let mut characters = command_line.chars().peekable();
    std::iter::from_fn(move || {
        while characters.next_if(char::is_ascii_whitespace).is_some() {}
        characters.peek()?;
        let mut word = String::new();
        let mut quoted = false;
        while let Some(c) = characters.next_if(|c| quoted || !c.is_ascii_whitespace()) {
            if c == '"' {
                quoted = !quoted;
            } else {
                word.push(c);
            }
        }
        Some(word)
    })
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
            assert!(warning.contains(part), "{warning}");
        }
    }

    #[test]
    fn quotes_hold_a_word_together() {
        assert_eq!(
            words(" a \"b c\"d  e=\"f g\" ").collect::<Vec<_>>(),
            ["a", "b cd", "e=f g"]
        );
    }
}
