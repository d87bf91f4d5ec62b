//! What a process writes, of which only so much is kept.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What is kept of it, in bytes: more than a report and a listing have.
const LIMIT: u64 = 128 << 20;

/// What is being read.
pub struct Collected(JoinHandle<Vec<u8>>);

/// Reads a stream to its end, beside everything else.
pub fn collect(mut stream: File) -> Collected {
    Collected(std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What cannot be read is missing, and that shows.
        let _ = (&mut stream).take(LIMIT).read_to_end(&mut bytes);
        // Who writes must not be stopped by what nobody keeps.
        let _ = io::copy(&mut stream, &mut io::sink());
        bytes
    }))
}

impl Collected {
    /// All of it, once the stream has ended.
    pub fn join(self) -> String {
        let bytes = self.0.join().unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Reads streams a piece at a time, for a process that cannot have threads.
pub struct Pieces {
    streams: Vec<Option<File>>,
    texts: Vec<Vec<u8>>,
}

impl Pieces {
    /// Begins.
    pub fn new(streams: impl IntoIterator<Item = File>) -> Self {
        let streams: Vec<_> = streams.into_iter().map(Some).collect();
        Self {
            texts: vec![Vec::new(); streams.len()],
            streams,
        }
    }

    /// Waits until something can be read, for so long, and reads it. Says whether there
    /// was anything.
    ///
    /// # Errors
    /// The system does not let us wait.
    pub fn read(&mut self, wait: Duration) -> io::Result<bool> {
        let open: Vec<usize> = (0..self.streams.len())
            .filter(|number| self.streams[*number].is_some())
            .collect();
        let streams = self.streams.iter().flatten();
        let mut polled: Vec<PollFd<'_>> = streams
            .map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN))
            .collect();
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = polled.iter().map(|it| it.any().unwrap_or(false));
        let ready: Vec<usize> = open
            .into_iter()
            .zip(ready)
            .filter_map(|(number, ready)| ready.then_some(number))
            .collect();
        let mut block = [0; 1 << 16];
        for number in &ready {
            let Some(stream) = &mut self.streams[*number] else {
                continue;
            };
            match stream.read(&mut block) {
                Ok(length @ 1..) => {
                    let text = &mut self.texts[*number];
                    // Who writes must not be stopped by what nobody keeps.
                    if (text.len() as u64) < LIMIT {
                        text.extend_from_slice(&block[..length]);
                    }
                }
                Ok(0) | Err(_) => self.streams[*number] = None,
            }
        }
        Ok(!ready.is_empty())
    }

    /// Whether anything may still be read.
    pub fn are_open(&self) -> bool {
        self.streams.iter().any(Option::is_some)
    }

    /// What was read of each.
    pub fn texts(self) -> Vec<String> {
        let texts = self.texts.into_iter();
        texts
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }
}
