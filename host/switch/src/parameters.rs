//! What this machine's kernel command line says to the program.

use switch_root_core::outcome::warn;
use switch_root_core::parameters::{Parameters, parse};

use crate::proc::Proc;

switch_root_core::outcomes! {
    /// That the kernel command line is not known.
    pub enum Unread in "kernel-parameters" {
        /// It may have asked for that. Mount proc on `/proc` before the switch.
        "SR-K02" Because { error: std::io::Error } = "the kernel command line cannot be read: {error}; none of its parameters is used, and nothing is deleted",
    }
}

/// Logs what was not understood: at once, since it may be why the machine does not start.
pub fn log_warnings(parameters: &Parameters) {
    parameters.warnings.iter().for_each(warn);
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
            let parameters = Parameters {
                keep_initramfs: true,
                warnings: vec![Unread::Because { error }.into()],
                ..Parameters::default()
            };
            (String::new(), parameters)
        }
    }
}
