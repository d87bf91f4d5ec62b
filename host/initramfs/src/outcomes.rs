//! All outcomes of this crate, for documents.

use switch_root_core::outcome::{Outcomes, Table};

use crate::{
    archive, called, compression, files, image, inner, machine, members, segments, squashfs, tree,
};

/// What documents say of them.
pub const TABLES: &[Table] = &[
    archive::read::Broken::TABLE,
    archive::write::NotPut::TABLE,
    called::NotCalled::TABLE,
    compression::decode::Unread::TABLE,
    compression::encode::NotCompressed::TABLE,
    compression::kernel::NotRead::TABLE,
    files::NoFolder::TABLE,
    image::Around::TABLE,
    inner::Ended::TABLE,
    inner::Undecided::TABLE,
    inner::Unread::TABLE,
    machine::Unread::TABLE,
    members::TooMany::TABLE,
    segments::NotTaken::TABLE,
    segments::input::Unfit::TABLE,
    segments::replace::NotReplaced::TABLE,
    segments::scan::Unread::TABLE,
    squashfs::NoLayer::TABLE,
    squashfs::file::Unsteady::TABLE,
    squashfs::tree::Refused::TABLE,
    tree::Exceeded::TABLE,
    tree::More::TABLE,
    tree::folder::NotRead::TABLE,
    tree::insert::NotInserted::TABLE,
    tree::lookup::NoContents::TABLE,
    tree::lookup::Stuck::TABLE,
    tree::read::Unsteady::TABLE,
    tree::store::NotKept::TABLE,
    tree::unpack::NotUnpacked::TABLE,
    tree::unpack::Skipped::TABLE,
];
