//! Makes what a scene describes, once the pseudo file systems are mounted: the new
//! root, the steps, and what comes last.

use std::fs;
use std::io;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use crate::apply::{NOTHING, apply, mount_pseudo};
use crate::scene::{NEW_ROOT, NewRoot, QUESTIONS, Scene};
use crate::steps::{Make, Step};

/// Makes everything that the scene describes. Files that are copied are looked up below
/// `host`.
///
/// # Errors
/// The step that fails, with its path.
pub fn furnish(scene: &Scene, host: &Path) -> io::Result<()> {
    new_root(scene)?;
    apply(&scene.steps, host)?;
    if scene.new_root == NewRoot::ReadOnly {
        apply(
            &[Step {
                path: NEW_ROOT.into(),
                make: Make::ReadOnly,
            }],
            host,
        )?;
    }
    apply(&scene.last_steps, host)
}

/// Makes the new root and its directories for the pseudo file systems.
fn new_root(scene: &Scene) -> io::Result<()> {
    if scene.new_root == NewRoot::Missing {
        return Ok(());
    }
    fs::create_dir_all(NEW_ROOT)?;
    match scene.new_root {
        NewRoot::Mounted | NewRoot::ReadOnly => {
            mount_pseudo(Path::new(NEW_ROOT), "tmpfs", "mode=0755")?;
        }
        NewRoot::SameFileSystem => {
            fs::create_dir_all("/other")?;
            mount(Some("/other"), NEW_ROOT, NOTHING, MsFlags::MS_BIND, NOTHING)?;
        }
        NewRoot::Unmounted | NewRoot::Missing => {}
    }
    for target in &scene.targets {
        fs::create_dir_all(format!("{NEW_ROOT}{target}"))?;
    }
    let questions = format!("{NEW_ROOT}{QUESTIONS}");
    if let Some(above) = Path::new(&questions).parent() {
        fs::create_dir_all(above)?;
    }
    fs::write(questions, serde_json::to_vec(&scene.questions)?)
}
