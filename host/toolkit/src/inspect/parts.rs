//! What an instance of a component consists of: what its limits have to allow for.

use serde::Serialize;
use wasmparser::{MemoryType, TableType};

/// Core instances with their memories and tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Core {
    /// Core instances.
    pub instances: u64,
    /// Linear memories of all instances.
    pub memories: u64,
    /// Bytes that the largest memory has at first.
    pub memory_initial_bytes: u64,
    /// Bytes that memories may grow to by their own declaration: the largest of them;
    /// absent where one declares none.
    pub memory_maximum_bytes: Option<u64>,
    /// Tables of all instances.
    pub tables: u64,
    /// Elements that the largest table has at first.
    pub table_initial_elements: u64,
    /// Elements that tables may grow to, as with memories.
    pub table_maximum_elements: Option<u64>,
    /// There is more that cannot be counted without running it: modules that come from
    /// outside.
    pub more: bool,
}

impl Core {
    /// One instance, without anything yet.
    pub(super) fn module() -> Self {
        Self {
            instances: 1,
            ..Self::default()
        }
    }

    /// Instances of what is not known.
    pub(super) fn unknown() -> Self {
        Self {
            more: true,
            ..Self::default()
        }
    }

    /// One more memory.
    pub(super) fn memory(&mut self, memory: &MemoryType) {
        // Nobody has checked the size of its pages yet.
        let page = 1u64.checked_shl(memory.page_size_log2.unwrap_or(16));
        let bytes = |pages: u64| pages.saturating_mul(page.unwrap_or(u64::MAX));
        self.add(Self {
            memories: 1,
            memory_initial_bytes: bytes(memory.initial),
            memory_maximum_bytes: memory.maximum.map(bytes),
            ..Self::default()
        });
    }

    /// One more table.
    pub(super) fn table(&mut self, table: &TableType) {
        self.add(Self {
            tables: 1,
            table_initial_elements: table.initial,
            table_maximum_elements: table.maximum,
            ..Self::default()
        });
    }

    /// What consists of both. Instances of instances can be more than there are numbers.
    pub(super) fn add(&mut self, other: Self) {
        let largest = |ours: (u64, Option<u64>), theirs: (u64, Option<u64>)| match (ours, theirs) {
            ((0, _), (_, maximum)) | ((_, maximum), (0, _)) => maximum,
            ((_, ours), (_, theirs)) => ours.zip(theirs).map(|(ours, theirs)| ours.max(theirs)),
        };
        *self = Self {
            memory_maximum_bytes: largest(
                (self.memories, self.memory_maximum_bytes),
                (other.memories, other.memory_maximum_bytes),
            ),
            table_maximum_elements: largest(
                (self.tables, self.table_maximum_elements),
                (other.tables, other.table_maximum_elements),
            ),
            instances: self.instances.saturating_add(other.instances),
            memories: self.memories.saturating_add(other.memories),
            memory_initial_bytes: self.memory_initial_bytes.max(other.memory_initial_bytes),
            tables: self.tables.saturating_add(other.tables),
            table_initial_elements: self
                .table_initial_elements
                .max(other.table_initial_elements),
            more: self.more || other.more,
        };
    }
}
