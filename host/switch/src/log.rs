//! Where `tracing`'s events go: the kernel's log when running as PID 1, and
//! standard error otherwise, with priorities where that leads to systemd's journal.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::fstat;
use switch_root_core::outcome;
use switch_root_core::parameters::Level;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The level as `tracing` has it: known only after the kernel command line
/// was read, which may itself have something to log.
static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Changes what is logged from now on.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Sends all events of this process to its log.
pub fn start(pid_1: bool) {
    let kernel = if pid_1 { open_kernel_log() } else { None };
    let sink = Sink {
        journal: kernel.is_none() && is_journal(),
        kernel,
        written: 0,
    };
    // The only failure is a log that is already set, and this is called once.
    let _ = tracing::subscriber::set_global_default(Log(Mutex::new(sink)));
}

/// Whether standard error is a stream of the journal, as systemd.exec(5) has it: then the
/// variable names its device and inode.
fn is_journal() -> bool {
    let Some(named) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    fstat(std::io::stderr()).is_ok_and(|stat| named == *format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Whether events reach standard error, as opposed to the kernel's log.
pub fn is_stderr(pid_1: bool) -> bool {
    !pid_1 || open_kernel_log().is_none()
}

fn open_kernel_log() -> Option<File> {
    File::options().write(true).open("/dev/kmsg").ok()
}

struct Log(Mutex<Sink>);

struct Sink {
    kernel: Option<File>,
    /// Whether lines on standard error begin with their priority.
    journal: bool,
    /// Messages written through this descriptor.
    written: u32,
}

/// The kernel drops what one open descriptor writes beyond ten messages in
/// five seconds; a new descriptor starts a new count.
const MESSAGES_A_DESCRIPTOR: u32 = 10;

/// LOG_DAEMON of syslog(3), in the place that the kernel's log has for it.
const FACILITY: libc::c_int = libc::LOG_DAEMON;

impl Sink {
    fn write(&mut self, level: &tracing::Level, message: &str) {
        let message = switch_root_core::escape::visible(message);
        if self.kernel.is_some() && self.written == MESSAGES_A_DESCRIPTOR {
            // After the switch /dev is at the same place, or gone.
            if let Some(reopened) = open_kernel_log() {
                self.kernel = Some(reopened);
                self.written = 0;
            }
        }
        let (priority, word) = match *level {
            tracing::Level::ERROR => (libc::LOG_ERR, "error: "),
            tracing::Level::WARN => (libc::LOG_WARNING, "warning: "),
            tracing::Level::INFO => (libc::LOG_INFO, ""),
            _ => (libc::LOG_DEBUG, ""),
        };
        match &mut self.kernel {
            Some(kernel) => {
                self.written += 1;
                let line = format!("<{}>switch_root: {word}{message}\n", FACILITY | priority);
                // The kernel makes a message of its own of each call.
                let _ = kernel.write_all(line.as_bytes());
            }
            None => {
                // The journal knows the facility, and takes a priority alone.
                let prefix = match self.journal {
                    true => format!("<{priority}>"),
                    false => String::new(),
                };
                let line = format!("{prefix}switch_root: {word}{message}\n");
                let _ = std::io::stderr().write_all(line.as_bytes());
            }
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        // Libraries are heard only when every step is asked for.
        let ours = metadata.target().starts_with("switch_root");
        (level as u8) <= LEVEL.load(Ordering::Relaxed)
            && (ours || LEVEL.load(Ordering::Relaxed) == Level::Trace as u8)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        if let Ok(mut sink) = self.0.lock() {
            sink.write(event.metadata().level(), &message.0);
        }
    }

    // No spans: a line says where it comes from.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        // The level changes once, after the first events.
        tracing::subscriber::Interest::sometimes()
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}

/// Says why the program ends. The kernel's log is all that remains on a screen
/// after a panic, but a caller's terminal must hear of it too.
pub fn complain(pid_1: bool, message: &outcome::Message) {
    outcome::error(message);
    if !is_stderr(pid_1) {
        let message = switch_root_core::escape::visible(&message.text);
        let line = format!("switch_root: error: {message}\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}
