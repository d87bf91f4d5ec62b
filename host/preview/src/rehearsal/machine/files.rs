//! The files of a rehearsal in the initramfs of a virtual machine.

/// Where our own files are in the initramfs, until everything is set up.
pub const FOLDER: &str = "/.switch-root-rehearsal";
/// This program.
pub const OWN: &str = "/.switch-root-rehearsal/srctl";
/// The `switch_root` that the command line names.
pub const SWITCH_ROOT: &str = "/.switch-root-rehearsal/switch_root";
/// The one that is taken where the image has none.
pub const OTHERWISE: &str = "/.switch-root-rehearsal/otherwise";
/// The settings.
pub const SETTINGS: &str = "/.switch-root-rehearsal/settings.json";
