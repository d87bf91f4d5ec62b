//! The outcomes of these modules, for documents.

use switch_root_core::outcome::{Outcomes, Table};

use super::{copies, extensions, in_use, mounts, outline, places, steps};

/// What documents say of them.
pub const TABLES: &[Table] = &[
    copies::Lost::TABLE,
    copies::NoRoom::TABLE,
    extensions::LeftOut::TABLE,
    extensions::NotTried::TABLE,
    extensions::Refused::TABLE,
    extensions::Unused::TABLE,
    in_use::Used::TABLE,
    mounts::NoPivot::TABLE,
    mounts::Unkept::TABLE,
    outline::Missing::TABLE,
    outline::NoRootImage::TABLE,
    outline::Undeletable::TABLE,
    outline::Undeleted::TABLE,
    outline::Unlisted::TABLE,
    places::Barred::TABLE,
    places::Lacks::TABLE,
    places::NoPlace::TABLE,
    places::Unfit::TABLE,
    steps::Lost::TABLE,
    steps::Others::TABLE,
    steps::Unreachable::TABLE,
    steps::Unsafe::TABLE,
];
