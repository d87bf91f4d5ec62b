//! What an initramfs image holds, and what will become of it.

pub mod html;
