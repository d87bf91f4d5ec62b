//! Makes components: from the source of a policy, the same bytes on every machine; and, for the
//! tests, those that no policy should be.

pub mod refused;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use wasmparser::KnownCustom;
use wit_component::ComponentEncoder;

/// What policies in Rust are compiled for: a core module without any system interface.
const TARGET: &str = "wasm32-unknown-unknown";

/// The custom section in which compilers and linkers sign their work.
const PRODUCERS: &str = "producers";

/// Builds the policy crate `package` of the workspace at `workspace` and returns its component.
///
/// The bytes depend on the sources, `Cargo.lock` and the compiler, and not on where the
/// workspace, cargo's home and the compiler are, or on flags in the environment. [`compiler`]
/// says which compiler it was.
///
/// # Errors
///
/// If cargo can't be run or fails (it has written why to stderr by then), if the package makes
/// no component, or one that is not valid.
pub fn build(workspace: &Path, package: &str) -> Result<Vec<u8>> {
    let path = build_module(workspace, package)
        .with_context(|| format!("building the policy {package} in {}", workspace.display()))?;
    let module = std::fs::read(&path)
        .with_context(|| format!("reading the module {} that cargo built", path.display()))?;
    encode(&module).with_context(|| format!("turning {} into a component", path.display()))
}

/// Runs cargo and returns the path of the core module that it made.
fn build_module(workspace: &Path, package: &str) -> Result<PathBuf> {
    let mut cargo = cargo(workspace);
    cargo
        .args(["build", "--locked", "--release", "--target", TARGET])
        .args(["--package", package, "--lib"])
        .arg("--message-format=json-render-diagnostics")
        .env("CARGO_ENCODED_RUSTFLAGS", encoded_rustflags(workspace)?)
        // Sections are chosen in `encode`: the linker would drop the producers too.
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        // Compiled once, so incremental state would only be in the way.
        .env("CARGO_INCREMENTAL", "0");
    let messages = output(&mut cargo).with_context(|| {
        format!("cargo said why above (a missing target: rustup target add {TARGET})")
    })?;
    let mut artifacts = messages
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact");
    // The package that was asked for is the last one that cargo finishes.
    let files = artifacts
        .next_back()
        .map(|message| message["filenames"].clone());
    let mut files = files.iter().flat_map(|files| files.as_array()).flatten();
    let is_module = |file: &&serde_json::Value| {
        file.as_str()
            .is_some_and(|file| Path::new(file).extension() == Some(OsStr::new("wasm")))
    };
    let module = files.find(is_module).and_then(|file| file.as_str());
    module.map(PathBuf::from).with_context(|| {
        format!("{package} makes no .wasm: its Cargo.toml needs crate-type = [\"cdylib\"]")
    })
}

/// A cargo whose result does not depend on the environment of this process.
fn cargo(workspace: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace);
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        let changes_code = name_text.starts_with("CARGO_PROFILE_")
            || name_text.starts_with("CARGO_TARGET_WASM32")
            || name_text == "RUSTC_WORKSPACE_WRAPPER";
        if changes_code {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs the command with stderr passed through, and returns what it wrote to stdout.
fn output(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("running {name}: is it installed and in PATH?"))?;
    ensure!(
        output.status.success(),
        "{name} ended with {}",
        output.status
    );
    Ok(output.stdout)
}

/// The flags that take the paths of this machine out of what is compiled, in the encoding of
/// `CARGO_ENCODED_RUSTFLAGS`, in which a path may have spaces. Messages about places in the
/// source carry paths, and these would be in the data of the component.
fn encoded_rustflags(workspace: &Path) -> Result<OsString> {
    let workspace = workspace
        .canonicalize()
        .with_context(|| format!("finding the workspace {}", workspace.display()))?;
    let mut flags = OsString::new();
    let mut remap = |from: &Path, to: &str| {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(from);
        flags.push("=");
        flags.push(to);
    };
    for folder in folders_of_dependencies(&workspace)? {
        remap(&folder, "/dependencies");
    }
    remap(&workspace, "/switch-root");
    // Only there where the sources of the standard library are installed; elsewhere the
    // compiler writes this path itself.
    let (sysroot, commit) = compiler_in_use(&workspace)?;
    let library = sysroot.join("lib/rustlib/src/rust");
    remap(&library, &format!("/rustc/{commit}"));
    Ok(flags)
}

/// The folders that the sources of dependencies lie in, each in a folder of its own: cargo's
/// registry by default, and whatever a vendoring or mirroring configuration makes of it.
fn folders_of_dependencies(workspace: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut metadata = cargo(workspace);
    metadata.args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform",
        TARGET,
    ]);
    let metadata: serde_json::Value = serde_json::from_slice(&output(&mut metadata)?)
        .context("reading what cargo metadata wrote")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let folders = packages
        // Those without a source are the workspace's own.
        .filter(|package| !package["source"].is_null())
        .filter_map(|package| package["manifest_path"].as_str())
        .filter_map(|manifest| Path::new(manifest).parent()?.parent())
        .map(Path::to_path_buf);
    Ok(folders.collect())
}

/// Where the compiler's own files are, and the commit that it was built from.
fn compiler_in_use(workspace: &Path) -> Result<(PathBuf, String)> {
    let rustc = || {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.current_dir(workspace);
        rustc
    };
    let sysroot = output(rustc().args(["--print", "sysroot"]))?;
    let sysroot = String::from_utf8(sysroot).context("reading the path of rustc's sysroot")?;
    let version = output(rustc().arg("-vV"))?;
    let version = String::from_utf8(version).context("reading what rustc -vV wrote")?;
    let commit = version
        .lines()
        .find_map(|line| line.strip_prefix("commit-hash: "))
        .context("rustc -vV names no commit-hash")?;
    Ok((PathBuf::from(sysroot.trim_end()), commit.to_string()))
}

/// Turns a core module, as the toolchain of a policy made it, into a valid component. Names,
/// debugging information and the list of processor features are left out; what the compiler
/// says about itself stays.
///
/// # Errors
///
/// If `module` is no core module, carries no description of its imports and exports, or does
/// not fit it.
pub fn encode(module: &[u8]) -> Result<Vec<u8>> {
    let module = keep_custom_sections(module, |name| {
        name == PRODUCERS || name.starts_with("component-type")
    })?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .context("reading the description of the module's imports and exports")?
        .encode()
        .context("putting the component together")?;
    without_names(&component)
}

/// Copies a component without the names that the encoder gives to what is in it. They are a
/// twentieth of a small policy, and nobody sees them.
fn without_names(component: &[u8]) -> Result<Vec<u8>> {
    let mut copy = wasm_encoder::Component::new();
    let mut depth = 0;
    for payload in wasmparser::Parser::new(0).parse_all(component) {
        let payload = payload.context("reading the sections of the component")?;
        let section = payload.as_section();
        match payload {
            // What is inside of a section is copied with that section.
            wasmparser::Payload::Version { .. } => depth += 1,
            wasmparser::Payload::End(_) => depth -= 1,
            _ => {}
        }
        if let wasmparser::Payload::CustomSection(section) = &payload
            && section.name() == "component-name"
        {
            continue;
        }
        if let (1, Some((id, range))) = (depth, section) {
            let data = &component[range.start as usize..range.end as usize];
            copy.section(&wasm_encoder::RawSection { id, data });
        }
    }
    Ok(copy.finish())
}

/// Copies a core module without those custom sections that are not to be kept.
fn keep_custom_sections(module: &[u8], keep: impl Fn(&str) -> bool) -> Result<Vec<u8>> {
    let mut copy = wasm_encoder::Module::new();
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        let payload = payload.context("reading the sections of the module")?;
        match &payload {
            wasmparser::Payload::Version {
                encoding: wasmparser::Encoding::Component,
                ..
            } => bail!("this is a component already, not a core module"),
            wasmparser::Payload::CustomSection(section) if !keep(section.name()) => continue,
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            let data = &module[range.start as usize..range.end as usize];
            copy.section(&wasm_encoder::RawSection { id, data });
        }
    }
    Ok(copy.finish())
}

/// The compiler that a component, or one of the modules in it, says it was made by, such as
/// `rustc 1.95.0 (59807616e 2026-04-14)`; nothing if it does not say.
///
/// Two compilers make different bytes of the same source. So a test that compares a component
/// with a rebuilt one looks at this first.
///
/// # Errors
///
/// If `component` is neither a component nor a module.
pub fn compiler(component: &[u8]) -> Result<Option<String>> {
    for payload in wasmparser::Parser::new(0).parse_all(component) {
        // Modules inside of the component are read in their turn.
        let payload = payload.context("reading the sections of the component")?;
        let wasmparser::Payload::CustomSection(section) = payload else {
            continue;
        };
        let KnownCustom::Producers(fields) = section.as_known() else {
            continue;
        };
        for field in fields {
            let field = field.context("reading the producers of the component")?;
            for value in field.values {
                let value = value.context("reading the producers of the component")?;
                if field.name == "processed-by" && value.name == "rustc" {
                    return Ok(Some(format!("rustc {}", value.version)));
                }
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> PathBuf {
        let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        while !path.join("wit/policy.wit").exists() {
            assert!(
                path.pop(),
                "no wit/policy.wit above {}",
                env!("CARGO_MANIFEST_DIR")
            );
        }
        path
    }

    fn contract() -> String {
        std::fs::read_to_string(workspace().join("wit/policy.wit")).unwrap()
    }

    /// The names that a component imports and exports.
    fn interfaces(component: &[u8]) -> (Vec<String>, Vec<String>) {
        let decoded = wit_component::decode(component).unwrap();
        let wit_component::DecodedWasm::Component(resolve, world) = decoded else {
            panic!("not a component");
        };
        let world = &resolve.worlds[world];
        let names = |items: Vec<&wit_parser::WorldKey>| {
            items
                .into_iter()
                .map(|key| resolve.name_world_key(key))
                .collect()
        };
        (
            names(world.imports.keys().collect()),
            names(world.exports.keys().collect()),
        )
    }

    #[test]
    fn refused_components_are_wrong_in_one_respect() {
        let (imports, exports) = interfaces(&refused::importing_wasi(&contract()).unwrap());
        assert!(
            imports.contains(&"wasi:cli/environment@0.2.0".to_string()),
            "{imports:?}"
        );
        assert!(
            imports.contains(&"wasi:filesystem/types@0.2.0".to_string()),
            "{imports:?}"
        );
        assert_eq!(exports, ["switch-root:policy/preservation@0.1.0"]);

        for version in ["0.2.0", "1.0.0", "0.1.0-rc.1"] {
            let component = refused::of_version(&contract(), version).unwrap();
            let (_, exports) = interfaces(&component);
            assert_eq!(
                exports,
                [format!("switch-root:policy/preservation@{version}")]
            );
        }
        let (imports, exports) = interfaces(&refused::calling_later(&contract()).unwrap());
        assert!(
            imports.contains(&"switch-root:policy/log@0.1.1".to_string()),
            "{imports:?}"
        );
        assert_eq!(exports, ["switch-root:policy/preservation@0.1.1"]);
        let (imports, exports) = interfaces(&refused::importing_other_log(&contract()).unwrap());
        assert!(
            imports.contains(&"switch-root:policy/log@0.2.0".to_string()),
            "{imports:?}"
        );
        assert_eq!(exports, ["switch-root:policy/preservation@0.1.0"]);
        let (_, mut exports) = interfaces(&refused::of_two_versions(&contract()).unwrap());
        exports.sort();
        assert_eq!(
            exports,
            [
                "switch-root:policy/preservation@0.1.0",
                "switch-root:policy/preservation@0.2.0"
            ]
        );

        let module = refused::core_module(&contract()).unwrap();
        assert!(wasmparser::Parser::is_core_wasm(&module));
        let component = encode(&module).unwrap();
        assert_eq!(
            interfaces(&component).1,
            ["switch-root:policy/preservation@0.1.0"]
        );
        assert!(wit_component::decode(&refused::truncated(&component)).is_err());
        assert!(encode(&component).is_err());
    }

    #[test]
    fn policies_export_what_they_registered_and_import_nothing_but_types_and_log() {
        let types = "switch-root:policy/types@0.1.0";
        let log = "switch-root:policy/log@0.1.0";
        for (package, expected_imports, expected_exports) in [
            (
                "default",
                vec![types],
                vec!["compatibility", "preservation"],
            ),
            (
                "keep-paths",
                vec![log, types],
                vec!["preservation", "settings"],
            ),
            (
                "extension-allowlist",
                vec![types],
                vec!["compatibility", "settings"],
            ),
            (
                "hostile",
                vec![log, types],
                vec!["compatibility", "preservation", "settings"],
            ),
        ] {
            let package = format!("switch-root-policy-{package}");
            let component = build(&workspace(), &package).unwrap();
            let (mut imports, mut exports) = interfaces(&component);
            imports.sort();
            exports.sort();
            let expected_exports: Vec<_> = expected_exports
                .iter()
                .map(|name| format!("switch-root:policy/{name}@0.1.0"))
                .collect();
            assert_eq!(imports, expected_imports, "{package}");
            assert_eq!(exports, expected_exports, "{package}");
            let compiler = compiler(&component).unwrap().unwrap();
            assert!(compiler.starts_with("rustc 1."), "{package}: {compiler}");
        }
    }
}
