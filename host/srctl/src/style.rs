//! Colours, where somebody looks at them: on a terminal that has some, unless NO_COLOR or
//! `--color never` is set, and elsewhere only with CLICOLOR_FORCE or `--color always`.
//! What a colour says, a word beside it says, too.

use std::io::{stderr, stdout};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use clap::ColorChoice;

use crate::print::to_file;

/// Where a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Errors,
}

/// What a text is, as far as its colour goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Not as it should be, though the work goes on.
    Caution,
    /// What ends the work, or would.
    Bad,
    /// What is above other things.
    Heading,
}

/// Takes `--color` into account from here on, in the parser's own messages, too.
pub fn choose(color: ColorChoice) {
    let choice = match color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// Finds `--color` before the command line is parsed: the parser's complaints are to have
/// the colours that were asked for. What is wrong with the option is the parser's to say.
pub fn choose_early(arguments: impl Iterator<Item = std::ffi::OsString>) {
    use clap::ValueEnum;
    let mut arguments = arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .take_while(|argument| argument != "--");
    while let Some(argument) = arguments.next() {
        let value = match argument.strip_prefix("--color") {
            Some("") => arguments.next(),
            Some(rest) => rest.strip_prefix('=').map(str::to_owned),
            None => None,
        };
        if let Some(Ok(color)) = value.map(|value| ColorChoice::from_str(&value, false)) {
            choose(color);
        }
    }
}

/// Set where what is printed goes to a file, which has no colours.
static TO_FILE: AtomicBool = AtomicBool::new(false);

/// Takes into account where a command prints to.
pub fn output_to(output: Option<&Path>) {
    TO_FILE.store(to_file(output).is_some(), Ordering::Relaxed);
}

/// Whether what goes there is to have colours.
pub fn wanted(stream: Stream) -> bool {
    if stream == Stream::Output && TO_FILE.load(Ordering::Relaxed) {
        return false;
    }
    let choice = match stream {
        Stream::Output => AutoStream::choice(&stdout()),
        Stream::Errors => AutoStream::choice(&stderr()),
    };
    choice != anstream::ColorChoice::Never
}

/// A text in its colour, where that is wanted.
pub fn paint(stream: Stream, tone: Tone, text: &str) -> String {
    paint_if(wanted(stream), tone, text)
}

/// A text in its colour, or as it is.
pub fn paint_if(coloured: bool, tone: Tone, text: &str) -> String {
    if !coloured || text.is_empty() {
        return text.to_owned();
    }
    let style = Style::new();
    let style = match tone {
        Tone::Good => style.fg_color(Some(AnsiColor::Green.into())),
        Tone::Caution => style.fg_color(Some(AnsiColor::Yellow.into())).bold(),
        Tone::Bad => style.fg_color(Some(AnsiColor::Red.into())).bold(),
        Tone::Heading => style.bold(),
    };
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_around_a_text_and_end_with_it() {
        assert_eq!(paint_if(false, Tone::Bad, "error"), "error");
        assert_eq!(paint_if(true, Tone::Bad, ""), "");
        for tone in [Tone::Good, Tone::Caution, Tone::Bad, Tone::Heading] {
            let text = paint_if(true, tone, "word");
            assert!(text.starts_with("\x1b["), "{text:?}");
            assert!(text.ends_with("word\x1b[0m"), "{text:?}");
        }
    }
}
