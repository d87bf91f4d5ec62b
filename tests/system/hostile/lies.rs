//! Answers that lie: pointers and lengths that lead out of memory, words that are no words,
//! values that there are not, and lists of the wrong length.

use super::attack::{Attack, Question, fails};
use super::component;
use crate::tools::Stop;

use Question::{Compatibility, Load, Preservation};

/// A lie: what the policy does, where, in which code, and what comes of it: the kind of the
/// failure and words.
type Lie = (
    &'static str,
    &'static str,
    &'static str,
    (&'static str, &'static str),
);

const TRAP: &str = "trap";
const BEYOND_HOST: (&str, &str) = (
    "limit",
    "passed more than 4194304 bytes to the host in one call",
);

const LIES: &[Lie] = &[
    // Where the answer is.
    (
        "answers beyond its memory",
        "preservation",
        "(return (i32.const -4))",
        (TRAP, "pointer out of bounds"),
    ),
    (
        "answers at an odd place",
        "preservation",
        "(return (i32.const 17))",
        (TRAP, "pointer not aligned"),
    ),
    (
        "answers neither well nor badly",
        "preservation",
        "(i32.store (i32.const 16) (i32.const 7)) (return (i32.const 16))",
        (TRAP, "discriminant"),
    ),
    // Where the decisions are, and how many.
    (
        "has 2^32-1 decisions",
        "preservation",
        "(return (call $list (i32.const 4096) (i32.const -1)))",
        (TRAP, "out of bounds"),
    ),
    (
        "has 2^31-1 decisions",
        "preservation",
        "(return (call $list (i32.const 4096) (i32.const 0x7fffffff)))",
        (TRAP, "out of bounds"),
    ),
    (
        "has so many decisions that their size is small again",
        "preservation",
        // 12 bytes each: 2^32 + 8.
        "(return (call $list (i32.const 4096) (i32.const 357913942)))",
        (TRAP, "out of bounds"),
    ),
    (
        "has decisions that wrap around",
        "preservation",
        "(return (call $list (i32.const -16) (i32.const 100)))",
        (TRAP, "out of bounds"),
    ),
    (
        "has decisions that end beyond its memory",
        "preservation",
        "(return (call $list
           (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 16)) (local.get $count)))",
        (TRAP, "out of bounds"),
    ),
    (
        "has decisions at an odd place",
        "preservation",
        "(return (call $list (i32.const 4097) (local.get $count)))",
        (TRAP, "not aligned"),
    ),
    (
        "has a decision that there is not",
        "preservation",
        "(i32.store8 (i32.const 4096) (i32.const 200))",
        (TRAP, "discriminant"),
    ),
    (
        "has a million decisions",
        "preservation",
        "(drop (memory.grow (i32.const 200)))
         (return (call $list (i32.const 131072) (i32.const 1000000)))",
        BEYOND_HOST,
    ),
    (
        "has no decisions",
        "preservation",
        "(return (call $list (i32.const 4096) (i32.const 0)))",
        ("answer", "0 decisions for the "),
    ),
    (
        "has a decision too few",
        "preservation",
        "(return (call $list (i32.const 4096) (i32.sub (local.get $count) (i32.const 1))))",
        ("answer", " decisions for the "),
    ),
    (
        "has a decision too many",
        "preservation",
        "(return (call $list (i32.const 4096) (i32.add (local.get $count) (i32.const 1))))",
        ("answer", " decisions for the "),
    ),
    // What is in them.
    (
        "carries to a path of 2^32-1 bytes",
        "preservation",
        "(i32.store (i32.const 4096) (i32.const 2))
         (i32.store (i32.const 4100) (i32.const 8192))
         (i32.store (i32.const 4104) (i32.const -1))",
        (TRAP, "out of bounds"),
    ),
    (
        "carries to a path beyond its memory",
        "preservation",
        "(i32.store (i32.const 4096) (i32.const 2))
         (i32.store (i32.const 4100) (i32.const 0x7fffffff))
         (i32.store (i32.const 4104) (i32.const 4))",
        (TRAP, "out of bounds"),
    ),
    (
        "hands over one memory as each of its paths",
        "preservation",
        "(drop (memory.grow (i32.const 20)))
         (loop $next
           (i32.store offset=4096 (i32.mul (local.get $i) (i32.const 12)) (i32.const 2))
           (i32.store offset=4100 (i32.mul (local.get $i) (i32.const 12)) (i32.const 0))
           (i32.store offset=4104 (i32.mul (local.get $i) (i32.const 12)) (i32.const 1000000))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $next (i32.lt_u (local.get $i) (local.get $count))))",
        BEYOND_HOST,
    ),
    // Errors.
    (
        "has an error of 2^32-1 bytes",
        "preservation",
        "(return (call $error (i32.const 8192) (i32.const -1)))",
        (TRAP, "out of bounds"),
    ),
    (
        "has an error beyond its memory",
        "preservation",
        "(return (call $error (i32.const -2) (i32.const 2)))",
        (TRAP, "out of bounds"),
    ),
    (
        "has an error of 8 MiB",
        "preservation",
        "(drop (memory.grow (i32.const 200)))
         (return (call $error (i32.const 0) (i32.const 8388608)))",
        BEYOND_HOST,
    ),
    (
        "has an error that is no text",
        "preservation",
        "(i32.store (i32.const 8192) (i32.const 0xfffefffe)) (return (call $error (i32.const 8192) (i32.const 4)))",
        (TRAP, "invalid utf-8"),
    ),
    (
        "has an error with half a character",
        "preservation",
        // U+D800 as three bytes.
        "(i32.store (i32.const 8192) (i32.const 0x80a0ed)) (return (call $error (i32.const 8192) (i32.const 3)))",
        (TRAP, "invalid utf-8"),
    ),
    (
        "has an error that writes on the console",
        "preservation",
        // Escape, `[2J`, a new line, NUL, and U+0085, which is one, too.
        "(i64.store (i32.const 8192) (i64.const 0x85c2000a4a325b1b)) (return (call $error (i32.const 8192) (i32.const 8)))",
        ("error", r"says: \x1b[2J\n\x00\xc2\x85"),
    ),
    (
        "has an error without words",
        "preservation",
        "(return (call $error (i32.const 0) (i32.const 0)))",
        ("error", "says: "),
    ),
    // Verdicts.
    (
        "answers about extensions beyond its memory",
        "compatibility",
        "(return (i32.const -16))",
        (TRAP, "pointer out of bounds"),
    ),
    (
        "has 2^32-1 verdicts",
        "compatibility",
        "(return (call $list (i32.const 4096) (i32.const -1)))",
        (TRAP, "out of bounds"),
    ),
    (
        "has a verdict that there is not",
        "compatibility",
        "(i32.store8 (i32.const 4096) (i32.const 3))",
        (TRAP, "discriminant"),
    ),
    (
        "has no verdicts",
        "compatibility",
        "(return (call $list (i32.const 4096) (i32.const 0)))",
        ("answer", "0 verdicts for 1 extensions"),
    ),
    (
        "has a million verdicts",
        "compatibility",
        "(drop (memory.grow (i32.const 200)))
         (return (call $list (i32.const 131072) (i32.const 1000000)))",
        BEYOND_HOST,
    ),
    (
        "has two verdicts for one extension",
        "compatibility",
        "(return (call $list (i32.const 4096) (i32.const 2)))",
        ("answer", "2 verdicts for 1 extensions"),
    ),
    (
        "has a reason that is no text",
        "compatibility",
        "(i32.store (i32.const 8192) (i32.const 0xfffefffe))
         (i32.store (i32.const 4096) (i32.const 1))
         (i32.store (i32.const 4100) (i32.const 8192))
         (i32.store (i32.const 4104) (i32.const 4))",
        (TRAP, "invalid utf-8"),
    ),
    (
        "has a reason beyond its memory",
        "compatibility",
        "(i32.store (i32.const 4096) (i32.const 1))
         (i32.store (i32.const 4100) (i32.const -1))
         (i32.store (i32.const 4104) (i32.const 4))",
        (TRAP, "out of bounds"),
    ),
    // Settings.
    (
        "refuses its settings beyond its memory",
        "configure",
        "(return (call $error (i32.const -2) (i32.const 2)))",
        (TRAP, "out of bounds"),
    ),
    (
        "refuses its settings with what is no text",
        "configure",
        "(i32.store (i32.const 8192) (i32.const 0xfffefffe)) (return (call $error (i32.const 8192) (i32.const 4)))",
        (TRAP, "invalid utf-8"),
    ),
    (
        "refuses its settings on the console",
        "configure",
        "(i64.store (i32.const 8192) (i64.const 0x85c2000a4a325b1b)) (return (call $error (i32.const 8192) (i32.const 8)))",
        ("settings", r"refuses its settings: \x1b[2J\n\x00\xc2\x85"),
    ),
    // Messages.
    (
        "logs from beyond its memory",
        "preservation",
        "(call $log (i32.const 0) (i32.const -8) (i32.const 4))",
        (TRAP, "out of bounds"),
    ),
    (
        "logs 2^32-1 bytes",
        "preservation",
        "(call $log (i32.const 0) (i32.const 8192) (i32.const -1))",
        (TRAP, "out of bounds"),
    ),
    (
        "logs what is no text",
        "preservation",
        "(i32.store (i32.const 8192) (i32.const 0xfffefffe))
         (call $log (i32.const 0) (i32.const 8192) (i32.const 4))",
        (TRAP, "invalid utf-8"),
    ),
    (
        "logs at a level that there is not",
        "preservation",
        "(call $log (i32.const 9) (i32.const 8192) (i32.const 4))",
        (TRAP, "discriminant"),
    ),
    // Where the host is to write.
    (
        "has no place for what it is handed",
        "realloc",
        "(local.set $at (i32.const -16))",
        (TRAP, "realloc return: beyond end of memory"),
    ),
    (
        "has a place at the last byte",
        "realloc",
        "(local.set $at (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)))",
        (TRAP, "realloc return: beyond end of memory"),
    ),
];

/// Every lie.
pub fn attacks() -> Result<Vec<Attack>, Stop> {
    let lies = LIES.iter().map(|&(does, place, code, (kind, words))| {
        let question = match place {
            "preservation" => Preservation,
            "compatibility" => Compatibility,
            _ => Load,
        };
        Ok(Attack::new(
            does,
            component::with(&[(place, code)])?,
            fails(question, kind, words),
        ))
    });
    lies.collect()
}
