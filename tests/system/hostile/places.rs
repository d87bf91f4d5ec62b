//! What uses up time, memory or stack, in each function that the host has a policy run:
//! also while it is instantiated, while something is handed over to it, and after it has
//! answered.

use serde_json::json;

use super::attack::{Attack, Question, fails};
use super::component::{self, Place};
use crate::tools::Stop;

/// The places that are run, and what the policy is being asked then.
const PLACES: [(Place, &str, Question); 8] = [
    ("start", "when it starts", Question::Load),
    ("realloc", "when it is handed something", Question::Load),
    ("configure", "when it is configured", Question::Load),
    ("configure-post", "after it was configured", Question::Load),
    (
        "preservation",
        "when asked what survives",
        Question::Preservation,
    ),
    (
        "preservation-post",
        "after it said what survives",
        Question::Preservation,
    ),
    (
        "compatibility",
        "when asked what is compatible",
        Question::Compatibility,
    ),
    (
        "compatibility-post",
        "after it said what is compatible",
        Question::Compatibility,
    ),
];

/// What is done there.
#[derive(Clone, Copy)]
struct Act<'a> {
    does: &'static str,
    code: &'a str,
    /// The kind of the failure, and words of its sentence.
    fails: (&'static str, &'static str),
}

const FUEL: (&str, &str) = (
    "fuel",
    "ran out of fuel (limit 100000000 a call and 5000 for each entry)",
);

const ACTS: [Act<'static>; 8] = [
    Act {
        does: "traps",
        code: "(unreachable)",
        fails: ("trap", "trapped: wasm trap: wasm `unreachable` instruction"),
    },
    Act {
        does: "divides by zero",
        code: "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
        fails: ("trap", "trapped: wasm trap: integer divide by zero"),
    },
    Act {
        does: "reads beyond its memory",
        code: "(drop (i32.load (i32.const -4)))",
        fails: ("trap", "trapped: wasm trap: out of bounds memory access"),
    },
    Act {
        does: "loops",
        code: LOOP,
        fails: FUEL,
    },
    // Little to execute, and much to do.
    Act {
        does: "fills memory without end",
        code: "(drop (memory.grow (i32.const 400)))
               (loop $again
                 (memory.fill (i32.const 131072) (i32.const 0) (i32.const 20000000))
                 (br $again))",
        fails: FUEL,
    },
    Act {
        does: "recurses",
        code: "(call $recurse)",
        fails: ("stack", "used up its stack of 262144 bytes"),
    },
    Act {
        does: "takes memory",
        code: "(loop $more
                 (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
               (unreachable)",
        fails: ("memory", "bytes of memory (limit 33554432)"),
    },
    Act {
        does: "takes table elements",
        code: "(loop $more
                 (br_if $more (i32.ne
                   (table.grow $table (ref.null func) (i32.const 100)) (i32.const -1))))
               (unreachable)",
        fails: ("limit", "asked for a table of 2001 elements (limit 2000)"),
    },
];

const LOOP: &str = "(loop $again (br $again))";

fn attack(act: Act<'_>, (place, when, question): (Place, &str, Question)) -> Result<Attack, Stop> {
    let (kind, words) = act.fails;
    Ok(Attack::new(
        format!("{} {when}", act.does),
        component::with(&[(place, act.code)])?,
        fails(question, kind, words),
    ))
}

/// Every act in every place.
pub fn attacks() -> Result<Vec<Attack>, Stop> {
    let all = ACTS
        .iter()
        .flat_map(|act| PLACES.map(|place| (*act, place)));
    all.map(|(act, place)| attack(act, place)).collect()
}

/// Loops that have so much fuel that only the clock ends them.
pub fn slow_attacks() -> Result<Vec<Attack>, Stop> {
    let act = Act {
        does: "loops with fuel for days",
        code: LOOP,
        fails: ("deadline", "did not answer within its deadline of 400 ms"),
    };
    let limits = json!({"fuel": 100_000_000_000_000u64, "deadline_ms": 400});
    let slow = PLACES.map(|place| Ok(attack(act, place)?.limits(limits.clone())));
    slow.into_iter().collect()
}

/// Messages without end.
pub fn floods() -> Result<Vec<Attack>, Stop> {
    let mut attacks = Vec::new();
    for place in PLACES {
        // What hands over memory is no part of the module that has the import.
        if place.0 == "realloc" {
            continue;
        }
        let after = place.0.ends_with("-post");
        let limit = "passed more than 4194304 bytes to the host in one call";
        for (does, length) in [("floods the log", 1000), ("floods the log with nothing", 0)] {
            let code = format!(
                "(loop $again
                   (call $log (i32.const 1) (i32.const 8192) (i32.const {length}))
                   (br $again))"
            );
            let act = Act {
                does,
                code: &code,
                fails: match after {
                    true => ("trap", "cannot leave component instance"),
                    false => ("limit", limit),
                },
            };
            attacks.push(attack(act, place)?);
        }
    }
    Ok(attacks)
}
