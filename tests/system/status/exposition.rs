//! Reads the text format of Prometheus, as strictly as node_exporter's textfile collector
//! does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use crate::check::ensure;
use crate::tools::{self, Checked, Stop};

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its metric.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Series {
    /// Whether it is of this metric, and has exactly these labels.
    pub fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        let mut found = self.labels.iter().map(|(name, value)| (&**name, &**value));
        let all = labels.len() == self.labels.len();
        self.name == name && all && found.all(|pair| labels.contains(&pair))
    }
}

/// All series of a text.
///
/// # Errors
/// What is wrong with it, with the line.
pub fn series(text: &str) -> Result<Vec<Series>, Stop> {
    ensure!(text.ends_with('\n'), "the last line does not end: {text:?}");
    let mut all: Vec<Series> = Vec::new();
    let mut announced = BTreeSet::new();
    let mut help = None;
    let mut current: Option<String> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, words) = rest.split_once(' ').ok_or("no words of help")?;
            ensure!(!words.is_empty() && help.is_none(), "{line}");
            help = Some(name.to_owned());
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or("no type")?;
            ensure!(kind == "gauge", "{line}");
            ensure!(help.take().as_deref() == Some(name), "no help: {line}");
            ensure!(announced.insert(name.to_owned()), "again: {line}");
            current = Some(name.to_owned());
            continue;
        }
        let one = one(line).map_err(|why| Stop::Fail(format!("{why}: {line}")))?;
        ensure!(
            current.as_deref() == Some(&*one.name),
            "not below its type: {line}"
        );
        let twice = all
            .iter()
            .any(|other| other.name == one.name && other.labels == one.labels);
        ensure!(!twice, "twice: {line}");
        all.push(one);
    }
    Ok(all)
}

/// Reads a line; no timestamp may follow the value.
fn one(line: &str) -> Result<Series, String> {
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    if !name.starts_with("switch_root_") {
        return Err("a name of somebody else's".into());
    }
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("no label")?;
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
            if label.is_empty() || !label.chars().all(is_name) {
                return Err(format!("`{label}` is no name of a label"));
            }
            let (value, after) = value(after)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("{label} twice"));
            }
            if let Some(after) = after.strip_prefix(',') {
                rest = after;
                continue;
            }
            rest = after.strip_prefix('}').ok_or("no end of the labels")?;
            break;
        }
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let value = value
        .parse()
        .map_err(|error| format!("{value:?} is no number: {error}"))?;
    Ok(Series {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// The value of a label up to its quote, and what follows that.
fn value(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, other @ ('"' | '\\'))) => value.push(other),
                other => return Err(format!("{other:?} is not escaped")),
            },
            other => value.push(other),
        }
    }
    Err("no end of a value".into())
}

/// Has Prometheus' own tool check a text.
pub fn promtool(text: &str) -> Checked {
    let mut child = Command::new(tools::promtool()?)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("no input")?;
    input.write_all(text.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "promtool: {output:?}\n{text}");
    Ok(())
}
