//! What `srctl` prints, and how it ends: each session is a desk, and commands that are run
//! on it one after the other.

use switch_root_tests::steps::Content;

use super::desks::{
    extensions, faulty, images, machine, of_systemd, planned, policies, rehearsed, reports, signed,
    sound, two_images, unsound, whole, without_os_release,
};
use crate::doctor::patient::{boot_program, engine};
use crate::srctl::{Desk, Ran};
use crate::tools::{Stop, subject};

/// A session: its name, what lies on its desk, and its command lines without `srctl`.
pub struct Session {
    /// The name of the snapshot.
    pub name: &'static str,
    /// Makes the desk.
    pub desk: fn() -> Result<Desk, Stop>,
    /// What is run.
    pub commands: &'static [&'static str],
}

impl Session {
    /// Runs it, and gives all that was said.
    pub fn text(&self) -> Result<String, Stop> {
        let desk = (self.desk)()?;
        let mut text = String::new();
        for command in self.commands {
            text.push_str(&shown(&format!("srctl {command}"), &desk.run(command)?));
        }
        Ok(text)
    }
}

/// A command with what came of it.
pub fn shown(command: &str, ran: &Ran) -> String {
    let status = ran.status.map_or("none".into(), |it| it.to_string());
    let mut text = format!("$ {command}\n{}", ran.stdout);
    if !ran.stderr.is_empty() {
        text.push_str(&format!("--- standard error\n{}", ran.stderr));
    }
    text + &format!("--- exit status {status}\n\n")
}

pub const SESSIONS: &[Session] = &[
    Session {
        name: "srctl-plan",
        desk: planned,
        commands: &[
            "plan image",
            "plan image --list",
            "plan image --depth 1",
            "plan image --explain /etc/machine.conf",
            "plan image --explain /etc/ssh/sshd_config",
            "plan image --target-version v1.8.0",
            "plan nowhere",
            "plan image --explain /nowhere",
        ],
    },
    Session {
        name: "srctl-plan-json",
        desk: planned,
        commands: &[
            "plan image --format json",
            "plan image --explain /etc/machine.conf --format json",
            "plan nowhere --format json",
        ],
    },
    Session {
        name: "srctl-plan-unknown",
        desk: without_os_release,
        commands: &["plan image", "plan image --format json"],
    },
    Session {
        name: "srctl-plan-systemd",
        desk: of_systemd,
        commands: &["plan image --depth 1"],
    },
    Session {
        name: "srctl-plan-init-mode",
        desk: || whole(boot_program(&engine()?, "").into()),
        commands: &[
            "plan image",
            "plan image --format json",
            "plan without-root",
        ],
    },
    Session {
        name: "srctl-diff",
        desk: two_images,
        commands: &[
            "diff before after",
            "diff before after --format json",
            "diff before before",
            "diff before nowhere",
        ],
    },
    Session {
        name: "srctl-status",
        desk: reports,
        commands: &[
            "status --report well.json",
            "status --report unwell.json",
            "status --report delegated.json",
            "status --report unwell.json --format json",
            "status --report nowhere.json",
        ],
    },
    Session {
        name: "srctl-status-prometheus",
        desk: reports,
        commands: &[
            "status --report well.json --format prometheus",
            "status --report unwell.json --format prometheus",
            "status --report delegated.json --format prometheus",
            "status --report nowhere.json --format prometheus",
        ],
    },
    Session {
        name: "srctl-usage",
        desk: Desk::new,
        commands: &[
            "",
            "none",
            "plan --none",
            "plan a --list --full",
            "plan a --format none",
            "diff a",
            "extension",
            "extension list nowhere --format json",
            "policy inspect",
            "completions tcsh",
            "--version",
        ],
    },
    Session {
        name: "srctl-policy-inspect",
        desk: policies,
        commands: &[
            "policy inspect keep.wasm",
            "policy inspect keep.wasm --format json",
            "policy inspect text.wasm",
            "policy inspect text.wasm --format json",
            "policy inspect nowhere.wasm",
        ],
    },
    Session {
        name: "srctl-policy-test",
        desk: policies,
        commands: &[
            "policy test keep.wasm",
            "policy test keep.wasm --format json",
            "policy test keep.wasm --filter good",
            "policy test keep.wasm --filter none",
            "policy test text.wasm",
            "policy test nowhere.wasm",
        ],
    },
    Session {
        name: "srctl-policy-new",
        desk: Desk::new,
        commands: &[
            "policy new a --lang rust",
            "policy new b --lang c --format json",
            "policy new c --lang js",
            "policy new d --lang python",
            "policy new a --lang rust",
            "policy build nowhere",
        ],
    },
    Session {
        name: "srctl-policy-run",
        desk: policies,
        commands: &[
            "policy run keep.wasm --tree tree",
            "policy run keep.wasm --tree tree --format json",
            "policy run keep.wasm --extension a --target-version 1",
            "policy run abi.wasm --extensions extensions.yaml --target-version 1.8.0 --kernel-release 6.6.1",
            "policy run abi.wasm --extensions extensions.yaml --target-version 1.8.0 --kernel-release 6.6.1 --format json",
            "policy run keep.wasm",
            "policy run wasi-imports.wasm --tree tree",
            "policy run other-version.wasm --tree tree",
            "policy run core-module.wasm --tree tree",
            "policy run core-module.wasm --tree tree --format json",
        ],
    },
    Session {
        name: "srctl-policy-verify",
        desk: signed,
        commands: &[
            "policy verify a.wasm --signers ops.signers",
            "policy verify a.wasm --signers ops.signers --format json",
            "policy sign a.wasm --key ops",
            "policy sign a.wasm --key ops.pub",
            "policy sign text.wasm --key ops",
            "policy verify a.wasm --signers ops.signers",
            "policy verify a.wasm --signers ops.signers --format json",
            "policy sign a.wasm --key other",
            "policy verify a.wasm --signers ops.signers",
            "policy verify a.wasm --signers bad.signers",
            "policy verify a.wasm --signers nowhere",
        ],
    },
    Session {
        name: "srctl-extension",
        desk: extensions,
        commands: &[
            "extension list all",
            "extension list all --format json",
            "extension validate all",
            "extension validate all --format json",
            "extension validate all --os-release os-release",
            "extension validate all --os-release os-release --format json",
            "extension validate all --target-version 1.5.0",
            "extension pack all --output all.img",
            "extension pack all --output all.img --format json",
            "extension pack nowhere --output none.img",
            "extension list nowhere",
        ],
    },
    Session {
        name: "srctl-extension-faulty",
        desk: faulty,
        commands: &[
            "extension list all",
            "extension validate all",
            "extension validate all --format json",
            "extension pack all --output all.img",
            "extension pack all --output all.img --format json",
        ],
    },
    Session {
        name: "srctl-extension-install",
        desk: images,
        commands: &[
            "extension pull oci:images:tools --output pulled",
            "extension pull oci:images:tools --output again --format json",
            "extension pull oci:images:none --output none",
            "extension install --config machine.yaml --target-version 1.7.0 --initramfs in.img --output out.img",
            "extension install --config machine.yaml --target-version 1.7.0 --initramfs in.img --output again.img --format json",
            "extension install --config machine.yaml --target-version 1.5.0 --initramfs in.img --output none.img",
            "extension install --config nowhere.yaml --initramfs in.img --output none.img",
            "config add-extension machine.yaml oci:images:more",
            "config add-extension machine.yaml oci:images:more",
            "config remove-extension machine.yaml oci:images:more --format json",
            "config remove-extension machine.yaml oci:images:more",
        ],
    },
    Session {
        name: "srctl-image",
        desk: machine,
        commands: &[
            "image stage staged --root machine",
            "image stage staged --root machine --format json",
            "image stage none --root nowhere",
            "image stage strict --root machine --strict",
            "image add-policy in.img --output out.img a.wasm",
            "image add-policy in.img --output again.img a.wasm --format json",
            "image add-policy in.img --output none.img text.wasm",
            "image add-policy nowhere --output none.img a.wasm",
            "policy compile a.wasm --target x86_64-unknown-linux-musl",
            "policy compile text.wasm",
        ],
    },
    Session {
        name: "srctl-doctor",
        desk: sound,
        commands: &[
            "doctor --root root",
            "doctor --root root --format json",
            "doctor --root nowhere",
        ],
    },
    Session {
        name: "srctl-doctor-unsound",
        desk: unsound,
        commands: &["doctor --root root", "doctor --root root --format json"],
    },
    Session {
        name: "srctl-rehearse",
        desk: rehearsed,
        commands: &[
            "rehearse image",
            "rehearse image --format json",
            "rehearse nowhere",
        ],
    },
    Session {
        name: "srctl-rehearse-init-mode",
        desk: || whole(Content::Copy(subject()?)),
        commands: &["rehearse image", "rehearse without-root"],
    },
];
