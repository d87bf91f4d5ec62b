//! The text format that Prometheus and node_exporter's textfile collector read. Neither
//! timestamps, which the latter refuses, nor a series that stands there twice, for which
//! it refuses the whole file.

use std::collections::BTreeSet;
use std::fmt::Write;

/// Metrics as text.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// One metric: a gauge with its series.
pub struct Metric<'a> {
    exposition: &'a mut Exposition,
    name: &'static str,
    help: &'static str,
    seen: BTreeSet<String>,
}

impl Exposition {
    /// Begins a metric. It is written with its first series, if there is any.
    pub fn gauge(&mut self, name: &'static str, help: &'static str) -> Metric<'_> {
        Metric {
            exposition: self,
            name,
            help,
            seen: BTreeSet::new(),
        }
    }

    /// A metric with one series that has no labels; nothing where there is no value.
    pub fn one(&mut self, name: &'static str, help: &'static str, value: impl Into<Option<f64>>) {
        if let Some(value) = value.into() {
            self.gauge(name, help).add(&[], value);
        }
    }

    /// All of it.
    pub fn finish(self) -> String {
        self.text
    }
}

impl Metric<'_> {
    /// One series. Where there is one with the same labels already, that one counts.
    pub fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        let pairs: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let series = match pairs.is_empty() {
            true => self.name.to_owned(),
            false => format!("{}{{{}}}", self.name, pairs.join(",")),
        };
        let text = &mut self.exposition.text;
        if self.seen.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "# HELP {0} {1}\n# TYPE {0} gauge\n",
                self.name, self.help
            );
        }
        if self.seen.insert(series.clone()) {
            let _ = writeln!(text, "{series} {value}");
        }
    }
}

/// The value of a label: backslash, quote and newline are escaped, as the format has it.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str(r#"\""#),
            '\n' => text.push_str(r"\n"),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_its_heading_once_and_each_series_once() {
        let mut exposition = Exposition::default();
        exposition.one("a", "An a.", 1.5);
        exposition.one("b", "A b.", None::<f64>);
        let mut metric = exposition.gauge("c", "A c.");
        metric.add(&[("x", "1\n\"\\"), ("y", "")], 1.0);
        metric.add(&[("x", "1\n\"\\"), ("y", "")], 0.0);
        metric.add(&[("x", "2"), ("y", "größe")], 1e9);
        let _ = exposition.gauge("d", "A d.");
        assert_eq!(
            exposition.finish(),
            "# HELP a An a.\n# TYPE a gauge\na 1.5\n\
             # HELP c A c.\n# TYPE c gauge\nc{x=\"1\\n\\\"\\\\\",y=\"\"} 1\n\
             c{x=\"2\",y=\"größe\"} 1000000000\n"
        );
    }
}
