//! What the supervisor opens before it makes namespaces, in which it may be nobody.

use std::fs::File;
use std::os::fd::OwnedFd;

use switch_root_core::error::{Error, Result};
use switch_root_core::reading;

use super::messages::Request;
use super::program;
use super::stage::NotStaged;

/// What is needed from outside.
pub struct Opened {
    /// The image.
    pub image: File,
    /// The `switch_root` that is taken whatever the image has.
    pub named: Option<OwnedFd>,
    /// The one that is taken where the image has none.
    pub otherwise: Option<OwnedFd>,
    /// This program.
    pub own: File,
}

impl Opened {
    /// Opens it all.
    pub fn new(request: &Request) -> Result<Self> {
        let settings = &request.settings;
        let named = settings.switch_root.as_deref();
        let otherwise = settings.otherwise.as_deref();
        Ok(Self {
            image: reading::regular(&request.image)?,
            named: named.map(program::open).transpose()?,
            otherwise: otherwise.map(program::open).transpose()?,
            own: File::open("/proc/self/exe")
                .map_err(|error| Error::system(NotStaged::Own, &error))?,
        })
    }
}
