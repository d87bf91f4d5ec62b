//! What both parts show alike.

use std::io::IsTerminal;

use serde_json::Value;

/// Colours, where somebody is there to see them.
pub struct Paint(bool);

impl Paint {
    /// On a terminal that wants them.
    pub fn new() -> Self {
        Self(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    /// A text in a colour.
    pub fn with(&self, code: &str, text: impl std::fmt::Display) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }

    /// Prints the heading of what follows.
    pub fn heading(&self, text: &str) {
        println!("\n{}", self.with("1", text));
    }
}

/// Of what is kept, and of what is well.
pub const GREEN: &str = "32";
/// Of where something goes.
pub const CYAN: &str = "36";
/// Of what goes, and of what is not well.
pub const RED: &str = "31";
/// Of what is said beside.
pub const FAINT: &str = "2";

/// Prints the verdicts on extensions, the reasons, and what came of it.
pub fn verdicts(paint: &Paint, report: &Value) {
    for extension in list(&report["extensions"]) {
        let verdict = text(&extension["verdict"]);
        let colour = if verdict == "incompatible" {
            RED
        } else {
            GREEN
        };
        let became = match extension["activated"].as_bool() {
            Some(true) => ", activated",
            Some(false) => ", left out",
            None => "",
        };
        println!(
            "  {:<42} {}",
            text(&extension["image"]),
            paint.with(colour, format!("{verdict}{became}"))
        );
        for reason in list(&extension["reasons"]) {
            println!(
                "    {}: {}",
                text(&reason["policy"]),
                text(&reason["reason"])
            );
        }
    }
}

/// The elements of a list.
pub fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A text of the report.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
