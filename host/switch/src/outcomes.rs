//! All outcomes of the boot program, for documents.

use switch_root_core::outcome::{Outcomes, Table};

use crate::{background, capabilities, kernel_log, parameters};

/// Those of this crate.
const OWN: &[Table] = &[
    background::Undeleted::TABLE,
    capabilities::Kept::TABLE,
    capabilities::Powerless::TABLE,
    kernel_log::Incomplete::TABLE,
    kernel_log::NoLog::TABLE,
    parameters::Unread::TABLE,
];

/// What documents say of the boot program's outcomes, those of the crates below included.
pub fn all() -> Vec<Table> {
    [
        switch_root_core::tables::TABLES,
        policy::outcomes::TABLES,
        OWN,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use switch_root_core::outcome::{CODES, Document};
    use switch_root_core::tables;

    use super::*;

    #[test]
    fn the_document_has_each_outcome_and_the_list_its_code() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let document = Document {
            path: &folder.join("FAILURES.md"),
            tables: &all(),
            sources: &["../core", "../policy", "."].map(|one| folder.join(one).join("src")),
            elsewhere: tables::OF_TOOLS,
            codes: CODES,
        };
        assert_eq!(document.check(), Ok(()));
    }
}
