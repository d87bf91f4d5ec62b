//! An image, or a folder that one would be made of, with what is known of the machine
//! that boots it.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::elf::ELFMAG;
use policy::source::Source;
use switch_root_core::architecture::{self, HEADER};
use switch_root_core::error::{Error, Kind, Result, Words};
use switch_root_core::file_kind::FileKind;
use switch_root_core::limits::fixed;
use switch_root_core::outcome::Message;
use switch_root_core::reading::cannot_read;
use switch_root_core::{escape, os_release};

use crate::boot_program::Binary;
use crate::files::Files;
use crate::inner::{self, Found};
use crate::machine::{EROFS_IMAGE, Machine, ROOT_IMAGES, Unread, kernel_release, look_into};
use crate::segments::Part;
use crate::tree::{Id, Limits, Stored, Tree, Wanted};

switch_root_core::outcomes! {
    /// What is not known of an image, or cannot be done with it, for the image inside it.
    pub enum Around in "images" {
        /// The reason behind it is one of the others of this table.
        "SR-Q26" Unread { path: &'static str } = "what boots: the image inside {path}, which the initramfs switches to, cannot be read",
        "SR-Q33" Undecided { path: &'static str } = "what boots: the image inside {path}, which was not read, or the rest of the initramfs, which was",
        "SR-Q34" Unsure { attempt: &'static str, name: String, path: &'static str } = "cannot {attempt} {name}: whether it boots from the image inside {path} is not known",
        /// An image that dracut made with its module `squash`. Leave that module out, or put what is
        /// to be added into the image when dracut makes it.
        "SR-Q27" Unchanged { attempt: &'static str, name: String, path: &'static str } = "cannot {attempt} {name}: its /init switches to the image inside {path}, which nothing is added to; have dracut put the files into it, or make it without dracut's module squash",
        "SR-Q28" Unrehearsed { name: String, path: &'static str } = "{name} cannot be rehearsed: it boots from the image inside {path}, with an overlay as its root, and a rehearsal unpacks archives alone; `srctl plan` reads it",
    }
}

impl Around {
    /// Why nothing is added to an image, for the image inside it.
    pub fn of_change(attempt: &'static str, name: String, found: Found) -> Error {
        let path = found.path;
        Self::unless_unsure(attempt, name, found, |name| Self::Unchanged {
            attempt,
            name,
            path,
        })
    }

    /// Why an image is not rehearsed, for the image inside it.
    pub fn of_rehearsal(name: String, found: Found) -> Error {
        let path = found.path;
        Self::unless_unsure("rehearse", name, found, |name| Self::Unrehearsed {
            name,
            path,
        })
    }

    fn unless_unsure(
        attempt: &'static str,
        name: String,
        Found { path, doubt, .. }: Found,
        sure: impl FnOnce(String) -> Self,
    ) -> Error {
        match doubt {
            Some(doubt) => Error::input(doubt).within(Self::Unsure {
                attempt,
                name,
                path,
            }),
            None => Error::input(sure(name)),
        }
    }
}

/// What the kernel executes.
const INIT: &[u8] = b"/init";

/// Where kernel modules are.
const MODULES: [&[u8]; 2] = [b"/lib/modules", b"/usr/lib/modules"];

/// An image.
#[derive(Debug)]
pub struct Image {
    /// The file or folder.
    pub path: PathBuf,
    /// What it is called for people: its path, escaped.
    pub name: String,
    /// How large the file is; of a folder, 0.
    pub bytes: u64,
    /// Its parts; a folder has none.
    pub parts: Vec<Part>,
    /// What it boots from: what it holds, or what the image inside it holds.
    pub tree: Tree,
    /// The image inside it that it boots from.
    pub inner: Option<Inner>,
    /// Why that is not read, where there is one: a half of a sentence that says what is not
    /// known.
    pub unread: Option<Message>,
}

/// The image inside an image.
#[derive(Debug)]
pub struct Inner {
    /// Where it is.
    pub path: &'static str,
    /// What is around it: what mounts it, and switches to it.
    pub around: Tree,
}

impl Image {
    /// What is not known of an image whose last archive ends without a trailer, as a half of a
    /// sentence.
    pub fn cut_off(&self) -> Option<String> {
        let last = self.parts.last().filter(|part| !part.trailer)?;
        Some(format!(
            "whether the image is whole: its last segment, {}, ends without a trailer, which the kernel reads; if the file was cut off there, what followed is missing",
            last.number
        ))
    }

    /// Reads an image or a folder.
    ///
    /// # Errors
    /// See [`Tree::read`] and [`Tree::of_folder`].
    pub fn read(path: &Path, limits: &Limits, wanted: &Wanted) -> Result<Self> {
        let shown = escape::path(path.as_os_str().as_bytes());
        let metadata = std::fs::metadata(path).map_err(|error| cannot_read(path, &error))?;
        let (tree, parts, bytes) = if metadata.is_dir() {
            (Tree::of_folder_wanted(path, limits, wanted)?, Vec::new(), 0)
        } else {
            let (tree, parts) = Tree::read_wanted(path, limits, wanted)?;
            (tree, parts, metadata.len())
        };
        let mut image = Self {
            path: path.to_owned(),
            name: shown,
            bytes,
            parts,
            tree,
            inner: None,
            unread: None,
        };
        image.enter(limits, wanted)?;
        Ok(image)
    }

    /// Goes into the image inside it, if it boots from that.
    fn enter(&mut self, limits: &Limits, wanted: &Wanted) -> Result<()> {
        let Some(found) = inner::find(&self.tree) else {
            return Ok(());
        };
        let path = found.path;
        if let Some(doubt) = found.doubt {
            let doubt = Error::input(doubt).within(Around::Undecided { path });
            self.unread = Some(doubt.message());
            return Ok(());
        }
        let (stored, size) = (self.tree.stored(found.id), self.tree.node(found.id).size);
        match inner::read(path, stored, size, &self.path, limits, wanted) {
            Ok(tree) => {
                let around = std::mem::replace(&mut self.tree, tree);
                self.inner = Some(Inner { path, around });
            }
            Err(error) if error.kind == Kind::Interrupted => return Err(error),
            Err(error) => self.unread = Some(error.within(Around::Unread { path }).message()),
        }
        Ok(())
    }

    /// What the image tells of the machine. Its root image is looked into where it is
    /// one of squashfs; otherwise the initramfs' own os-release is taken.
    pub fn machine(&self) -> Machine {
        let mut machine = Machine {
            architecture: self.machine_of_init(),
            ..Machine::default()
        };
        self.modules(&mut machine);
        if let Some((path, id)) = self.root_image() {
            let looked = match self.tree.stored(id) {
                _ if path.ends_with(EROFS_IMAGE.as_bytes()) => Err(Unread::Erofs),
                Some(Stored::At(offset, _)) => File::open(&self.path)
                    .map_err(|error| Unread::Unreadable { error })
                    .and_then(|file| look_into(file, *offset, &mut machine)),
                Some(Stored::File(file)) => file
                    .try_clone()
                    .map_err(|error| Unread::Unreadable { error })
                    .and_then(|file| look_into(file, 0, &mut machine)),
                _ => Err(Unread::Empty),
            };
            if let Err(reason) = looked {
                machine.problem = Some(format!(
                    "the root image {} {}",
                    escape::path(&path),
                    escape::message(&reason.to_string(), 1024)
                ));
            }
        }
        if machine.os_release.is_none() {
            let files = Files(&self.tree);
            let read = |path| files.read(Path::new(path), fixed::OS_RELEASE);
            let bytes = |path| Ok(read(path)?.map(|contents| contents.bytes));
            machine.os_release = os_release::find(bytes).0;
        }
        machine
    }

    /// The root image that the boot binary would take as init.
    pub fn root_image(&self) -> Option<(Vec<u8>, Id)> {
        ROOT_IMAGES
            .into_iter()
            .chain([EROFS_IMAGE])
            .find_map(|name| {
                let path = [b"/", name.as_bytes()].concat();
                let id = self.tree.find(&path)?;
                (self.tree.node(id).kind == FileKind::Regular).then_some((path, id))
            })
    }

    /// What the kernel unpacks.
    pub fn outermost(&self) -> &Tree {
        self.inner
            .as_ref()
            .map_or(&self.tree, |inner| &inner.around)
    }

    /// The image inside it that it boots from or may, read or not.
    pub fn has_inner(&self) -> Option<Found> {
        inner::find(self.outermost())
    }

    /// Whether it is booted whole: the program that the kernel executes is the boot program, or
    /// is no script, and finds a root image. Then root image and layers are mounted from the
    /// initramfs itself.
    pub fn is_init_mode(&self) -> bool {
        let is_program = self
            .init()
            .is_some_and(|header| header.starts_with(&ELFMAG));
        is_program && (self.root_image().is_some() || self.init_is_ours())
    }

    /// Whether the kernel executes the boot program.
    fn init_is_ours(&self) -> bool {
        let contents = self.tree.contents(INIT).ok();
        contents.and_then(Binary::of).is_some()
    }

    /// What the init of the initramfs was built for, as `uname -m` has it; none where that is
    /// a script.
    pub fn machine_of_init(&self) -> Option<&'static str> {
        let header: &[u8; HEADER] = self.init()?.first_chunk()?;
        architecture::of_elf(header)
    }

    /// The first bytes of the init of the initramfs.
    fn init(&self) -> Option<&[u8]> {
        let (id, _) = self.tree.resolve(INIT)?;
        match self.tree.stored(id)? {
            Stored::Head(header) => Some(header),
            Stored::Whole(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The kernels that there are modules for.
    fn modules(&self, machine: &mut Machine) {
        for folder in MODULES {
            let Some((id, _)) = self.tree.resolve(folder) else {
                continue;
            };
            let mut todo = vec![(id, folder.to_vec())];
            while let Some((id, path)) = todo.pop() {
                for (name, child) in self.tree.children(id) {
                    let path = switch_root_core::path::join(&path, name);
                    if self.tree.node(child).kind == FileKind::Directory {
                        todo.push((child, path));
                    } else {
                        machine.kernel_releases.extend(kernel_release(&path[1..]));
                    }
                }
            }
        }
    }
}
