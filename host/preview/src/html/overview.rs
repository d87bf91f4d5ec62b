//! What is seen first: what the page is about, what must not be missed, and how
//! much stays and goes.

use maud::{Markup, html};
use switch_root_core::text::bytes;

use super::{
    fold::Fate,
    table::{SHORT, table},
    text::{count, listed, names},
    untrusted::{Report, Untrusted},
};

/// What the page is about.
pub fn head(report: Report) -> Markup {
    let image = report.at("image");
    let number = |list: Vec<Report>, one, many| count(list.len() as u64, one, many);
    let facts = [
        bytes(image.number("bytes")),
        number(image.list("parts"), "archive", "archives"),
        number(report.list("policies"), "policy", "policies"),
        number(report.list("extensions"), "extension", "extensions"),
    ];
    html! {
        header {
            p.kicker { "Plan of a boot" }
            h1 { bdi { (image.text("name")) } }
            p { (listed(facts, " · ")) }
        }
        "\n"
    }
}

/// What must not be missed: a refusal, what is incompatible, what failed.
pub fn alarms(report: Report) -> Markup {
    let named = |list, is: fn(&Report) -> bool| -> Vec<Untrusted> {
        let found = report.list(list).into_iter().filter(is);
        found.map(|it| it.text("name")).collect()
    };
    let incompatible = named("extensions", |it| it.text("verdict") == "incompatible");
    let failed = named("policies", |it| !it.list("failures").is_empty());
    let (unknown, warnings) = (report.texts("unknown"), report.texts("warnings"));
    let deletion = report.at("deletion");
    html! {
        @if let Some(sentence) = report.given("refused") {
            (alarm("refused full", "This boot would be refused", html! {
                p { (sentence) }
                p { "Nothing would be moved or deleted: the initramfs stays as it is." }
            }))
        }
        @if !unknown.is_empty() {
            (alarm("failed", "Not all could be found out", html! {
                @for sentence in unknown { p { (sentence) } }
            }))
        }
        @if !incompatible.is_empty() {
            @let number = count(incompatible.len() as u64, "extension is", "extensions are");
            (alarm("refused", &format!("{number} incompatible"), html! {
                p { (names(&incompatible)) ": " a href="#extensions" { "the reasons" } "." }
            }))
        }
        @if !failed.is_empty() {
            (alarm("failed", &count(failed.len() as u64, "policy failed", "policies failed"), html! {
                p { (names(&failed)) ": " a href="#policies" { "what happened" } "." }
            }))
        }
        @if deletion.text("action") == "skip" {
            (alarm("failed", "Nothing would be deleted", html! { p { (deletion.text("reason")) } }))
        }
        @if !warnings.is_empty() {
            details class="alarm warned" {
                summary { (count(warnings.len() as u64, "warning", "warnings")) } "\n"
                (table("What was seen on the way", &["Warning"], SHORT,
                    warnings.iter().map(|warning| html! { tr { td { (warning) } } })))
            }
            "\n"
        }
    }
}

fn alarm(class: &str, title: &str, content: Markup) -> Markup {
    html! {
        section class={ "alarm " (class) } role="alert" { h2 { (title) } (content) } "\n"
    }
}

/// What else is to be known of the plan, such as of which image it is.
pub fn notes(report: Report) -> Markup {
    /// How many are shown: a sentence each, and there are few of them.
    const NOTES: usize = 20;
    let notes = report.texts("notes");
    html! {
        @for note in notes.iter().take(NOTES) { p.note { "Note: " (note) } "\n" }
        @if notes.len() > NOTES {
            p.note {
                (count((notes.len() - NOTES) as u64, "more note", "more notes")) ": "
                code { "--format json" } " lists all."
            }
            "\n"
        }
    }
}

/// How much stays and goes, as a bar and in numbers.
pub fn summary(summary: Report) -> Markup {
    /// The width of the bar in its own units.
    const WIDTH: f64 = 1000.0;
    /// The least that can be seen.
    const LEAST: f64 = 4.0;
    let shares = [
        (
            "kept",
            Fate::Keep,
            html! { "stays in memory, read-only below " code { "/run/switch-root/preserved" } },
        ),
        (
            "carried",
            Fate::Carry,
            html! { "stays, and is bound into the new root as well" },
        ),
        (
            "deleted",
            Fate::Delete,
            html! { "is unlinked, and its memory freed" },
        ),
    ];
    let size = |field| summary.at(field).number("bytes");
    let sizes = shares.each_ref().map(|(field, ..)| size(field));
    let total = sizes.iter().map(|size| *size as f64).sum::<f64>().max(1.0);
    let widths = sizes.map(|size| match size {
        0 => 0.0,
        size => (size as f64 / total * WIDTH).max(LEAST),
    });
    let scale = WIDTH / widths.iter().sum::<f64>().max(1.0);
    let begin = |at: usize| widths[..at].iter().fold(0.0, |sum, width| sum + width) * scale;
    let counts = |of: Report| {
        let files = count(of.number("files"), "file", "files");
        let directories = count(of.number("directories"), "directory", "directories");
        format!("{files}, {directories}")
    };
    html! {
        section aria-labelledby="summary" {
            h2 #summary { "What stays, and what goes" } "\n"
            svg.bar viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
                @for (at, (_, fate, _)) in shares.iter().enumerate() {
                    rect class=(fate.class()) x=(format!("{:.1}", begin(at))) y="0"
                        width=(format!("{:.1}", widths[at] * scale)) height="10" {}
                }
            }
            "\n"
            ul.shares {
                @for (field, fate, meaning) in &shares {
                    li class=(fate.class()) {
                        span.what { (field) } " " strong { (bytes(size(field))) } " "
                        span.percent { (percent(size(field) as f64 / total)) }
                        span.counts { (counts(summary.at(field))) }
                        span.meaning { (meaning) }
                    }
                    "\n"
                }
            }
            @if size("in_use") > 0 {
                p.in-use {
                    "Of what is deleted, loop devices use " (bytes(size("in_use")))
                    ": the names go, the memory is not freed."
                }
                "\n"
            }
            p.total {
                "All together " (bytes(size("total"))) ": " (counts(summary.at("total"))) "."
            }
        }
        "\n"
    }
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        little if little < 0.1 => "less than 0.1 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}
