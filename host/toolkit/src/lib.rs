//! What authors and operators do with policies before they ship.
//!
//! A policy is begun ([`project`]) and built ([`build`]) in one of several languages
//! ([`language`]), tried with cases ([`cases`]) and by hand ([`ask`], which gives [`answers`]), inspected
//! ([`inspect`]), measured ([`bench`]), compiled ahead of time ([`compile`]), signed
//! ([`sign`]) and put into images ([`policies`]). Wherever it runs, it runs as at boot: in
//! the judge ([`loading`]).

pub mod answers;
pub mod ask;
pub mod bench;
pub mod build;
pub mod cases;
pub mod compile;
pub mod component;
pub mod inspect;
pub mod language;
pub mod loading;
pub mod outcomes;
pub mod policies;
pub mod project;
pub mod rust;
pub mod sign;
pub mod tool;
mod world;

pub use world::CONTRACT;
