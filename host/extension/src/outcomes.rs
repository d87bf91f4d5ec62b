//! All outcomes of this crate, for documents.

use switch_root_core::outcome::{Outcomes, Table};

use crate::{configuration, contents, edit, folder, known_keys, manifest, pack, validate};

/// What documents say of them.
pub const TABLES: &[Table] = &[
    configuration::Malformed::TABLE,
    configuration::Unread::TABLE,
    configuration::documents::Malformed::TABLE,
    configuration::documents::Repeated::TABLE,
    configuration::reader::Malformed::TABLE,
    configuration::recognise::Unfit::TABLE,
    configuration::registries::Malformed::TABLE,
    contents::walk::Unread::TABLE,
    edit::Refused::TABLE,
    edit::Written::TABLE,
    edit::verify::Differs::TABLE,
    folder::Unfit::TABLE,
    known_keys::Unknown::TABLE,
    manifest::Malformed::TABLE,
    pack::Unfit::TABLE,
    validate::across::Together::TABLE,
    validate::collector::More::TABLE,
    validate::kernel::Contradicts::TABLE,
    validate::layout::Unfit::TABLE,
    validate::layout::Unread::TABLE,
    validate::links::Leads::TABLE,
    validate::paths::Unfit::TABLE,
    validate::release::Unrecorded::TABLE,
    validate::unworking::Unworking::TABLE,
];
