//! What is read of ELF files: the kernel that a module says it is built for.

use std::fs::File;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader};
use object::read::{ReadCache, ReadRef};

/// Sections that a module may have, and the bytes of its `.modinfo`: what real
/// ones stay far below.
const SECTIONS: usize = 1 << 16;
const MODINFO: u64 = 1 << 16;

/// The release in the `vermagic` of a kernel module that is not compressed.
pub(super) fn vermagic(file: File, wide: bool) -> Option<String> {
    let data = ReadCache::new(file);
    if wide {
        vermagic_of::<elf::FileHeader64<Endianness>, _>(&data)
    } else {
        vermagic_of::<elf::FileHeader32<Endianness>, _>(&data)
    }
}

fn vermagic_of<'d, H, R>(data: R) -> Option<String>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    if header.shnum(endian, data).ok()? > SECTIONS {
        return None;
    }
    let sections = header.sections(endian, data).ok()?;
    let (_, section) = sections.section_by_name(endian, b".modinfo")?;
    if section.sh_size(endian).into() > MODINFO {
        return None;
    }
    let modinfo = section.data(endian, data).ok()?;
    let vermagic = modinfo
        .split(|byte| *byte == 0)
        .find_map(|field| field.strip_prefix(b"vermagic="))?;
    let release = vermagic.split(|byte| *byte == b' ').next()?;
    Some(String::from_utf8_lossy(release).into_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An ELF file of 64 bits, little-endian, for a machine: with a `.modinfo` of
    /// these bytes where there are any.
    pub(crate) fn file(machine: u16, modinfo: &[u8]) -> Vec<u8> {
        let names = b"\0.modinfo\0.names\0";
        let names_at = 64 + modinfo.len();
        let sections_at = (names_at + names.len()).next_multiple_of(8);
        let mut file = Vec::new();
        file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        file.extend(1u16.to_le_bytes());
        file.extend(machine.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        file.extend([0; 16]);
        file.extend((sections_at as u64).to_le_bytes());
        file.extend([0; 4]);
        for half in [64u16, 0, 0, 64, 3, 2] {
            file.extend(half.to_le_bytes());
        }
        file.extend(modinfo);
        file.extend(names);
        file.resize(sections_at + 64, 0);
        for (name, kind, offset, size) in [
            (1u32, 1u32, 64, modinfo.len()),
            (10, 3, names_at, names.len()),
        ] {
            file.extend(name.to_le_bytes());
            file.extend(kind.to_le_bytes());
            file.extend([0; 16]);
            file.extend((offset as u64).to_le_bytes());
            file.extend((size as u64).to_le_bytes());
            file.extend([0; 24]);
        }
        file
    }

    fn of(bytes: &[u8]) -> Option<String> {
        use std::io::Write;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        vermagic(file, true)
    }

    #[test]
    fn the_first_word_of_vermagic_is_the_release() {
        let module = file(62, b"license=GPL\0vermagic=6.12.6-talos SMP mod_unload \0");
        assert_eq!(of(&module).as_deref(), Some("6.12.6-talos"));
        assert_eq!(of(&file(62, b"license=GPL\0")), None);
    }

    #[test]
    fn broken_modules_say_nothing() {
        let module = file(62, b"vermagic=6.12.6-talos SMP\0");
        for length in 0..module.len() {
            assert_eq!(of(&module[..length]), None, "{length}");
        }
        for at in 0..module.len() {
            let mut module = module.clone();
            module[at] = 0xff;
            // Whatever it is, reading it ends.
            of(&module);
        }
    }
}
