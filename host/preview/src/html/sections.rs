//! The sections below the overview, in the order in which they are read.

use serde_json::Value;
use switch_root_core::text::bytes;

use super::{
    fold::{Fate, Tile},
    table::{SHORT, Table},
    text::{code, count, grouped, html, names},
    values::{list, number, string, strings},
};

/// The bytes of the page that the longest list takes: what survives.
const LONG: usize = 1_000_000;
/// The treemap, which the script draws, and the first level of the tree as a
/// table, which it replaces by that of the directory in view.
pub fn map(page: &mut String, tiles: &[Tile]) {
    page.push_str(include_str!("map.html"));
    let mut table = Table::begin(
        page,
        "Contents of <code id=\"where\">/</code>",
        &["Name", "#Size", "#Files", "Fate", "By", "Carried to"],
        SHORT,
    );
    let mut children: Vec<&Tile> = tiles
        .iter()
        .skip(1)
        .filter(|tile| tile.parent == 0)
        .collect();
    children.sort_by_key(|tile| (tile.name.is_empty(), std::cmp::Reverse(tile.bytes)));
    for tile in children {
        let name = match tile.folded {
            0 => code(tile.name),
            more => count(more, "more", "more"),
        };
        table.row(&format!(
            "<tr><th scope=\"row\">{name}</th><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td>{}</td><td>{}</td><td>{}</td></tr>",
            bytes(tile.bytes),
            grouped(tile.files),
            fate(tile.fate),
            names(&tile.by),
            tile.to.map(code).unwrap_or_default(),
        ));
    }
    table.end();
    let folded: u64 = tiles
        .iter()
        .filter(|tile| tile.folded > 0)
        .map(|tile| tile.files)
        .fold(0, u64::saturating_add);
    if folded > 0 {
        page.push_str(&format!(
            "<p class=\"note\">{} shown only in sum, and not searched: <code>--format json --full</code> has all.</p>\n",
            count(folded, "file is", "files are")
        ));
    }
    page.push_str("</section>\n");
}

fn fate(fate: Fate) -> String {
    format!(
        "<span class=\"fate {}\">{}</span>",
        fate.class(),
        fate.word()
    )
}

/// Every survivor.
pub fn survivors(page: &mut String, report: &Value) {
    let survivors = list(&report["survivors"]);
    section(page, "survivors", "What survives", survivors.len());
    if survivors.is_empty() {
        page.push_str(match string(&report["deletion"], "action") {
            "skip" => "<p>Everything: nothing is deleted.</p></section>\n",
            _ => "<p>No policy keeps a path, and neither does the host.</p></section>\n",
        });
        return;
    }
    let headings = ["Path", "Kind", "#Size", "By", "Carried to", "Note"];
    let mut table = Table::begin(
        page,
        "Every path that a policy or the host keeps",
        &headings,
        LONG,
    );
    for survivor in survivors {
        let carried = survivor["carried_to"].as_str();
        let mark = if carried.is_some() { "carry" } else { "keep" };
        table.row(&format!(
            "<tr><th scope=\"row\" class=\"{mark}\">{}</th><td>{}</td><td class=\"number\">{}</td>\
             <td>{}</td><td>{}</td><td>{}</td></tr>",
            code(string(survivor, "path")),
            html(string(survivor, "kind")),
            bytes(number(survivor, "bytes")),
            names(&strings(&survivor["by"])),
            carried.map(code).unwrap_or_default(),
            html(string(survivor, "note")),
        ));
    }
    table.end();
    page.push_str("</section>\n");
}

/// Every policy, what it answers, and how that went.
pub fn policies(page: &mut String, policies: &Value) {
    let policies = list(policies);
    section(page, "policies", "Policies", policies.len());
    let headings = [
        "Policy",
        "Answers",
        "Outcome",
        "#Fuel",
        "#Time",
        "Origin and digest",
    ];
    let mut table = Table::begin(page, "The policies that were asked", &headings, SHORT);
    for policy in policies {
        let mut outcome = String::new();
        for failure in list(&policy["failures"]) {
            outcome.push_str(&format!(
                "<p class=\"bad\"><b>{} failed</b> ({}): {}</p>",
                html(string(failure, "question")),
                html(string(failure, "kind")),
                html(string(failure, "message")),
            ));
        }
        for warning in strings(&policy["warnings"]) {
            outcome.push_str(&format!("<p class=\"warn\">{}</p>", html(warning)));
        }
        if outcome.is_empty() {
            outcome.push_str("<span class=\"good\">answered</span>");
        }
        table.row(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{outcome}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{:.1} ms</td><td><span class=\"origin\">{}</span> <code class=\"digest\">{}</code></td></tr>",
            code(string(policy, "name")),
            html(&strings(&policy["answers"]).join(", ")),
            grouped(number(policy, "fuel")),
            number(policy, "time_us") as f64 / 1000.0,
            html(string(policy, "origin")),
            html(string(policy, "digest")),
        ));
    }
    table.end();
    page.push_str("</section>\n");
}

/// Every extension and its verdict.
pub fn extensions(page: &mut String, extensions: &Value) {
    let extensions = list(extensions);
    if extensions.is_empty() {
        return;
    }
    section(page, "extensions", "Extensions", extensions.len());
    let headings = ["Extension", "Version", "Verdict", "Reasons", "Image"];
    let mut table = Table::begin(
        page,
        "What the policies say of each extension",
        &headings,
        SHORT,
    );
    for extension in extensions {
        let class = match string(extension, "verdict") {
            "compatible" => "good",
            "incompatible" => "bad",
            _ => "warn",
        };
        let mut reasons = String::new();
        for reason in list(&extension["reasons"]) {
            reasons.push_str(&format!(
                "<p><b>{}</b>: {}</p>",
                html(string(reason, "policy")),
                html(string(reason, "reason")),
            ));
        }
        table.row(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td><span class=\"{class}\">{}</span></td>\
             <td>{reasons}</td><td>{}</td></tr>",
            code(string(extension, "name")),
            html(string(extension, "version")),
            html(match string(extension, "verdict") {
                "" => "not asked",
                verdict => verdict,
            }),
            code(string(extension, "image")),
        ));
    }
    table.end();
    page.push_str("</section>\n");
}

/// The archives that the image is made of.
pub fn parts(page: &mut String, parts: &Value) {
    let parts = list(parts);
    section(page, "parts", "Archives of the image", parts.len());
    let headings = ["#Part", "Format", "#Begins at", "#Size", "#Members"];
    let mut table = Table::begin(
        page,
        "In the order in which the kernel unpacks them",
        &headings,
        SHORT,
    );
    for part in parts {
        table.row(&format!(
            "<tr><td class=\"number\">{}</td><td>{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            number(part, "number"),
            html(string(part, "format")),
            grouped(number(part, "offset")),
            bytes(number(part, "length")),
            grouped(number(part, "members")),
        ));
    }
    table.end();
    page.push_str("</section>\n");
}

fn section(page: &mut String, id: &str, title: &str, number: usize) {
    page.push_str(&format!(
        "<section aria-labelledby=\"{id}\"><h2 id=\"{id}\">{title} <span class=\"total\">{number}</span></h2>\n"
    ));
}
