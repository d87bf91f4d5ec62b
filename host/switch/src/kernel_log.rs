//! Whether the kernel unpacked the whole initramfs. Where it could not it says so in its log
//! alone, and starts the machine with what it has (init/initramfs.c).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

use switch_root_core::escape;
use switch_root_core::outcome::Message;

switch_root_core::outcomes! {
    /// That the initramfs is not whole.
    pub enum Incomplete in "root-image" {
        /// The kernel's own words are its reason: `write error` is too little memory for the image
        /// (half of it is used at most), others are a damaged archive. A warning where the root image
        /// is there, and under every other name of the program.
        "SR-B20" Unpacking { reason: String } = "the kernel failed to unpack the initramfs ({reason}), and files of it are missing or cut off; make the initramfs again, or give the machine more memory",
    }
}

switch_root_core::outcomes! {
    /// Why it is not known whether it is.
    pub enum NoLog in "boot-warnings" {
        /// A reason why it is not known whether the kernel unpacked the whole initramfs. The kernel
        /// has no log (`CONFIG_PRINTK`), or too small a one (`log_buf_len=`).
        "SR-B10" Beginning = "the beginning of the kernel's log is gone",
        "SR-B11" Overwritten = "the kernel's log was overwritten while it was read",
        "SR-B12" Opening { error: io::Error } = "/dev/kmsg cannot be opened: {error}",
        "SR-B13" Reading { error: io::Error } = "/dev/kmsg cannot be read: {error}",
    }
}

/// What it says, with its reason behind: where it has no initial RAM disks built in, and
/// where it takes what it cannot unpack for one.
const FAILURES: [(&str, &str); 2] = [
    ("Initramfs unpacking failed: ", ""),
    ("rootfs image is not initramfs (", "); looks like an initrd"),
];

/// More records than this are not read, in one go.
const RECORDS: usize = 1 << 16;

/// What one of them may take, in bytes: the kernel refuses to read less.
const RECORD: usize = 8 << 10;

/// The most that is shown of the reason, in bytes.
const REASON: usize = 256;

/// What the kernel said when it unpacked the initramfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpacked {
    /// Nothing: it is whole.
    Whole,
    /// It failed, for this reason.
    Failed(String),
    /// What it said is not known any more, or cannot be read; with the reason.
    Unknown(Message),
}

/// Reads the kernel's log.
pub fn unpacked() -> Unpacked {
    let opened = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/kmsg");
    match opened {
        Ok(mut log) => search(&mut log),
        Err(error) => Unpacked::Unknown(NoLog::Opening { error }.into()),
    }
}

/// The sentence about an initramfs that is not whole, where it is known not to be.
pub fn failure() -> Option<Incomplete> {
    match unpacked() {
        Unpacked::Failed(reason) => Some(about(&reason)),
        Unpacked::Whole | Unpacked::Unknown(_) => None,
    }
}

/// The sentence about an initramfs that is not whole.
pub fn about(reason: &str) -> Incomplete {
    let reason = reason.to_owned();
    Incomplete::Unpacking { reason }
}

/// Reads one record after the other, up to the end of what there is.
fn search(log: &mut impl Read) -> Unpacked {
    let mut record = [0; RECORD];
    let mut first = None;
    let mut gap = false;
    for _ in 0..RECORDS {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => {
                let Some(parsed) = Record::parse(&record[..length]) else {
                    continue;
                };
                first.get_or_insert(parsed.sequence);
                if let Some(reason) = parsed.unpacking_failure() {
                    return Unpacked::Failed(reason);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // What was to be read next is gone, and the next read goes on behind it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => gap = true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Unpacked::Unknown(NoLog::Reading { error }.into()),
        }
    }
    match first {
        Some(1..) => Unpacked::Unknown(NoLog::Beginning.into()),
        _ if gap => Unpacked::Unknown(NoLog::Overwritten.into()),
        _ => Unpacked::Whole,
    }
}

/// One message, as Documentation/ABI/testing/dev-kmsg has it.
struct Record<'a> {
    /// Whether the kernel itself said it: nobody else can pass for it.
    kernel: bool,
    sequence: u64,
    text: &'a str,
}

impl<'a> Record<'a> {
    fn parse(record: &'a [u8]) -> Option<Self> {
        let record = str::from_utf8(record).ok()?;
        let (prefix, rest) = record.split_once(';')?;
        let mut fields = prefix.split(',');
        let priority: u32 = fields.next()?.parse().ok()?;
        let sequence = fields.next()?.parse().ok()?;
        Some(Self {
            kernel: priority & !(libc::LOG_PRIMASK as u32) == libc::LOG_KERN as u32,
            sequence,
            text: rest.split('\n').next()?,
        })
    }

    fn unpacking_failure(&self) -> Option<String> {
        if !self.kernel {
            return None;
        }
        FAILURES.iter().find_map(|(start, end)| {
            let reason = self.text.strip_prefix(*start)?.strip_suffix(*end)?;
            Some(escape::message(reason, REASON))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log that gives one record at a time, and then blocks.
    struct Log(Vec<Result<&'static str, io::ErrorKind>>);

    impl Read for Log {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let record = self.0.remove(0)?.as_bytes();
            buffer[..record.len()].copy_from_slice(record);
            Ok(record.len())
        }
    }

    fn read(records: &[&'static str]) -> Unpacked {
        search(&mut Log(records.iter().copied().map(Ok).collect()))
    }

    const FIRST: &str = "5,0,0,-;Linux version 6.1.0\n";

    #[test]
    fn failure_is_found_with_its_reason() {
        let failed = |reason: &str| Unpacked::Failed(reason.into());
        let line = "0,340,802143,-;Initramfs unpacking failed: write error\n SUBSYSTEM=x\n";
        assert_eq!(read(&[FIRST, "6,1,2,-;x\n", line]), failed("write error"));
        let line = "6,9,8,-,caller=T1;rootfs image is not initramfs (junk at the end); looks like an initrd\n";
        assert_eq!(read(&[FIRST, line]), failed("junk at the end"));
        let broken = Log(vec![
            Ok(FIRST),
            Err(io::ErrorKind::BrokenPipe),
            Err(io::ErrorKind::Interrupted),
            Ok("0,5,5,-;Initramfs unpacking failed: x\n"),
        ]);
        assert_eq!(search(&mut { broken }), failed("x"));
    }

    #[test]
    fn what_others_say_is_not_believed() {
        assert_eq!(read(&[]), Unpacked::Whole);
        for line in [
            "11,7,7,-;Initramfs unpacking failed: forged\n",
            "6,7,7,-;x: Initramfs unpacking failed: y\n",
            "6,7,7,-;Unpacking initramfs...\n",
            "no record",
            "6,7,7,-;rootfs image is not initramfs (x) at all\n",
        ] {
            assert_eq!(read(&[FIRST, line]), Unpacked::Whole, "{line}");
        }
    }

    #[test]
    fn log_without_its_beginning_says_nothing() {
        let rest = read(&["6,700,9,-;x\n"]);
        assert!(matches!(rest, Unpacked::Unknown(_)), "{rest:?}");
        let rest = read(&["6,700,9,-;x\n", "0,701,9,-;Initramfs unpacking failed: x\n"]);
        assert_eq!(rest, Unpacked::Failed("x".into()));
        let overwritten = Log(vec![
            Ok(FIRST),
            Err(io::ErrorKind::BrokenPipe),
            Ok("6,9,9,-;x\n"),
        ]);
        let overwritten = search(&mut { overwritten });
        assert!(
            matches!(overwritten, Unpacked::Unknown(_)),
            "{overwritten:?}"
        );
        let denied = search(&mut Log(vec![Err(io::ErrorKind::PermissionDenied)]));
        assert!(matches!(denied, Unpacked::Unknown(_)), "{denied:?}");
    }
}
