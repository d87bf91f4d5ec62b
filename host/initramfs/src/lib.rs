//! Boot images: what an initramfs is made of, and what it holds.
//!
//! An image is segments ([`segments`]), each an archive ([`archive`]) that may be compressed
//! ([`compression`]). It is read into a tree in memory, as the kernel would unpack it
//! ([`tree`]): nothing is unpacked to disk, and nobody need be root. What is known from it of
//! the machine that boots it is in [`image`] and [`machine`].

pub mod archive;
pub mod boot_program;
pub mod called;
pub mod compression;
pub mod files;
pub mod image;
pub mod inner;
pub mod kept;
pub mod machine;
pub mod members;
pub mod outcomes;
pub mod segments;
pub mod squashfs;
pub mod tree;
