//! Architectures of Linux, as `uname -m` spells them.

use object::elf;

/// How much of a file [`of_elf`] looks at, in bytes.
pub const HEADER: usize = 20;

/// The architecture of an ELF file with this beginning, as `uname -m` spells it
/// (`arm` stands for all of 32 bits); nothing for other files, for programs of
/// the kernel's BPF machine, and for architectures that Linux is rare on.
pub fn of_elf(header: &[u8; HEADER]) -> Option<&'static str> {
    if !header.starts_with(&elf::ELFMAG) {
        return None;
    }
    let wide = header[4] == elf::ELFCLASS64;
    let machine = [header[18], header[19]];
    let little = header[5] == elf::ELFDATA2LSB;
    let machine = if little {
        u16::from_le_bytes(machine)
    } else {
        u16::from_be_bytes(machine)
    };
    Some(match machine {
        elf::EM_386 => "i686",
        elf::EM_X86_64 => "x86_64",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_ARM => "arm",
        elf::EM_PPC64 if little => "ppc64le",
        elf::EM_PPC64 => "ppc64",
        elf::EM_S390 if wide => "s390x",
        elf::EM_RISCV if wide => "riscv64",
        elf::EM_RISCV => "riscv32",
        elf::EM_LOONGARCH if wide => "loongarch64",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A little-endian header of 64 bits, for a machine.
    fn header(machine: u16) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        header[18..].copy_from_slice(&machine.to_le_bytes());
        header
    }

    #[test]
    fn the_header_says_the_architecture() {
        assert_eq!(of_elf(&header(62)), Some("x86_64"));
        assert_eq!(of_elf(&header(183)), Some("aarch64"));
        assert_eq!(of_elf(&header(247)), None);
        let mut big = header(0);
        big[5] = elf::ELFDATA2MSB;
        big[18..].copy_from_slice(&22u16.to_be_bytes());
        assert_eq!(of_elf(&big), Some("s390x"));
        assert_eq!(of_elf(&[0; HEADER]), None);
    }
}
