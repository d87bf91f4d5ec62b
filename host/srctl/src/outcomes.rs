//! All outcomes of this program that are not the boot program's, for documents.

use std::path::Path;

use switch_root_core::outcome::{Document, Table};
use switch_root_core::tables;

/// Those of this crate.
const OWN: &[Table] = &[];

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
