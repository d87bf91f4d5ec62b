//! Which policies the boot program of an image runs. A build without a compiler runs what
//! was compiled for it alone, and what was compiled is of one release: this one may be
//! another than the image's.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use initramfs::boot_program::Binary;
use initramfs::called;
use initramfs::files::Files;
use initramfs::image::Image;
use policy::engine::{self, Record};
use policy::folder::{self, Found, OF_OTHER_ENGINE, Policy};
use policy::source::Source;
use switch_root_core::escape;
use switch_root_core::failure::{Failure, Kind, NoCompiler};
use switch_root_core::limits::fixed;

switch_root_core::outcomes! {
    /// Why a policy of an image is not run at its boot.
    pub(crate) enum NotRun in "plans" {
        /// Install both programs in the same version, and put the policy into the image again.
        "SR-J59" OtherEngine { file: String, engine: String, program: String } = "{file} was compiled by {engine}, and the image's switch_root is {program}",
    }
}

/// The policies of an image, and of a folder `more` whose files replace those of the same
/// name, as a boot finds them. One that the image's boot program cannot run has failed;
/// those of the folder are taken as what will be compiled when they are put into the image.
pub fn policies(image: &Image, more: Option<&Path>) -> Vec<Policy> {
    let files = Files(&image.tree);
    let mut policies = folder::discover_in(&files, more);
    let called = called::find(&image.tree).ok();
    let Some(program) = called.and_then(|called| called.binary) else {
        return policies;
    };
    if program.takes_ours() && !program.small {
        return policies;
    }
    let architecture = image.machine_of_init();
    let elsewhere = more.map(names).unwrap_or_default();
    let (_, found) = folder::survey(&files);
    for found in &found {
        let own = found.policy.as_ref().filter(|own| {
            own.origin != "embedded" && own.code.is_ok() && !elsewhere.contains(&own.name)
        });
        let Some(own) = own else { continue };
        let Some(policy) = policies.iter_mut().find(|policy| policy.name == own.name) else {
            continue;
        };
        let compiled = compiled_form(&files, found);
        judge(policy, compiled, &program, architecture);
    }
    policies
}

/// The names of the policies of a folder, as [`Policy::name`] has them.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let stems = entries.filter_map(|entry| {
        let name = entry.file_name();
        let path = Path::new(&name);
        let ending = path.extension()?;
        (ending == "wasm" || ending == "cwasm")
            .then(|| escape::path(path.file_stem().unwrap_or_default().as_bytes()))
    });
    stems.collect()
}

/// The compiled form of a policy: what it is called, and what its record says.
fn compiled_form(files: &Files<'_>, found: &Found) -> Option<(String, Record)> {
    let path = found.cwasm.as_deref()?;
    let contents = files.read(path, fixed::POLICY_FILE).ok()??;
    let (record, _) = engine::split_native(&contents.bytes).ok()?;
    Some((files.shown(path), record))
}

/// Has a policy fail that this program cannot run.
fn judge(
    policy: &mut Policy,
    compiled: Option<(String, Record)>,
    program: &Binary,
    architecture: Option<&str>,
) {
    let Ok(code) = &policy.code else { return };
    let fits = compiled.as_ref().is_some_and(|(_, record)| {
        let same = match &program.engine {
            Some(engine) if !program.takes_ours() => record.engine == *engine,
            // What else is against it was found out with the policy.
            _ => code.native.is_some(),
        };
        same && is_for(&record.target, architecture)
    });
    let failure = match (&compiled, code.wasm.is_some()) {
        _ if fits => None,
        (_, true) if program.small => Some(Failure::load(Kind::NotAPolicy, NoCompiler::Needed)),
        (_, true) => None,
        (Some((shown, record)), false) => Some(Failure::load(
            Kind::Unreadable,
            NotRun::OtherEngine {
                file: shown.clone(),
                engine: escape::message(&record.engine, 128),
                program: program.name(),
            },
        )),
        (None, false) => None,
    };
    if let Some(failure) = failure {
        policy.code = Err(failure);
    } else if fits {
        // True of this program, and not of the one that is asked about.
        policy
            .warnings
            .retain(|warning| warning.code != Some(OF_OTHER_ENGINE));
    }
}

/// Whether code for a target triple runs on Linux on this architecture.
fn is_for(target: &str, architecture: Option<&str>) -> bool {
    let first = target.split('-').next().unwrap_or_default();
    target.contains("-linux") && architecture.is_none_or(|own| first.starts_with(own))
}

#[cfg(test)]
mod tests {
    use initramfs::tree::{Limits, Tree, Wanted};
    use policy::engine::ENGINE;

    use super::*;

    const OTHER: &str = "switch-root 0.0.9, wasmtime 47";
    const TARGET: &str = "x86_64-unknown-linux-musl";
    const NAME: &str = "/etc/switch-root/policies.d/50-a";

    /// An image with this boot program, and a policy with these forms.
    fn image(program: &[u8], wasm: bool, compiled: Option<(&str, &str)>) -> Image {
        let mut tree = Tree::new();
        let mut put = |path: &str, bytes: &[u8]| {
            tree.insert_file(path.as_bytes(), 0o755, bytes).unwrap();
        };
        put("/init", b"#!/bin/sh\n");
        put("/sbin/switch_root", program);
        let digest = engine::digest(b"\0asm policy");
        if wasm {
            put(&format!("{NAME}.wasm"), b"\0asm policy");
        }
        if let Some((engine, target)) = compiled {
            let record = format!(
                "{{\"source\":\"{digest}\",\"engine\":\"{engine}\",\"target\":\"{target}\"}}\n"
            );
            let file = [engine::MAGIC, record.as_bytes(), b"code"].concat();
            put(&format!("{NAME}.cwasm"), &file);
        }
        Image {
            path: "image".into(),
            name: "image".into(),
            bytes: 0,
            parts: Vec::new(),
            tree,
            inner: None,
            unread: None,
        }
    }

    fn program(engine: &str, small: bool) -> Vec<u8> {
        let words = match small {
            true => "this build of switch_root has no compiler",
            false => "",
        };
        let texts = [engine, "\n", words].concat();
        [b"\x7fELF", engine::MAGIC, texts.as_bytes()].concat()
    }

    /// How the policy fails; nothing where it runs.
    fn failure(image: &Image, more: Option<&Path>) -> Option<String> {
        let policies = policies(image, more);
        let policy = policies.iter().find(|policy| policy.name == "50-a");
        let code = &policy.unwrap().code;
        code.as_ref().err().map(|failure| failure.message.clone())
    }

    #[test]
    fn a_build_without_compiler_runs_what_was_compiled_for_it() {
        for (engine, compiled, runs) in [
            (ENGINE, Some((ENGINE, TARGET)), true),
            (ENGINE, Some((OTHER, TARGET)), false),
            (ENGINE, Some((ENGINE, "x86_64")), false),
            (ENGINE, None, false),
            (OTHER, Some((OTHER, TARGET)), true),
            (OTHER, Some((ENGINE, TARGET)), false),
            (OTHER, None, false),
        ] {
            let small = image(&program(engine, true), true, compiled);
            let expected = (!runs).then(|| NoCompiler::Needed.to_string());
            assert_eq!(failure(&small, None), expected, "{engine} {compiled:?}");
            let full = image(&program(engine, false), true, compiled);
            assert_eq!(failure(&full, None), None, "{engine} {compiled:?}");
        }
    }

    #[test]
    fn compiled_code_alone_is_of_the_program_that_runs_it() {
        for small in [true, false] {
            let other = image(&program(OTHER, small), false, Some((ENGINE, TARGET)));
            let message = failure(&other, None).unwrap();
            let expected = format!("{NAME}.cwasm was compiled by {ENGINE}, and the image's");
            assert!(message.starts_with(&expected), "{message}");
            let own = image(&program(ENGINE, small), false, Some((ENGINE, TARGET)));
            assert_eq!(failure(&own, None), None);
        }
    }

    #[test]
    fn what_another_program_takes_is_no_warning() {
        let other = image(&program(OTHER, true), true, Some((OTHER, TARGET)));
        let warnings: Vec<_> = policies(&other, None)
            .into_iter()
            .flat_map(|policy| policy.warnings)
            .collect();
        assert_eq!(warnings, []);
    }

    #[test]
    fn policies_that_are_put_beside_are_still_to_be_compiled() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("50-a.wasm"), "\0asm more").unwrap();
        let small = image(&program(ENGINE, true), true, None);
        assert_eq!(failure(&small, Some(folder.path())), None);
    }

    #[test]
    fn the_program_is_read_with_what_a_plan_needs() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &[u8]| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        write("sbin/switch_root", &program(OTHER, true));
        write("etc/switch-root/policies.d/50-a.wasm", b"\0asm policy");
        let limits = Limits {
            entries: 100,
            bytes: 1 << 20,
        };
        let read = Image::read(folder.path(), &limits, &Wanted::of_plan()).unwrap();
        assert_eq!(failure(&read, None), Some(NoCompiler::Needed.to_string()));
    }
}
