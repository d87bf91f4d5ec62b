//! What authors and operators do with policies before they ship.

pub mod build;
pub mod cases;
pub mod component;
pub mod language;
pub mod project;
pub mod rust;
mod tool;
mod world;

pub use world::CONTRACT;
