//! The newc form of cpio archives, which initramfs images are made of.
