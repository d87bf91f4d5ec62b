//! The attacks that hit before there is an answer: on time, memory, stack, log and errors.

use std::hint::black_box;

use switch_root_policy::log;

use crate::Attack;

/// More than a host should take in one string.
const GIANT: usize = 8 << 20;

/// Carries out the attack if it is one of those in this file.
pub(crate) fn strike(attack: Attack) -> Result<(), String> {
    match attack {
        Attack::Trap => trap(),
        Attack::Panic => panic!("as a defect does"),
        Attack::Loop => loop {
            black_box(());
        },
        Attack::AllocateForever => allocate_forever(),
        Attack::DeepRecursion => {
            black_box(recurse(1));
        }
        Attack::LogFlood => {
            for _ in 0..100_000 {
                log::warn("one of 100,000 messages");
            }
        }
        Attack::LogHuge => log::warn(&"huge ".repeat(GIANT / 5 + 1)),
        Attack::LogControl => {
            log::error("\x1b[2J\x1b[31mred\x1b[0m\r\nswitch-root: all is well\0\u{85}\u{202e}\x07");
        }
        Attack::Error => return Err("this policy always fails".into()),
        Attack::GiantError => return Err("giant ".repeat(GIANT / 6 + 1)),
        _ => {}
    }
    Ok(())
}

fn trap() {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    panic!("a trap, as far as a native build has one");
}

fn allocate_forever() {
    let mut hoard = Vec::new();
    loop {
        // Written to, so that the pages are not only promised.
        hoard.push(black_box(vec![0xa5u8; 64 << 10]));
    }
}

/// Deep rather than wide: each call needs what the last one returns, so it is no loop.
#[expect(unconditional_recursion, reason = "that is the attack")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 8]);
    recurse(black_box(depth + 1)) ^ black_box(frame)[0]
}
