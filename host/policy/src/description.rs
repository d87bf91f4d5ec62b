//! What a component says of itself: what it exports and imports, and the metadata
//! that its tools have written into it. It is read and validated, never run.

use serde::Serialize;
use switch_root_core::{escape, file};
use wasmparser::Validator;
use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::TypesRef;

use crate::bindings::PACKAGE;
use crate::component::{self, Item};
use crate::contract::{self, Import};

/// What a component says of itself. All of it is untrusted text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Names of what it exports, in their order.
    pub exports: Vec<String>,
    /// Names of what it imports, in their order.
    pub imports: Vec<String>,
    /// What is in each of those that is an interface, types aside: what it may call.
    called: Vec<Option<Vec<String>>>,
    /// What its metadata sections say.
    pub metadata: Metadata,
}

/// The metadata sections that tools agree on (those of the crate wasm-metadata).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// `authors`: names, as they are written.
    pub authors: Option<String>,
    /// `description`: a sentence.
    pub description: Option<String>,
    /// `licenses`: an SPDX expression.
    pub licenses: Option<String>,
    /// `source`: the URL of the source code.
    pub source: Option<String>,
    /// `homepage`: a URL.
    pub homepage: Option<String>,
    /// `revision`: of the source code.
    pub revision: Option<String>,
    /// `version`: of what is in it.
    pub version: Option<String>,
}

/// The most of a metadata section that is taken, in bytes. One that is longer is
/// passed over, as is one that is no text: it is nothing that a policy needs.
const METADATA: usize = 4096;
/// The most of another text that is shown, in bytes.
const SHOWN: usize = 1000;

/// Reads a component.
///
/// # Errors
/// It is none, or not valid: what follows the file's name in a sentence.
pub fn describe(wasm: &[u8]) -> Result<Description, String> {
    file::check_component(wasm).map_err(|reason| reason.to_string())?;
    let invalid = |reason: String| format!("is not a valid component: {reason}");
    let types = Validator::new()
        .validate_all(wasm)
        .map_err(|error| invalid(escape::message(&error.to_string(), SHOWN)))?;
    let mut description = Description::default();
    component::read(wasm, |item| match item {
        Item::Import { name, .. } => {
            description.imports.push(name.to_owned());
            description.called.push(functions(types.as_ref(), name));
        }
        Item::Export(name) => description.exports.push(name.to_owned()),
        Item::Custom(name, data) => description.metadata.read(name, data),
    })
    .map_err(invalid)?;
    Ok(description)
}

/// What an imported interface has that is no type; `None` where it is no interface.
fn functions(types: TypesRef<'_>, import: &str) -> Option<Vec<String>> {
    let ComponentEntityType::Instance(id) = types.component_item_for_import(import)?.ty else {
        return None;
    };
    let items = types.get(id)?.exports.iter();
    let functions = items.filter(|(_, item)| !matches!(item.ty, ComponentEntityType::Type { .. }));
    Some(functions.map(|(name, _)| name.clone()).collect())
}

impl Metadata {
    /// Takes what a custom section says, if it is one of these.
    pub fn read(&mut self, name: &str, data: &[u8]) {
        let field = match name {
            "authors" => &mut self.authors,
            "description" => &mut self.description,
            "licenses" => &mut self.licenses,
            "source" => &mut self.source,
            "homepage" => &mut self.homepage,
            "revision" => &mut self.revision,
            "version" => &mut self.version,
            _ => return,
        };
        let text = std::str::from_utf8(data).ok();
        *field = text
            .filter(|text| !text.is_empty() && text.len() <= METADATA)
            .map(str::to_owned);
    }
}

impl Description {
    /// Whether it can be a policy: it imports nothing that no host gives it, and
    /// answers a question. Of which version of the contract, a host decides.
    ///
    /// # Errors
    /// It cannot: what follows the file's name in a sentence.
    pub fn check_policy(&self) -> Result<(), String> {
        let foreign: Vec<&str> = self
            .imports
            .iter()
            .map(String::as_str)
            .filter(|name| !contract::may_import(name))
            .collect();
        if !foreign.is_empty() {
            return Err(format!(
                "imports {}; a policy may import nothing but {PACKAGE}log, so build it without WASI and without other interfaces",
                escape::message(&foreign.join(", "), SHOWN)
            ));
        }
        if self.questions().next().is_none() {
            return Err(format!(
                "answers no question: it exports neither {PACKAGE}preservation nor {PACKAGE}compatibility"
            ));
        }
        Ok(())
    }

    /// Whether a host of this release would load it, as far as that shows without running
    /// it: it is of the contract's version, imports nothing else, and answers a question.
    ///
    /// # Errors
    /// It would not: what a boot says after the policy's name.
    pub fn check_contract(&self) -> Result<(), String> {
        let imports: Vec<Import<'_>> = (self.imports.iter().zip(&self.called))
            .map(|(name, called)| Import {
                name,
                functions: (called.as_ref())
                    .map(|functions| functions.iter().map(String::as_str).collect()),
            })
            .collect();
        let exports: Vec<&str> = self.exports.iter().map(String::as_str).collect();
        contract::questions(&imports, &exports)
            .map(drop)
            .map_err(|failure| failure.message)
    }

    /// The interfaces of questions that it exports, by their whole names.
    pub fn questions(&self) -> impl Iterator<Item = &str> {
        let names = self.exports.iter().map(String::as_str);
        names.filter(|name| contract::is_question(name))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::borrow::Cow;

    use wasm_encoder::{
        Component, ComponentExportKind, ComponentExportSection, ComponentImportSection,
        ComponentTypeRef, CustomSection, InstanceType,
    };

    use super::*;

    /// A component with interfaces that hold nothing, and metadata sections.
    pub(crate) fn component(
        imports: &[&str],
        exports: &[&str],
        metadata: &[(&str, &[u8])],
    ) -> Vec<u8> {
        let mut component = Component::new();
        let mut types = wasm_encoder::ComponentTypeSection::new();
        types.instance(&InstanceType::new());
        component.section(&types);
        let mut section = ComponentImportSection::new();
        for name in imports {
            section.import(*name, ComponentTypeRef::Instance(0));
        }
        component.section(&section);
        let mut instances = wasm_encoder::ComponentInstanceSection::new();
        let nothing: [(&str, ComponentExportKind, u32); 0] = [];
        instances.export_items(nothing);
        component.section(&instances);
        let mut section = ComponentExportSection::new();
        for name in exports {
            let instance = u32::try_from(imports.len()).unwrap();
            section.export(*name, ComponentExportKind::Instance, instance, None);
        }
        component.section(&section);
        for (name, data) in metadata {
            component.section(&CustomSection {
                name: Cow::Borrowed(name),
                data: Cow::Borrowed(data),
            });
        }
        component.finish()
    }

    pub(crate) const PRESERVATION: &str = "switch-root:policy/preservation@0.1.0";
    const LOG: &str = "switch-root:policy/log@0.1.0";

    #[test]
    fn names_and_metadata_are_read() {
        let long = [b'x'; METADATA + 1];
        let wasm = component(
            &[LOG],
            &[PRESERVATION, "switch-root:policy/settings@0.1.0"],
            &[
                ("version", b"1.2.0"),
                ("description", &long),
                ("homepage", b"\xff"),
                ("source", b"https://example.com/a"),
                ("else", b"else"),
            ],
        );
        let description = describe(&wasm).unwrap();
        assert_eq!(description.imports, [LOG]);
        assert_eq!(
            description.exports,
            [PRESERVATION, "switch-root:policy/settings@0.1.0"]
        );
        assert_eq!(
            description.metadata,
            Metadata {
                version: Some("1.2.0".into()),
                source: Some("https://example.com/a".into()),
                ..Metadata::default()
            }
        );
        description.check_policy().unwrap();
        description.check_contract().unwrap();
        assert_eq!(description.questions().collect::<Vec<_>>(), [PRESERVATION]);
    }

    #[test]
    fn what_is_inside_is_not_taken_for_the_whole() {
        let mut outer = Component::new();
        let inner = component(&["wasi:cli/environment@0.2.0"], &[], &[("version", b"9")]);
        outer.section(&wasm_encoder::RawSection {
            id: wasm_encoder::ComponentSectionId::Component.into(),
            data: &inner,
        });
        let description = describe(&outer.finish()).unwrap();
        assert_eq!(description, Description::default());
        let reason = description.check_policy().unwrap_err();
        assert!(reason.contains("answers no question"), "{reason}");
    }

    #[test]
    fn what_is_no_policy_is_told_apart() {
        let whole = component(&[], &[PRESERVATION], &[]);
        let module = wasm_encoder::Module::new().finish();
        for (wasm, expected) in [
            (&b"#!/bin/sh\n"[..], "is not WebAssembly"),
            (b"", "is not WebAssembly"),
            (b"\0asm", "is not a valid component"),
            (&module, "is a core module"),
            (&whole[..whole.len() - 3], "is not a valid component"),
        ] {
            let reason = describe(wasm).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        }
        let foreign = [
            "wasi:cli/environment@0.2.0",
            "switch-root:policy/mount@0.1.0",
        ];
        let wasm = component(&[LOG, foreign[0], foreign[1]], &[PRESERVATION], &[]);
        let reason = describe(&wasm).unwrap().check_policy().unwrap_err();
        assert!(
            reason.starts_with(&format!("imports {}, {};", foreign[0], foreign[1])),
            "{reason}"
        );
    }
}
