//! Squashfs images: owned by root, the same bytes for the same input.
