//! What a component says of itself, in the custom sections that tools have agreed on.
//!
//! They are read one by one rather than with the crate `wasm-metadata`: that one builds a
//! tree of everything that is nested in a file, whose depth and size the file decides, and
//! refuses the whole file where one licence is misspelt.

use std::collections::BTreeSet;

use policy::description;
use serde::Serialize;
use switch_root_core::escape;
use wasmparser::{ComponentName, CustomSectionReader, KnownCustom, Name};

/// The most of one text that is kept, in bytes.
const TEXT: usize = 4096;

/// Producers that are kept.
const PRODUCERS: usize = 100;

/// What is said of origin and purpose. All texts are escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// Its name.
    pub name: Option<String>,
    /// The metadata sections.
    #[serde(flatten)]
    pub sections: description::Metadata,
    /// Languages and tools, of the modules inside too, in alphabetic order.
    pub producers: BTreeSet<Producer>,
}

/// A language or a tool that a component was made with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub field: String,
    /// Its name.
    pub name: String,
    /// Its version, if it says one.
    pub version: String,
}

impl Metadata {
    /// Takes what a custom section says; of a nested module or component who made it, and
    /// nothing else. A section that cannot be read says nothing: the engine ignores it too.
    pub fn take(&mut self, section: &CustomSectionReader<'_>, outermost: bool) {
        match section.as_known() {
            KnownCustom::Producers(fields) => {
                // What stands in front of a fault is kept.
                let _ = self.producers(fields);
            }
            KnownCustom::ComponentName(names) if outermost => {
                for name in names.into_iter().map_while(Result::ok) {
                    if let ComponentName::Component { name, .. } = name {
                        self.name = Some(text(name));
                    }
                }
            }
            KnownCustom::Name(names) if outermost => {
                for name in names.into_iter().map_while(Result::ok) {
                    if let Name::Module { name, .. } = name {
                        self.name = Some(text(name));
                    }
                }
            }
            KnownCustom::Unknown if outermost => {
                self.sections.read(section.name(), section.data());
            }
            _ => {}
        }
    }

    /// Makes what the sections say fit to be printed.
    pub fn escape(&mut self) {
        let said = &mut self.sections;
        for said in [
            &mut said.authors,
            &mut said.description,
            &mut said.licenses,
            &mut said.source,
            &mut said.homepage,
            &mut said.revision,
            &mut said.version,
        ] {
            *said = said.as_deref().map(text);
        }
    }

    fn producers(
        &mut self,
        fields: wasmparser::ProducersSectionReader<'_>,
    ) -> wasmparser::Result<()> {
        for field in fields {
            let field = field?;
            for value in field.values {
                let value = value?;
                if self.producers.len() == PRODUCERS {
                    return Ok(());
                }
                self.producers.insert(Producer {
                    field: text(field.name),
                    name: text(value.name),
                    version: text(value.version),
                });
            }
        }
        Ok(())
    }
}

fn text(text: &str) -> String {
    escape::message(text, TEXT)
}
