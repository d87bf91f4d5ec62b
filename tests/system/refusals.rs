//! What is refused before anything is changed: trees and mounts are compared, and the
//! words say what was wrong.

use switch_root_tests::scene::{INIT, NEW_ROOT, NewRoot, Root, SUBJECT, Scene};
use switch_root_tests::steps::{Make, Steps};

use crate::check::{boots, ensure, refuses};
use crate::tools::{Checked, Stop, boot, cases};

cases![
    no_arguments_are_refused,
    a_new_root_without_an_init_is_refused,
    a_new_root_that_is_missing_is_refused,
    a_new_root_that_is_no_directory_is_refused,
    a_new_root_that_is_no_mount_point_is_refused,
    a_new_root_on_the_same_file_system_is_refused,
    the_root_itself_is_no_new_root,
    a_root_on_disk_is_refused,
    a_root_on_disk_is_kept_whole_where_that_is_asked_for,
    a_process_other_than_the_first_is_refused,
    an_init_that_is_missing_is_refused,
    an_init_that_is_a_directory_is_refused,
    an_init_that_is_not_executable_is_refused,
    an_init_that_is_a_link_out_of_the_new_root_is_refused,
    an_init_that_climbs_out_of_the_new_root_is_refused,
    an_init_that_is_a_link_to_itself_is_refused,
    an_init_behind_a_link_is_found_within_the_new_root,
    a_read_only_new_root_without_a_place_for_proc_is_refused,
    a_read_only_new_root_without_a_place_for_dev_is_refused,
    a_read_only_new_root_without_a_place_for_run_is_refused,
    a_read_only_new_root_needs_no_place_for_what_is_not_mounted,
];

/// A boot whose init is at `path`.
fn with_init(path: &str) -> Result<Scene, Stop> {
    Ok(boot()?.command([SUBJECT, NEW_ROOT, path]))
}

fn no_arguments_are_refused() -> Checked {
    refuses(&boot()?.command([SUBJECT]), &["no new root", "--help"])
}

fn a_new_root_without_an_init_is_refused() -> Checked {
    refuses(
        &boot()?.command([SUBJECT, NEW_ROOT]),
        &["no init", "--help"],
    )
}

fn a_new_root_that_is_missing_is_refused() -> Checked {
    let scene = boot()?.command([SUBJECT, "/nowhere", INIT]);
    refuses(&scene, &["/nowhere", "does not exist"])
}

fn a_new_root_that_is_no_directory_is_refused() -> Checked {
    let scene = boot()?.file("/file", "x").command([SUBJECT, "/file", INIT]);
    refuses(&scene, &["/file", "not a directory"])
}

fn a_new_root_that_is_no_mount_point_is_refused() -> Checked {
    refuses(
        &boot()?.new_root(NewRoot::Unmounted),
        &[NEW_ROOT, "not a mount point", "mount the real root"],
    )
}

fn a_new_root_on_the_same_file_system_is_refused() -> Checked {
    refuses(
        &boot()?.new_root(NewRoot::SameFileSystem),
        &[NEW_ROOT, "same file system"],
    )
}

fn the_root_itself_is_no_new_root() -> Checked {
    let scene = boot()?
        .executable(INIT, "#!/bin/sh\n")
        .command([SUBJECT, "/", INIT]);
    refuses(&scene, &["new root"])
}

fn a_root_on_disk_is_refused() -> Checked {
    let mut scene = boot()?;
    scene.root = Root::Disk;
    refuses(&scene, &["tmpfs", "ramfs", "--keep-initramfs"])
}

fn a_root_on_disk_is_kept_whole_where_that_is_asked_for() -> Checked {
    let mut scene = boot()?
        .options(["--keep-initramfs"])
        .file("/precious/file", "x");
    scene.root = Root::Disk;
    let booted = boots(&scene)?;
    booted.everything_left()?;
    let file = &booted.outcome.after.initramfs["/precious/file"];
    ensure!(
        file == &booted.outcome.before.initramfs["/precious/file"],
        "{file:?}"
    );
    Ok(())
}

fn a_process_other_than_the_first_is_refused() -> Checked {
    let mut scene = boot()?;
    scene.first_process = false;
    refuses(&scene, &["PID 1"])
}

fn an_init_that_is_missing_is_refused() -> Checked {
    refuses(
        &with_init("/sbin/missing")?,
        &["/sbin/missing", "is not in the new root"],
    )
}

fn an_init_that_is_a_directory_is_refused() -> Checked {
    let scene = with_init("/sbin/folder")?.in_new_root(|tree| tree.directory("/sbin/folder"));
    refuses(&scene, &["/sbin/folder", "is a directory"])
}

fn an_init_that_is_not_executable_is_refused() -> Checked {
    let scene = with_init("/sbin/plain")?.in_new_root(|tree| tree.file("/sbin/plain", "#!/x\n"));
    refuses(&scene, &["/sbin/plain", "not executable"])
}

fn an_init_that_is_a_link_out_of_the_new_root_is_refused() -> Checked {
    let scene = with_init("/sbin/link")?
        .executable("/outside", "#!/bin/sh\n")
        .in_new_root(|tree| tree.symlink("/sbin/link", "/outside"));
    refuses(&scene, &["/sbin/link", "symbolic link to /outside"])
}

fn an_init_that_climbs_out_of_the_new_root_is_refused() -> Checked {
    let scene = with_init("/../../outside")?
        .executable("/outside", "#!/bin/sh\n")
        .in_new_root(|tree| tree.symlink("/sbin/link", "../../../outside"));
    refuses(&scene, &["outside"])?;
    refuses(
        &scene.command([SUBJECT, NEW_ROOT, "/sbin/link"]),
        &["/sbin/link"],
    )
}

fn an_init_that_is_a_link_to_itself_is_refused() -> Checked {
    let scene = with_init("/sbin/loop")?.in_new_root(|tree| tree.symlink("/sbin/loop", "loop"));
    refuses(&scene, &["/sbin/loop", "circles"])
}

fn an_init_behind_a_link_is_found_within_the_new_root() -> Checked {
    // The same absolute link means another file outside of the new root.
    let scene = with_init("/sbin/link")?
        .directory(INIT)
        .in_new_root(|tree| tree.symlink("/sbin/link", INIT));
    let booted = boots(&scene)?;
    ensure!(
        booted.seen.arguments == ["/sbin/link"],
        "{:?}",
        booted.seen.arguments
    );
    ensure!(
        booted.seen.executable.as_deref() == Some(INIT),
        "{:?}",
        booted.seen.executable
    );
    Ok(())
}

fn a_read_only_new_root_without_a_place_for_proc_is_refused() -> Checked {
    let scene = boot()?.new_root(NewRoot::ReadOnly).without_target("/proc");
    refuses(&scene, &["/proc", "read-only"])
}

fn a_read_only_new_root_without_a_place_for_dev_is_refused() -> Checked {
    let scene = boot()?.new_root(NewRoot::ReadOnly).without_target("/dev");
    refuses(&scene, &["/dev", "read-only"])
}

fn a_read_only_new_root_without_a_place_for_run_is_refused() -> Checked {
    let scene = boot()?.new_root(NewRoot::ReadOnly).without_target("/run");
    refuses(&scene, &["/run", "read-only"])
}

fn a_read_only_new_root_needs_no_place_for_what_is_not_mounted() -> Checked {
    let scene = boot()?
        .new_root(NewRoot::ReadOnly)
        .without("/sys")
        .without_target("/sys");
    let booted = boots(&scene.make("/kept-not", Make::Directory { mode: 0o700 }))?;
    booted.left(&[])
}
