//! All outcomes of this crate, for documents.

use crate::outcome::{Outcomes, Table};
#[cfg(feature = "tools")]
use crate::{error, interrupt, output, reading};
use crate::{extensions, failure, file, layer_rules, os_release, parameters, preserved, yaml};

/// What documents say of those of the boot program.
pub const TABLES: &[Table] = &[
    extensions::Malformed::TABLE,
    extensions::Unusable::TABLE,
    failure::NoCompiler::TABLE,
    failure::Untried::TABLE,
    file::NoComponent::TABLE,
    file::Unreadable::TABLE,
    layer_rules::Breach::TABLE,
    os_release::Unusable::TABLE,
    parameters::Unusable::TABLE,
    parameters::Unused::TABLE,
    preserved::NotBound::TABLE,
    yaml::Malformed::TABLE,
];

/// What documents say of those that only tools have.
#[cfg(feature = "tools")]
pub const OF_TOOLS: &[Table] = &[
    error::Attempt::TABLE,
    interrupt::Interrupted::TABLE,
    output::NotWritten::TABLE,
    reading::NotRead::TABLE,
];
