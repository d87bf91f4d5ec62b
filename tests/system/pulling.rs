//! `srctl extension pull` from a registry as others run it.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use switch_root_tests::certificates::{self, base64, certificate};
use switch_root_tests::layout::{Compression, Layout};
use switch_root_tests::programs::output;
use switch_root_tests::proxy::{Action, Proxy};
use switch_root_tests::registry::{Access, USER};
use switch_root_tests::steps::Steps;

use crate::check::{ensure, says};
use crate::srctl::{Desk, Shelf, closed, extension, same, token_service, tree};
use crate::tools::{Checked, Stop, cases, need_privileges, program};

cases![
    file_is_not_taken_for_an_image_of_a_registry,
    images_come_out_of_a_registry_as_they_went_in,
    a_folder_is_unpacked_as_umoci_unpacks_it,
    archives_of_skopeo_and_podman_are_read,
    what_podman_pushes_is_pulled,
    a_password_comes_from_docker_or_from_the_machines_configuration,
    a_token_is_had_from_the_service_that_the_registry_names,
    a_registry_with_an_authority_of_its_own_is_trusted_where_the_configuration_says_so,
    a_mirror_answers_for_a_registry_that_cannot_be_reached,
    the_machines_platform_is_chosen_from_an_index,
    nothing_is_fetched_where_the_result_could_not_be_there,
];

/// A desk with the tree of an extension, and a shelf with its image `tools:v1`.
fn tools() -> Result<(Desk, Shelf), Stop> {
    let (desk, mut shelf) = (Desk::new()?, Shelf::new()?);
    let tree = desk.tree("tools", &extension("tools"))?;
    shelf.put("tools", &tree, Compression::Gzip)?;
    Ok((desk, shelf))
}

/// The folder of an image that was pulled first.
fn folder(host: &str, image: &str) -> String {
    format!("000.{host}-{image}").replace([':', '/'], "-")
}

/// Checks that `tools:v1` of a registry was pulled to `output`.
fn pulled(desk: &Desk, host: &str, output: &str) -> Checked {
    let found = desk.path(output).join(folder(host, "tools:v1"));
    same(&desk.path("tools"), &found)
}

fn images_come_out_of_a_registry_as_they_went_in() -> Checked {
    let (desk, mut shelf) = tools()?;
    let more = desk.tree(
        "more",
        &extension("more").file("/rootfs/usr/local/more", "more"),
    )?;
    shelf.put("group/more", &more, Compression::Zstd)?;
    let host = &shelf.registry.host;
    let printed = desk.succeeds(&format!(
        "extension pull {host}/tools:v1 {host}/group/more:v1 --output a/b"
    ))?;
    pulled(&desk, host, "a/b")?;
    let second = format!("001.{host}-group-more-v1").replace(':', "-");
    same(&more, &desk.path("a/b").join(&second))?;
    says(
        &printed,
        &["FOLDER", &folder(host, "tools:v1"), &second, "sha256:"],
    )?;
    // By the digest that was printed it is the same image.
    let digest = printed
        .lines()
        .nth(1)
        .and_then(|line| line.split(' ').next_back());
    let digest = digest.unwrap_or_default();
    desk.succeeds(&format!("extension pull {host}/tools@{digest} --output c"))?;
    let found = desk
        .path("c")
        .join(folder(host, &format!("tools@{digest}")).replace('@', "-"));
    same(&desk.path("tools"), &found)
}

fn a_folder_is_unpacked_as_umoci_unpacks_it() -> Checked {
    let umoci = program("umoci")?;
    let desk = Desk::new()?;
    let source = desk.tree("tools", &extension("tools"))?;
    let mut layout = Layout::create(&desk.path("layout"))?;
    let image = layout.image(&source, Compression::Gzip, "amd64")?;
    layout.name("v1", &image)?;
    desk.succeeds("extension pull oci:layout:v1 --output out")?;
    let mut command = Command::new(umoci);
    command
        .args(["unpack", "--image"])
        .arg(format!("{}:v1", layout.folder.display()));
    if !nix::unistd::geteuid().is_root() {
        command.arg("--rootless");
    }
    output(command.arg(desk.path("bundle")))?;
    let found = desk.path("out/000.oci-layout-v1");
    same(&desk.path("bundle/rootfs"), &found)?;
    same(&source, &found)?;
    let links = |path: &Path| -> Result<u64, Stop> {
        use std::os::unix::fs::MetadataExt;
        Ok(path
            .join("rootfs/usr/local/share/tools/again")
            .metadata()?
            .nlink())
    };
    ensure!(links(&found)? == 2, "a hard link became a file of its own");
    Ok(())
}

/// Podman with a store of its own, on a desk.
fn podman(desk: &Desk) -> Result<Command, Stop> {
    // It gives files to the owners that an image says.
    need_privileges()?;
    let mut command = Command::new(program("podman")?);
    command.arg("--root").arg(desk.path("podman/graph"));
    command.arg("--runroot").arg(desk.path("podman/run"));
    command.args(["--storage-driver", "vfs"]);
    Ok(command)
}

fn archives_of_skopeo_and_podman_are_read() -> Checked {
    let (desk, shelf) = tools()?;
    let image = format!("{}/tools:v1", shelf.registry.host);
    let file = |name: &str| desk.path(name).display().to_string();
    let mut skopeo = Command::new(program("skopeo")?);
    skopeo.args([
        "copy",
        "--quiet",
        "--insecure-policy",
        "--src-tls-verify=false",
    ]);
    skopeo.arg(format!("docker://{image}"));
    output(skopeo.arg(format!("oci-archive:{}:some/name:v1", file("skopeo.tar"))))?;
    desk.succeeds("extension pull oci-archive:skopeo.tar:some/name:v1 --output a")?;
    let found = desk.path("a/000.oci-archive-skopeo.tar-some-name-v1");
    same(&desk.path("tools"), &found)?;

    output(podman(&desk)?.args(["pull", "--quiet", "--tls-verify=false", &image]))?;
    let save = ["save", "--quiet", "--format", "oci-archive", "--output"];
    output(
        podman(&desk)?
            .args(save)
            .args([&file("podman.tar"), &image]),
    )?;
    desk.succeeds("extension pull oci-archive:podman.tar --output b")?;
    same(
        &desk.path("tools"),
        &desk.path("b/000.oci-archive-podman.tar"),
    )
}

fn what_podman_pushes_is_pulled() -> Checked {
    let (desk, shelf) = tools()?;
    let host = &shelf.registry.host;
    let mut pack = Command::new(program("tar")?);
    pack.arg("-C")
        .arg(desk.path("tools"))
        .args(["--owner=0", "--group=0", "-cf"]);
    output(pack.arg(desk.path("layer.tar")).arg("."))?;
    output(
        podman(&desk)?
            .arg("import")
            .arg(desk.path("layer.tar"))
            .arg("by-podman:v1"),
    )?;
    let to = format!("docker://{host}/by-podman:v1");
    output(podman(&desk)?.args(["push", "--quiet", "--tls-verify=false", "by-podman:v1", &to]))?;
    desk.succeeds(&format!("extension pull {host}/by-podman:v1 --output out"))?;
    same(
        &desk.path("tools"),
        &desk.path("out").join(folder(host, "by-podman:v1")),
    )
}

fn file_is_not_taken_for_an_image_of_a_registry() -> Checked {
    let desk = Desk::new()?;
    desk.write("hello.tar", "an archive")?;
    desk.fails(
        "extension pull hello.tar --output out",
        &["hello.tar is a file", "docker-archive:hello.tar"],
    )
}

fn a_password_comes_from_docker_or_from_the_machines_configuration() -> Checked {
    let (mut desk, shelf) = tools()?;
    let registry = shelf.again(&Access::Password, None)?;
    let host = &registry.host;
    let pull = format!("extension pull {host}/tools:v1 --output");
    desk.fails(
        &format!("{pull} none"),
        &[
            "cannot pull",
            "wants to know who asks",
            &format!("machine.registries.config.{host:?}.auth"),
            ".docker/config.json",
        ],
    )?;
    let (user, password) = USER;
    let auth = |password: &str| format!("{{username: {user}, password: {password}}}");
    let machine = |auth: &str| {
        format!("machine:\n  registries:\n    config:\n      {host:?}:\n        auth: {auth}\n")
    };
    desk.write("machine.yaml", machine(&auth(password)))?;
    desk.succeeds(&format!("{pull} named --config machine.yaml"))?;
    pulled(&desk, host, "named")?;
    let text = desk.path("both");
    std::fs::write(&text, format!("{user}:{password}"))?;
    let both = base64(&text)?;
    desk.write("machine.yaml", machine(&format!("{{auth: {both:?}}}")))?;
    desk.succeeds(&format!("{pull} encoded --config machine.yaml"))?;
    pulled(&desk, host, "encoded")?;

    desk.write("machine.yaml", machine(&auth("t0tally-wrong")))?;
    let ran = desk.changes_nothing(&format!("{pull} wrong --config machine.yaml"), 1)?;
    says(&ran.stderr, &["401"])?;
    ensure!(!ran.stderr.contains("t0tally"), "{}", ran.said());

    let docker = json!({"auths": {host: {"auth": both}}}).to_string();
    desk.write("docker.json", &docker)?;
    desk.succeeds(&format!("{pull} file --docker-config docker.json"))?;
    pulled(&desk, host, "file")?;
    desk.tree("docker", &Vec::new().file("/config.json", docker.as_str()))?;
    desk.variable("DOCKER_CONFIG", desk.path("docker"));
    desk.succeeds(&format!("{pull} variable"))?;
    pulled(&desk, host, "variable")
}

fn a_token_is_had_from_the_service_that_the_registry_names() -> Checked {
    let (desk, shelf) = tools()?;
    let (service, access) = token_service(shelf.folder(), "tools", &["pull"])?;
    let registry = shelf.again(&access, None)?;
    let host = &registry.host;
    let pull = format!("extension pull {host}/tools:v1 --output out");
    desk.fails(
        &pull,
        &["cannot pull", "tools", "credentials are looked for in"],
    )?;
    let (user, password) = USER;
    desk.write(
        "machine.yaml",
        format!("machine: {{registries: {{config: {{{host:?}: {{auth: {{username: {user}, password: {password}}}}}}}}}}}"),
    )?;
    desk.succeeds(&format!("{pull} --config machine.yaml"))?;
    pulled(&desk, host, "out")?;
    let asked = service.asked();
    let last = asked.last().map_or("", |request| request.path());
    says(
        last,
        &["service=registry", "scope=repository", "tools", "pull"],
    )
}

fn a_registry_with_an_authority_of_its_own_is_trusted_where_the_configuration_says_so() -> Checked {
    program(certificates::PROGRAM)?;
    let (desk, shelf) = tools()?;
    let authority = certificate(shelf.folder(), "authority", None)?;
    let other = certificate(shelf.folder(), "other", None)?;
    let server = certificate(shelf.folder(), "server", Some(&authority))?;
    let registry = shelf.again(&Access::All, Some(&server))?;
    let host = &registry.host;
    let with = |tls: &str| {
        let text = format!(
            "machine:\n  registries:\n    config:\n      {host:?}:\n        tls: {{{tls}}}\n"
        );
        desk.write("machine.yaml", text)
    };
    let pull = format!("extension pull {host}/tools:v1 --config machine.yaml --output");
    with("ca: ''")?;
    desk.fails(
        &format!("{pull} out"),
        &["machine.yaml: line 5", "tls.ca", "base64"],
    )?;
    with(&format!("ca: {:?}", base64(&other.certificate)?))?;
    desk.fails(
        &format!("{pull} out"),
        &["cannot reach", host, "TLS failed", "tls.ca"],
    )?;
    with("")?;
    desk.fails(
        &format!("{pull} out"),
        &[host, "plain HTTP", "may want TLS"],
    )?;
    with(&format!("ca: {:?}", base64(&authority.certificate)?))?;
    desk.succeeds(&format!("{pull} out"))?;
    pulled(&desk, host, "out")?;
    with("insecureSkipVerify: true")?;
    desk.succeeds(&format!("{pull} unverified"))?;
    pulled(&desk, host, "unverified")
}

fn a_mirror_answers_for_a_registry_that_cannot_be_reached() -> Checked {
    let (desk, shelf) = tools()?;
    let alive = &shelf.registry.host;
    let closed = closed()?;
    let mirrors = |endpoints: &str, more: &str| {
        let text = format!(
            "machine:\n  registries:\n    mirrors:\n      registry.invalid:\n        endpoints: [{endpoints}]\n{more}"
        );
        desk.write("machine.yaml", text)
    };
    let pull = "extension pull registry.invalid/tools:v1 --config machine.yaml --output";
    mirrors(&format!("\"http://{closed}\", \"http://{alive}\""), "")?;
    desk.succeeds(&format!("{pull} out"))?;
    pulled(&desk, "registry.invalid", "out")?;
    // All that were asked are named, and why each of them was of no use.
    mirrors(&format!("\"http://{closed}\""), "")?;
    desk.fails(
        &format!("{pull} none"),
        &[&closed, "refused", "registry.invalid", "not known"],
    )?;
    mirrors(
        &format!("\"http://{closed}\""),
        "        skipFallback: true\n",
    )?;
    let ran = desk.changes_nothing(&format!("{pull} none"), 1)?;
    says(&ran.stderr, &[&closed, "refused"])?;
    ensure!(!ran.stderr.contains("not known"), "{}", ran.said());
    Ok(())
}

fn the_machines_platform_is_chosen_from_an_index() -> Checked {
    let (desk, mut shelf) = (Desk::new()?, Shelf::new()?);
    let amd64 = desk.tree("amd64", &extension("for-amd64"))?;
    let arm64 = desk.tree("arm64", &extension("for-arm64"))?;
    shelf.put_for_each("many", &[("amd64", &amd64), ("arm64", &arm64)])?;
    let host = &shelf.registry.host;
    for (architecture, source) in [("amd64", &amd64), ("arm64", &arm64)] {
        desk.succeeds(&format!(
            "extension pull {host}/many:v1 --platform linux/{architecture} --output out/{architecture}"
        ))?;
        same(
            source,
            &desk
                .path("out")
                .join(architecture)
                .join(folder(host, "many:v1")),
        )?;
    }
    desk.fails(
        &format!("extension pull {host}/many:v1 --platform linux/riscv64 --output none"),
        &[
            "nothing for the platform linux/riscv64",
            "linux/amd64, linux/arm64",
        ],
    )?;
    shelf.put("one", &amd64, Compression::Gzip)?;
    let host = &shelf.registry.host;
    desk.fails(
        &format!("extension pull {host}/one:v1 --platform linux/arm64 --output none"),
        &["nothing for the platform linux/arm64", "linux/amd64"],
    )
}

fn nothing_is_fetched_where_the_result_could_not_be_there() -> Checked {
    let (desk, shelf) = tools()?;
    let watcher = Proxy::start(&shelf.registry.host, |_| Action::Forward)?;
    let image = format!("{}/tools:v1", watcher.host);
    desk.fails(
        &format!("extension pull {image} {image} --output out"),
        &[&image, "twice"],
    )?;
    desk.tree(&format!("out/{}", folder(&watcher.host, "tools:v1")), &[])?;
    desk.tree("out", &Vec::new().file("/mine", "mine"))?;
    desk.fails(
        &format!("extension pull {image} --output out"),
        &["is there already"],
    )?;
    desk.fails(
        &format!("extension pull {image} --output out/mine"),
        &["out/mine"],
    )?;
    ensure!(watcher.asked().is_empty(), "{:?}", watcher.asked());
    desk.succeeds(&format!("extension pull {image} --output other"))?;
    ensure!(!watcher.asked().is_empty(), "the watcher sees nothing");
    ensure!(!tree(&desk.path("other"))?.is_empty(), "nothing was pulled");
    Ok(())
}
