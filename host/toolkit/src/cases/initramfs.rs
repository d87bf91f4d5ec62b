//! The initramfs of a case, as it is described there.

use std::path::Path;

use initramfs::tree::{Limits, Node, Tree};
use switch_root_core::error::{Error, Result, Words};
use switch_root_core::escape::{self, Shown};
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;

use super::case::{Case, Item, ItemKind};
use crate::ask::Initramfs;

switch_root_core::outcomes! {
    /// Why a case's initramfs cannot be made: what follows the name of a file in it.
    pub(crate) enum Unmade in "policies" {
        /// Mend the entry of `tree` that is named.
        "SR-T15" Relative = "is no absolute path",
        "SR-T16" Name = "has a part that is empty, `.` or `..`, longer than 255 bytes, or holds a zero byte",
        "SR-T17" Ambiguous = "has more than one of `symlink`, `contents` and `size`",
        "SR-T18" Contradiction = "says two different things of what it is",
        "SR-T81" Backslash = "has a backslash without what must follow it: write `\\\\` for the backslash, `\\xNN` for a byte",
        "SR-T19" Aimless = "is a symbolic link, so it needs `symlink`, where it leads",
    }
}

/// Makes what a case describes; `None` where it describes none. `file` is the
/// case's.
///
/// # Errors
/// The case, and what in it is wrong; or the image cannot be read.
pub fn of(case: &Case, file: &Path) -> Result<Option<Initramfs>> {
    let named = format!("the case {}", file.shown());
    if let Some(image) = &case.initramfs {
        let image = file.parent().unwrap_or(Path::new("")).join(image);
        let (tree, _) =
            Tree::read(&image, &Limits::default()).map_err(|error| error.about(&named))?;
        return Ok(Some(tree.into()));
    }
    let Some(items) = &case.tree else {
        return Ok(None);
    };
    let mut made = Initramfs::from(Tree::new());
    for (path, item) in items {
        add(&mut made, path, item)
            .map_err(|reason| Error::input(reason.said_of(format!("{named}: `{path}`"))))?;
    }
    Ok(Some(made))
}

fn add(initramfs: &mut Initramfs, text: &str, item: &Item) -> std::result::Result<(), Message> {
    let bytes = escape::unescape(text).ok_or(Unmade::Backslash)?;
    let Some(inside) = bytes.strip_prefix(b"/") else {
        return Err(Unmade::Relative.into());
    };
    let slash = inside.ends_with(b"/");
    let inside = inside.strip_suffix(b"/").unwrap_or(inside);
    let plain = |name: &[u8]| {
        (1..=255).contains(&name.len()) && !matches!(name, b"." | b"..") && !name.contains(&0)
    };
    if !inside.split(|byte| *byte == b'/').all(plain) {
        return Err(Unmade::Name.into());
    }
    let path = [b"/", inside].concat();
    let node = node(item, slash)?;
    initramfs
        .insert(&path, node, item.mount_point)
        .map_err(|error| {
            error
                .message()
                .reworded(|error| format!("cannot be made: {error}"))
        })
}

/// What an item is. The kind is told by what else is said of it, where it can be.
fn node(item: &Item, slash: bool) -> std::result::Result<Node, Message> {
    let told = match (&item.target, &item.contents, item.size) {
        (Some(_), None, None) => Some(ItemKind::Symlink),
        (None, None, None) => None,
        (None, Some(_), None) | (None, None, Some(_)) => Some(ItemKind::File),
        _ => return Err(Unmade::Ambiguous.into()),
    };
    let directory = slash.then_some(ItemKind::Directory);
    // A mount point without more is a directory; anything else that nothing is said of
    // is one, too: `{}`.
    let kind = item
        .kind
        .or(told)
        .or(directory)
        .unwrap_or(ItemKind::Directory);
    let contradicts = |other: Option<ItemKind>| other.is_some_and(|other| other != kind);
    if contradicts(told) || contradicts(directory) {
        return Err(Unmade::Contradiction.into());
    }
    let file_mode = item.mode.unwrap_or(0o644);
    let special = |kind| Ok(Node::special(kind, file_mode, (0, 0)));
    match kind {
        ItemKind::File => {
            let length = item.contents.as_ref().map(|contents| contents.len() as u64);
            let size = length.or(item.size).unwrap_or(0);
            Ok(Node::file(file_mode, size))
        }
        ItemKind::Directory => Ok(Node::directory(item.mode.unwrap_or(0o755))),
        ItemKind::Symlink => match &item.target {
            Some(target) => Ok(Node::symlink(
                &escape::unescape(target).ok_or(Unmade::Backslash)?,
            )),
            None => Err(Unmade::Aimless.into()),
        },
        ItemKind::BlockDevice => special(FileKind::BlockDevice),
        ItemKind::CharacterDevice => special(FileKind::CharacterDevice),
        ItemKind::Fifo => special(FileKind::Fifo),
        ItemKind::Socket => special(FileKind::Socket),
    }
}
