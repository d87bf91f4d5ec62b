use std::time::{Duration, Instant};

use wasm_encoder::{
    Alias, CodeSection, Component, ComponentAliasSection, ComponentInstanceSection,
    ComponentNameSection, ComponentOuterAliasKind, ComponentSectionId, CustomSection, Encode,
    Function, FunctionSection, InstanceSection, MemorySection, MemoryType, Module, ModuleArg,
    NestedComponentSection, ProducersField, ProducersSection, RawSection, RefType, TableSection,
    TableType, TypeSection,
};

use super::sections::read;
use super::*;

/// What reading a hostile file may take, in an unoptimized build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn module() -> Module {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 2,
        maximum: Some(4),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 30,
        maximum: None,
        shared: false,
    });
    let mut module = Module::new();
    module.section(&tables).section(&memories);
    module
}

fn instances(modules: &[u32]) -> InstanceSection {
    let mut section = InstanceSection::new();
    for module in modules {
        section.instantiate(*module, Vec::<(&str, ModuleArg)>::new());
    }
    section
}

#[test]
fn an_instance_of_instances_is_counted_with_all_that_is_in_it() {
    let mut inner = Component::new();
    // The module of the component around it, and one of its own.
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::Outer {
        kind: ComponentOuterAliasKind::CoreModule,
        count: 1,
        index: 0,
    });
    inner
        .section(&aliases)
        .section(&wasm_encoder::ModuleSection(&Module::new()))
        .section(&instances(&[0, 0, 1]));
    let mut outer = Component::new();
    outer
        .section(&wasm_encoder::ModuleSection(&module()))
        .section(&NestedComponentSection(&inner))
        .section(&instances(&[0]));
    let mut twice = ComponentInstanceSection::new();
    for _ in 0..2 {
        twice.instantiate(
            0,
            Vec::<(&str, wasm_encoder::ComponentExportKind, u32)>::new(),
        );
    }
    outer.section(&twice);
    let sections = read(&outer.finish());
    assert_eq!(sections.problem, None);
    let expected = Core {
        instances: 7,
        memories: 5,
        memory_initial_bytes: 2 << 16,
        memory_maximum_bytes: Some(4 << 16),
        tables: 5,
        table_initial_elements: 30,
        table_maximum_elements: None,
        more: false,
    };
    assert_eq!(sections.core, expected);
}

fn custom(name: &str, text: &[u8]) -> RawCustom {
    let mut data = Vec::new();
    name.encode(&mut data);
    data.extend_from_slice(text);
    RawCustom(data)
}

struct RawCustom(Vec<u8>);

impl RawCustom {
    fn section(&self) -> RawSection<'_> {
        RawSection {
            id: 0,
            data: &self.0,
        }
    }
}

#[test]
fn what_a_component_says_of_itself_is_read_and_escaped() {
    let mut producers = ProducersSection::new();
    producers.field(
        "processed-by",
        ProducersField::new().value("rustc", "1.95.0"),
    );
    let mut inner = module();
    inner.section(&producers);
    let mut names = ComponentNameSection::new();
    names.component("keeper");
    let mut component = Component::new();
    component
        .section(&wasm_encoder::ModuleSection(&inner))
        .section(&names)
        .section(&custom("description", b"keeps\n\x1b[2Jit").section())
        .section(&custom("licenses", b"no licence of SPDX").section())
        .section(&custom("version", b"\xff").section());
    let sections = read(&component.finish());
    let metadata = sections.metadata;
    assert_eq!(metadata.name.as_deref(), Some("keeper"));
    assert_eq!(
        metadata.sections.description.as_deref(),
        Some(r"keeps\n\x1b[2Jit")
    );
    assert_eq!(
        metadata.sections.licenses.as_deref(),
        Some("no licence of SPDX")
    );
    assert_eq!(metadata.sections.version, None);
    let made: Vec<_> = metadata.producers.into_iter().collect();
    assert_eq!(made.len(), 1);
    assert_eq!(
        (made[0].name.as_str(), made[0].version.as_str()),
        ("rustc", "1.95.0")
    );
    assert!(sections.size.custom > 0);
}

/// Sections of a component nested so deeply, with one byte too few.
fn nested(depth: usize) -> Vec<u8> {
    let mut component = Component::new().finish();
    for _ in 0..depth {
        let mut outer = Component::new();
        outer.section(&RawSection {
            id: ComponentSectionId::Component.into(),
            data: &component,
        });
        component = outer.finish();
    }
    component
}

#[test]
fn depth_and_parts_are_bounded() {
    let started = Instant::now();
    assert_eq!(read(&nested(40)).problem, None);
    let problem = read(&nested(2_000)).problem.unwrap();
    assert!(problem.contains("more than 50"), "{problem}");

    let mut many = Component::new();
    let empty = Module::new();
    for _ in 0..200_000 {
        many.section(&wasm_encoder::ModuleSection(&empty));
    }
    let problem = read(&many.finish()).problem.unwrap();
    assert!(problem.contains("more than 100000 parts"), "{problem}");

    // Each instance doubles what is in it: more than there are numbers.
    let mut doubling = Component::new();
    let mut first = Component::new();
    first
        .section(&wasm_encoder::ModuleSection(&module()))
        .section(&instances(&[0]));
    doubling.section(&NestedComponentSection(&first));
    for index in 0..80 {
        let mut next = Component::new();
        let mut aliases = ComponentAliasSection::new();
        aliases.alias(Alias::Outer {
            kind: ComponentOuterAliasKind::Component,
            count: 1,
            index,
        });
        let mut twice = ComponentInstanceSection::new();
        for _ in 0..2 {
            twice.instantiate(
                0,
                Vec::<(&str, wasm_encoder::ComponentExportKind, u32)>::new(),
            );
        }
        next.section(&aliases).section(&twice);
        doubling.section(&NestedComponentSection(&next));
    }
    let mut all = ComponentInstanceSection::new();
    all.instantiate(
        80,
        Vec::<(&str, wasm_encoder::ComponentExportKind, u32)>::new(),
    );
    doubling.section(&all);
    assert_eq!(read(&doubling.finish()).core.instances, u64::MAX);
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

#[test]
fn a_million_types_and_functions_take_no_time() {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    let mut body = Function::new([]);
    body.instructions().end();
    for _ in 0..1_000_000 {
        types.ty().function([], []);
        functions.function(0);
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let mut component = Component::new();
    component.section(&wasm_encoder::ModuleSection(&module));
    let started = Instant::now();
    let sections = read(&component.finish());
    assert_eq!(sections.problem, None);
    assert!(sections.size.code >= 2_000_000);
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

#[test]
fn what_is_cut_off_anywhere_is_told_as_far_as_it_goes() {
    let mut component = Component::new();
    component
        .section(&custom("version", b"1.2.3").section())
        .section(&wasm_encoder::ModuleSection(&module()))
        .section(&instances(&[0]))
        .section(&CustomSection {
            name: "end".into(),
            data: (&[1, 2, 3][..]).into(),
        });
    let whole = component.finish();
    assert_eq!(read(&whole).core.memories, 1);
    for length in 0..whole.len() {
        let sections = read(&whole[..length]);
        assert_eq!(sections.size.file, length as u64);
        assert!(
            sections.problem.is_some() || sections.kind == Kind::Unknown || length >= 8,
            "{length}"
        );
    }
    let cut = read(&whole[..whole.len() - 1]);
    assert!(cut.problem.is_some());
    assert_eq!(cut.metadata.sections.version.as_deref(), Some("1.2.3"));
    assert_eq!(read(b"#!/bin/sh\n").kind, Kind::Unknown);
    assert_eq!(read(&Module::new().finish()).kind, Kind::CoreModule);
}
