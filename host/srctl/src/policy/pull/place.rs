//! Where a policy is written to that is pulled. Two versions of one policy in a folder would
//! both be active, so it is kept in mind which file of a folder came from where.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use oci::reference::ImageRef;
use policy::source::{Disk, Source};
use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::escape;
use switch_root_core::file::{Links, read};
use switch_root_core::outcome::Message;
use switch_root_core::output::AtomicFile;
use switch_root_core::reading::cannot_read;

use crate::input::shown;

switch_root_core::outcomes! {
    /// Why a pulled policy is not put where it was to go.
    pub(crate) enum NotPlaced in "srctl" {
        /// A folder of policies is what a boot runs: nothing in it is replaced that is not the same
        /// policy's.
        "SR-H11" Version { other: String, name: String } = "{other} is a version of the same policy, which calls itself {name} now, and both would be active: nothing was written; name the file with --output, that one to replace it",
        "SR-H12" Another { file: String, from: String } = "{file} came from {from}, and this policy of the same name is another's: nothing was written; name the file with --output, that one to replace it",
        "SR-H13" Default = "the policy calls itself {DEFAULT}, which would replace the embedded one: nothing was written; name the file with --output, if it is to",
        "SR-H14" Link { file: String, target: String } = "{file} is a symbolic link to {target}, which would be overwritten: nothing was written; remove the link, or name that file with --output",
        /// The record says where each policy of the folder came from.
        "SR-H15" Record { path: String, error: String } = "{path} is malformed: {error}; remove it, and srctl begins another one",
        "SR-H16" NotWritten { path: String, error: String } = "cannot write {path}: {error}",
    }
}

/// Where that is kept. The name has no ending, so that it is no file of a policy.
const RECORD: &str = ".srctl-pulled";

/// What replaces the policy that is embedded.
const DEFAULT: &str = "00-default.wasm";

const WASM: &str = ".wasm";
const CWASM: &str = ".cwasm";

/// The largest record that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Repositories, by the names of the files that came from them.
type Sources = BTreeMap<String, String>;

/// Where a policy goes.
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The record to be written, with its path.
    record: Option<(PathBuf, Sources)>,
}

impl Place {
    /// The file that `output` names, or one called `name` in the folder that it names, which
    /// is made.
    ///
    /// # Errors
    /// That folder has another version of the policy under another name; it cannot be made,
    /// or its record not be read.
    pub fn find(output: Option<&Path>, name: &str, reference: &ImageRef) -> Result<Self> {
        let folder = match output {
            Some(path) if path.is_dir() => path,
            Some(path) if path.as_os_str().as_bytes().ends_with(b"/") => {
                std::fs::create_dir_all(path).map_err(|error| {
                    let path = shown(path);
                    Error::system(Attempt::MakeFolder { path }, &error)
                })?;
                path
            }
            output => {
                let file = output.unwrap_or(Path::new(name)).to_owned();
                not_a_link(&file)?;
                return Ok(Self { file, record: None });
            }
        };
        let record = folder.join(RECORD);
        let mut sources = sources(&record)?;
        let repository = reference.repository();
        let stem = name.trim_end_matches(WASM);
        let same = |other: &str| {
            let other = stem_of(other);
            let from = sources.get(&format!("{other}{WASM}"));
            other != stem
                && (from.is_some() && from == repository.as_ref() || base(other) == base(stem))
        };
        if let Some(other) = active(folder)?.into_iter().find(|other| same(other)) {
            return Err(Error::input(NotPlaced::Version {
                other: shown(&folder.join(other)),
                name: name.to_owned(),
            }));
        }
        let file = folder.join(name);
        if let (Some(from), Some(own)) = (sources.get(name), &repository)
            && from != own
        {
            return Err(Error::input(NotPlaced::Another {
                file: shown(&file),
                from: escape::message(from, 200),
            }));
        }
        if name == DEFAULT {
            return Err(Error::input(NotPlaced::Default));
        }
        not_a_link(&file)?;
        let record = repository.and_then(|repository| {
            let known = sources.insert(name.to_owned(), repository.clone());
            (known != Some(repository)).then_some((record, sources))
        });
        Ok(Self { file, record })
    }

    /// Keeps in mind where the file came from.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn record(&self) -> Result<()> {
        let Some((path, sources)) = &self.record else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(sources).map_err(|error| {
            Error::input(NotPlaced::NotWritten {
                path: shown(path),
                error: error.to_string(),
            })
        })?;
        let mut output = AtomicFile::create(path)?;
        output
            .write_all(format!("{text}\n").as_bytes())
            .map_err(|error| {
                let path = shown(path);
                Error::system(Attempt::Write { path }, &error)
            })?;
        output.commit()
    }
}

fn sources(record: &Path) -> Result<Sources> {
    let bytes = match read(record, LARGEST, Links::Refuse) {
        Ok(Some((bytes, _))) => bytes,
        Ok(None) => return Ok(Sources::new()),
        Err(reason) => return Err(Error::input(Message::from(reason).said_of(shown(record)))),
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::input(NotPlaced::Record {
            path: shown(record),
            error: error.to_string(),
        })
    })
}

/// Refuses a symbolic link: what it leads to belongs to somebody else, such as a package.
fn not_a_link(file: &Path) -> Result<()> {
    match std::fs::read_link(file) {
        Ok(target) => Err(Error::input(NotPlaced::Link {
            file: shown(file),
            target: shown(&target),
        })),
        Err(_) => Ok(()),
    }
}

/// The files that make policies active in a folder: of each name the component, or the
/// compiled form that is alone; none where it masks.
fn active(folder: &Path) -> Result<Vec<String>> {
    let failed = |error| cannot_read(folder, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.into_string().ok());
    }
    names.sort();
    let source = Disk::folder(folder);
    let masks = |name: &str| {
        let path = Path::new("/").join(name);
        source.is_null(&path) || source.is_empty(&path)
    };
    let counts = |name: &&String| match name.strip_suffix(CWASM) {
        Some(stem) => !names.contains(&format!("{stem}{WASM}")),
        None => name.ends_with(WASM),
    };
    let counting = names.iter().filter(counts).filter(|name| !masks(name));
    Ok(counting.cloned().collect())
}

/// The name of a file without its ending.
fn stem_of(name: &str) -> &str {
    let without = name.strip_suffix(WASM).or_else(|| name.strip_suffix(CWASM));
    without.unwrap_or(name)
}

/// A name without the number that says when the policy is asked.
fn base(name: &str) -> &str {
    match name.split_once('-') {
        Some((number, base)) if number.bytes().all(|byte| byte.is_ascii_digit()) => base,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(folder: &Path, name: &str, reference: &str) -> Result<Place> {
        Place::find(Some(folder), name, &reference.parse()?)
    }

    #[test]
    fn two_versions_of_a_policy_are_not_put_into_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let pull = |name: &str, reference: &str| {
            let place = find(at, name, reference)?;
            std::fs::write(&place.file, "component").unwrap();
            place.record().map(|()| place.file)
        };
        let keep = "r.example/team/keep:v1";
        assert_eq!(pull("50-keep.wasm", keep).unwrap(), at.join("50-keep.wasm"));
        assert!(pull("50-keep.wasm", "r.example/team/keep:v2").is_ok());
        assert!(pull("50-other.wasm", "r.example/team/other:v1").is_ok());
        for (name, reference) in [
            ("60-keep.wasm", "elsewhere.example/keep:v1"),
            ("keep.wasm", "oci:shelf:v3"),
            ("50-keep-paths.wasm", "r.example/team/keep:v2"),
        ] {
            let error = pull(name, reference).unwrap_err().to_string();
            assert!(error.contains("50-keep.wasm is a version of"), "{error}");
        }
        let error = pull("50-keep.wasm", "r.example/evil/keep:v1").unwrap_err();
        assert!(
            error.to_string().contains("came from r.example/team/keep"),
            "{error}"
        );
        let error = pull("00-default.wasm", "r.example/team/new:v1").unwrap_err();
        assert!(error.to_string().contains("the embedded one"), "{error}");
        std::os::unix::fs::symlink("../share/new.wasm", at.join("50-new.wasm")).unwrap();
        let error = pull("50-new.wasm", "r.example/team/new:v1").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("a symbolic link to ../share/new.wasm"),
            "{error}"
        );
        // What is gone is no longer in the way.
        std::fs::remove_file(at.join("50-keep.wasm")).unwrap();
        assert!(pull("50-keep-paths.wasm", keep).is_ok());
    }

    #[test]
    fn what_is_masked_is_not_active_and_compiled_forms_alone_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let pulled = |name: &str| find(folder.path(), name, "oci:shelf:v1").map(|it| it.file);
        std::fs::write(path("50-keep.wasm"), "").unwrap();
        assert!(pulled("60-keep.wasm").is_ok());
        // What is beside a mask is masked with it.
        std::fs::write(path("50-keep.cwasm"), "code").unwrap();
        assert!(pulled("60-keep.wasm").is_ok());
        std::fs::remove_file(path("50-keep.wasm")).unwrap();
        let error = pulled("60-keep.wasm").unwrap_err().to_string();
        assert!(error.contains("50-keep.cwasm is a version of"), "{error}");
        // Of the same name it goes with what is pulled, or is not used.
        assert!(pulled("50-keep.wasm").is_ok());
        std::fs::remove_file(path("50-keep.cwasm")).unwrap();
        std::os::unix::fs::symlink("/dev/null", path("50-keep.cwasm")).unwrap();
        assert!(pulled("60-keep.wasm").is_ok());
    }

    #[test]
    fn a_folder_is_made_where_it_is_named_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("a/new/");
        let place = find(&new, "50-keep.wasm", "oci:shelf:v1").unwrap();
        assert_eq!(place.file, new.join("50-keep.wasm"));
        place.record().unwrap();
        assert_eq!(std::fs::read_dir(&new).unwrap().count(), 0);
        let file = folder.path().join("b/keep.wasm");
        assert_eq!(find(&file, "x.wasm", "oci:shelf:v1").unwrap().file, file);
        assert!(!folder.path().join("b").exists());
    }
}
