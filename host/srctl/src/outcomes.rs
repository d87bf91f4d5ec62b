//! All outcomes of this program that are not the boot program's, for documents.

use std::path::Path;

use switch_root_core::outcome::{Document, Outcomes, Table};
use switch_root_core::tables;

/// Those of this crate.
const OWN: &[Table] = &[
    crate::diff::NotCompared::TABLE,
    crate::plan::NotShown::TABLE,
    crate::rehearse::Unplanned::TABLE,
    crate::facts::NoMachine::TABLE,
    crate::input::Unread::TABLE,
    crate::streams::Misused::TABLE,
    crate::streams::Refused::TABLE,
    crate::pager::NotPaged::TABLE,
    crate::Refused::TABLE,
    crate::man::NoPages::TABLE,
    crate::policy::new::NotBegun::TABLE,
    crate::policy::test::NotTested::TABLE,
    crate::policy::files::NoPolicy::TABLE,
    crate::policy::compile::NotCompiled::TABLE,
    crate::policy::sign::NotSigned::TABLE,
    crate::policy::trust::NoTrust::TABLE,
    crate::policy::push::NotPushed::TABLE,
    crate::policy::pull::NotWritten::TABLE,
    crate::policy::pull::place::NotPlaced::TABLE,
    crate::image::add_policy::NotAdded::TABLE,
    crate::image::stage::NotStaged::TABLE,
    crate::image::stage::folders::NotPlaced::TABLE,
    crate::image::stage::gather::LeftOutFor::TABLE,
    crate::extension::pull::NotPulled::TABLE,
    crate::extension::unpacked::NoExtensions::TABLE,
    crate::extension::record::NotRecorded::TABLE,
    crate::extension::install::NotInstalled::TABLE,
    crate::status::read::NoReport::TABLE,
    crate::status::read::NotAReport::TABLE,
    crate::status::wait::NotWaited::TABLE,
    crate::doctor::current::NoImage::TABLE,
    crate::doctor::current::NotFound::TABLE,
    crate::doctor::binary::NotOurs::TABLE,
    crate::doctor::generator::NotMade::TABLE,
    crate::doctor::image::NotWell::TABLE,
    crate::doctor::image::called::OtherProgram::TABLE,
    crate::doctor::image::stale::NoList::TABLE,
    crate::doctor::image::stale::Stale::TABLE,
    crate::doctor::keys::Expiry::TABLE,
    crate::doctor::machine::Known::TABLE,
    crate::doctor::parameters::Given::TABLE,
    crate::doctor::policies::Sidecar::TABLE,
    crate::doctor::settings::NoSetting::TABLE,
];

/// The crates that the program is made of.
const CRATES: [&str; 9] = [
    "core",
    "policy",
    "switch",
    "initramfs",
    "oci",
    "extension",
    "toolkit",
    "preview",
    "srctl",
];

#[test]
fn the_document_has_each_outcome_and_the_list_its_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = [
        tables::OF_TOOLS,
        policy::outcomes::OF_TOOLS,
        initramfs::outcomes::TABLES,
        oci::outcomes::TABLES,
        ::extension::outcomes::TABLES,
        toolkit::outcomes::TABLES,
        preview::outcomes::TABLES,
        OWN,
    ];
    let document = Document {
        path: &folder.join("FAILURES.md"),
        tables: &own.concat(),
        sources: &CRATES.map(|one| folder.join("..").join(one).join("src")),
        elsewhere: &switch_root::outcomes::all(),
        codes: include_str!("codes.txt"),
    };
    assert_eq!(document.check(), Ok(()));
}
