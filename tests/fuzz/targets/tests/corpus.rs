//! Every input that is checked in is tried on stable: seeds, and what once failed.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use targets::ALL;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    entries.map(name).collect()
}

// One test for all, since what is allocated is counted for the process.
#[test]
fn what_is_checked_in_passes() {
    let mut failed = Vec::new();
    for target in ALL {
        let folder = fuzz().join("corpus").join(target.name);
        for name in names(&folder) {
            let data = fs::read(folder.join(&name)).unwrap();
            if catch_unwind(|| target.run(&data)).is_err() {
                failed.push(format!("{}/{name}", target.name));
            }
        }
    }
    assert!(failed.is_empty(), "these inputs fail: {failed:#?}");
}

#[test]
fn every_target_has_a_program_and_a_corpus_that_is_small() {
    let targets: BTreeSet<String> = ALL.iter().map(|target| target.name.into()).collect();
    assert_eq!(names(&fuzz().join("corpus")), targets);
    let programs = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&fuzz().join("src/bin")), programs);
    for name in &targets {
        let folder = fuzz().join("corpus").join(name);
        let size = |name: &String| fs::metadata(folder.join(name)).unwrap().len();
        let bytes: u64 = names(&folder).iter().map(size).sum();
        assert!((1..64 << 10).contains(&bytes), "{name}: {bytes} bytes");
    }
}
