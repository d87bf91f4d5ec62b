//! Segments of an initramfs that were compressed again, since something was taken out.

use initramfs::segments::Replaced;
use serde_json::{Value, json};
use switch_root_core::text::bytes;

/// A line for each: it may be larger than it was.
pub fn text(replaced: &Replaced) -> String {
    let lines = replaced.recompressed.iter().map(|one| {
        format!(
            "compressed segment {} again, at the default level of {}: {} were {}\n",
            one.part,
            one.format,
            bytes(one.after),
            bytes(one.before)
        )
    });
    lines.collect()
}

/// The same as JSON.
pub fn json(replaced: &Replaced) -> Value {
    let all = replaced.recompressed.iter();
    all.map(|one| {
        json!({
            "segment": one.part,
            "format": one.format.to_string(),
            "before": one.before,
            "after": one.after,
        })
    })
    .collect()
}
