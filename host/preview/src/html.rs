//! The plan of a boot as one web page: what is kept, carried and deleted, how
//! large, and by whose word.
//!
//! The page holds all that it needs: it is opened from a file, on a machine
//! without a network. Its tables are there without JavaScript; the script draws
//! the treemap. All that a report says comes from an image that need not be
//! honest, so nothing of it becomes markup ([`text`]), and a Content-Security-Policy
//! lets no style and no script run but the two that are compiled in.

mod fold;
mod overview;
mod sections;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod values;

use base64::{Engine, prelude::BASE64_STANDARD};
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
    let name = text::html(values::string(&report["image"], "name"));
    let tiles = fold::fold(&report["tree"], TILES);
    let header = overview::head(report);
    let mut body = String::new();
    body.push_str("<div class=\"alarms\">");
    overview::alarms(&mut body, report);
    body.push_str("</div>\n");
    overview::summary(&mut body, &report["summary"]);
    sections::map(&mut body, &tiles);
    sections::survivors(&mut body, report);
    sections::policies(&mut body, &report["policies"]);
    sections::extensions(&mut body, &report["extensions"]);
    sections::parts(&mut body, &report["image"]["parts"]);
    let data = fold::json(&tiles);
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        source(STYLE),
        source(SCRIPT),
    );
    // The policy comes before everything that it governs. A block of JSON is
    // data, which no browser executes.
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Plan of {name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{header}<main>\n{body}</main>\n\
         <footer>Made by srctl plan. The page loads nothing and sends nothing.</footer>\n\
         <script type=\"application/json\" id=\"tiles\">{data}</script>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// The source expression by which a Content-Security-Policy allows exactly
/// this text.
fn source(content: &str) -> String {
    format!(
        "sha256-{}",
        BASE64_STANDARD.encode(Sha256::digest(content.as_bytes()))
    )
}
