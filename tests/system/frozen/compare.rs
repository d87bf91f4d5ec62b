//! Comparing with the snapshots in tests/snapshots, and everything that is left out of the
//! comparison.

use std::panic::{AssertUnwindSafe, catch_unwind};

use insta::{Settings, assert_snapshot};

use crate::tools::{Checked, Stop};

/// Where the snapshots are, seen from this file.
pub const SNAPSHOTS: &str = "../../snapshots";

/// What differs between runs, machines and builds of the same sources, as a regular
/// expression, and what stands in its place. Nowhere else is anything left out.
const VARIES: &[(&str, &str)] = &[
    // Keys of reports and plans whose numbers are measured.
    (
        r#""(\w+_us|fuel|peak_kib|address_space|pid|mount_id|memory_available_\w+|used_before|used_after|freed_bytes|seconds)": \d+(\.\d+)?"#,
        r#""$1": [MEASURED]"#,
    ),
    // A device and an inode.
    (
        r#""identity": \[\s*\d+,\s*\d+\s*\]"#,
        r#""identity": [MEASURED]"#,
    ),
    (
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
        "[BOOT]",
    ),
    (r"\b[0-9a-f]{64}\b", "[DIGEST]"),
    (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:[KEY]"),
    (r"/dev/loop\d+", "/dev/loop[N]"),
    (r"\bmount id \d+", "mount id [N]"),
    (r"\b\d+ \((see|write)\)", "[PID] ($1)"),
    (r"/tmp/[.A-Za-z0-9_-]+", "[TEMPORARY]"),
    // Measured, in a table whose columns are as wide as that.
    (r"TIME +FUEL +FAILURE", "TIME  FUEL  FAILURE"),
    (r"\b\d+(\.\d+)? (µs|us|ms|s) +\d+\b", "[TIME]  [FUEL]"),
    (r"\b\d+(\.\d+)? (µs|us|ms|s)\b", "[TIME]"),
    (r"\b\d+(\.\d+)? \w+ freed\b", "[SIZE] freed"),
    // Where there are files that we build, and how much room there is.
    (
        r"(can be read:|stay, and|/boot has|has|staged 1 policy,|\bof in\.img:) \d+(\.\d+)? [KMGT]iB",
        "$1 [SIZE]",
    ),
    (
        r"(50-keep\.wasm|50-a|a\.cwasm) +\d+(\.\d+)? [KM]iB",
        "$1  [SIZE]",
    ),
    (
        r#""bytes": \d+,(\s+"(?:left_out|compiled_for)")"#,
        r#""bytes": [SIZE],$1"#,
    ),
];

/// Checks that a text is what its snapshot holds.
pub fn same(name: &str, text: &str) -> Checked {
    let kernel = nix::sys::utsname::uname()?;
    let text = text.replace(&*kernel.release().to_string_lossy(), "[KERNEL]");
    let mut settings = Settings::new();
    settings.set_snapshot_path(SNAPSHOTS);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, instead) in VARIES {
        settings.add_filter(pattern, *instead);
    }
    // It prints the difference itself.
    let compared = catch_unwind(AssertUnwindSafe(|| {
        settings.bind(|| assert_snapshot!(name, text));
    }));
    compared.map_err(|_| {
        Stop::Fail(format!(
            "{name} is not what tests/snapshots/{name}.snap holds; where that is meant, run this \
             test with INSTA_UPDATE=always and review the change with git: CONTRIBUTING.md, \
             \"what users or programs see\""
        ))
    })
}
