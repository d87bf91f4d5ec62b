//! Components: made from the core module that a policy's tools have made, and read as far as
//! that needs no engine.

use policy::component::{self, Item};
use policy::contract;
use switch_root_core::error::{Error, Result};
use wasmparser::{Encoding, KnownCustom, Parser, Payload};
use wit_component::ComponentEncoder;

switch_root_core::outcomes! {
    /// Why what a toolchain made is not used.
    pub(crate) enum Unusable in "policies" {
        /// The SDK, or the generator of bindings, is of another version than this tool: take those of
        /// one release.
        "SR-T49" Description { error: String } = "the description of the module's imports and exports cannot be used: {error}",
        "SR-T50" Encoding { error: String } = "the module cannot be made a component: {error}",
        "SR-T51" Component = "this is a component already, not a core module",
        /// The file is damaged, or not WebAssembly.
        "SR-T52" Sections { error: String } = "the sections of the file cannot be read: {error}",
    }
}

/// The custom section in which compilers and linkers sign their work.
const PRODUCERS: &str = "producers";

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
        .map_err(|error| {
            Error::input(Unusable::Description {
                error: format!("{error:#}"),
            })
        })?
        .encode()
        .map_err(|error| {
            Error::input(Unusable::Encoding {
                error: format!("{error:#}"),
            })
        })?;
    without_names(&component)
}

/// Copies a component without the names that the encoder gives to what is in it. They are a
/// twentieth of a small policy, and nobody sees them.
fn without_names(component: &[u8]) -> Result<Vec<u8>> {
    let mut copy = wasm_encoder::Component::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(unreadable)?;
        let section = payload.as_section();
        match payload {
            // What is inside of a section is copied with that section.
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            _ => {}
        }
        if let Payload::CustomSection(section) = &payload
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
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(unreadable)?;
        match &payload {
            Payload::Version {
                encoding: Encoding::Component,
                ..
            } => {
                return Err(Error::input(Unusable::Component));
            }
            Payload::CustomSection(section) if !keep(section.name()) => continue,
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
    for payload in Parser::new(0).parse_all(component) {
        // Modules inside of the component are read in their turn.
        let Payload::CustomSection(section) = payload.map_err(unreadable)? else {
            continue;
        };
        let KnownCustom::Producers(fields) = section.as_known() else {
            continue;
        };
        for field in fields {
            let field = field.map_err(unreadable)?;
            for value in field.values {
                let value = value.map_err(unreadable)?;
                if field.name == "processed-by" && value.name == "rustc" {
                    return Ok(Some(format!("rustc {}", value.version)));
                }
            }
        }
    }
    Ok(None)
}

/// The names of what a component, or a core module, imports and exports, such as
/// `switch-root:policy/log@0.1.0`, in its own order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// What it asks of the host. Of a module's imports those of one interface are one.
    pub imports: Vec<String>,
    /// What the host may ask of it.
    pub exports: Vec<String>,
}

impl Interfaces {
    /// The imports that no policy may have.
    pub fn foreign(&self) -> Vec<String> {
        let foreign = |name: &&String| !contract::may_import(name);
        self.imports.iter().filter(foreign).cloned().collect()
    }
}

/// Reads what a component or a core module imports and exports. Neither is checked otherwise.
///
/// # Errors
///
/// If `wasm` is neither, or is truncated.
pub fn interfaces(wasm: &[u8]) -> Result<Interfaces> {
    let mut found = Interfaces::default();
    component::read(wasm, |item| match item {
        // A core module names what it imports from once for each function.
        Item::Import { name, .. } if found.imports.iter().any(|other| other == name) => {}
        Item::Import { name, .. } => found.imports.push(name.to_owned()),
        Item::Export(name) => found.exports.push(name.to_owned()),
        Item::Custom(..) => {}
    })
    .map_err(unreadable)?;
    Ok(found)
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    let error = error.to_string();
    Error::input(Unusable::Sections { error })
}
