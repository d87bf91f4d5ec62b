//! What is switched while calls fail: a bit of everything that a switch does.

use switch_root_tests::scene::Scene;
use switch_root_tests::steps::Steps;

use crate::tools::{Policies, Stop, boot, boot_small, native, policy};

/// The builds of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// With a compiler: policies are `.wasm`.
    Full,
    /// Without: they are `.cwasm`.
    Small,
}

/// Survivors: the paths that must be there afterwards as they were before.
pub const SURVIVORS: [&str; 4] = [
    "/extensions.yaml",
    "/kept/file",
    "/carried/file",
    "/carried/other",
];

/// What init looks at.
const LOOKED_AT: [&str; 6] = [
    "/etc/extensions.yaml",
    "/etc/carried/file",
    "/etc/precious",
    "/run/precious",
    "/dev/null",
    "/run/switch-root/preserved/kept/file",
];

/// A dozen files, directories in directories, a mount, a link, a survivor that is kept
/// and one that is carried, and an extension.
pub fn scene(build: Build, strategy: &str) -> Result<Scene, Stop> {
    let settings = r#"{"settings": {"keep": ["/kept"], "carry": {"/carried": "/etc/carried"}}}"#;
    let folder = "/usr/lib/switch-root/policies.d";
    let scene = match build {
        Build::Full => boot()?.policy("50-keep", policy("keep-paths")?, Some(settings)),
        Build::Small => boot_small()?
            .file(format!("{folder}/50-keep.cwasm"), native("keep-paths")?)
            .file(format!("{folder}/50-keep.json"), settings),
    };
    Ok(scene
        .options(["--strategy", strategy])
        .file(
            "/extensions.yaml",
            "layers: [{image: 'example:1', metadata: {name: example}}]\n",
        )
        .file("/kept/file", "kept")
        .file("/carried/file", "carried")
        .file("/carried/other", "carried, too")
        .file("/many/a", "a")
        .file("/many/b", "b")
        .file("/many/below/c", "c")
        .file("/many/below/below/d", "d")
        .symlink("/many/link", "/sysroot/etc/precious")
        .tmpfs("/data")
        .file("/data/file", "on another file system")
        .file("/run/precious", "of the running system")
        .in_new_root(|tree| tree.file("/etc/precious", "of the new root"))
        .look_at(LOOKED_AT))
}
