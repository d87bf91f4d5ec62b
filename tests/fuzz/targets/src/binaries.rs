//! Binary formats: components, native code, modules, root images.

use initramfs::boot_program::Binary;
use initramfs::inner;
use initramfs::machine::{Machine, look_into};
use initramfs::tree::{Id, Limits, Stored, Wanted};
use policy::engine::split_native;
use switch_root_core::{escape, file as policy_file};
use toolkit::inspect::sections;

use crate::{Target, assert_shown, file};

/// A component, and what is told of it.
// The validator makes room for as many items as there are said to be, up to its limits: of
// 283 bytes for each of a million exports. That room is asked for, and not used.
pub const COMPONENT: Target = Target::new("component", component).with_memory(288);
/// The record in front of native code.
pub const NATIVE_CODE: Target = Target::new("native_code", native_code);
/// A kernel module, or a boot program.
pub const MODULE_ELF: Target = Target::new("module_elf", module_elf);
/// A root image of squashfs.
pub const ROOT_IMAGE: Target = Target::new("root_image", root_image).with_memory(64);
/// The image inside a boot image.
// The reader of erofs makes room for a directory of the size that it is said to have, up to
// half a GiB, before it finds that the image is not so large.
pub const INNER_IMAGE: Target = Target::new("inner_image", inner_image).with_memory(600);

fn component(data: &[u8]) {
    let described = policy::description::describe(data);
    let sections = sections::read(data);
    let interfaces = toolkit::component::interfaces(data);
    let _ = toolkit::component::compiler(data);
    let _ = policy_file::check_component(data);
    let Ok(described) = described else {
        return;
    };
    // What is valid, all three read, and read the same of it.
    assert_eq!(sections.problem, None);
    assert_eq!(sections.imports.len(), described.imports.len());
    assert_eq!(sections.exports.len(), described.exports.len());
    let interfaces = interfaces.expect("a valid component is read");
    assert_eq!(interfaces.imports, described.imports);
    assert_eq!(interfaces.exports, described.exports);
    if described.check_policy().is_ok() {
        assert!(described.questions().next().is_some());
        assert!(interfaces.foreign().is_empty());
    }
}

fn native_code(data: &[u8]) {
    if let Ok((record, code)) = split_native(data) {
        assert!(data.ends_with(code) && code.len() < data.len());
        let _ = record.check(Some("sha256:00"));
    }
}

fn module_elf(data: &[u8]) {
    for wide in [true, false] {
        let (file, _) = file(data);
        if let Some(release) = extension::fuzzing::vermagic(file, wide) {
            assert!(!release.contains(' '), "{release:?}");
        }
    }
    if let Some(header) = data.first_chunk() {
        let _ = switch_root_core::architecture::of_elf(header);
    }
    if let Some(binary) = Binary::of(data) {
        assert!(data.starts_with(b"\x7fELF"));
        assert!(binary.engine.unwrap_or_default().len() <= 256);
    }
}

fn root_image(data: &[u8]) {
    switch_root::fuzzing::recognize_image(data);
    let (file, _) = file(data);
    let mut machine = Machine::default();
    if look_into(file, 0, &mut machine).is_ok() {
        let release = machine.os_release.unwrap_or_default();
        assert!(release.len() <= 3 * (64 << 10), "{}", release.len());
        for path in machine.root.0.keys() {
            assert!(!path.starts_with(b"/"), "{}", escape::path(path));
        }
    }
}

fn inner_image(data: &[u8]) {
    let (file, path) = file(data);
    let limits = Limits {
        entries: 1000,
        bytes: 1 << 20,
    };
    let stored = Stored::File(file);
    for place in inner::PLACES {
        let size = data.len() as u64;
        let wanted = Wanted::of_plan();
        match inner::read(place, Some(&stored), size, &path, &limits, &wanted) {
            Ok(tree) => assert!(tree.sum(Id::ROOT).files <= limits.entries),
            Err(error) => assert_shown(&error.to_string()),
        }
    }
}
