//! What the program costs where that can be counted, and need not be measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use switch_root_tests::fault::Watch;
use switch_root_tests::steps::{Make, Steps};

use crate::check::{boots, ensure};
use crate::tools::{Checked, boot, cases, small, subject};

cases![
    a_deleted_file_takes_one_system_call,
    a_boot_binary_has_nothing_to_relocate_and_no_loader,
];

/// The process that deletes: behind the host and the judge.
const DELETION: usize = 2;

fn a_deleted_file_takes_one_system_call() -> Checked {
    const DIRECTORIES: u32 = 8;
    const FILES: u32 = 250;
    let scene = boot()?.make(
        "/many",
        Make::Many {
            directories: DIRECTORIES,
            files: FILES,
            bytes: 1,
        },
    );
    let booted = boots(&scene.watch(Watch::Record))?;
    booted.left(&[])?;
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for call in &booted.outcome.calls {
        if call.process == DELETION {
            *counted.entry(call.name.as_str()).or_default() += 1;
        }
    }
    let deletion = &booted.report.0["deletion"];
    let figure = |name: &str| deletion[name].as_u64().unwrap_or_default();
    let (files, directories) = (figure("files"), figure("directories"));
    ensure!(
        files >= u64::from(DIRECTORIES * FILES),
        "{files} files are deleted: {deletion}"
    );
    let count = |name: &str| counted.get(name).copied().unwrap_or_default();
    ensure!(
        count("unlinkat") == files + directories,
        "{files} files and {directories} directories: {counted:?}"
    );
    // A directory is opened, listed to its end, and closed.
    let others: u64 = counted.values().sum::<u64>() - count("unlinkat");
    ensure!(
        others <= 5 * directories + 60,
        "{others} other calls for {directories} directories: {counted:?}"
    );
    Ok(())
}

fn a_boot_binary_has_nothing_to_relocate_and_no_loader() -> Checked {
    /// What a loader reads, and the loader itself, among the segments of linux/elf.h.
    const DYNAMIC: u32 = 2;
    const INTERPRETER: u32 = 3;
    for program in [subject()?, small()?] {
        for kind in segments(&program)? {
            ensure!(
                kind != DYNAMIC && kind != INTERPRETER,
                "{} has a segment of the kind {kind}",
                program.display()
            );
        }
    }
    Ok(())
}

/// The kinds of the segments of a 64-bit little-endian ELF file.
pub fn segments(path: &Path) -> Result<Vec<u32>, String> {
    let file = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let number = |at: usize, bytes: usize| -> Result<usize, String> {
        let bytes = file.get(at..at + bytes).ok_or("the file is cut off")?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let (start, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    (0..count)
        .map(|index| number(start + index * size, 4).map(|kind| kind as u32))
        .collect()
}
