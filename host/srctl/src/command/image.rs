//! `srctl image`, as its help shows it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::format::Printing;
use super::options::Archive;

/// `srctl image`.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Put policies into an initramfs: verified, loaded once, and compiled. A policy of the same
    /// name is replaced.
    AddPolicy(AddPolicy),
    /// Put this machine's policies into the root of an initramfs under construction: loaded
    /// once, compiled, and with the signers that it accepts. For what makes initramfs images.
    ///
    /// Taken are /usr/lib/switch-root/policies.d, /etc/switch-root/policies.d and, for the signers
    /// that are accepted, /etc/switch-root/trust/*.signers. A policy that a boot would not run is
    /// left out, with a warning. A compiled form that lies beside a policy already and is accepted
    /// is taken as it is.
    Stage(Stage),
}

/// `srctl image add-policy`.
#[derive(Clone, Debug, Args)]
pub struct AddPolicy {
    /// The initramfs to start from. It is not changed.
    #[arg(value_name = "INITRAMFS")]
    pub initramfs: PathBuf,
    /// The policies, or the folders of their projects. The signature of each is POLICY.wasm.sig,
    /// beside it.
    #[arg(value_name = "POLICY.wasm|DIR", required = true)]
    pub policies: Vec<PathBuf>,
    /// The initramfs to write: there whole, or not at all.
    #[arg(long, short, value_name = "OUT")]
    pub output: PathBuf,
    /// The name of the policy in the initramfs, which says when it is asked [default: that of the
    /// file, with 50- in front].
    #[arg(long, value_name = "NN-NAME")]
    pub name: Option<String>,
    /// The policy's sidecar file: `settings`, `limits` and `on_failure`. It goes with the policy.
    #[arg(long, value_name = "FILE.json")]
    pub settings: Option<PathBuf>,
    /// Whose signatures are accepted now: a list as OpenSSH's allowed_signers, or a folder with
    /// such lists (*.signers).
    #[arg(long, value_name = "FILE|DIR")]
    pub signers: Option<PathBuf>,
    /// Put this list of signers into the initramfs (/usr/lib/switch-root/trust/): it boots only
    /// with policies that one of them signed.
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
    /// What the policies are compiled for: a target triple, or `none` to have them compiled at
    /// boot [default: what the initramfs' init is a program for].
    #[arg(long, value_name = "TARGET|none")]
    pub compile: Option<String>,
    /// Put them where the vendor's are (/usr/lib/switch-root/policies.d), not the operator's
    /// (/etc/switch-root/policies.d).
    #[arg(long)]
    pub vendor: bool,
    /// How the archive that is appended is compressed.
    #[arg(long, value_enum, default_value_t)]
    pub compression: Archive,
    #[command(flatten)]
    pub printing: Printing,
}

/// `srctl image stage`.
#[derive(Debug, Args)]
pub struct Stage {
    /// The root of the initramfs, before it is packed. Its policy folders and its list of
    /// signers are replaced.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The machine whose policies these are.
    #[arg(long, value_name = "ROOT", default_value = "/")]
    pub root: PathBuf,
    /// Stage nothing where a policy would be left out, or the boot binary would not take
    /// what is compiled for it.
    #[arg(long)]
    pub strict: bool,
    /// The architecture that is compiled for, as triples begin [default: that of the boot
    /// binary in DIR, or of the one that is installed in ROOT, or this machine's].
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    #[command(flatten)]
    pub printing: Printing,
}
