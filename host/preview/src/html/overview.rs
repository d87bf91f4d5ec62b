//! What is seen first: what the page is about, what must not be missed, and how
//! much stays and goes.

use serde_json::Value;
use switch_root_core::text::bytes;

use super::{
    fold::Fate,
    table::{SHORT, Table},
    text::{count, html, names},
    values::{list, number, string, strings},
};

/// What the page is about.
pub fn head(report: &Value) -> String {
    let image = &report["image"];
    let mut facts = vec![bytes(number(image, "bytes"))];
    for (list_of, one, many) in [
        (&image["parts"], "archive", "archives"),
        (&report["policies"], "policy", "policies"),
        (&report["extensions"], "extension", "extensions"),
    ] {
        facts.push(count(list(list_of).len() as u64, one, many));
    }
    format!(
        "<header><p class=\"kicker\">Plan of a boot</p><h1><bdi>{}</bdi></h1><p>{}</p></header>\n",
        html(string(image, "name")),
        facts.join(" · "),
    )
}

/// What must not be missed: a refusal, what is incompatible, what failed.
pub fn alarms(page: &mut String, report: &Value) {
    if let Some(sentence) = report["refused"].as_str() {
        alarm(
            page,
            "refused full",
            "This boot would be refused",
            &format!(
                "<p>{}</p><p>Nothing would be moved or deleted: the initramfs stays as it is.</p>",
                html(sentence)
            ),
        );
    }
    let unknown = strings(&report["unknown"]);
    if !unknown.is_empty() {
        let sentences = unknown.iter().map(|it| format!("<p>{}</p>", html(it)));
        let text: String = sentences.collect();
        alarm(page, "failed", "Not all could be found out", &text);
    }
    let incompatible: Vec<&str> = list(&report["extensions"])
        .iter()
        .filter(|extension| string(extension, "verdict") == "incompatible")
        .map(|extension| string(extension, "name"))
        .collect();
    if !incompatible.is_empty() {
        let title = format!(
            "{} incompatible",
            count(incompatible.len() as u64, "extension is", "extensions are")
        );
        let text = format!(
            "<p>{}: <a href=\"#extensions\">the reasons</a>.</p>",
            names(&incompatible)
        );
        alarm(page, "refused", &title, &text);
    }
    let failed: Vec<&str> = list(&report["policies"])
        .iter()
        .filter(|policy| !list(&policy["failures"]).is_empty())
        .map(|policy| string(policy, "name"))
        .collect();
    if !failed.is_empty() {
        let title = count(failed.len() as u64, "policy failed", "policies failed");
        let text = format!(
            "<p>{}: <a href=\"#policies\">what happened</a>.</p>",
            names(&failed)
        );
        alarm(page, "failed", &title, &text);
    }
    if string(&report["deletion"], "action") == "skip" {
        let reason = html(string(&report["deletion"], "reason"));
        alarm(
            page,
            "failed",
            "Nothing would be deleted",
            &format!("<p>{reason}</p>"),
        );
    }
    let warnings = strings(&report["warnings"]);
    if !warnings.is_empty() {
        let title = count(warnings.len() as u64, "warning", "warnings");
        page.push_str(&format!(
            "<details class=\"alarm warned\"><summary>{title}</summary>\n"
        ));
        let mut table = Table::begin(page, "What was seen on the way", &["Warning"], SHORT);
        for warning in warnings {
            table.row(&format!("<tr><td>{}</td></tr>", html(warning)));
        }
        table.end();
        page.push_str("</details>\n");
    }
}

fn alarm(page: &mut String, class: &str, title: &str, markup: &str) {
    page.push_str(&format!(
        "<section class=\"alarm {class}\" role=\"alert\"><h2>{title}</h2>{markup}</section>\n"
    ));
}

/// How much stays and goes, as a bar and in numbers.
pub fn summary(page: &mut String, summary: &Value) {
    const SHARES: [(&str, Fate, &str); 3] = [
        (
            "kept",
            Fate::Keep,
            "stays in memory, read-only below <code>/run/switch-root/preserved</code>",
        ),
        (
            "carried",
            Fate::Carry,
            "stays, and is bound into the new root as well",
        ),
        ("deleted", Fate::Delete, "is unlinked, and its memory freed"),
    ];
    /// The width of the bar in its own units.
    const WIDTH: f64 = 1000.0;
    /// The least that can be seen.
    const LEAST: f64 = 4.0;
    let sizes = SHARES.map(|(field, ..)| number(&summary[field], "bytes"));
    let total = sizes.iter().map(|size| *size as f64).sum::<f64>().max(1.0);
    let widths = sizes.map(|size| match size {
        0 => 0.0,
        size => (size as f64 / total * WIDTH).max(LEAST),
    });
    let scale = WIDTH / widths.iter().sum::<f64>().max(1.0);
    page.push_str(
        "<section aria-labelledby=\"summary\"><h2 id=\"summary\">What stays, and what goes</h2>\n\
         <svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
    );
    let mut x = 0.0;
    for ((_, fate, _), width) in SHARES.iter().zip(widths) {
        let width = width * scale;
        page.push_str(&format!(
            "<rect class=\"{}\" x=\"{x:.1}\" y=\"0\" width=\"{width:.1}\" height=\"10\"/>",
            fate.class()
        ));
        x += width;
    }
    page.push_str("</svg>\n<ul class=\"shares\">");
    for (field, fate, meaning) in SHARES {
        let share = &summary[field];
        let size = number(share, "bytes");
        page.push_str(&format!(
            "<li class=\"{}\"><span class=\"what\">{field}</span> <strong>{}</strong> \
             <span class=\"percent\">{}</span><span class=\"counts\">{}, {}</span>\
             <span class=\"meaning\">{meaning}</span></li>\n",
            fate.class(),
            bytes(size),
            percent(size as f64 / total),
            count(number(share, "files"), "file", "files"),
            count(number(share, "directories"), "directory", "directories"),
        ));
    }
    page.push_str("</ul>");
    let in_use = number(&summary["in_use"], "bytes");
    if in_use > 0 {
        page.push_str(&format!(
            "<p class=\"in-use\">Of what is deleted, loop devices use {}: the names go, the memory is not freed.</p>\n",
            bytes(in_use)
        ));
    }
    let all = &summary["total"];
    page.push_str(&format!(
        "<p class=\"total\">All together {}: {}, {}.</p></section>\n",
        bytes(number(all, "bytes")),
        count(number(all, "files"), "file", "files"),
        count(number(all, "directories"), "directory", "directories"),
    ));
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        little if little < 0.1 => "less than 0.1 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}
