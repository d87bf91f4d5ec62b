//! extension-release: which file of it counts, and whether it can be recorded.

use serde_json::Value;
use switch_root_core::escape;

use super::collector::Collector;
use crate::contents::Contents;
use crate::contents::release::{LARGEST, MOST};

const RULE: &str = "extension-release";

/// Looks at the files that there are.
pub(super) fn check(metadata: &Value, contents: &Contents, findings: &mut Collector) {
    let folder = "/usr/lib/extension-release.d";
    if contents.releases.len() > MOST {
        findings.error(
            RULE,
            folder,
            &format!(
                "there are more than {MOST} files; an extension has one, so leave the others out"
            ),
        );
        return;
    }
    for release in &contents.releases {
        if release.fields.is_none() {
            findings.error(
                RULE,
                &format!("/{}", escape::path(&release.path)),
                &format!("this is no regular file of UTF-8 text of at most {LARGEST} bytes, so it cannot be recorded for which systems the extension is; make it one"),
            );
        }
    }
    let name = metadata["name"].as_str().unwrap_or_default();
    if contents.releases.len() > 1 && contents.release(name).is_none() {
        let name = escape::message(name, 256);
        findings.warning(
            RULE,
            folder,
            &format!("none of these files is extension-release.{name}, so none is recorded; name the one that counts like the extension"),
        );
    }
}
