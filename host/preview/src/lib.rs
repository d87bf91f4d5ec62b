//! What a boot will make of an image: the [`plan`] of its switch, as text, as JSON and as a
//! page ([`html`]), what changes between two of them ([`diff`]), and the [`rehearsal`],
//! which executes what was planned.

pub mod diff;
pub mod html;
pub mod outcomes;
pub mod plan;
pub mod rehearsal;
pub mod runs;
