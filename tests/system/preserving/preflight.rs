//! What `--preserve` plans, and what it refuses.

use std::collections::BTreeSet;

use switch_root_tests::outcome::{End, mount_points};
use switch_root_tests::scene::{INIT, NEW_ROOT, Root, SUBJECT, Scene};
use switch_root_tests::steps::{Content, Steps};

use super::room::with_run;
use super::{PRESERVE, alone, copy_of, delegating, keeping, preserves, with_settings};
use crate::check::{ensure, refuses, said, says};
use crate::tools::{Checked, Policies, Stop, boot, cases, play};

cases![
    the_init_is_found_where_none_is_given,
    init_that_cannot_run_gives_way_to_the_next_candidate,
    the_plan_is_printed_and_nothing_is_done,
    without_a_run_of_its_own_it_is_refused,
    a_run_that_is_a_part_of_the_initramfs_is_refused,
    what_any_switch_refuses_is_refused,
    a_root_that_does_not_lie_in_memory_is_preserved_too,
    a_refusal_leaves_an_earlier_run_as_it_was,
];

fn the_init_is_found_where_none_is_given() -> Checked {
    let command: &[&str] = &[SUBJECT, "--preserve", NEW_ROOT];
    let scene = || delegating(boot()?, &[command]);
    let init = |scene: Scene| -> Result<String, Stop> {
        let booted = preserves(&scene)?;
        Ok(booted.report.0["init"].to_string())
    };
    let usual = init(scene()?)?;
    ensure!(usual == r#""/sbin/init""#, "{usual}");
    let systemd =
        scene()?.in_new_root(|tree| tree.executable("/usr/lib/systemd/systemd", "#!/sbin/init\n"));
    let systemd = init(systemd)?;
    ensure!(systemd == r#""/usr/lib/systemd/systemd""#, "{systemd}");
    let named = scene()?
        .in_new_root(|tree| tree.executable("/opt/init", "#!/sbin/init\n"))
        .kernel_command_line("quiet init=/opt/init");
    let named = init(named)?;
    ensure!(named == r#""/opt/init""#, "{named}");
    let mut none = boot()?
        .command(command)
        .kernel_command_line("init=/no/init");
    none.first_process = false;
    refuses(&none, &["init /no/init is not in the new root"])?;
    let mut none = none.kernel_command_line("quiet");
    none.steps
        .retain(|step| !step.path.ends_with(INIT.as_bytes()));
    refuses(&none, &["init /sbin/init is not in the new root"])
}

fn init_that_cannot_run_gives_way_to_the_next_candidate() -> Checked {
    let command: &[&str] = &[SUBJECT, "--preserve", NEW_ROOT];
    let broken = "#!/no/such/interpreter\n";
    let scene = delegating(boot()?, &[command])?
        .in_new_root(|tree| tree.executable("/usr/lib/systemd/systemd", broken));
    let found = preserves(&scene)?.report.0["init"].to_string();
    ensure!(found == r#""/sbin/init""#, "{found}");
    // One that the kernel's command line names gives way to none.
    let mut named = boot()?
        .command(command)
        .in_new_root(|tree| tree.executable("/opt/init", broken))
        .kernel_command_line("init=/opt/init");
    named.first_process = false;
    refuses(&named, &["/opt/init", "/no/such/interpreter"])
}

fn the_plan_is_printed_and_nothing_is_done() -> Checked {
    let scene = keeping(r#""/a", "/b", "/mounted""#)?
        .file("/a", "x")
        .file(
            "/b",
            Content::Filled {
                byte: 1,
                size: 2 << 20,
            },
        )
        .tmpfs("/mounted");
    let scene = alone(with_run(scene, "size=1m"));
    for (format, words) in [
        (
            "text",
            [
                "/sysroot (another program switches)",
                "keep       /a (by 50-keep)",
                "copy       2 paths (4.0 KiB) to /run/switch-root/preserved",
                "lose       /b: it takes 2.0 MiB, and there is room for",
                "mount      /mounted is not copied",
                "delete     nothing: freeing the initramfs is left",
            ],
        ),
        (
            "json",
            [
                r#""strategy": "delegated""#,
                r#""to": "/run/switch-root/preserved""#,
                r#""bytes": 4096"#,
                r#""left_out""#,
                r#""mounts""#,
                r#""would_delete": null"#,
            ],
        ),
    ] {
        let outcome = play(&scene.clone().options(["--plan", "--format", format]))?;
        ensure!(outcome.end == End::Exited(0), "{}", said(&outcome));
        ensure!(outcome.changes().is_empty(), "{:?}", outcome.changes());
        says(&outcome.stdout, &words)?;
    }
    Ok(())
}

fn without_a_run_of_its_own_it_is_refused() -> Checked {
    let scene = alone(keeping(r#""/kept""#)?.file("/kept", "x"));
    refuses(
        &scene.clone().without("/run"),
        &["/run cannot be opened", "mount a tmpfs"],
    )?;
    refuses(
        &scene.without("/run").directory("/run"),
        &["/run is a part of the initramfs"],
    )
}

fn a_run_that_is_a_part_of_the_initramfs_is_refused() -> Checked {
    let scene = keeping(r#""/kept""#)?
        .file("/kept", "x")
        .without("/run")
        .directory("/other");
    refuses(
        &alone(scene.clone().bind("/other", "/run")),
        &["/run is a part of the initramfs"],
    )?;
    refuses(
        &alone(scene.bind("/other", "/sysroot/run")),
        &["/sysroot/run is a part of the initramfs"],
    )
}

/// An initramfs of dracut with its squash module is an overlay. Nothing is deleted here.
fn a_root_that_does_not_lie_in_memory_is_preserved_too() -> Checked {
    let mut scene = alone(keeping(r#""/kept""#)?.file("/kept", "kept")).file("/other", "x");
    scene.root = Root::Disk;
    let outcome = play(&scene)?;
    ensure!(outcome.end == End::Exited(0), "{}", said(&outcome));
    let there = |path: &str| outcome.after.everything.contains_key(&copy_of(path));
    ensure!(there("/kept") && !there("/other"), "{}", said(&outcome));
    Ok(())
}

fn what_any_switch_refuses_is_refused() -> Checked {
    let scene = || -> Result<Scene, Stop> { Ok(alone(keeping(r#""/kept""#)?.file("/kept", "x"))) };
    let refusing = Some(r#"{"on_failure": "refuse"}"#);
    refuses(
        &scene()?.policy("60-broken", "no".into(), refusing),
        &["60-broken", "nothing was changed"],
    )?;
    refuses(
        &scene()?.directory("/usr/lib/switch-root/trust"),
        &["policies must be signed"],
    )?;
    refuses(
        &scene()?.file("/etc/extensions.yaml", "layers: ["),
        &["/etc/extensions.yaml", "nothing was changed"],
    )?;
    refuses(
        &scene()?.command([SUBJECT, "--preserve", "/nowhere"]),
        &["/nowhere does not exist"],
    )?;
    refuses(
        &scene()?.command([SUBJECT, "--preserve", "--foreground", NEW_ROOT]),
        &["--foreground is about the switch"],
    )
}

fn a_refusal_leaves_an_earlier_run_as_it_was() -> Checked {
    let refused: &[&str] = &["/bin/refused", "--preserve", NEW_ROOT, "/no/init"];
    let settings = r#"{"keep": ["/kept"], "carry": {"/etc/a": "/etc/a"}}"#;
    let scene = with_settings(boot()?, settings)?
        .file("/kept", "x")
        .file("/etc/a", "a");
    // It stops the switch, so that what the first run did is seen in the initramfs.
    let once = play(&delegating(scene.clone(), &[PRESERVE, &["/bin/false"]])?)?;
    let twice = play(&delegating(
        scene.symlink("/bin/refused", SUBJECT),
        &[PRESERVE, refused],
    )?)?;
    for outcome in [&once, &twice] {
        ensure!(outcome.end == End::Exited(1), "{}", said(outcome));
        ensure!(outcome.testimony.is_none(), "{}", said(outcome));
    }
    says(&twice.stderr, &["nothing was changed", "/no/init"])?;
    let points = |mounts| mount_points(mounts).into_keys().collect::<BTreeSet<_>>();
    ensure!(
        points(&once.after.mounts) == points(&twice.after.mounts),
        "{:?}",
        twice.after.mounts
    );
    for path in ["/run/switch-root/preserved/kept", "/sysroot/etc/a"] {
        let (once, twice) = (&once.after.everything, &twice.after.everything);
        ensure!(
            once.contains_key(path) && once.get(path) == twice.get(path),
            "{path}: {:?}",
            twice.get(path)
        );
    }
    Ok(())
}
