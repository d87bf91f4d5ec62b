//! All outcomes of the boot program, for documents.

use switch_root_core::outcome::{Outcomes, Table};

use crate::{
    act, answering, arguments, background, binfmt_misc, boot, capabilities, carry, confirm,
    deletion, directories, elf, executable, gather, init, initramfs, kernel_log, layers, listing,
    machine, mounts, new_root, old_root, parameters, places, planner, preserve, preserved, proc,
    processes, report, stages,
};

/// Those of this crate.
const OWN: &[Table] = &[
    crate::NotFirst::TABLE,
    act::Failed::TABLE,
    act::NoInit::TABLE,
    act::Refused::TABLE,
    answering::Silent::TABLE,
    arguments::BadUsage::TABLE,
    background::Undeleted::TABLE,
    binfmt_misc::Unknown::TABLE,
    boot::Doubtful::TABLE,
    boot::Unpacking::TABLE,
    capabilities::Kept::TABLE,
    capabilities::Powerless::TABLE,
    carry::NoTarget::TABLE,
    carry::NotBound::TABLE,
    confirm::Changed::TABLE,
    deletion::Undeleted::TABLE,
    directories::NoDirectory::TABLE,
    elf::Unfit::TABLE,
    executable::Doubt::TABLE,
    executable::Failure::TABLE,
    gather::NoMounts::TABLE,
    init::Doubtful::TABLE,
    init::NoInit::TABLE,
    initramfs::Covered::TABLE,
    kernel_log::Incomplete::TABLE,
    kernel_log::NoLog::TABLE,
    layers::Unlocated::TABLE,
    listing::NoIds::TABLE,
    machine::Unknown::TABLE,
    mounts::Malformed::TABLE,
    new_root::Unsuitable::TABLE,
    old_root::NoInitramfs::TABLE,
    parameters::Unread::TABLE,
    places::Nowhere::TABLE,
    places::Unusable::TABLE,
    preserve::Lost::TABLE,
    preserve::Uncopied::TABLE,
    preserve::Unsealed::TABLE,
    preserved::Earlier::TABLE,
    preserved::Hidden::TABLE,
    proc::NoProc::TABLE,
    processes::Living::TABLE,
    report::Unwritten::TABLE,
    stages::Verdict::TABLE,
];

/// What documents say of the boot program's outcomes, those of the crates below included.
pub fn all() -> Vec<Table> {
    [
        switch_root_core::tables::TABLES,
        policy::outcomes::TABLES,
        OWN,
        boot::outcomes::TABLES,
        planner::outcomes::TABLES,
        preserve::TABLES,
        preserved::TABLES,
        processes::TABLES,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::fs;
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
            elsewhere: &[tables::OF_TOOLS, policy::outcomes::OF_TOOLS].concat(),
            codes: CODES,
        };
        assert_eq!(document.check(), Ok(()));
    }

    /// Where a message may be made of a text, or logged without being one. That it is made of an
    /// outcome everywhere else the compiler sees to.
    const BARE: [&str; 3] = [
        "core/src/outcome/message.rs: tracing::error!",
        "core/src/outcome/message.rs: tracing::warn!",
        "switch/src/boot/usable.rs: Message::quoted(",
    ];

    #[test]
    fn what_is_said_has_a_code() {
        let rooms = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = Vec::new();
        for room in ["core/src", "switch/src"] {
            collect(&rooms, &rooms.join(room), &mut found);
        }
        found.sort();
        assert_eq!(found, BARE);
    }

    fn collect(rooms: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(rooms, &path, found);
            } else if !path.ends_with("tests.rs") && !path.ends_with("outcomes.rs") {
                let source = fs::read_to_string(&path).unwrap();
                let name = path.strip_prefix(rooms).unwrap().to_string_lossy();
                let bare = ["Message::quoted(", "tracing::error!", "tracing::warn!"];
                let bare = bare.iter().filter(|bare| source.contains(**bare));
                found.extend(bare.map(|bare| format!("{name}: {bare}")));
            }
        }
    }
}
