//! What the program reads of the machine while it boots.

use std::path::{Path, PathBuf};

use switch_root::fuzzing::{self, Mount};
use switch_root_core::os_release as release;

use crate::{Target, split};

/// The kernel command line.
pub const COMMAND_LINE: Target = Target::new("command_line", command_line);
/// A kernel module that is compressed.
// A module may have 64 MiB, and a buffer grows twice as large as it is full.
pub const MODULE: Target = Target::new("module", module).with_memory(320);
/// What depmod writes of kernel modules.
pub const MODULE_INDEXES: Target = Target::new("module_indexes", module_indexes);
/// The table of mounts.
pub const MOUNTINFO: Target = Target::new("mountinfo", mountinfo);
/// The os-release file of the new root.
pub const OS_RELEASE: Target = Target::new("os_release", os_release);

fn command_line(data: &[u8]) {
    let line = String::from_utf8_lossy(data);
    let parameters = fuzzing::parse_command_line(&line);
    for path in [&parameters.root, &parameters.rescue].into_iter().flatten() {
        assert!(path.starts_with('/'), "{path}");
    }
    if line.contains('"') {
        return;
    }
    // What stands behind `--` is the init's, and otherwise what comes last counts.
    let behind = fuzzing::parse_command_line(&format!("{line} -- switch_root.foreground"));
    assert_eq!(behind, parameters);
    let last = fuzzing::parse_command_line(&format!("{line} switch_root.foreground=no"));
    if !line.split_whitespace().any(|word| word == "--") {
        assert!(!last.foreground, "{line}");
    }
}

fn module(data: &[u8]) {
    let Some((&form, bytes)) = data.split_first() else {
        return;
    };
    let name = ["a.ko.gz", "a.ko.xz", "a.ko.zst"][usize::from(form) % 3];
    if let Ok(module) = fuzzing::unpack_module(Path::new(name), bytes) {
        let module = module.expect("the name says how it is compressed");
        assert!(module.len() <= 64 << 20, "{} bytes", module.len());
    }
}

fn module_indexes(data: &[u8]) {
    let [name, dep, softdep, alias] = split(data).map(String::from_utf8_lossy);
    let order = fuzzing::load_order(&dep, &softdep, &alias, &name);
    // As paths: one of the index may be absolute, or have a dot in it.
    let folder = Path::new("/lib/modules/1");
    let known = |file: &PathBuf| {
        let mut paths = dep.lines().filter_map(|line| line.split_once(':'));
        paths.any(|(path, _)| *file == folder.join(path))
    };
    // The module itself is among them, under a name that the index has.
    assert!(order.is_empty() || order.iter().any(known), "{order:?}");
}

fn mountinfo(data: &[u8]) {
    let Ok(mounts) = fuzzing::parse_mounts(data) else {
        return;
    };
    for mount in &mounts {
        let top = fuzzing::top(&mounts, &mount.point);
        assert!(top.is_none_or(|top| top.point == mount.point));
        assert!(fuzzing::depth(&mounts, mount) <= mounts.len());
        assert!(fuzzing::within(mount, &mount.point));
        fuzzing::overlay_layers(mount);
        let written = line(mount);
        // The options stay as the kernel wrote them.
        assert_eq!(
            fuzzing::parse_mounts(&written).ok(),
            Some(vec![mount.clone()])
        );
    }
}

/// A line of the table, as the kernel writes it.
fn line(mount: &Mount) -> Vec<u8> {
    let numbers = format!(
        "{} {} {}:{} ",
        mount.id, mount.parent, mount.device.0, mount.device.1
    );
    let mut line = numbers.into_bytes();
    escape(&mut line, &mount.root);
    line.push(b' ');
    escape(&mut line, &mount.point);
    line.extend_from_slice(b" rw ");
    if mount.shared {
        line.extend_from_slice(b"shared:1 ");
    }
    line.extend_from_slice(b"- ");
    escape(&mut line, &mount.kind);
    line.extend_from_slice(b" source ");
    line.extend_from_slice(&mount.options);
    line.push(b'\n');
    line
}

fn escape(line: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => {
                line.extend_from_slice(format!("\\{byte:03o}").as_bytes());
            }
            byte => line.push(*byte),
        }
    }
}

fn os_release(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let fields = release::parse(&text);
    let length: usize = fields
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    assert!(length <= text.len());
    for (key, value) in &fields {
        assert!(!key.is_empty() && !key.contains('='), "{key:?}");
        assert!(!value.contains('\n'), "{value:?}");
    }
}
