//! All outcomes of this crate, for documents.

use switch_root_core::outcome::Table;

/// What documents say of them.
pub const TABLES: &[Table] = &[];
