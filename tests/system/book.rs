//! The commands of the documentation: each page of `host/book`, the README, and what is told
//! of packages, is run from top to bottom, in one shell, and what it shows as output is what
//! is printed.
//!
//! What the words behind a fence mean stands in [`switch_root_tests::pages`]. A page is run
//! in an empty folder, with the programs under test in `PATH`; `POLICIES` is the folder of
//! the policies that ship, and `KERNEL` a kernel that QEMU boots, as the book's first page
//! tells its readers.

mod place;
mod script;

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Completion, Failed, Trial};
use switch_root_tests::pages::{Block, Part, blocks};

use crate::check::ensure;
use crate::durations::timed;
use crate::tools::{self, Checked, Stop};

/// The repository, in which the pages are.
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// The folder of the book in it.
const BOOK: &str = "host/book";

/// Pages that are not in it, and have commands.
const APART: [&str; 4] = [
    "README.md",
    "host/distribution/PACKAGES.md",
    "host/distribution/README.md",
    "host/distribution/TARBALL.md",
];

/// A trial for each page and place that it is run in; one for each block that is not run; and
/// one that looks at them all.
pub fn cases() -> Vec<Trial> {
    let mut trials = vec![tools::trial(
        module_path!(),
        "of_every_block_it_is_known_what_becomes_of_it",
        of_every_block_it_is_known_what_becomes_of_it,
    )];
    for page in pages().unwrap_or_default() {
        // What cannot be read fails the trial above.
        let read = fs::read_to_string(Path::new(REPOSITORY).join(&page));
        let blocks = read.ok().and_then(|text| blocks(&text).ok());
        trials.extend(trials_of(&page, &blocks.unwrap_or_default()));
    }
    trials
}

/// The pages, by their paths in the repository.
fn pages() -> Result<Vec<String>, Stop> {
    let mut pages: Vec<String> = APART.map(str::to_owned).into();
    let mut folders = vec![BOOK.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(REPOSITORY).join(&folder))? {
            let entry = entry?;
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.ends_with(".md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    Ok(pages)
}

fn trials_of(page: &str, blocks: &[Block]) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut places: Vec<Option<&'static str>> = Vec::new();
    for block in blocks {
        match block.part {
            Part::NotRun(reason) => trials.push(not_run(page, block.line, reason)),
            Part::Commands { place, .. } if !places.contains(&place) => places.push(place),
            _ => {}
        }
    }
    for place in places {
        let blocks = script::of_place(blocks, place);
        let where_it_is = place.map_or(String::new(), |place| format!("_on_{place}"));
        let name = format!("book::the_commands_of_{page}_do_what_it_says{where_it_is}");
        let page = page.to_owned();
        trials.push(timed(name, move || script::run(&page, &blocks, place)));
    }
    trials
}

/// A block that cannot be run anywhere is shown among the tests, and fails nothing.
fn not_run(page: &str, line: usize, reason: &'static str) -> Trial {
    let name = format!("book::line_{line}_of_{page}_is_not_run");
    let ignored = move || -> Result<Completion, Failed> { Ok(Completion::ignored_with(reason)) };
    Trial::ignorable_test(name, ignored)
}

fn of_every_block_it_is_known_what_becomes_of_it() -> Checked {
    let mut wrong = Vec::new();
    for page in pages()? {
        let text = fs::read_to_string(PathBuf::from(REPOSITORY).join(&page))?;
        if let Err(reason) = blocks(&text) {
            wrong.push(format!("{page}, {reason}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
