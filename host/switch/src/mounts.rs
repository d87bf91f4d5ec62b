//! The table of mounts, as /proc/self/mountinfo gives it (proc_pid_mountinfo(5)).
//!
//! By hand, although there is procfs: that takes names as UTF-8 and leaves the kernel's escapes in
//! them, and a wrong path would be a wrong deletion here.

use switch_root_core::path::{is_at_or_below, join};

switch_root_core::outcomes! {
    /// That the table is not as it is known.
    pub enum Malformed in "start" {
        /// Something else is mounted on `/proc`, or the kernel is newer than this program knows. Report
        /// it with the line.
        "SR-A25" Line { line: String } = "/proc/self/mountinfo has a line of another form: {line}",
    }
}

/// One mount that can be reached from the root directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The mount's number.
    pub id: u64,
    /// The number of the mount that it is mounted on; its own for the root of
    /// the tree.
    pub parent: u64,
    /// Major and minor number of the file system's device.
    pub device: (u32, u32),
    /// Which directory of the file system is mounted.
    pub root: Vec<u8>,
    /// Where it is mounted.
    pub point: Vec<u8>,
    /// Whether mounts below it are propagated to peers.
    pub shared: bool,
    /// The type of the file system.
    pub kind: Vec<u8>,
    /// The options of the file system.
    pub options: Vec<u8>,
}

/// Reads the whole table, in the kernel's order, which says nothing of what is
/// mounted on what.
///
/// # Errors
/// The line that cannot be read.
pub fn parse(table: &[u8]) -> Result<Vec<Mount>, Malformed> {
    table
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            parse_line(line).ok_or_else(|| Malformed::Line {
                line: switch_root_core::escape::path(line),
            })
        })
        .collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let mut device = fields.next()?.split(|byte| *byte == b':');
    let device = (number(device.next()?)?, number(device.next()?)?);
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    let _mount_options = fields.next()?;
    let mut shared = false;
    // Any number of optional fields, ended by a hyphen.
    loop {
        match fields.next()? {
            b"-" => break,
            field => shared |= field.starts_with(b"shared:"),
        }
    }
    let kind = unescape(fields.next()?);
    let _source = fields.next()?;
    let options = fields.next().unwrap_or_default().to_vec();
    Some(Mount {
        id,
        parent,
        device,
        root,
        point,
        shared,
        kind,
        options,
    })
}

fn number<T: std::str::FromStr>(field: &[u8]) -> Option<T> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Undoes the kernel's escapes: a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] if first == b'\\' => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = tail;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    bytes
}

/// A directory that an overlay is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its name, as the overlay's options have it.
    pub path: Vec<u8>,
    /// Whether the overlay writes to it.
    pub written: bool,
}

/// Directories of the old root that mounts of an overlay file system are made
/// of, as its options name them.
pub fn overlay_layers(mount: &Mount) -> Vec<Layer> {
    if mount.kind != b"overlay" {
        return Vec::new();
    }
    let mut layers = Vec::new();
    // A comma within a value is one of the kernel's escapes here.
    for option in mount.options.split(|byte| *byte == b',') {
        let Some(equals) = option.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = (&option[..equals], unescape(&option[equals + 1..]));
        let written = matches!(name, b"upperdir" | b"workdir");
        let mut add = |path: Vec<u8>| layers.push(Layer { path, written });
        match name {
            b"lowerdir" => split_unescaped(&value, b':')
                .filter(|layer| !layer.is_empty())
                .map(without_backslashes)
                .for_each(add),
            b"upperdir" | b"workdir" => add(without_backslashes(&value)),
            // One name each, in which nothing has to be escaped.
            b"lowerdir+" | b"datadir+" => add(value),
            _ => {}
        }
    }
    layers
}

/// Takes away each backslash that escapes what follows it.
fn without_backslashes(bytes: &[u8]) -> Vec<u8> {
    let mut escaped = false;
    let mut bytes = bytes.to_vec();
    bytes.retain(|byte| {
        escaped = *byte == b'\\' && !escaped;
        !escaped
    });
    bytes
}

/// Splits at a separator that no backslash stands before.
fn split_unescaped(bytes: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut escaped = false;
    bytes.split(move |byte| {
        let here = !escaped && *byte == separator;
        escaped = !escaped && *byte == b'\\';
        here
    })
}

/// The uppermost mount of those on one mount point: the one that no other of
/// them is mounted on.
pub fn top<'a>(mounts: &'a [Mount], point: &[u8]) -> Option<&'a Mount> {
    let mut here = mounts.iter().filter(|mount| mount.point == point);
    here.find(|mount| {
        !mounts
            .iter()
            .any(|other| other.point == point && other.parent == mount.id && other.id != mount.id)
    })
}

/// How many mounts lie between a mount and the root of the tree.
pub fn depth(mounts: &[Mount], mount: &Mount) -> usize {
    let parent = |mount: &Mount| {
        mounts
            .iter()
            .find(|other| other.id == mount.parent && other.id != mount.id)
    };
    // No deeper than there are mounts, whatever the table says.
    std::iter::successors(Some(mount), |mount| parent(mount))
        .take(mounts.len())
        .count()
}

/// Whether a mount lies at or below a path.
pub fn within(mount: &Mount, path: &[u8]) -> bool {
    is_at_or_below(&mount.point, path)
}

/// The path in the initramfs of a path in its file system, of which the
/// initramfs may be a part. `None` where it lies outside.
pub fn inside(root: &Mount, path: &[u8]) -> Option<Vec<u8>> {
    // It was deleted after it was bound: no name is left that could be kept.
    if path.ends_with(b"//deleted") {
        return None;
    }
    if root.root == b"/" {
        return Some(path.to_vec());
    }
    if is_at_or_below(&root.root, path) {
        return Some(b"/".to_vec());
    }
    is_at_or_below(path, &root.root).then(|| path[root.root.len()..].to_vec())
}

/// Where a path on a mount lies in the initramfs. `None` where it does not.
pub fn in_initramfs(mount: &Mount, path: &[u8], root: &Mount) -> Option<Vec<u8>> {
    if mount.device != root.device || !is_at_or_below(path, &mount.point) {
        return None;
    }
    let rest = path.strip_prefix(mount.point.as_slice())?;
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    let in_file_system = match rest {
        b"" => mount.root.clone(),
        rest => join(&mount.root, rest),
    };
    inside(root, &in_file_system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_with_its_escapes_and_optional_fields() {
        let mounts = parse(
            b"1 1 0:2 / / rw shared:1 - rootfs none rw,size=1k\n\
              22 1 253:1 /a\\040b /sys\\134root\\012 ro,relatime master:3 propagate_from:2 - ext4 /dev/vda1 rw\n",
        )
        .unwrap();
        assert_eq!(mounts[0].id, mounts[0].parent);
        assert!(mounts[0].shared);
        assert_eq!(mounts[1].root, b"/a b");
        assert_eq!(mounts[1].point, b"/sys\\root\n");
        assert_eq!(mounts[1].device, (253, 1));
        assert!(!mounts[1].shared);
        assert!(
            parse(b"22 1 253:1 /\n")
                .unwrap_err()
                .to_string()
                .contains("22 1 253:1 /")
        );
    }

    #[test]
    fn the_layers_of_an_overlay_are_found_in_its_options() {
        let line = br"30 1 0:30 / /sysroot rw - overlay overlay rw,lowerdir=/a:/b\134:c::/d,upperdir=/up\054per,workdir=/work,index=off";
        let mounts = parse(line).unwrap();
        let layers: Vec<_> = overlay_layers(&mounts[0])
            .into_iter()
            .map(|layer| (String::from_utf8(layer.path).unwrap(), layer.written))
            .collect();
        let expected = [
            ("/a", false),
            ("/b:c", false),
            ("/d", false),
            ("/up,per", true),
            ("/work", true),
        ];
        assert_eq!(
            layers,
            expected.map(|(path, written)| (path.into(), written))
        );
        let line = br"30 1 0:30 / /sysroot rw - overlay overlay ro,lowerdir+=/x\134y,lowerdir+=/,datadir+=/z";
        let layers = overlay_layers(&parse(line).unwrap()[0]);
        let paths: Vec<_> = layers.iter().map(|layer| layer.path.as_slice()).collect();
        assert_eq!(paths, [b"/x\\y".as_slice(), b"/", b"/z"]);
    }
}
