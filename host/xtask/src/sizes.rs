//! The sizes of the programs that are installed, held against those in `tests/sizes.json`:
//! what grows is found when it grows, and not when a budget is exceeded.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::run::workspace;

/// The sizes that were accepted, in bytes by name.
const KEPT: &str = "tests/sizes.json";

/// How far a size may differ from that, in percent.
const TOLERATED: u64 = 2;

/// Compares programs, each with its name.
///
/// # Errors
/// Which of them are larger than they may be. Of one that is smaller is said that its size
/// has to be kept.
pub fn compare(programs: &[(&str, &Path)]) -> Result<()> {
    let kept = workspace().join(KEPT);
    let text = fs::read(&kept).with_context(|| format!("reading {}", kept.display()))?;
    let kept: BTreeMap<String, u64> =
        serde_json::from_slice(&text).with_context(|| format!("reading {KEPT}"))?;
    let mut grown = Vec::new();
    for (name, path) in programs {
        let size = fs::metadata(path)
            .with_context(|| format!("reading the size of {}", path.display()))?
            .len();
        let Some(kept) = kept.get(*name) else {
            bail!("{KEPT} has no size of {name}: add {size}");
        };
        match differs(*kept, size) {
            Some(Differs::Larger(sentence)) => grown.push(format!("{name} {sentence}")),
            Some(Differs::Smaller(sentence)) => println!("{name} {sentence}"),
            None => {}
        }
    }
    if !grown.is_empty() {
        bail!("{}", grown.join("\n"));
    }
    Ok(())
}

/// A size that is not what it was, and what to do.
#[derive(Debug, PartialEq)]
enum Differs {
    Larger(String),
    Smaller(String),
}

fn differs(kept: u64, size: u64) -> Option<Differs> {
    if size.abs_diff(kept) * 100 <= kept * TOLERATED {
        return None;
    }
    let what = |word: &str, advice: &str| {
        format!(
            "takes {size} bytes, more than {TOLERATED} % {word} than the {kept} in {KEPT}: {advice}"
        )
    };
    Some(match size > kept {
        true => Differs::Larger(what(
            "more",
            "find what made it larger, or write the new size there and say why",
        )),
        false => Differs::Smaller(what("less", "write the new size there")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_within_two_percent_are_the_same() {
        for size in [98_000, 99_000, 100_000, 102_000] {
            assert_eq!(differs(100_000, size), None);
        }
    }

    #[test]
    fn growth_is_an_error_and_shrinking_a_remark() {
        assert!(matches!(
            differs(100_000, 102_001),
            Some(Differs::Larger(sentence)) if sentence.contains("102001 bytes")
        ));
        assert!(matches!(
            differs(100_000, 97_999),
            Some(Differs::Smaller(_))
        ));
    }

    #[test]
    fn every_installed_program_has_a_kept_size() {
        let folder = std::env::temp_dir().join(format!("sizes-{}", std::process::id()));
        fs::write(&folder, "").unwrap();
        let names = ["switch_root", "switch_root-aot", "srctl"];
        let compared = compare(&names.map(|name| (name, folder.as_path())));
        let unknown = compare(&[("other", folder.as_path())]);
        fs::remove_file(&folder).unwrap();
        compared.unwrap();
        let error = unknown.unwrap_err().to_string();
        assert_eq!(error, "tests/sizes.json has no size of other: add 0");
    }
}
