//! `srctl policy push` and `srctl policy pull`, with a registry as others run it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use switch_root_tests::certificates::{self, base64, certificate};
use switch_root_tests::programs::output;
use switch_root_tests::registry::{Access, Registry, USER};
use switch_root_tests::steps::Content;
use tempfile::TempDir;

use crate::check::{ensure, says};
use crate::srctl::{self, Desk, token_service};
use crate::tools::{Checked, Stop, cases, policy, program};

cases![
    a_policy_goes_to_a_registry_and_comes_back,
    the_same_policy_is_the_same_artifact_wherever_and_whenever_it_is_pushed,
    other_tools_copy_a_policy_as_it_is,
    a_token_for_pushing_is_had_from_the_service_that_the_registry_names,
    a_policy_goes_over_tls_to_who_is_trusted,
];

/// The text of a signature. Whether it is a good one does not matter here.
pub const SIGNATURE: &str =
    "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----\n";

/// A desk with the policy `50-keep.wasm`, and an empty registry.
pub struct Case {
    /// Where `srctl` runs.
    pub desk: Desk,
    /// What the registry needs.
    pub folder: TempDir,
    registry: Registry,
}

impl Case {
    /// With a registry for everybody.
    pub fn new() -> Result<Self, Stop> {
        Self::with(|_| Ok(Access::All))
    }

    /// With a registry for some; its folder is given.
    pub fn with(access: impl FnOnce(&Path) -> Result<Access, Stop>) -> Result<Self, Stop> {
        program("docker-registry")?;
        let folder = tempfile::tempdir()?;
        let registry = Registry::start(folder.path(), &access(folder.path())?, None)?;
        let desk = Desk::new()?;
        place(&desk, "keep-paths", "50-keep.wasm")?;
        Ok(Self {
            desk,
            folder,
            registry,
        })
    }

    /// The registry's name.
    pub fn host(&self) -> &str {
        &self.registry.host
    }

    /// Pushes `50-keep.wasm`, and gives what names the artifact by its digest.
    pub fn push(&self, name: &str) -> Result<String, Stop> {
        let host = self.host();
        let printed = self
            .desk
            .succeeds(&format!("policy push 50-keep.wasm {host}/{name}"))?;
        Ok(printed.trim_end().to_owned())
    }
}

/// Puts a policy of this workspace on a desk.
pub fn place(desk: &Desk, name: &str, file: &str) -> Checked {
    match policy(name)? {
        Content::Copy(path) => desk.write(file, fs::read(path)?),
        _ => Err("a policy that is no file".into()),
    }
}

/// Checks that two files on a desk are the same.
pub fn same(desk: &Desk, one: &str, two: &str) -> Checked {
    ensure!(desk.read(one)? == desk.read(two)?, "{two} is not {one}");
    Ok(())
}

fn a_policy_goes_to_a_registry_and_comes_back() -> Checked {
    let case = Case::new()?;
    let (desk, host) = (&case.desk, case.host());
    desk.write("50-keep.wasm.sig", SIGNATURE)?;
    desk.write("50-keep.json", "{}")?;
    let pinned = case.push("team/keep:v1")?;
    let digest = pinned
        .strip_prefix(&format!("{host}/team/keep@"))
        .unwrap_or_default();
    ensure!(digest.starts_with("sha256:"), "pushed as {pinned:?}");

    desk.tree("there", &[])?;
    let pull = format!("policy pull {host}/team/keep:v1");
    let printed = desk.succeeds(&format!("{pull} --output there"))?;
    says(
        &printed,
        &["FILE", "there/50-keep.wasm", &pinned, "50-keep.wasm.sig"],
    )?;
    desk.succeeds(&format!("policy pull {pinned} --output by-digest"))?;
    desk.succeeds(&format!(
        "{pull}@{digest} --expect {digest} --output by-both.wasm"
    ))?;
    for file in ["there/50-keep.wasm", "by-digest", "by-both.wasm"] {
        same(desk, "50-keep.wasm", file)?;
        same(desk, "50-keep.wasm.sig", &format!("{file}.sig"))?;
    }
    // The settings are the operator's.
    ensure!(!desk.path("there/50-keep.json").exists(), "settings came");
    let printed = desk.succeeds(&format!("{pull} --format json"))?;
    let told = srctl::json(&printed)?;
    ensure!(
        told["digest"] == digest
            && told["pinned"] == *pinned
            && told["file"] == "50-keep.wasm"
            && told["signature"] == "50-keep.wasm.sig"
            && told["exports"]
                .as_array()
                .is_some_and(|all| all.contains(&"switch-root:policy/preservation@0.1.0".into())),
        "{told:#}"
    );

    desk.fails(
        &format!("extension pull {host}/team/keep:v1 --output extensions"),
        &["no container image", "`srctl policy pull`"],
    )?;
    // Where nothing has changed, nothing is written.
    let modified = |file: &str| fs::metadata(desk.path(file))?.modified();
    let before = modified("50-keep.wasm")?;
    let told = srctl::json(&desk.succeeds(&format!("{pull} --format json"))?)?;
    ensure!(told["changed"] == false, "{told:#}");
    ensure!(modified("50-keep.wasm")? == before, "it was written again");

    // What comes without a signature and is the same keeps the one that is there.
    fs::remove_file(desk.path("50-keep.wasm.sig"))?;
    let told = desk.succeeds(&format!(
        "policy push 50-keep.wasm {host}/team/keep:v2 --format json"
    ))?;
    let told = srctl::json(&told)?;
    ensure!(
        told["signed"] == false && told["digest"] != digest,
        "{told:#}"
    );
    let pull = format!("policy pull {host}/team/keep:v2 --output there");
    let printed = desk.succeeds(&pull)?;
    says(&printed, &["there/50-keep.wasm.sig", "no"])?;
    ensure!(desk.path("there/50-keep.wasm.sig").exists(), "{printed}");
    // Where it is something else, what is signed is not replaced.
    place(desk, "kernel-abi", "50-keep.wasm")?;
    case.push("team/keep:v3")?;
    let pull = format!("policy pull {host}/team/keep:v3 --output there");
    let ran = desk.changes_nothing(&pull, 3)?;
    says(
        &ran.stderr,
        &["there/50-keep.wasm is signed", "without a signature"],
    )?;
    // Nor does a second version stand beside it.
    desk.write("60-keep.wasm", desk.read("50-keep.wasm")?)?;
    desk.succeeds(&format!("policy push 60-keep.wasm {host}/team/keep:v4"))?;
    let pull = format!("policy pull {host}/team/keep:v4 --output");
    let ran = desk.changes_nothing(&format!("{pull} there"), 1)?;
    says(&ran.stderr, &["both would be active"])?;
    desk.succeeds(&format!("{pull} a/new/folder/"))?;
    same(desk, "60-keep.wasm", "a/new/folder/60-keep.wasm")
}

fn the_same_policy_is_the_same_artifact_wherever_and_whenever_it_is_pushed() -> Checked {
    let mut case = Case::new()?;
    let digest = |pinned: String| pinned.rsplit('@').next().map(str::to_owned);
    let first = digest(case.push("a:v1")?);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let second = digest(case.push("b/c:v2")?);
    ensure!(first == second, "{first:?} became {second:?}");
    case.desk.variable("SOURCE_DATE_EPOCH", "1700000000".into());
    let told = digest(case.push("a:v1")?);
    ensure!(told != first, "SOURCE_DATE_EPOCH is not used");
    ensure!(told == digest(case.push("b/c:v1")?), "two of the same time");
    case.desk.variable("SOURCE_DATE_EPOCH", "yesterday".into());
    let push = format!("policy push 50-keep.wasm {}/a:v1", case.host());
    case.desk
        .fails(&push, &["SOURCE_DATE_EPOCH", "`yesterday`"])
}

fn other_tools_copy_a_policy_as_it_is() -> Checked {
    let skopeo = program("skopeo")?;
    let case = Case::new()?;
    let (desk, host) = (&case.desk, case.host());
    desk.write("50-keep.wasm.sig", SIGNATURE)?;
    let pinned = case.push("keep:v1")?;
    let digest = pinned.rsplit('@').next().unwrap_or_default();
    let copy = |from: &str, to: &str| {
        let mut command = Command::new(&skopeo);
        command
            .args(["copy", "--quiet", "--insecure-policy"])
            .args(["--src-tls-verify=false", "--dest-tls-verify=false"])
            .args([from, to])
            .current_dir(desk.path(""));
        output(&mut command)
    };
    let registry = |name: &str| format!("docker://{host}/{name}");
    copy(&registry("keep:v1"), "oci:layout:one")?;
    desk.succeeds(&format!(
        "policy pull oci:layout:one --expect {digest} --output 1.wasm"
    ))?;
    copy("oci:layout:one", &registry("keep:copied"))?;
    desk.succeeds(&format!(
        "policy pull {host}/keep:copied@{digest} --output 2.wasm"
    ))?;
    // The same, of what we have put into a layout.
    desk.succeeds("policy push 50-keep.wasm oci:layout:two")?;
    copy("oci:layout:two", &registry("keep:ours"))?;
    desk.succeeds(&format!(
        "policy pull {host}/keep:ours --expect {digest} --output 3.wasm"
    ))?;
    desk.succeeds("policy push 50-keep.wasm oci:new/layout:v1")?;
    copy("oci:new/layout:v1", &registry("keep:new"))?;
    desk.succeeds(&format!(
        "policy pull {host}/keep:new --expect {digest} --output 4.wasm"
    ))?;
    for number in 1..=4 {
        same(desk, "50-keep.wasm", &format!("{number}.wasm"))?;
        same(desk, "50-keep.wasm.sig", &format!("{number}.wasm.sig"))?;
    }
    let mut inspect = Command::new(&skopeo);
    inspect.args(["inspect", "--raw", "--tls-verify=false"]);
    let manifest = output(inspect.arg(registry("keep:v1")))?;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    ensure!(
        manifest["config"]["mediaType"] == "application/vnd.wasm.config.v0+json"
            && manifest["layers"][0]["mediaType"] == "application/wasm"
            && manifest["annotations"]["io.switch-root.policy.signature"] == SIGNATURE,
        "{manifest:#}"
    );
    Ok(())
}

fn a_token_for_pushing_is_had_from_the_service_that_the_registry_names() -> Checked {
    for (actions, may) in [(&["pull", "push"][..], true), (&["pull"], false)] {
        let mut service = None;
        let case = Case::with(|folder| {
            let (proxy, access) = token_service(folder, "team/keep", actions)?;
            service = Some(proxy);
            Ok(access)
        })?;
        let service = service.ok_or("no service")?;
        let (desk, host) = (&case.desk, case.host());
        let (user, password) = USER;
        desk.write(
            "machine.yaml",
            format!("machine: {{registries: {{config: {{{host:?}: {{auth: {{username: {user}, password: {password}}}}}}}}}}}"),
        )?;
        let push = format!("policy push 50-keep.wasm {host}/team/keep:v1 --config machine.yaml");
        if !may {
            desk.fails(
                &push,
                &["cannot push", "the right to write", "machine.registries"],
            )?;
            continue;
        }
        desk.succeeds(&push)?;
        let asked = service.asked();
        let last = asked.last().map_or("", |request| request.path());
        says(last, &["scope=repository:team/keep:pull%2Cpush"])?;
        desk.succeeds(&format!(
            "policy pull {host}/team/keep:v1 --config machine.yaml --output pulled.wasm"
        ))?;
        same(desk, "50-keep.wasm", "pulled.wasm")?;
    }
    Ok(())
}

fn a_policy_goes_over_tls_to_who_is_trusted() -> Checked {
    program(certificates::PROGRAM)?;
    program("docker-registry")?;
    let (folder, desk) = (tempfile::tempdir()?, Desk::new()?);
    place(&desk, "keep-paths", "50-keep.wasm")?;
    let authority = certificate(folder.path(), "authority", None)?;
    let server = certificate(folder.path(), "server", Some(&authority))?;
    let registry = Registry::start(folder.path(), &Access::All, Some(&server))?;
    let host = &registry.host;
    let with = |tls: &str| {
        let text = format!(
            "machine:\n  registries:\n    config:\n      {host:?}:\n        tls: {{{tls}}}\n"
        );
        desk.write("machine.yaml", text)
    };
    let push = format!("policy push 50-keep.wasm {host}/keep:v1 --config machine.yaml");
    with(&format!("ca: {:?}", base64(&server.certificate)?))?;
    desk.fails(&push, &["cannot push", "TLS failed", "tls.ca"])?;
    with(&format!("ca: {:?}", base64(&authority.certificate)?))?;
    desk.succeeds(&push)?;
    desk.succeeds(&format!(
        "policy pull {host}/keep:v1 --config machine.yaml --output pulled.wasm"
    ))?;
    same(&desk, "50-keep.wasm", "pulled.wasm")
}
