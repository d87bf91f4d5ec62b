//! The outcomes of these modules, for documents.

use switch_root_core::outcome::{Outcomes, Table};

use super::{
    attributes, conflict, directed, image, modules, mounted, overlay, pseudo, rescue, top, usable,
};

/// What documents say of them.
pub const TABLES: &[Table] = &[
    attributes::Wrong::TABLE,
    conflict::Conflict::TABLE,
    directed::Directed::TABLE,
    directed::Unsearched::TABLE,
    image::Unusable::TABLE,
    image::NotListed::TABLE,
    modules::NoFileSystem::TABLE,
    modules::NoLoopDevices::TABLE,
    modules::NotLoaded::TABLE,
    mounted::NoFolder::TABLE,
    mounted::Unmounted::TABLE,
    overlay::NoNewRoot::TABLE,
    overlay::NotLaid::TABLE,
    pseudo::Unmounted::TABLE,
    rescue::Rescue::TABLE,
    top::NoTop::TABLE,
    usable::Lacking::TABLE,
];
