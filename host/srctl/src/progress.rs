//! Progress bars on a terminal, and nothing elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use extension::progress::{Progress, Silent, Task};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// What shows progress: bars where standard error is a terminal and nobody asked
/// for quiet.
pub fn progress(quiet: bool) -> Box<dyn Progress> {
    if quiet || !std::io::stderr().is_terminal() {
        return Box::new(Silent);
    }
    Box::new(Bars(MultiProgress::new()))
}

struct Bars(MultiProgress);

struct Bar(ProgressBar);

/// How often a bar moves while nothing is counted.
const TICK: Duration = Duration::from_millis(120);

impl Progress for Bars {
    fn begin(&self, name: &str, bytes: Option<u64>) -> Box<dyn Task> {
        let bar = match bytes {
            Some(bytes) => ProgressBar::new(bytes),
            None => ProgressBar::new_spinner(),
        };
        let template = if bytes.is_some() {
            "{prefix:<30!} {msg:<8} {wide_bar} {bytes:>10}/{total_bytes:<10}"
        } else {
            "{prefix:<30!} {msg:<8} {spinner} {bytes:>10}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        // Added before anything is drawn: else it is drawn twice.
        let bar = self.0.add(bar);
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(TICK);
        Box::new(Bar(bar))
    }
}

impl Task for Bar {
    fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn say(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
