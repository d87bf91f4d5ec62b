//! What an image tells of its boot: the facts that a plan is made of, and what the kernel's
//! command line asks for.

use initramfs::called;
use initramfs::files::Files;
use initramfs::image::Image;
use initramfs::tree::Tree;
use policy::source::Source;
use switch_root::planner::{
    Compatibility, Facts, ImageFacts, Initramfs, List, Missing, Mode, NoRootImage, NotTried,
    Options, left_out, no_root_image, unusable_root_image,
};
use switch_root_core::contract::HostFacts;
use switch_root_core::file::Unreadable;
use switch_root_core::file_kind::FileKind;
use switch_root_core::limits::fixed;
use switch_root_core::outcome::Message;
use switch_root_core::parameters::{self, Extensions, Parameters};
use switch_root_core::path::Path;
use switch_root_core::{extensions, locations};

/// Gathers them; `host` is what is known of the operating system that the image boots.
pub fn gather(image: &Image, host: Option<&HostFacts>) -> (Facts, Options) {
    let parameters = parameters(host);
    let mode = if image.is_init_mode() {
        Mode::ImageBoot
    } else if called::find(&image.tree).is_ok_and(|called| called.by_systemd()) {
        Mode::Preserve
    } else {
        Mode::Switch
    };
    let overlay = image.inner.is_some();
    let options = Options::of(&parameters, mode);
    let facts = Facts {
        image: (mode == Mode::ImageBoot).then(|| ImageFacts {
            root: root_image(image, &parameters).map_err(Message::from),
            layers: Vec::new(),
        }),
        list: list(image, options.extensions),
        host: host.cloned(),
        warnings: trees(image).flat_map(Tree::warnings).collect(),
        initramfs: Initramfs {
            // What boots from an image inside has an overlay of it as its root.
            memory: !overlay,
            overlay,
            ..Initramfs::default()
        },
        ..Facts::default()
    };
    (facts, options)
}

/// What is in the image, and what is around the one that it boots from.
fn trees(image: &Image) -> impl Iterator<Item = &Tree> {
    let around = image.inner.as_ref().map(|inner| &inner.around);
    around.into_iter().chain([&image.tree])
}

/// What the kernel's command line says, where it is known.
pub fn parameters(host: Option<&HostFacts>) -> Parameters {
    host.map(|host| parameters::parse(&host.kernel_command_line))
        .unwrap_or_default()
}

/// The root image that init would take.
///
/// # Errors
/// That there is none: a sentence for the operator.
pub fn root_image(image: &Image, parameters: &Parameters) -> Result<Path, NoRootImage> {
    let Some(path) = &parameters.root else {
        let found = image.root_image().map(|(path, _)| path.into());
        return found.ok_or_else(no_root_image);
    };
    let path = path.as_bytes();
    usable(image, path)
        .map(|()| path.into())
        .map_err(|reason| unusable_root_image(path, &reason))
}

/// Whether a file of the image can be mounted, as far as its kind tells: half a sentence.
fn usable(image: &Image, path: &[u8]) -> Result<(), Message> {
    let Some((id, _)) = image.tree.at(path) else {
        Err(Missing::Image)?
    };
    match image.tree.node(id).kind {
        FileKind::Regular => Ok(()),
        FileKind::Symlink => Err(Unreadable::Link.into()),
        _ => Err(Unreadable::NotRegular.into()),
    }
}

/// Adds what init will say of the layers of these extensions.
pub fn look_at_layers(image: &Image, compatibility: &Compatibility, facts: &mut Facts) {
    let Some(of_image) = &mut facts.image else {
        return;
    };
    for extension in compatibility.extensions() {
        let there = match extension.image.contains('/') {
            true => Err(NotTried::NotAName.into()),
            false => usable(image, format!("/{}", extension.image).as_bytes()),
        };
        let left_out = there.err().map(|reason| Err(left_out(reason)));
        of_image.layers.push(left_out);
    }
}

/// The list of extensions of the image.
fn list(image: &Image, asked_for: Extensions) -> List {
    for path in locations::EXTENSIONS {
        let Some((id, _)) = image.tree.at(path.as_bytes()) else {
            continue;
        };
        if asked_for == Extensions::Ignore {
            return List::Ignored(path);
        }
        let contents = match image.tree.node(id).kind {
            FileKind::Symlink => Err(Unreadable::Link.into()),
            _ => Files(&image.tree).read(path.as_ref(), fixed::EXTENSIONS_FILE),
        };
        return match contents {
            Ok(Some(contents)) => List::Read(path, contents.bytes),
            Ok(None) => continue,
            Err(reason) => List::Unusable(extensions::unusable(path, &reason.text).into()),
        };
    }
    List::Missing
}
