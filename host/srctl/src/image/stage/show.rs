//! What was staged, for people and for programs.

use serde_json::json;
use switch_root_core::error::Result;
use switch_root_core::text::bytes;

use super::gather::{Gathered, Staged};
use crate::as_initramfs::Signers;
use crate::input::shown;
use crate::print;
use crate::table::table;

/// Prints it.
pub fn show(
    json: bool,
    gathered: &Gathered,
    signers: &Signers,
    target: &str,
    refused: bool,
) -> Result<()> {
    match json {
        true => print::json(&value(gathered, signers, target, refused)),
        false => print::print(&text(gathered, signers, target, refused)),
    }
}

fn size(staged: &Staged) -> u64 {
    let pieces = staged.wasm.iter().chain(&staged.compiled);
    pieces.map(|piece| piece.contents().len() as u64).sum()
}

fn total(gathered: &Gathered) -> u64 {
    let pieces = gathered.pieces();
    pieces
        .iter()
        .map(|piece| piece.contents().len() as u64)
        .sum()
}

fn policies(number: usize) -> String {
    match number {
        1 => "1 policy".into(),
        _ => format!("{number} policies"),
    }
}

fn list_names(signers: &Signers) -> Vec<String> {
    let names = signers.iter().flat_map(|lists| lists.keys());
    names
        .map(|name| switch_root_core::escape::path(name.as_encoded_bytes()))
        .collect()
}

fn text(gathered: &Gathered, signers: &Signers, target: &str, refused: bool) -> String {
    if refused {
        return "nothing was staged\n".into();
    }
    let mut text = String::new();
    let rows: Vec<_> = gathered
        .staged
        .iter()
        .map(|staged| {
            [
                staged.origin.clone(),
                bytes(size(staged)),
                match &staged.compiled {
                    Some(_) => target.to_owned(),
                    None => "(at boot)".into(),
                },
                if staged.sidecar { "yes" } else { "" }.into(),
                staged.signed_by.clone().unwrap_or_default(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let headings = ["STAGED", "SIZE", "COMPILED FOR", "SIDECAR", "SIGNED BY"];
        text.push_str(&table(headings, &rows));
    }
    for mask in &gathered.masks {
        text.push_str(&format!("masked by {}\n", shown(&mask.path)));
    }
    for name in list_names(signers) {
        text.push_str(&format!("signers  {name}\n"));
    }
    let summary = match rows.len() {
        0 => "no policies are staged: the embedded default policy applies".to_owned(),
        staged => format!("staged {}, {}", policies(staged), bytes(total(gathered))),
    };
    let left = match gathered.left_out.len() {
        0 => String::new(),
        left => format!("; left out {}", policies(left)),
    };
    text.push_str(&format!("{summary}{left}\n"));
    text
}

fn value(gathered: &Gathered, signers: &Signers, target: &str, refused: bool) -> serde_json::Value {
    let policies: Vec<_> = gathered
        .staged
        .iter()
        .map(|staged| {
            json!({
                "name": staged.name,
                "origin": staged.origin,
                "digest": staged.digest,
                "signed_by": staged.signed_by,
                "sidecar": staged.sidecar,
                "compiled_for": staged.compiled.as_ref().map(|_| target),
                "bytes": size(staged),
            })
        })
        .collect();
    let left_out: Vec<_> = gathered
        .left_out
        .iter()
        .map(|left| {
            json!({
                "name": left.name,
                "origin": left.origin,
                "reason": left.reason,
                "code": left.code,
                "advice": left.advice,
            })
        })
        .collect();
    let masks: Vec<_> = gathered
        .masks
        .iter()
        .map(|mask| shown(&mask.path))
        .collect();
    json!({
        "staged": !refused,
        "policies": policies,
        "masks": masks,
        "signers": signers.as_ref().map(|_| list_names(signers)),
        "left_out": left_out,
        "bytes": total(gathered),
    })
}
