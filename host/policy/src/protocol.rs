//! What host and judge say to each other: frames of a four-byte little-endian
//! length and a value in postcard's encoding.
//!
//! The judge trusts the host. The host does not trust the judge: the length of
//! a frame is bounded before anything is allocated for it.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use switch_root_core::contract::{Decision, Entry, HostFacts, Verdict};
use switch_root_core::extensions::List;
use switch_root_core::failure::{Failure, Question};
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;
use switch_root_core::report::Protections;

use crate::bindings::log::Level;

switch_root_core::outcomes! {
    /// Why bytes are no message: what follows "made the judge send".
    pub enum NoFrame in "policy-run" {
        /// The policy worker did what it never does by itself: the policy may have taken it over.
        /// Do not use it, and report it with the `.wasm`.
        "SR-R50" Large { length: usize, limit: usize } = "a message of {length} bytes; at most {limit} are taken",
        "SR-R51" Long = "a message with bytes left over",
        "SR-R52" Unreadable { error: postcard::Error } = "a message that cannot be read: {error}",
    }
}

/// What the host asks.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// One directory, of each of these policies (by index).
    Preservation {
        policies: Vec<u16>,
        directory: Vec<u8>,
        listing: Listing,
    },
    /// All extensions of an `extensions.yaml`, of each of these policies.
    Compatibility {
        policies: Vec<u16>,
        host: HostFacts,
        extensions_yaml: Vec<u8>,
    },
}

/// The entries of a directory, with the names in one piece: they are most of
/// what is said, and cost a step for each byte otherwise.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listing {
    #[serde(with = "serde_bytes")]
    names: Vec<u8>,
    /// Length of the name, kind, size, mode, mount point.
    rest: Vec<(u8, FileKind, u64, u32, bool)>,
}

impl Listing {
    /// Packs entries, whose names are at most 255 bytes long.
    pub fn pack(entries: &[Entry]) -> Self {
        let mut names = Vec::new();
        let rest = entries
            .iter()
            .map(|entry| {
                names.extend_from_slice(&entry.name);
                let length = u8::try_from(entry.name.len()).unwrap_or(u8::MAX);
                (
                    length,
                    entry.kind,
                    entry.size,
                    entry.mode,
                    entry.mount_point,
                )
            })
            .collect();
        Self { names, rest }
    }

    /// The entries as they were packed.
    pub fn unpack(&self) -> Vec<Entry> {
        let mut names = self.names.as_slice();
        self.rest
            .iter()
            .map(|&(length, kind, size, mode, mount_point)| {
                let (name, others) = names.split_at(usize::from(length).min(names.len()));
                names = others;
                Entry {
                    name: name.to_vec(),
                    kind,
                    size,
                    mode,
                    mount_point,
                }
            })
            .collect()
    }
}

/// What the judge says. Replies come in the order of the requests, and within
/// one in the order of its policies.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The judge runs, with these of its protections in force.
    Ready(Protections),
    /// A policy is ready to be asked, or not. One for each policy, in order.
    Loaded {
        outcome: Result<Answers, Failure>,
        loading: Loading,
    },
    /// The answer of one policy for one directory.
    Decisions {
        outcome: Result<Vec<Decision>, Failure>,
        cost: Cost,
    },
    /// What `extensions.yaml` holds, before the verdicts on it. Where it is an
    /// error no verdicts follow.
    Extensions(Result<List, Message>),
    /// The answer of one policy for all extensions.
    Verdicts {
        outcome: Result<Vec<Verdict>, Failure>,
        cost: Cost,
    },
    /// A message of the policy that is being loaded or asked. At any time.
    Log { level: Level, message: String },
    /// Something that the operator should hear of the same policy.
    Warning(Message),
    /// The judge itself failed: a defect of the host, in its own words.
    Panic(String),
}

/// Which interfaces a component exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// `preservation`.
    pub preservation: bool,
    /// `compatibility`.
    pub compatibility: bool,
    /// `settings`.
    pub settings: bool,
    /// It was compiled just now, for want of usable native code.
    pub compiled: bool,
}

impl Answers {
    /// Whether the component answers a question.
    pub fn to(&self, question: Question) -> bool {
        match question {
            Question::Load => true,
            Question::Preservation => self.preservation,
            Question::Compatibility => self.compatibility,
        }
    }
}

/// What something took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Units of fuel, about one for each WebAssembly instruction.
    pub fuel: u64,
    /// Microseconds of wall-clock time in the judge.
    pub time_us: u64,
    /// Bytes of the largest linear memory, when it was largest.
    pub memory_bytes: u64,
    /// Elements of the largest table, when it was largest.
    pub table_elements: u64,
}

/// What loading a policy took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loading {
    /// All of it: compiling, an instance, the settings.
    pub cost: Cost,
    /// Of its time what it took to have the code: to compile it, or to take in what was
    /// compiled ahead of time.
    pub code_us: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.fuel = self.fuel.saturating_add(other.fuel);
        self.time_us = self.time_us.saturating_add(other.time_us);
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
        self.table_elements = self.table_elements.max(other.table_elements);
    }
}

/// Appends a frame to a buffer.
pub fn push_frame(buffer: &mut Vec<u8>, message: &impl Serialize) -> io::Result<()> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    postcard::to_io(message, &mut *buffer).map_err(io::Error::other)?;
    let length = u32::try_from(buffer.len() - start - 4).map_err(io::Error::other)?;
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Takes the first frame of a buffer, if it is there whole, and says how many
/// bytes of the buffer it took.
///
/// # Errors
/// A frame that is longer than `limit`, or not a message.
pub fn take_frame<T: DeserializeOwned>(
    buffer: &[u8],
    limit: usize,
) -> Result<Option<(T, usize)>, NoFrame> {
    let Some((head, rest)) = buffer.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*head) as usize;
    if length > limit {
        return Err(NoFrame::Large { length, limit });
    }
    let Some(body) = rest.get(..length) else {
        return Ok(None);
    };
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(Some((message, 4 + length))),
        Ok(_) => Err(NoFrame::Long),
        Err(error) => Err(NoFrame::Unreadable { error }),
    }
}

/// Reads one frame from the host. `None` at the end.
pub fn read_frame<T: DeserializeOwned>(input: &mut impl Read) -> io::Result<Option<T>> {
    let mut head = [0; 4];
    match input.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut body = vec![0; u32::from_le_bytes(head) as usize];
    input.read_exact(&mut body)?;
    postcard::from_bytes(&body)
        .map(Some)
        .map_err(io::Error::other)
}

/// Writes one frame to the host.
pub fn write_frame(output: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut frame = Vec::new();
    push_frame(&mut frame, message)?;
    output.write_all(&frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_unpacked_as_it_was_packed() {
        let entry = |name: &[u8], size| Entry {
            name: name.to_vec(),
            kind: FileKind::Fifo,
            size,
            mode: 0o7777,
            mount_point: size == 0,
        };
        let entries = [
            entry(b"a", 0),
            entry(&[0xff; 255], u64::MAX),
            entry(b"\n", 1),
        ];
        assert_eq!(Listing::pack(&entries).unpack(), entries);
        assert_eq!(Listing::pack(&[]).unpack(), []);
    }

    #[test]
    fn a_frame_is_taken_whole_or_not_yet() {
        let mut buffer = Vec::new();
        push_frame(&mut buffer, &Reply::Warning(Message::quoted("w"))).unwrap();
        let length = buffer.len();
        push_frame(&mut buffer, &Reply::Panic("p".into())).unwrap();
        for short in 0..length {
            assert!(
                take_frame::<Reply>(&buffer[..short], 100)
                    .unwrap()
                    .is_none()
            );
        }
        let (reply, taken) = take_frame::<Reply>(&buffer, 100).unwrap().unwrap();
        assert!(matches!(reply, Reply::Warning(warning) if warning.text == "w"));
        assert_eq!(taken, length);
    }

    #[test]
    fn garbage_is_an_error_and_costs_no_memory() {
        assert!(
            take_frame::<Reply>(&[0xff; 8], 1 << 20)
                .unwrap_err()
                .to_string()
                .contains("4294967295 bytes")
        );
        assert!(
            take_frame::<Reply>(&[1, 0, 0, 0, 0xff], 100)
                .unwrap_err()
                .to_string()
                .contains("cannot be read")
        );
        // A list that claims more elements than the frame has bytes.
        assert!(take_frame::<Reply>(&[6, 0, 0, 0, 3, 0, 0xff, 0xff, 0xff, 0x0f], 100).is_err());
        let mut buffer = Vec::new();
        push_frame(&mut buffer, &Reply::Warning(Message::quoted("w"))).unwrap();
        buffer.push(0);
        buffer[0] += 1;
        assert!(
            take_frame::<Reply>(&buffer, 100)
                .unwrap_err()
                .to_string()
                .contains("left over")
        );
    }
}
