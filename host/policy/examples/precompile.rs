//! Compiles policies ahead of time, as `srctl policy compile` does, but loads none of them
//! first: for the default policy, which the programs embed, and for tests.
//!
//! `precompile TARGET FILE.wasm FILE.cwasm [FILE.wasm FILE.cwasm]...`

use std::error::Error;
use std::fs;

use switch_root_policy_host::engine;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, files @ ..] = &arguments[..] else {
        return Err("no target is named".into());
    };
    for pair in files.chunks(2) {
        let [source, path] = pair else {
            return Err(format!("there is no file to write for {}", pair[0]).into());
        };
        let wasm = fs::read(source).map_err(|error| format!("reading {source}: {error}"))?;
        let native =
            engine::compile(&wasm, target).map_err(|error| format!("{source}: {error}"))?;
        // Only where it changed: what embeds it is built again when the file is newer.
        if fs::read(path).ok().as_ref() != Some(&native) {
            fs::write(path, native).map_err(|error| format!("writing {path}: {error}"))?;
        }
    }
    Ok(())
}
