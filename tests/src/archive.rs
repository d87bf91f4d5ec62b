//! An initramfs as the kernel unpacks it, a newc archive in memory: of a scene, with
//! stage 1 to make it, or of steps, to be booted as it is.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cpio::newc::{Builder, ModeFileType, Reader, trailer};
use nix::sys::stat::SFlag;

use crate::names::escape;
use crate::scene::Scene;
use crate::steps::{Content, Make, Step, with_parents};

/// Where stage 1 finds the scene, in the initramfs.
pub const SCENE: &str = "/scene.json";
/// Where the files are that the scene's steps copy.
pub const PAYLOAD: &str = "/payload";

/// Packs `scene` with `stage1` as its `/init`. The files that steps copy go to
/// [`PAYLOAD`], and the steps are told so.
///
/// # Errors
/// Files that cannot be read, with their path.
pub fn pack(scene: &Scene, stage1: &Path) -> io::Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.add("init", ModeFileType::Regular, 0o755, &read(stage1)?)?;
    archive.add("payload", ModeFileType::Directory, 0o755, b"")?;
    let mut scene = scene.clone();
    let mut packed: Vec<PathBuf> = Vec::new();
    for Step { make, .. } in scene.steps.iter_mut().chain(&mut scene.last_steps) {
        let Make::File {
            content: Content::Copy(source),
            ..
        } = make
        else {
            continue;
        };
        let known = packed.iter().position(|path| path == source);
        let number = known.unwrap_or(packed.len());
        let inside = format!("{PAYLOAD}/{number}");
        if known.is_none() {
            archive.add(&inside[1..], ModeFileType::Regular, 0o644, &read(source)?)?;
            packed.push(source.clone());
        }
        *source = inside.into();
    }
    let scene = serde_json::to_vec(&scene)?;
    archive.add(&SCENE[1..], ModeFileType::Regular, 0o644, &scene)?;
    archive.finish()
}

/// Packs directories, files and symbolic links, root's all of them.
///
/// # Errors
/// Files that cannot be read, and steps that make something else; with their path.
pub fn of(steps: &[Step]) -> io::Result<Vec<u8>> {
    let mut archive = Archive::default();
    for Step { path, make } in with_parents(steps) {
        let name = escape(path.strip_prefix(b"/").unwrap_or(&path));
        match make {
            Make::Directory { mode } => archive.add(&name, ModeFileType::Directory, mode, b"")?,
            Make::File { mode, content } => {
                archive.add(&name, ModeFileType::Regular, mode, &content.bytes()?)?;
            }
            Make::Symlink { target } => {
                archive.add(&name, ModeFileType::Symlink, 0o777, &target)?;
            }
            other => {
                return Err(io::Error::other(format!(
                    "{name}: {other:?} is not for archives"
                )));
            }
        }
    }
    archive.finish()
}

/// The directories, files and symbolic links of archives that are not compressed, one
/// behind the other, as steps that make them.
///
/// # Errors
/// Something else is among them, or they are truncated.
pub fn steps(mut bytes: &[u8]) -> io::Result<Vec<Step>> {
    let mut steps = Vec::new();
    while !bytes.is_empty() {
        let mut reader = Reader::new(bytes)?;
        let entry = reader.entry();
        if entry.is_trailer() {
            bytes = reader.finish()?;
            let end = bytes.iter().position(|byte| *byte != 0);
            bytes = &bytes[end.unwrap_or(bytes.len())..];
            continue;
        }
        let path = format!("/{}", entry.name()).into_bytes();
        let mode = entry.mode();
        let mut content = Vec::new();
        reader.read_to_end(&mut content)?;
        bytes = reader.finish()?;
        let kind = SFlag::from_bits_truncate(mode) & SFlag::S_IFMT;
        let mode = mode & 0o7777;
        let make = match kind {
            SFlag::S_IFDIR => Make::Directory { mode },
            SFlag::S_IFREG => Make::File {
                mode,
                content: Content::Bytes(content),
            },
            SFlag::S_IFLNK => Make::Symlink { target: content },
            other => return Err(io::Error::other(format!("{path:?} is {other:?}"))),
        };
        steps.push(Step { path, make });
    }
    Ok(steps)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    Content::Copy(path.into()).bytes()
}

/// The files of an archive, by name and with their bytes; directories are files
/// without any. What follows the archive is not read.
///
/// # Errors
/// It is no archive, or it is truncated.
pub fn members(mut bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut members = Vec::new();
    loop {
        let mut reader = Reader::new(bytes)?;
        if reader.entry().is_trailer() {
            return Ok(members);
        }
        let mut content = Vec::new();
        io::Read::read_to_end(&mut reader, &mut content)?;
        members.push((reader.entry().name().to_owned(), content));
        bytes = reader.finish()?;
    }
}

/// A newc archive in the making.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a member.
    ///
    /// # Errors
    /// It is too large.
    pub fn add(
        &mut self,
        name: &str,
        kind: ModeFileType,
        mode: u32,
        content: &[u8],
    ) -> io::Result<()> {
        use std::io::Write;
        self.entries += 1;
        let size = u32::try_from(content.len())
            .map_err(|_| io::Error::other(format!("{name} is too large for a newc archive")))?;
        let entry = Builder::new(name)
            .ino(self.entries)
            .mode(mode)
            .set_mode_file_type(kind);
        let mut writer = entry.write(std::mem::take(&mut self.bytes), size);
        writer.write_all(content)?;
        self.bytes = writer.finish()?;
        Ok(())
    }

    /// The archive, with its end.
    ///
    /// # Errors
    /// None, in memory.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        trailer(self.bytes)
    }
}
