//! `extensions.yaml`, good and bad, and what policies say of what is in it.

use switch_root_tests::scene::{INIT, NEW_ROOT, SUBJECT, Scene};
use switch_root_tests::steps::{Content, Make, Steps};

use crate::check::{boots, ensure, refuses, said, says};
use crate::command_line::RUN_INIT;
use crate::preserving::{PRESERVE, delegating, preserves};
use crate::tools::{Checked, Policies, Stop, boot, cases, play, policy};

cases![
    extensions_yaml_is_carried_to_the_new_root_read_only,
    the_one_in_etc_is_carried_where_there_is_no_other,
    an_initramfs_without_it_has_no_extensions,
    an_empty_one_is_no_extensions,
    each_extension_is_judged_by_its_own_requirements,
    an_extension_without_requirements_is_compatible,
    a_constraint_that_cannot_be_read_is_an_objection,
    a_policy_that_objects_to_all_has_its_way,
    a_policy_that_approves_does_not_outvote_one_that_objects,
    what_no_policy_has_an_opinion_on_is_unjudged,
    what_is_not_on_the_allow_list_is_incompatible,
    a_policy_that_fails_lets_no_extension_through,
    a_policy_that_fails_and_is_ignored_has_no_say,
    a_policy_that_answers_neither_question_in_time_fails_in_both,
    a_malformed_one_is_refused,
    one_that_is_not_utf8_is_refused,
    one_that_is_100_mb_large_is_refused,
    one_that_is_a_symbolic_link_is_refused,
    one_that_is_a_fifo_is_refused,
    one_that_is_a_directory_is_refused,
    a_bad_one_is_ignored_where_the_kernel_command_line_says_so,
    required_list_that_is_missing_is_refused_in_every_mode,
    required_list_that_names_nothing_is_no_refusal,
];

const FILE: &str = "/extensions.yaml";
const TARGET: &str = "/etc/extensions.yaml";

const LAYERS: &str = "\
layers:
  - image: 000.good.sqsh
    metadata:
      name: good
      version: 1.10
      compatibility: {probeos: {version: '>= 2.0.0 < 3.0.0'}}
  - image: 001.old.sqsh
    metadata:
      name: old
      version: v0.1.0
      compatibility: {probeos: {version: '< 2.0.0'}}
  - image: 002.other.sqsh
    metadata:
      name: other
      compatibility: {talos: {version: '>= v1.0.0'}}
";

fn with_file(content: impl Into<Content>) -> Result<Scene, Stop> {
    // The new root of an image has an empty placeholder there.
    let scene = boot()?
        .in_new_root(|tree| tree.file(TARGET, ""))
        .look_at([TARGET]);
    Ok(scene.file(FILE, content))
}

fn extensions_yaml_is_carried_to_the_new_root_read_only() -> Checked {
    let booted = boots(&with_file(LAYERS)?)?;
    booted.left(&[FILE])?;
    booted.read_only(TARGET, &switch_root_tests::names::escape(LAYERS.as_bytes()))?;
    let carried = booted.report.carried_to(FILE);
    ensure!(carried.as_deref() == Some(TARGET), "carried to {carried:?}");
    let by = &booted.report.survivors()[FILE];
    ensure!(by.contains("00-default"), "survives by {by:?}");
    Ok(())
}

fn the_one_in_etc_is_carried_where_there_is_no_other() -> Checked {
    // The new root has no placeholder here: the place is made.
    let booted = boots(&boot()?.file(TARGET, "layers: []\n").look_at([TARGET]))?;
    booted.left(&[TARGET])?;
    booted.read_only(TARGET, "layers: []\\x0a")
}

fn an_initramfs_without_it_has_no_extensions() -> Checked {
    let booted = boots(&boot()?)?;
    ensure!(
        booted.report.extensions().is_empty(),
        "{:?}",
        booted.report.extensions()
    );
    booted.left(&[])
}

fn an_empty_one_is_no_extensions() -> Checked {
    let booted = boots(&with_file("")?)?;
    ensure!(
        booted.report.extensions().is_empty(),
        "{:?}",
        booted.report.extensions()
    );
    booted.left(&[FILE])?;
    booted.read_only(TARGET, "")
}

/// Checks the verdict on one extension, and words of its reasons.
fn verdict(scene: &Scene, image: &str, expected: &str, words: &[&str]) -> Checked {
    let booted = boots(scene)?;
    let extensions = booted.report.extensions();
    let Some((verdict, reasons)) = extensions.get(image) else {
        return Err(Stop::Fail(format!("{image} is not in {extensions:?}")));
    };
    ensure!(
        verdict == expected,
        "{image} is {verdict}, not {expected}: {extensions:?}"
    );
    says(reasons, words)
}

fn each_extension_is_judged_by_its_own_requirements() -> Checked {
    let scene = with_file(LAYERS)?;
    verdict(&scene, "000.good.sqsh", "compatible", &[])?;
    verdict(
        &scene,
        "001.old.sqsh",
        "incompatible",
        &["00-default", "2.5.1", "< 2.0.0"],
    )?;
    verdict(
        &scene,
        "002.other.sqsh",
        "incompatible",
        &["talos", "probeos"],
    )
}

fn an_extension_without_requirements_is_compatible() -> Checked {
    let scene = with_file("layers: [{image: 000.a.sqsh, metadata: {name: a}}]\n")?;
    verdict(&scene, "000.a.sqsh", "compatible", &[])
}

fn a_constraint_that_cannot_be_read_is_an_objection() -> Checked {
    let layer = "{image: a, metadata: {compatibility: {probeos: {version: '>= 2.x.y.z!'}}}}";
    let scene = with_file(format!("layers: [{layer}]\n").as_str())?;
    verdict(&scene, "a", "incompatible", &["00-default", "position"])
}

fn hostile(attack: &str) -> Result<Scene, Stop> {
    let sidecar = format!(r#"{{"settings": {{"attack": "{attack}"}}}}"#);
    Ok(with_file(LAYERS)?.policy("50-hostile", policy("hostile")?, Some(&sidecar)))
}

fn a_policy_that_objects_to_all_has_its_way() -> Checked {
    verdict(
        &hostile("object-all")?,
        "000.good.sqsh",
        "incompatible",
        &["50-hostile"],
    )
}

fn a_policy_that_approves_does_not_outvote_one_that_objects() -> Checked {
    verdict(
        &hostile("approve-all")?,
        "001.old.sqsh",
        "incompatible",
        &["00-default"],
    )
}

fn what_no_policy_has_an_opinion_on_is_unjudged() -> Checked {
    let masked = "/etc/switch-root/policies.d/00-default.wasm";
    let scene = hostile("abstain-all")?.symlink(masked, "/dev/null");
    verdict(&scene, "001.old.sqsh", "unjudged", &[])?;
    // With the default gone nobody keeps the file either.
    boots(&scene)?.left(&[])
}

fn what_is_not_on_the_allow_list_is_incompatible() -> Checked {
    let settings = r#"{"settings": {"allow": [{"name": "old"}]}}"#;
    let scene =
        with_file(LAYERS)?.policy("50-allow", policy("extension-allowlist")?, Some(settings));
    verdict(
        &scene,
        "000.good.sqsh",
        "incompatible",
        &["50-allow", "good"],
    )
}

/// Attacks on both questions. That the first one was answered badly must not hide that
/// the second one was.
const ATTACKS: [&str; 9] = [
    "trap",
    "loop",
    "allocate-forever",
    "deep-recursion",
    "too-few",
    "too-many",
    "error",
    "giant-error",
    "log-huge",
];

fn a_policy_that_fails_lets_no_extension_through() -> Checked {
    for attack in ATTACKS {
        verdict(
            &hostile(attack)?,
            "000.good.sqsh",
            "incompatible",
            &["50-hostile", "failed"],
        )
        .map_err(|stop| stop.during(attack))?;
    }
    Ok(())
}

fn a_policy_that_fails_and_is_ignored_has_no_say() -> Checked {
    for attack in ATTACKS {
        let sidecar =
            format!(r#"{{"settings": {{"attack": "{attack}"}}, "on_failure": "ignore"}}"#);
        let component = policy("hostile")?;
        let scene = with_file(LAYERS)?.policy("50-hostile", component, Some(&sidecar));
        verdict(&scene, "000.good.sqsh", "compatible", &[]).map_err(|stop| stop.during(attack))?;
        boots(&scene)?
            .left(&[FILE])
            .map_err(|stop| stop.during(attack))?;
    }
    Ok(())
}

fn a_policy_that_answers_neither_question_in_time_fails_in_both() -> Checked {
    // So much fuel that only the clock ends the loop: the judge is killed, twice.
    let sidecar = r#"{"settings": {"attack": "loop"},
        "limits": {"fuel": 100000000000000, "deadline_ms": 1000}}"#;
    let scene = with_file(LAYERS)?.policy("50-hostile", policy("hostile")?, Some(sidecar));
    let scene = scene.time_limit(20);
    verdict(
        &scene,
        "000.good.sqsh",
        "incompatible",
        &["50-hostile", "failed"],
    )
}

fn a_malformed_one_is_refused() -> Checked {
    refuses(
        &with_file("layers: [")?,
        &[FILE, "YAML", "switch_root.extensions=ignore"],
    )?;
    refuses(&with_file("layers: 3\n")?, &[FILE, "not a list"])?;
    refuses(
        &with_file("layers: [{metadata: {}}]\n")?,
        &[FILE, "layers[0]", "image"],
    )
}

fn one_that_is_not_utf8_is_refused() -> Checked {
    refuses(&with_file(&b"layers: \xff\n"[..])?, &[FILE, "UTF-8"])
}

fn one_that_is_100_mb_large_is_refused() -> Checked {
    let scene = with_file(Content::Filled {
        byte: b'a',
        size: 100 << 20,
    })?;
    refuses(&scene, &[FILE, "104857600 bytes"])
}

fn one_that_is_a_symbolic_link_is_refused() -> Checked {
    let scene = boot()?
        .file("/elsewhere", LAYERS)
        .symlink(FILE, "/elsewhere");
    refuses(&scene, &[FILE, "symbolic link"])
}

fn one_that_is_a_fifo_is_refused() -> Checked {
    refuses(
        &boot()?.make(FILE, Make::Fifo),
        &[FILE, "not a regular file"],
    )
}

fn one_that_is_a_directory_is_refused() -> Checked {
    refuses(&boot()?.directory(FILE), &[FILE, "not a regular file"])
}

fn a_bad_one_is_ignored_where_the_kernel_command_line_says_so() -> Checked {
    for content in ["layers: [", "layers: 3\n"] {
        let scene = with_file(content)?.kernel_command_line("quiet switch_root.extensions=ignore");
        let booted = boots(&scene)?;
        ensure!(
            booted.report.extensions().is_empty(),
            "{:?}",
            booted.report.extensions()
        );
    }
    let fifo = boot()?.make(FILE, Make::Fifo);
    boots(&fifo.kernel_command_line("switch_root.extensions=ignore"))?.left(&[])
}

const REQUIRE: &str = "switch_root.extensions=require";

/// The command lines of all names and modes but `init`, which whole_boot and installed try.
const MODES: [&[&str]; 5] = [
    &[SUBJECT, NEW_ROOT, INIT],
    &[SUBJECT, "--plan", NEW_ROOT, INIT],
    &[RUN_INIT, NEW_ROOT, INIT],
    &[RUN_INIT, "-n", NEW_ROOT, INIT],
    PRESERVE,
];

fn required_list_that_is_missing_is_refused_in_every_mode() -> Checked {
    let scene = boot()?
        .symlink(RUN_INIT, "switch_root")
        .kernel_command_line(REQUIRE);
    let missing = "the initramfs has no list of extensions";
    for command in MODES {
        let during = |stop: Stop| stop.during(&command.join(" "));
        let scene = scene.clone().command(command.iter().copied());
        refuses(&scene, &[missing, FILE, REQUIRE]).map_err(during)?;
        let empty = scene.file(FILE, "");
        refuses(&empty, &["/extensions.yaml, is empty", REQUIRE]).map_err(during)?;
    }
    // The program that would switch next does not.
    let scene = delegating(boot()?, &[PRESERVE])?.kernel_command_line(REQUIRE);
    let outcome = play(&scene)?;
    ensure!(outcome.testimony.is_none(), "{}", said(&outcome));
    says(&outcome.stderr, &[missing])
}

fn required_list_that_names_nothing_is_no_refusal() -> Checked {
    let none = "layers: []\n";
    let scene = boot()?.file(FILE, none).kernel_command_line(REQUIRE);
    boots(&scene)?.left(&[FILE])?;
    preserves(&delegating(scene, &[PRESERVE])?).map(drop)
}
