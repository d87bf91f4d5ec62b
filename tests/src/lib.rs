//! Runs a `switch_root` as the kernel would run it, and looks at what it left behind.
//!
//! A [`scene::Scene`] describes an initramfs, a new root and a command line. The
//! `supervisor` binary plays it in namespaces of its own ([`supervise`]), or
//! [`machine`] boots a kernel with it. In both the init of the new root is the `probe`
//! binary, which writes down what it sees as a [`testimony::Testimony`].

pub mod apply;
pub mod architecture;
pub mod archive;
pub mod arguments;
pub mod certificates;
pub mod companion;
pub mod delegating;
pub mod disk;
pub mod extension;
pub mod fault;
pub mod furnish;
pub mod fuse;
pub mod image;
pub mod layout;
pub mod machine;
pub mod modules;
pub mod names;
pub mod namespace;
pub mod nobody;
pub mod outcome;
pub mod overlaid;
pub mod pages;
pub mod policies;
pub mod probe;
pub mod programs;
pub mod proxy;
pub mod registry;
pub mod report;
pub mod results;
pub mod scene;
pub mod schema;
pub mod snapshot;
pub mod stage1;
pub mod steps;
pub mod supervise;
pub mod system;
pub mod testimony;
#[cfg_attr(not(target_arch = "x86_64"), path = "watch/elsewhere.rs")]
pub mod watch;
pub mod without_seccomp;

/// Whether whole tables are tried instead of a sample of them: `cargo xtask prove`
/// sets `SWITCH_ROOT_PROVE=full`.
pub fn thorough() -> bool {
    std::env::var("SWITCH_ROOT_PROVE").is_ok_and(|value| value == "full")
}
