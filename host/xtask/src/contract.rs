//! Whether the contract changed only as a published version may: this is a unit test, and
//! nothing of it is in the program.

use wit_component::WitPrinter;
use wit_parser::{Package, PackageId, Resolve, WorldId};

/// The contract as it is now, and as it was first published.
const NOW: &str = include_str!("../../../wit/policy.wit");
const FIRST: &str = include_str!("../../../tests/contract/0.1.0/policy.wit");

fn read(text: &str) -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("policy.wit", text).unwrap();
    (resolve, package)
}

/// A package without its comments.
fn printed(resolve: &Resolve, package: PackageId) -> String {
    let mut printer = WitPrinter::default();
    printer.emit_docs(false);
    printer.print(resolve, package, &[]).unwrap();
    printer.output.to_string()
}

/// The interfaces that a world imports and exports, without their versions.
fn of_world(resolve: &Resolve, world: WorldId) -> Vec<String> {
    let world = &resolve.worlds[world];
    let name = |direction: &str, key| {
        let name = resolve.name_world_key(key);
        let name = name.split_once('@').map_or(name.as_str(), |(name, _)| name);
        format!("{direction} {name}")
    };
    let imports = world.imports.keys().map(|key| name("import", key));
    let exports = world.exports.keys().map(|key| name("export", key));
    imports.chain(exports).collect()
}

/// What `now` lacks, or has otherwise, of what `before` has.
fn broken(before: &str, now: &str) -> Vec<String> {
    let (old, old_package) = read(before);
    let (mut new, new_package) = read(now);
    let old_contents: &Package = &old.packages[old_package];
    let new_contents = new.packages[new_package].clone();
    let mut broken = Vec::new();
    if new_contents.name.version == old_contents.name.version
        && printed(&old, old_package) != printed(&new, new_package)
    {
        broken.push("the contract changed, and its version did not".to_owned());
    }
    for (name, &interface) in &old_contents.interfaces {
        let Some(&there) = new_contents.interfaces.get(name) else {
            broken.push(format!("interface {name} is gone"));
            continue;
        };
        // What was added is no harm: the rest has to be the same, in the same order.
        let was = &old.interfaces[interface];
        let is = &mut new.interfaces[there];
        is.types.retain(|name, _| was.types.contains_key(name));
        is.functions
            .retain(|name, _| was.functions.contains_key(name));
        let text = |resolve: &Resolve, interface| {
            let mut printer = WitPrinter::default();
            printer.emit_docs(false);
            printer.print_interface(resolve, interface).unwrap();
            printer.output.to_string()
        };
        if text(&old, interface) != text(&new, there) {
            broken.push(format!("interface {name} is not what it was"));
        }
    }
    for (name, &world) in &old_contents.worlds {
        let Some(&there) = new_contents.worlds.get(name) else {
            broken.push(format!("world {name} is gone"));
            continue;
        };
        let now = of_world(&new, there);
        for item in of_world(&old, world) {
            if !now.contains(&item) {
                broken.push(format!("world {name} does not {item} any more"));
            }
        }
    }
    broken
}

#[test]
fn the_contract_still_has_all_that_was_published_first() {
    assert_eq!(broken(FIRST, NOW), Vec::<String>::new());
}

#[test]
fn what_would_break_a_published_policy_is_found() {
    let changed = |from: &str, to: &str| {
        assert!(NOW.contains(from), "{from}");
        NOW.replace(from, to)
            .replace("policy@0.1.0;", "policy@0.1.1;")
    };
    // Comments, and what is new in a later version, are no harm.
    let commented = NOW.replace(
        "/// Whether one extension",
        "/// Indeed, whether one extension",
    );
    assert_eq!(broken(NOW, &commented), Vec::<String>::new());
    let more =
        "log: func(level: level, message: string);\n    @since(version = 0.1.1)\n    more: func();";
    let added = changed("log: func(level: level, message: string);", more);
    assert_eq!(broken(NOW, &added), Vec::<String>::new());
    // The same without a new version is.
    let silent = added
        .replace("policy@0.1.1;", "policy@0.1.0;")
        .replace("@since(version = 0.1.1)", "@since(version = 0.1.0)");
    assert!(!broken(NOW, &silent).is_empty());
    for (from, to) in [
        ("        abstain,\n", "        abstain,\n        perhaps,\n"),
        ("        descend,\n", ""),
        ("size: u64", "size: u32"),
        ("message: string);", "message: list<u8>);"),
        ("interface settings", "interface options"),
        (
            "        mode: u32,\n",
            "        mode: u32,\n        owner: u32,\n",
        ),
        ("world configurable-policy", "world adjustable-policy"),
        ("    export compatibility;", "    import compatibility;"),
    ] {
        let now = changed(from, to);
        let now = now.replace(
            "    export settings;",
            match to {
                "interface options" => "    export options;",
                _ => "    export settings;",
            },
        );
        assert!(!broken(NOW, &now).is_empty(), "{from} -> {to}");
    }
}
