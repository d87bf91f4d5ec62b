//! Version constraints and patterns for paths, which policies read.

use switch_root_policy::constraint::Version;
use switch_root_policy::{Decision, Entry, FileKind, Globs, path};

use crate::{Target, split};

/// Versions and what admits them.
pub const CONSTRAINT: Target = Target::new("constraint", constraint);
/// Patterns for paths.
pub const GLOBS: Target = Target::new("globs", globs);

fn constraint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (version_text, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (one, other) = rest.split_once('\n').unwrap_or((rest, ""));
    let _ = Version::parse_core(version_text);
    let Ok(version) = Version::parse(version_text) else {
        return;
    };
    let admits = |constraint: &str| version.satisfies(constraint);
    let equal = admits(&format!("={version_text}"));
    assert_eq!(equal, Ok(true), "{version_text}");
    assert_eq!(admits(&format!("!={version_text}")), Ok(false));
    assert_eq!(
        admits(&format!(">={version_text}, <={version_text}")),
        Ok(true)
    );
    let (Ok(first), Ok(second)) = (admits(one), admits(other)) else {
        return;
    };
    assert_eq!(admits(&format!("{one}||{other}")), Ok(first || second));
    // A comma means and, but binds closer than `||`.
    if !one.contains('|') && !other.contains('|') {
        assert_eq!(admits(&format!("{one},{other}")), Ok(first && second));
    }
}

fn globs(data: &[u8]) {
    let [place, patterns] = split(data);
    let patterns: Vec<&[u8]> = patterns.split(|byte| *byte == b'\n').collect();
    let Ok(globs) = Globs::new(&patterns) else {
        return;
    };
    // What else is a path the host does not ask about.
    if path::check(place).is_err() {
        return;
    }
    let simple = |pattern: &&[u8]| !pattern.iter().any(|byte| b"[\\".contains(byte));
    let survives = walk(&globs, place);
    if patterns.iter().all(simple) && place.len() + data.len() < 200 {
        assert_eq!(
            survives,
            patterns.iter().any(|pattern| keeps(pattern, place))
        );
    }
}

/// Whether a file at this path is kept by the answers that the host gets on its way down.
fn walk(globs: &Globs, place: &[u8]) -> bool {
    let names: Vec<&[u8]> = path::components(place).collect();
    let mut directory = b"/".to_vec();
    for (index, name) in names.iter().enumerate() {
        let kind = match index + 1 == names.len() {
            true => FileKind::Regular,
            false => FileKind::Directory,
        };
        match globs.decide(&directory, &Entry::new(*name, kind)) {
            Decision::Keep => return true,
            Decision::Descend => directory = path::join(&directory, name),
            _ => return false,
        }
    }
    false
}

/// Whether a pattern matches a path or a directory above it.
fn keeps(pattern: &[u8], place: &[u8]) -> bool {
    let parts: Vec<&[u8]> = path::components(pattern).collect();
    let names: Vec<&[u8]> = path::components(place).collect();
    (1..=names.len()).any(|end| matches(&parts, &names[..end]))
}

fn matches(parts: &[&[u8]], names: &[&[u8]]) -> bool {
    match (parts.split_first(), names.split_first()) {
        (Some((&b"**", rest)), _) if matches(rest, names) => true,
        (Some((&b"**", _)), Some((_, names))) => matches(parts, names),
        (Some((part, parts)), Some((name, names))) => {
            matches_name(part, name) && matches(parts, names)
        }
        (None, None) => true,
        _ => false,
    }
}

fn matches_name(part: &[u8], name: &[u8]) -> bool {
    match (part.split_first(), name.split_first()) {
        (Some((b'*', rest)), _) if matches_name(rest, name) => true,
        (Some((b'*', _)), Some((_, name))) => matches_name(part, name),
        (Some((b'?', part)), Some((_, name))) => matches_name(part, name),
        (Some((byte, part)), Some((first, name))) if byte == first => matches_name(part, name),
        (None, None) => true,
        _ => false,
    }
}
