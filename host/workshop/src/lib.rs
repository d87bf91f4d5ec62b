//! What authors and operators do with policies before they ship.

pub mod component;
pub mod rust;
mod tool;
