//! Options that several commands have.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use oci::pull::Platform;

use super::format::Printing;

/// How registries are reached.
#[derive(Debug, Args)]
pub struct RegistryOptions {
    /// Which image of a multi-platform one, such as linux/arm64.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<Platform>,
    /// Images that are fetched at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub parallel: u8,
    #[command(flatten)]
    pub access: AccessOptions,
}

/// Who asks registries, and how safely.
#[derive(Debug, Args)]
pub struct AccessOptions {
    /// Docker's configuration file, for credentials [default: $DOCKER_CONFIG/config.json or
    /// ~/.docker/config.json].
    #[arg(long, value_name = "FILE")]
    pub docker_config: Option<PathBuf>,
    /// A registry that may be spoken to without TLS. Loopback addresses that are written out, and
    /// localhost, always may.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub plain_http: Vec<String>,
}

/// The machine that extensions are for, as policies are told of it: the one that boots, and
/// not the one that srctl runs on.
#[derive(Clone, Debug, Default, Args)]
pub struct MachineOptions {
    /// The os-release file of the operating system that is booted, which extensions have to
    /// fit [default: that of the image's root image, or of the image].
    #[arg(long, value_name = "FILE")]
    pub os_release: Option<PathBuf>,
    /// The version of the operating system that is booted, in place of its os-release file: a
    /// version of Talos Linux, unless --target-os names another.
    #[arg(long, value_name = "VERSION", conflicts_with = "os_release")]
    pub target_version: Option<String>,
    /// The operating system that --target-version is a version of, as the ID of its os-release.
    #[arg(
        long,
        value_name = "ID",
        default_value = "talos",
        requires = "target_version"
    )]
    pub target_os: String,
    /// The release of the kernel that is booted, as `uname -r` prints it there [default: the
    /// one that the image has modules for].
    #[arg(long, value_name = "RELEASE")]
    pub kernel_release: Option<String>,
    /// The architecture of the machine that boots, as `uname -m` prints it there [default: what
    /// the image's init is a program for, or this machine's].
    #[arg(long, value_name = "ARCH")]
    pub architecture: Option<String>,
}

/// How layers and archive are compressed.
#[derive(Debug, Args)]
pub struct PackOptions {
    /// How the archive is compressed, and the layers in it, which are compressed in themselves:
    /// with `none` they have zstd.
    #[arg(long, value_enum, default_value_t)]
    pub compression: Archive,
    /// How the layers are compressed, where it is not as the archive is.
    #[arg(long, value_enum, value_name = "COMPRESSION")]
    pub layer_compression: Option<Layers>,
    /// Level of the layers' compression; more than 9 is for zstd alone.
    #[arg(long, value_name = "LEVEL", default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=19))]
    pub layer_level: u32,
}

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Archive {
    /// zstd.
    #[default]
    Zstd,
    /// xz, for kernels without zstd.
    Xz,
    /// gzip, for old kernels.
    Gzip,
    /// Not at all.
    None,
}

/// How layers are compressed. The kernel of the machine has to have it for squashfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layers {
    /// zstd (CONFIG_SQUASHFS_ZSTD).
    Zstd,
    /// xz (CONFIG_SQUASHFS_XZ).
    Xz,
    /// gzip (CONFIG_SQUASHFS_ZLIB).
    Gzip,
}

/// What the policies are asked with.
#[derive(Clone, Debug, Args)]
pub struct AskOptions {
    /// A folder of policies (NN-name.wasm, .json) that are asked beside those of the image;
    /// its files replace those of the same name.
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// The init of the new root, which nothing may be carried over.
    #[arg(long, value_name = "PATH", default_value = "/sbin/init")]
    pub init: Vec<OsString>,
    #[command(flatten)]
    pub machine: MachineOptions,
    #[command(flatten)]
    pub limits: LimitOptions,
}

/// Whether there is a pager.
#[derive(Clone, Copy, Debug, Args)]
pub struct Paging {
    /// Print as it is, and not through the pager that a terminal has: $SRCTL_PAGER, $PAGER, or
    /// less.
    #[arg(long)]
    pub no_pager: bool,
}

/// How large an image may be.
#[derive(Clone, Copy, Debug, Args)]
pub struct LimitOptions {
    /// Entries of an image or folder that are read at most.
    #[arg(long, value_name = "N", default_value_t = initramfs::tree::Limits::default().entries)]
    pub max_entries: u64,
    /// Bytes, decompressed, that are read at most.
    #[arg(long, value_name = "N", default_value_t = initramfs::tree::Limits::default().bytes)]
    pub max_bytes: u64,
}

/// How the registry is reached, and how it is told.
#[derive(Debug, Args)]
pub struct Registry {
    /// A machine configuration, of which `machine.registries` is used.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub access: AccessOptions,
    #[command(flatten)]
    pub printing: Printing,
}
