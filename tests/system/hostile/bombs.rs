//! Components that are small to store and large to compile. The deadline ends what takes
//! long, and the judge's address space what takes much.

use serde_json::json;
use wasm_encoder::{
    CodeSection, Component, ComponentExportKind, ComponentExportSection, ComponentInstanceSection,
    Function, FunctionSection, Module, ModuleSection, NestedComponentSection, TypeSection, ValType,
};

use super::attack::{Attack, Expected, Question};
use crate::tools::Stop;

/// A component that holds one module with these functions, which take and return nothing.
fn of_functions(bodies: impl IntoIterator<Item = Function>) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    for body in bodies {
        functions.function(0);
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    answering(component, 0)
}

/// A component that says it answers a question, which is so far all that is known of it before
/// it is compiled: one that does not is refused by its names. It has so many instances.
fn answering(mut component: Component, instances: u32) -> Vec<u8> {
    let mut interface = ComponentInstanceSection::new();
    interface.export_items(Vec::<(&str, ComponentExportKind, u32)>::new());
    let mut exports = ComponentExportSection::new();
    let question = "switch-root:policy/preservation@0.1.0";
    exports.export(question, ComponentExportKind::Instance, instances, None);
    component.section(&interface).section(&exports);
    component.finish()
}

/// A function with locals, and instructions that are written by `write`.
fn function(locals: u32, write: impl FnOnce(&mut Function)) -> Function {
    let mut function = Function::new([(locals, ValType::I32)]);
    write(&mut function);
    function.instructions().end();
    function
}

fn many_functions() -> Vec<u8> {
    let one = function(4, |it| {
        for local in 0..4 {
            let mut to = it.instructions();
            to.local_get(local)
                .i32_const(7)
                .i32_mul()
                .local_set(3 - local);
        }
    });
    of_functions(std::iter::repeat_n(one, 150_000))
}

fn huge_function() -> Vec<u8> {
    of_functions([function(100, |it| {
        for step in 0..300_000u32 {
            let mut to = it.instructions();
            to.local_get(step % 97)
                .i32_const(3)
                .i32_xor()
                .local_set(step % 89);
        }
    })])
}

/// Each of many branches gives each of many variables a value of its own.
fn many_locals() -> Vec<u8> {
    let locals = 20_000;
    of_functions([function(locals, |it| {
        for step in 0..20_000 {
            let mut to = it.instructions();
            to.local_get(step)
                .if_(wasm_encoder::BlockType::Empty)
                .i32_const(1)
                .local_set((step * 7) % locals)
                .end();
        }
        for local in 0..locals {
            it.instructions().local_get(local).drop();
        }
    })])
}

fn deep_blocks() -> Vec<u8> {
    of_functions((0..4).map(|_| {
        function(1, |it| {
            for _ in 0..300_000 {
                let mut to = it.instructions();
                to.block(wasm_encoder::BlockType::Empty)
                    .local_get(0)
                    .br_if(0);
            }
            for _ in 0..300_000 {
                it.instructions().end();
            }
        })
    }))
}

fn big_tables() -> Vec<u8> {
    of_functions((0..40).map(|_| {
        function(1, |it| {
            for _ in 0..1000 {
                it.instructions().block(wasm_encoder::BlockType::Empty);
            }
            let targets: Vec<u32> = (0..65_000).map(|target| target % 1000).collect();
            it.instructions().local_get(0).br_table(targets, 0);
            for _ in 0..1000 {
                it.instructions().end();
            }
        })
    }))
}

/// Components inside each other, each of which makes ten instances of the one in it.
fn nested_instances() -> Vec<u8> {
    const EACH: u32 = 10;
    let mut inner = Component::new();
    inner.section(&ModuleSection(&Module::new()));
    for _ in 0..12 {
        let mut outer = Component::new();
        outer.section(&NestedComponentSection(&inner));
        let mut instances = ComponentInstanceSection::new();
        for _ in 0..EACH {
            instances.instantiate(0, Vec::<(&str, ComponentExportKind, u32)>::new());
        }
        outer.section(&instances);
        inner = outer;
    }
    answering(inner, EACH)
}

/// What ends a component that is not compiled in time. Which comes first depends on the
/// machine.
const ENDS: [(&str, &str); 2] = [
    ("deadline", "did not answer within its deadline of 1000 ms"),
    (
        "crash",
        "ended the judge by SIGABRT: it ran out of memory, or met a defect",
    ),
];

type Bomb = (&'static str, fn() -> Vec<u8>);

fn attack((does, make): Bomb, ends: &[(&'static str, &'static str)]) -> Attack {
    let expected = Expected::Fails(Question::Load, ends.to_vec());
    Attack::new(does, make(), expected).limits(json!({"deadline_ms": 1000}))
}

/// Every bomb.
pub fn attacks() -> Result<Vec<Attack>, Stop> {
    let bombs: [Bomb; 4] = [
        ("has 150000 functions", many_functions),
        ("has 20000 variables in 20000 branches", many_locals),
        ("has a million blocks in each other", deep_blocks),
        ("has 10^12 instances", nested_instances),
    ];
    Ok(bombs.map(|bomb| attack(bomb, &ENDS)).into())
}

/// What looks like a bomb, and is compiled in time where the machine is not too slow.
pub fn duds() -> Result<Vec<Attack>, Stop> {
    let duds: [Bomb; 2] = [
        ("has a function of 2 MB", huge_function),
        ("has large tables of branches", big_tables),
    ];
    let ends = [
        ("not-a-policy", "does not fit the contract 0.1.0"),
        ENDS[0],
        ENDS[1],
    ];
    Ok(duds.map(|dud| attack(dud, &ends)).into())
}
