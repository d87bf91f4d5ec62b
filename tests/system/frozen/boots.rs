//! What the boot program prints, reports and leaves, and how it ends.

use switch_root_tests::outcome::{End, Outcome};
use switch_root_tests::scene::{INIT, NEW_ROOT, Scene};
use switch_root_tests::steps::Steps;

use crate::command_line::RUN_INIT;
use crate::preserving::{PRESERVE, delegating};
use crate::processes::with_a_mount_in_use;
use crate::tools::{Policies, Stop, boot, boot_small, play, policy};
use crate::whole_boot::{Maker, three_layers};

/// A boot: its name, and the scene. Its plan is printed as text and as JSON, and then it is
/// played to its end.
pub struct Boot {
    /// The name of the snapshot.
    pub name: &'static str,
    /// Who switches.
    pub who: Who,
    /// Makes the scene.
    pub scene: fn() -> Result<Scene, Stop>,
}

/// Who switches.
#[derive(PartialEq)]
pub enum Who {
    /// The program under test.
    Itself,
    /// Another one, behind it.
    Another,
}

impl Boot {
    /// Plays it, and gives all that was said.
    pub fn text(&self) -> Result<String, Stop> {
        let scene = (self.scene)()?;
        let mut text = String::new();
        for options in [&["--plan"][..], &["--plan", "--format", "json"]] {
            text.push_str(&played(&scene.clone().options(options))?);
        }
        let scene = match self.who {
            Who::Itself => scene,
            Who::Another => delegating(scene, &[PRESERVE])?,
        };
        Ok(text + &played(&scene)?)
    }
}

/// Plays a scene, and gives all that was said and left.
pub fn played(scene: &Scene) -> Result<String, Stop> {
    let Outcome {
        end,
        stdout,
        stderr,
        after,
        testimony,
        ..
    } = play(scene)?;
    let words: Vec<_> = scene
        .command
        .iter()
        .map(|word| String::from_utf8_lossy(word))
        .collect();
    let mut text = format!("$ {}\n", words.join(" "));
    let mut section = |title: &str, content: &str| {
        if !content.is_empty() {
            text.push_str(&format!("{title}{}\n", content.trim_end()));
        }
    };
    section("", &stdout);
    section("--- standard error\n", &stderr);
    if let Some(seen) = testimony {
        let report = seen.report.map(|report| format!("{report:#}"));
        section("--- report\n", &report.unwrap_or("none".into()));
        let left: Vec<&str> = after.initramfs.keys().map(String::as_str).collect();
        section("--- left of the initramfs\n", &left.join("\n"));
    }
    let end = match end {
        End::Exited(status) => format!("exit status {status}"),
        other => format!("{other:?}"),
    };
    section("--- ", &end);
    Ok(text + "\n")
}

pub const BOOTS: &[Boot] = &[
    Boot {
        name: "boot-plain",
        who: Who::Itself,
        scene: || Ok(boot()?.file("/file", "x").directory("/folder")),
    },
    Boot {
        name: "boot-extensions",
        who: Who::Itself,
        scene: || Ok(boot()?.file("/extensions.yaml", EXTENSIONS)),
    },
    Boot {
        name: "boot-kept-and-carried",
        who: Who::Itself,
        scene: || keeping(boot()?),
    },
    Boot {
        name: "boot-failed-policy",
        who: Who::Itself,
        scene: || {
            Ok(boot()?.file("/extensions.yaml", EXTENSIONS).policy(
                "50-broken",
                "no policy".into(),
                None,
            ))
        },
    },
    Boot {
        name: "boot-sidecar",
        who: Who::Itself,
        scene: || {
            Ok(boot()?
                .file("/kept", "x")
                .policy("50-keep", policy(KEEP)?, Some(SIDECAR)))
        },
    },
    Boot {
        name: "boot-masked-policies",
        who: Who::Itself,
        scene: || {
            let operator = "/etc/switch-root/policies.d";
            Ok(boot()?
                .file("/extensions.yaml", EXTENSIONS)
                .symlink(format!("{operator}/00-default.wasm"), "/dev/null")
                .file(format!("{operator}/50-broken.wasm"), "")
                .policy("50-broken", "no policy".into(), None))
        },
    },
    Boot {
        name: "boot-ignored-policy",
        who: Who::Itself,
        scene: || {
            let ignored = Some(r#"{"on_failure": "ignore"}"#);
            Ok(boot()?.policy("50-broken", "no policy".into(), ignored))
        },
    },
    Boot {
        name: "boot-kept-initramfs",
        who: Who::Itself,
        scene: || Ok(boot()?.options(["--keep-initramfs"]).file("/file", "x")),
    },
    Boot {
        name: "boot-moved-in-the-foreground",
        who: Who::Itself,
        scene: || {
            Ok(boot()?
                .options(["--strategy", "move", "--foreground"])
                .file("/file", "x")
                .tmpfs("/mounted"))
        },
    },
    Boot {
        name: "boot-living-processes",
        who: Who::Itself,
        scene: with_a_mount_in_use,
    },
    Boot {
        name: "boot-kernel-parameters",
        who: Who::Itself,
        scene: || {
            Ok(boot()?.file("/file", "x").kernel_command_line(
                "quiet switch_root.keep_initramfs=maybe switch_root.foreground switch_root.none=1",
            ))
        },
    },
    Boot {
        name: "boot-small",
        who: Who::Itself,
        scene: || keeping(boot_small()?),
    },
    Boot {
        name: "boot-run-init",
        who: Who::Itself,
        scene: || {
            Ok(boot()?
                .symlink(RUN_INIT, "switch_root")
                .command([RUN_INIT, NEW_ROOT, INIT])
                .without("/proc")
                .without("/dev")
                .without("/sys")
                .file("/file", "x"))
        },
    },
    Boot {
        name: "boot-preserve",
        who: Who::Another,
        scene: || Ok(keeping(boot()?.command(PRESERVE.iter().copied()))?.tmpfs("/kept/mounted")),
    },
];

/// An image that is booted in init mode: its name, how it is made, and the kernel's command line.
pub struct Image {
    /// The name of the snapshot.
    pub name: &'static str,
    maker: fn() -> Result<Maker, Stop>,
    command_line: &'static str,
}

impl Image {
    /// Boots it, and gives all that was said.
    pub fn text(&self) -> Result<String, Stop> {
        let (_folder, scene) = (self.maker)()?.finish()?;
        played(&scene.kernel_command_line(self.command_line))
    }
}

/// Of [`three_layers`] the last is incompatible.
pub const IMAGES: &[Image] = &[
    Image {
        name: "init-mode",
        maker: three_layers,
        command_line: "",
    },
    Image {
        name: "init-mode-bad-layers",
        maker: bad_layers,
        command_line: "",
    },
    Image {
        name: "init-mode-ignored",
        maker: three_layers,
        command_line: "switch_root.extensions=ignore",
    },
    Image {
        name: "init-mode-halt",
        maker: three_layers,
        command_line: "switch_root.incompatible=halt",
    },
    Image {
        name: "init-mode-no-init",
        maker: three_layers,
        command_line: "init=/sbin/none",
    },
    Image {
        name: "init-mode-no-root-image",
        maker: three_layers,
        command_line: "switch_root.root=/none.sqsh",
    },
];

fn bad_layers() -> Result<Maker, Stop> {
    let mut maker = three_layers()?;
    let wrong = format!("sha256:{}", "0".repeat(64));
    for (name, digest) in [
        ("003.missing.sqsh", None),
        ("004.text.sqsh", None),
        ("005.digest.sqsh", Some(&*wrong)),
        ("folder/006.below.sqsh", None),
    ] {
        maker.entry(name, digest, "{}");
    }
    Ok(maker.scene(|scene| {
        scene
            .file("/004.text.sqsh", "not an image")
            .file("/005.digest.sqsh", "not an image")
    }))
}

/// The policy whose bytes do not change: it was published.
pub const KEEP: &str = "0.1.0-keep-paths";

/// Every key of a sidecar; what there is beside them is in the message of a refusal.
const SIDECAR: &str = r#"{
    "version": 1,
    "settings": {"keep": ["/kept"], "carry": {}},
    "limits": {
        "fuel": 100000000, "fuel_per_item": 5000, "memory_bytes": 33554432, "memories": 4,
        "table_elements": 2000, "tables": 8, "instances": 16, "transfer_bytes": 4194304,
        "log_messages": 100, "log_message_bytes": 1024, "deadline_ms": 20000, "total_ms": 40000
    },
    "on_failure": "safe"
}"#;

const EXTENSIONS: &str = "layers:
  - image: 000.new.sqsh
    metadata: {name: new, version: '1', compatibility: {probeos: {version: '>= 2.0.0'}}}
  - image: 001.old.sqsh
    metadata: {name: old, version: '2', compatibility: {probeos: {version: '< 2.0.0'}}}
  - image: 002.any.sqsh
    metadata: {name: any}
  - image: 003.odd.sqsh
    metadata: {name: odd, compatibility: {probeos: {version: 'about 2'}}}
";

/// What a policy keeps and carries: one that was published, so that its bytes do not change.
fn keeping(scene: Scene) -> Result<Scene, Stop> {
    let settings = r#"{"settings": {
        "keep": ["/kept", "/etc/*.key"],
        "carry": {"/etc/machine.conf": "/etc/machine.conf", "/etc/other.conf": "/none/other.conf"}
    }}"#;
    Ok(scene
        .file("/kept/one", "kept")
        .file("/etc/host.key", "kept")
        .file("/etc/machine.conf", "carried")
        .file("/etc/other.conf", "has no place")
        .file("/etc/secret", "deleted")
        .in_new_root(|tree| tree.file("/etc/machine.conf", ""))
        .policy("50-keep", policy(KEEP)?, Some(settings)))
}
