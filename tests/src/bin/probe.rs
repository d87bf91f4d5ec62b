//! The init of the new root in every scene; in the initramfs of a virtual machine, where
//! it finds a scene, it is stage 1 as well. Called `delegator`, it is an init of the
//! initramfs that switches by itself, and called `companion` a process that lives on.
#![no_main]

use std::io;
use std::path::Path;

use switch_root_tests::archive::SCENE;
use switch_root_tests::{companion, delegating, probe, stage1};

/// Rust's own start-up code ignores SIGPIPE, catches SIGSEGV and opens descriptors that
/// are closed. It is left out because those are things that the probe looks at.
// SAFETY: the C library calls this once, with these types, and nothing else has the name.
#[unsafe(no_mangle)]
pub extern "C" fn main(_count: i32, _arguments: *const *const u8) -> i32 {
    // First: in a virtual machine it is executed by stage 1, as the same process.
    let result = if delegating::is_called() {
        delegating::play().map(|never| match never {})
    } else if std::process::id() == 1 && Path::new(SCENE).exists() {
        stage1::play().map(|never| match never {})
    } else if companion::is_called() {
        companion::play()
    } else {
        probe::testify()
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            use io::Write;
            let _ = writeln!(io::stderr(), "probe: {error}");
            1
        }
    }
}
