//! What the fuzzer drives of this crate and nobody else may use: readers that stand
//! behind others.

pub use crate::contents::fuzzing::vermagic;
