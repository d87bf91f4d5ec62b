//! Whether the reference of the book has what the sources have. Its commands are run by the
//! whole-system tests.

use std::collections::BTreeSet;

use switch_root_core::locations;
use switch_root_core::parameters::TABLE;

use super::{markdown, text};

const PARAMETERS: &str = "host/book/reference/kernel-parameters.md";
const CONTRACT: &str = "host/book/reference/contract.md";
const FILES: &str = "host/book/reference/files.md";

#[test]
fn every_kernel_parameter_is_in_the_reference() {
    let known = TABLE
        .iter()
        .map(|parameter| parameter.name.to_owned())
        .collect();
    let rows = markdown::rows(&text(PARAMETERS), "parameter");
    let told = rows.into_iter().flat_map(|row| row.code);
    let told: BTreeSet<String> = told
        .filter_map(|parameter| {
            let name = parameter.strip_prefix("switch_root.")?;
            Some(name.split('=').next().unwrap_or(name).to_owned())
        })
        .collect();
    assert_eq!(told, known);
}

/// What a WIT file defines under a name of its own.
fn items(wit: &str) -> BTreeSet<String> {
    let keywords = ["interface", "world", "record", "variant", "enum"];
    let name = |line: &str| -> Option<String> {
        let line = line.trim();
        if let Some((name, _)) = line.split_once(": func(") {
            return Some(name.to_owned());
        }
        let (keyword, rest) = line.split_once(' ')?;
        let name = rest.strip_suffix(" {")?;
        keywords.contains(&keyword).then(|| name.to_owned())
    };
    wit.lines().filter_map(name).collect()
}

#[test]
fn the_overview_of_the_contract_has_all_that_is_in_it() {
    let items = items(&text("wit/policy.wit"));
    assert!(items.contains("review") && items.contains("host-facts"));
    let page = text(CONTRACT);
    for item in &items {
        assert!(page.contains(&format!("`{item}`")), "nothing about {item}");
    }
    for title in ["in the contract", "in an interface"] {
        let rows = markdown::rows(&page, title);
        assert!(!rows.is_empty(), "{title}");
        for name in rows.into_iter().flat_map(|row| row.code) {
            assert!(items.contains(&name), "{name} is not in the contract");
        }
    }
}

#[test]
fn the_folders_are_those_that_the_program_reads() {
    let rows = markdown::rows(&text(FILES), "path");
    let told: BTreeSet<String> = rows.into_iter().flat_map(|row| row.code).collect();
    for folder in [locations::VENDOR, locations::OPERATOR, locations::TRUST] {
        assert!(told.contains(folder), "nothing about {folder}");
    }
}
