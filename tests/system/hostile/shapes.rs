//! Components whose very shape attacks: many of something, too large for what the host
//! allows, nested, or with what the host does not run.

use super::attack::{Attack, Expected, Question, fails};
use super::component;
use crate::tools::Stop;

/// The same text many times, each with its number in place of `#`.
fn many(count: usize, text: &str) -> String {
    (0..count)
        .map(|number| text.replace('#', &number.to_string()))
        .collect()
}

/// What it has, the text beside that of the policy, the kind of the failure and words.
type Shape = (&'static str, String, (&'static str, &'static str));

fn shapes() -> Vec<Shape> {
    // What validation says comes behind "is not a valid component: ".
    let invalid = |words| ("not-a-policy", words);
    let module =
        |text: &str| format!("(core module $more {text}) (core instance (instantiate $more))");
    vec![
        (
            "has 100 core instances",
            format!(
                "(core module $more) {}",
                many(100, "(core instance (instantiate $more))")
            ),
            ("limit", "instance count too high at 17"),
        ),
        (
            "has 10 memories",
            module(&many(10, "(memory 1)")),
            ("limit", "memory count too high at "),
        ),
        (
            "has 100 tables",
            module(&many(100, "(table 1 funcref)")),
            ("limit", "table count too high at "),
        ),
        (
            "has a memory of 4 GiB",
            module("(memory 65536)"),
            (
                "memory",
                "asked for 4294967296 bytes of memory (limit 33554432)",
            ),
        ),
        (
            "has a table of a million elements",
            module("(table 1000000 funcref)"),
            (
                "limit",
                "asked for a table of 1000000 elements (limit 2000)",
            ),
        ),
        (
            "has a memory beyond 32 bits",
            module("(memory i64 0x100000000)"),
            ("memory", "bytes of memory (limit 33554432)"),
        ),
        (
            "has a shared memory",
            module("(memory 1 1 shared)"),
            invalid("threads must be enabled for shared memories"),
        ),
        (
            "has garbage to be collected",
            module("(type $node (struct (field (ref null $node))))"),
            invalid("cannot define struct types when gc types are disabled"),
        ),
        (
            "throws exceptions",
            module("(tag $tag) (func (throw $tag))"),
            invalid("exceptions proposal not enabled"),
        ),
        (
            "writes its data beyond its memory",
            module(r#"(memory 1) (data (i32.const -4) "here it is")"#),
            ("trap", "trapped: wasm trap: out of bounds memory access"),
        ),
        (
            "writes its functions beyond its table",
            module("(table 1 funcref) (func $f) (elem (i32.const 100) $f)"),
            ("trap", "out of bounds table access"),
        ),
        (
            "imports two thousand functions",
            many(2_000, r#"(import "function-#" (func))"#),
            ("imports", "imports function-0, function-1, "),
        ),
        (
            "imports a name of 90 kB",
            format!(r#"(import "f{}" (func))"#, "-x".repeat(45_000)),
            ("imports", "imports f-x-x-x-x-x"),
        ),
        (
            "has a type that doubles 40 times",
            format!(
                "(type $t0 (tuple u8 u8)) {}",
                (1..40)
                    .map(|n| format!("(type $t{n} (tuple $t{0} $t{0}))", n - 1))
                    .collect::<String>()
            ),
            invalid("effective type size exceeds the limit of 1000000"),
        ),
    ]
}

/// Every shape.
pub fn attacks() -> Result<Vec<Attack>, Stop> {
    let attacks = shapes().into_iter().map(|(does, text, (kind, words))| {
        Ok(Attack::new(
            does,
            component::with(&[("component", &text)])?,
            fails(Question::Load, kind, words),
        ))
    });
    attacks.collect()
}

/// What is large or many, and breaks no rule.
pub fn harmless() -> Result<Vec<Attack>, Stop> {
    let shapes = [
        (
            "exports two thousand functions",
            format!(
                "(core module $more (func (export \"f\")))
                 (core instance $more (instantiate $more))
                 (func $more (canon lift (core func $more \"f\")))
                 {}",
                many(2_000, r#"(export "function-#" (func $more))"#)
            ),
        ),
        (
            "nests lists fifty deep",
            format!(
                "(type $t0 (list u8)) {}",
                (1..50)
                    .map(|n| format!("(type $t{n} (list $t{}))", n - 1))
                    .collect::<String>()
            ),
        ),
    ];
    let attacks = shapes.into_iter().map(|(does, text)| {
        let wasm = component::with(&[("component", &text)])?;
        Ok(Attack::new(does, wasm, Expected::Nothing))
    });
    attacks.collect()
}
