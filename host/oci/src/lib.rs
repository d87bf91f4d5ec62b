//! Images of containers, and artifacts: what they are named by ([`mod@reference`]), where they
//! come from ([`registries`], [`pull`]), and how their layers become a folder ([`unpack`]).
//! Policies go to registries and come from there as [`artifact`]s.

pub mod access;
pub mod artifact;
pub mod outcomes;
pub mod pull;
pub mod reference;
pub mod registries;
pub mod unpack;
