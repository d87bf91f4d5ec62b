//! Progress bars on a terminal, and nothing elsewhere.
//!
//! A command hands its `&dyn Progress` to what takes long, which begins a task for each
//! part of its work:
//!
//! ```text
//! let task = progress.begin("initramfs.img", Some(size));
//! task.say("reading");
//! task.advance(read);
//! ```
//!
//! What ends within a second shows nothing. A task has a thread while it is under way: end
//! it (drop it) before the judge is forked.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use extension::progress::{Progress, Silent, Task};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use policy::escape;

/// How long the work has gone on when it is first shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// How old a task is when it is shown at the earliest. Without that a thousand small ones
/// would flicker.
const FLICKER: Duration = Duration::from_millis(150);

/// The most of a task's name that is shown, in bytes.
const NAME: usize = 200;

/// How often a bar moves while nothing is counted.
const TICK: Duration = Duration::from_millis(120);

/// The bars that are on the terminal now, so that other texts can go around them.
static SHOWN: OnceLock<MultiProgress> = OnceLock::new();

/// What shows progress: bars where standard error is a terminal and nobody asked
/// for quiet.
pub fn progress(quiet: bool) -> Box<dyn Progress> {
    if quiet || !std::io::stderr().is_terminal() {
        return Box::new(Silent);
    }
    Box::new(Bars {
        bars: SHOWN.get_or_init(MultiProgress::new).clone(),
        began: OnceLock::new(),
    })
}

/// Writes to standard error beside the bars, not into them.
pub fn beside_bars(text: &[u8]) -> std::io::Result<()> {
    let text = String::from_utf8_lossy(text);
    let text = escape::visible(&text);
    let write = || std::io::stderr().lock().write_all(text.as_bytes());
    match SHOWN.get() {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

struct Bars {
    bars: MultiProgress,
    /// When the first task began.
    began: OnceLock<Instant>,
}

struct Bar {
    bar: ProgressBar,
    /// Dropped to end the thread.
    end: Option<Sender<()>>,
    /// What shows the bar, and moves it.
    thread: Option<JoinHandle<()>>,
}

impl Progress for Bars {
    fn begin(&self, name: &str, bytes: Option<u64>) -> Box<dyn Task> {
        let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::hidden());
        let template = if bytes.is_some() {
            "{prefix:<30!} {msg:<8} {wide_bar} {bytes:>10}/{total_bytes:<10}"
        } else {
            "{prefix:<30!} {msg:<8} {spinner} {done:>10}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("done", done));
        }
        let name = escape::message(name, NAME);
        bar.set_prefix(escape::visible(&name).into_owned());
        let now = Instant::now();
        let patience = *self.began.get_or_init(|| now) + PATIENCE;
        let wait = patience.max(now + FLICKER) - now;
        let (end, ended) = channel::<()>();
        let mine = (self.bars.clone(), bar.clone());
        let show = move || {
            let (bars, bar) = mine;
            let waited = |time| ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
            if !waited(wait) {
                return;
            }
            let bar = bars.add(bar);
            while waited(TICK) {
                bar.tick();
            }
        };
        // Where there can be no thread, the work goes on without a bar.
        let thread = std::thread::Builder::new().spawn(show).ok();
        Box::new(Bar {
            bar,
            end: Some(end),
            thread,
        })
    }
}

/// What a task of unknown size has done so far; nothing where it does not count.
fn done(state: &ProgressState, writer: &mut dyn std::fmt::Write) {
    if state.pos() > 0 {
        // Where it is written to cannot fail.
        let _ = write!(writer, "{}", indicatif::HumanBytes(state.pos()));
    }
}

impl Task for Bar {
    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn say(&self, what: &str) {
        self.bar.set_message(escape::visible(what).into_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It cannot panic; if it did, there would be nothing to show.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}
