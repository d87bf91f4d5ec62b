//! Paths as the host gives and takes them: absolute, and bytes in no encoding.

/// The path of `name` in `directory`, whether that is the root or not.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(directory.len() + 1 + name.len());
    path.extend_from_slice(directory);
    if !directory.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// The names that lead from the root to `path`. The root has none.
pub fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty())
}

/// The way from `directory` to a `path` somewhere below it; nothing where it is not below it, or
/// is `directory` itself. Both are taken as they are written: `/usr/local` is above
/// `/usr/local/bin`, to which `bin` is the way, and not above `/usr/localevil`.
pub fn relative<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    let directory = directory.strip_suffix(b"/").unwrap_or(directory);
    let rest = path.strip_prefix(directory)?.strip_prefix(b"/")?;
    (!rest.is_empty()).then_some(rest)
}

/// Checks a path that an operator wrote: absolute, not the root, without NUL and without empty,
/// `.` and `..` components, at most 4095 bytes.
///
/// # Errors
///
/// What the path should be, to stand after its name: `"carry": the path "etc" must ...`.
pub fn check(path: &[u8]) -> Result<(), &'static str> {
    if !path.starts_with(b"/") {
        return Err("must start with \"/\"");
    }
    if path.len() > 4095 {
        return Err("must have at most 4095 bytes");
    }
    if path.contains(&0) {
        return Err("must not contain NUL");
    }
    for name in path[1..].split(|&byte| byte == b'/') {
        match name {
            b"" if path.len() == 1 => return Err("must be below the root"),
            b"" => return Err("must have a name between each \"/\" and after the last"),
            b"." | b".." => return Err("must not contain \".\" or \"..\""),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_at_the_root_and_below_it() {
        assert_eq!(join(b"/", b"etc"), b"/etc");
        assert_eq!(join(b"/etc", b"\xff\n"), b"/etc/\xff\n");
    }

    #[test]
    fn a_directory_is_above_what_follows_a_slash_only() {
        let below = |path, directory| relative(path, directory).unwrap_or(b"nothing");
        assert_eq!(below(b"/usr/local/bin", b"/usr"), b"local/bin");
        assert_eq!(below(b"/usr", b"/"), b"usr");
        assert_eq!(below(b"/usr/localevil", b"/usr/local"), b"nothing");
        assert_eq!(below(b"/usr/local", b"/usr/local"), b"nothing");
        assert_eq!(below(b"/", b"/"), b"nothing");
    }

    #[test]
    fn components_of_the_root_are_none() {
        assert_eq!(components(b"/").count(), 0);
        let names: Vec<_> = components(b"/a/b").collect();
        assert_eq!(names, [b"a", b"b"]);
    }

    #[test]
    fn checks_what_an_operator_wrote() {
        assert_eq!(check(b"/etc/extensions.yaml"), Ok(()));
        assert_eq!(check(b"/\xff"), Ok(()));
        let long = [b"/".as_slice(), &[b'a'; 4095]].concat();
        for bad in [
            b"".as_slice(),
            b"etc",
            b"/",
            b"//",
            b"/etc/",
            b"/etc//x",
            b"/etc/./x",
            b"/etc/../x",
            b"/..",
            b"/a\0",
            &long,
        ] {
            assert!(check(bad).is_err(), "{:?}", String::from_utf8_lossy(bad));
        }
    }
}
