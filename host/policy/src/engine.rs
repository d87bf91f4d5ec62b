//! The WebAssembly engine: how it is set up, and components compiled ahead of time.
//!
//! A `.cwasm` file is a line that names the format, a line of JSON (its
//! [`Record`]), and then what wasmtime serializes. It is native code: whoever
//! can write it owns the machine, see [`crate::folder`] for when it is used.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use switch_root_core::limits::fixed;
use switch_root_core::outcome::Code;
#[cfg(feature = "compile")]
use switch_root_core::outcome::Message;
use switch_root_core::text::hexadecimal;
use wasmtime::{Config, Engine, ModuleVersionStrategy};
#[cfg(feature = "compile")]
use wasmtime::{OptLevel, RegallocAlgorithm};

use crate::native::InPlace;
#[cfg(feature = "compile")]
use crate::native::PAGE;

switch_root_core::outcomes! {
    /// Why native code is not this engine's: what follows the file's name in a sentence.
    pub enum Unusable in "compiled-code" {
        /// It was compiled by another tool, or is damaged. `srctl policy compile` makes a new one.
        "SR-C05" NoRecord = "has no record of its origin; compile it again with switch-root's own tools",
        "SR-C06" Truncated = "is truncated in its record",
        "SR-C07" Record { error: serde_json::Error } = "has a record that cannot be read: {error}",
        /// The `.wasm` was replaced, and the `.cwasm` was not. Compile it again.
        "SR-C08" OtherSource { digest: String } = "was compiled from another .wasm file ({digest})",
        /// The boot program was updated, and the `.cwasm` was not. Compile it again with the `srctl`
        /// of the same release.
        "SR-C09" OtherEngine { other: String } = "was compiled by {other}, and this is {ENGINE}",
    }
}

switch_root_core::outcomes! {
    /// Why a component is not compiled ahead of time.
    pub enum NotCompiled in "policies" {
        /// The target is misspelled, or `srctl` was built without what makes code for it. The sentence
        /// ends with those that it compiles for.
        "SR-T01" Target { target: String, error: String } = "cannot compile for {target}: {error}",
        /// Its tools made what the engine does not take. Build the policy again, with the tools that
        /// `srctl policy build` names.
        "SR-T02" Component { error: String } = "cannot compile the component: {error}",
    }
}

/// What compiled code is tied to, by its record and by wasmtime's own check:
/// our release, since a new one may bring a repaired engine or other settings.
pub const ENGINE: &str = concat!("switch-root ", env!("CARGO_PKG_VERSION"), ", wasmtime 48");

/// How a `.cwasm` file begins: the format, and its version.
pub const MAGIC: &[u8] = FORMAT.as_bytes();

/// The line that is [`MAGIC`].
pub const FORMAT: &str = "switch-root ahead-of-time policy 1\n";

/// The code of what is said of code of another engine.
pub const OTHER_ENGINE: Code = Code::declared("SR-C09");

/// What a `.cwasm` file says of its origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The digest of the `.wasm` that it was compiled from.
    pub source: String,
    /// The [`ENGINE`] that compiled it. wasmtime compares this and the engine's
    /// settings once more, on the code itself.
    pub engine: String,
    /// The target triple that it was compiled for.
    pub target: String,
}

impl Record {
    /// Whether this host may run the code: it was compiled by this very engine, of the
    /// `.wasm` with this digest where there is one.
    ///
    /// # Errors
    /// What follows the name of the file in a sentence.
    pub fn check(&self, digest: Option<&str>) -> Result<(), Unusable> {
        if digest.is_some_and(|digest| digest != self.source) {
            let digest = self.source.clone();
            return Err(Unusable::OtherSource { digest });
        }
        if self.engine != ENGINE {
            let other = self.engine.clone();
            return Err(Unusable::OtherEngine { other });
        }
        Ok(())
    }
}

/// The digest of a file as reports and records spell it: `sha256:<64 hex digits>`.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hexadecimal(&Sha256::digest(bytes)))
}

/// Splits a `.cwasm` file into its record and its code.
///
/// # Errors
/// A sentence for the operator where it is not such a file.
pub fn split_native(file: &[u8]) -> Result<(Record, &[u8]), Unusable> {
    let rest = file.strip_prefix(MAGIC).ok_or(Unusable::NoRecord)?;
    let end = rest
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or(Unusable::Truncated)?;
    let record =
        serde_json::from_slice(&rest[..end]).map_err(|error| Unusable::Record { error })?;
    Ok((record, &rest[end + 1..]))
}

/// The target triple of an architecture, as the static binaries of switch-root have it.
/// Images of containers have other names for two of them.
#[cfg(feature = "compile")]
pub fn target_of(architecture: &str) -> String {
    let architecture = match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    };
    format!("{architecture}-unknown-linux-musl")
}

/// Whether this build compiles for a target triple.
///
/// # Errors
/// A sentence with the triple, and what wasmtime says of it.
#[cfg(feature = "compile")]
pub fn check_target(target: &str) -> Result<(), NotCompiled> {
    engine_for(target).map(drop)
}

/// The architectures that this build compiles for, as triples begin.
#[cfg(feature = "compile")]
pub fn architectures() -> Vec<&'static str> {
    // All Linux machines that wasmtime can make native code for.
    ["x86_64", "aarch64", "riscv64gc", "s390x"]
        .into_iter()
        .filter(|architecture| check_target(&target_of(architecture)).is_ok())
        .collect()
}

#[cfg(feature = "compile")]
fn engine_for(target: &str) -> Result<Engine, NotCompiled> {
    config()
        .and_then(|mut config| Engine::new(config.target(target)?))
        .map_err(|error| {
            let shown = |text: &str| switch_root_core::escape::message(text, fixed::ERROR_MESSAGE);
            NotCompiled::Target {
                target: shown(target),
                error: shown(&format!("{error:#}")),
            }
        })
}

/// Compiles a component ahead of time, for the baseline of a target triple
/// (never for the build machine's own processor).
///
/// # Errors
/// It imports what no policy may; or what wasmtime says of the component or the target.
#[cfg(feature = "compile")]
pub fn compile(wasm: &[u8], target: &str) -> Result<Vec<u8>, Message> {
    let engine = engine_for(target)?;
    crate::component::check_names(wasm)?;
    let code = engine
        .precompile_component(wasm)
        .map_err(|error| NotCompiled::Component {
            error: format!("{error:#}"),
        })?;
    let record = Record {
        source: digest(wasm),
        engine: ENGINE.to_owned(),
        target: target.to_owned(),
    };
    let mut file = MAGIC.to_vec();
    serde_json::to_writer(&mut file, &record).map_err(|error| NotCompiled::Component {
        error: error.to_string(),
    })?;
    // Spaces up to a page, less the end of the line: see `native`.
    let page = (file.len() + 1).next_multiple_of(PAGE);
    file.resize(page - 1, b' ');
    file.push(b'\n');
    file.extend_from_slice(&code);
    Ok(file)
}

/// Makes the engine that runs what was compiled ahead of time, without the
/// compiler, whose start alone would take a tenth of the time that a boot has.
///
/// # Errors
/// What wasmtime says, on a machine that it cannot run on.
pub fn for_native() -> wasmtime::Result<Engine> {
    let config = config()?;
    #[cfg(feature = "compile")]
    let config = {
        let mut config = config;
        config.enable_compiler(false);
        config
    };
    Engine::new(&config)
}

/// Makes the engine that compiles for this machine, fast rather than well: what it
/// compiles is asked a few times, and the boot waits for it.
///
/// # Errors
/// What wasmtime says, on a machine that it cannot run on.
#[cfg(feature = "compile")]
pub fn for_compiling() -> wasmtime::Result<Engine> {
    let mut config = config()?;
    config
        .cranelift_opt_level(OptLevel::None)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    Engine::new(&config)
}

/// What is left out here is the main security measure: no threads, no garbage
/// collection, no async, and nothing that a policy could need them for.
fn config() -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .max_wasm_stack(fixed::WASM_STACK)
        .memory_reservation(fixed::MEMORY_RESERVATION)
        .memory_reservation_for_growth(0)
        .memory_guard_size(fixed::MEMORY_GUARD)
        .guard_before_linear_memory(false)
        .memory_init_cow(false)
        .generate_address_map(false)
        // Nothing walks a policy's stack, and registering its frames takes time.
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(None)
        .concurrency_support(false)
        .with_custom_code_memory(Some(Arc::new(InPlace)))
        .module_version(ModuleVersionStrategy::Custom(ENGINE.to_owned()))?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_native_file_is_split_into_record_and_code() {
        let record = Record {
            source: digest(b""),
            engine: "wasmtime 1".into(),
            target: "t".into(),
        };
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(&serde_json::to_vec(&record).unwrap());
        assert!(
            split_native(&file)
                .unwrap_err()
                .to_string()
                .contains("truncated")
        );
        file.extend_from_slice(b"\ncode\nmore");
        assert_eq!(split_native(&file).unwrap(), (record, &b"code\nmore"[..]));
        assert!(
            split_native(b"\x7fELF")
                .unwrap_err()
                .to_string()
                .contains("no record")
        );
        assert!(
            split_native(&[MAGIC, b"{}\n"].concat())
                .unwrap_err()
                .to_string()
                .contains("source")
        );
    }

    #[test]
    #[cfg(feature = "compile")]
    fn both_names_of_an_architecture_are_one_target() {
        assert_eq!(target_of("amd64"), target_of("x86_64"));
        assert_eq!(target_of("arm64"), "aarch64-unknown-linux-musl");
        assert_eq!(target_of("riscv64gc"), "riscv64gc-unknown-linux-musl");
    }

    #[test]
    fn a_digest_is_spelt_with_its_algorithm() {
        assert_eq!(
            digest(b""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
