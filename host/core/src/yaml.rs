//! YAML as it is written: documents are read from events rather than into a
//! generic value, so that a version `1.10` stays `1.10`, every node knows where
//! it stands, and an alias is expanded only where that is asked for, and within limits
//! (YAML bombs are made of them).

mod anchors;
mod emit;
mod malformed;
mod node;
mod parse;

pub use emit::emit;
pub use malformed::Malformed;
pub use node::{Key, Kind, Node, Position};
pub use parse::{Aliases, document, documents};

#[cfg(test)]
mod tests;
