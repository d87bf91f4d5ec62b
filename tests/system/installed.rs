//! From images and a machine configuration to the running system: what `srctl
//! extension install` writes is booted by real kernels as it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use switch_root_tests::image::{self, EXTENSIONS, Format};
use switch_root_tests::layout::Layout;
use switch_root_tests::machine::Boot;
use switch_root_tests::modules::{as_it_is, release};
use switch_root_tests::outcome::mount_points;
use switch_root_tests::report::Report;
use switch_root_tests::scene::{Ending, INIT, Questions};
use switch_root_tests::steps::{Content, Step, Steps};
use switch_root_tests::testimony::Testimony;
use switch_root_tests::{archive, extension, machine};
use tempfile::TempDir;

use crate::check::{content, ensure, says, told};
use crate::tools::{
    Checked, Stop, cases, kernels, need_privileges, policy, probe, program, srctl, subject,
    with_modules,
};

cases![
    each_kernel_boots_what_srctl_wrote_as_it_is,
    incompatible_extensions_are_not_installed_unless_that_is_allowed,
    a_layer_that_was_damaged_after_the_install_is_left_out_by_its_digest,
    archive_that_is_damaged_is_reported_and_halts_where_asked_for,
    archive_that_was_cut_off_is_found_by_its_list,
    image_that_does_not_fit_into_memory_is_named_as_such,
];

/// Beside `order`, which each extension brings, and a file of its own name.
const METADATA: [(&str, &str); 4] = [
    ("first", "compatibility: {probeos: {version: '>= 2.0.0'}}"),
    ("later", "compatibility: {probeos: {version: '>= 3.0.0'}}"),
    ("second", "compatibility: {probeos: {version: '< 3.0.0'}}"),
    ("foreign", "extraInfo: {kernelRelease: 5.10.0-elsewhere}"),
];

const ORDER: &str = "/usr/local/share/order";

fn own(name: &str) -> String {
    format!("/usr/local/share/{name}")
}

/// The name of a layer in the initramfs.
fn layer(name: &str) -> String {
    let position = METADATA.iter().position(|(other, _)| *other == name);
    format!("{:03}.oci-images-{name}.sqsh", position.unwrap_or(999))
}

/// A folder with an initramfs for a kernel, images of extensions, and a machine
/// configuration that lists them.
struct Workshop {
    folder: TempDir,
    kernel: PathBuf,
}

impl Workshop {
    fn new(kernel: &Path) -> Result<Self, Stop> {
        need_privileges()?;
        for name in [image::PROGRAMS[0], "zstd"] {
            program(name)?;
        }
        let workshop = Self {
            folder: tempfile::tempdir()?,
            kernel: kernel.into(),
        };
        let mut layout = Layout::create(&workshop.at("images"))?;
        let mut configuration = String::from("machine:\n  install:\n    extensions:\n");
        for (name, more) in METADATA {
            let metadata = format!("{{name: {name}, version: 1.0.0, author: tests, {more}}}");
            let rootfs = Vec::new().file(ORDER, name).file(own(name), name);
            extension::add(&mut layout, name, &metadata, &rootfs)?;
            configuration.push_str(&format!("      - image: oci:images:{name}\n"));
        }
        fs::write(workshop.at("machine.yaml"), configuration)?;
        fs::write(workshop.at("plain.img"), archive::of(&workshop.tree()?)?)?;
        workshop.compress("in.img")?;
        Ok(workshop)
    }

    /// Compresses `plain.img`.
    fn compress(&self, to: &str) -> Checked {
        let packed = Command::new("zstd")
            .args(["-q", "-1", "plain.img", "-o", to])
            .current_dir(self.folder.path())
            .status()?;
        ensure!(packed.success(), "zstd ended with {packed}");
        Ok(())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The initramfs: nothing but what the kernel and the boot binary need.
    fn tree(&self) -> Result<Vec<Step>, Stop> {
        let files = METADATA.iter().map(|(name, _)| own(name));
        let questions = Questions {
            files: files.chain([ORDER, EXTENSIONS].map(Into::into)).collect(),
            patience_ms: 20_000,
            ending: Ending::PowerOff,
            ..Questions::default()
        };
        let root = image::root(probe()?, &questions)?;
        let root = image::make(self.folder.path(), "root", Format::Squashfs, &root)?;
        let policies = "/etc/switch-root/policies.d";
        let tree = Vec::new()
            .executable("/init", Content::Copy(subject()?))
            .file("/rootfs.sqsh", Content::Copy(root))
            .file(
                format!("{policies}/30-kernel-abi.wasm"),
                policy("kernel-abi")?,
            );
        with_modules(tree, &self.kernel, as_it_is)
    }

    fn install(&self, more: &[&str]) -> Result<Output, Stop> {
        let output = Command::new(srctl()?)
            .args(["--quiet", "extension", "install"])
            .args(["--config", "machine.yaml", "--initramfs", "in.img"])
            .args(["--output", "out.img"])
            .args(more)
            .current_dir(self.folder.path())
            .output()?;
        Ok(output)
    }

    /// Installs all that is listed.
    fn install_all(&self, more: &[&str]) -> Checked {
        let output = self.install(&[&["--allow-incompatible"], more].concat())?;
        ensure!(output.status.success(), "{output:?}");
        Ok(())
    }

    /// Boots the initramfs that was written, with these kernel parameters.
    fn attempt(&self, parameters: &str) -> Result<Boot, Stop> {
        let patience = Duration::from_secs(120);
        let out = self.at("out.img");
        let boot = machine::boot_as_it_is(&self.kernel, &out, parameters, patience);
        Ok(boot?)
    }

    /// The same; it must start init.
    fn boot(&self) -> Result<Seen, Stop> {
        let boot = self.attempt("")?;
        let Some(testimony) = boot.testimony else {
            let console = boot.console;
            return Err(Stop::Fail(format!("init was not started\n{console}")));
        };
        let report = testimony.report.clone().map(Report).ok_or("no report")?;
        Ok(Seen { testimony, report })
    }

    /// What a boot says on the console that must not start init.
    fn halts(&self, parameters: &str) -> Result<String, Stop> {
        let boot = self.attempt(parameters)?;
        ensure!(
            boot.testimony.is_none(),
            "init was started\n{}",
            boot.console
        );
        Ok(boot.console)
    }

    /// Where the archive of the extensions begins in what was written.
    fn appended_at(&self, out: &[u8]) -> Result<usize, Stop> {
        let before = usize::try_from(fs::metadata(self.at("in.img"))?.len())?;
        let begins = out[before..].iter().position(|byte| *byte != 0);
        Ok(before + begins.ok_or("nothing was appended")?)
    }

    /// Checks that what survived, and the verdicts, are those of the plan.
    fn was_planned(&self, seen: &Seen) -> Checked {
        let output = Command::new(srctl()?)
            .args(["plan", "out.img", "--format", "json", "--kernel-release"])
            .arg(release(&self.kernel))
            .current_dir(self.folder.path())
            .output()?;
        // Some of the extensions are incompatible.
        ensure!(output.status.code() == Some(3), "{output:?}");
        let plan = Report(serde_json::from_slice(&output.stdout)?);
        let report = &seen.report;
        ensure!(
            plan.survivors() == report.survivors() && plan.extensions() == report.extensions(),
            "{:#}\n{:#}",
            plan.0,
            report.0
        );
        for survivor in report.survivors().keys() {
            let (told, done) = (plan.carried_to(survivor), report.carried_to(survivor));
            ensure!(told == done, "{survivor}: {told:?} and {done:?}");
        }
        // The loop devices of root image and layers have their memory still.
        let in_use = plan.0["summary"]["in_use"]["files"].as_u64();
        ensure!(in_use == Some(3), "{:#}", plan.0["summary"]);
        Ok(())
    }

    /// The names and the bytes of what is in the folder itself.
    fn files(&self) -> Result<BTreeMap<PathBuf, Vec<u8>>, Stop> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(self.folder.path())? {
            let path = entry?.path();
            let bytes = match path.is_dir() {
                true => Vec::new(),
                false => fs::read(&path)?,
            };
            files.insert(path, bytes);
        }
        Ok(files)
    }
}

/// What the running system showed.
struct Seen {
    testimony: Testimony,
    report: Report,
}

impl Seen {
    /// Checks a file of the new root: what it holds, and that it cannot be written.
    fn holds(&self, path: &str, expected: Option<&str>) -> Checked {
        let found = content(&self.testimony, path);
        ensure!(
            found == expected,
            "{path} holds {found:?}\n{:#}",
            self.report.0["extensions"]
        );
        let error = self.testimony.files[path].write_error.as_deref();
        let reason = match expected {
            Some(_) => "EROFS",
            None => "ENOENT",
        };
        ensure!(error == Some(reason), "writing to {path}: {error:?}");
        Ok(())
    }

    /// Checks that these extensions were activated, and all others left out for these
    /// reasons; in the report, in the file of the running system, and in its files.
    fn activated(&self, activated: &[&str], left_out: &[(&str, &[&str])]) -> Checked {
        let text = told(&self.report, &self.testimony)?;
        let (layers, skipped) = text.split_once("skipped:").ok_or("nothing is skipped")?;
        let by_layer = self.report.activated();
        ensure!(by_layer.len() == METADATA.len(), "{by_layer:?}");
        for name in activated {
            let layer = layer(name);
            self.holds(&own(name), Some(name))?;
            ensure!(by_layer.get(&layer) == Some(&Some(true)), "{by_layer:?}");
            says(layers, &[&layer, &format!("name: {name}")])?;
            ensure!(!skipped.contains(&layer), "{text}");
        }
        for (name, reasons) in left_out {
            let layer = layer(name);
            self.holds(&own(name), None)?;
            ensure!(by_layer.get(&layer) == Some(&Some(false)), "{by_layer:?}");
            ensure!(!layers.contains(&layer), "{text}");
            let of_it = skipped.split("image:").find(|part| part.contains(&layer));
            says(of_it.ok_or("it is not listed")?, reasons)?;
            says(&self.report.extensions()[&layer].1, reasons)?;
        }
        let digests = layers.matches("sha256:").count();
        ensure!(digests == activated.len(), "{text}");
        ensure!(
            activated.len() + left_out.len() == METADATA.len(),
            "a test names all"
        );
        Ok(())
    }
}

fn newest() -> Result<PathBuf, Stop> {
    Ok(kernels()?.pop().ok_or("no kernel")?)
}

fn each_kernel_boots_what_srctl_wrote_as_it_is() -> Checked {
    for kernel in kernels()? {
        let workshop = Workshop::new(&kernel)?;
        workshop.install_all(&[])?;
        let seen = workshop.boot()?;
        let name = release(&kernel);
        workshop
            .was_planned(&seen)
            .map_err(|stop| stop.during(&name))?;
        right(&seen, &name).map_err(|stop| stop.during(&name))?;
    }
    Ok(())
}

fn right(seen: &Seen, kernel: &str) -> Checked {
    let abi: &[&str] = &["30-kernel-abi", "5.10.0-elsewhere", kernel];
    let version: &[&str] = &["00-default", ">= 3.0.0", "2.5.1"];
    seen.activated(
        &["first", "second"],
        &[("later", version), ("foreign", abi)],
    )?;
    // The last that is listed of those that are activated.
    seen.holds(ORDER, Some("second"))?;
    let testimony = &seen.testimony;
    ensure!(testimony.process == 1, "{}", testimony.process);
    ensure!(
        testimony.executable.as_deref() == Some(INIT),
        "{:?}",
        testimony.executable
    );
    let mounts = mount_points(&testimony.mounts);
    ensure!(
        mounts.get("/").map(String::as_str) == Some("overlay"),
        "{mounts:?}"
    );
    ensure!(seen.report.deletion() == "complete", "{:#}", seen.report.0);
    let left = testimony.left.clone().unwrap_or_default();
    let left: Vec<_> = left.keys().map(String::as_str).collect();
    ensure!(left == ["/extensions.yaml"], "left over: {left:?}");
    Ok(())
}

fn incompatible_extensions_are_not_installed_unless_that_is_allowed() -> Checked {
    let workshop = Workshop::new(&newest()?)?;
    let before = workshop.files()?;
    let output = workshop.install(&[])?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for (name, reason) in [("later", "00-default: "), ("foreign", "30-kernel-abi: ")] {
        let line = text.lines().find(|line| line.starts_with(&layer(name)));
        says(line.ok_or("no line")?, &["incompatible", reason])?;
    }
    says(
        &String::from_utf8_lossy(&output.stderr),
        &["out.img was not written", "--allow-incompatible"],
    )?;
    ensure!(workshop.files()? == before, "the folder was changed");
    workshop.install_all(&[])?;
    let mut after = workshop.files()?;
    ensure!(
        after.remove(&workshop.at("out.img")).is_some(),
        "no out.img"
    );
    ensure!(after == before, "something else was changed");
    Ok(())
}

fn a_layer_that_was_damaged_after_the_install_is_left_out_by_its_digest() -> Checked {
    let workshop = Workshop::new(&newest()?)?;
    workshop.install_all(&["--compression", "none"])?;
    let out = workshop.at("out.img");
    let mut bytes = fs::read(&out)?;
    let find = |bytes: &[u8], from: usize, text: &[u8]| {
        let mut windows = bytes[from..].windows(text.len());
        windows
            .position(|window| window == text)
            .map(|at| from + at)
    };
    // Archives have the name of a file with a NUL, and then the file.
    let name = format!("{}\0", layer("second"));
    let at = find(&bytes, 0, name.as_bytes()).ok_or("no layer")?;
    let at = find(&bytes, at, b"hsqs").ok_or("no squashfs")?;
    // The time when it was made, which no kernel looks at: it mounts all the same.
    bytes[at + 8] ^= 1;
    fs::write(&out, bytes)?;
    let seen = workshop.boot()?;
    seen.activated(
        &["first"],
        &[
            ("later", &["00-default"]),
            ("second", &["host", "its digest is sha256:"]),
            ("foreign", &["30-kernel-abi"]),
        ],
    )?;
    seen.holds(ORDER, Some("first"))
}

const HALT: &str = "switch_root.incompatible=halt";
const REQUIRE: &str = "switch_root.extensions=require";

fn archive_that_is_damaged_is_reported_and_halts_where_asked_for() -> Checked {
    for kernel in kernels()? {
        let workshop = Workshop::new(&kernel)?;
        workshop.install_all(&[])?;
        let out = workshop.at("out.img");
        let mut bytes = fs::read(&out)?;
        let at = workshop.appended_at(&bytes)?;
        bytes[at..at + 4].copy_from_slice(b"XXXX");
        fs::write(&out, bytes)?;
        let seen = workshop.boot()?;
        says(&seen.report.warnings(), &["failed to unpack the initramfs"])?;
        seen.holds(&own("first"), None)?;
        let console = workshop.halts(HALT)?;
        says(&console, &["cannot be started", "failed to unpack", HALT])?;
        says(
            &workshop.halts(REQUIRE)?,
            &["no list of extensions", REQUIRE],
        )?;
    }
    Ok(())
}

fn archive_that_was_cut_off_is_found_by_its_list() -> Checked {
    let workshop = Workshop::new(&newest()?)?;
    // The kernel says nothing of one that is not compressed.
    workshop.install_all(&["--compression", "none"])?;
    let out = workshop.at("out.img");
    let bytes = fs::read(&out)?;
    let at = workshop.appended_at(&bytes)?;
    // Within the header of the list, and behind the list.
    fs::write(&out, &bytes[..at + 60])?;
    says(
        &workshop.halts(REQUIRE)?,
        &["no list of extensions", REQUIRE],
    )?;
    fs::write(&out, &bytes[..bytes.len() - 8192])?;
    says(&workshop.halts(HALT)?, &["not every extension", HALT])
}

fn image_that_does_not_fit_into_memory_is_named_as_such() -> Checked {
    const BALLAST: u64 = 120 << 20;
    let filled = Content::Filled {
        byte: 0,
        size: BALLAST,
    };
    for kernel in kernels()? {
        let workshop = Workshop::new(&kernel)?;
        let tree = workshop.tree()?;
        let (init, rest) = tree.split_first().ok_or("an empty tree")?;
        let mut tree = vec![init.clone()].file("/ballast", filled.clone());
        tree.extend(rest.iter().cloned());
        fs::write(workshop.at("plain.img"), archive::of(&tree)?)?;
        workshop.compress("out.img")?;
        // Half of it is what the kernel gives to an initramfs.
        let console = workshop.halts("mem=192M")?;
        says(
            &console,
            &["cannot be started", "failed to unpack", "more memory"],
        )?;
        ensure!(!console.contains("no root image"), "{console}");
    }
    Ok(())
}
