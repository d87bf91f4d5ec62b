//! Warnings, one line each on standard error.

use std::fmt;
use std::io::{self, Write};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::print::harmless;
use crate::progress::beside_bars;
use crate::style::{Stream, Tone, paint};

/// Shows warnings and errors of everything that is called.
pub fn start() {
    tracing_subscriber::fmt()
        .with_writer(|| BesideBars)
        .with_max_level(Level::WARN)
        .with_ansi(false)
        .event_format(Line)
        .init();
}

/// Standard error, where progress may be shown meanwhile. A line comes in one piece.
struct BesideBars;

impl Write for BesideBars {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        beside_bars(text).map(|()| text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As errors look that end the program.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (tone, word) = if *event.metadata().level() == Level::ERROR {
            (Tone::Bad, "error")
        } else {
            (Tone::Caution, "warning")
        };
        let word = paint(Stream::Errors, tone, word);
        let mut text = String::new();
        context
            .field_format()
            .format_fields(Writer::new(&mut text), event)?;
        writeln!(writer, "srctl: {word}: {}", harmless(&text))
    }
}
