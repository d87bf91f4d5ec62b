//! What authors and operators do with policies before they ship.

pub mod cases;
