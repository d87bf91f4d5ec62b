//! What a policy is asked about by `run` and `bench`: extensions, and the machine that they
//! are for.

use std::path::Path;

use initramfs::image::Image;
use initramfs::tree::Wanted;
use oci::pull::Platform;
use policy::folder::Policy;
use switch_root_core::contract::HostFacts;
use switch_root_core::error::{Error, Result};
use switch_root_core::locations;
use switch_root_core::progress::Progress;
use toolkit::{loading, project};

use crate::command::options::{LimitOptions, MachineOptions};
use crate::facts::{self, Found, NoMachine};
use crate::plan;

/// The policy of a file or of the folder of a project, with its settings.
pub fn policy(file: &Path, settings: Option<&Path>) -> Result<Policy> {
    let path = project::component(file)?;
    let wasm = loading::read(&path)?;
    let sidecar = loading::sidecar_of(&path, settings)?;
    Ok(loading::policy(&path, wasm, sidecar))
}

/// The tree that it is asked about, where one is named.
pub fn tree(
    path: Option<&Path>,
    limits: &LimitOptions,
    progress: &dyn Progress,
) -> Result<Option<Image>> {
    path.map(|path| plan::read(path, limits, &Wanted::of_plan(), progress))
        .transpose()
}

/// The `extensions.yaml` that is given, or that the tree has, with a name for it.
pub fn extensions(
    given: Option<&Path>,
    image: Option<&Image>,
) -> Result<Option<(String, Vec<u8>)>> {
    if let Some(path) = given {
        let file = loading::extensions(path)?;
        return Ok(Some((loading::shown(path), file)));
    }
    Ok(image.and_then(|image| {
        locations::EXTENSIONS.into_iter().find_map(|path| {
            let file = image.tree.contents(path.as_bytes()).ok()?;
            Some((format!("{path} of the tree"), file.to_vec()))
        })
    }))
}

/// The machine, by the command line and the tree.
///
/// # Errors
/// Neither says which operating system it has.
pub fn host(options: &MachineOptions, image: Option<&Image>) -> Result<HostFacts> {
    let host = match image {
        Some(image) => plan::host(image, options, None)?.0,
        None => facts::facts(options, Found::default(), &Platform::default())?,
    };
    host.ok_or_else(|| Error::input(NoMachine::Policy))
}
