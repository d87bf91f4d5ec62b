//! The initramfs of a scene, as the kernel unpacks it: a newc archive in memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cpio::newc::{Builder, ModeFileType, trailer};

use crate::scene::Scene;
use crate::steps::{Content, Make, Step};

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
    trailer(archive.bytes)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| io::Error::other(format!("reading {}: {error}", path.display())))
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn add(&mut self, name: &str, kind: ModeFileType, mode: u32, content: &[u8]) -> io::Result<()> {
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
}
