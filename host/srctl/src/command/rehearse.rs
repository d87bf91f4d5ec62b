//! `srctl rehearse`.

use std::path::PathBuf;

use clap::Args;

use super::format::Printing;

/// `srctl rehearse`.
#[derive(Debug, Args)]
pub struct Rehearse {
    /// The initramfs.
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// Rehearse in a virtual machine (QEMU) rather than in namespaces.
    #[arg(long, requires = "kernel")]
    pub vm: bool,
    /// The kernel that the virtual machine boots.
    #[arg(long, value_name = "FILE", requires = "vm")]
    pub kernel: Option<PathBuf>,
    /// The memory of the virtual machine [default: what the image needs].
    #[arg(long, value_name = "MiB", requires = "vm", value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub memory: Option<u32>,
    /// The switch_root to execute [default: the image's own, or else the one beside srctl].
    #[arg(long, value_name = "FILE")]
    pub switch_root: Option<PathBuf>,
    /// The os-release file of the new root [default: that of the image's root image].
    #[arg(long, value_name = "FILE")]
    pub os_release: Option<PathBuf>,
    /// Kernel parameters, such as `switch_root.policies=default`.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub append: String,
    /// A plan to compare with, as `srctl plan --format json` prints it [default: one that is
    /// made with what policies are told in the rehearsal].
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Entries of the image that are unpacked at most.
    #[arg(long, value_name = "N", default_value_t = initramfs::tree::Limits::default().entries)]
    pub max_entries: u64,
    /// Bytes, decompressed, that are unpacked at most: into memory.
    #[arg(long, value_name = "N", default_value_t = 2 << 30, value_parser = clap::value_parser!(u64).range(1 << 20..))]
    pub max_bytes: u64,
    /// How long it may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout: u32,
    #[command(flatten)]
    pub printing: Printing,
}
