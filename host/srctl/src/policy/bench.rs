//! `srctl policy bench`.

use std::fmt::Write;

use ::image::image::Image;
use ::image::tree::Wanted;
use extension::progress::Progress;
use extension::pull::Platform;
use extension::{Error, Result};
use policy::HostFacts;
use workshop::bench::{self, Extensions, Figures, Measured, Questions};
use workshop::loading;

use super::{time, value};
use crate::command::policy::Bench;
use crate::facts::{self, Found};
use crate::outcome::Outcome;
use crate::plan;
use crate::print;
use crate::style::{Stream, Tone, paint};
use crate::table::{bytes, count, table};

/// Directories that are shown to people, of those that took longest.
const SHOWN: usize = 20;

/// Runs the command.
pub fn run(command: &Bench, progress: &dyn Progress) -> Result<Outcome> {
    let sidecar = loading::sidecar(command.settings.as_deref())?;
    let wasm = loading::read(&command.file)?;
    let policy = loading::policy(&command.file, wasm, sidecar);
    let image = match &command.tree {
        Some(path) => Some(plan::read(
            path,
            &command.limits,
            &Wanted::of_plan(),
            progress,
        )?),
        None => None,
    };
    let extensions = extensions(command, image.as_ref())?;
    let host = match &extensions {
        Some(_) => Some(host(command, image.as_ref())?),
        None => None,
    };
    let questions = Questions {
        tree: image.as_ref().map(|image| &image.tree),
        extensions: host
            .as_ref()
            .zip(extensions.as_ref())
            .map(|(host, (origin, file))| Extensions { host, file, origin }),
    };
    let measured = bench::measure(&policy, &questions, command.rounds)?;
    if command.printing.json() {
        print::json(&value(&measured)?)?;
    } else {
        print::print(&text(&measured))?;
    }
    Ok(if measured.failures.is_empty() {
        Outcome::Fine
    } else {
        Outcome::Unfit
    })
}

/// The `extensions.yaml` that is given, or that the tree has.
fn extensions(command: &Bench, image: Option<&Image>) -> Result<Option<(String, Vec<u8>)>> {
    if let Some(path) = &command.extensions {
        let file = loading::extensions(path)?;
        return Ok(Some((loading::shown(path), file)));
    }
    Ok(image.and_then(|image| {
        ["/extensions.yaml", "/etc/extensions.yaml"]
            .into_iter()
            .find_map(|path| {
                let file = image.tree.contents(path.as_bytes()).ok()?;
                Some((format!("{path} of the tree"), file.to_vec()))
            })
    }))
}

fn host(command: &Bench, image: Option<&Image>) -> Result<HostFacts> {
    let host = match image {
        Some(image) => plan::host(image, &command.machine, None)?.0,
        None => facts::facts(&command.machine, Found::default(), &Platform::default())?,
    };
    host.ok_or_else(|| {
        Error::input(
            "the policy cannot be asked about extensions without an operating system to ask about; name its os-release with --os-release FILE, or its version with --target-version VERSION",
        )
    })
}

/// What was measured, for people.
fn text(measured: &Measured) -> String {
    let mut text = format!(
        "{}, {}\n",
        measured.file,
        count(measured.rounds as usize, "round")
    );
    let of = |name: &str, figures: &Figures| {
        let per = figures.fuel_per_entry.map(|fuel| format!("{fuel:.0}"));
        [
            time(figures.min_us),
            time(figures.median_us),
            time(figures.max_us),
            figures.entries.to_string(),
            figures.fuel.to_string(),
            per.unwrap_or_default(),
            bytes(figures.memory_bytes),
            name.to_owned(),
        ]
    };
    let whole = [
        ("load, from .wasm", &measured.load_wasm),
        ("load, from .cwasm", &measured.load_native),
        ("preservation, all directories", &measured.preservation),
        ("compatibility", &measured.compatibility),
    ];
    let mut rows: Vec<_> = whole
        .into_iter()
        .filter_map(|(name, figures)| Some(of(name, figures.as_ref()?)))
        .collect();
    let mut slowest: Vec<_> = measured.directories.iter().collect();
    slowest.sort_by_key(|directory| std::cmp::Reverse(directory.figures.median_us));
    rows.extend(
        slowest
            .iter()
            .take(SHOWN)
            .map(|directory| of(&directory.path, &directory.figures)),
    );
    let headings = [
        "MIN",
        "MEDIAN",
        "MAX",
        "ENTRIES",
        "FUEL",
        "PER ENTRY",
        "MEMORY",
        "WHAT",
    ];
    text.push('\n');
    text.push_str(&table(headings, &rows));
    // Writing to a String cannot fail.
    if slowest.len() > SHOWN {
        let more = slowest.len() - SHOWN;
        let _ = writeln!(text, "and {more} more directories, which took less");
    }
    let rows: Vec<_> = measured
        .limits
        .iter()
        .map(|share| {
            [
                share.limit.to_owned(),
                share.used.to_string(),
                share.allowed.to_string(),
                format!("{:.1} %", share.percent),
            ]
        })
        .collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(["LIMIT", "USED", "OF", "SHARE"], &rows));
    }
    for warning in &measured.warnings {
        let word = paint(Stream::Output, Tone::Caution, "warning");
        let _ = writeln!(text, "{word}: {warning}");
    }
    for failure in &measured.failures {
        let word = paint(Stream::Output, Tone::Bad, "failed");
        let _ = writeln!(text, "{word}: it {}", failure.message);
    }
    text
}
