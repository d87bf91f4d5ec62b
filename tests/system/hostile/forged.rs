//! Native code (`.cwasm`) that is not what it says.

use serde_json::json;

use super::attack::{Attack, Expected};
use super::{component, judge, scene, within_bounds};
use crate::check::{boots, ensure, says};
use crate::srctl::Desk;
use crate::tools::{Checked, Stop};
use switch_root_tests::thorough;

/// Where the code begins, behind the line of the format and that of the record.
fn code_start(native: &[u8]) -> Result<usize, Stop> {
    let lines = native
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n');
    let mut ends = lines.map(|(end, _)| end + 1);
    Ok(ends.nth(1).ok_or("no record")?)
}

/// The same with each `from` in the code, but not in the record, made `to`, which is as long.
fn with_words(native: &[u8], from: &[u8], to: &[u8]) -> Result<Vec<u8>, Stop> {
    let start = code_start(native)?;
    let mut changed = native.to_vec();
    for at in start..native.len() {
        if native[at..].starts_with(from) {
            changed[at..at + to.len()].copy_from_slice(to);
        }
    }
    ensure!(changed != native, "no {from:?} in the code");
    Ok(changed)
}

/// What is done to the code, what it is then, and words of the warning that the policy is
/// compiled instead.
type Forgery = (&'static str, Vec<u8>, &'static str);

fn forgeries(wasm: &[u8], native: &[u8]) -> Result<Vec<Forgery>, Stop> {
    let start = code_start(native)?;
    let with_code = |code: &[u8]| [&native[..start], code].concat();
    let desk = Desk::new()?;
    desk.write("policy.wasm", wasm)?;
    let (other, flag) = match std::env::consts::ARCH {
        "x86_64" => ("aarch64", &b"has_sse42\x02\0"[..]),
        _ => ("x86_64", &b"has_lse\x02\0"[..]),
    };
    desk.succeeds(&format!("policy compile policy.wasm --arch {other}"))?;
    // A flag is a name, the kind of its value, and whether it is set.
    let mut unknown = flag.to_vec();
    unknown[4] = b'q';
    unknown[flag.len() - 1] = 1;
    let unusable = "its ahead-of-time form cannot be used: ";
    Ok(vec![
        (
            "ends in its record",
            native[..start - 10].to_vec(),
            "is truncated in its record",
        ),
        ("ends behind its record", native[..start].to_vec(), unusable),
        (
            "ends behind its first kilobyte",
            native[..start + 1024].to_vec(),
            unusable,
        ),
        (
            "ends in its middle",
            native[..(start + native.len()) / 2].to_vec(),
            unusable,
        ),
        (
            "ends a byte early",
            native[..native.len() - 1].to_vec(),
            unusable,
        ),
        ("is text", with_code(b"#!/bin/sh\n"), unusable),
        ("is zeroes", with_code(&[0; 100_000]), unusable),
        (
            "is a program",
            with_code(&std::fs::read(crate::tools::probe()?)?),
            unusable,
        ),
        ("is WebAssembly", with_code(wasm), unusable),
        (
            "is that of another release under a record of this one",
            with_words(
                native,
                b"switch-root 0.1.0, wasmtime",
                b"switch-root 9.9.9, wasmtime",
            )?,
            unusable,
        ),
        (
            "is for a processor with something that there is not",
            with_words(native, flag, &unknown)?,
            unusable,
        ),
        (
            "is for another machine",
            desk.read("policy.cwasm")?,
            unusable,
        ),
    ])
}

/// What cannot be native code of this engine is compiled anew, and a warning says so.
pub fn is_not_used() -> Checked {
    let wasm = component::with(&[])?;
    let native = judge::compiled(&wasm)?;
    let forgeries = forgeries(&wasm, &native)?;
    let attacks = forgeries.iter().map(|(does, code, _)| {
        Attack::new(*does, wasm.clone(), Expected::Nothing).native(code.clone())
    });
    let attacks: Vec<Attack> = attacks.collect();
    let booted = boots(&scene(&attacks, "safe")?)?;
    booted.left(&["*/some", "/extensions.yaml"])?;
    for (attack, (_, _, words)) in attacks.iter().zip(&forgeries) {
        attack.told(&booted)?;
        let policy = booted.report.policy(&attack.policy());
        let policy = policy.ok_or("the policy is not in the report")?;
        says(
            &policy["warnings"].to_string(),
            &[words, "compiled instead"],
        )
        .map_err(|stop| stop.during(&attack.does))?;
        ensure!(policy["compiled"] == true, "{policy:#}");
    }
    within_bounds(&attacks, &booted)
}

/// Native code is trusted, and nothing tells a flipped bit in it: such code may do anything
/// that the judge can. What the report says is what happened all the same.
pub fn with_flipped_bits() -> Checked {
    let wasm = component::with(&[])?;
    let native = judge::compiled(&wasm)?;
    let start = code_start(&native)?;
    let boots_with_flips = if thorough() { 40 } else { 2 };
    // The same each time: a generator of Lehmer's kind.
    let mut state = 20_261_124u64;
    for _ in 0..boots_with_flips {
        let flips = (0..12).map(|_| {
            state = state * 48_271 % 0x7fff_ffff;
            let bit = state as usize % ((native.len() - start) * 8);
            let mut flipped = native.clone();
            flipped[start + bit / 8] ^= 1 << (bit % 8);
            Attack::new(
                format!("has bit {bit} flipped"),
                wasm.clone(),
                Expected::Nothing,
            )
            .native(flipped)
            .limits(json!({"deadline_ms": 500}))
        });
        let attacks: Vec<Attack> = flips.collect();
        let booted = boots(&scene(&attacks, "safe")?)?;
        booted.as_reported()?;
        within_bounds(&attacks, &booted)?;
    }
    Ok(())
}
