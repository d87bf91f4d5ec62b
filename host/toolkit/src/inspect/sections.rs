//! What can be told of a file by its sections, without compiling or running it.
//!
//! The file decides how much there is to read, and what is nested in what. So it is read
//! once from front to end; what is kept is bounded, and so is how deep is looked.

use serde::Serialize;
use switch_root_core::escape;
use wasmparser::BinaryReaderError;
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Encoding, Instance, Parser, Payload,
};

use super::metadata::Metadata;
use super::parts::Core;

switch_root_core::outcomes! {
    /// Why sections are not read to the end.
    pub(crate) enum Unread in "policies" {
        /// It was truncated or damaged: build it again. What was read before is shown.
        "SR-T53" Malformed { error: BinaryReaderError } = "{error}",
        /// No toolchain makes so much in one component.
        "SR-T54" Nested = "it has more than {DEPTH} components in each other",
        "SR-T55" Parts = "it consists of more than {PARTS} parts",
    }
}

/// Components within each other at most. wit-component makes two.
const DEPTH: usize = 50;

/// Modules, components and instances that are counted at most.
const PARTS: usize = 100_000;

/// Names of imports and exports that are kept.
const NAMES: usize = 200;

/// The most of one name that is kept, in bytes.
const NAME: usize = 1024;

/// What a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What a policy has to be.
    Component,
    /// WebAssembly, but not a component.
    CoreModule,
    /// Compiled ahead of time.
    Native,
    /// Something else.
    #[default]
    Unknown,
}

/// Bytes of a file, and of its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// All of it.
    pub file: u64,
    /// Functions.
    pub code: u64,
    /// What memories are initialized with.
    pub data: u64,
    /// Custom sections: names, debugging information, metadata.
    pub custom: u64,
}

/// What the sections of a file tell. All texts are escaped.
#[derive(Clone, Debug, Default)]
pub struct Sections {
    /// What it is.
    pub kind: Kind,
    /// How large it is.
    pub size: Sizes,
    /// What it says of itself.
    pub metadata: Metadata,
    /// The names that it imports, such as `switch-root:policy/log@0.1.0`.
    pub imports: Vec<String>,
    /// The names that it exports.
    pub exports: Vec<String>,
    /// What one instance of it consists of.
    pub core: Core,
    /// Why reading ended before the end of the file.
    pub problem: Option<String>,
}

/// A component or module that is being read.
#[derive(Default)]
struct Frame {
    component: bool,
    /// The module index space. What is imported is not known.
    modules: Vec<Option<Core>>,
    /// The component index space.
    components: Vec<Option<Core>>,
    /// What instantiating it makes, so far.
    core: Core,
}

/// Reads a file. What is wrong with it is in `problem`: the rest is told all the same.
pub fn read(file: &[u8]) -> Sections {
    let mut sections = Sections {
        size: Sizes {
            file: file.len() as u64,
            ..Sizes::default()
        },
        ..Sections::default()
    };
    if !file.starts_with(b"\0asm") {
        return sections;
    }
    let mut reader = Reader {
        sections: &mut sections,
        stack: Vec::new(),
        parts: 0,
    };
    let read = reader.read(file);
    sections.problem = read
        .err()
        .map(|reason| escape::message(&reason.to_string(), NAME));
    sections.metadata.escape();
    sections
}

struct Reader<'a> {
    sections: &'a mut Sections,
    stack: Vec<Frame>,
    parts: usize,
}

impl Reader<'_> {
    fn read(&mut self, file: &[u8]) -> Result<(), Unread> {
        for payload in Parser::new(0).parse_all(file) {
            self.take(payload.map_err(|error| Unread::Malformed { error })?)?;
        }
        Ok(())
    }

    fn take(&mut self, payload: Payload<'_>) -> Result<(), Unread> {
        let wrong = |error| Unread::Malformed { error };
        match payload {
            Payload::Version { encoding, .. } if self.stack.is_empty() => {
                let component = encoding == Encoding::Component;
                self.sections.kind = match component {
                    true => Kind::Component,
                    false => Kind::CoreModule,
                };
                self.enter(component)?;
            }
            Payload::ModuleSection { .. } => self.enter(false)?,
            Payload::ComponentSection { .. } => self.enter(true)?,
            Payload::End(_) => self.leave(),
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                self.sections.size.code += range.end - range.start;
            }
            Payload::DataSection(data) => {
                let range = data.range();
                self.sections.size.data += range.end - range.start;
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let memory = memory.map_err(wrong)?;
                    self.part()?;
                    self.frame().core.memory(&memory);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    let table = table.map_err(wrong)?;
                    self.part()?;
                    self.frame().core.table(&table.ty);
                }
            }
            Payload::CustomSection(section) => {
                let range = section.range();
                self.sections.size.custom += range.end - range.start;
                let outermost = self.stack.len() == 1;
                self.sections.metadata.take(&section, outermost);
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    if let Instance::Instantiate { module_index, .. } = instance.map_err(wrong)? {
                        self.part()?;
                        let frame = self.frame();
                        let module = frame.modules.get(module_index as usize);
                        let module = module.copied().flatten();
                        frame.core.add(module.unwrap_or_else(Core::unknown));
                    }
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances {
                    if let ComponentInstance::Instantiate {
                        component_index, ..
                    } = instance.map_err(wrong)?
                    {
                        self.part()?;
                        let frame = self.frame();
                        let component = frame.components.get(component_index as usize);
                        let component = component.copied().flatten();
                        frame.core.add(component.unwrap_or_else(Core::unknown));
                    }
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    self.alias(&alias.map_err(wrong)?)?;
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    let import = import.map_err(wrong)?;
                    match import.ty {
                        ComponentTypeRef::Module(_) => self.module(None)?,
                        ComponentTypeRef::Component(_) => self.component(None)?,
                        _ => {}
                    }
                    if self.stack.len() == 1 {
                        keep(&mut self.sections.imports, import.name.name);
                    }
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    let export = export.map_err(wrong)?;
                    let index = export.index as usize;
                    // What is exported has one more index.
                    match export.kind {
                        ComponentExternalKind::Module => {
                            let module = self.frame().modules.get(index).copied().flatten();
                            self.module(module)?;
                        }
                        ComponentExternalKind::Component => {
                            let component = self.frame().components.get(index).copied().flatten();
                            self.component(component)?;
                        }
                        _ => {}
                    }
                    if self.stack.len() == 1 {
                        keep(&mut self.sections.exports, export.name.name);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self, component: bool) -> Result<(), Unread> {
        if self.stack.len() == DEPTH {
            return Err(Unread::Nested);
        }
        self.part()?;
        self.stack.push(Frame {
            component,
            core: match component {
                true => Core::default(),
                false => Core::module(),
            },
            ..Frame::default()
        });
        Ok(())
    }

    fn leave(&mut self) {
        let Some(frame) = self.stack.pop() else {
            return;
        };
        match self.stack.last_mut() {
            None => self.sections.core = frame.core,
            Some(above) if frame.component => above.components.push(Some(frame.core)),
            Some(above) => above.modules.push(Some(frame.core)),
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) -> Result<(), Unread> {
        match *alias {
            ComponentAlias::InstanceExport { kind, .. } => match kind {
                ComponentExternalKind::Module => self.module(None),
                ComponentExternalKind::Component => self.component(None),
                _ => Ok(()),
            },
            ComponentAlias::Outer { kind, count, index } => {
                let frame = (self.stack.len().checked_sub(1))
                    .and_then(|last| last.checked_sub(count as usize))
                    .and_then(|at| self.stack.get(at));
                let of = |space: fn(&Frame) -> &[Option<Core>]| {
                    frame.and_then(|frame| space(frame).get(index as usize).copied().flatten())
                };
                match kind {
                    ComponentOuterAliasKind::CoreModule => {
                        let module = of(|frame| &frame.modules);
                        self.module(module)
                    }
                    ComponentOuterAliasKind::Component => {
                        let component = of(|frame| &frame.components);
                        self.component(component)
                    }
                    _ => Ok(()),
                }
            }
            ComponentAlias::CoreInstanceExport { .. } => Ok(()),
        }
    }

    fn module(&mut self, module: Option<Core>) -> Result<(), Unread> {
        self.part()?;
        self.frame().modules.push(module);
        Ok(())
    }

    fn component(&mut self, component: Option<Core>) -> Result<(), Unread> {
        self.part()?;
        self.frame().components.push(component);
        Ok(())
    }

    /// Counts one more thing that is remembered.
    fn part(&mut self) -> Result<(), Unread> {
        self.parts += 1;
        if self.parts > PARTS {
            return Err(Unread::Parts);
        }
        Ok(())
    }

    /// What is being read. There always is something: the parser begins with a header.
    fn frame(&mut self) -> &mut Frame {
        if self.stack.is_empty() {
            self.stack.push(Frame::default());
        }
        self.stack.last_mut().expect("one was put there")
    }
}

fn keep(names: &mut Vec<String>, name: &str) {
    if names.len() < NAMES {
        names.push(escape::message(name, NAME));
    }
}
