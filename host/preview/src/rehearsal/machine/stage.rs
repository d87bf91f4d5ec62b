//! The first program of a virtual machine: sets up what namespaces have set up from
//! outside, takes its own files away, and becomes `switch_root`.

use std::convert::Infallible;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use switch_root_core::error::Words;

use super::super::init::end_machine;
use super::super::messages::{self, Message, Settings, Staged, say};
use super::super::program;
use super::super::stage::{self, MOUNTED, Staging, TMPFS, mount_point, mount_pseudo, tried};
use super::files::{FOLDER, OWN, SETTINGS};

/// What settings may take, in bytes.
const LIMIT: u64 = 256 << 20;

/// Runs as the machine's first process.
pub fn run() -> ExitCode {
    let why = match play() {
        Err(why) => why,
        Ok(never) => match never {},
    };
    let _ = say(&Message::Failed(why));
    end_machine();
    ExitCode::FAILURE
}

fn play() -> Staging<Infallible> {
    let mut staged = Staged::default();
    // First: what is mounted would cover what an image has there.
    let file = File::open(SETTINGS).map_err(tried("open the settings"))?;
    let settings: Settings = messages::read(file, LIMIT).map_err(tried("read the settings"))?;
    let open = |path: &Option<std::path::PathBuf>| -> Staging<Option<OwnedFd>> {
        let open = |path: &Path| program::open(path).map_err(Words::message);
        path.as_deref().map(open).transpose()
    };
    let root = File::open("/").map_err(tried("open the initramfs"))?;
    let program = stage::choose(
        &root,
        open(&settings.switch_root)?,
        open(&settings.otherwise)?,
        &mut staged,
    )?;
    for (path, file_system) in MOUNTED
        .into_iter()
        .zip(["devtmpfs", "proc", "sysfs", "tmpfs"])
    {
        let place = mount_point(&root, path, &mut staged)?;
        let options = match file_system {
            "tmpfs" => TMPFS,
            _ => &[],
        };
        mount_pseudo(file_system, options, &place)?;
    }
    // The kernel may have found none before there was a /dev.
    if let Ok(console) = File::options().read(true).write(true).open("/dev/console") {
        dup2_stdin(&console)
            .and_then(|()| dup2_stdout(&console))
            .and_then(|()| dup2_stderr(&console))
            .map_err(tried("use the console"))?;
    }
    stage::record_kernel(&mut staged)?;
    let own = File::open(OWN).map_err(tried("read srctl itself"))?;
    let new_root = stage::new_root(&root, &settings.new_root, own, &mut staged)?;
    fs::remove_dir_all(FOLDER).map_err(tried("take the files of the rehearsal away"))?;
    say(&Message::Staged(staged)).map_err(tried("write"))?;
    Err(stage::execute(&program, new_root, &settings, true).into())
}
