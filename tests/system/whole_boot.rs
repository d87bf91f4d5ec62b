//! The program called `init`: from an initramfs with a root image and layers to the
//! init of the new root.

pub mod attributes;

use std::path::{Path, PathBuf};

use switch_root_tests::image::{self, EXTENSIONS as YAML, Format};
use switch_root_tests::modules::as_it_is;
use switch_root_tests::outcome::mount_points;
use switch_root_tests::report::Report;
use switch_root_tests::scene::{Ending, IMAGE_INIT, INIT, Questions, Scene};
use switch_root_tests::steps::{Content, Make, Step, Steps};
use switch_root_tests::testimony::Testimony;
use tempfile::TempDir;

use crate::check::{Booted, boots, content, ensure, said, says, told};
use crate::machines::{Machine, each, here, sample};
use crate::tools::{
    Checked, Policies, Stop, cases, need_privileges, play, policy, probe, program, subject,
    with_modules,
};

cases![
    each_kernel_boots_an_image_with_its_layers,
    modules_are_unpacked_where_the_kernel_does_not,
    layers_lie_on_the_root_image_in_the_order_of_the_file,
    a_bad_layer_is_left_out_and_takes_no_other_with_it,
    a_layer_that_would_change_the_root_image_is_left_out,
    a_layer_that_directs_overlayfs_is_left_out,
    a_layer_with_which_the_machine_would_not_start_is_left_out,
    no_layer_is_blamed_for_what_the_root_image_lacks,
    layer_that_replaces_os_release_is_activated_with_a_warning,
    unknown_keys_reach_the_running_system,
    a_layers_root_directory_does_not_change_the_systems,
    a_root_image_may_have_any_root_directory,
    an_incompatible_extension_is_left_out_and_the_running_system_is_told,
    an_extension_that_the_policies_cannot_judge_is_left_out,
    halting_on_what_is_left_out_starts_the_rescue_program,
    no_rescue_program_is_started_where_the_machine_is_to_restart,
    a_hundred_layers_are_activated_and_no_more,
    without_extensions_the_root_image_is_the_new_root,
    ignored_extensions_are_not_activated_and_nothing_else_is_claimed,
    a_malformed_extensions_file_stops_the_boot,
    a_missing_or_damaged_root_image_stops_the_boot,
    the_root_image_and_the_init_are_the_command_lines_to_choose,
    the_first_init_that_there_is_is_executed,
    init_that_cannot_run_gives_way_to_the_next_candidate,
];

/// An initramfs in the making, and the folder of its images.
pub struct Maker {
    folder: TempDir,
    /// The init of the root image.
    probe: PathBuf,
    scene: Scene,
    /// What init looks at.
    files: Vec<String>,
    /// What it says more about.
    details: Vec<String>,
    ending: Ending,
    yaml: String,
}

impl Maker {
    fn new() -> Result<Self, Stop> {
        Self::with(&subject()?, probe()?)
    }

    /// An image for the architecture of these programs.
    fn with(subject: &Path, probe: &Path) -> Result<Self, Stop> {
        need_privileges()?;
        for name in image::PROGRAMS {
            program(name)?;
        }
        Ok(Self {
            folder: tempfile::tempdir()?,
            probe: probe.into(),
            scene: Scene::image(subject).time_limit(120),
            files: vec![YAML.into()],
            details: Vec::new(),
            ending: Ending::Exit,
            yaml: "layers:\n".into(),
        })
    }

    fn image(&self, name: &str, format: Format, steps: &[Step]) -> Result<PathBuf, Stop> {
        Ok(image::make(self.folder.path(), name, format, steps)?)
    }

    /// Changes the scene.
    pub fn scene(mut self, change: impl FnOnce(Scene) -> Scene) -> Self {
        self.scene = change(self.scene);
        self
    }

    fn look_at(mut self, paths: &[&str]) -> Self {
        self.files.extend(paths.iter().map(|path| (*path).into()));
        self
    }

    /// What a root image must hold.
    fn root(&self) -> Result<Vec<Step>, Stop> {
        let questions = Questions {
            files: self.files.clone(),
            details: self.details.clone(),
            patience_ms: 20_000,
            ending: self.ending,
            ..Questions::default()
        };
        Ok(image::root(&self.probe, &questions)?.file("/whose", "root"))
    }

    /// Adds a layer that is described in extensions.yaml, with its digest.
    fn layer(mut self, name: &str, metadata: &str, steps: Vec<Step>) -> Result<Self, Stop> {
        let format = match name.ends_with(".erofs") {
            true => Format::Erofs,
            false => Format::Squashfs,
        };
        let image = self.image(name, format, &steps)?;
        let digest = image::digest(&image)?;
        self.entry(name, Some(&digest), metadata);
        Ok(self.scene(|scene| scene.file(format!("/{name}"), Content::Copy(image))))
    }

    /// Adds a layer to extensions.yaml alone.
    pub fn entry(&mut self, name: &str, digest: Option<&str>, metadata: &str) {
        self.yaml.push_str(&format!("  - image: {name}\n"));
        if let Some(digest) = digest {
            self.yaml.push_str(&format!("    digest: {digest}\n"));
        }
        self.yaml.push_str(&format!("    metadata: {metadata}\n"));
    }

    /// The scene, with the root image and extensions.yaml; and the folder to keep meanwhile.
    pub fn finish(self) -> Result<(TempDir, Scene), Stop> {
        let root = self.image("rootfs.sqsh", Format::Squashfs, &self.root()?)?;
        let yaml = self.yaml.clone();
        let scene = self
            .scene
            .file("/rootfs.sqsh", Content::Copy(root))
            .file("/extensions.yaml", yaml.as_str());
        Ok((self.folder, scene))
    }

    fn boots(self) -> Result<Booted, Stop> {
        let (_folder, scene) = self.finish()?;
        boots(&scene)
    }
}

const ANY: &str = "{name: some}";

fn whose(text: &str) -> Vec<Step> {
    Vec::new().file("/whose", text)
}

/// A boot of three layers, of which the last is incompatible.
pub fn three_layers() -> Result<Maker, Stop> {
    with_three_layers(Maker::new()?)
}

fn with_three_layers(maker: Maker) -> Result<Maker, Stop> {
    let unlike = "{name: c, version: 1.10, compatibility: {probeos: {version: '>= 3.0.0'}}}";
    let like = "{name: a, compatibility: {probeos: {version: '>= 2.0.0'}}}";
    maker
        .look_at(&["/whose", "/usr/lib/a", "/usr/lib/b", "/usr/lib/c"])
        .look_at(&["/run/switch-root/layers"])
        .layer("000.a.sqsh", like, whose("a").file("/usr/lib/a", "a"))?
        .layer("001.b.erofs", ANY, whose("b").file("/usr/lib/b", "b"))?
        .layer("002.c.sqsh", unlike, whose("c").file("/usr/lib/c", "c"))
}

/// Checks what a boot of [`three_layers`] must come to.
fn three_layers_are_right(report: &Report, seen: &Testimony) -> Checked {
    for (path, expected) in [
        ("/whose", Some("b")),
        ("/usr/lib/a", Some("a")),
        ("/usr/lib/b", Some("b")),
        ("/usr/lib/c", None),
    ] {
        let found = content(seen, path);
        ensure!(found == expected, "{path} holds {found:?}\n{:#}", report.0);
        let error = seen.files[path].write_error.as_deref();
        let expected = if expected.is_some() {
            "EROFS"
        } else {
            "ENOENT"
        };
        ensure!(error == Some(expected), "writing to {path}: {error:?}");
    }
    let activated: Vec<_> = report.activated().into_values().collect();
    ensure!(
        activated == [Some(true), Some(true), Some(false)],
        "{:#}",
        report.0["extensions"]
    );
    let text = told(report, seen)?;
    let (layers, skipped) = text.split_once("skipped:").ok_or("nothing is skipped")?;
    says(layers, &["000.a.sqsh", "001.b.erofs", "sha256:"])?;
    ensure!(!layers.contains("002.c.sqsh"), "{text}");
    says(
        skipped,
        &[
            "002.c.sqsh",
            "version: \"1.10\"",
            "reasons:",
            "00-default",
            "3.0.0",
        ],
    )?;
    ensure!(!skipped.contains("000.a.sqsh"), "{text}");
    let mounts = mount_points(&seen.mounts);
    ensure!(
        mounts.get("/").map(String::as_str) == Some("overlay"),
        "{mounts:?}"
    );
    let has = |option| seen.mounts.iter().any(|line| line.contains(option));
    ensure!(
        has("redirect_dir=nofollow") && !has("metacopy=on"),
        "{:?}",
        seen.mounts
    );
    // Nothing is left of the way there.
    let more: Vec<_> = mounts
        .keys()
        .filter(|point| point.contains("layers") || point.contains("sysroot"))
        .collect();
    ensure!(more.is_empty(), "still mounted: {more:?}");
    let folder = &seen.files["/run/switch-root/layers"];
    ensure!(folder.mode.is_none(), "the folder of the layers is left");
    Ok(())
}

/// Boots a machine with the modules that its kernel needs.
fn boot_image(
    machine: &Machine,
    mut maker: Maker,
    change: impl Fn(&Path) -> std::io::Result<(String, Content)>,
) -> Result<(Report, Testimony, String), Stop> {
    maker.ending = Ending::PowerOff;
    let (_folder, scene) = maker.finish()?;
    let scene = with_modules(scene.without("/proc"), &machine.kernel, change)?;
    let boot = machine.boot(&scene)?;
    let Some(seen) = boot.testimony else {
        return Err(Stop::Fail(format!(
            "init was not started\n{}",
            boot.console
        )));
    };
    let report = seen.report.clone().map(Report).ok_or("no report")?;
    Ok((report, seen, boot.console))
}

fn each_kernel_boots_an_image_with_its_layers() -> Checked {
    each(sample(here()?), boots_an_image_with_its_layers)
}

/// Boots a machine with an image for it, whose last layer is incompatible.
pub fn boots_an_image_with_its_layers(machine: &Machine) -> Checked {
    const BALLAST: u64 = 32 << 20;
    let filled = Content::Filled {
        byte: 1,
        size: BALLAST,
    };
    let maker = Maker::with(&machine.programs.subject, &machine.programs.probe)?;
    let maker = with_three_layers(maker)?.scene(|scene| scene.file("/ballast", filled));
    let (report, seen, console) = boot_image(machine, maker, as_it_is)?;
    three_layers_are_right(&report, &seen).map_err(|stop| stop.during(&console))?;
    ensure!(seen.process == 1, "init is process {}", seen.process);
    ensure!(
        seen.executable.as_deref() == Some(INIT),
        "{:?}",
        seen.executable
    );
    let freed = report.deleted("freed_bytes");
    ensure!(freed >= BALLAST, "{freed} bytes were freed\n{console}");
    let mounts = mount_points(&seen.mounts);
    for (point, kind) in [
        ("/dev", "devtmpfs"),
        ("/proc", "proc"),
        ("/sys", "sysfs"),
        ("/run", "tmpfs"),
    ] {
        ensure!(
            mounts.get(point).map(String::as_str) == Some(kind),
            "{point}: {mounts:?}"
        );
    }
    Ok(())
}

/// The machine with the oldest kernel.
fn oldest() -> Result<Machine, Stop> {
    Ok(here()?.into_iter().next().ok_or("no kernel")?)
}

/// The oldest kernel's modules are not compressed, and it has no code to unpack them.
fn modules_are_unpacked_where_the_kernel_does_not() -> Checked {
    let machine = oldest()?;
    let folder = tempfile::tempdir()?;
    for name in ["xz", "zstd", "gzip"] {
        program(name)?;
    }
    let compress = |module: &Path| {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        let (with, ending): (&[&str], _) = match &*name {
            "loop.ko" => (&["xz", "--check=crc32", "-c"], "xz"),
            "squashfs.ko" => (&["zstd", "-q", "-c"], "zst"),
            _ => (&["gzip", "-c"], "gz"),
        };
        let output = std::process::Command::new(with[0])
            .args(&with[1..])
            .arg(module)
            .output()?;
        let new = format!("{name}.{ending}");
        let path = folder.path().join(&new);
        std::fs::write(&path, output.stdout)?;
        Ok((new, Content::Copy(path)))
    };
    let (report, seen, console) = boot_image(&machine, three_layers()?, compress)?;
    three_layers_are_right(&report, &seen).map_err(|stop| stop.during(&console))
}

fn layers_lie_on_the_root_image_in_the_order_of_the_file() -> Checked {
    let booted = three_layers()?.boots()?;
    three_layers_are_right(&booted.report, &booted.seen)?;
    // Nothing of the initramfs remains but what is carried.
    booted.freed_all_but(&["/extensions.yaml"])
}

impl Booted {
    /// Checks that of the initramfs only these paths are left. Their contents may have
    /// been changed by the program itself.
    fn freed_all_but(&self, paths: &[&str]) -> Checked {
        let left: Vec<&str> = self
            .outcome
            .after
            .initramfs
            .keys()
            .map(String::as_str)
            .collect();
        ensure!(left == paths, "left: {left:?}\n{}", said(&self.outcome));
        Ok(())
    }
}

fn a_bad_layer_is_left_out_and_takes_no_other_with_it() -> Checked {
    let good = |text: &'static str| Vec::new().file(format!("/{text}"), text);
    let mut maker =
        Maker::new()?
            .look_at(&["/first", "/last"])
            .layer("000.first.sqsh", ANY, good("first"))?;
    let whole = std::fs::read(maker.image("whole", Format::Squashfs, &good("x"))?)?;
    let mut damaged = whole.clone();
    // The block size that the superblock gives, and its logarithm, disagree.
    damaged[22] ^= 0xff;
    let used = u64::from_le_bytes(whole[40..48].try_into()?);
    let unpadded = whole[..usize::try_from(used)?].to_vec();
    ensure!(unpadded.len() % 512 != 0, "the image ends with a sector");
    let wrong = format!("sha256:{}", "0".repeat(64));
    let bad: [(&str, Option<Content>, Option<&str>, &str); 9] = [
        ("missing", None, None, "is missing"),
        ("truncated", Some(whole[..200].into()), None, "truncated"),
        ("start", Some(b"hsqs"[..].into()), None, "truncated"),
        (
            "text",
            Some("no image".into()),
            None,
            "neither squashfs nor erofs",
        ),
        ("empty", Some("".into()), None, "is empty"),
        (
            "digest",
            Some(whole.clone().into()),
            Some(&wrong),
            "its digest is sha256:",
        ),
        (
            "kind",
            Some(whole.clone().into()),
            Some("md5:00"),
            "unknown kind in extensions.yaml: md5:00",
        ),
        ("unpadded", Some(unpadded.into()), None, "multiple of 512"),
        (
            "damaged",
            Some(damaged.into()),
            None,
            "cannot be mounted as squashfs",
        ),
    ];
    for (name, content, digest, _) in &bad {
        maker.entry(name, *digest, "{}");
        if let Some(content) = content {
            maker.scene = maker.scene.file(format!("/{name}"), content.clone());
        }
    }
    for name in ["link", "folder", "folder/below", "000.first.sqsh"] {
        maker.entry(name, None, "{}");
    }
    maker = maker
        .scene(|scene| {
            scene
                .symlink("/link", "/000.first.sqsh")
                .directory("/folder")
        })
        .layer("999.last.sqsh", ANY, good("last"))?;
    let Booted {
        seen,
        report,
        outcome,
    } = maker.boots()?;
    for path in ["/first", "/last"] {
        ensure!(
            content(&seen, path) == Some(&path[1..]),
            "{path}: {:?}\n{}",
            seen.files,
            said(&outcome)
        );
    }
    let text = told(&report, &seen)?;
    let (layers, skipped) = text.split_once("skipped:").ok_or("nothing is skipped")?;
    let count = layers.matches("image:").count();
    ensure!(count == 2, "{count} layers\n{text}");
    let activated = report.activated();
    let reasons = report.extensions();
    let more = [
        ("link", "symbolic link"),
        ("folder", "not a regular file"),
        ("folder/below", "not the name of a file"),
    ];
    let bad = bad.iter().map(|(name, _, _, why)| (*name, *why));
    for (name, why) in bad.chain(more) {
        ensure!(activated[name] == Some(false), "{name}: {activated:?}");
        let (verdict, reason) = &reasons[name];
        // Nothing speaks against them but their layers.
        ensure!(verdict == "compatible", "{name}: {verdict}");
        says(reason, &["host", why]).map_err(|stop| stop.during(name))?;
        says(skipped, &[name, why]).map_err(|stop| stop.during(name))?;
    }
    says(skipped, &["more than once"])
}

/// A boot with one bad layer between two good ones, which must be all that is left out.
fn all_but_one(change: impl FnOnce(Vec<Step>) -> Vec<Step>, why: &[&str]) -> Result<Booted, Stop> {
    let maker = Maker::new()?
        .look_at(&["/opt/first", "/opt/last", "/opt/bad", "/"])
        .layer(
            "000.first.sqsh",
            ANY,
            Vec::new().file("/opt/first", "first"),
        )?
        .layer(
            "001.bad.sqsh",
            ANY,
            change(Vec::new().file("/opt/bad", "bad")),
        )?
        .layer("002.last.sqsh", ANY, Vec::new().file("/opt/last", "last"))?;
    let booted = maker.boots()?;
    let activated: Vec<_> = booted.report.activated().into_values().collect();
    ensure!(
        activated == [Some(true), Some(false), Some(true)],
        "{:#}",
        booted.report.0["extensions"]
    );
    for (path, expected) in [
        ("/opt/first", Some("first")),
        ("/opt/last", Some("last")),
        ("/opt/bad", None),
    ] {
        let found = content(&booted.seen, path);
        ensure!(found == expected, "{path} holds {found:?}");
    }
    says(&booted.report.extensions()["001.bad.sqsh"].1, why)?;
    Ok(booted)
}

fn a_layer_that_would_change_the_root_image_is_left_out() -> Checked {
    let whiteout = Make::Device {
        block: false,
        major: 0,
        minor: 0,
    };
    let closed = Make::Directory { mode: 0o700 };
    // The root image has /etc and /run as directories.
    all_but_one(
        |steps| steps.symlink("/run", "/opt"),
        &["host", "replace the directory /run"],
    )?;
    all_but_one(
        |steps| steps.file("/etc", ""),
        &["replace the directory /etc"],
    )?;
    all_but_one(
        |steps| steps.make("/sbin", whiteout),
        &["would delete /sbin"],
    )?;
    all_but_one(|steps| steps.make("/etc", closed), &["mode 0700", "/etc"])?;
    all_but_one(
        |steps| steps.directory(INIT),
        &["by a directory the file", INIT],
    )
    .map(drop)
}

fn a_layer_that_directs_overlayfs_is_left_out() -> Checked {
    for (place, name) in [
        ("/opt/new", "trusted.overlay.redirect"),
        ("/etc", "trusted.overlay.opaque"),
        ("/opt/bad", "trusted.overlay.metacopy"),
    ] {
        let attribute = Make::Attribute {
            name: name.into(),
            value: b"/etc"[..].into(),
        };
        all_but_one(
            |steps| {
                let steps = match place {
                    "/opt/bad" => steps,
                    directory => steps.directory(directory),
                };
                steps.make(place, attribute)
            },
            &["host", "overlayfs attribute", name, place],
        )?;
    }
    Ok(())
}

fn a_layer_with_which_the_machine_would_not_start_is_left_out() -> Checked {
    // It replaces a file by a file, so only the whole shows that nothing goes with it.
    all_but_one(
        |steps| steps.file(INIT, "no program"),
        &[
            "host",
            "keep the machine from starting",
            INIT,
            "not executable",
        ],
    )?;
    all_but_one(
        |steps| steps.executable(INIT, "#!/no/such/interpreter\n"),
        &["keep the machine from starting", "/no/such/interpreter"],
    )
    .map(drop)
}

/// What a layer is said to do, where it is to blame.
const BLAME: &str = "keep the machine from starting";

fn no_layer_is_blamed_for_what_the_root_image_lacks() -> Checked {
    const HALT: &str = " switch_root.incompatible=halt";
    for (lacking, halt) in [("/run", ""), ("/dev", HALT)] {
        let line = format!("init=/sbin/none{halt}");
        let maker = Maker::new()?.layer("000.a.sqsh", ANY, whose("a"))?;
        let all = refused(maker, &line)?;
        says(&all, &["cannot be started", "/sbin/none", "is not in"])?;
        ensure!(!all.contains(BLAME) && !all.contains("000.a.sqsh"), "{all}");
        let maker = Maker::new()?;
        let mut root = maker.root()?;
        root.retain(|step| step.path != lacking.as_bytes());
        let root = maker.image("lacking", Format::Squashfs, &root)?;
        let maker = maker
            .layer("000.a.sqsh", ANY, whose("a"))?
            .scene(|scene| scene.file("/lacking.sqsh", Content::Copy(root)));
        let (_folder, scene) = maker.finish()?;
        let line = format!("switch_root.root=/lacking.sqsh{halt}");
        let all = said(&play(&scene.kernel_command_line(&line))?);
        ensure!(!all.contains(BLAME), "{lacking}: {all}");
    }
    // A layer that makes it worse is left out all the same.
    let maker = Maker::new()?.layer("000.a.sqsh", ANY, Vec::new().file(INIT, "no program"))?;
    says(
        &refused(maker, "switch_root.incompatible=halt")?,
        &[BLAME, "000.a.sqsh"],
    )
}

fn layer_that_replaces_os_release_is_activated_with_a_warning() -> Checked {
    let other = Vec::new().file("/etc/os-release", "ID=probeos\nVERSION_ID=9\n");
    let same = Vec::new().file("/etc/os-release", "ID=probeos\nVERSION_ID=2.5.1\n");
    let booted = Maker::new()?
        .look_at(&["/whose"])
        .layer("000.a.sqsh", ANY, whose("a"))?
        .layer("001.b.sqsh", ANY, other)?
        .boots()?;
    let activated: Vec<_> = booted.report.activated().into_values().collect();
    ensure!(activated == [Some(true), Some(true)], "{activated:?}");
    let warnings = booted.report.warnings();
    says(&warnings, &["001.b.sqsh", "/etc/os-release", "root image"])?;
    ensure!(!warnings.contains("000.a.sqsh"), "{warnings}");
    // One that says the same changes no verdict.
    let booted = Maker::new()?.layer("000.a.sqsh", ANY, same)?.boots()?;
    let warnings = booted.report.warnings();
    ensure!(!warnings.contains("os-release"), "{warnings}");
    Ok(())
}

fn unknown_keys_reach_the_running_system() -> Checked {
    let mut maker = Maker::new()?.layer("000.a.sqsh", ANY, whose("a"))?;
    maker.yaml.push_str("    signed-by: {key: builder}\n");
    maker.entry("001.none.sqsh", None, "{}");
    maker.yaml.push_str("    ticket: 12\ngeneration: 7\n");
    let booted = maker.boots()?;
    let text = told(&booted.report, &booted.seen)?;
    let (layers, skipped) = text.split_once("skipped:").ok_or("nothing is skipped")?;
    says(
        layers,
        &["000.a.sqsh", "signed-by:", "key: builder", "generation: 7"],
    )?;
    says(skipped, &["001.none.sqsh", "ticket: 12", "is missing"])?;
    // Where there are no layers, there may still be keys.
    let mut maker = Maker::new()?;
    maker.yaml = "layers: []\ngeneration: 8\n".into();
    let booted = maker.boots()?;
    let text = told(&booted.report, &booted.seen)?;
    says(&text, &["layers: []", "generation: 8"])
}

/// Checks that the layer `a` is there, and the mode of `/`.
fn layer_and_root_directory(booted: &Booted, expected: u32) -> Checked {
    ensure!(
        content(&booted.seen, "/whose") == Some("a"),
        "{:?}",
        booted.seen.files
    );
    let mode = booted.seen.files["/"].mode;
    ensure!(mode == Some(expected), "the mode of / is {mode:?}");
    Ok(())
}

fn a_layers_root_directory_does_not_change_the_systems() -> Checked {
    let closed = Make::Directory { mode: 0o700 };
    let booted = Maker::new()?
        .look_at(&["/", "/whose"])
        .layer("000.a.sqsh", ANY, whose("a").make("/", closed))?
        .boots()?;
    layer_and_root_directory(&booted, 0o755)
}

fn a_root_image_may_have_any_root_directory() -> Checked {
    // As some distributions have it.
    let maker = Maker::new()?.look_at(&["/", "/whose"]);
    let root = maker.root()?.make("/", Make::Directory { mode: 0o555 });
    let root = maker.image("other", Format::Squashfs, &root)?;
    let booted = maker
        .layer("000.a.sqsh", ANY, whose("a"))?
        .scene(|scene| {
            scene
                .file("/other", Content::Copy(root))
                .kernel_command_line("switch_root.root=/other")
        })
        .boots()?;
    layer_and_root_directory(&booted, 0o555)
}

fn an_incompatible_extension_is_left_out_and_the_running_system_is_told() -> Checked {
    // All of them: then there is no overlay.
    let unlike = "{name: c, compatibility: {probeos: {version: '>= 3.0.0'}}}";
    let maker = Maker::new()?
        .look_at(&["/whose"])
        .layer("000.c.sqsh", unlike, whose("c"))?;
    let booted = maker.boots()?;
    let seen = &booted.seen;
    ensure!(content(seen, "/whose") == Some("root"), "{:?}", seen.files);
    let text = told(&booted.report, seen)?;
    ensure!(text.starts_with("layers: []\nskipped:\n"), "{text}");
    says(&text, &["000.c.sqsh", "00-default: ", ">= 3.0.0"])?;
    let root = mount_points(&seen.mounts);
    ensure!(root["/"] == "squashfs", "{root:?}");
    booted.freed_all_but(&["/extensions.yaml"])
}

fn an_extension_that_the_policies_cannot_judge_is_left_out() -> Checked {
    let sidecar = r#"{"settings": {"attack": "trap", "question": "compatibility"}}"#;
    let hostile = policy("hostile")?;
    let maker = Maker::new()?
        .look_at(&["/whose"])
        .layer("000.c.sqsh", ANY, whose("c"))?
        .scene(|scene| scene.policy("60-hostile", hostile, Some(sidecar)));
    let booted = maker.boots()?;
    ensure!(
        content(&booted.seen, "/whose") == Some("root"),
        "{:#}",
        booted.report.0
    );
    says(
        &told(&booted.report, &booted.seen)?,
        &["layers: []", "60-hostile: the policy failed"],
    )
}

/// A boot that must not reach init, with a rescue program that says so.
fn refused(maker: Maker, command_line: &str) -> Result<String, Stop> {
    let probe = probe()?;
    let (_folder, scene) = maker.finish()?;
    let scene = scene
        .executable("/rescue", Content::Copy(probe.into()))
        .kernel_command_line(command_line);
    let outcome = play(&scene)?;
    let yaml = "/extensions.yaml";
    let (before, after) = (&outcome.before.initramfs, &outcome.after.initramfs);
    ensure!(
        before.get(yaml) == after.get(yaml),
        "{yaml} was changed\n{}",
        said(&outcome)
    );
    let rescued = outcome
        .testimony
        .as_ref()
        .map(|seen| seen.executable.clone().unwrap_or_default());
    Ok(format!("rescued by {rescued:?}\n{}", said(&outcome)))
}

fn halting_on_what_is_left_out_starts_the_rescue_program() -> Checked {
    let all = refused(
        three_layers()?,
        "switch_root.incompatible=halt switch_root.rescue=/rescue",
    )?;
    says(
        &all,
        &[
            "rescued by Some(\"/rescue\")",
            "cannot be started",
            "002.c.sqsh (00-default: ",
            "switch_root.incompatible=skip",
        ],
    )?;
    ensure!(!all.contains("000.a.sqsh"), "{all}");
    // And nothing halts where nothing is left out.
    let booted = Maker::new()?
        .look_at(&["/whose"])
        .layer("000.a.sqsh", ANY, whose("a"))?
        .scene(|scene| scene.kernel_command_line("switch_root.incompatible=halt"))
        .boots()?;
    ensure!(
        content(&booted.seen, "/whose") == Some("a"),
        "{:#}",
        booted.report.0
    );
    Ok(())
}

fn no_rescue_program_is_started_where_the_machine_is_to_restart() -> Checked {
    let line = "switch_root.incompatible=halt switch_root.rescue=/rescue panic=3";
    let all = refused(three_layers()?, line)?;
    says(&all, &["rescued by None", "Exited(1)", "cannot be started"])?;
    // Where the kernel waits for ever, it is.
    let line = "switch_root.incompatible=halt switch_root.rescue=/rescue panic=0";
    says(
        &refused(three_layers()?, line)?,
        &["rescued by Some(\"/rescue\")"],
    )?;
    let line = "switch_root.incompatible=halt switch_root.rescue=/nowhere";
    let all = refused(three_layers()?, line)?;
    says(&all, &["rescued by None", "Exited(1)"])
}

fn a_hundred_layers_are_activated_and_no_more() -> Checked {
    let mut maker = Maker::new()?.look_at(&["/whose", "/0", "/50", "/99", "/100"]);
    let plain = maker.image("plain", Format::Squashfs, &whose("plain"))?;
    for number in 0..=100 {
        let name = format!("{number:03}.sqsh");
        if matches!(number, 0 | 50 | 99 | 100) {
            let text = number.to_string();
            let steps = whose(&text).file(format!("/{text}"), text.as_str());
            maker = maker.layer(&name, ANY, steps)?;
        } else {
            maker.entry(&name, None, ANY);
            let content = Content::Copy(plain.clone());
            maker = maker.scene(|scene| scene.file(format!("/{name}"), content));
        }
    }
    // The oldest kernel takes all of them in one string of one page.
    let (report, seen, console) = boot_image(&oldest()?, maker, as_it_is)?;
    let activated = report.activated();
    let count = activated.values().filter(|one| **one == Some(true)).count();
    ensure!(count == 100, "{count} are activated\n{console}");
    for (path, expected) in [
        ("/whose", Some("99")),
        ("/0", Some("0")),
        ("/50", Some("50")),
        ("/99", Some("99")),
        ("/100", None),
    ] {
        let found = content(&seen, path);
        ensure!(found == expected, "{path}: {found:?}");
    }
    says(&report.extensions()["100.sqsh"].1, &["100 layers"])
}

fn without_extensions_the_root_image_is_the_new_root() -> Checked {
    let mut maker = Maker::new()?.look_at(&["/whose"]);
    maker.yaml.clear();
    let booted = maker.boots()?;
    ensure!(
        content(&booted.seen, "/whose") == Some("root"),
        "{:?}",
        booted.seen.files
    );
    ensure!(
        told(&booted.report, &booted.seen)?.is_empty(),
        "the file was empty"
    );
    booted.freed_all_but(&["/extensions.yaml"])
}

fn ignored_extensions_are_not_activated_and_nothing_else_is_claimed() -> Checked {
    let maker =
        three_layers()?.scene(|scene| scene.kernel_command_line("switch_root.extensions=ignore"));
    let booted = maker.boots()?;
    ensure!(
        content(&booted.seen, "/whose") == Some("root"),
        "{:?}",
        booted.seen.files
    );
    let text = told(&booted.report, &booted.seen)?;
    says(
        &text,
        &["layers: []", "reason: ", "switch_root.extensions=ignore"],
    )?;
    Ok(())
}

fn a_malformed_extensions_file_stops_the_boot() -> Checked {
    let mut maker = Maker::new()?;
    maker.yaml = "layers: [".into();
    let all = refused(maker, "quiet")?;
    says(
        &all,
        &[
            "rescued by None",
            "/extensions.yaml",
            "switch_root.extensions=ignore",
        ],
    )
}

fn a_missing_or_damaged_root_image_stops_the_boot() -> Checked {
    let all = refused(Maker::new()?, "switch_root.root=/nowhere.sqsh")?;
    says(
        &all,
        &[
            "rescued by None",
            "/nowhere.sqsh",
            "is missing",
            "switch_root.root=",
        ],
    )?;
    let maker = Maker::new()?.scene(|scene| scene.file("/text", "text"));
    let all = refused(maker, "switch_root.root=/text")?;
    says(&all, &["/text", "neither squashfs nor erofs"])?;
    let scene = Maker::new()?.scene;
    let outcome = play(&scene)?;
    says(
        &said(&outcome),
        &[
            "Exited(1)",
            "no root image",
            "/rootfs.sqsh",
            "switch_root.root=",
        ],
    )?;
    let (_folder, scene) = Maker::new()?.finish()?;
    let outcome = play(&scene.kernel_command_line("init=/sbin/none"))?;
    ensure!(outcome.testimony.is_none(), "init was started");
    says(&said(&outcome), &["Exited(1)", "/sbin/none"])
}

fn the_root_image_and_the_init_are_the_command_lines_to_choose() -> Checked {
    let maker = Maker::new()?.look_at(&["/whose"]);
    let other = maker
        .root()?
        .file("/whose", "other")
        .executable("/lib/other-init", Content::Copy(probe()?.into()));
    let other = maker.image("other", Format::Erofs, &other)?;
    let booted = maker
        .scene(|scene| {
            scene
                .file("/images/other", Content::Copy(other))
                .command([IMAGE_INIT, "single", "--last"])
                .kernel_command_line(
                    "init=/lib/other-init switch_root.root=/images/other single -- --last",
                )
        })
        .boots()?;
    let seen = &booted.seen;
    ensure!(content(seen, "/whose") == Some("other"), "{:?}", seen.files);
    ensure!(
        seen.arguments == ["/lib/other-init", "single", "--last"],
        "{:?}",
        seen.arguments
    );
    Ok(())
}

fn the_first_init_that_there_is_is_executed() -> Checked {
    let maker = Maker::new()?;
    let mut steps = maker.root()?;
    steps.retain(|step| step.path != INIT.as_bytes());
    let steps = steps.executable("/bin/init", Content::Copy(probe()?.into()));
    let root = maker.image("bin", Format::Squashfs, &steps)?;
    let booted = maker
        .scene(|scene| {
            scene
                .file("/bin.sqsh", Content::Copy(root))
                .kernel_command_line("switch_root.root=/bin.sqsh")
        })
        .boots()?;
    ensure!(
        booted.seen.arguments == ["/bin/init"],
        "{:?}",
        booted.seen.arguments
    );
    Ok(())
}

fn init_that_cannot_run_gives_way_to_the_next_candidate() -> Checked {
    let scripts: [(&str, &str); 2] = [
        (INIT, "#!/no/such/interpreter\n"),
        ("/etc/init", "neither a program nor a script"),
    ];
    let with = |next: Option<&str>, line: &str| -> Result<Maker, Stop> {
        let maker = Maker::new()?;
        let mut steps = maker.root()?;
        steps.retain(|step| step.path != INIT.as_bytes());
        for (path, content) in scripts {
            steps = steps.executable(path, content);
        }
        if let Some(next) = next {
            steps = steps.executable(next, Content::Copy(probe()?.into()));
        }
        let root = maker.image("other", Format::Squashfs, &steps)?;
        let line = format!("switch_root.root=/other.sqsh {line}");
        let maker = maker.layer("000.a.sqsh", ANY, whose("a"))?;
        Ok(maker.scene(|scene| {
            scene
                .file("/other.sqsh", Content::Copy(root))
                .kernel_command_line(&line)
        }))
    };
    let booted = with(Some("/bin/init"), "")?.boots()?;
    let arguments = &booted.seen.arguments;
    ensure!(arguments == &["/bin/init"], "{arguments:?}");
    // Where none can run the first one is named, and one that was asked for gives way to none.
    for (next, line) in [(None, ""), (Some("/bin/init"), "init=/sbin/init")] {
        let (_folder, scene) = with(next, line)?.finish()?;
        let outcome = play(&scene)?;
        ensure!(outcome.testimony.is_none(), "init was started");
        says(
            &said(&outcome),
            &["Exited(1)", INIT, "/no/such/interpreter"],
        )?;
    }
    Ok(())
}
