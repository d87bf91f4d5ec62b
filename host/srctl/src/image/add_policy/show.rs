//! What was added, for people and for programs.

use std::path::Path;

use initramfs::segments::Replaced;
use policy::engine;
use serde_json::{Value, json};
use switch_root_core::error::Result;
use switch_root_core::text::bytes;
use toolkit::policies::{Addition, Additions};

use crate::input::shown;
use crate::print;
use crate::recompressed;
use crate::table::table;

/// What the image holds of it to be run: both forms, as `image stage` has it.
fn size(policy: &Addition) -> u64 {
    let native = policy.native.as_ref().map_or(0, Vec::len);
    (policy.wasm.len() + native) as u64
}

/// Prints it; the initramfs is in `output`.
pub fn show(
    json: bool,
    output: &Path,
    additions: &Additions,
    signers: &[Option<String>],
    target: Option<&str>,
    replaced: &Replaced,
) -> Result<()> {
    let added = additions.policies.iter().zip(signers);
    if json {
        let policies: Value = added
            .map(|(policy, signer)| {
                json!({
                    "name": policy.name,
                    "digest": engine::digest(&policy.wasm),
                    "size": policy.wasm.len(),
                    "signed_by": signer,
                    "compiled_for": target,
                })
            })
            .collect();
        return print::json(&json!({
            "policies": policies,
            "folder": additions.folder,
            "replaced": replaced.removed,
            "recompressed": recompressed::json(replaced),
        }));
    }
    let rows: Vec<_> = added
        .map(|(policy, signer)| {
            [
                policy.name.clone(),
                bytes(size(policy)),
                target.unwrap_or("(at boot)").to_owned(),
                match (signer, &policy.signature) {
                    (Some(signer), _) => signer.clone(),
                    (None, Some(_)) => "(not verified)".into(),
                    (None, None) => "(not signed)".into(),
                },
            ]
        })
        .collect();
    let mut text = table(["POLICY", "SIZE", "COMPILED FOR", "SIGNED BY"], &rows);
    for (path, _) in &additions.again {
        text.push_str(&format!("compiled /{path} again\n"));
    }
    if !replaced.removed.is_empty() {
        text.push_str(&format!("replaced {}\n", replaced.removed.join(", ")));
    }
    text.push_str(&recompressed::text(replaced));
    text.push_str(&format!("wrote {}\n", shown(output)));
    print::print(&text)
}
