//! The sections below the overview, in the order in which they are read.

use maud::{Markup, PreEscaped, Render, html};
use switch_root_core::text::bytes;

use super::{
    fold::Tile,
    table::{LONG, SHORT, table},
    text::{count, grouped, listed, names},
    untrusted::Report,
};

/// The treemap, which the script draws, and the first level of the tree as a
/// table, which it replaces by that of the directory in view.
pub fn map(tiles: &[Tile]) -> Markup {
    let below = tiles.iter().skip(1).filter(|tile| tile.parent == 0);
    let mut children: Vec<&Tile> = below.collect();
    children.sort_by_key(|tile| (tile.name == "", std::cmp::Reverse(tile.bytes)));
    let rows = children.into_iter().map(|tile| {
        html! {
            tr {
                th scope="row" {
                    @if tile.folded > 0 { (count(tile.folded, "more", "more")) }
                    @else { code { (tile.name) } }
                }
                td.number { (bytes(tile.bytes)) }
                td.number { (grouped(tile.files)) }
                td { span class={ "fate " (tile.fate.class()) } { (tile.fate.word()) } }
                td { (names(&tile.by)) }
                td { @if let Some(to) = tile.to { code { (to) } } }
            }
        }
    });
    let headings = ["Name", "#Size", "#Files", "Fate", "By", "Carried to"];
    let folded = tiles.iter().filter(|tile| tile.folded > 0);
    let folded = folded.map(|tile| tile.files).fold(0, u64::saturating_add);
    html! {
        section #tree aria-labelledby="map-title" {
            (PreEscaped(include_str!("map.html")))
            (table(html! { "Contents of " code #where { "/" } }, &headings, SHORT, rows))
            @if folded > 0 {
                p.note {
                    (count(folded, "file is", "files are")) " shown only in sum, and not searched: "
                    code { "--format json --full" } " has all."
                }
                "\n"
            }
        }
        "\n"
    }
}

/// Every preserved path.
pub fn preserved(report: Report) -> Markup {
    let paths = report.list("survivors");
    let all = all_stays(report);
    if paths.is_empty() {
        let why = all.unwrap_or("No policy keeps a path, and neither does the host.");
        let number = if all.is_some() { "all" } else { "0" };
        return section("survivors", "What survives", number, html! { p { (why) } });
    }
    let headings = ["Path", "Kind", "#Size", "By", "Carried to", "Note"];
    let rows = paths.iter().map(|path| {
        let carried = path.given("carried_to");
        let mark = if carried.is_some() { "carry" } else { "keep" };
        html! {
            tr {
                th scope="row" class=(mark) { code { (path.text("path")) } }
                td { (path.text("kind")) }
                td.number { (bytes(path.number("bytes"))) }
                td { (names(&path.texts("by"))) }
                td { @if let Some(to) = carried { code { (to) } } }
                td { (path.text("note")) }
            }
        }
    });
    let caption = "Every path that a policy or the host keeps";
    let table = table(caption, &headings, LONG, rows);
    let content = html! { @if let Some(why) = all { p { (why) } "\n" } (table) };
    section("survivors", "What survives", paths.len(), content)
}

/// Why everything stays, whatever the policies keep, if it does.
fn all_stays(report: Report) -> Option<&'static str> {
    if report.given("refused").is_some() {
        Some("Everything: the switch would be refused, and the initramfs stays as it is.")
    } else if report.at("deletion").text("action") == "skip" {
        Some("Everything: nothing is deleted.")
    } else {
        None
    }
}

/// Every policy, what it answers, and how that went.
pub fn policies(report: Report) -> Markup {
    let policies = report.list("policies");
    let headings = [
        "Policy",
        "Answers",
        "Outcome",
        "#Fuel",
        "#Time",
        "Origin and digest",
    ];
    let rows = policies.iter().map(|policy| {
        let (failures, warnings) = (policy.list("failures"), policy.texts("warnings"));
        html! {
            tr {
                th scope="row" { code { (policy.text("name")) } }
                td { (listed(policy.texts("answers"), ", ")) }
                td {
                    @for failure in &failures {
                        p.bad {
                            b { (failure.text("question")) " failed" }
                            " (" (failure.text("kind")) "): " (failure.text("message"))
                        }
                    }
                    @for warning in &warnings { p.warn { (warning) } }
                    @if failures.is_empty() && warnings.is_empty() { span.good { "answered" } }
                }
                td.number { (grouped(policy.number("fuel"))) }
                td.number { (format!("{:.1} ms", policy.number("time_us") as f64 / 1000.0)) }
                td {
                    span.origin { (policy.text("origin")) } " "
                    code.digest { (policy.text("digest")) }
                }
            }
        }
    });
    let table = table("The policies that were asked", &headings, SHORT, rows);
    section("policies", "Policies", policies.len(), table)
}

/// Every extension and its verdict.
pub fn extensions(report: Report) -> Markup {
    let extensions = report.list("extensions");
    let headings = ["Extension", "Version", "Verdict", "Reasons", "Image"];
    let rows = extensions.iter().map(|extension| {
        let verdict = extension.text("verdict");
        let class = match () {
            () if verdict == "compatible" => "good",
            () if verdict == "incompatible" => "bad",
            () => "warn",
        };
        html! {
            tr {
                th scope="row" { code { (extension.text("name")) } }
                td { (extension.text("version")) }
                td { span class=(class) { @if verdict == "" { "not asked" } @else { (verdict) } } }
                td {
                    @for reason in extension.list("reasons") {
                        p { b { (reason.text("policy")) } ": " (reason.text("reason")) }
                    }
                }
                td { code { (extension.text("image")) } }
            }
        }
    });
    let table = table(
        "What the policies say of each extension",
        &headings,
        SHORT,
        rows,
    );
    html! {
        @if !extensions.is_empty() {
            (section("extensions", "Extensions", extensions.len(), table))
        }
    }
}

/// The archives that the image is made of.
pub fn parts(report: Report) -> Markup {
    let parts = report.at("image").list("parts");
    let headings = ["#Part", "Format", "#Begins at", "#Size", "#Members"];
    let rows = parts.iter().map(|part| {
        html! {
            tr {
                td.number { (part.number("number")) }
                td { (part.text("format")) }
                td.number { (grouped(part.number("offset"))) }
                td.number { (bytes(part.number("length"))) }
                td.number { (grouped(part.number("members"))) }
            }
        }
    });
    let caption = "In the order in which the kernel unpacks them";
    let table = table(caption, &headings, SHORT, rows);
    section("parts", "Archives of the image", parts.len(), table)
}

fn section(id: &str, title: &str, number: impl Render, content: Markup) -> Markup {
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (title) " " span.total { (number) } } "\n"
            (content)
        }
        "\n"
    }
}
