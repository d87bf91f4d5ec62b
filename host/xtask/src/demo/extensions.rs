//! The second part: extensions from a registry, into an initramfs, to a running system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use switch_root_tests::image::{self, EXTENSIONS, Format};
use switch_root_tests::layout::Layout;
use switch_root_tests::names::unescape;
use switch_root_tests::registry::{Access, Registry};
use switch_root_tests::scene::{Ending, Questions, Scene};
use switch_root_tests::steps::{Content, Step, Steps};
use switch_root_tests::testimony::Testimony;
use switch_root_tests::{archive, extension, machine, modules, namespace};

use super::program_paths::Programs;
use super::show::{self, CYAN, FAINT, GREEN, Paint, RED};
use crate::run::step;
use crate::setup::{self, IMAGES, REGISTRY};

/// Name and version, and which versions of the operating system it is for; that of the
/// new root is 2.5.1.
const IMAGES_MADE: [(&str, &str, &str); 2] = [
    ("greeter", "1.2.0", ">= v2.0.0"),
    ("old-driver", "0.9.1", "~> 1.4"),
];

/// What an extension brings: a file of its name.
fn brings(name: &str) -> String {
    format!("/usr/local/share/{name}.txt")
}

/// How long the machine may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// A command that was run.
struct Ran {
    line: String,
    status: i32,
    output: String,
}

/// What came of it.
pub struct Installed {
    /// Where the images came from.
    origin: String,
    configuration: String,
    commands: Vec<Ran>,
    /// How and where the result ran.
    place: String,
    seen: Testimony,
}

/// Makes images, a machine configuration and an initramfs; runs `srctl`; and boots what
/// it wrote.
///
/// # Errors
/// What cannot be made or booted.
pub fn run(programs: &Programs, srctl: &Path, scratch: &Path) -> Result<Installed> {
    let missing = setup::tools(&[&IMAGES[0]]);
    ensure!(
        missing.is_empty(),
        "the root image cannot be made: install {}",
        missing.join(" ")
    );
    let work = scratch.join("extensions");
    fs::create_dir_all(&work).with_context(|| format!("making {}", work.display()))?;
    step("two images of extensions");
    let mut layout = Layout::create(&work.join("images"))?;
    for (name, version, system) in IMAGES_MADE {
        let metadata = format!(
            "{{name: {name}, version: {version}, author: the demo, compatibility: {{probeos: {{version: '{system}'}}}}}}"
        );
        let text = format!("This is {name} {version}, out of an extension.\n");
        let rootfs = Vec::new().file(brings(name), text.as_str());
        extension::add(&mut layout, name, &metadata, &rootfs)?;
    }
    let registry = registry(&work);
    let mut references = Vec::new();
    for (name, version, _) in IMAGES_MADE {
        references.push(match &registry {
            Ok(registry) => {
                registry.push(&layout, name, &format!("{name}:{version}"))?;
                format!("{}/{name}:{version}", registry.host)
            }
            Err(_) => format!("oci:images:{name}"),
        });
    }
    let origin = match &registry {
        Ok(registry) => format!("a registry at {}", registry.host),
        Err(reason) => format!("a folder ({reason})"),
    };
    let list = references.iter();
    let list: String = list
        .map(|image| format!("      - image: {image}\n"))
        .collect();
    let configuration = format!("machine:\n  install:\n    extensions:\n{list}");
    fs::write(work.join("machine.yaml"), &configuration)?;
    let initramfs = archive::of(&initramfs(programs, &work)?)?;
    fs::write(work.join("initramfs.img"), initramfs)?;
    let commands = install(programs, srctl, &work)?;
    drop(registry);
    let (place, seen) = match &programs.kernel {
        Some(kernel) => boot(kernel, &work)?,
        None => play(programs, &work)?,
    };
    Ok(Installed {
        origin,
        configuration,
        commands,
        place,
        seen,
    })
}

/// A registry on this machine, or why there is none.
fn registry(work: &Path) -> Result<Registry> {
    let missing = setup::tools(&[&REGISTRY[0], &REGISTRY[1]]);
    if !missing.is_empty() {
        bail!("not installed: {}", missing.join(" "));
    }
    let folder = work.join("registry");
    fs::create_dir_all(&folder)?;
    Ok(Registry::start(&folder, &Access::All, None)?)
}

/// The initramfs of a machine that boots an image whole.
fn initramfs(programs: &Programs, work: &Path) -> Result<Vec<Step>> {
    let files = IMAGES_MADE.iter().map(|(name, ..)| brings(name));
    let questions = Questions {
        files: files.chain([EXTENSIONS.into()]).collect(),
        patience_ms: 20_000,
        ending: match programs.kernel {
            Some(_) => Ending::PowerOff,
            None => Ending::Exit,
        },
        ..Questions::default()
    };
    let root = image::root(&programs.probe, &questions)?;
    let root = image::make(work, "root", Format::Squashfs, &root)?;
    let tree = Vec::new()
        .executable("/init", Content::Copy(programs.boot.clone()))
        .file("/rootfs.sqsh", Content::Copy(root));
    Ok(match &programs.kernel {
        Some(kernel) => modules::add(tree, kernel, modules::as_it_is)?,
        None => tree,
    })
}

/// As an operator does it: what is incompatible is not installed, unless one insists.
fn install(programs: &Programs, srctl: &Path, work: &Path) -> Result<Vec<Ran>> {
    let mut arguments = vec![
        "extension",
        "install",
        "--config",
        "machine.yaml",
        "--initramfs",
        "initramfs.img",
        "--output",
        "new.img",
    ];
    if programs.kernel.is_none() {
        // Namespaces get the files of the archive, which we read ourselves.
        arguments.extend(["--compression", "none"]);
    }
    let mut commands = Vec::new();
    for (more, expected) in [(None, 3), (Some("--allow-incompatible"), 0)] {
        arguments.extend(more);
        let line = format!("srctl {}", arguments.join(" "));
        step(&line);
        let output = Command::new(srctl)
            .arg("--quiet")
            .args(&arguments)
            .current_dir(work)
            .output()
            .context("running srctl")?;
        let text = [output.stdout, output.stderr].concat();
        let ran = Ran {
            line,
            status: output.status.code().unwrap_or(-1),
            output: String::from_utf8_lossy(&text).into_owned(),
        };
        ensure!(ran.status == expected, "{}: {}", ran.line, ran.output);
        commands.push(ran);
    }
    Ok(commands)
}

fn boot(kernel: &Path, work: &Path) -> Result<(String, Testimony)> {
    let name = kernel.file_name().unwrap_or_default().to_string_lossy();
    step(&format!("booting {name} with new.img in QEMU"));
    let boot = machine::boot_as_it_is(kernel, &work.join("new.img"), "", PATIENCE)
        .context("starting QEMU")?;
    let seen = boot
        .testimony
        .ok_or_else(|| anyhow!("the machine did not come up:\n{}", boot.console))?;
    Ok((format!("as it is by Linux {} in QEMU", seen.kernel), seen))
}

/// Without a virtual machine: the files of the archive as the initramfs of a namespace.
fn play(programs: &Programs, work: &Path) -> Result<(String, Testimony)> {
    step("the files of new.img as an initramfs in namespaces");
    let mut scene = Scene::image(&programs.boot);
    scene
        .steps
        .extend(archive::steps(&fs::read(work.join("new.img"))?)?);
    let staging: PathBuf = work.join("staging");
    fs::create_dir_all(&staging)?;
    let outcome =
        namespace::play(&programs.supervisor, &scene, &staging).map_err(anyhow::Error::msg)?;
    let seen = outcome
        .testimony
        .ok_or_else(|| anyhow!("the init was not started:\n{}", outcome.stderr))?;
    Ok(("file by file in namespaces of this machine".into(), seen))
}

/// Shows the commands, and what the running system has.
///
/// # Errors
/// There is no report, or it cannot be written.
pub fn print(installed: &Installed, scratch: &Path) -> Result<()> {
    let paint = Paint::new();
    let seen = &installed.seen;
    let report = seen.report.as_ref().context("the new root has no report")?;
    paint.heading(&format!(
        "srctl put extensions from {} into an initramfs",
        installed.origin
    ));
    println!("  machine.yaml:");
    block(&paint, &installed.configuration);
    let mut before = "";
    for Ran {
        line,
        status,
        output,
    } in &installed.commands
    {
        println!("  {}", paint.with(CYAN, format!("$ {line}")));
        for line in output.lines().filter(|line| !before.contains(line)) {
            println!("    {line}");
        }
        let colour = if *status == 0 { GREEN } else { RED };
        println!(
            "    {}",
            paint.with(colour, format!("exit status {status}"))
        );
        before = output;
    }
    paint.heading(&format!("Booted {}", installed.place));
    show::verdicts(&paint, report);
    println!("  {EXTENSIONS} of the running system, read-only:");
    block(&paint, &content(seen, EXTENSIONS).unwrap_or_default());
    for (name, ..) in IMAGES_MADE {
        let path = brings(name);
        match content(seen, &path) {
            Some(text) => println!(
                "  {} {}",
                paint.with(GREEN, format!("{path:<42}")),
                text.trim_end()
            ),
            None => println!("  {} is not there", paint.with(RED, format!("{path:<42}"))),
        }
    }
    fs::write(
        scratch.join("extensions/report.json"),
        format!("{report:#}\n"),
    )
    .context("writing the report")?;
    println!("  machine.yaml, both archives and the whole report: target/demo/extensions/ here");
    Ok(())
}

fn block(paint: &Paint, text: &str) {
    for line in text.lines() {
        println!("    {}", paint.with(FAINT, line));
    }
}

/// A file as the init saw it.
fn content(seen: &Testimony, path: &str) -> Option<String> {
    let text = seen.files.get(path)?.content.as_deref()?;
    Some(String::from_utf8_lossy(&unescape(text)).into_owned())
}
