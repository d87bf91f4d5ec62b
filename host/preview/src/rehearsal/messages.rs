//! What the processes of a rehearsal tell each other: JSON all of it.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switch_root_core::child::End;
use switch_root_core::outcome;

/// How a line begins that is a message. What else stands on a console never begins
/// like this: the kernel's lines have the time in front.
const MARKER: &str = "switch-root-rehearsal: ";

/// What is kept of what a process writes, in bytes of each stream: more than a report and a
/// listing have.
pub const KEPT: usize = 128 << 20;

/// The new root that stands in for the machine's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NewRoot {
    /// What is in it, directories before what they hold.
    pub nodes: Vec<Node>,
    /// Its os-release.
    pub os_release: Option<String>,
    /// Whether nothing can be made in it, as in a root image.
    pub read_only: bool,
}

/// Something in the new root.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    /// Its path, without a slash in front.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: NodeKind,
}

/// See [`Node`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum NodeKind {
    /// A directory with these permissions.
    Directory(u32),
    /// A symbolic link that says this.
    Link(Vec<u8>),
    /// Anything else: an empty file stands for it.
    File,
}

/// What is to be set up, and what is executed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Settings {
    /// The new root.
    pub new_root: NewRoot,
    /// The `switch_root` that is taken whatever the image has.
    pub switch_root: Option<PathBuf>,
    /// The one that is taken where the image has none.
    pub otherwise: Option<PathBuf>,
    /// How long the init waits for the end of the deletion, in milliseconds.
    pub patience_ms: u64,
    /// The program is called as systemd calls it, and something that stands in for systemd
    /// switches afterwards.
    pub preserve: bool,
}

/// What the supervisor in namespaces needs beside that.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The image, an absolute path.
    pub image: PathBuf,
    /// The most that it may take when it is unpacked, in bytes.
    pub max_bytes: u64,
    /// What stands in `/proc/cmdline`.
    pub kernel_command_line: String,
    /// How long all of it may take, in milliseconds.
    pub timeout_ms: u64,
    /// What is set up.
    pub settings: Settings,
}

/// What was set up before the switch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Staged {
    /// Which `switch_root` is executed, for people.
    pub program: String,
    /// Directories that were made in the initramfs: mount points that it lacked.
    pub added: Vec<String>,
    /// What else is otherwise than at boot, as sentences.
    pub notes: Vec<String>,
    /// `uname -r`.
    pub kernel_release: String,
    /// `uname -m`.
    pub architecture: String,
    /// The kernel's command line.
    pub kernel_command_line: String,
}

/// What the init of the new root saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Testimony {
    /// The report; null where there is none.
    pub report: Value,
    /// What is at /run/switch-root/preserved.
    pub preserved: Preserved,
    /// Whether the report was complete in time.
    pub settled: bool,
}

/// What is at `/run/switch-root/preserved`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Preserved {
    /// Everything but the directory itself, by path in the initramfs.
    pub entries: Vec<Entry>,
    /// What was not listed any more: there is too much.
    pub cut: bool,
}

/// Something that survived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path in the initramfs, escaped as in the report.
    pub path: String,
    /// What it is, in the report's words.
    pub kind: String,
}

/// What a process says on its standard output, a line each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Message {
    /// Everything is set up: `switch_root` is executed next.
    Staged(Staged),
    /// It cannot be set up, and why.
    Failed(outcome::Message),
    /// Init was executed.
    Seen(Box<Testimony>),
}

/// What the supervisor gives back: what was seen, or why it could not be played.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Played {
    /// Messages, and everything else that was written.
    pub said: Said,
    /// How the process ended that was to become init; nothing where that is not known, since the
    /// machine ended.
    pub end: Option<End>,
    /// Device nodes of the image for which empty files stand.
    pub placeholders: BTreeSet<String>,
    /// What was otherwise than at boot when the image was unpacked.
    pub notes: Vec<String>,
}

/// What was written to a console, or to standard output and error.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Said {
    /// What was set up.
    pub staged: Option<Staged>,
    /// Why it could not be.
    pub failed: Option<outcome::Message>,
    /// What init saw.
    pub seen: Option<Box<Testimony>>,
    /// Everything else.
    pub log: String,
}

/// Writes a message to standard output, on a line of its own.
///
/// # Errors
/// It cannot be written.
pub fn say(message: &Message) -> io::Result<()> {
    let line = format!("\n{MARKER}{}\n", serde_json::to_string(message)?);
    let mut output = io::stdout();
    output.write_all(line.as_bytes())?;
    output.flush()
}

/// Takes the messages out of what was written.
pub fn hear(text: &str) -> Said {
    let mut said = Said::default();
    for line in text.lines() {
        let message = line
            .strip_prefix(MARKER)
            .and_then(|json| serde_json::from_str(json).ok());
        match message {
            Some(Message::Staged(staged)) => said.staged = Some(staged),
            Some(Message::Failed(why)) => said.failed = Some(why),
            Some(Message::Seen(seen)) => said.seen = Some(seen),
            None if line.trim().is_empty() => {}
            None => {
                said.log.push_str(line.trim_end());
                said.log.push('\n');
            }
        }
    }
    said
}

/// Reads JSON that is at most `limit` bytes long.
///
/// # Errors
/// It cannot be read, or is no such JSON.
pub fn read<T: DeserializeOwned>(input: impl io::Read, limit: u64) -> io::Result<T> {
    let mut text = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(input, limit), &mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_among_other_lines() {
        let json =
            serde_json::to_string(&Message::Failed(outcome::Message::quoted("why"))).unwrap();
        let said = hear(&format!(
            "one\r\n\r\n{MARKER}{json}\r\n[ 1.0] {MARKER}{json}\ntwo"
        ));
        assert_eq!(said.failed, Some(outcome::Message::quoted("why")));
        assert_eq!(said.log, format!("one\n[ 1.0] {MARKER}{json}\ntwo\n"));
        let broken = hear(&format!("{MARKER}{{"));
        assert_eq!(broken.log, format!("{MARKER}{{\n"));
    }
}
