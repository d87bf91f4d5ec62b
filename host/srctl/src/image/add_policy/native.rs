//! Which native code of an initramfs that demands signatures needs none: what is compiled
//! now, and what was compiled when its other policies were put into it.

use std::path::Path;

use policy::engine;
use policy::folder::{self, Found};
use policy::source::Source;
use policy::trust::Trust;
use policy::trust::compiled::Compiled;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::limits::fixed;
use switch_root_core::locations::COMPILED;
use switch_root_core::progress::Progress;
use toolkit::loading;
use toolkit::policies::{Additions, Image};

use crate::input::shown;

/// What messages name.
pub struct Files<'a> {
    /// The initramfs that is started from.
    pub initramfs: &'a Path,
    /// The one that is written.
    pub output: &'a Path,
}

/// Makes the list of native code, where the initramfs demands signatures. What its other
/// policies have beside their `.wasm` and a boot would not use, since nobody vouches for
/// it, is compiled again (`compile`): a list of signers may be what is added.
pub fn list(
    additions: &mut Additions,
    image: &Image,
    names: Files<'_>,
    compile: bool,
    progress: &dyn Progress,
) -> Result<()> {
    let policies = &image.policies;
    if !matches!(Trust::of(policies), Ok(Some(_))) {
        return Ok(());
    }
    let before = Compiled::of(policies).unwrap_or_else(|reason| {
        tracing::warn!(
            "{COMPILED} of {} {reason}; it is written again",
            shown(names.initramfs)
        );
        Compiled::default()
    });
    let mut listed = Compiled::default();
    for native in additions
        .policies
        .iter()
        .filter_map(|it| it.native.as_ref())
    {
        listed.add(native);
    }
    let (_, found) = folder::survey(policies);
    for files in &found {
        let Some(path) = files.cwasm.as_deref() else {
            continue;
        };
        let Ok(Some(contents)) = policies.read(path, fixed::POLICY_FILE) else {
            continue;
        };
        if before.lists(&contents.bytes) {
            listed.add(&contents.bytes);
            continue;
        }
        let Some((wasm, target)) = unproven(files, &contents.bytes) else {
            continue;
        };
        if !compile || image.is_linked(path) {
            tracing::warn!(
                "{} of {} is not used at boot: nothing proves that it was compiled from its signed .wasm; add the policy again",
                escape::path(path.as_os_str().as_encoded_bytes()),
                shown(names.output)
            );
            continue;
        }
        let name = escape::path(path.as_os_str().as_encoded_bytes());
        let native = loading::ahead(&name, wasm, &target, progress).map_err(|reason| {
            let image = shown(names.initramfs);
            Error::input(reason.reworded(|it| {
                format!("cannot compile {name} of {image} again: {it}; with --compile none it is compiled at boot")
            }))
        })?;
        listed.add(&native);
        additions.again.push((without_slash(path), native));
    }
    additions.compiled = Some(listed);
    Ok(())
}

/// The `.wasm` of a policy whose signature holds, and the target of native code that this
/// engine compiled from it, as far as its record says so, and that is not used.
fn unproven<'a>(files: &'a Found, native: &[u8]) -> Option<(&'a [u8], String)> {
    let policy = files.policy.as_ref()?;
    let code = policy.code.as_ref().ok()?;
    let wasm = code.wasm.as_deref().filter(|_| code.native.is_none())?;
    let (record, _) = engine::split_native(native).ok()?;
    record.check(policy.digest.as_deref()).ok()?;
    Some((wasm, record.target))
}

fn without_slash(path: &Path) -> String {
    let path = path.to_string_lossy();
    path.trim_start_matches('/').to_owned()
}
