//! What a failure to read a layer is called.

use switch_root_core::error::{Error, Kind};
use switch_root_core::escape;

/// Reading an archive failed.
pub(super) fn broken(error: &std::io::Error) -> Error {
    let ours = error.get_ref().is_some_and(|inner| inner.is::<Error>());
    if ours || error.raw_os_error().is_some() {
        return Error::system("cannot read the layer", error);
    }
    Error::new(
        Kind::Corrupt,
        format!(
            "the layer is not a tar archive that can be read: {}",
            escape::message(&error.to_string(), 200)
        ),
    )
}
