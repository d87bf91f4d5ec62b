//! extension-release: which file of it counts, and whether it can be recorded.

use serde_json::Value;
use switch_root_core::escape;

use super::collector::Collector;
use crate::contents::Contents;
use crate::contents::release::{LARGEST, MOST};

switch_root_core::outcomes! {
    /// Why it is not recorded for which systems an extension is.
    pub enum Unrecorded in "extension-findings" {
        /// systemd's system extensions have one such file each.
        "SR-Y72" TooMany { most: usize } = "there are more than {most} files; an extension has one, so leave the others out",
        "SR-Y73" Unreadable { most: u64 } = "this is no regular file of UTF-8 text of at most {most} bytes, so it cannot be recorded for which systems the extension is; make it one",
        "SR-Y74" NoneNamed { name: String } = "none of these files is extension-release.{name}, so none is recorded; name the one that counts like the extension",
    }
}

const RULE: &str = "extension-release";

/// Looks at the files that there are.
pub(super) fn check(metadata: &Value, contents: &Contents, findings: &mut Collector) {
    let folder = "/usr/lib/extension-release.d";
    if contents.releases.len() > MOST {
        findings.error(RULE, folder, Unrecorded::TooMany { most: MOST });
        return;
    }
    for release in &contents.releases {
        if release.fields.is_none() {
            findings.error(
                RULE,
                &format!("/{}", escape::path(&release.path)),
                Unrecorded::Unreadable { most: LARGEST },
            );
        }
    }
    let name = metadata["name"].as_str().unwrap_or_default();
    if contents.releases.len() > 1 && contents.release(name).is_none() {
        let name = escape::message(name, 256);
        findings.warning(RULE, folder, Unrecorded::NoneNamed { name });
    }
}
