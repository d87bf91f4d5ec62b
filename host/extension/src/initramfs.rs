//! Initramfs images: what they are made of, and replacing the extensions in one.
