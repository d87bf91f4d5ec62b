//! Fetching images and unpacking them into a folder of extensions; and, for policies,
//! fetching and sending what is no image ([`artifacts`]).
//!
//! All images of one call come, or none: each is unpacked under a hidden name,
//! and they get their names when the last is complete.
//!
//! By hand, although there is oci-client: that neither retries nor resumes, knows no mirror below a
//! path, no client certificates and no identity tokens, and brings an asynchronous runtime, while
//! policy workers are forked, which takes a process without threads.

mod ahead;
pub(crate) mod artifacts;
mod challenge;

pub(crate) mod client;
mod configuration;
mod credentials;

pub(crate) mod digest;

pub(crate) mod docker_archive;

pub(crate) mod docker_config;

pub(crate) mod document;

pub(crate) mod endpoint;

pub(crate) mod files;

pub(crate) mod folder;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;

pub(crate) mod image;
mod index;

pub(crate) mod layout;

pub(crate) mod layout_writer;

pub(crate) mod platform;

pub(crate) mod proxy;
mod registry;

pub(crate) mod repository;

pub(crate) mod resolve;

pub(crate) mod resume;

pub(crate) mod sender;

pub(crate) mod stop;

pub(crate) mod store;

pub(crate) mod transport;

pub(crate) mod trust;

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use client::Client;
use docker_archive::DockerArchive;
use folder::{Output, Staged};
use layout::Layout;
use repository::Repository;
use stop::{NOTICE, Stop};
use store::{Image, Store};
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::progress::Progress;
use switch_root_core::{escape, interrupt};

use crate::reference::{self, ImageRef, Source};
use crate::registries::Registries;
use crate::unpack::Dropped;

pub(crate) use document::essence;
pub use platform::Platform;

switch_root_core::outcomes! {
    /// What images and artifacts are for, and what of that failed.
    pub enum Exchange in "pulling" {
        /// The reason follows, with what to do.
        "SR-O01" Pull { image: String } = "cannot pull {image}",
        "SR-O02" Push { image: String } = "cannot push to {image}",
        /// A list of images names each once.
        "SR-O03" Twice { image: String } = "the image {image} is named twice; remove one of them",
        "SR-O04" TwiceOtherwise { image: String, other: String } = "the image {image} is named twice, once as {other}; remove one of them",
    }
}

/// How images are pulled.
pub struct Options<'a> {
    /// Which of an image's platforms.
    pub platform: Platform,
    /// How registries are reached.
    pub registries: &'a Registries,
    /// Docker's configuration file, for credentials. `None` is `config.json` in
    /// `$DOCKER_CONFIG` or `~/.docker`. It need not exist.
    pub docker_config: Option<PathBuf>,
    /// Images at a time; 0 is 1.
    pub parallel: usize,
    /// Where it is told how far it is: a task for each image.
    pub progress: &'a dyn Progress,
}

/// An image that was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// As it was named.
    pub image: ImageRef,
    /// Where it is: its root, with `manifest.yaml` and `rootfs`.
    pub folder: PathBuf,
    /// The digest of the platform's manifest, such as `sha256:...`; of a
    /// `docker-archive:`, which has none, that of its configuration.
    pub digest: String,
    /// The first files that have no longer the extended attributes and file capabilities
    /// that they have in the image.
    pub dropped: Vec<Dropped>,
    /// How many more there are of these.
    pub dropped_more: usize,
}

/// An image that is unpacked, and has no name yet.
struct Unpacked {
    staged: Staged,
    digest: String,
    dropped: Vec<Dropped>,
    dropped_more: usize,
}

/// Fetches images and unpacks each to the folder
/// [`reference::folder_name`]`(position, image)` in `output`, which is made
/// where it is missing.
///
/// # Errors
/// An image is named twice or its folder is there already (nothing is fetched
/// then); an image cannot be fetched, is not what its digest says, or cannot be
/// unpacked; the user interrupts. Of several that fail at once, the first in
/// order is told. In all cases nothing is left behind.
pub fn pull(images: &[ImageRef], output: &Path, options: &Options<'_>) -> Result<Vec<Pulled>> {
    refuse_duplicates(images)?;
    let names: Vec<String> = images
        .iter()
        .enumerate()
        .map(|(position, image)| reference::folder_name(position, image))
        .collect();
    let output = Output::open(output, &names)?;

    let stop = Stop::default();
    let client = Client::new(options.registries, options.docker_config.clone(), &stop);
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Outcomes> = Mutex::default();
    let work = || {
        loop {
            let position = next.fetch_add(1, Ordering::Relaxed);
            let Some(image) = images.get(position) else {
                return;
            };
            let outcome = one(image, &output, &client, &stop, options);
            let failed = outcome.is_err();
            // A panic of another thread reaches the caller by the scope.
            let mut outcomes = match outcomes.lock() {
                Ok(outcomes) => outcomes,
                Err(poisoned) => poisoned.into_inner(),
            };
            match outcome {
                Ok(staged) => outcomes.staged.push((position, staged)),
                Err(error) => outcomes.failed(position, error, stop.set()),
            }
            if failed {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..options.parallel.clamp(1, images.len().max(1)))
            .map(|_| scope.spawn(work))
            .collect();
        attend(&workers, &client, &stop);
    });

    let outcomes = match outcomes.into_inner() {
        Ok(outcomes) => outcomes,
        Err(poisoned) => poisoned.into_inner(),
    };
    if let Some((_, error)) = outcomes.error {
        return Err(error);
    }
    interrupt::check()?;
    let mut staged = outcomes.staged;
    staged.sort_by_key(|(position, _)| *position);
    let mut folders = Vec::with_capacity(staged.len());
    let mut pulled = Vec::with_capacity(staged.len());
    for ((position, unpacked), name) in staged.into_iter().zip(names) {
        folders.push((unpacked.staged, name));
        pulled.push(Pulled {
            image: images[position].clone(),
            folder: PathBuf::new(),
            digest: unpacked.digest,
            dropped: unpacked.dropped,
            dropped_more: unpacked.dropped_more,
        });
    }
    let folders = output.commit(folders.into_iter())?;
    for (pulled, folder) in pulled.iter_mut().zip(folders) {
        pulled.folder = folder;
    }
    Ok(pulled)
}

/// Waits until workers have finished, and ends what they wait for where everything is
/// to end.
fn attend<T>(workers: &[thread::ScopedJoinHandle<'_, T>], client: &Client<'_>, stop: &Stop) {
    while workers.iter().any(|worker| !worker.is_finished()) {
        if stop.check().is_err() {
            // Who waits for a server does not look at anything else.
            client.shutdown();
        }
        thread::sleep(NOTICE / 5);
    }
}

/// What came of the images, by their positions.
#[derive(Default)]
struct Outcomes {
    staged: Vec<(usize, Unpacked)>,
    error: Option<(usize, Error)>,
}

impl Outcomes {
    /// `stopped`: something else has failed before, which may be why this did.
    fn failed(&mut self, position: usize, error: Error, stopped: bool) {
        let because = stopped && error.kind == Kind::Interrupted;
        let earlier = self
            .error
            .as_ref()
            .is_none_or(|(other, _)| position < *other);
        if earlier && !(because && self.error.is_some()) {
            self.error = Some((position, error));
        }
    }
}

/// Pulls one image into a folder without a name.
fn one(
    image: &ImageRef,
    output: &Output,
    client: &Client<'_>,
    stop: &Stop,
    options: &Options<'_>,
) -> Result<Unpacked> {
    let get = || -> Result<Unpacked> {
        stop.check()?;
        let platform = &options.platform;
        let (store, found): (Box<dyn Store + '_>, Image) = match &image.source {
            Source::Registry(reference) => {
                let repository = Repository::new(client, reference)?;
                let found = repository.resolve(platform)?;
                (Box::new(repository), found)
            }
            Source::Layout { folder, name } => {
                let layout = Layout::folder(folder)?;
                let found = layout.resolve(name.as_deref(), platform)?;
                (Box::new(layout), found)
            }
            Source::OciArchive { file, name } => {
                let layout = Layout::archive(file)?;
                let found = layout.resolve(name.as_deref(), platform)?;
                (Box::new(layout), found)
            }
            Source::DockerArchive { file, name } => {
                let archive = DockerArchive::open(file)?;
                let found = archive.resolve(name.as_deref(), platform)?;
                (Box::new(archive), found)
            }
        };
        let mut staged = output.stage()?;
        let (modes, (dropped, dropped_more)) = image::unpack(
            &image.text,
            &found,
            &*store,
            staged.path(),
            stop,
            options.progress,
        )?;
        staged.unpacked(modes);
        Ok(Unpacked {
            staged,
            digest: found.digest,
            dropped,
            dropped_more,
        })
    };
    get().map_err(|error| match error.kind {
        Kind::Interrupted => error,
        _ => error.within(Exchange::Pull {
            image: escape::message(&image.text, 300),
        }),
    })
}

fn refuse_duplicates(images: &[ImageRef]) -> Result<()> {
    for (position, image) in images.iter().enumerate() {
        if let Some(other) = images[..position]
            .iter()
            .find(|other| other.source == image.source)
        {
            let shown = |image: &ImageRef| escape::message(&image.text, 300);
            let (same, image, other) = (other.text == image.text, shown(image), shown(other));
            return Err(Error::input(match same {
                true => Exchange::Twice { image },
                false => Exchange::TwiceOtherwise { image, other },
            }));
        }
    }
    Ok(())
}
