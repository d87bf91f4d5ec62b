//! Policies, good and hostile: what they keep, and what becomes of a boot when one
//! fails.

use libtest_mimic::Trial;
use switch_root_tests::scene::Scene;
use switch_root_tests::steps::{Content, Make, Steps};

use crate::check::{Booted, boots, ensure, refuses, says};
use crate::durations::timed;
use crate::tools::{Checked, Policies, Stop, boot, play, policy, trial};

const VENDOR: &str = "/usr/lib/switch-root/policies.d";
const OPERATOR: &str = "/etc/switch-root/policies.d";

/// An attack, the sentence for what the policy does, and words of the failure.
type Attack = (&'static str, &'static str, &'static [&'static str]);

/// Policies whose preservation review fails.
const ATTACKS: [Attack; 19] = [
    ("trap", "traps", &["trap"]),
    ("panic", "panics", &["trap"]),
    ("loop", "loops", &["fuel", "100000000"]),
    (
        "allocate-forever",
        "allocates_without_end",
        &["memory", "33554432"],
    ),
    ("deep-recursion", "recurses_without_end", &["stack"]),
    (
        "too-few",
        "returns_too_few_decisions",
        &["decisions for the"],
    ),
    (
        "too-many",
        "returns_a_million_decisions",
        &["bytes to the host"],
    ),
    (
        "dotdot",
        "carries_to_a_path_with_dots",
        &["`..`", "/etc/../x"],
    ),
    (
        "relative",
        "carries_to_a_relative_path",
        &["not absolute", "etc/x"],
    ),
    ("nul-target", "carries_to_a_path_with_nul", &["NUL"]),
    (
        "empty-target",
        "carries_to_the_empty_path",
        &["not absolute"],
    ),
    (
        "long-target",
        "carries_to_a_path_that_is_too_long",
        &["4095"],
    ),
    ("carry-init", "carries_over_init", &["/sbin/init", "hide"]),
    ("carry-proc", "carries_into_proc", &["/proc"]),
    ("many-carries", "carries_everything", &["100", "carry"]),
    (
        "log-huge",
        "logs_a_message_of_8_mib",
        &["bytes to the host"],
    ),
    ("error", "returns_an_error", &["says:"]),
    (
        "giant-error",
        "returns_an_error_of_8_mib",
        &["bytes to the host"],
    ),
    (
        "descend-file",
        "descends_into_a_file",
        &["descend", "not a directory"],
    ),
];

/// Files that are no policy, and words of the failure.
const FILES: [Attack; 4] = [
    ("core-module", "core_module", &["core module", "component"]),
    (
        "wasi-imports",
        "component_with_wasi_imports",
        &["imports", "wasi:"],
    ),
    (
        "other-version",
        "component_of_another_contract_version",
        &["0.2.0", "0.1.0"],
    ),
    (
        "truncated",
        "truncated_component",
        &["not a valid component"],
    ),
];

/// The tests of this theme.
pub fn cases() -> Vec<Trial> {
    let attacks = ATTACKS.into_iter().map(|(attack, does, words)| {
        let name = format!("policies::a_policy_that_{does}_leaves_everything_in_place");
        timed(name, move || fails(attack, words))
    });
    let files = FILES.into_iter().map(|(file, what, words)| {
        let name = format!("policies::a_{what}_leaves_everything_in_place");
        timed(name, move || fails_to_load(file, words))
    });
    attacks.chain(files).chain(plain_cases()).collect()
}

fn plain_cases() -> Vec<Trial> {
    macro_rules! list {
        ($($case:ident),* $(,)?) => { vec![$(trial(module_path!(), stringify!($case), $case)),*] };
    }
    list![
        without_a_policies_folder_the_default_is_alone,
        an_empty_policies_folder_is_no_failure,
        a_policies_folder_that_cannot_be_read_leaves_everything_in_place,
        a_file_that_is_not_wasm_leaves_everything_in_place,
        a_policy_that_fails_may_be_ignored,
        a_policy_that_cannot_be_loaded_may_be_ignored,
        a_policy_that_fails_may_refuse_the_switch,
        a_policy_that_cannot_be_loaded_may_refuse_the_switch,
        a_failed_policy_does_not_silence_the_others,
        one_that_ends_the_judge_costs_only_its_own_answer,
        a_policy_that_does_not_answer_in_time_fails,
        limits_can_be_set_in_the_sidecar,
        every_limit_of_a_sidecar_is_held,
        settings_that_the_policy_refuses_are_a_failure,
        a_sidecar_that_is_malformed_is_a_failure,
        a_sidecar_of_a_newer_release_still_says_to_refuse,
        a_flood_of_log_messages_is_cut_and_counted,
        control_characters_in_log_messages_are_escaped,
        directional_characters_reach_no_log_and_stay_in_json,
        a_policy_keeps_no_state_between_calls,
        a_policy_may_keep_everything,
        a_policy_that_looks_everywhere_and_keeps_nothing_changes_nothing,
        a_carry_target_need_not_be_utf8,
        keep_paths_keeps_what_its_patterns_match,
        keep_paths_carries_files_and_directories,
        a_carry_over_a_file_that_is_there_hides_it,
        a_carry_through_a_link_stays_in_the_new_root,
        a_carry_onto_a_directory_is_kept_and_not_bound,
        a_carry_onto_a_link_is_kept_and_not_bound,
        a_carry_through_a_link_to_proc_is_kept_and_not_bound,
        a_carry_below_what_is_missing_is_kept_and_not_bound,
        what_any_policy_keeps_survives,
        the_operators_policy_replaces_the_vendors,
        an_empty_file_masks_a_policy,
        a_link_to_dev_null_masks_the_default,
        a_file_takes_the_place_of_the_default,
        an_operators_sidecar_goes_with_a_vendors_policy,
        policies_are_asked_in_the_order_of_their_names,
    ]
}

fn hostile(attack: &str) -> Result<Scene, Stop> {
    hostile_with(attack, "")
}

/// `more` is further members of the sidecar, beginning with a comma.
fn hostile_with(attack: &str, more: &str) -> Result<Scene, Stop> {
    let sidecar = format!(r#"{{"settings": {{"attack": "{attack}"}}{more}}}"#);
    let scene = boot()?
        .file("/extensions.yaml", "")
        .file("/some/file", "bytes");
    // As many entries in `/` that more than a hundred carries are asked for.
    let scene = scene.make(
        "/many",
        Make::Many {
            directories: 150,
            files: 1,
            bytes: 10,
        },
    );
    let scene = scene.in_new_root(|tree| tree.directory("/srv"));
    Ok(scene.policy("50-hostile", policy("hostile")?, Some(&sidecar)))
}

fn fails(attack: &str, words: &[&str]) -> Checked {
    let mut scene = hostile(attack)?;
    if attack == "many-carries" {
        scene = (0..120).fold(scene, |scene, number| {
            scene.directory(format!("/more-{number}"))
        });
    }
    let booted = boots(&scene)?;
    booted.failed("50-hostile", words)?;
    booted.everything_left()?;
    says(booted.report.deletion_reason(), &["50-hostile"])?;
    says(&booted.outcome.stderr, &["50-hostile"])
}

fn with_file(content: impl Into<Content>, sidecar: Option<&str>) -> Result<Scene, Stop> {
    Ok(boot()?
        .file("/extensions.yaml", "")
        .policy("50-broken", content.into(), sidecar))
}

fn fails_to_load(file: &str, words: &[&str]) -> Checked {
    let booted = boots(&with_file(policy(file)?, None)?)?;
    booted.failed("50-broken", words)?;
    booted.everything_left()?;
    says(&booted.outcome.stderr, &["50-broken"])
}

fn without_a_policies_folder_the_default_is_alone() -> Checked {
    let booted = boots(&boot()?.file("/extensions.yaml", ""))?;
    ensure!(
        booted.report.policies() == ["00-default"],
        "{:?}",
        booted.report.policies()
    );
    let default = booted
        .report
        .policy("00-default")
        .ok_or("no default policy")?;
    ensure!(default["origin"] == "embedded", "{default}");
    booted.left(&["/extensions.yaml"])
}

fn an_empty_policies_folder_is_no_failure() -> Checked {
    let booted = boots(&boot()?.directory(VENDOR).directory(OPERATOR))?;
    ensure!(
        booted.report.policies() == ["00-default"],
        "{:?}",
        booted.report.policies()
    );
    booted.left(&[])
}

fn a_policies_folder_that_cannot_be_read_leaves_everything_in_place() -> Checked {
    for folder in [VENDOR, OPERATOR] {
        let booted = boots(&boot()?.file(folder, "not a folder"))?;
        booted.failed(folder, &["cannot be read"])?;
        booted.everything_left()?;
    }
    Ok(())
}

fn a_file_that_is_not_wasm_leaves_everything_in_place() -> Checked {
    let booted = boots(&with_file("#!/bin/sh\n", None)?)?;
    booted.failed("50-broken", &["not WebAssembly"])?;
    booted.everything_left()
}

const IGNORE: &str = r#", "on_failure": "ignore""#;
const REFUSE: &str = r#", "on_failure": "refuse""#;

fn a_policy_that_fails_may_be_ignored() -> Checked {
    for attack in ["trap", "loop", "too-few", "error"] {
        let booted = boots(&hostile_with(attack, IGNORE)?)?;
        booted.failed("50-hostile", &[])?;
        booted.left(&["/extensions.yaml"])?;
    }
    Ok(())
}

fn a_policy_that_cannot_be_loaded_may_be_ignored() -> Checked {
    let scene = with_file(policy("truncated")?, Some(r#"{"on_failure": "ignore"}"#))?;
    boots(&scene)?.left(&["/extensions.yaml"])
}

fn a_policy_that_fails_may_refuse_the_switch() -> Checked {
    refuses(&hostile_with("trap", REFUSE)?, &["50-hostile", "trap"])?;
    refuses(
        &hostile_with("allocate-forever", REFUSE)?,
        &["50-hostile", "memory"],
    )
}

fn a_policy_that_cannot_be_loaded_may_refuse_the_switch() -> Checked {
    let scene = with_file(policy("wasi-imports")?, Some(r#"{"on_failure": "refuse"}"#))?;
    refuses(&scene, &["50-broken", "wasi:"])
}

fn keeping(scene: Scene, name: &str, paths: &str) -> Result<Scene, Stop> {
    let sidecar = format!(r#"{{"settings": {{"keep": [{paths}]}}}}"#);
    Ok(scene.policy(name, policy("keep-paths")?, Some(&sidecar)))
}

fn a_failed_policy_does_not_silence_the_others() -> Checked {
    let scene = keeping(hostile_with("trap", IGNORE)?, "60-keep", r#""/some/*""#)?;
    boots(&scene)?.left(&["/extensions.yaml", "/some/file"])
}

fn one_that_ends_the_judge_costs_only_its_own_answer() -> Checked {
    for attack in ["deep-recursion", "allocate-forever"] {
        let scene = keeping(hostile_with(attack, IGNORE)?, "60-keep", r#""/some/file""#)?;
        let booted = boots(&scene)?;
        booted.left(&["/extensions.yaml", "/some/file"])?;
        ensure!(
            booted.report.failure("60-keep").is_none(),
            "{:?}",
            booted.report.0["policies"]
        );
    }
    Ok(())
}

fn a_policy_that_does_not_answer_in_time_fails() -> Checked {
    // So much fuel that only the clock ends the loop.
    let limits = r#", "limits": {"fuel": 100000000000000, "deadline_ms": 1000}"#;
    let booted = boots(&hostile_with("loop", limits)?)?;
    booted.failed("50-hostile", &["deadline", "1000 ms"])?;
    booted.everything_left()
}

fn limits_can_be_set_in_the_sidecar() -> Checked {
    let booted = boots(&hostile_with(
        "none",
        r#", "limits": {"fuel": 10, "fuel_per_item": 0}"#,
    )?)?;
    booted.failed("50-hostile", &["fuel", "limit 10"])
}

fn every_limit_of_a_sidecar_is_held() -> Checked {
    for (limits, words) in [
        (r#""instances": 1"#, ["limit", "instance"]),
        (r#""tables": 0"#, ["limit", "table"]),
        (r#""table_elements": 1"#, ["limit", "table of"]),
        (r#""memories": 0"#, ["limit", "memory"]),
        (r#""memory_bytes": 65536"#, ["memory", "limit 65536"]),
        (r#""fuel": 10, "fuel_per_item": 0"#, ["fuel", "limit 10"]),
    ] {
        let sidecar = format!(r#"{{"limits": {{{limits}}}}}"#);
        let scene = boot()?.policy("60-keep", policy("keep-paths")?, Some(&sidecar));
        let booted = boots(&scene)?;
        booted.failed("60-keep", &words)?;
        booted.everything_left()?;
    }
    Ok(())
}

fn settings_that_the_policy_refuses_are_a_failure() -> Checked {
    let booted = boots(&hostile("no-such-attack")?)?;
    booted.failed("50-hostile", &["settings", "no-such-attack"])?;
    booted.everything_left()
}

fn a_sidecar_that_is_malformed_is_a_failure() -> Checked {
    for (sidecar, words) in [
        ("{", "EOF"),
        (r#"{"limit": {}}"#, "unknown field `limit`"),
        (r#"{"on_failure": "halt"}"#, "unknown variant `halt`"),
    ] {
        let booted = boots(&with_file(policy("hostile")?, Some(sidecar))?)?;
        booted.failed("50-broken", &["50-broken.json", words])?;
        booted.everything_left()?;
    }
    Ok(())
}

fn a_sidecar_of_a_newer_release_still_says_to_refuse() -> Checked {
    let newer = "newer release: its version is 2, and this one knows 1";
    for (sidecar, words) in [
        (r#"{"version": 2, "on_failure": "refuse"}"#, newer),
        (
            r#"{"on_failure": "refuse", "new": 1}"#,
            "unknown field `new`",
        ),
    ] {
        let scene = with_file(policy("hostile")?, Some(sidecar))?;
        refuses(&scene, &["50-broken.json", words, "says to refuse"])?;
    }
    let scene = with_file(policy("hostile")?, Some(r#"{"version": 2}"#))?;
    let booted = boots(&scene)?;
    booted.failed("50-broken", &["50-broken.json", newer])?;
    booted.everything_left()?;
    let sidecar = r#"{"version": 1, "settings": {"keep": ["/some/file"]}}"#;
    let scene = boot()?.policy("50-keep", policy("keep-paths")?, Some(sidecar));
    boots(&scene.file("/some/file", "kept"))?.left(&["/some/file"])
}

fn a_flood_of_log_messages_is_cut_and_counted() -> Checked {
    let booted = boots(&hostile("log-flood")?)?;
    let lines = booted.outcome.stderr.lines().count();
    ensure!(lines < 1000, "{lines} lines were logged");
    says(&booted.outcome.stderr, &["log messages were dropped"])
}

fn control_characters_in_log_messages_are_escaped() -> Checked {
    let booted = boots(&hostile_with("log-control", IGNORE)?.options(["--log", "debug"]))?;
    let text = &booted.outcome.stderr;
    let bare = |character: char| character.is_control() && character != '\n';
    ensure!(!text.contains(bare), "control characters in {text:?}");
    says(text, &["50-hostile", "\\x1b"])
}

fn directional_characters_reach_no_log_and_stay_in_json() -> Checked {
    // It is shown as /keep/exe.gnp, where a terminal obeys.
    let file = "/keep/\u{202e}png.exe";
    let sidecar = r#"{"settings": {"keep": ["/keep/*.exe"]}}"#;
    let scene = boot()?
        .file(file, "kept")
        .file("/etc/switch-root/policies.d/60-\u{2066}x.json", "{}")
        .policy("50-keep", policy("keep-paths")?, Some(sidecar));
    let booted = boots(&scene)?;
    let hidden = |text: &str| text.contains(['\u{202e}', '\u{2066}']);
    let log = &booted.outcome.stderr;
    ensure!(!hidden(log), "directional characters in {log:?}");
    says(log, &[r"60-\xe2\x81\xa6x.json has no policy"])?;
    let planned = play(&scene.options(["--plan"]))?;
    let plan = &planned.stdout;
    ensure!(!hidden(plan), "directional characters in {plan:?}");
    let survivors = booted.report.0["survivors"].to_string();
    ensure!(survivors.contains(file), "JSON is changed: {survivors}");
    Ok(())
}

fn a_policy_keeps_no_state_between_calls() -> Checked {
    // It keeps everything from its second call on. `/` is descended into by the first
    // one; whether there is a second for this instance is the host's business, and
    // whatever it is, the boot goes on and what was decided is what is done.
    boots(&hostile("stateful")?)?.as_reported()
}

fn a_policy_may_keep_everything() -> Checked {
    let booted = boots(&hostile("keep-everything")?)?;
    ensure!(
        booted.report.failure("50-hostile").is_none(),
        "{}",
        booted.report.0["policies"]
    );
    let before = &booted.outcome.before.initramfs;
    let left = &booted.outcome.after.initramfs;
    let gone: Vec<_> = before
        .keys()
        .filter(|path| !left.contains_key(*path))
        .collect();
    ensure!(gone.is_empty(), "gone: {gone:?}");
    Ok(())
}

fn a_policy_that_looks_everywhere_and_keeps_nothing_changes_nothing() -> Checked {
    let booted = boots(&hostile("descend-everywhere")?)?;
    ensure!(
        booted.report.failure("50-hostile").is_none(),
        "{}",
        booted.report.0["policies"]
    );
    booted.left(&["/extensions.yaml"])?;
    booted.freed(10)
}

fn a_carry_target_need_not_be_utf8() -> Checked {
    // All entries go to one place, so the first one counts, and it is a directory.
    let booted = boots(&hostile("non-utf8-target")?)?;
    ensure!(
        booted.report.failure("50-hostile").is_none(),
        "{}",
        booted.report.0["policies"]
    );
    let carried: Vec<_> = booted
        .report
        .survivors()
        .into_keys()
        .filter_map(|path| booted.report.carried_to(&path))
        .collect();
    ensure!(
        carried.iter().any(|target| target == "/srv/\\xff\\xfe"),
        "carried to {carried:?}"
    );
    Ok(())
}

fn keep_paths_keeps_what_its_patterns_match() -> Checked {
    let scene = boot()?
        .file("/var/log/boot/one.log", "1")
        .file("/var/log/boot/deep/er/two.log", "2")
        .file("/var/log/other", "3")
        .file("/etc/ssh/ssh_host_key", "key")
        .file("/etc/ssh/sshd_config", "config")
        .file(b"/odd/\xff\xfe", "odd")
        .file("/odd/even", "even");
    let paths = r#""/var/log/boot/**", "/etc/ssh/ssh_host_*", "/odd/??""#;
    let booted = boots(&keeping(scene, "50-keep", paths)?)?;
    booted.left(&["*/var/log/boot", "/etc/ssh/ssh_host_key", "/odd/\\xff\\xfe"])?;
    let survivors = booted.report.survivors();
    let by = survivors.get("/odd/\\xff\\xfe");
    ensure!(by.is_some_and(|by| by.contains("50-keep")), "{survivors:?}");
    Ok(())
}

fn carrying(pairs: &str) -> Result<Scene, Stop> {
    let sidecar = format!(r#"{{"settings": {{"carry": {{{pairs}}}}}}}"#);
    let scene = boot()?
        .file("/etc/machine.conf", "machine\n")
        .file("/firmware/a.bin", "a")
        .file("/firmware/more/b.bin", "b")
        .in_new_root(|tree| tree.directory("/srv").directory("/usr/lib"));
    Ok(scene.policy("50-carry", policy("keep-paths")?, Some(&sidecar)))
}

fn keep_paths_carries_files_and_directories() -> Checked {
    let pairs = r#""/etc/machine.conf": "/srv/conf", "/firmware": "/usr/lib/firmware""#;
    let looked_at = [
        "/srv/conf",
        "/usr/lib/firmware/more/b.bin",
        "/usr/lib/firmware",
    ];
    let booted = boots(&carrying(pairs)?.look_at(looked_at))?;
    booted.left(&["/etc/machine.conf", "*/firmware"])?;
    booted.read_only("/srv/conf", "machine\\x0a")?;
    booted.read_only("/usr/lib/firmware/more/b.bin", "b")?;
    let folder = booted.seen.files["/usr/lib/firmware"]
        .write_error
        .as_deref();
    ensure!(
        folder == Some("EROFS"),
        "making a file in the directory gives {folder:?}"
    );
    Ok(())
}

fn a_carry_over_a_file_that_is_there_hides_it() -> Checked {
    let scene = carrying(r#""/etc/machine.conf": "/srv/conf""#)?
        .in_new_root(|tree| tree.file("/srv/conf", "hidden"))
        .look_at(["/srv/conf"]);
    boots(&scene)?.read_only("/srv/conf", "machine\\x0a")
}

fn a_carry_through_a_link_stays_in_the_new_root() -> Checked {
    // Outside of the new root the link leads to another directory.
    let scene = carrying(r#""/etc/machine.conf": "/link/conf""#)?
        .directory("/real")
        .in_new_root(|tree| tree.symlink("/link", "/real").directory("/real"))
        .look_at(["/real/conf"]);
    let booted = boots(&scene)?;
    booted.left(&["/etc/machine.conf"])?;
    booted.read_only("/real/conf", "machine\\x0a")
}

/// Checks that what could not be bound is kept all the same, and that the report says
/// why it was not bound.
fn kept_and_not_bound(scene: &Scene, path: &str, left: &str, words: &[&str]) -> Checked {
    let booted = boots(scene)?;
    booted.left(&[left])?;
    let report = &booted.report;
    ensure!(
        report.carried_to(path).is_none(),
        "carried: {}",
        report.0["survivors"]
    );
    says(&report.survivor_note(path), words)?;
    says(&booted.outcome.stderr, words)
}

fn a_carry_onto_a_directory_is_kept_and_not_bound() -> Checked {
    let scene = carrying(r#""/etc/machine.conf": "/srv/folder""#)?
        .in_new_root(|tree| tree.directory("/srv/folder"));
    kept_and_not_bound(
        &scene,
        "/etc/machine.conf",
        "/etc/machine.conf",
        &["/srv/folder"],
    )
}

fn a_carry_onto_a_link_is_kept_and_not_bound() -> Checked {
    let scene = carrying(r#""/firmware": "/srv/link""#)?
        .in_new_root(|tree| tree.symlink("/srv/link", "/etc"));
    kept_and_not_bound(
        &scene,
        "/firmware",
        "*/firmware",
        &["/srv/link", "symbolic link"],
    )
}

fn a_carry_through_a_link_to_proc_is_kept_and_not_bound() -> Checked {
    let scene =
        carrying(r#""/etc/machine.conf": "/link/sys/kernel/hostname""#)?.in_new_root(|tree| {
            tree.symlink("/link", "/proc")
                .file("/proc/sys/kernel/hostname", "")
        });
    let path = "/etc/machine.conf";
    kept_and_not_bound(&scene, path, path, &["/link/sys/kernel/hostname", "/proc"])
}

fn a_carry_below_what_is_missing_is_kept_and_not_bound() -> Checked {
    let scene = carrying(r#""/etc/machine.conf": "/no/such/place""#)?;
    kept_and_not_bound(
        &scene,
        "/etc/machine.conf",
        "/etc/machine.conf",
        &["/no/such"],
    )
}

fn what_any_policy_keeps_survives() -> Checked {
    let scene = boot()?
        .file("/a/1", "1")
        .file("/a/2", "2")
        .file("/b/3", "3");
    let scene = keeping(scene, "50-one", r#""/a/1""#)?;
    let booted = boots(&keeping(scene, "60-two", r#""/a", "/b/4""#)?)?;
    booted.left(&["*/a"])?;
    let survivors = booted.report.survivors();
    ensure!(
        survivors.get("/a").is_some_and(|by| by.contains("60-two")),
        "{survivors:?}"
    );
    Ok(())
}

fn origin(booted: &Booted, name: &str) -> String {
    booted
        .report
        .policy(name)
        .map(|policy| policy["origin"].to_string())
        .unwrap_or_default()
}

fn the_operators_policy_replaces_the_vendors() -> Checked {
    let scene = keeping(boot()?.file("/file", "x"), "50-keep", r#""/file""#)?;
    let scene = scene.file(format!("{OPERATOR}/50-keep.wasm"), policy("hostile")?);
    let scene = scene.file(format!("{OPERATOR}/50-keep.json"), r#"{"settings": {}}"#);
    let booted = boots(&scene)?;
    booted.left(&[])?;
    says(&origin(&booted, "50-keep"), &[OPERATOR])
}

fn an_empty_file_masks_a_policy() -> Checked {
    let scene = keeping(boot()?.file("/file", "x"), "50-keep", r#""/file""#)?;
    let booted = boots(&scene.file(format!("{OPERATOR}/50-keep.wasm"), ""))?;
    ensure!(
        booted.report.policies() == ["00-default"],
        "{:?}",
        booted.report.policies()
    );
    ensure!(
        booted.report.0["masked_policies"] == serde_json::json!(["50-keep"]),
        "{:#}",
        booted.report.0
    );
    booted.left(&[])
}

fn a_link_to_dev_null_masks_the_default() -> Checked {
    let scene = boot()?.file("/extensions.yaml", "");
    let booted = boots(&scene.symlink(format!("{OPERATOR}/00-default.wasm"), "/dev/null"))?;
    ensure!(
        booted.report.policies().is_empty(),
        "{:?}",
        booted.report.policies()
    );
    booted.left(&[])
}

fn a_file_takes_the_place_of_the_default() -> Checked {
    let scene = boot()?.file("/extensions.yaml", "").file("/file", "x");
    let booted = boots(&keeping(scene, "00-default", r#""/file""#)?)?;
    ensure!(
        booted.report.policies() == ["00-default"],
        "{:?}",
        booted.report.policies()
    );
    booted.left(&["/file"])?;
    says(&origin(&booted, "00-default"), &[VENDOR])
}

fn an_operators_sidecar_goes_with_a_vendors_policy() -> Checked {
    let scene = keeping(
        boot()?.file("/a", "a").file("/b", "b"),
        "50-keep",
        r#""/a""#,
    )?;
    let other = r#"{"settings": {"keep": ["/b"]}}"#;
    boots(&scene.file(format!("{OPERATOR}/50-keep.json"), other))?.left(&["/b"])
}

fn policies_are_asked_in_the_order_of_their_names() -> Checked {
    let mut scene = boot()?
        .file("/a", "first")
        .file("/b", "second")
        .look_at(["/etc/place"]);
    for (name, from) in [("60-second", "/b"), ("50-first", "/a")] {
        let sidecar = format!(r#"{{"settings": {{"carry": {{"{from}": "/etc/place"}}}}}}"#);
        scene = scene.policy(name, policy("keep-paths")?, Some(&sidecar));
    }
    let booted = boots(&scene)?;
    let expected = ["00-default", "50-first", "60-second"];
    ensure!(
        booted.report.policies() == expected,
        "{:?}",
        booted.report.policies()
    );
    booted.left(&["/a", "/b"])?;
    booted.read_only("/etc/place", "first")
}
