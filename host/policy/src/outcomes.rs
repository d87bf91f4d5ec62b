//! All outcomes of this crate, for documents.

use switch_root_core::outcome::{Outcomes, Table};

use crate::{
    answer, compatibility, consequence, contract, engine, folder, instance, judge, native, owner,
    preservation, protocol, session, sidecar, trust,
};

/// What documents say of them.
pub const TABLES: &[Table] = &[
    answer::BadTarget::TABLE,
    answer::Broken::TABLE,
    compatibility::Unjudged::TABLE,
    consequence::Failed::TABLE,
    consequence::Unsigned::TABLE,
    contract::Unfit::TABLE,
    engine::Unusable::TABLE,
    folder::ClockDisagrees::TABLE,
    folder::Unusable::TABLE,
    folder::Unused::TABLE,
    folder::Refused::TABLE,
    folder::Unlisted::TABLE,
    instance::Failed::TABLE,
    instance::NoNative::TABLE,
    instance::Unusable::TABLE,
    judge::Missing::TABLE,
    judge::Unheard::TABLE,
    judge::Unused::TABLE,
    native::NotExecutable::TABLE,
    owner::NotRootsAlone::TABLE,
    preservation::Broken::TABLE,
    protocol::NoFrame::TABLE,
    session::NoWorker::TABLE,
    session::Silenced::TABLE,
    session::Worker::TABLE,
    sidecar::Malformed::TABLE,
    trust::OutsideValidity::TABLE,
    trust::Rejection::TABLE,
    trust::Unarmored::TABLE,
    trust::Unusable::TABLE,
    trust::compiled::Malformed::TABLE,
    trust::signers::BadLine::TABLE,
    trust::signers::Malformed::TABLE,
];

/// What documents say of those that only tools have.
pub const OF_TOOLS: &[Table] = &[engine::NotCompiled::TABLE];
