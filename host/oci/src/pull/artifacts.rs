//! Artifacts: what is no image to be unpacked, but one file with its description.
//! They are fetched whole, and sent.

use std::thread;

use oci_spec::image::{Descriptor, ImageManifest};
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;
use switch_root_core::progress::Task;

use super::client::Client;
use super::digest;
use super::document::{Document, LIMIT};
use super::layout::Layout;
use super::layout_writer::LayoutWriter;
use super::platform::Platform;
use super::repository::Repository;
use super::resolve;
use super::sender::Sender;
use super::stop::Stop;
use super::store::{Store, whole};
use super::{Exchange, attend};
use crate::access::Access;
use crate::reference::{ImageRef, Source};

switch_root_core::outcomes! {
    /// Why an artifact is not fetched or sent.
    pub enum Refused in "artifacts" {
        /// Correct the reference.
        "SR-O10" Digest { named: String, digest: String } = "the reference names the digest {named}, and what is pushed has {digest}; push to a tag",
        "SR-O11" ByItself = "the reference names a digest, which what is pushed has by itself; push to a name",
        "SR-O12" ReadOnly = "an oci-archive is read and not written; push to an OCI image layout (oci:FOLDER), and pack that with tar",
        "SR-O13" NoArtifacts = "a docker-archive holds container images alone; name a registry, or an OCI image layout (oci:FOLDER)",
        /// Tags are names that can be given to something else.
        "SR-O14" Moved { digest: String, expected: String } = "it leads to {digest} now, and {expected} was expected: somebody has put something else there; look at what changed before you expect the new digest",
    }
}

/// An artifact as it was found. Everything is what its digest says.
pub(crate) struct Received {
    /// What the reference leads to: of a manifest, or of an index.
    pub(crate) digest: String,
    /// The manifest.
    pub(crate) manifest: ImageManifest,
    /// The configuration.
    pub(crate) config: Vec<u8>,
    /// The one layer.
    pub(crate) layer: Vec<u8>,
}

/// What is to be sent.
pub(crate) struct Parcel<'p> {
    /// The manifest, which names the others by their digests.
    pub(crate) manifest: &'p [u8],
    /// What the manifest is.
    pub(crate) media_type: &'p str,
    /// Everything that it names.
    pub(crate) blobs: [&'p [u8]; 2],
}

impl Parcel<'_> {
    /// The digest of the manifest.
    pub(crate) fn digest(&self) -> String {
        digest::sha256(self.manifest)
    }
}

/// How artifacts are chosen from what a reference leads to.
pub(crate) struct Choice<'c> {
    /// Of an index.
    pub(crate) platform: Platform,
    /// What the reference has to lead to.
    pub(crate) expected: Option<&'c str>,
    /// Bytes of the layer.
    pub(crate) limit: u64,
    /// Gives the one layer of a manifest that is wanted.
    pub(crate) layer: fn(&ImageManifest) -> Result<Descriptor>,
}

/// Fetches an artifact. Nothing is fetched of what is not wanted.
///
/// # Errors
/// The reference leads elsewhere than expected; it cannot be fetched; something is
/// not what its digest says; the choice refuses it.
pub(crate) fn receive(
    image: &ImageRef,
    choice: &Choice<'_>,
    access: &Access<'_>,
) -> Result<Received> {
    // Before anything is asked.
    choice.expected.map(digest::parse).transpose()?;
    let task = access.progress.begin(&image.text, None);
    task.say("pulling");
    let name = escape::message(&image.text, 300);
    let received = watched(access, move |client| match &image.source {
        Source::Registry(reference) => {
            let repository = Repository::new(client, reference)?;
            let start = match (reference.tag(), reference.digest()) {
                // With both, the tag has to lead to the digest.
                (None, Some(digest)) => repository.by_digest(digest)?,
                _ => repository.by_tag()?,
            };
            for expected in reference.digest().into_iter().chain(choice.expected) {
                check_moved(&start, expected)?;
            }
            take(&repository, start, choice, &*task)
        }
        Source::Layout { folder, name } => {
            let layout = Layout::folder(folder)?;
            let start = layout.start(name.as_deref(), &choice.platform)?;
            if let Some(expected) = choice.expected {
                check_moved(&start, expected)?;
            }
            take(&layout, start, choice, &*task)
        }
        Source::OciArchive { file, name } => {
            let layout = Layout::archive(file)?;
            let start = layout.start(name.as_deref(), &choice.platform)?;
            if let Some(expected) = choice.expected {
                check_moved(&start, expected)?;
            }
            take(&layout, start, choice, &*task)
        }
        Source::DockerArchive { .. } => Err(no_archive()),
    });
    received.map_err(|error| named(Exchange::Pull { image: name }, error))
}

/// Sends an artifact: its blobs, and then the manifest, so that nobody finds one that
/// is not whole.
///
/// # Errors
/// The reference names another digest; the registry or the layout does not take it.
pub(crate) fn send(image: &ImageRef, parcel: &Parcel<'_>, access: &Access<'_>) -> Result<()> {
    let bytes = parcel.blobs.iter().map(|blob| blob.len() as u64).sum();
    let task = access.progress.begin(&image.text, Some(bytes));
    task.say("pushing");
    let name = escape::message(&image.text, 300);
    let digest = parcel.digest();
    let sent = watched(access, move |client| match &image.source {
        Source::Registry(reference) => {
            if let Some(named) = reference.digest()
                && named != digest
            {
                let named = named.to_owned();
                return Err(Error::input(Refused::Digest { named, digest }));
            }
            let sender = Sender::new(client, reference);
            for blob in parcel.blobs {
                sender.blob(&digest::sha256(blob), blob, &*task)?;
            }
            let name = reference.tag().unwrap_or(&digest);
            sender.manifest(name, parcel.manifest, &digest, parcel.media_type)
        }
        Source::Layout { folder, name } => {
            if name.as_ref().is_some_and(|name| name.starts_with('@')) {
                return Err(Error::input(Refused::ByItself));
            }
            let writer = LayoutWriter::open(folder)?;
            for blob in parcel.blobs {
                writer.blob(blob)?;
                task.advance(blob.len() as u64);
            }
            writer.manifest(name.as_deref(), parcel.manifest, parcel.media_type)
        }
        Source::OciArchive { .. } => Err(Error::input(Refused::ReadOnly)),
        Source::DockerArchive { .. } => Err(no_archive()),
    });
    sent.map_err(|error| named(Exchange::Push { image: name }, error))
}

fn named(attempt: Exchange, error: Error) -> Error {
    match error.kind {
        Kind::Interrupted => error,
        _ => error.within(attempt),
    }
}

fn no_archive() -> Error {
    Error::input(Refused::NoArtifacts)
}

fn check_moved(start: &Document, expected: &str) -> Result<()> {
    let wanted = digest::parse(expected)?;
    match digest::verify(&start.bytes, &wanted, "") {
        Err(error) if error.kind == Kind::Corrupt => {
            let moved = Refused::Moved {
                digest: start.digest.clone(),
                expected: expected.to_owned(),
            };
            Err(Error::new(Kind::Corrupt, moved))
        }
        other => other,
    }
}

fn take(
    store: &dyn Store,
    start: Document,
    choice: &Choice<'_>,
    task: &dyn Task,
) -> Result<Received> {
    let digest = start.digest.clone();
    let found = resolve::manifest(store, start, &choice.platform)?;
    let layer = (choice.layer)(&found.manifest)?;
    let config = found.manifest.config();
    let what = format!("the configuration {}", config.digest());
    let config = whole(store, config, &what, LIMIT, task)?;
    let what = format!("the layer {}", layer.digest());
    Ok(Received {
        digest,
        config,
        layer: whole(store, &layer, &what, choice.limit, task)?,
        manifest: *found.manifest,
    })
}

/// Does something with a client that an interruption ends.
fn watched<T: Send>(
    access: &Access<'_>,
    work: impl FnOnce(&Client<'_>) -> Result<T> + Send,
) -> Result<T> {
    let stop = Stop::default();
    let client = Client::new(access.registries, access.docker_config.clone(), &stop);
    thread::scope(|scope| {
        let worker = [scope.spawn(|| work(&client))];
        attend(&worker, &client, &stop);
        let [worker] = worker;
        match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
