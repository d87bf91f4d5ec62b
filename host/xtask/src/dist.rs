//! `cargo xtask dist`: what is installed, in `target/dist/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use switch_root_tests::architecture::Architecture;

use crate::documents;
use crate::engine::{EMBEDDED, PROFILE};
use crate::native;
use crate::policies;
use crate::programs::{self, install};
use crate::run::{cargo, files_below, run, step, target, workspace};
use crate::setup::{self, STATIC};
use crate::sizes;

/// The two builds of the boot binary that are installed: name, and what cargo is told.
const BUILDS: [(&str, &[&str]); 2] = [
    ("switch_root", &["--package", "switch-root"]),
    (
        "switch_root-aot",
        &["--package", "switch-root", "--no-default-features"],
    ),
];

/// The programs that are installed.
const INSTALLED: [&str; 3] = [BUILDS[0].0, BUILDS[1].0, "srctl"];

/// cargo's profile of the boot binaries that are installed.
const BOOT: &str = "release";

/// What makes the linker leave out the tables by which a stack is unwound, a twelfth of the small
/// program: a panic ends these programs where it happens, and nothing reads them. The compiler
/// cannot leave out those of the standard library.
const WITHOUT_UNWINDING: &str = "host/switch/without-unwinding.ld";

/// Where a program is built for, and how.
#[derive(Clone, Copy)]
pub struct Way {
    /// The target triple.
    pub target: &'static str,
    /// cargo's profile.
    pub profile: &'static str,
}

/// Builds everything, and returns the folder.
///
/// # Errors
/// What cannot be built, and why.
pub fn dist() -> Result<PathBuf> {
    let folder = target().join("dist");
    policies::build(&folder.join("policies"))?;
    boot_binaries(
        &folder,
        Way {
            target: STATIC,
            profile: BOOT,
        },
    )?;
    documents::write(&operator_binary()?, &folder)?;
    list(&folder)?;
    let [full, small, srctl] = INSTALLED.map(|name| folder.join(name));
    compare_sizes(&full, &small, &srctl)?;
    Ok(folder)
}

/// Compares the sizes of the programs that are installed with those that were accepted.
///
/// # Errors
/// Which of them has grown.
pub fn compare_sizes(full: &Path, small: &Path, srctl: &Path) -> Result<()> {
    let [of_full, of_small, of_srctl] = INSTALLED;
    sizes::compare(&[(of_full, full), (of_small, small), (of_srctl, srctl)])
}

/// Lays out what is installed in a folder without building what takes long to optimize: the
/// boot binaries are those that the tests run.
///
/// # Errors
/// What cannot be built or written.
pub fn like_dist(folder: &Path, full: &Path, small: &Path, srctl: &Path) -> Result<()> {
    policies::build(&folder.join("policies"))?;
    for (program, name) in [full, small, srctl].into_iter().zip(INSTALLED) {
        install(program, &folder.join(name))?;
    }
    documents::write(srctl, folder)
}

/// Builds the programs for the machines of an architecture, into a folder of `target/dist/`
/// that is named like it.
///
/// # Errors
/// What cannot be built, and why.
pub fn dist_for(architecture: Architecture) -> Result<()> {
    let folder = target().join("dist").join(architecture.name());
    let target = setup::static_target(architecture);
    boot_binaries(
        &folder,
        Way {
            target,
            profile: BOOT,
        },
    )?;
    let way = Way {
        target,
        profile: PROFILE,
    };
    let srctl = ["--package", "switch-root-srctl"];
    compile(&folder, "srctl", "srctl", &srctl, way)?;
    list(&folder)
}

/// Builds both boot binaries into a folder.
///
/// # Errors
/// Where one cannot be built.
pub fn boot_binaries(folder: &Path, way: Way) -> Result<()> {
    for (name, arguments) in BUILDS {
        compile(folder, name, "switch_root", arguments, way)?;
    }
    Ok(())
}

/// Builds one boot binary as it is installed, with a compiler or without one, into
/// `target/dist/`, and returns its path.
///
/// # Errors
/// Where it cannot be built.
pub fn boot_binary(compiler: bool) -> Result<PathBuf> {
    let (name, arguments) = BUILDS[usize::from(!compiler)];
    let way = Way {
        target: STATIC,
        profile: BOOT,
    };
    compile(&target().join("dist"), name, "switch_root", arguments, way)
}

/// Builds `srctl`, static, into `target/dist/` and returns its path.
///
/// # Errors
/// Where it cannot be built.
pub fn operator_binary() -> Result<PathBuf> {
    let installed = target().join("dist/srctl");
    install(&programs::build()?.join("srctl"), &installed)?;
    Ok(installed)
}

/// Builds a static program that cargo's arguments choose, and copies it to `folder/name`.
///
/// # Errors
/// Where it cannot be built or copied.
pub fn compile(
    folder: &Path,
    name: &str,
    program: &str,
    arguments: &[&str],
    way: Way,
) -> Result<PathBuf> {
    setup::targets(&[way.target])?;
    setup::c_compiler(name, way.target)?;
    let native = native::default_policy(way.target)?;
    step(&format!("{name} ({}, {})", way.target, way.profile));
    let mut build = cargo();
    build
        .args(["rustc", "--locked", "--profile", way.profile])
        .args(["--target", way.target, "--bin", program])
        .args(arguments)
        .env(EMBEDDED, &native);
    if way.profile == BOOT {
        // Rust's own linker takes its options itself, a compiler hands them on.
        let prefix = match way.target.starts_with("x86_64") {
            true => "-Wl,",
            false => "",
        };
        let script = workspace().join(WITHOUT_UNWINDING);
        build.arg("--");
        for option in [
            "--no-eh-frame-hdr",
            &format!("--script={}", script.display()),
        ] {
            build.args(["-C", &format!("link-arg={prefix}{option}")]);
        }
    }
    run(&mut build)?;
    let built = target().join(way.target).join(way.profile).join(program);
    let installed = folder.join(name);
    install(&built, &installed)?;
    Ok(installed)
}

/// Shows the files of a folder in `target/dist/`, and how large they are.
fn list(folder: &Path) -> Result<()> {
    let top = target().join("dist");
    println!("\n{:>12}  file", "bytes");
    for file in files_below(folder)? {
        let shown = file.strip_prefix(&top).unwrap_or(&file);
        println!(
            "{:>12}  target/dist/{}",
            fs::metadata(&file)?.len(),
            shown.display()
        );
    }
    Ok(())
}
