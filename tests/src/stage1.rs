//! Stage 1 of a virtual machine: the `/init` of the initramfs, which makes what the
//! scene describes and becomes the subject.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::unistd::execve;

use crate::apply::mount_pseudo;
use crate::archive::SCENE;
use crate::furnish::furnish;
use crate::probe::{STAGE1_RECORD, memory, monotonic_us};
use crate::scene::{NEW_ROOT, Scene};
use crate::snapshot::usage;
use crate::testimony::Stage1;

/// Plays the scene at [`SCENE`] and becomes its command.
///
/// # Errors
/// What keeps the scene from being played.
pub fn play() -> io::Result<Infallible> {
    let scene: Scene = serde_json::from_slice(&fs::read(SCENE)?)?;
    for place in &scene.pseudo {
        fs::create_dir_all(place)?;
        let (file_system, options) = match place.as_str() {
            "/dev" => ("devtmpfs", "mode=0755"),
            "/proc" => ("proc", ""),
            "/sys" => ("sysfs", ""),
            _ => ("tmpfs", "mode=0755"),
        };
        mount_pseudo(Path::new(place), file_system, options)?;
    }
    furnish(&scene, Path::new("/"))?;
    scene.run_before()?;
    let record = Stage1 {
        usage: usage(File::open("/")?)?,
        memory: memory(),
        started_us: monotonic_us(),
    };
    // A scene may want a new root that cannot be written; then there is no record.
    let _ = fs::write(
        format!("{NEW_ROOT}{STAGE1_RECORD}"),
        serde_json::to_vec(&record)?,
    );
    let arguments: Vec<CString> = scene
        .command
        .iter()
        .map(|part| CString::new(part.as_slice()))
        .collect::<Result<_, _>>()?;
    let environment: Vec<CString> = scene
        .environment
        .iter()
        .map(|part| CString::new(part.as_str()))
        .collect::<Result<_, _>>()?;
    let program = arguments.first().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(execve(program, &arguments, &environment)?)
}
