//! What the fuzzer drives of this crate and nobody else may use: the judge's protocol.

use std::cell::RefCell;
use std::os::fd::AsFd;

use switch_root_core::contract::Entry;

use crate::protocol::{self, Listing, Reply};

thread_local! {
    /// What every judge that is started from here on says, instead of running policies.
    static REPLIES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Has the judges of this thread's sessions say these bytes and end.
pub fn set_replies(bytes: &[u8]) {
    REPLIES.set(Some(bytes.to_vec()));
}

/// Says what is to be said, where something is, and ends the process.
pub(crate) fn play(replies: impl AsFd) {
    REPLIES.with_borrow(|bytes| {
        let Some(mut rest) = bytes.as_deref() else {
            return;
        };
        while let Ok(count @ 1..) = nix::unistd::write(&replies, rest) {
            rest = &rest[count..];
        }
        // SAFETY: ends the process without running the exit handlers of the
        // program that it was forked from.
        unsafe { libc::_exit(0) }
    });
}

/// Takes the first reply of a buffer, as the host does: that reply in the encoding of
/// this program, and how many bytes of the buffer it took.
///
/// # Errors
/// It is too long, or no reply.
pub fn take_reply(buffer: &[u8], limit: usize) -> Result<Option<(Vec<u8>, usize)>, String> {
    let taken = protocol::take_frame::<Reply>(buffer, limit).map_err(|error| error.to_string())?;
    let Some((reply, taken)) = taken else {
        return Ok(None);
    };
    let mut again = Vec::new();
    protocol::push_frame(&mut again, &reply).map_err(|error| error.to_string())?;
    Ok(Some((again, taken)))
}

/// The entries of a packed listing, where the bytes are one.
pub fn unpack(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (listing, _) = postcard::take_from_bytes::<Listing>(bytes).ok()?;
    Some(listing.unpack())
}

/// The same entries after they were packed.
pub fn pack_and_unpack(entries: &[Entry]) -> Vec<Entry> {
    Listing::pack(entries).unpack()
}
