//! Debian with initramfs-tools: three boots of one installation, with policies that fail, with
//! one that keeps something, and after the packages were removed.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::json;
use switch_root_tests::report::Report;
use switch_root_tests::thorough;

use super::debian::{Debian, Image, POLICIES, Seen, workshop};
use super::survivors::{self, KEEP_PATHS};
use crate::check::{ensure, says};
use crate::tools::{Checked, Stop, policies, srctl};

/// In the image: what `update-initramfs` calls it.
const IMAGE: &str = "/boot/initrd.img-$release";
/// The names of what is in it.
const LIST: &str = "release=$(ls /lib/modules); lsinitramfs /boot/initrd.img-$release | sort";
/// By how much memory may differ between two boots of the same system, in KiB.
const NOISE: u64 = 8 << 10;

const SURVIVORS: [&str; 2] = ["/conf/arch.conf", "/conf/initramfs.conf"];

/// What was done, and what came of it.
struct History {
    /// The names in the image before the packages were installed, and after they were removed.
    lists: [String; 2],
    /// What `update-initramfs` printed where a policy could not be loaded.
    printed: String,
    /// The boot with a policy that fails.
    failing: Seen,
    /// The boot with a policy that keeps something, and the plan for its image.
    keeping: Seen,
    plan: Report,
    /// The boot after the packages were removed.
    removed: Seen,
}

fn history() -> Result<&'static History, Stop> {
    static HISTORY: LazyLock<Result<History, Stop>> = LazyLock::new(make_history);
    HISTORY.as_ref().map_err(Clone::clone)
}

fn make_history() -> Result<History, Stop> {
    let workshop = workshop()?;
    let folder = |name: &str| workshop.path().join(name);
    let first = Debian::stock(&folder("first"))?;
    first.prepare()?;
    let before = first.run(LIST)?;
    first.install()?;
    let component = |name: &str| fs::read(policies()?.join(name)).map_err(Stop::from);
    let trap = json!({"settings": {"attack": "trap"}});
    first.add_policy("20-hostile", &component("hostile.wasm")?, Some(trap))?;
    first.add_policy("60-truncated", &component("truncated.wasm")?, None)?;
    let printed = first.run("update-initramfs -u")?;
    let failing = first.image(IMAGE)?;

    let second = first.copy(&folder("second"))?;
    second.run(&format!("rm {POLICIES}/*"))?;
    survivors::keep(&second)?;
    second.run("update-initramfs -u")?;
    let keeping = second.image(IMAGE)?;
    let plan = plan(keeping.initramfs())?;

    let third = second.copy(&folder("third"))?;
    third.purge()?;
    let after = third.run(LIST)?;
    let removed = third.image(IMAGE)?;

    let (failed, kept, gone) = std::thread::scope(|scope| {
        let failed = scope.spawn(|| first.boot(&failing));
        let kept = scope.spawn(|| second.boot(&keeping));
        let gone = third.boot(&removed);
        (failed.join(), kept.join(), gone)
    });
    if thorough() {
        other_images(&second, &third, &keeping)?;
    }
    let died = |_| Stop::Fail("a test's thread died".into());
    Ok(History {
        lists: [before, after],
        printed,
        failing: failed
            .map_err(died)?
            .map_err(|stop| stop.during("failing"))?,
        keeping: kept.map_err(died)?.map_err(|stop| stop.during("keeping"))?,
        plan,
        removed: gone.map_err(|stop| stop.during("removed"))?,
    })
}

/// What else boots: the image of the second disk where the packages are gone, and one with the
/// binary that has no compiler.
fn other_images(second: &Debian, third: &Debian, keeping: &Image) -> Checked {
    let old = third.boot(keeping);
    let old = old.map_err(|stop| stop.during("an image that is older than the removal"))?;
    ensure!(old.has_report(), "it is not the image that was meant");
    second.run(
        "sed -i 's/^BINARY=.*/BINARY=aot/' /etc/switch-root/initramfs.conf
         grep -q '^BINARY=aot' /etc/switch-root/initramfs.conf
         update-initramfs -u",
    )?;
    let small = second.boot(&second.image(IMAGE)?);
    let small = small.map_err(|stop| stop.during("BINARY=aot"))?;
    survivors::are_kept(&small, &SURVIVORS).map_err(|stop| stop.during("BINARY=aot"))
}

/// What srctl plans for an image.
fn plan(image: &Path) -> Result<Report, Stop> {
    let output = Command::new(srctl()?)
        .args(["plan", "--format", "json"])
        .arg(image)
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(Report(serde_json::from_slice(&output.stdout)?))
}

pub fn debian_starts_through_the_run_init_of_the_package() -> Checked {
    let report = history()?.keeping.report()?;
    let all = &report.0;
    ensure!(report.strategy() == "move", "{all:#}");
    ensure!(all["init"] == "/sbin/init", "{all:#}");
    ensure!(report.deletion() == "complete", "{all:#}");
    ensure!(report.deleted("files") > 300, "{all:#}");
    ensure!(report.failed_deletions().is_empty(), "{all:#}");
    ensure!(report.warnings().is_empty(), "{all:#}");
    // It is tried before it is called, and then says nothing but what is wrong.
    let console = history()?.keeping.console();
    ensure!(!console.contains("bound read-only at"), "{console}");
    Ok(())
}

pub fn srctl_shows_the_report_of_the_boot() -> Checked {
    let history = history()?;
    for (seen, code, words) in [
        (
            &history.keeping,
            "0",
            vec![KEEP_PATHS, SURVIVORS[0], SURVIVORS[1], "/etc/carried"],
        ),
        (&history.failing, "3", vec!["20-hostile", "trap"]),
    ] {
        ensure!(
            seen.text("status.code").trim() == code,
            "{}",
            seen.text("status.txt")
        );
        says(&seen.text("status.txt"), &words)?;
        let shown: serde_json::Value = serde_json::from_str(&seen.text("status.json"))?;
        let report = seen.report()?.0;
        ensure!(shown == report, "{shown:#}\n{report:#}");
    }
    Ok(())
}

pub fn the_journal_has_the_messages_of_the_switch_with_their_priorities() -> Checked {
    let history = history()?;
    // An error, a warning and what happened, as syslog(3) numbers them.
    let switching = (6, "switching to /root (move), init /sbin/init");
    for (seen, expected) in [
        (&history.keeping, vec![switching, (6, "deleted ")]),
        (
            &history.failing,
            vec![
                (3, "error: policy 20-hostile: trapped"),
                switching,
                (4, "warning: nothing of the initramfs is deleted: "),
            ],
        ),
    ] {
        let messages = seen.journal()?;
        let found = messages.iter().map(|message| {
            let begins = |(_, text): &&(u8, &str)| message.text.starts_with(text);
            let text = expected.iter().find(begins).map(|(_, text)| *text);
            (message.priority, text.unwrap_or(&message.text))
        });
        ensure!(found.eq(expected.iter().copied()), "{messages:#?}");
        // From the kernel's log, a daemon's.
        let kernel = messages
            .iter()
            .all(|message| message.from == "kernel" && message.facility == "3");
        ensure!(kernel, "{messages:#?}");
    }
    Ok(())
}

pub fn a_policy_of_the_operator_is_in_the_next_image_and_keeps_what_it_says() -> Checked {
    let history = history()?;
    let before = history.failing.report()?.policies();
    ensure!(before == ["00-default", "20-hostile"], "{before:?}");
    survivors::are_kept(&history.keeping, &SURVIVORS)?;
    let preserved = history.keeping.preserved();
    let all = [&["/conf"][..], &SURVIVORS].concat();
    ensure!(preserved == all, "{preserved:?}");
    Ok(())
}

pub fn what_srctl_planned_for_an_image_of_debian_is_what_happened() -> Checked {
    let history = history()?;
    let (plan, report) = (&history.plan, history.keeping.report()?);
    ensure!(
        plan.survivors() == report.survivors() && plan.policies() == report.policies(),
        "{:#}\n{:#}",
        plan.0,
        report.0
    );
    for survivor in SURVIVORS {
        let (told, done) = (plan.carried_to(survivor), report.carried_to(survivor));
        ensure!(told == done, "{survivor}: {told:?} and {done:?}");
    }
    Ok(())
}

pub fn a_policy_that_cannot_be_loaded_is_left_out_of_the_image_with_a_warning() -> Checked {
    let history = history()?;
    says(&history.printed, &["warning", "60-truncated"])?;
    let report = history.failing.report()?;
    ensure!(report.policy("60-truncated").is_none(), "{:#}", report.0);
    Ok(())
}

pub fn a_policy_that_fails_does_not_stop_debian() -> Checked {
    let history = history()?;
    let report = history.failing.report()?;
    let (kind, message) = report.failure("20-hostile").ok_or("it did not fail")?;
    ensure!(kind == "trap", "{kind}: {message}");
    ensure!(report.deletion() == "skipped", "{:#}", report.0);
    says(report.deletion_reason(), &["20-hostile"])?;
    let preserved = history.failing.preserved();
    ensure!(
        preserved.iter().any(|path| path == "/scripts/functions"),
        "{preserved:?}"
    );
    Ok(())
}

pub fn as_much_memory_is_free_as_where_debian_switches_by_itself() -> Checked {
    let history = history()?;
    let [ours, stock, nothing] = [&history.keeping, &history.removed, &history.failing]
        .map(|seen| seen.memory("MemAvailable"));
    let (ours, stock, nothing) = (ours?, stock?, nothing?);
    ensure!(
        ours + NOISE > stock,
        "{ours} KiB are available, and {stock} KiB with Debian's own"
    );
    // What is compared would be seen: an initramfs that was not deleted.
    ensure!(
        nothing + 2 * NOISE < ours,
        "{nothing} KiB where nothing is deleted, and {ours} KiB"
    );
    Ok(())
}

pub fn removing_the_packages_brings_back_what_was_there() -> Checked {
    let history = history()?;
    let [before, after] = &history.lists;
    ensure!(before == after, "the image had\n{before}\nand has\n{after}");
    ensure!(before.contains("bin/run-init"), "no run-init in\n{before}");
    ensure!(!history.removed.has_report(), "there is a report");
    Ok(())
}
