//! What this machine's kernel command line says to the program.

use switch_root_core::parameters::{Parameters, parse};

use crate::proc::Proc;

/// Logs what was not understood: at once, since it may be why the machine does not start.
pub fn log_warnings(parameters: &Parameters) {
    for warning in &parameters.warnings {
        tracing::warn!("{warning}");
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
                warnings: vec![warning.into()],
                ..Parameters::default()
            };
            (String::new(), parameters)
        }
    }
}
