//! Builds the project of a policy: from its source to a component that imports nothing but the
//! contract.

mod c;
pub(crate) mod foreign;
mod installed;
mod javascript;
pub(crate) mod made;
mod python;

use std::io::Write;
use std::path::{Path, PathBuf};

use foreign::{NoPolicy, refuse_foreign};
use made::{Made, NotMade};
use policy::{contract, engine};
use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::output::AtomicFile;
use switch_root_core::progress::Progress;

use crate::component::{self, Interfaces};
use crate::language::Language;
use crate::rust;

/// A component, built.
#[derive(Clone, Debug)]
pub struct Built {
    /// Where it is.
    pub path: PathBuf,
    /// The language of its source.
    pub language: Language,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest, `sha256:<64 hex digits>`.
    pub digest: String,
    /// The interfaces of the contract that it exports, without package and version, such as
    /// `preservation`.
    pub answers: Vec<String>,
}

/// Builds the project in `folder` and writes the component to `output`, or else to `NAME.wasm`
/// in the folder.
///
/// # Errors
/// The language cannot be told, tools are missing (the sentence says what to install) or fail
/// (they have said why on standard error), or the component imports what no policy may. What
/// was at the place of the component is as it was then.
pub fn build(folder: &Path, output: Option<&Path>, progress: &dyn Progress) -> Result<Built> {
    let language = Language::of(folder)?;
    // Cargo shows its own progress.
    let task = (language != Language::Rust).then(|| {
        let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let name = whole.file_name().map_or(folder, Path::new);
        let task = progress.begin(&name.shown(), None);
        task.say("building");
        task
    });
    let made = match language {
        Language::Rust => {
            rust::build_folder(folder).map(|(name, component)| Made { name, component })
        }
        Language::C => c::build(folder),
        Language::JavaScript => javascript::build(folder),
        Language::Python => python::build(folder),
    }?;
    drop(task);
    let Made { name, component } = made;
    let interfaces = component::interfaces(&component)
        .map_err(|error| error.within(NotMade::Component { name: name.clone() }))?;
    check(&interfaces, language)
        .map_err(|error| error.within(NoPolicy::Refused { name: name.clone() }))?;
    let path = output.map_or_else(|| folder.join(format!("{name}.wasm")), Path::to_owned);
    let mut file = AtomicFile::create(&path)?;
    file.write_all(&component).map_err(|error| {
        let path = path.shown();
        Error::system(Attempt::Write { path }, &error)
    })?;
    file.commit()?;
    Ok(Built {
        path,
        language,
        size: component.len() as u64,
        digest: engine::digest(&component),
        answers: interfaces
            .exports
            .iter()
            .filter_map(|name| contract::interface(name))
            .map(|(interface, _)| interface.to_owned())
            .collect(),
    })
}

/// Holds what a component imports and exports against the contract, as the host will.
fn check(interfaces: &Interfaces, language: Language) -> Result<()> {
    refuse_foreign(&interfaces.foreign(), language)?;
    if !interfaces
        .exports
        .iter()
        .any(|name| contract::is_question(name))
    {
        return Err(Error::input(NoPolicy::NoQuestion));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_imports_are_listed_with_the_way_out_of_them() {
        let log = "switch-root:policy/log@0.1.0";
        let preservation = "switch-root:policy/preservation@0.1.0";
        let interfaces = |imports: &[&str], exports: &[&str]| Interfaces {
            imports: imports.iter().map(ToString::to_string).collect(),
            exports: exports.iter().map(ToString::to_string).collect(),
        };
        check(&interfaces(&[log], &[preservation]), Language::C).unwrap();
        for (language, way) in [
            (Language::Rust, "cargo tree"),
            (Language::C, "stdio.h"),
            (Language::JavaScript, "wit/world.wit"),
        ] {
            let found = interfaces(&[log, "wasi:cli/environment@0.2.0"], &[preservation]);
            let error = check(&found, language).unwrap_err().to_string();
            assert!(
                error.starts_with("it imports wasi:cli/environment@0.2.0; "),
                "{error}"
            );
            assert!(error.contains(way), "{error}");
        }
        let none = interfaces(&[log], &["switch-root:policy/settings@0.1.0"]);
        let error = check(&none, Language::C).unwrap_err().to_string();
        assert!(error.contains("answers no question"), "{error}");
    }
}
