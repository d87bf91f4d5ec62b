use super::*;
use crate::FileKind;

fn globs<const N: usize>(patterns: [&[u8]; N]) -> Globs {
    Globs::new(patterns).unwrap()
}

fn file(name: impl Into<Vec<u8>>) -> Entry {
    Entry::new(name, FileKind::Regular)
}

fn directory(name: impl Into<Vec<u8>>) -> Entry {
    Entry::new(name, FileKind::Directory)
}

fn keeps(pattern: &[u8], directory: &[u8], name: &[u8]) -> bool {
    globs([pattern]).decide(directory, &file(name)) == Decision::Keep
}

#[test]
fn a_literal_pattern_is_descended_to_and_kept() {
    let globs = globs([b"/etc/ssh/keys"]);
    assert_eq!(globs.decide(b"/", &directory("etc")), Decision::Descend);
    assert_eq!(globs.decide(b"/", &directory("usr")), Decision::Delete);
    assert_eq!(globs.decide(b"/etc", &directory("ssh")), Decision::Descend);
    assert_eq!(
        globs.decide(b"/etc/ssh", &directory("keys")),
        Decision::Keep
    );
    assert_eq!(globs.decide(b"/etc/ssh", &file("keys2")), Decision::Delete);
    assert_eq!(globs.decide(b"/usr", &directory("ssh")), Decision::Delete);
}

#[test]
fn everything_below_a_match_is_kept() {
    let globs = globs([b"/etc/ssh"]);
    assert_eq!(
        globs.decide(b"/etc/ssh/deep/er", &file("x")),
        Decision::Keep
    );
    assert_eq!(globs.decide(b"/etc/ssh2", &file("x")), Decision::Delete);
}

#[test]
fn only_directories_without_a_mount_are_descended_into() {
    let globs = globs([b"/etc/ssh", b"/**/x"]);
    for kind in [
        FileKind::Regular,
        FileKind::Symlink,
        FileKind::BlockDevice,
        FileKind::CharacterDevice,
        FileKind::Fifo,
        FileKind::Socket,
    ] {
        assert_eq!(
            globs.decide(b"/", &Entry::new("etc", kind)),
            Decision::Delete
        );
    }
    let mut mounted = directory("etc");
    mounted.mount_point = true;
    assert_eq!(globs.decide(b"/", &mounted), Decision::Delete);
    mounted.name = b"x".to_vec();
    assert_eq!(globs.decide(b"/", &mounted), Decision::Keep);
}

#[test]
fn two_stars_stand_for_any_number_of_components() {
    let below = globs([b"/srv/**"]);
    assert_eq!(below.decide(b"/", &directory("srv")), Decision::Keep);
    let middle = globs([b"/a/**/b/**/c"]);
    assert_eq!(middle.decide(b"/", &directory("a")), Decision::Descend);
    assert_eq!(middle.decide(b"/a", &directory("z")), Decision::Descend);
    assert_eq!(middle.decide(b"/a", &file("c")), Decision::Delete);
    assert_eq!(middle.decide(b"/a/b", &file("c")), Decision::Keep);
    assert_eq!(middle.decide(b"/a/y/b/x/w", &file("c")), Decision::Keep);
    assert_eq!(middle.decide(b"/b", &file("c")), Decision::Delete);
    let all = globs([b"/**"]);
    assert_eq!(all.decide(b"/", &file("init")), Decision::Keep);
}

#[test]
fn wildcards_stay_within_one_name() {
    assert!(keeps(b"/e*/p?ss*", b"/etc", b"passwd"));
    assert!(!keeps(b"/e*", b"/usr", b"e"));
    assert!(!keeps(b"/*/x", b"/", b"x"));
    assert!(!keeps(b"/*/x", b"/a/b", b"x"));
    assert!(keeps(b"/*", b"/", b".hidden"));
    assert!(keeps(b"/a*b*c", b"/", b"abbbcbc"));
    assert!(!keeps(b"/a*b*c", b"/", b"abbbcb"));
    assert!(keeps(b"/[a-cx]?", b"/", b"b."));
    assert!(!keeps(b"/[!a-cx]?", b"/", b"b."));
    assert!(keeps(b"/[]-]", b"/", b"]"));
    assert!(keeps(b"/[]-]", b"/", b"-"));
    assert!(keeps(b"/[!]]", b"/", b"a"));
    assert!(keeps(b"/[\\]\\-]", b"/", b"-"));
    assert!(keeps(b"/\\*\\[", b"/", b"*["));
    assert!(!keeps(b"/\\*\\[", b"/", b"a["));
}

#[test]
fn names_are_bytes() {
    assert!(keeps(b"/\xff\xfe", b"/", b"\xff\xfe"));
    assert!(keeps(b"/?[\x80-\xff]", b"/", b"\xff\xfe"));
    assert!(keeps(b"/a?b", b"/", b"a\nb"));
    assert!(keeps(b"/a\nb/*", b"/a\nb", b"\n"));
    assert!(!keeps(b"/?", b"/", "é".as_bytes()));
    assert!(keeps(b"/??", b"/", "é".as_bytes()));
    let longest = [b'n'; 255];
    let pattern = [b"/**/".as_slice(), &longest].concat();
    assert!(keeps(&pattern, b"/a/b", &longest));
    assert!(!keeps(&pattern, b"/a/b", &longest[1..]));
}

#[test]
fn a_hostile_name_costs_no_exponential_time() {
    let pattern = [b"/".as_slice(), &b"*a".repeat(120), b"b"].concat();
    assert!(!keeps(&pattern, b"/", &[b'a'; 255]));
    let pattern = [b"/".as_slice(), &b"**/a/".repeat(60), b"b"].concat();
    assert!(!keeps(&pattern, &b"/a".repeat(2000), b"a"));
}

#[test]
fn review_answers_each_entry_in_order() {
    let entries = [directory("etc"), file("init"), file("note")];
    let decisions = globs([b"/note", b"/etc/*"]).review(b"/", &entries);
    assert_eq!(
        decisions,
        [Decision::Descend, Decision::Delete, Decision::Keep]
    );
    assert!(!globs([b"/etc/*"]).in_directory(b"/usr").can_match());
    assert_eq!(globs([]).review(b"/", &entries), vec![Decision::Delete; 3]);
}

#[test]
fn what_cannot_be_read_is_named_with_its_position() {
    for (pattern, position, part) in [
        ("", 1, "starts with"),
        ("etc", 1, "starts with"),
        ("/", 2, "a name is missing"),
        ("/etc/", 6, "a name is missing"),
        ("/etc//x", 6, "a name is missing"),
        ("/./x", 2, "neither"),
        ("/a/..", 4, "neither"),
        ("/a\0", 3, "NUL"),
        ("/a/b**", 5, "\"**\" stands"),
        ("/***", 2, "\"**\" stands"),
        ("/a/[b", 4, "no \"]\""),
        ("/a/[b/c]", 4, "no \"]\""),
        ("/a/[]", 4, "no \"]\""),
        ("/a/[a-", 4, "no \"]\""),
        ("/a/[^b]", 5, "write \"[!\""),
        ("/a/[xz-a]", 6, "ends before"),
        ("/a/[[:alpha:]]", 5, "names no class"),
        ("/a\\", 3, "stands before"),
        ("/a\\/b", 3, "stands before"),
    ] {
        let error = Globs::new(["/fine", pattern]).unwrap_err();
        assert_eq!(error.position, position, "{pattern:?}: {error}");
        assert!(error.problem.contains(part), "{pattern:?}: {error}");
        assert_eq!(error.pattern, pattern.as_bytes());
        assert!(error.to_string().contains(&format!("position {position}")));
    }
}

/// The plain meaning of a pattern, read from its text on a whole path, without any of the code
/// above: slow, recursive and obvious.
fn means(pattern: &[&[u8]], path: &[&[u8]]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((&first, rest)) if first == b"**" => {
            (0..=path.len()).any(|skipped| means(rest, &path[skipped..]))
        }
        Some((first, rest)) => {
            !path.is_empty() && name_means(first, path[0]) && means(rest, &path[1..])
        }
    }
}

fn name_means(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|taken| name_means(rest, &name[taken..])),
        [b'[', b'!', a, b']', rest @ ..] => {
            !name.is_empty() && name[0] != *a && name_means(rest, &name[1..])
        }
        [b'[', a, b'-', z, b']', rest @ ..] => {
            !name.is_empty() && (*a..=*z).contains(&name[0]) && name_means(rest, &name[1..])
        }
        [b'?', rest @ ..] => !name.is_empty() && name_means(rest, &name[1..]),
        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
            name.first() == Some(byte) && name_means(rest, &name[1..])
        }
    }
}

fn split(path: &[u8]) -> Vec<&[u8]> {
    path[1..].split(|&byte| byte == b'/').collect()
}

/// A directory tree: each name with its children, `None` for a file.
struct Tree(Vec<(Vec<u8>, Option<Tree>)>);

/// Random enough to find what a table of cases would not, and the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn name(&mut self) -> Vec<u8> {
        let length = 1 + self.roll(3);
        (0..length).map(|_| b"ab\xff\n*"[self.roll(5)]).collect()
    }

    fn tree(&mut self, depth: usize) -> Tree {
        let mut names: Vec<_> = (0..self.roll(6)).map(|_| self.name()).collect();
        names.sort();
        names.dedup();
        let children = names.into_iter().map(|name| {
            let is_directory = depth > 0 && self.roll(3) > 0;
            (name, is_directory.then(|| self.tree(depth - 1)))
        });
        Tree(children.collect())
    }

    fn pattern(&mut self) -> Vec<u8> {
        let mut pattern = Vec::new();
        for _ in 0..1 + self.roll(4) {
            pattern.push(b'/');
            if self.roll(4) == 0 {
                pattern.extend(b"**");
                continue;
            }
            for _ in 0..1 + self.roll(3) {
                let pieces: [&[u8]; 9] = [
                    b"a", b"b", b"\xff", b"\n", b"\\*", b"?", b"[a-b]", b"[!b]", b"*",
                ];
                let piece = pieces[self.roll(9)];
                if piece != b"*" || pattern.last() != Some(&b'*') {
                    pattern.extend(piece);
                }
            }
        }
        pattern
    }
}

/// Walks as the host does, and notes which paths survive by a `Keep`, theirs or one above.
fn walk(globs: &Globs, tree: &Tree, path: &[u8], kept: bool, survivors: &mut Vec<Vec<u8>>) {
    let entries = tree.0.iter().map(|(name, children)| match children {
        Some(_) => directory(name.clone()),
        None => file(name.clone()),
    });
    let entries: Vec<_> = entries.collect();
    let decisions = match kept {
        true => vec![Decision::Keep; entries.len()],
        false => globs.review(path, &entries),
    };
    for ((entry, decision), (_, children)) in entries.iter().zip(decisions).zip(&tree.0) {
        let path = entry.path(path);
        if decision == Decision::Keep {
            survivors.push(path.clone());
        }
        match (decision, children) {
            (Decision::Delete, _) | (Decision::Keep, None) => {}
            (Decision::Keep, Some(tree)) => walk(globs, tree, &path, true, survivors),
            (Decision::Descend, Some(tree)) => walk(globs, tree, &path, false, survivors),
            (decision, _) => panic!("{decision:?} for {path:?}, which is no directory"),
        }
    }
}

fn paths(tree: &Tree, path: &[u8], all: &mut Vec<Vec<u8>>) {
    for (name, children) in &tree.0 {
        let path = path::join(path, name);
        all.push(path.clone());
        if let Some(tree) = children {
            paths(tree, &path, all);
        }
    }
}

#[test]
fn the_walk_keeps_exactly_what_the_patterns_mean() {
    let mut dice = Dice(0x5eed);
    let (mut kept, mut deleted) = (0, 0);
    for _ in 0..3000 {
        let tree = dice.tree(4);
        let patterns: Vec<_> = (0..1 + dice.roll(3)).map(|_| dice.pattern()).collect();
        let globs = Globs::new(&patterns).unwrap();
        let (mut survivors, mut all) = (Vec::new(), Vec::new());
        walk(&globs, &tree, b"/", false, &mut survivors);
        paths(&tree, b"/", &mut all);
        let matched = |path: &[u8]| {
            let path = split(path);
            (0..=path.len()).any(|length| {
                patterns
                    .iter()
                    .any(|pattern| means(&split(pattern), &path[..length]))
            })
        };
        let expected: Vec<_> = all.iter().filter(|path| matched(path)).cloned().collect();
        assert_eq!(survivors, expected, "patterns {patterns:?}");
        kept += expected.len();
        deleted += all.len() - expected.len();
    }
    // Both answers must have been put to the test.
    assert!(
        kept > 3000 && deleted > 3000,
        "{kept} kept, {deleted} deleted"
    );
}
