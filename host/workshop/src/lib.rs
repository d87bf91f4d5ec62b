//! What authors and operators do with policies before they ship.

pub mod bench;
pub mod cases;
pub mod compile;
pub mod inspect;
pub mod loading;
