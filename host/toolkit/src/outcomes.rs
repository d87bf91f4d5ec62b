//! All outcomes of this crate, for documents.

use switch_root_core::outcome::{Outcomes, Table};

use crate::build::{foreign, made};
use crate::cases::{self, bless, case, initramfs};
use crate::inspect::sections;
use crate::project::{self, built, files, name};
use crate::{compile, component, language, loading, policies, rust, sign, tool, world};

/// What documents say of them.
pub const TABLES: &[Table] = &[
    case::NoCase::TABLE,
    bless::NotBlessed::TABLE,
    initramfs::Unmade::TABLE,
    cases::NotFound::TABLE,
    compile::NoTarget::TABLE,
    world::NoWorld::TABLE,
    project::NotBegun::TABLE,
    files::NoSdk::TABLE,
    name::NoName::TABLE,
    built::NoComponent::TABLE,
    language::NoLanguage::TABLE,
    policies::NotAdded::TABLE,
    policies::Working::TABLE,
    foreign::NoPolicy::TABLE,
    made::NotMade::TABLE,
    component::Unusable::TABLE,
    sections::Unread::TABLE,
    sign::NotSigned::TABLE,
    tool::Failed::TABLE,
    loading::NoFile::TABLE,
    rust::NotBuilt::TABLE,
];
