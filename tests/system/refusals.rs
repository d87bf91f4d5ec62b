//! What is refused before anything is changed: trees and mounts are compared, and the
//! words say what was wrong.

use switch_root_tests::outcome::End;
use switch_root_tests::scene::{INIT, Limit, NEW_ROOT, NewRoot, Root, SUBJECT, Scene};
use switch_root_tests::steps::{Content, Make, Steps};

use crate::check::{boots, ensure, refuses, said, says};
use crate::command_line::{program_for, program_with_loader};
use crate::tools::{Checked, Stop, boot, cases, need_privileges, play, probe};

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
    init_of_more_scripts_than_the_kernel_follows_is_refused,
    init_of_as_many_scripts_as_the_kernel_follows_boots,
    init_for_another_architecture_is_refused,
    init_for_a_compat_class_is_at_most_a_warning,
    init_whose_interpreter_lies_on_a_noexec_mount_is_refused,
    init_whose_interpreter_comes_with_a_mount_is_a_warning,
    init_that_names_gigabytes_costs_no_memory,
    an_init_behind_a_link_is_found_within_the_new_root,
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

/// A boot whose init is the first of so many scripts, each the interpreter of the one before
/// it, and the last one's interpreter a program.
fn with_scripts(count: usize) -> Result<Scene, Stop> {
    let scene = with_init("/scripts/1")?;
    Ok((1..=count).fold(scene, |scene, number| {
        let next = match number == count {
            true => INIT.to_owned(),
            false => format!("/scripts/{}", number + 1),
        };
        let path = format!("/scripts/{number}");
        scene.in_new_root(|tree| tree.executable(path, format!("#!{next}\n").into_bytes()))
    }))
}

fn init_of_more_scripts_than_the_kernel_follows_is_refused() -> Checked {
    refuses(
        &with_scripts(6)?,
        &[
            "/scripts/1",
            "more than 5 scripts",
            "switch_root.unchecked_init",
        ],
    )?;
    let mut missing = with_scripts(5)?;
    missing
        .steps
        .retain(|step| !step.path.ends_with(b"/scripts/4"));
    refuses(&missing, &["/scripts/3 names the interpreter /scripts/4"])
}

fn init_of_as_many_scripts_as_the_kernel_follows_boots() -> Checked {
    let booted = boots(&with_scripts(5)?)?;
    ensure!(
        booted.seen.executable.as_deref() == Some(INIT),
        "{:?}",
        booted.seen.executable
    );
    let warnings = booted.report.warnings();
    ensure!(!warnings.contains("/scripts/1"), "{warnings}");
    booted.left(&[])
}

/// A machine that no kernel knows, and no emulator is registered for.
const NO_MACHINE: u16 = 0x5a5a;

fn init_for_another_architecture_is_refused() -> Checked {
    // In a user namespace it is not known what is registered with binfmt_misc.
    need_privileges()?;
    let scene = boot()?.in_new_root(|tree| {
        tree.executable("/foreign/init", program_for(NO_MACHINE, "/none"))
            .executable("/foreign/script", "#!/foreign/init\n")
    });
    for path in ["/foreign/init", "/foreign/script"] {
        refuses(
            &scene.clone().command([SUBJECT, NEW_ROOT, path]),
            &[path, "another architecture (machine 23130)"],
        )?;
    }
    Ok(())
}

/// The warnings of a plan that must come to be.
fn planned(scene: &Scene) -> Result<String, Stop> {
    let outcome = play(scene)?;
    let all = said(&outcome);
    ensure!(outcome.end == End::Exited(0), "{all}");
    Ok(all)
}

fn init_for_a_compat_class_is_at_most_a_warning() -> Checked {
    // A header of 32 bits that asks for no loader.
    let mut elf = vec![0; 52 + 32];
    elf[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
    let fields = [
        (16, libc::ET_EXEC),
        (18, libc::EM_386),
        (28, 52),
        (42, 32),
        (44, 1),
    ];
    for (at, value) in fields {
        elf[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    let scene = boot()?
        .options(["--plan"])
        .in_new_root(|tree| tree.executable(INIT, elf));
    says(&planned(&scene)?, &["not known", INIT, "i386"])
}

fn init_whose_interpreter_lies_on_a_noexec_mount_is_refused() -> Checked {
    let mount = Make::Mount {
        file_system: "tmpfs".into(),
        options: String::new(),
    };
    let scene = with_init("/sbin/script")?.in_new_root(|tree| {
        tree.executable("/sbin/script", "#!/opt/shell\n")
            .make("/opt", mount)
            .make("/opt", Make::NoExec)
            .executable("/opt/shell", program_with_loader("/none"))
    });
    refuses(&scene, &["/sbin/script", "/opt/shell", "noexec"])
}

fn init_whose_interpreter_comes_with_a_mount_is_a_warning() -> Checked {
    // It is in the /run of the initramfs, which is moved into the new root.
    let scene = with_init("/sbin/script")?
        .file("/run/other", "")
        .executable("/run/shell", Content::Copy(probe()?.into()))
        .in_new_root(|tree| tree.executable("/sbin/script", "#!/run/shell\n"));
    let booted = boots(&scene)?;
    says(&booted.report.warnings(), &["/sbin/script", "/run/shell"])
}

fn init_that_names_gigabytes_costs_no_memory() -> Checked {
    let mut init = program_with_loader("/none");
    // The size that the only program header gives.
    init[64 + 32..64 + 40].copy_from_slice(&(2_u64 << 30).to_le_bytes());
    let scene = boot()?
        .limit(Limit::AddressSpace(1 << 30))
        .in_new_root(|tree| tree.executable(INIT, init));
    refuses(&scene, &[INIT, "a path that the kernel does not read"])
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

fn a_read_only_new_root_needs_no_place_for_what_is_not_mounted() -> Checked {
    let scene = boot()?
        .new_root(NewRoot::ReadOnly)
        .without("/sys")
        .without_target("/sys");
    let booted = boots(&scene.make("/kept-not", Make::Directory { mode: 0o700 }))?;
    booted.left(&[])
}
