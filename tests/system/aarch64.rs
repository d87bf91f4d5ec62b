//! Kernels for aarch64 in an emulated machine, with programs that were built for them on
//! this one. What is checked is what must be so on each kernel: [`crate::kernels`].

use switch_root_tests::steps::{Content, Steps};
use switch_root_tests::thorough;

use crate::check::{ensure, says};
use crate::inspecting::put;
use crate::kernels::{
    PATIENT, boots_with_everything_in_place_after_attacks, compiled,
    ends_with_the_reason_of_a_refusal, frees_the_initramfs_in_the_foreground,
    frees_the_initramfs_when_told_to_move, frees_the_initramfs_with_the_small_build,
    hands_over_and_frees_the_initramfs,
};
use crate::machines::{Machine, aarch64, each};
use crate::packages::foreign;
use crate::srctl::Desk;
use crate::tools::{Checked, Policies, cases, native, policy};
use crate::whole_boot::boots_an_image_with_its_layers;

cases![
    there_is_a_kernel_of_each_kind,
    each_kernel_hands_over_and_frees_the_initramfs,
    each_kernel_frees_the_initramfs_when_told_to_move,
    each_kernel_frees_the_initramfs_in_the_foreground,
    a_refusal_is_the_last_word_on_the_console,
    hostile_policies_leave_everything_in_place,
    the_small_build_keeps_what_it_is_told_to,
    each_kernel_boots_an_image_with_its_layers,
    the_packages_for_it_are_what_those_for_this_machine_are,
    what_srctl_compiles_for_it_is_used_and_what_is_for_another_machine_is_not,
];

fn there_is_a_kernel_of_each_kind() -> Checked {
    let machines = aarch64()?;
    for (able, kind) in [(false, "older than 7.0"), (true, "7.0 or newer")] {
        let found = machines.iter().any(|machine| machine.can_pivot() == able);
        ensure!(found, "there is no kernel for aarch64 {kind}");
    }
    Ok(())
}

/// Checks all machines, or of a sample the newest.
fn each_or_one(check: fn(&Machine) -> Checked) -> Checked {
    let mut machines = aarch64()?;
    if !thorough() {
        machines.drain(..machines.len() - 1);
    }
    each(machines, check)
}

fn each_kernel_hands_over_and_frees_the_initramfs() -> Checked {
    each(aarch64()?, hands_over_and_frees_the_initramfs)
}

fn each_kernel_frees_the_initramfs_when_told_to_move() -> Checked {
    each_or_one(frees_the_initramfs_when_told_to_move)
}

fn each_kernel_frees_the_initramfs_in_the_foreground() -> Checked {
    each_or_one(frees_the_initramfs_in_the_foreground)
}

fn a_refusal_is_the_last_word_on_the_console() -> Checked {
    each_or_one(ends_with_the_reason_of_a_refusal)
}

fn hostile_policies_leave_everything_in_place() -> Checked {
    each_or_one(boots_with_everything_in_place_after_attacks)
}

fn the_small_build_keeps_what_it_is_told_to() -> Checked {
    each_or_one(frees_the_initramfs_with_the_small_build)
}

fn each_kernel_boots_an_image_with_its_layers() -> Checked {
    each_or_one(boots_an_image_with_its_layers)
}

fn the_packages_for_it_are_what_those_for_this_machine_are() -> Checked {
    foreign::are_the_same_for_aarch64()
}

fn what_srctl_compiles_for_it_is_used_and_what_is_for_another_machine_is_not() -> Checked {
    let desk = Desk::new()?;
    put(&desk, "keep-paths")?;
    desk.succeeds("policy compile keep-paths.wasm --arch aarch64")?;
    let folder = "/usr/lib/switch-root/policies.d";
    let machine = aarch64()?.pop().ok_or("no kernel")?;
    let keeping = |path: &str| format!(r#"{{"settings": {{"keep": ["{path}"]}}, {PATIENT}}}"#);
    let scene = machine
        .scene()
        .file("/some/file", "kept")
        .file("/some/other", "kept")
        .file("/some/more", "not kept")
        .policy(
            "50-for-it",
            policy("keep-paths")?,
            Some(&keeping("/some/file")),
        )
        .file(
            format!("{folder}/50-for-it.cwasm"),
            Content::Bytes(desk.read("keep-paths.cwasm")?),
        )
        .policy(
            "60-other",
            policy("keep-paths")?,
            Some(&keeping("/some/other")),
        )
        .file(format!("{folder}/60-other.cwasm"), native("keep-paths")?)
        .time_limit(300);
    let up = machine.up(&scene)?;
    compiled(&up, "50-for-it", false)?;
    compiled(&up, "60-other", true)?;
    for (name, words) in [
        ("50-for-it", &["[]"][..]),
        (
            "60-other",
            &["ahead-of-time form cannot be used", "x86_64"][..],
        ),
    ] {
        let report = up.report.policy(name).ok_or("it is not in the report")?;
        says(&report["warnings"].to_string(), words)?;
    }
    let left: Vec<_> = up.report.survivors().into_keys().collect();
    ensure!(left == ["/some/file", "/some/other"], "{left:?}");
    Ok(())
}
