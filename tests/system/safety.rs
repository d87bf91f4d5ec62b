//! What the host holds whatever policies say and mounts look like.

use switch_root_tests::probe::LEFT;
use switch_root_tests::scene::{NEW_ROOT, SUBJECT, Scene};
use switch_root_tests::steps::{Content, Make, Steps};

use crate::check::{boots, ensure, refuses, said, says};
use crate::command_line::program_with_loader;
use crate::tools::{Checked, Policies, Stop, boot, cases, play, policy, probe};

cases![
    nothing_is_bound_over_what_leads_to_the_init,
    nothing_is_bound_over_what_starts_the_init,
    nothing_is_bound_over_later_interpreters_or_their_links,
    nothing_is_bound_over_the_loader_of_an_interpreter,
    nothing_is_bound_into_run_by_way_of_a_link,
    an_init_that_would_be_covered_is_refused,
    where_nothing_is_deleted_no_mount_is_lost,
    what_a_kept_mount_is_made_of_survives,
    detaching_a_shared_mount_leaves_its_copy_in_the_new_root,
    a_link_in_the_place_of_a_missing_run_stops_nothing,
];

/// Carries one directory of the initramfs to a place of the new root.
fn carrying(scene: Scene, target: &str) -> Result<Scene, Stop> {
    let sidecar = format!(r#"{{"settings": {{"carry": {{"/some": "{target}"}}}}}}"#);
    Ok(scene
        .file("/some/file", "x")
        .policy("50-carry", policy("keep-paths")?, Some(&sidecar)))
}

/// Boots, and checks that the directory survives without being bound, for this reason.
fn is_not_bound(scene: &Scene, words: &[&str]) -> Checked {
    let booted = boots(scene)?;
    booted.left(&["*/some"])?;
    says(&booted.report.0["survivors"].to_string(), words)
}

fn nothing_is_bound_over_what_leads_to_the_init() -> Checked {
    // Neither the path given nor the resolved one names /usr/sbin.
    let scene = boot()?.in_new_root(|tree| {
        tree.symlink("/link/init", "../usr/sbin/init")
            .symlink("/usr/sbin/init", "../../sbin/init")
    });
    let scene = carrying(scene, "/usr/sbin")?.command([SUBJECT, NEW_ROOT, "/link/init"]);
    is_not_bound(&scene, &["/usr/sbin", "leads to the init"])
}

fn nothing_is_bound_over_what_starts_the_init() -> Checked {
    let copy = Content::Copy(probe()?.into());
    let scene = boot()?.in_new_root(|tree| {
        tree.executable("/interpreters/probe", copy)
            .executable("/scripts/init", "#!/interpreters/probe\n")
    });
    let scene = carrying(scene, "/interpreters")?.command([SUBJECT, NEW_ROOT, "/scripts/init"]);
    is_not_bound(&scene, &["/interpreters", "what starts it"])
}

fn nothing_is_bound_over_later_interpreters_or_their_links() -> Checked {
    let copy = Content::Copy(probe()?.into());
    let scene = boot()?.in_new_root(|tree| {
        tree.executable("/scripts/init", "#!/first/script\n")
            .executable("/first/script", "#!/links/probe\n")
            .symlink("/links/probe", "/programs/probe")
            .executable("/programs/probe", copy)
    });
    let scene = scene.command([SUBJECT, NEW_ROOT, "/scripts/init"]);
    for target in ["/first", "/links", "/programs"] {
        let scene = carrying(scene.clone(), target)?;
        is_not_bound(&scene, &[target, "what starts it"])?;
    }
    Ok(())
}

fn nothing_is_bound_over_the_loader_of_an_interpreter() -> Checked {
    let scene = boot()?.in_new_root(|tree| {
        tree.executable("/scripts/init", "#!/programs/shell\n")
            .executable("/programs/shell", program_with_loader("/loaders/ld.so"))
            .executable("/loaders/ld.so", program_with_loader("/none"))
    });
    let scene = carrying(scene, "/loaders")?;
    let outcome = play(&scene.command([SUBJECT, "--plan", NEW_ROOT, "/scripts/init"]))?;
    says(
        &said(&outcome),
        &[
            "/some (by 50-carry): not bound",
            "/loaders",
            "what starts it",
        ],
    )
}

fn nothing_is_bound_into_run_by_way_of_a_link() -> Checked {
    let scene = boot()?.in_new_root(|tree| tree.symlink("/var/run", "/run"));
    is_not_bound(&carrying(scene, "/var/run/some")?, &["/run"])
}

fn an_init_that_would_be_covered_is_refused() -> Checked {
    let scene = boot()?.in_new_root(|tree| tree.executable("/run/init", "#!/sbin/init\n"));
    let scene = scene.command([SUBJECT, NEW_ROOT, "/run/init"]);
    refuses(&scene, &["/run/init", "lies below /run"])
}

fn where_nothing_is_deleted_no_mount_is_lost() -> Checked {
    for strategy in ["move", "pivot"] {
        // No policy has a part in it, so that it is for root alone.
        let kept = format!("{LEFT}/data/file");
        let scene = boot()?
            .options(["--strategy", strategy, "--keep-initramfs"])
            .tmpfs("/data")
            .file("/data/file", "x")
            .look_at([kept.as_str()]);
        let booted = boots(&scene)?;
        let seen = booted.seen.files[&kept].content.as_deref();
        ensure!(seen == Some("x"), "{strategy}: {kept} holds {seen:?}");
    }
    Ok(())
}

fn what_a_kept_mount_is_made_of_survives() -> Checked {
    for strategy in ["move", "pivot"] {
        let kept = "/run/switch-root/preserved/alias/file";
        let sidecar = r#"{"settings": {"keep": ["/alias"]}}"#;
        let scene = boot()?
            .options(["--strategy", strategy])
            .file("/store/file", "x")
            .file("/other/file", "not kept")
            .bind("/store", "/alias")
            .policy("50-keep", policy("keep-paths")?, Some(sidecar))
            .look_at([kept]);
        let booted = boots(&scene)?;
        let seen = booted.seen.files[kept].content.as_deref();
        ensure!(seen == Some("x"), "{strategy}: {kept} holds {seen:?}");
        let left = &booted.outcome.after.initramfs;
        ensure!(
            left.contains_key("/store/file") && !left.contains_key("/other"),
            "{strategy}: left: {:?}",
            left.keys()
        );
    }
    Ok(())
}

fn detaching_a_shared_mount_leaves_its_copy_in_the_new_root() -> Checked {
    for strategy in ["move", "pivot"] {
        let inner = Make::Mount {
            file_system: "tmpfs".into(),
            options: String::new(),
        };
        let file = Make::File {
            mode: 0o644,
            content: "x".into(),
        };
        let scene = boot()?
            .options(["--strategy", strategy])
            .tmpfs("/data")
            .make("/data", Make::Shared)
            .bind("/data", "/sysroot/data")
            .at_last("/data/inner", inner)
            .at_last("/data/inner/file", file)
            .look_at(["/data/inner/file"]);
        let booted = boots(&scene)?;
        let seen = booted.seen.files["/data/inner/file"].content.as_deref();
        let mounts = booted.seen.mounts.join("\n");
        ensure!(
            seen == Some("x"),
            "{strategy}: the file holds {seen:?}\n{mounts}"
        );
        booted.left(&[])?;
    }
    Ok(())
}

fn a_link_in_the_place_of_a_missing_run_stops_nothing() -> Checked {
    let scene = boot()?
        .without("/run")
        .without_target("/run")
        .in_new_root(|tree| tree.symlink("/run", "var/run"));
    let outcome = play(&scene)?;
    ensure!(
        outcome.testimony.is_some(),
        "init was not started\n{}",
        outcome.stderr
    );
    says(&outcome.stderr, &["no report"])
}
