//! The command line, as `srctl --help` shows it.

mod doctor;
mod documents;
mod format;
pub mod image;
mod plan;
pub mod policy;
pub mod project;
mod rehearse;
pub mod signature;
mod status;
pub mod statuses;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{
    ArgMatches, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
};
use oci::pull::Platform;
use oci::reference::ImageRef;

use crate::streams::{self, Used};

pub use doctor::{Doctor, DoctorFormat};
pub use documents::{Completions, Man};
pub use format::{Format, Printing};
pub use plan::{AskOptions, Diff, LimitOptions, Plan, PlanFormat};
pub use rehearse::Rehearse;
pub use status::{REPORT, Status, StatusFormat};

/// The operator's side of switch-root.
#[derive(Debug, Parser)]
#[command(name = "srctl", version, propagate_version = true)]
pub struct Command {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
    /// Show no progress.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// When to use colours. By default on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: ColorChoice,
}

/// The command line with the exit statuses and examples of each command.
pub fn definition() -> clap::Command {
    streams::settled(statuses::described(Command::command()))
}

/// What the parser makes of words. Where they are wrong it quotes them, and is given them
/// without what would control the terminal.
fn matches(words: Vec<OsString>) -> ArgMatches {
    let Err(error) = definition().try_get_matches_from(words.iter()) else {
        return definition().get_matches_from(words);
    };
    let shown = words.iter().map(|word| {
        let text = word.to_string_lossy();
        let text = ::switch_root_core::escape::message(&text, usize::MAX);
        ::switch_root_core::escape::visible(&text).into_owned()
    });
    let error = definition()
        .try_get_matches_from(shown)
        .err()
        .unwrap_or(error);
    error.exit()
}

/// What this process was called with, and whether a program reads what it prints. What is
/// wrong with it ends the process.
pub fn parse() -> (Command, Used, bool) {
    let mut matches = matches(std::env::args_os().collect());
    let used = streams::check(&matches)
        .unwrap_or_else(|reason| usage(ErrorKind::ArgumentConflict, &reason));
    let json = wants_json(&matches);
    let command = Command::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit());
    (command, used, json)
}

/// Whether `--format json` is given, to whichever command.
fn wants_json(matches: &ArgMatches) -> bool {
    if let Some((_, below)) = matches.subcommand() {
        return wants_json(below);
    }
    let format = matches.try_get_raw("format").ok().flatten();
    format.is_some_and(|mut values| values.any(|value| value == "json"))
}

/// Ends the process as the parser does where the command line is wrong.
pub fn usage(kind: ErrorKind, reason: &str) -> ! {
    // Nothing was made that could fail to go out.
    let _ = streams::end();
    definition().error(kind, reason).exit()
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum What {
    /// System extensions: from images to an initramfs that carries them.
    #[command(subcommand)]
    Extension(Extension),
    /// Machine configuration.
    #[command(subcommand)]
    Config(Config),
    /// Policies: WebAssembly components that decide what survives and what is compatible.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Initramfs images.
    #[command(subcommand)]
    Image(image::Image),
    /// Show what a boot would keep, carry and delete of an initramfs, by whose word, and
    /// what the policies say of its extensions. Nothing is changed or unpacked.
    Plan(Plan),
    /// Show what changes between two images, or between two folders of policies: entries,
    /// policies, what survives, verdicts.
    Diff(Diff),
    /// Execute the real switch_root with an image as its initramfs, and compare what it did with
    /// the plan.
    Rehearse(Rehearse),
    /// Show how this machine was switched to its root: policies, what survived, extensions, what
    /// was freed.
    Status(Status),
    /// Look for what would keep a machine from booting as it should, and tell what to do about
    /// it. Nothing is changed.
    Doctor(Doctor),
    /// Print the completions of a shell.
    Completions(Completions),
    /// Print the manual page of srctl, or write those of all commands.
    Man(Man),
}

/// `srctl extension`.
#[derive(Debug, Subcommand)]
pub enum Extension {
    /// Fetch images and unpack each into a folder.
    Pull(Pull),
    /// List the extensions of a folder.
    List(List),
    /// Check the extensions of a folder, and ask the policies about them.
    Validate(Validate),
    /// Make a compressed archive of layers and extensions.yaml, to be appended to an initramfs.
    Pack(Pack),
    /// Put the extensions of a machine configuration into an initramfs: pull, check, ask the
    /// policies, pack, append. Extensions of an earlier install are replaced.
    Install(Install),
}

/// `srctl config`.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Add an image to `machine.install.extensions`.
    AddExtension(Edit),
    /// Remove an image from `machine.install.extensions`.
    RemoveExtension(Edit),
}

/// `srctl extension pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// Images: REGISTRY/NAME:TAG, REGISTRY/NAME@DIGEST, oci:FOLDER[:NAME], oci-archive:FILE[:NAME],
    /// docker-archive:FILE[:NAME].
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<ImageRef>,
    /// The folder that gets a folder for each image.
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
    /// A machine configuration, of which `machine.registries` is used.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub registries: RegistryOptions,
    #[command(flatten)]
    pub printing: Printing,
}

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
    /// A registry that may be spoken to without TLS. Loopback addresses always may.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub plain_http: Vec<String>,
}

/// `srctl extension list`.
#[derive(Debug, Args)]
pub struct List {
    /// The folder of extensions.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[command(flatten)]
    pub printing: Printing,
}

/// `srctl extension validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// The folder of extensions.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[command(flatten)]
    pub machine: MachineOptions,
    /// A folder of policies (NN-name.wasm, .json) that are asked beside the default policy.
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
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

/// `srctl extension pack`.
#[derive(Debug, Args)]
pub struct Pack {
    /// The folder of extensions.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The archive to write.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub packing: PackOptions,
    #[command(flatten)]
    pub printing: Printing,
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

/// `srctl extension install`.
#[derive(Debug, Args)]
pub struct Install {
    /// The machine configuration: `machine.install.extensions` and `machine.registries`.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The initramfs to start from. It is not changed.
    #[arg(long, value_name = "FILE")]
    pub initramfs: PathBuf,
    /// The initramfs to write: there whole, or not at all.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// A folder of policies that are asked beside those of the initramfs.
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// Where extensions and layers are meanwhile [default: beside OUT]. It needs room for both,
    /// and a file system with symbolic links.
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Install incompatible extensions, too: at boot they are left out, unless the machine is
    /// another one by then.
    #[arg(long)]
    pub allow_incompatible: bool,
    /// Take all extensions out of an initramfs that has some, where the configuration lists none.
    #[arg(long)]
    pub remove_all: bool,
    #[command(flatten)]
    pub machine: MachineOptions,
    #[command(flatten)]
    pub registries: RegistryOptions,
    #[command(flatten)]
    pub packing: PackOptions,
    #[command(flatten)]
    pub printing: Printing,
}

/// `srctl config add-extension` and `remove-extension`.
#[derive(Debug, Args)]
pub struct Edit {
    /// The machine configuration.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The image.
    #[arg(value_name = "IMAGE")]
    pub image: ImageRef,
    /// Write there rather than to FILE; `-` is standard output.
    #[arg(long, short, value_name = "OUT")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        definition().debug_assert();
    }
}
