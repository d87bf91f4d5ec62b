//! binfmt_misc: which files the kernel executes by way of an interpreter that was
//! registered, such as programs for another architecture (Documentation/admin-guide/binfmt-misc.rst).

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{self, Dir, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use crate::executable::Registered;
use crate::head::Head;
use crate::mount_calls::make;
use crate::proc::Proc;

switch_root_core::outcomes! {
    /// That nobody knows what is registered.
    pub enum Unknown in "init-warnings" {
        /// The kernel itself does not execute the file, and whether an interpreter is registered for
        /// it cannot be found out. The reason is one of the next, or the kernel's word.
        "SR-X35" Because { why: String } = "what is registered with binfmt_misc is not known: {why}",
        "SR-X36" Table { error: io::Error } = "/proc/filesystems cannot be read: {error}",
        "SR-X37" Namespace { error: Errno } = "/proc/self/ns/user cannot be read: {error}",
        "SR-X38" UserNamespace = "the program runs in a user namespace",
    }
}

const KIND: &str = "binfmt_misc";

/// The most that is read of an entry, in bytes. The kernel prints less than a page.
const ENTRY: u64 = 64 << 10;

/// More entries than this are not read.
const ENTRIES: usize = 10_000;

/// The user namespace that the machine starts with: USER_NS_INIT_INO of linux/nsfs.h.
const INITIAL: &[u8] = b"user:[4026531837]";

/// Finds out what is registered for a file that begins with `head` and is executed by
/// `path`. Entries outlive the mount that they were registered by, and /proc/sys/fs/binfmt_misc
/// may be an automount that nobody serves any more: they are read from a mount of our own.
pub fn find(proc: &Proc, head: &Head, path: &[u8]) -> Registered {
    let unknown = |why: String| Registered::Unknown(Unknown::Because { why }.into());
    match proc.read("filesystems") {
        Ok(table) if !has(&table) => return Registered::No,
        Ok(_) => {}
        Err(error) => return unknown(Unknown::Table { error }.to_string()),
    }
    // In a user namespace a mount would hide what is registered outside.
    match proc.link("self/ns/user") {
        Ok(namespace) if namespace != INITIAL => {
            return unknown(Unknown::UserNamespace.to_string());
        }
        // Kernels without user namespaces have no such link.
        Ok(_) | Err(Errno::NOENT) => {}
        Err(error) => return unknown(Unknown::Namespace { error }.to_string()),
    }
    let directory = match make(KIND, &[], MountAttrFlags::empty()) {
        Ok(directory) => directory,
        Err(error) => return unknown(error.to_string()),
    };
    among(&directory, head, path).unwrap_or_else(|error| unknown(error.to_string()))
}

fn has(filesystems: &[u8]) -> bool {
    filesystems
        .split(|byte| *byte == b'\n')
        .any(|line| line.rsplit(|byte| *byte == b'\t').next() == Some(KIND.as_bytes()))
}

/// Looks through the entries of a mount.
fn among(directory: &OwnedFd, head: &Head, path: &[u8]) -> io::Result<Registered> {
    if read(directory, c"status")? != b"enabled\n" {
        return Ok(Registered::No);
    }
    let listed = fs::openat(
        directory,
        c".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    for entry in Dir::new(listed)?.take(ENTRIES) {
        let entry = entry?;
        if matches!(
            entry.file_name().to_bytes(),
            b"." | b".." | b"register" | b"status"
        ) {
            continue;
        }
        let text = read(directory, entry.file_name())?;
        let found = matching(&text, head, path);
        if found != Registered::No {
            return Ok(found);
        }
    }
    Ok(Registered::No)
}

fn read(directory: &OwnedFd, name: &CStr) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(fs::openat(directory, name, flags, Mode::empty())?);
    let mut text = Vec::new();
    file.take(ENTRY).read_to_end(&mut text)?;
    Ok(text)
}

/// Whether an entry, as the kernel prints it, is for a file.
fn matching(entry: &[u8], head: &Head, path: &[u8]) -> Registered {
    let field = |name: &[u8]| {
        let mut lines = entry.split(|byte| *byte == b'\n');
        lines.find_map(|line| line.strip_prefix(name))
    };
    let matches = || {
        field(b"enabled")?;
        if let Some(extension) = field(b"extension .") {
            let dot = path.iter().rposition(|byte| *byte == b'.')?;
            return Some(&path[dot + 1..] == extension);
        }
        let offset: usize = str::from_utf8(field(b"offset ")?).ok()?.parse().ok()?;
        let magic = hex(field(b"magic ")?)?;
        let mask = match field(b"mask ") {
            Some(mask) => hex(mask)?,
            None => vec![0xff; magic.len()],
        };
        let place = head.get(offset..)?.get(..magic.len())?;
        let mut bytes = place.iter().zip(&magic).zip(&mask);
        Some(bytes.all(|((byte, magic), mask)| (byte ^ magic) & mask == 0))
    };
    if matches() != Some(true) {
        return Registered::No;
    }
    let flags = field(b"flags: ").unwrap_or_default();
    match field(b"interpreter ") {
        // The kernel opened it when it was registered.
        _ if flags.contains(&b'F') => Registered::Open,
        Some(path) => Registered::Interpreter(path.to_vec()),
        None => Registered::No,
    }
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.chunks(2)
        .map(|pair| match pair {
            [high, low] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QEMU: &str = "enabled\ninterpreter /usr/bin/qemu-s390x\nflags: OC\noffset 0\nmagic 7f454c4602020100000000000000000000020016\nmask ffffffffffffff00fffffffffffffffffffeffff\n";

    fn head(start: &[u8]) -> Head {
        let mut head = [0; _];
        head[..start.len()].copy_from_slice(start);
        head
    }

    #[test]
    fn entry_matches_by_its_magic_and_mask() {
        let of =
            |entry: &str, start: &[u8]| matching(entry.as_bytes(), &head(start), b"/sbin/init");
        let elf = b"\x7fELF\x02\x02\x01\x03\0\0\0\0\0\0\0\0\0\x03\0\x16";
        let path = Registered::Interpreter(b"/usr/bin/qemu-s390x".to_vec());
        assert_eq!(of(QEMU, elf), path);
        assert_eq!(of(&QEMU.replace("OC", "OCF"), elf), Registered::Open);
        assert_eq!(
            of(&QEMU.replace("enabled", "disabled"), elf),
            Registered::No
        );
        assert_eq!(of(QEMU, b"\x7fELF\x02\x01"), Registered::No);
        // Without a mask every bit counts.
        let strict = QEMU.split("mask").next().unwrap();
        assert_eq!(of(strict, elf), Registered::No);
        for damaged in ["offset 300", "offset -1", "offset x"] {
            assert_eq!(of(&QEMU.replace("offset 0", damaged), elf), Registered::No);
        }
    }

    #[test]
    fn entry_matches_by_the_extension_of_the_path() {
        let entry = b"enabled\ninterpreter /bin/wine\nflags: \nextension .exe\n";
        let of = |path: &[u8]| matching(entry, &head(b"MZ"), path);
        assert_eq!(
            of(b"/a.b/init.exe"),
            Registered::Interpreter(b"/bin/wine".to_vec())
        );
        assert_eq!(of(b"/init.exe/init"), Registered::No);
        assert_eq!(of(b"/init"), Registered::No);
    }

    #[test]
    fn kernel_without_binfmt_misc_is_recognized() {
        assert!(has(b"nodev\tproc\nnodev\tbinfmt_misc\n\text4\n"));
        assert!(!has(b"nodev\tproc\n\tmy_binfmt_misc\n"));
    }
}
