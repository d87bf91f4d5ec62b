//! Components made of `policy.wat`, with other code in one place.

use crate::tools::Stop;

const TEXT: &str = include_str!("policy.wat");

/// A place of `policy.wat` that code can be put in.
pub type Place = &'static str;

/// The policy with `code` in some of its places.
///
/// # Errors
/// The code is not WebAssembly text, or there is no such place.
pub fn with(code: &[(Place, &str)]) -> Result<Vec<u8>, Stop> {
    let mut text = TEXT.to_owned();
    for (place, code) in code {
        let mark = format!("{{{{{place}}}}}");
        if !text.contains(&mark) {
            return Err(Stop::Fail(format!("policy.wat has no {mark}")));
        }
        text = text.replace(&mark, code);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("{{") {
        plain.push_str(before);
        rest = after.split_once("}}").map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    Ok(wat::parse_str(plain)?)
}

/// A policy that keeps the entry `some` of `/`, which is what a good one looks like.
///
/// # Errors
/// See [`with`].
pub fn keeping_some() -> Result<Vec<u8>, Stop> {
    with(&[(
        "preservation",
        // An entry takes 32 bytes, of which the first 8 are where its name is and how
        // long; a decision takes 12.
        "(loop $next
          (if (i32.lt_u (local.get $i) (local.get $count)) (then
            (local.set $at (i32.add (local.get $entries) (i32.mul (local.get $i) (i32.const 32))))
            (if (i32.eq (i32.load offset=4 (local.get $at)) (i32.const 4)) (then
              (if (i32.eq (i32.load (i32.load (local.get $at))) (i32.const 0x656d6f73)) (then
                (i32.store8 offset=4096 (i32.mul (local.get $i) (i32.const 12)) (i32.const 1))))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $next))))",
    )])
}
