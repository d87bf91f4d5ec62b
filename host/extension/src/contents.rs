//! What is in an extension's root directory: kernel modules, programs, links.
