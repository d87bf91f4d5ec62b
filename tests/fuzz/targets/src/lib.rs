//! What the fuzzer tries: each reader of bytes that somebody else wrote, and what must
//! hold whatever they are. No input may make a reader panic, hang or take memory without
//! bound; what can be asserted beyond that, each target asserts.
//!
//! `cargo xtask fuzz` makes inputs with libFuzzer. On stable, tests/corpus.rs tries those
//! that are checked in.

pub mod archives;
pub mod binaries;
pub mod boot;
pub mod files;
pub mod images;
pub mod judge;
pub mod paths;
pub mod trust;
pub mod versions;

use peak_alloc::PeakAlloc;

// Here, so that the fuzzer's programs and the test on stable hold the same bounds.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// A reader that is tried.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its program and of the folder of its corpus.
    pub name: &'static str,
    /// Tries one input. Panics where something does not hold.
    run: fn(&[u8]),
    /// What it may allocate at once, in bytes, beside some for each byte of the input.
    memory: usize,
}

/// Bytes that a reader may hold for each byte that it is given: a node of a tree for
/// each character of a text.
const FOR_EACH_BYTE: usize = 1 << 10;

impl Target {
    const fn new(name: &'static str, run: fn(&[u8])) -> Self {
        Self {
            name,
            run,
            memory: 4 << 20,
        }
    }

    /// One that may allocate more at once, in MiB: it has buffers of a fixed size.
    const fn with_memory(self, mib: usize) -> Self {
        Self {
            memory: mib << 20,
            ..self
        }
    }

    /// Tries one input.
    ///
    /// # Panics
    /// Something does not hold, or took more memory than it may.
    pub fn run(&self, data: &[u8]) {
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        (self.run)(data);
        let taken = ALLOCATED.peak_usage().saturating_sub(before);
        let allowed = self.memory + FOR_EACH_BYTE * data.len();
        assert!(
            taken <= allowed,
            "{}: {taken} bytes were allocated for {} of input, and {allowed} are allowed",
            self.name,
            data.len()
        );
    }
}

/// All of them.
pub const ALL: &[Target] = &[
    archives::COMPRESSED,
    archives::INITRAMFS,
    archives::LAYER,
    binaries::COMPONENT,
    binaries::MODULE_ELF,
    binaries::NATIVE_CODE,
    binaries::ROOT_IMAGE,
    binaries::INNER_IMAGE,
    boot::COMMAND_LINE,
    boot::MODULE,
    boot::MODULE_INDEXES,
    boot::MOUNTINFO,
    boot::OS_RELEASE,
    files::CONFIGURATION,
    files::EXTENSIONS_YAML,
    files::MANIFEST,
    files::SIDECAR,
    files::YAML,
    images::CHALLENGE,
    images::DOCKER_CONFIG,
    images::IMAGE_ARCHIVE,
    images::OCI,
    images::REFERENCE,
    judge::LISTING,
    judge::REPLIES,
    paths::PATHS,
    paths::SURVIVORS,
    trust::SIGNATURE,
    trust::SIGNERS,
    versions::CONSTRAINT,
    versions::GLOBS,
];

/// Parts of an input that a NUL byte stands between; as many as are asked for, empty
/// where there are no more. The last one has the rest.
fn split<const PARTS: usize>(data: &[u8]) -> [&[u8]; PARTS] {
    let mut parts = data.splitn(PARTS, |byte| *byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// A text that is fit for a terminal: nothing in it controls one.
fn assert_shown(text: &str) {
    assert!(
        !text.chars().any(|c| c.is_control()),
        "a control character is in {text:?}"
    );
}

/// A file in memory that holds these bytes, with a path by which others open it.
fn file(data: &[u8]) -> (std::fs::File, std::path::PathBuf) {
    use std::io::{Seek, Write};
    use std::os::fd::AsRawFd;
    let fd = rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC)
        .expect("a file in memory is made");
    let mut file = std::fs::File::from(fd);
    file.write_all(data).expect("it is written");
    file.rewind().expect("it is rewound");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    (file, path)
}
