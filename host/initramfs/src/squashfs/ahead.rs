//! Compressing on several threads.
//!
//! The writer of images reads one block after the other, and asks for each to be
//! compressed before it goes on. So the same files are read ahead by another
//! thread, which cuts them into the same blocks and has these compressed; when the
//! writer asks for a block, it is there. What was not foreseen is compressed when
//! it is asked for. So the bytes of an image depend on neither threads nor luck:
//! a result is used only for a block that is equal byte by byte.

use std::cell::RefCell;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::Scope;

use backhand::compression::{CompressionAction, Compressor, DefaultCompressor};
use backhand::kind::Kind;
use backhand::{BackhandError, FilesystemCompressor, SuperBlock};

use super::codec::{BLOCK, Codec};

/// Blocks of one image that are kept, compressed or not.
const AHEAD: usize = 64;

/// Threads that compress, for any number of images at the same time.
pub struct Pool {
    jobs: Sender<Job>,
}

struct Job {
    block: Arc<Vec<u8>>,
    codec: Codec,
    result: SyncSender<Vec<u8>>,
}

impl Pool {
    /// Starts the threads, which end when the pool is dropped.
    pub fn start<'scope>(scope: &'scope Scope<'scope, '_>, threads: NonZeroUsize) -> Self {
        let (sender, jobs) = channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..threads.get() {
            let jobs = jobs.clone();
            scope.spawn(move || {
                // The lock is held while waiting, which is as good as waiting for
                // the lock.
                while let Some(job) = jobs.lock().ok().and_then(|jobs| jobs.recv().ok()) {
                    // Where it fails, it fails again when the block is asked for;
                    // who no longer waits wants no result.
                    if let Ok(compressed) = job.codec.compress(&job.block) {
                        let _ = job.result.send(compressed);
                    }
                }
            });
        }
        Self { jobs: sender }
    }
}

/// What the writer on this thread is writing.
struct Writing {
    codec: Codec,
    /// Blocks that it is going to ask for, in that order.
    blocks: Receiver<Foreseen>,
    /// The next one, where it is known.
    next: Option<Foreseen>,
}

struct Foreseen {
    block: Arc<Vec<u8>>,
    result: Receiver<Vec<u8>>,
}

thread_local! {
    static WRITING: RefCell<Option<Writing>> = const { RefCell::new(None) };
}

#[cfg(test)]
thread_local! {
    /// Blocks that were compressed when they were asked for.
    pub static UNFORESEEN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// While it lives, what this thread compresses through [`Ahead`] is compressed by
/// its codec.
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        WRITING.set(None);
    }
}

/// Begins to read files ahead, in the order in which this thread is going to write
/// them. Without a pool nothing is read ahead.
pub fn begin<'scope, R: Read>(
    scope: &'scope Scope<'scope, '_>,
    pool: Option<&Pool>,
    files: impl Iterator<Item = R> + Send + 'scope,
    codec: Codec,
) -> Guard {
    let (sender, blocks) = sync_channel(AHEAD);
    WRITING.set(Some(Writing {
        codec,
        blocks,
        next: None,
    }));
    let Some(jobs) = pool.map(|pool| pool.jobs.clone()) else {
        return Guard(());
    };
    scope.spawn(move || {
        // What cannot be read cannot be read by the writer either, which says so.
        let _ = cut(files, &mut |block| {
            let block = Arc::new(block);
            let (result, waiting) = sync_channel(1);
            let job = Job {
                block: block.clone(),
                codec,
                result,
            };
            let foreseen = Foreseen {
                block,
                result: waiting,
            };
            jobs.send(job).is_ok() && sender.send(foreseen).is_ok()
        });
    });
    Guard(())
}

/// Cuts files into blocks as the writer of images does: files that are shorter than
/// a block share one, in which they stand behind each other; blocks of zeros are
/// not stored. Ends early where `emit` says so.
fn cut<R: Read>(
    files: impl Iterator<Item = R>,
    emit: &mut dyn FnMut(Vec<u8>) -> bool,
) -> io::Result<()> {
    let size = BLOCK as usize;
    let mut fragments = Vec::new();
    for mut file in files {
        let mut first = true;
        loop {
            let mut block = Vec::with_capacity(size);
            (&mut file).take(BLOCK.into()).read_to_end(&mut block)?;
            if block.is_empty() {
                break;
            }
            let short = block.len() < size;
            let go_on = if first && short {
                let full = fragments.len() + block.len() > size;
                let go_on = !full || emit(std::mem::take(&mut fragments));
                fragments.append(&mut block);
                go_on
            } else {
                block.iter().all(|byte| *byte == 0) || emit(block)
            };
            if !go_on {
                return Ok(());
            }
            if short {
                break;
            }
            first = false;
        }
    }
    emit(fragments);
    Ok(())
}

/// What a block was compressed to ahead.
fn foreseen(writing: &mut Writing, block: &[u8]) -> Option<Vec<u8>> {
    if writing.next.is_none() {
        writing.next = writing.blocks.recv().ok();
    }
    let next = writing.next.take_if(|next| *next.block == block)?;
    next.result.recv().ok()
}

/// Compresses, or takes what was compressed ahead.
pub struct Ahead;

impl CompressionAction for Ahead {
    type Error = BackhandError;
    type Compressor = Compressor;
    type FilesystemCompressor = FilesystemCompressor;
    type SuperBlock = SuperBlock;

    fn decompress(
        &self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        compressor: Compressor,
    ) -> Result<(), BackhandError> {
        DefaultCompressor.decompress(bytes, out, compressor)
    }

    fn compress(
        &self,
        bytes: &[u8],
        how: FilesystemCompressor,
        block_size: u32,
    ) -> Result<Vec<u8>, BackhandError> {
        WRITING.with_borrow_mut(|writing| match writing {
            Some(writing) => match foreseen(writing, bytes) {
                Some(compressed) => Ok(compressed),
                None => {
                    #[cfg(test)]
                    UNFORESEEN.set(UNFORESEEN.get() + 1);
                    Ok(writing.codec.compress(bytes)?)
                }
            },
            None => DefaultCompressor.compress(bytes, how, block_size),
        })
    }

    fn compression_options(
        &self,
        superblock: &mut SuperBlock,
        kind: &Kind,
        how: FilesystemCompressor,
    ) -> Result<Option<Vec<u8>>, BackhandError> {
        DefaultCompressor.compression_options(superblock, kind, how)
    }
}
