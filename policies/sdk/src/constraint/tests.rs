use super::*;

fn satisfies(version: &str, constraint: &str) -> bool {
    let version = Version::parse_core(version).unwrap();
    version.satisfies(constraint).unwrap()
}

#[test]
fn constraints_admit_what_their_syntax_says() {
    for (constraint, admitted, refused) in [
        // Today's operators on full versions.
        ("1.6.0", "1.6.0", "1.6.1"),
        ("=1.6.0", "1.6.0", "1.5.9"),
        ("== 1.6.0", "1.6.0", "1.6.1"),
        ("!=1.6.0", "1.6.1", "1.6.0"),
        ("! 1.6.0", "1.5.0", "1.6.0"),
        ("> 1.6.0", "1.6.1", "1.6.0"),
        (">= 1.6.0", "1.6.0", "1.5.99"),
        ("<1.6.0", "1.5.99", "1.6.0"),
        ("<=1.6.0", "1.6.0", "1.6.1"),
        ("> 1.9.0", "1.10.0", "1.8.0"),
        // An optional v, and spaces.
        (">= v1.6.0", "v1.6.0", "v1.5.0"),
        (">=\tv1.6.0", "1.6.0", "1.5.0"),
        ("  1.6.0  ", "1.6.0", "1.6.1"),
        (">=   1.6.0\n", "1.6.0", "1.5.0"),
        // And, or.
        (">=1.5.0 <1.7.0", "1.6.9", "1.7.0"),
        (">=1.5.0 <1.7.0", "1.5.0", "1.4.9"),
        ("1.5.0 || 1.7.0", "1.7.0", "1.6.0"),
        ("1.5.0||1.7.0", "1.5.0", "1.6.0"),
        (">1.0.0 <2.0.0 !1.5.0 || 3.0.0", "3.0.0", "1.5.0"),
        (">1.0.0 <2.0.0 !1.5.0 || 3.0.0", "1.5.1", "2.0.0"),
        ("1.0.0 1.0.1 || 2.0.0", "2.0.0", "1.0.0"),
        // Wildcards: only the parts before them count.
        ("1.x", "1.99.3", "2.0.0"),
        ("1.X.X", "1.0.0", "0.9.0"),
        ("1.6.*", "1.6.7", "1.7.0"),
        ("v1.6.x", "1.6.0", "1.5.9"),
        ("= 1.x", "1.2.3", "2.2.3"),
        ("!= 1.x", "2.0.0", "1.9.9"),
        ("!= 1.6.x", "1.7.0", "1.6.1"),
        ("> 1.6.x", "1.7.0", "1.6.99"),
        (">= 1.6.x", "1.6.0", "1.5.99"),
        ("< 1.6.x", "1.5.99", "1.6.0"),
        ("<= 1.6.x", "1.6.99", "1.7.0"),
        ("> 1.x", "2.0.0", "1.99.0"),
        ("<= 1.x", "1.99.0", "2.0.0"),
        // The older syntax.
        (">= 1.5, < 1.7", "1.6.3", "1.7.0"),
        (">=1.5,<1.7", "1.5.0", "1.4.9"),
        ("1.6", "1.6.0", "1.6.1"),
        ("> 1.6", "1.6.1", "1.6.0"),
        ("~> 1.6.2", "1.6.9", "1.7.0"),
        ("~> 1.6.2", "1.6.2", "1.6.1"),
        ("~>1.6", "1.9.0", "2.0.0"),
        ("~> v1.6", "1.6.0", "1.5.9"),
        ("~> 1.6, != 1.7.0", "1.7.1", "1.7.0"),
        // Both, mixed.
        ("~> 1.6 < 1.8.0 || 3.x", "1.7.9", "1.8.0"),
        // Systems that count with one or two numbers.
        (">= 12", "12", "11"),
        ("~> 12", "13", "11"),
        ("= 22.04", "22.04", "22.10"),
        // Pre-releases are below their release, and the running version is a core.
        ("> 1.6.0-alpha.1", "1.6.0", "1.5.0"),
        (">= 1.6.0-alpha.1", "1.6.0-alpha.0", "1.5.9"),
        ("<= 1.6.0-alpha.1", "1.5.9", "1.6.0"),
        ("!= 1.6.0-beta.1 < 1.7.0", "1.6.0-beta.1", "1.7.0"),
        ("~> 1.6.0-alpha.1", "1.6.5", "1.7.0"),
        ("1.6.0+build.01", "1.6.0", "1.6.1"),
        (">= 1.6.0-rc.1+git-7", "1.6.0", "1.5.0"),
        (
            "<= 18446744073709551615.0.0",
            "18446744073709551615.0.0",
            "18446744073709551615.0.1",
        ),
    ] {
        assert!(
            satisfies(admitted, constraint),
            "{admitted}: {constraint:?}"
        );
        assert!(!satisfies(refused, constraint), "{refused}: {constraint:?}");
    }
}

#[test]
fn only_the_core_of_the_running_version_counts() {
    for running in [
        "v1.6.0-alpha.2",
        "1.6.0",
        "1.6",
        "1.6.0+dirty",
        "v1.6-12-gabc_def",
    ] {
        assert!(satisfies(running, ">= v1.6.0"), "{running}");
        assert!(satisfies(running, "= 1.6.0"), "{running}");
    }
    assert_eq!(Version::parse_core("12"), Version::parse("12.0.0"));
    for unreadable in [
        "", "v", "rolling", "1.2.3.4", "1.", "1.x", "-1", "1.2 3", "é", "1é",
    ] {
        assert!(Version::parse_core(unreadable).is_err(), "{unreadable}");
    }
}

#[test]
fn precedence_is_that_of_semantic_versioning() {
    let ascending = [
        "1.0.0-0",
        "1.0.0-9",
        "1.0.0-10",
        "1.0.0-99999999999999999999998",
        "1.0.0-99999999999999999999999",
        "1.0.0--",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1-rc.1",
        "1.0.1",
        "1.1.0",
        "2.0.0",
    ];
    for (index, lower) in ascending.iter().enumerate() {
        let version = Version::parse(lower).unwrap();
        assert!(version.satisfies(lower).unwrap(), "{lower}");
        for higher in &ascending[index + 1..] {
            assert!(
                version.satisfies(&format!("<{higher}")).unwrap(),
                "{lower} < {higher}"
            );
            assert!(
                !version.satisfies(&format!(">={higher}")).unwrap(),
                "{lower} < {higher}"
            );
        }
    }
}

#[test]
fn what_cannot_be_read_is_named_with_position_and_expectation() {
    let version = Version::parse("1.6.0").unwrap();
    for (constraint, position, expected, found) in [
        ("", 1, "a version", None),
        ("   ", 4, "a version", None),
        ("latest", 1, "a version", Some('l')),
        (">= latest", 4, "a version", Some('l')),
        ("v", 2, "a digit after", None),
        ("vv1.0.0", 2, "a digit after", Some('v')),
        ("version 1", 2, "a digit after", Some('e')),
        ("V1.0.0", 1, "a version", Some('V')),
        ("v 1.0.0", 2, "a digit after", Some(' ')),
        ("x", 1, "a version", Some('x')),
        ("*", 1, "a version", Some('*')),
        (">=", 3, "a version", None),
        (">== 1.0.0", 3, "a version", Some('=')),
        ("=> 1.0.0", 2, "a version", Some('>')),
        ("=< 1.0.0", 2, "a version", Some('<')),
        ("! = 1.0.0", 3, "a version", Some('=')),
        ("~1.0.0", 2, "\">\"", Some('1')),
        ("~ > 1.0.0", 2, "\">\"", Some(' ')),
        ("^1.0.0", 1, "a version", Some('^')),
        ("1.", 3, "a number", None),
        ("1..0", 3, "a number", Some('.')),
        ("1.0.", 5, "a number", None),
        ("1.0.0.0", 6, "a space", Some('.')),
        ("1.x.3", 5, "\"x\", since", Some('3')),
        ("1.x.", 5, "\"x\", since", None),
        ("1.xy", 4, "a space", Some('y')),
        ("1.6.x-alpha", 6, "a space", Some('-')),
        ("~> 1.x", 6, "a number (", Some('x')),
        ("~> 1.6.*", 8, "a number (", Some('*')),
        ("1.0.0-", 7, "a letter", None),
        ("1.0.0-a..b", 9, "a letter", Some('.')),
        ("1.0.0-a.01", 9, "a number without", Some('0')),
        ("1.0.0-ä", 7, "a letter", Some('ä')),
        ("1.0.0+", 7, "a letter", None),
        ("1.0.0ü", 6, "a space", Some('ü')),
        (">=1.0.0<2.0.0", 8, "a space", Some('<')),
        ("1.0.0 | 2.0.0", 8, "a second", Some(' ')),
        ("1.0.0 |", 8, "a second", None),
        ("1.0.0 ||", 9, "a version", None),
        ("1.0.0 || || 2.0.0", 10, "a version", Some('|')),
        ("|| 1.0.0", 1, "a version", Some('|')),
        (", 1.0.0", 1, "a version", Some(',')),
        ("1.0.0,", 7, "a version", None),
        ("1.0.0,, 2.0.0", 7, "a version", Some(',')),
        ("1.0.0, || 2.0.0", 8, "a version", Some('|')),
        ("1.0.0 and 2.0.0", 7, "a version", Some('a')),
        ("1.0.0\u{a0}2.0.0", 6, "a space", Some('\u{a0}')),
        ("1.0.0\0", 6, "a space", Some('\0')),
        ("-1.0.0", 1, "a version", Some('-')),
        (
            "18446744073709551616.0.0",
            1,
            "a number of at most",
            Some('1'),
        ),
        (
            "> 1.99999999999999999999",
            5,
            "a number of at most",
            Some('9'),
        ),
        // The beginning decides, and yet the rest is read.
        ("1.6.0 || nonsense", 10, "a version", Some('n')),
    ] {
        let error = version.satisfies(constraint).unwrap_err();
        assert_eq!(
            (error.position, error.found),
            (position, found),
            "{constraint:?}"
        );
        assert!(
            error.expected.starts_with(expected),
            "{constraint:?}: {error}"
        );
        let sentence = error.to_string();
        assert!(sentence.starts_with(&format!("position {position}: expected {expected}")));
    }
}

#[test]
fn giant_constraints_are_read_in_one_pass() {
    let version = Version::parse("1.6.0").unwrap();
    let many = "1.6.0 || ".repeat(500_000) + "1.6.0";
    assert_eq!(version.satisfies(&many), Ok(true));
    let digits = "9".repeat(4_000_000);
    assert_eq!(version.satisfies(&digits).unwrap_err().position, 1);
    let spaces = " ".repeat(4_000_000);
    assert_eq!(version.satisfies(&spaces).unwrap_err().position, 4_000_001);
    let pre_release = format!("<1.6.1-{}1", "1.".repeat(1_000_000));
    assert_eq!(version.satisfies(&pre_release), Ok(true));
}

#[test]
fn versions_keep_their_pre_release_and_refuse_wildcards() {
    let version = Version::parse("v1.6.0-rc.1+build").unwrap();
    assert_eq!(
        version,
        Version {
            core: [1, 6, 0],
            pre_release: "rc.1"
        }
    );
    assert_eq!(Version::parse("1.x").unwrap_err().position, 3);
    assert_eq!(Version::parse("1.6.0 ").unwrap_err().position, 6);
    assert_eq!(Version::parse("20250101").unwrap().core, [20_250_101, 0, 0]);
}
