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
//! it (drop it) before the judge is forked. What a session with the judge waits for is shown
//! by [`waiting`], without a thread.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use policy::session::{Waiting, show_waiting};
use switch_root_core::escape;
use switch_root_core::progress::{Progress, Silent, Task};

use toolkit::tool::show_lines;

use crate::streams;

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
    show_waiting(waiting);
    show_lines(|line| {
        // Where nobody can hear it, the work goes on.
        let _ = beside_bars(line);
    });
    Box::new(Bars {
        bars: SHOWN.get_or_init(MultiProgress::new).clone(),
        began: OnceLock::new(),
    })
}

/// Writes to standard error beside the bars, not into them.
pub fn beside_bars(text: &[u8]) -> std::io::Result<()> {
    let text = String::from_utf8_lossy(text);
    let text = streams::renamed(&text);
    let text = escape::visible(&text);
    let write = || std::io::stderr().lock().write_all(text.as_bytes());
    match SHOWN.get() {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// A policy that is waited for.
struct Awaited {
    /// Since when sessions have waited, the last one and those before.
    since: Instant,
    ticked: Instant,
    bar: Option<ProgressBar>,
}

/// Shows what a session waits for, once that has gone on for long.
fn waiting(what: Option<Waiting<'_>>) {
    static AWAITED: Mutex<Option<Awaited>> = Mutex::new(None);
    let mut state = AWAITED.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let awaited = state.get_or_insert(Awaited {
        since: now,
        ticked: now,
        bar: None,
    });
    let Some(what) = what else {
        if let Some(bar) = awaited.bar.take() {
            bar.finish_and_clear();
        }
        return;
    };
    // There are as many calls as answers, and each draws.
    if now - awaited.since < PATIENCE || now - awaited.ticked < TICK / 2 {
        return;
    }
    awaited.ticked = now;
    let bar = awaited.bar.get_or_insert_with(|| {
        let bar = new_bar(None);
        SHOWN.get_or_init(MultiProgress::new).add(bar)
    });
    bar.set_prefix(shown(what.policy));
    bar.set_message(what.what);
    bar.tick();
}

/// A bar that is on no terminal yet.
fn new_bar(bytes: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::hidden());
    let template = if bytes.is_some() {
        "{prefix:<30!} {msg:<9} {wide_bar} {bytes:>10}/{total_bytes:<10}"
    } else {
        "{prefix:<30!} {msg:<9} {spinner} {done:>10}"
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.with_key("done", done)),
        Err(_) => bar,
    }
}

/// A name as it fits a bar.
fn shown(name: &str) -> String {
    let name = escape::message(&streams::renamed(name), NAME);
    escape::visible(&name).into_owned()
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
        let bar = new_bar(bytes);
        bar.set_prefix(shown(name));
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
