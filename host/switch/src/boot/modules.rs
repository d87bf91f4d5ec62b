//! Kernel modules that booting an image takes, where the kernel does not have
//! them built in.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::system::{finit_module, init_module};
use switch_root_core::escape::Shown;
use switch_root_core::file::{self, Links};
use switch_root_core::outcome::Message;

switch_root_core::outcomes! {
    /// That the kernel lacks a file system: what follows the name of what needs it in a sentence.
    pub enum NoFileSystem in "images" {
        /// The reason is one of the next.
        "SR-I20" Because { name: &'static str, reason: Message } = "needs {name}, which the kernel lacks: {reason}",
    }
}

switch_root_core::outcomes! {
    /// That there are no loop devices.
    pub enum NoLoopDevices in "root-image" {
        /// Images are mounted by loop devices. Put the module `loop` into the initramfs.
        "SR-B30" Missing { reason: Message } = "the kernel lacks loop devices: {reason}",
        "SR-B31" Opening { error: io::Error } = "the kernel has loop devices, but /dev/loop-control cannot be opened: {error}; is /dev a devtmpfs?",
    }
}

switch_root_core::outcomes! {
    /// Why a module is not loaded.
    pub enum NotLoaded in "images" {
        /// Often an initramfs made for another kernel than the one that was started: compare the
        /// folder's name with `uname -r`.
        "SR-I21" NoModules { paths: String } = "the initramfs has no modules for this kernel (neither {paths}); put them there with depmod's index, or use a kernel that has it built in",
        "SR-I22" NoModule { folder: String, name: String } = "{folder} has no module {name}; put it into the initramfs (with depmod's index), or use a kernel that has it built in",
        /// It is damaged, is of another kernel, or is not signed where the kernel demands that.
        "SR-I23" Loading { file: String, error: io::Error } = "the module {file} cannot be loaded: {error}",
        "SR-I24" Large = "it is larger than {MODULE} bytes",
        /// uname(2) fails: no module is found.
        "SR-I25" NoRelease { error: nix::Error } = "the kernel does not tell its release: {error}",
    }
}

/// The largest modules.dep that is read, in bytes.
const INDEX: u64 = 16 << 20;
/// The largest module that is unpacked here, in bytes.
const MODULE: u64 = 64 << 20;

/// What unpacking xz may take, in KiB: its highest level needs 64 MiB.
const XZ_MEMORY: u32 = 128 << 10;

/// MODULE_INIT_COMPRESSED_FILE of init_module(2), which `libc` does not have:
/// the kernel unpacks the file.
const COMPRESSED_FILE: i32 = 4;

/// The initramfs' modules for the running kernel, read when one is needed.
#[derive(Default)]
pub struct Modules {
    index: Option<Index>,
}

/// What depmod(8) writes.
struct Index {
    folder: PathBuf,
    /// modules.dep, `path: what it needs`, paths relative to the folder.
    lines: String,
    /// modules.softdep, `softdep NAME pre: NAMES post: NAMES`; may be missing.
    soft: String,
    /// modules.alias, `alias NAME MODULE`; may be missing.
    aliases: String,
}

impl Modules {
    /// Makes sure that the kernel has a file system.
    ///
    /// # Errors
    /// What follows the name of what needs it in a sentence.
    pub fn file_system(&mut self, name: &'static str) -> Result<(), NoFileSystem> {
        if has_file_system(name) {
            return Ok(());
        }
        self.load(name)
            .map_err(|reason| NoFileSystem::Because { name, reason })
    }

    /// Makes sure that there are loop devices.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn loop_devices(&mut self) -> Result<(), NoLoopDevices> {
        // A node without anybody behind it cannot be opened.
        let there = || File::open("/dev/loop-control").map(drop);
        if there().is_ok() {
            return Ok(());
        }
        self.load("loop")
            .map_err(|reason| NoLoopDevices::Missing { reason })?;
        there().map_err(|error| NoLoopDevices::Opening { error })
    }

    /// Loads a module with all that it needs.
    fn load(&mut self, name: &str) -> Result<(), Message> {
        let index = match &mut self.index {
            Some(index) => index,
            None => self.index.insert(Index::read()?),
        };
        let files = index.files(name).ok_or_else(|| NotLoaded::NoModule {
            folder: index.folder.shown(),
            name: name.to_owned(),
        })?;
        for file in files {
            for soft in index.before(&file) {
                // Only wanted: the module itself says if it cannot do without.
                if let Err(error) = insert(&soft) {
                    tracing::debug!("module {} is not loaded: {error}", soft.shown());
                }
            }
            insert(&file).map_err(|error| NotLoaded::Loading {
                file: file.shown(),
                error,
            })?;
            tracing::debug!("module {} is loaded", file.shown());
        }
        Ok(())
    }
}

impl Index {
    fn read() -> Result<Self, Message> {
        let release = nix::sys::utsname::uname().map_err(|error| NotLoaded::NoRelease { error })?;
        let mut looked = Vec::new();
        for above in ["/lib/modules", "/usr/lib/modules"] {
            let folder = Path::new(above).join(release.release());
            let index = folder.join("modules.dep");
            match file::read(&index, INDEX, Links::Follow) {
                Ok(Some((bytes, _))) => {
                    let other = |name| {
                        let file = file::read(&folder.join(name), INDEX, Links::Follow);
                        let bytes = file.ok().flatten().map(|(bytes, _)| bytes);
                        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
                    };
                    return Ok(Self {
                        lines: String::from_utf8_lossy(&bytes).into_owned(),
                        soft: other("modules.softdep"),
                        aliases: other("modules.alias"),
                        folder,
                    });
                }
                Ok(None) => looked.push(index.shown()),
                Err(reason) => {
                    let index = index.shown();
                    let reason = Message::from(reason);
                    return Err(reason.reworded(|reason| format!("{index} {reason}")));
                }
            }
        }
        let paths = looked.join(" nor ");
        Err(NotLoaded::NoModules { paths }.into())
    }

    /// The files of what should be loaded before a module, and is not needed by
    /// it: its soft dependencies, by name or alias, with what they need.
    fn before(&self, file: &Path) -> Vec<PathBuf> {
        let module = module_name(&file.to_string_lossy());
        let wanted = self
            .soft
            .lines()
            .filter_map(|line| line.strip_prefix("softdep ")?.split_once(' '))
            .filter(|(name, _)| Some(name.replace('-', "_")) == module)
            .flat_map(|(_, rest)| {
                rest.split_whitespace()
                    .skip_while(|word| *word != "pre:")
                    .skip(1)
                    .take_while(|word| *word != "post:")
            });
        let mut files = Vec::new();
        for name in wanted {
            let aliased = self
                .aliases
                .lines()
                .filter_map(|line| line.strip_prefix("alias ")?.split_once(' '))
                .filter(|(alias, _)| *alias == name)
                .map(|(_, module)| module);
            for module in std::iter::once(name).chain(aliased) {
                files.extend(self.files(module).unwrap_or_default());
            }
        }
        files
    }

    /// The files of a module and of what it needs, in the order of loading.
    fn files(&self, name: &str) -> Option<Vec<PathBuf>> {
        let wanted = Some(name.replace('-', "_"));
        let (module, needs) = self
            .lines
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(path, _)| module_name(path) == wanted)?;
        // depmod gives what is needed first last.
        let mut files: Vec<&str> = needs.split_whitespace().rev().collect();
        files.push(module);
        let mut seen = HashSet::new();
        files.retain(|file| seen.insert(*file));
        Some(files.iter().map(|file| self.folder.join(file)).collect())
    }
}

/// The order in which a module's files are loaded, each after what should come before
/// it, as these indexes have it; and the folder of them all.
#[cfg(feature = "fuzzing")]
pub fn load_order(dep: &str, softdep: &str, alias: &str, name: &str) -> Vec<PathBuf> {
    let index = Index {
        folder: "/lib/modules/1".into(),
        lines: dep.into(),
        soft: softdep.into(),
        aliases: alias.into(),
    };
    let files = index.files(name).unwrap_or_default();
    let mut order = Vec::new();
    for file in files {
        order.extend(index.before(&file));
        order.push(file);
    }
    order
}

/// Unpacks a module that is compressed as its file's name says.
///
/// # Errors
/// It is not, is damaged, or larger than modules are.
#[cfg(feature = "fuzzing")]
pub fn unpack_module(name: &Path, bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
    Compression::of(name)
        .map(|compression| compression.unpack(bytes))
        .transpose()
}

/// The module's name out of its path, with underscores as the kernel has it.
fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let (name, _) = file.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

fn has_file_system(name: &str) -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known
        .lines()
        .any(|line| line.split('\t').next_back() == Some(name))
}

/// Hands a module to the kernel, which may have it already.
fn insert(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let compression = Compression::of(path);
    let flags = if compression.is_some() {
        COMPRESSED_FILE
    } else {
        0
    };
    let outcome = match (finit_module(&file, c"", flags), compression) {
        // The kernel does not unpack modules, or not of this kind.
        (Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOEXEC), Some(compression)) => {
            init_module(&compression.unpack(file)?, c"")
        }
        (outcome, _) => outcome,
    };
    match outcome {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// How a module's file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    fn of(path: &Path) -> Option<Self> {
        match path.extension().map(OsStr::as_bytes) {
            Some(b"gz") => Some(Self::Gzip),
            Some(b"xz") => Some(Self::Xz),
            Some(b"zst") => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Unpacks a module, without taking more memory than one can need.
    fn unpack(self, file: impl Read) -> io::Result<Vec<u8>> {
        let mut module = Vec::new();
        // One byte more than allowed shows what is too large.
        let mut take = |reader: &mut dyn Read| reader.take(MODULE + 1).read_to_end(&mut module);
        match self {
            Self::Gzip => take(&mut flate2::read::GzDecoder::new(file))?,
            Self::Xz => take(&mut lzma_rust2::XzReader::new_mem_limit(
                file, true, XZ_MEMORY,
            ))?,
            Self::Zstd => {
                take(&mut ruzstd::decoding::StreamingDecoder::new(file).map_err(io::Error::other)?)?
            }
        };
        if module.len() as u64 > MODULE {
            return Err(io::Error::other(NotLoaded::Large));
        }
        Ok(module)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_needs_is_loaded_before_it() {
        let index = Index {
            folder: "/lib/modules/1".into(),
            lines: "kernel/fs/overlayfs/overlay.ko.xz:\n\
                    kernel/a-b.ko: kernel/c.ko.zst kernel/d.ko kernel/c.ko.zst\n\
                    kernel/c.ko.zst: kernel/d.ko\n\
                    kernel/d.ko:\n"
                .into(),
            soft: "# comment\nsoftdep a_b pre: crc overlay post: c\nsoftdep c post: d\n".into(),
            aliases: "alias crc d\nalias crc* overlay\n".into(),
        };
        let shown = |files: Vec<PathBuf>| -> Vec<String> {
            let shown = files.iter().map(|file| file.shown());
            shown.collect()
        };
        assert_eq!(
            shown(index.before(Path::new("/lib/modules/1/kernel/a-b.ko"))),
            [
                "/lib/modules/1/kernel/d.ko",
                "/lib/modules/1/kernel/fs/overlayfs/overlay.ko.xz"
            ]
        );
        assert!(index.before(Path::new("kernel/c.ko.zst")).is_empty());
        let files = |name| index.files(name).map(shown);
        assert_eq!(
            files("overlay").unwrap(),
            ["/lib/modules/1/kernel/fs/overlayfs/overlay.ko.xz"]
        );
        assert_eq!(
            files("a_b").unwrap(),
            [
                "/lib/modules/1/kernel/c.ko.zst",
                "/lib/modules/1/kernel/d.ko",
                "/lib/modules/1/kernel/a-b.ko"
            ]
        );
        assert_eq!(files("a-b"), files("a_b"));
        assert_eq!(files("over"), None);
    }
}
