//! What was asked for: by the command line of the program, and by that of the kernel.

use switch_root_core::parameters::{Extensions, Incompatible, Parameters};
use switch_root_core::path::Path;

/// What is planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// This program switches to a root that is mounted.
    #[default]
    Switch,
    /// Another program switches.
    Preserve,
    /// This program boots the image whole.
    ImageBoot,
}

/// How to switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StrategyChoice {
    /// Pivot where the kernel can, and move otherwise.
    #[default]
    Auto,
    /// Move the new root's mount.
    Move,
    /// Pivot, or refuse.
    Pivot,
}

/// See the top of this file. The default is what a boot does that nothing was said to.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What is planned.
    pub mode: Mode,
    /// Delete nothing.
    pub keep_initramfs: bool,
    /// Neither move nor detach a mount, as klibc's and busybox's `run-init` do not.
    pub mounts_stay: bool,
    /// How to switch.
    pub strategy: StrategyChoice,
    /// What becomes of extensions.yaml.
    pub extensions: Extensions,
    /// Refuse where an extension is left out; for an image that is booted whole.
    pub halt: bool,
    /// The arguments of the init, without its name.
    pub init_arguments: Vec<Path>,
    /// Opened for standard input, output and error of init, in the new root.
    pub console: Option<Path>,
    /// Numbers of the capabilities that are taken from init.
    pub drop_capabilities: Vec<u8>,
    /// Init waits for the deletion.
    pub foreground: bool,
}

impl Options {
    /// What the kernel's command line alone asks for.
    pub fn of(parameters: &Parameters, mode: Mode) -> Self {
        Self {
            mode,
            keep_initramfs: parameters.keep_initramfs,
            extensions: parameters.extensions,
            halt: parameters.incompatible == Incompatible::Halt,
            foreground: parameters.foreground,
            ..Self::default()
        }
    }
}
