//! `srctl policy inspect`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use switch_root_core::error::Result;
use switch_root_core::text::{bytes, count, time};
use toolkit::inspect::{self, Inspection, Kind, Loaded};
use toolkit::project::component;

use crate::command::format::Printing;
use crate::command::row::{GROUP, Row};
use crate::outcome::Outcome;
use crate::print;
use crate::print::value;
use crate::style::{Stream, Tone, paint};
use crate::table::table;

/// `srctl policy inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The policy: a `.wasm`, or the folder of its project; or a `.cwasm`, which is never run.
    #[arg(value_name = "FILE|DIR")]
    pub file: PathBuf,
    /// Its sidecar: it is given these settings, within these limits [default: NAME.json beside
    /// it]. Without one it is made into an instance, and nothing of it is called.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "policy inspect",
    fine: "a host runs it",
    unfit: Some("no host runs it"),
    unknown: None,
    examples: &[
        "srctl policy inspect keep-logs.wasm",
        "srctl policy inspect keep-logs.wasm --settings keep-logs.json --format json",
    ],
    ..GROUP
};

/// Runs the command.
pub fn run(command: &Inspect) -> Result<Outcome> {
    let file = component(&command.file)?;
    let inspection = inspect::inspect(&file, command.settings.as_deref())?;
    if command.printing.json() {
        print::json(&value(&inspection)?)?;
    } else {
        print::print(&text(&inspection))?;
    }
    Ok(if inspection.usable {
        Outcome::Fine
    } else {
        Outcome::Unfit
    })
}

/// What was found out, for people.
fn text(inspection: &Inspection) -> String {
    let mut text = String::new();
    let kind = match inspection.kind {
        Kind::Component => "a component",
        Kind::CoreModule => "a core module",
        Kind::Native => "a policy that was compiled ahead of time",
        Kind::Unknown => "no policy",
    };
    let mut line = |name: &str, value: &str| {
        let name = paint(Stream::Output, Tone::Heading, &format!("{name:<12}"));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}{value}");
    };
    line("file", &format!("{}, {kind}", inspection.file));
    match &inspection.problem {
        None => line("use", &paint(Stream::Output, Tone::Good, "a host runs it")),
        Some(problem) => {
            let no = match inspection.limits.required {
                Some(_) => paint(Stream::Output, Tone::Caution, "no host runs it as it is"),
                None => paint(Stream::Output, Tone::Bad, "no host runs it"),
            };
            line("use", &format!("{no}: it {problem}"));
        }
    }
    for warning in &inspection.warnings {
        let word = paint(Stream::Output, Tone::Caution, "warning");
        line("", &format!("{word}: {warning}"));
    }
    line("digest", &inspection.digest);
    line("size", &sizes(inspection));
    if let Some(reason) = &inspection.unread {
        line("", &format!("not read to the end: {reason}"));
    }
    for (name, value) in said(inspection) {
        line(name, &value);
    }
    if let Some(record) = &inspection.native {
        line("made from", &record.source);
        line("by", &record.engine);
        line("for", &record.target);
    }
    if !inspection.contract.built_against.is_empty() {
        let versions: Vec<&str> = inspection
            .contract
            .built_against
            .iter()
            .map(String::as_str)
            .collect();
        line(
            "contract",
            &format!(
                "{}; this host speaks {}",
                versions.join(", "),
                inspection.contract.spoken
            ),
        );
    }
    // Of what a component has for its own use, such as Python's `exports`, no host knows.
    let is_interface = |name: &&String| name.contains(':');
    let exports = inspection.exports.iter().filter(is_interface);
    let exports: Vec<String> = match inspection.kind {
        Kind::Component => exports.cloned().collect(),
        _ => inspection.exports.clone(),
    };
    for (name, names) in [("imports", &inspection.imports), ("exports", &exports)] {
        for (number, value) in names.iter().enumerate() {
            line(if number == 0 { name } else { "" }, value);
        }
    }
    // Of what is no component nothing can be loaded.
    let component = inspection.kind == Kind::Component;
    if let Some(loading) = inspection.loading.as_ref().filter(|_| component) {
        if !loading.answers.is_empty() {
            line("answers", &answers(loading));
        }
        line("loading", &loaded(loading));
        text.push('\n');
        text.push_str(&limits(inspection, loading));
    }
    text
}

fn sizes(inspection: &Inspection) -> String {
    let size = &inspection.size;
    let parts = [
        ("code", size.code),
        ("data", size.data),
        ("custom sections", size.custom),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, bytes)| *bytes > 0)
        .map(|(name, count)| format!("{name} {}", bytes(count)))
        .collect();
    match parts.is_empty() {
        true => bytes(size.file),
        false => format!("{}: {}", bytes(size.file), parts.join(", ")),
    }
}

/// What the component says of itself.
fn said(inspection: &Inspection) -> Vec<(&'static str, String)> {
    let metadata = &inspection.metadata;
    let sections = &metadata.sections;
    let mut said: Vec<(&str, String)> = [
        ("name", &metadata.name),
        ("version", &sections.version),
        ("description", &sections.description),
        ("authors", &sections.authors),
        ("licenses", &sections.licenses),
        ("homepage", &sections.homepage),
        ("source", &sections.source),
        ("revision", &sections.revision),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.clone()?)))
    .collect();
    let made: Vec<String> = metadata
        .producers
        .iter()
        .map(|tool| {
            format!("{} {}", tool.name, tool.version)
                .trim_end()
                .to_owned()
        })
        .collect();
    if !made.is_empty() {
        said.push(("made with", made.join(", ")));
    }
    said
}

fn answers(loading: &Loaded) -> String {
    let questions = loading.answers.join(", ");
    match (loading.takes_settings, loading.configured) {
        (None, _) => questions,
        (Some(false), _) => format!("{questions}; takes no settings"),
        (Some(true), true) => format!("{questions}; takes settings, and accepts these"),
        (Some(true), false) => format!("{questions}; takes settings, and was given none"),
    }
}

fn loaded(loading: &Loaded) -> String {
    let did = match (loading.configured, &loading.failure) {
        (_, Some(_)) => "failed",
        (true, None) => "instantiated and given its settings",
        (false, None) => "instantiated, and nothing called",
    };
    format!(
        "{did}: {}, of which compiling took {}",
        time(loading.time_us),
        time(loading.compile_us)
    )
}

/// What was needed of each limit, beside what is given.
fn limits(inspection: &Inspection, loading: &Loaded) -> String {
    let given = &inspection.limits.given;
    let core = &inspection.core;
    let declared = |maximum: Option<u64>, none: u64| match maximum {
        _ if none == 0 => String::new(),
        Some(maximum) => format!("may grow to {maximum}"),
        None => "declares no maximum".into(),
    };
    let row = |name: &str, needed: u64, given: u64, note: String| {
        [name.to_owned(), needed.to_string(), given.to_string(), note]
    };
    let rows = [
        row("fuel", loading.fuel, given.fuel, "to load it".into()),
        row(
            "memory_bytes",
            core.memory_initial_bytes.max(loading.memory_bytes),
            given.memory_bytes as u64,
            declared(core.memory_maximum_bytes, core.memories),
        ),
        row(
            "memories",
            core.memories,
            given.memories as u64,
            String::new(),
        ),
        row(
            "table_elements",
            core.table_initial_elements.max(loading.table_elements),
            given.table_elements as u64,
            declared(core.table_maximum_elements, core.tables),
        ),
        row("tables", core.tables, given.tables as u64, String::new()),
        row(
            "instances",
            core.instances,
            given.instances as u64,
            String::new(),
        ),
    ];
    let mut text = table(["LIMIT", "NEEDED", "GIVEN", "REMARK"], &rows);
    if core.more {
        text.push_str("and what it takes from outside, which cannot be counted\n");
    }
    if let Some(required) = &inspection.limits.required {
        let sidecar = serde_json::json!({"limits": required});
        let raised = sidecar["limits"]
            .as_object()
            .map_or(0, serde_json::Map::len);
        let _ = writeln!(
            text,
            "\nIt can be loaded with {} raised in its sidecar:\n{sidecar}",
            count(raised as u64, "limit", "limits")
        );
    }
    text
}
