//! How far something is, for whoever shows it.

/// Shows tasks. Made by the command line; [`Silent`] elsewhere.
pub trait Progress: Sync {
    /// Begins a task: a short name, and its size in bytes where that is known.
    fn begin(&self, name: &str, bytes: Option<u64>) -> Box<dyn Task>;
}

/// One task, which ends when it is dropped.
pub trait Task: Send {
    /// So many bytes more are done.
    fn advance(&self, bytes: u64);
    /// What is being done now, in a word or two: `pulling`, `packing`.
    fn say(&self, what: &str);
}

/// Shows nothing.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _name: &str, _bytes: Option<u64>) -> Box<dyn Task> {
        Box::new(Self)
    }
}

impl Task for Silent {
    fn advance(&self, _bytes: u64) {}
    fn say(&self, _what: &str) {}
}
