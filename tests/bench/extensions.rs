//! System extensions from a registry to an archive: `srctl` beside skopeo, umoci,
//! mksquashfs, cpio and zstd, as one would join them in a script.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::unistd::Pid;
use switch_root_tests::extension;
use switch_root_tests::layout::Layout;
use switch_root_tests::registry::{self, Access, Registry};
use switch_root_tests::results::{Unit, median};
use switch_root_tests::steps::{Content, Step, Steps};

use crate::figures::Figures;
use crate::race::{apart, ended};
use crate::subjects::which;

/// Extensions, and bytes of files in each.
const EXTENSIONS: u64 = 5;
const EACH: u64 = 100_000_000;
/// How often each side runs.
const REPETITIONS: usize = 3;
/// The bars of DESIGN.md: a part of the peers' time, and bytes.
const TIME: f64 = 0.7;
const MEMORY: f64 = 256e6;

/// Where files are taken from, and what part of an extension they fill: programs,
/// libraries, and text.
const SOURCES: [(&[&str], f64); 2] = [
    (&["/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib"], 0.6),
    (&["/usr/share", "/usr/include"], 0.4),
];
/// A file that is larger would be most of its extension.
const LARGEST: u64 = 16 << 20;
/// Files that are compressed already; few extensions have such.
const COMPRESSED: [&str; 10] = [
    "gz", "xz", "zst", "bz2", "zip", "jar", "png", "jpg", "woff2", "pdf",
];

/// The programs of the other side.
const PEERS: [&str; 6] = ["skopeo", "umoci", "mksquashfs", "cpio", "zstd", "xargs"];

/// One run of one side.
struct Run {
    seconds: f64,
    /// Of all processors: what a machine takes that has more to do.
    processor: f64,
    /// The most memory that one of its processes held.
    peak: f64,
    /// The archive.
    bytes: u64,
}

/// Measures, if there is all that it takes.
///
/// # Errors
/// A sentence: what failed.
pub fn measure(figures: &mut Figures) -> Result<(), String> {
    let Some(srctl) = std::env::var_os("SWITCH_ROOT_SRCTL").map(PathBuf::from) else {
        println!("extensions are not measured: SWITCH_ROOT_SRCTL names no srctl");
        return Ok(());
    };
    let programs = registry::PROGRAMS.iter().chain(&PEERS);
    let missing: Vec<_> = programs.filter(|name| which(name).is_none()).collect();
    if !missing.is_empty() {
        println!("extensions are not measured: there is no {missing:?}");
        return Ok(());
    }
    // On a disk, beside the program that measures: in memory they would be in its way.
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let work = program.with_file_name("bench-extensions");
    let _ = fs::remove_dir_all(&work);
    let outcome = measure_in(&work, &srctl, figures);
    let removed = fs::remove_dir_all(&work);
    outcome?;
    removed.map_err(|error| format!("removing {}: {error}", work.display()))
}

fn measure_in(work: &Path, srctl: &Path, figures: &mut Figures) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    fs::create_dir_all(work).map_err(text)?;
    let registry = Registry::start(work, &Access::All, None).map_err(text)?;
    eprint!("\rextensions: filling the registry               ");
    // In a process of its own: what this one held is counted for those it starts.
    let filled = apart(|| fill(work, &registry))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for repetition in 1..=REPETITIONS {
        for (name, runs) in [("srctl", &mut ours), ("peers", &mut theirs)] {
            eprint!("\rextensions, run {repetition} of {REPETITIONS}: {name:<24}");
            let output = work.join("output");
            let _ = fs::remove_dir_all(&output);
            fs::create_dir(&output).map_err(text)?;
            let run = match name {
                "srctl" => by_srctl(srctl, &registry.host, &output),
                _ => by_peers(&registry.host, &output),
            };
            runs.push(run.map_err(|error| format!("{name}: {error}"))?);
        }
    }
    eprintln!();
    report(filled.as_u64().unwrap_or(0), &ours, &theirs, figures);
    Ok(())
}

fn report(bytes: u64, ours: &[Run], theirs: &[Run], figures: &mut Figures) {
    let middle =
        |runs: &[Run], figure: fn(&Run) -> f64| median(runs.iter().map(figure)).unwrap_or(f64::NAN);
    let (mine, peers) = (
        middle(ours, |run| run.seconds),
        middle(theirs, |run| run.seconds),
    );
    let what = format!("{} MB of extensions", bytes / 1_000_000);
    figures.budget(
        &format!("{what} pulled, unpacked, packed"),
        format!("{mine:.1} s ({:.2} of the peers)", mine / peers),
        "0.7 of skopeo, umoci, mksquashfs",
        mine <= peers * TIME,
    );
    let peak = ours.iter().map(|run| run.peak).fold(0.0, f64::max);
    let other = theirs.iter().map(|run| run.peak).fold(0.0, f64::max);
    figures.budget(
        "peak memory of that",
        format!("{:.0} MB (peers {:.0})", peak / 1e6, other / 1e6),
        "256 MB",
        peak < MEMORY,
    );
    let size = |runs: &[Run]| runs.first().map_or(f64::NAN, |run| run.bytes as f64 / 1e6);
    figures.budget(
        "size of the archive made of that",
        format!("{:.1} MB beside {:.1}", size(ours), size(theirs)),
        "1.05 of the peers",
        size(ours) <= size(theirs) * 1.05,
    );
    let what = |what: &str| format!("extensions pulled, unpacked, packed: {what}");
    let mut row = |name: &str, unit, figure: fn(&Run) -> f64| {
        let all = |runs: &[Run]| runs.iter().map(figure).collect();
        figures.more(&what(name), unit, all(ours), Some(all(theirs)));
    };
    row("time", Unit::Microseconds, |run| run.seconds * 1e6);
    row("time of all processors", Unit::Microseconds, |run| {
        run.processor * 1e6
    });
    row("peak memory", Unit::Bytes, |run| run.peak);
    row("size of the archive", Unit::Bytes, |run| run.bytes as f64);
}

/// Makes the images and pushes them. The bytes of all files.
fn fill(work: &Path, registry: &Registry) -> io::Result<u64> {
    let mut layout = Layout::create(&work.join("layout"))?;
    let mut sources = Vec::new();
    for (folders, part) in SOURCES {
        let mut files = Vec::new();
        for folder in folders {
            collect(Path::new(folder), &mut files)?;
        }
        sources.push((files.into_iter(), (EACH as f64 * part) as u64));
    }
    let mut whole = 0;
    for number in 0..EXTENSIONS {
        let mut rootfs: Vec<Step> = Vec::new();
        for (files, most) in &mut sources {
            let mut bytes = 0;
            while bytes < *most {
                let (file, size, program) = files.next().ok_or_else(|| {
                    io::Error::other("there are too few files below /usr to make extensions of")
                })?;
                bytes += size;
                let path = format!("/usr/local/extension-{number}{}", file.display());
                let content = Content::Copy(file);
                rootfs = match program {
                    true => rootfs.executable(path, content),
                    false => rootfs.file(path, content),
                };
            }
            whole += bytes;
        }
        let name = name(number);
        let metadata = format!("{{name: {name}, version: 1.0.0, author: bench}}");
        extension::add(&mut layout, &name, &metadata, &rootfs)?;
        registry.push(&layout, &name, &format!("{name}:1"))?;
    }
    fs::remove_dir_all(&layout.folder)?;
    Ok(whole)
}

fn name(number: u64) -> String {
    format!("extension-{number}")
}

/// Files below a folder that anyone may read, in the order of their names: path, size,
/// and whether it is a program.
fn collect(folder: &Path, files: &mut Vec<(PathBuf, u64, bool)>) -> io::Result<()> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    paths.sort();
    for path in paths {
        let metadata = fs::symlink_metadata(&path)?;
        let mode = metadata.permissions().mode();
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        if metadata.is_dir() && mode & 0o005 == 0o005 {
            collect(&path, files)?;
        } else if metadata.is_file()
            && mode & 0o004 != 0
            && (1..=LARGEST).contains(&metadata.len())
            && path.to_str().is_some()
            && !COMPRESSED.contains(&&*ending)
        {
            files.push((path, metadata.len(), mode & 0o001 != 0));
        }
    }
    Ok(())
}

fn by_srctl(srctl: &Path, host: &str, output: &Path) -> io::Result<Run> {
    let (folder, archive) = (output.join("folder"), output.join("archive"));
    let mut pull = Command::new(srctl);
    pull.args(["--quiet", "extension", "pull"])
        .args((0..EXTENSIONS).map(|number| format!("{host}/{}:1", name(number))))
        .arg("--output")
        .arg(&folder);
    let mut pack = Command::new(srctl);
    pack.args(["--quiet", "extension", "pack"])
        .arg(&folder)
        .arg("--output")
        .arg(&archive);
    run(&mut [pull, pack], &archive)
}

/// Each image by skopeo, umoci and mksquashfs, as many at once as there are
/// processors; then one archive. Layers are compressed as hard as srctl does.
fn by_peers(host: &str, output: &Path) -> io::Result<Run> {
    const IMAGE: &str = r#"
        skopeo copy --quiet --insecure-policy --src-tls-verify=false \
            "docker://$0/$1:1" "oci:oci-$1:1"
        umoci unpack --image "oci-$1:1" "unpacked-$1" 2>&-
        mksquashfs "unpacked-$1/rootfs/rootfs" "layers/$1.sqsh" -comp zstd \
            -Xcompression-level 9 -all-root -noappend -no-progress -quiet"#;
    const ALL: &str = r#"
        mkdir layers
        printf '%s\n' $NAMES | xargs -P "$(nproc)" -n 1 sh -ec "$IMAGE" "$HOST"
        cd layers
        ls | cpio --quiet -o -H newc | zstd -q -T0 -1 -o ../archive"#;
    let names: Vec<String> = (0..EXTENSIONS).map(name).collect();
    let mut shell = Command::new("sh");
    shell
        .args(["-ec", ALL])
        .current_dir(output)
        .env("NAMES", names.join(" "))
        .env("HOST", host)
        .env("IMAGE", IMAGE);
    run(&mut [shell], &output.join("archive"))
}

/// Runs programs one after the other.
fn run(commands: &mut [Command], archive: &Path) -> io::Result<Run> {
    let started = Instant::now();
    let (mut peak, mut processor) = (0, 0.0);
    for command in commands {
        let child = command.stdout(Stdio::null()).spawn()?;
        let (status, usage) = ended(Pid::from_raw(child.id().cast_signed()))?;
        if status != 0 {
            return Err(io::Error::other(format!(
                "{command:?} ended with status {status:#x}"
            )));
        }
        peak = peak.max(usage.ru_maxrss);
        for time in [usage.ru_utime, usage.ru_stime] {
            processor += time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        }
    }
    Ok(Run {
        seconds: started.elapsed().as_secs_f64(),
        processor,
        peak: peak as f64 * 1024.0,
        bytes: fs::metadata(archive)?.len(),
    })
}
