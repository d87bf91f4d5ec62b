//! All outcomes of this crate, for documents.

use crate::outcome::{Outcomes, Table};
use crate::{extensions, failure, file, parameters, yaml};

/// What documents say of them.
pub const TABLES: &[Table] = &[
    extensions::Malformed::TABLE,
    extensions::Unusable::TABLE,
    failure::NoCompiler::TABLE,
    failure::Untried::TABLE,
    file::NoComponent::TABLE,
    file::Unreadable::TABLE,
    parameters::Unusable::TABLE,
    parameters::Unused::TABLE,
    yaml::Malformed::TABLE,
];
