//! What a failure to read a layer is called.

use switch_root_core::error::{Attempt, Error, Kind};
use switch_root_core::escape;

switch_root_core::outcomes! {
    /// What a layer is not.
    pub enum Malformed in "unpacking" {
        /// The image was damaged, or the tool that made it writes what others do not read. Fetch it
        /// again, or build it with another one.
        "SR-Q19" NotTar { why: String } = "the layer is not a tar archive that can be read: {why}",
    }
}

/// Reading an archive failed.
pub(super) fn broken(error: &std::io::Error) -> Error {
    let ours = error.get_ref().is_some_and(|inner| inner.is::<Error>());
    if ours || error.raw_os_error().is_some() {
        return unread(error);
    }
    let why = escape::message(&error.to_string(), 200);
    Error::new(Kind::Corrupt, Malformed::NotTar { why })
}

/// That the layer cannot be read.
pub(crate) fn unread(error: &std::io::Error) -> Error {
    let path = "the layer".to_owned();
    Error::system(Attempt::Read { path }, error)
}
