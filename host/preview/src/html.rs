//! The plan of a boot as one web page: what is kept, carried and deleted, how
//! large, and by whose word.
//!
//! The page holds all that it needs: it is opened from a file, on a machine
//! without a network. Its tables are there without JavaScript; the script draws
//! the treemap. All that a report says comes from an image that need not be
//! honest, so nothing of it becomes markup ([`untrusted`]), and a Content-Security-Policy
//! lets no style and no script run but the two that are compiled in.

mod fold;
mod overview;
mod sections;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod untrusted;

use base64::{Engine, prelude::BASE64_STANDARD};
use maud::{DOCTYPE, PreEscaped, html};
use serde_json::Value;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = concat!(include_str!("html/layout.js"), include_str!("html/page.js"),);

/// The bytes that the tiles of the treemap may take in the page: enough for
/// about 40,000 of them. With the tables' own bounds, the largest page stays
/// below 5 MB whatever the image holds.
const TILES: usize = 2_500_000;

/// Makes the page of a plan: the value that `srctl plan --format json` prints,
/// best with the whole tree, which is folded here to what a browser opens
/// quickly.
///
/// Never fails: what the report does not say is left out of the page. The same
/// report gives the same page, byte for byte.
pub fn render(report: &Value) -> String {
    let report = untrusted::Report::of(report);
    let tiles = fold::fold(report.at("tree"), TILES);
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        source(STYLE),
        source(SCRIPT),
    );
    // The policy comes before everything that it governs. A block of JSON is
    // data, which no browser executes.
    let page = html! {
        (DOCTYPE) "\n"
        html lang="en" {
            "\n"
            head {
                "\n"
                meta charset="utf-8"; "\n"
                meta http-equiv="Content-Security-Policy" content=(policy); "\n"
                meta name="viewport" content="width=device-width, initial-scale=1"; "\n"
                meta name="color-scheme" content="light dark"; "\n"
                meta name="referrer" content="no-referrer"; "\n"
                title { "Plan of " (report.at("image").text("name")) } "\n"
                style { (PreEscaped(STYLE)) } "\n"
            }
            "\n"
            body {
                "\n"
                (overview::head(report))
                main {
                    "\n"
                    div.alarms { (overview::alarms(report)) } "\n"
                    (overview::notes(report))
                    (overview::summary(report.at("summary")))
                    (sections::map(&tiles))
                    (sections::preserved(report))
                    (sections::policies(report))
                    (sections::extensions(report))
                    (sections::parts(report))
                }
                "\n"
                footer { "Made by srctl plan. The page loads nothing and sends nothing." } "\n"
                script type="application/json" id="tiles" { (fold::json(&tiles)) } "\n"
                script { (PreEscaped(SCRIPT)) } "\n"
            }
            "\n"
        }
        "\n"
    };
    page.into_string()
}

/// The source expression by which a Content-Security-Policy allows exactly
/// this text.
fn source(content: &str) -> String {
    format!(
        "sha256-{}",
        BASE64_STANDARD.encode(Sha256::digest(content.as_bytes()))
    )
}
