//! The policies of an initramfs: which it has, and adding others.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::io::{Read, Write};
use std::path::Path;

use initramfs::archive::{Writer, room};
use initramfs::boot_program::{Binary, LIMIT};
use initramfs::compression::{self, Compression};
use initramfs::inner::{self, Found};
use initramfs::kept::Kept;
use initramfs::machine::program_for;
use initramfs::segments::{self, Replaced};
use policy::trust::compiled::{self, Compiled};
use policy::trust::signature_path;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::locations::{self, BOOT_PROGRAM_PLACES, COMPILED, TRUST, in_archive};
use switch_root_core::outcome::Message;

switch_root_core::outcomes! {
    /// Why policies are not put into an initramfs.
    pub(crate) enum NotAdded in "policies" {
        /// Where a link leads at boot is not known here, nor therefore which policies and signers there
        /// are.
        "SR-T32" Link { path: String, kind: &'static str } = "/{path} of the image is a symbolic link, and where it leads is not followed here; make the image with a {kind} in its place",
        /// Choose one with `--name`.
        "SR-T33" Name { name: String } = "`{name}` is no name of a policy: one is like 50-keep-logs, at most {NAME} bytes long, without slashes and control characters",
        /// What has the other names would change with it.
        "SR-T34" HardLink { path: String, image: String } = "cannot replace /{path} of {image}: it is one of several hard links, whose contents may be another's; choose another name with --name",
    }
}

switch_root_core::outcomes! {
    /// What the system refused while policies were put into an initramfs.
    pub(crate) enum Working in "policies" {
        /// The system's own words are its reason.
        "SR-T35" Program = "cannot read the program",
        "SR-T36" Archive = "cannot write the archive",
    }
}

/// The longest name of a policy, in bytes: with its endings it is the name of a file.
const NAME: usize = 200;

/// The endings of the files of a policy.
const ENDINGS: [&str; 5] = ["wasm", "wasm.sig", "cwasm", "cwasm.sig", "json"];

/// What was found in an initramfs.
#[derive(Debug, Default)]
pub struct Image {
    /// The programs that may be the one that policies run in.
    pub programs: Vec<Program>,
    /// Its policies, and whose count.
    pub policies: Kept,
    /// Which of the folders that policies and signers are in there are, and which of
    /// those above them, without the slash in front.
    folders: BTreeSet<String>,
    /// Its last archive ends without a trailer: it may have been cut off.
    pub cut_off: bool,
    /// The image inside the initramfs that it boots from or may.
    pub inner: Option<Found>,
    /// Files of policies that have several names.
    linked: BTreeSet<String>,
}

/// A program of an initramfs.
#[derive(Debug)]
pub struct Program {
    /// Its path, without the slash in front.
    pub path: &'static str,
    /// What it is for, as `uname -m` has it.
    pub architecture: &'static str,
    /// What it is, where it is a boot program of ours.
    pub binary: Option<Binary>,
}

/// A policy to be added, with the files that are its.
#[derive(Clone, Debug, Default)]
pub struct Addition {
    /// The name of its files, without their endings.
    pub name: String,
    /// The component.
    pub wasm: Vec<u8>,
    /// Its signature.
    pub signature: Option<Vec<u8>>,
    /// Its form compiled ahead of time, with our record.
    pub native: Option<Vec<u8>>,
    /// Its sidecar.
    pub sidecar: Option<Vec<u8>>,
}

/// All that is added to an initramfs.
#[derive(Clone, Debug, Default)]
pub struct Additions {
    /// The folder of the policies: the vendor's or the operator's.
    pub folder: &'static str,
    /// Policies.
    pub policies: Vec<Addition>,
    /// A list of signers: the name of its file, which ends with `.signers`, and the list.
    pub signers: Option<(String, Vec<u8>)>,
    /// Native code of policies that stay, by its path, which is compiled again.
    pub again: Vec<(String, Vec<u8>)>,
    /// Where the initramfs demands signatures: the native code that needs none.
    pub compiled: Option<Compiled>,
}

/// Walks through an initramfs. Its policies, and the signers that it accepts, are written
/// to the folder `root`.
///
/// # Errors
/// See [`segments::scan`]; or a folder of policies, what leads to it, or a list of signers
/// is a symbolic link; or a file cannot be written.
pub fn survey(input: &Path, root: &Path) -> Result<Image> {
    let mut image = Image {
        policies: Kept::new(root),
        ..Image::default()
    };
    let wanted: BTreeSet<&str> = [locations::VENDOR, locations::OPERATOR, TRUST]
        .into_iter()
        .flat_map(with_parents)
        .collect();
    let below_trust = format!("{}/", TRUST.trim_start_matches('/'));
    let mut programs = [const { None }; BOOT_PROGRAM_PLACES.len()];
    let mut may_be_inside = false;
    let parts = segments::scan(input, &mut |_, member, contents| {
        may_be_inside |= inner::may_be(member);
        let path = member.path();
        let text = std::str::from_utf8(path).unwrap_or_default();
        // What is found through it is not known here, nor whether signatures are demanded.
        if member.is_link() && (wanted.contains(text) || text.starts_with(&below_trust)) {
            return Err(Error::input(NotAdded::Link {
                path: escape::path(path),
                kind: match wanted.contains(text) {
                    true => "directory",
                    false => "file",
                },
            }));
        }
        if let Some(folder) = wanted.get(text) {
            image.folders.insert((*folder).to_owned());
        }
        if image.policies.take(member, contents)? {
            if !member.is_directory() && member.nlink > 1 {
                image.linked.insert(text.to_owned());
            }
            return Ok(());
        }
        let mut places = BOOT_PROGRAM_PLACES.into_iter().map(in_archive);
        if let Some(position) = places.position(|place| place == text) {
            programs[position] = match member.is_file() {
                true => program(
                    in_archive(BOOT_PROGRAM_PLACES[position]),
                    member.size.into(),
                    contents,
                )?,
                false => None,
            };
        }
        Ok(())
    })?;
    image.cut_off = parts.last().is_some_and(|part| !part.trailer);
    image.programs = programs.into_iter().flatten().collect();
    if may_be_inside {
        image.inner = inner::find_in(input)?;
    }
    Ok(image)
}

fn program(path: &'static str, size: u64, contents: &mut dyn Read) -> Result<Option<Program>> {
    let mut bytes = room(size);
    contents
        .take(LIMIT)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::of_copy(Working::Program, &error))?;
    let architecture = program_for(&mut bytes.as_slice())?;
    Ok(architecture.map(|architecture| Program {
        path,
        architecture,
        binary: Binary::of(&bytes),
    }))
}

/// A folder and all above it, topmost first, without the slash in front.
fn with_parents(folder: &'static str) -> impl Iterator<Item = &'static str> {
    let folder = folder.trim_start_matches('/');
    let ends = folder.match_indices('/').map(|(end, _)| end);
    ends.chain([folder.len()]).map(|end| &folder[..end])
}

/// The name that a policy gets in an initramfs where none is given: that of its file,
/// which `50-` is put in front of if no number stands there.
pub fn default_name(stem: &str) -> String {
    let numbered = stem.bytes().take(2).all(|byte| byte.is_ascii_digit())
        && stem.as_bytes().get(2) == Some(&b'-');
    if numbered {
        stem.to_owned()
    } else {
        format!("50-{stem}")
    }
}

/// Checks the name of a policy.
///
/// # Errors
/// It cannot be that of a file of a policy.
pub fn check_name(name: &str) -> Result<()> {
    let plain = |character: char| !character.is_control() && !matches!(character, '/' | '\\');
    if name.is_empty() || name.starts_with('.') || name.len() > NAME || !name.chars().all(plain) {
        return Err(Error::input(NotAdded::Name {
            name: escape::message(name, NAME),
        }));
    }
    Ok(())
}

impl Image {
    /// Whether a file is one of several hard links: its contents may be another's.
    pub fn is_linked(&self, path: &Path) -> bool {
        let text = path.to_str().unwrap_or_default();
        self.linked.contains(text.trim_start_matches('/'))
    }
}

/// A file that is added: its path in the initramfs without the slash in front, its mode
/// and its contents.
struct Added<'a> {
    path: String,
    mode: u32,
    bytes: Cow<'a, [u8]>,
}

impl<'a> Added<'a> {
    fn new(path: String, bytes: &'a [u8]) -> Self {
        Self {
            path,
            mode: 0o644,
            bytes: bytes.into(),
        }
    }
}

impl Additions {
    /// All files.
    fn files(&self) -> Vec<Added<'_>> {
        let mut files = Vec::new();
        for policy in &self.policies {
            let forms = [
                Some(&policy.wasm),
                policy.signature.as_ref(),
                policy.native.as_ref(),
                None,
                policy.sidecar.as_ref(),
            ];
            for (ending, form) in ENDINGS.iter().zip(forms) {
                files.extend(form.map(|bytes| Added::new(self.path(&policy.name, ending), bytes)));
            }
        }
        if let Some((name, list)) = &self.signers {
            files.push(Added::new(signers_path(name), list));
        }
        for (path, native) in &self.again {
            files.push(Added::new(path.clone(), native));
        }
        if let Some(list) = self.compiled.as_ref().filter(|list| !list.is_empty()) {
            files.push(Added {
                path: compiled_path(),
                mode: compiled::MODE,
                bytes: list.to_bytes().into(),
            });
        }
        files
    }

    fn path(&self, name: &str, ending: &str) -> String {
        format!("{}/{name}.{ending}", self.folder.trim_start_matches('/'))
    }

    /// All files that an earlier policy of the same name may have, so that nothing of it
    /// stays.
    fn replaced(&self) -> HashSet<Vec<u8>> {
        let of_policies = self.policies.iter().flat_map(|policy| {
            ENDINGS
                .iter()
                .map(|ending| self.path(&policy.name, ending).into_bytes())
        });
        let signers = self
            .signers
            .iter()
            .map(|(name, _)| signers_path(name).into_bytes());
        let again = self.again.iter().map(|(path, _)| path.clone().into_bytes());
        let list = self.compiled.iter().map(|_| compiled_path().into_bytes());
        of_policies
            .chain(signers)
            .chain(again)
            .chain(list)
            .collect()
    }

    /// Puts them in the place of their predecessors among what [`survey`] kept, so that
    /// they are found there as at boot.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn stage(&self, policies: &mut Kept) -> Result<()> {
        let root = Path::new("/");
        for path in self.replaced() {
            // Made of names that were checked.
            policies.remove(&root.join(String::from_utf8_lossy(&path).as_ref()))?;
        }
        for added in self.files() {
            policies.put(&root.join(added.path), &added.bytes, added.mode)?;
        }
        Ok(())
    }

    /// Copies an initramfs to `output` without policies of the same names, and appends an
    /// archive with the new ones. All files are root's, with the mode 0644, but for the
    /// list of native code, which is root's alone.
    ///
    /// # Errors
    /// One of the files that are replaced is one of several hard links; or see
    /// [`segments::replace_files`].
    pub fn write(
        &self,
        input: &Path,
        image: &Image,
        compression: Compression,
        output: &mut dyn Write,
    ) -> Result<Replaced> {
        let replaced = self.replaced();
        if let Some(linked) = image
            .linked
            .iter()
            .find(|path| replaced.contains(path.as_bytes()))
        {
            return Err(Error::input(NotAdded::HardLink {
                path: escape::path(linked.as_bytes()),
                image: escape::path(input.as_os_str().as_encoded_bytes()),
            }));
        }
        segments::replace_files(input, &replaced, output, &mut |output| {
            self.archive(image, compression, output)
        })
    }

    fn archive(
        &self,
        image: &Image,
        compression: Compression,
        output: &mut dyn Write,
    ) -> Result<()> {
        let mut encoder = compression::encoder(compression, 1, output)?;
        let mut archive = Writer::new(&mut encoder);
        let folders = [
            (!self.policies.is_empty()).then_some(self.folder),
            (self.signers.is_some() || self.compiled.is_some()).then_some(TRUST),
        ];
        // The kernel makes no folders of its own accord, and gives those that are there
        // the mode of the member: so only what is missing is written.
        let mut made = BTreeSet::new();
        for folder in folders.into_iter().flatten().flat_map(with_parents) {
            if !image.folders.contains(folder) && made.insert(folder) {
                archive.directory(folder, 0o755)?;
            }
        }
        for Added { path, mode, bytes } in self.files() {
            archive.file(
                &path,
                mode,
                bytes.len() as u64,
                &mut &bytes[..],
                &mut |_| {},
            )?;
        }
        archive.finish()?;
        encoder
            .finish()
            .map_err(|error| Error::system(Working::Archive, &error))
    }
}

fn signers_path(name: &str) -> String {
    format!("{}/{name}", TRUST.trim_start_matches('/'))
}

fn compiled_path() -> String {
    COMPILED.trim_start_matches('/').into()
}

/// The file among what [`survey`] kept that would be used in place of the `.wasm` of this
/// name in the vendor's folder.
pub fn overriding(policies: &Kept, name: &str) -> Option<String> {
    let path = format!("{}/{name}.wasm", locations::OPERATOR);
    policies.has(Path::new(&path)).then_some(path)
}

/// The signature beside a policy's file; `None` where there is none.
///
/// # Errors
/// It cannot be read.
pub fn signature_beside(wasm: &Path) -> Result<Option<Vec<u8>>> {
    use switch_root_core::file::{Links, read};
    let path = signature_path(wasm);
    let limit = switch_root_core::limits::fixed::SIGNATURE_FILE;
    match read(&path, limit, Links::Follow) {
        Ok(read) => Ok(read.map(|(bytes, _)| bytes)),
        Err(reason) => {
            let path = escape::path(path.as_os_str().as_encoded_bytes());
            let reason = Message::from(reason).said_of(path);
            Err(Error::input(reason.said_of("the signature")))
        }
    }
}

#[cfg(test)]
mod tests;
