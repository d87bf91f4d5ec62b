//! The architectures that kernels are booted of, and the emulated machine of each.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// An architecture, as kernels and programs are of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

/// What files of the kernel have at a fixed place, by architecture: see the kernel's
/// `Documentation/arch/x86/boot.rst` and `Documentation/arch/arm64/booting.rst`.
const SIGNS: [(Architecture, u64, [u8; 4]); 2] = [
    (Architecture::X86_64, 0x202, *b"HdrS"),
    (Architecture::Aarch64, 0x38, *b"ARM\x64"),
];

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// Its name, as `uname -m` and target triples have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// What a kernel's file was built for.
    ///
    /// # Errors
    /// Those of reading it, and that it is a kernel of neither.
    pub fn of_kernel(kernel: &Path) -> io::Result<Self> {
        let file = File::open(kernel)?;
        for (architecture, offset, sign) in SIGNS {
            let mut found = [0; 4];
            match file.read_exact_at(&mut found, offset) {
                Ok(()) if found == sign => return Ok(architecture),
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!(
            "{} is no kernel that can be booted here: neither a bzImage of x86 nor an Image of arm64",
            kernel.display()
        )))
    }

    /// The emulator.
    pub fn emulator(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-system-x86_64",
            Self::Aarch64 => "qemu-system-aarch64",
        }
    }

    /// The emulator's options for a machine that Debian's kernels boot on: for a `modern`
    /// kernel with all that the architecture has, for another with what it had first, so
    /// that both kinds of processors are tried.
    pub(crate) fn machine(self, modern: bool) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &[],
            // Of pointer authentication the variant that is not slow to emulate.
            Self::Aarch64 if modern => &["-machine", "virt", "-cpu", "max,pauth-impdef=on"],
            Self::Aarch64 => &["-machine", "virt", "-cpu", "cortex-a57"],
        }
    }

    /// The kernel's name for the first serial port.
    pub(crate) fn console(self) -> &'static str {
        match self {
            Self::X86_64 => "ttyS0",
            Self::Aarch64 => "ttyAMA0",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_tells_what_it_was_built_for() {
        let path = std::env::temp_dir().join(format!("switch-root-sign-{}", std::process::id()));
        let of = |at: usize, sign: &[u8]| {
            let mut bytes = vec![0; at];
            bytes.extend_from_slice(sign);
            std::fs::write(&path, bytes).unwrap();
            Architecture::of_kernel(&path)
        };
        assert_eq!(of(0x202, b"HdrS").unwrap(), Architecture::X86_64);
        assert_eq!(of(0x38, b"ARM\x64").unwrap(), Architecture::Aarch64);
        for (at, sign) in [(0x38, &b"HdrS"[..]), (0x202, b"ARM\x64"), (0, b"")] {
            assert!(of(at, sign).unwrap_err().to_string().contains("no kernel"));
        }
        std::fs::remove_file(&path).unwrap();
    }
}
