//! What the fuzzer drives of this program: the readers of what others wrote.

pub use crate::boot::fuzzing::{load_order, recognize_image, unpack_module};
pub use crate::mounts::{Mount, depth, overlay_layers, parse as parse_mounts, top, within};
pub use switch_root_core::parameters::{Incompatible, Parameters, parse as parse_command_line};
