//! A path that is not in the image: a boot makes it, and policies will see it then.

use std::num::ParseIntError;
use std::str::FromStr;

use initramfs::image::Image;
use initramfs::tree::{Id, Node, Tree};
use switch_root_core::error::{Error, Result};
use switch_root_core::file_kind::FileKind;
use switch_root_core::{escape, path};

switch_root_core::outcomes! {
    /// Why nothing is supposed at a path.
    #[derive(PartialEq)]
    pub enum NotSupposed in "plans" {
        /// `--as` takes a kind of file, and after commas its size and its mode.
        "SR-J52" Kind { word: String, kinds: String } = "`{word}` is not a kind of file; one of {kinds}",
        "SR-J53" Word { word: String } = "`{word}` is neither size=BYTES nor mode=OCTAL",
        "SR-J54" Number { word: String, error: ParseIntError } = "`{word}`: {error}",
        "SR-J55" Size { kind: &'static str } = "a {kind} has no size",
        /// What is in the image needs no supposition.
        "SR-J56" There { path: String, kind: &'static str } = "{path} is in the image, a {kind}: it is explained as what it is; leave --as out",
    }
}

/// What is supposed to be at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supposed {
    kind: FileKind,
    size: u64,
    mode: Option<u32>,
}

impl FromStr for Supposed {
    type Err = NotSupposed;

    fn from_str(text: &str) -> std::result::Result<Self, NotSupposed> {
        let mut words = text.split(',');
        let word = words.next().unwrap_or_default();
        let kind = FileKind::ALL.into_iter().find(|kind| kind.word() == word);
        let kind = kind.ok_or_else(|| {
            let words: Vec<&str> = FileKind::ALL.into_iter().map(FileKind::word).collect();
            NotSupposed::Kind {
                word: word.to_owned(),
                kinds: words.join(", "),
            }
        })?;
        let mut supposed = Self {
            kind,
            size: 0,
            mode: None,
        };
        for word in words {
            let value = match word.split_once('=') {
                Some(("size", size)) => size.parse().map(|size| supposed.size = size),
                Some(("mode", mode)) => {
                    u32::from_str_radix(mode, 8).map(|mode| supposed.mode = Some(mode))
                }
                _ => {
                    let word = word.to_owned();
                    return Err(NotSupposed::Word { word });
                }
            };
            value.map_err(|error| NotSupposed::Number {
                word: word.to_owned(),
                error,
            })?;
        }
        match kind {
            FileKind::Regular | FileKind::Symlink => Ok(supposed),
            _ if supposed.size == 0 => Ok(supposed),
            _ => Err(NotSupposed::Size { kind: kind.word() }),
        }
    }
}

impl Supposed {
    fn node(self) -> Node {
        let mode = |default| self.mode.unwrap_or(default);
        match self.kind {
            FileKind::Directory => Node::directory(mode(0o755)),
            FileKind::Regular => Node::file(mode(0o644), self.size),
            FileKind::Symlink => {
                let mut node = Node::symlink(b"");
                node.size = self.size;
                node
            }
            kind => Node::special(kind, mode(0o600), (0, 0)),
        }
    }
}

/// Takes a path for one of an image, as if a program of the boot had made it there.
///
/// # Errors
/// It is in the image, or cannot be made.
pub fn suppose(image: &mut Image, path: &[u8], supposed: Supposed) -> Result<()> {
    let path = path::join(b"/", path.strip_prefix(b"/").unwrap_or(path));
    if let Some((id, _)) = image.tree.at(&path) {
        return Err(Error::input(NotSupposed::There {
            path: escape::path(&path),
            kind: image.tree.node(id).kind.word(),
        }));
    }
    let real = real(&image.tree, &path);
    image.tree.insert(&real, supposed.node()).map(|_: Id| ())
}

/// A path without the links on the way to it, as far as it is there.
fn real(tree: &Tree, path: &[u8]) -> Vec<u8> {
    let ends = (1..path.len()).rev().filter(|at| path[*at] == b'/');
    for end in ends {
        if let Some((_, above)) = tree.resolve(&path[..end]) {
            return path::join(&above, &path[end + 1..]);
        }
    }
    path.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_supposed_is_a_kind_with_size_and_mode() {
        let file = |size, mode| Supposed {
            kind: FileKind::Regular,
            size,
            mode,
        };
        assert_eq!("file".parse(), Ok(file(0, None)));
        assert_eq!("file,size=7,mode=600".parse(), Ok(file(7, Some(0o600))));
        for (text, words) in [
            ("", "`` is not a kind"),
            ("dir", "one of file, directory"),
            ("file,7", "neither size=BYTES nor mode=OCTAL"),
            ("file,size=x", "`size=x`: invalid digit"),
            ("directory,size=1", "a directory has no size"),
        ] {
            let error = text.parse::<Supposed>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn links_on_the_way_are_followed() {
        let mut tree = Tree::new();
        tree.insert(b"/run/a", Node::directory(0o755)).unwrap();
        tree.insert(b"/var/run", Node::symlink(b"../run")).unwrap();
        assert_eq!(real(&tree, b"/var/run/a/b/c"), b"/run/a/b/c");
        assert_eq!(real(&tree, b"/x/y"), b"/x/y");
        assert_eq!(real(&tree, b"/x"), b"/x");
    }
}
