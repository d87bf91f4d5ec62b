//! Embeds the ahead-of-time compiled default policy where one is given.
//!
//! `cargo xtask dist` compiles `src/default.wasm` for the target and names the
//! file in SWITCH_ROOT_DEFAULT_CWASM. A plain `cargo build` has none and
//! compiles the default policy at each start.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    const VARIABLE: &str = "SWITCH_ROOT_DEFAULT_CWASM";
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let bytes = match env::var_os(VARIABLE) {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", path.display());
            fs::read(&path).unwrap_or_else(|error| panic!("{VARIABLE}={}: {error}", path.display()))
        }
        None => Vec::new(),
    };
    fs::write(out.join("default.cwasm"), bytes).expect("cannot write to OUT_DIR");
}
