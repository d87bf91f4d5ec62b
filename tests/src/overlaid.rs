//! Runs scripts as root in a tree of their own: this machine's, with others put over it.
//! What they write is gone afterwards, but for one folder.

use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What makes the tree. Its arguments: a folder for the mounts, the folder that is left,
/// the script, and the trees, uppermost last. A mount namespace of its own is gone with
/// its processes, and all mounts with it. The trees are copied: layers of an overlay may
/// not lie in one another, and these lie in this machine's tree.
const ENTER: &str = r#"
scratch=$1 output=$2 script=$3
shift 3
mount -t tmpfs -o mode=0755 tmpfs "$scratch"
root=$scratch/root
mkdir "$scratch/upper" "$scratch/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$root"
for tree; do
    cp -a "$tree/." "$root"
done
mkdir -p "$root/out" "$root/boot"
mount --bind "$output" "$root/out"
for place in proc sys dev; do
    mount --rbind "/$place" "$root/$place"
done
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
exec chroot "$root" /bin/sh -eu -c "$script"
"#;

/// Runs a script. `trees` are put over this machine's, the last uppermost; `scratch` is an
/// empty folder, and `output` is seen as `/out`.
///
/// # Errors
/// It cannot be started. How it ended is part of the output.
pub fn run(trees: &[&Path], scratch: &Path, output: &Path, script: &str) -> io::Result<Output> {
    Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-eu", "-c"])
        .args([ENTER, "sh"])
        .arg(scratch)
        .arg(output)
        .arg(script)
        .args(trees)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
}
