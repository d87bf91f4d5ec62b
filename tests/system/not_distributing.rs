//! What `srctl policy push` and `srctl policy pull` refuse: then nothing is written, here or
//! there.

use std::fs;

use serde_json::json;
use switch_root_tests::certificates::{self, base64};
use switch_root_tests::layout::Compression;
use switch_root_tests::proxy::{Action, Proxy};
use switch_root_tests::registry::{Access, USER};
use switch_root_tests::steps::{Make, Steps};

use crate::check::{ensure, says};
use crate::distributing::{Case, SIGNATURE, place, same};
use crate::srctl::{Desk, Shelf, closed, extension};
use crate::tools::{Checked, Stop, cases, program};

cases![
    a_tag_that_moved_is_refused_and_nothing_is_written,
    who_may_not_push_is_refused_and_who_may_is_not,
    what_is_no_policy_is_not_pushed,
    what_is_no_policy_is_not_pulled,
    what_is_damaged_on_the_way_is_not_written,
];

fn a_tag_that_moved_is_refused_and_nothing_is_written() -> Checked {
    let case = Case::new()?;
    let (desk, host) = (&case.desk, case.host());
    let before = case.push("keep:v1")?;
    let before = before.rsplit('@').next().unwrap_or_default();
    desk.succeeds(&format!("policy pull {host}/keep:v1 --output mine.wasm"))?;
    place(desk, "kernel-abi", "50-keep.wasm")?;
    let now = case.push("keep:v1")?;
    let now = now.rsplit('@').next().unwrap_or_default();
    for arguments in [
        format!("{host}/keep:v1 --expect {before}"),
        format!("{host}/keep:v1@{before}"),
        format!("{host}/keep@{now} --expect {before}"),
    ] {
        let pull = format!("policy pull {arguments} --output mine.wasm");
        desk.fails(&pull, &["cannot pull", before, now, "was expected"])?;
    }
    // What it was is there yet, by its digest.
    desk.succeeds(&format!("policy pull {host}/keep@{before} --output old"))?;
    same(desk, "mine.wasm", "old")
}

fn who_may_not_push_is_refused_and_who_may_is_not() -> Checked {
    let case = Case::with(|_| Ok(Access::Password))?;
    let (desk, host) = (&case.desk, case.host());
    let push = format!("policy push 50-keep.wasm {host}/keep:v1");
    desk.fails(
        &push,
        &[
            "cannot push",
            "wants to know who asks",
            &format!("machine.registries.config.{host:?}.auth"),
            ".docker/config.json",
        ],
    )?;
    let docker = |text: &str| -> Result<String, Stop> {
        let plain = case.folder.path().join("plain");
        fs::write(&plain, text)?;
        Ok(json!({"auths": {host: {"auth": base64(&plain)?}}}).to_string())
    };
    program(certificates::PROGRAM)?;
    desk.write("wrong.json", docker("user:t0tally-wrong")?)?;
    let ran = desk.changes_nothing(&format!("{push} --docker-config wrong.json"), 1)?;
    says(&ran.stderr, &["401", "the right to write there"])?;
    ensure!(!ran.stderr.contains("t0tally"), "{}", ran.said());
    let (user, password) = USER;
    desk.write("docker.json", docker(&format!("{user}:{password}"))?)?;
    desk.succeeds(&format!("{push} --docker-config docker.json"))?;
    let pull = format!("policy pull {host}/keep:v1 --output pulled.wasm");
    desk.fails(&pull, &["wants to know who asks"])?;
    desk.succeeds(&format!("{pull} --docker-config docker.json"))?;
    same(desk, "50-keep.wasm", "pulled.wasm")
}

fn what_is_no_policy_is_not_pushed() -> Checked {
    let case = Case::new()?;
    let (desk, host) = (&case.desk, case.host());
    for name in ["core-module", "truncated", "wasi-imports"] {
        place(desk, name, &format!("{name}.wasm"))?;
    }
    desk.write("text.wasm", "#!/bin/sh\n")?;
    desk.write("empty.wasm", "")?;
    desk.tree("folder.wasm", &[])?;
    let fifo = Make::Fifo;
    desk.tree("odd", &Vec::new().make("/fifo.wasm", fifo))?;
    place(desk, "keep-paths", "signed.wasm")?;
    desk.write("signed.wasm.sig", "not\u{1b}[2J")?;
    let large = fs::File::create(desk.path("large.wasm"))?;
    large.set_len((64 << 20) + 1)?;
    for (file, words) in [
        ("core-module.wasm", &["core module", "policy SDK"][..]),
        ("truncated.wasm", &["not a valid component"]),
        ("wasi-imports.wasm", &["imports wasi:", "without WASI"]),
        ("text.wasm", &["text.wasm is not WebAssembly"]),
        ("empty.wasm", &["empty.wasm is not WebAssembly"]),
        ("folder.wasm", &["there is no component in folder.wasm"]),
        ("odd/fifo.wasm", &["odd/fifo.wasm is not a regular file"]),
        ("large.wasm", &["large.wasm is 67108865 bytes large"]),
        ("missing.wasm", &["there is no missing.wasm"]),
        (
            "signed.wasm",
            &["signed.wasm.sig is not an SSH signature", "or remove it"],
        ),
    ] {
        // Where nothing may be asked, nothing has to be there.
        desk.fails(&format!("policy push {file} {host}/keep:v1"), words)?;
    }
    ensure!(
        !case.folder.path().join("store/docker").exists(),
        "something is in the registry"
    );
    desk.fails(
        &format!("policy push 50-keep.wasm {}/keep:v1", closed()?),
        &["cannot push", "refused"],
    )
}

fn what_is_no_policy_is_not_pulled() -> Checked {
    let (desk, mut shelf) = (Desk::new()?, Shelf::new()?);
    let tree = desk.tree("tools", &extension("tools"))?;
    shelf.put("tools", &tree, Compression::Gzip)?;
    let host = &shelf.registry.host;
    desk.write("mine.wasm", "mine")?;
    for (arguments, words) in [
        (
            format!("{host}/tools:v1"),
            &[
                "no Wasm artifact",
                "container image, such as one of an extension",
            ][..],
        ),
        (format!("{host}/tools:v2"), &["status 404", "the tag"]),
        (format!("{host}/nothing:v1"), &["status 404", "the name"]),
        (
            format!("{host}/tools:v1 --expect v2"),
            &["`v2` is not a digest"],
        ),
        (
            "docker-archive:a.tar".to_owned(),
            &["container images alone"],
        ),
        (
            "oci:nowhere".to_owned(),
            &["nowhere is not an OCI image layout"],
        ),
    ] {
        let pull = format!("policy pull {arguments} --output mine.wasm");
        desk.fails(&pull, words)?;
    }
    // Places where nothing can be written.
    place(&desk, "keep-paths", "50-keep.wasm")?;
    desk.succeeds("policy push 50-keep.wasm oci:layout:v1")?;
    desk.tree("full/50-keep.wasm", &[])?;
    for output in ["missing/folder/a.wasm", "full"] {
        desk.fails(
            &format!("policy pull oci:layout:v1 --output {output}"),
            &["cannot write", output],
        )?;
    }
    Ok(())
}

fn what_is_damaged_on_the_way_is_not_written() -> Checked {
    let case = Case::new()?;
    let desk = &case.desk;
    desk.write("50-keep.wasm.sig", SIGNATURE)?;
    let pinned = case.push("keep:v1")?;
    let digest = pinned.rsplit('@').next().unwrap_or_default();
    desk.write("mine.wasm", "mine")?;
    desk.write("mine.wasm.sig", "mine")?;
    let damaging = |blobs: bool, action: Action| {
        Proxy::start(case.host(), move |request| {
            match request.is_blob() == blobs {
                true => action.clone(),
                false => Action::Forward,
            }
        })
    };
    let damaged = damaging(true, Action::Damage)?;
    let retyped = damaging(false, Action::MediaType("text/html"))?;
    let changed = damaging(false, Action::Damage)?;
    for (proxy, reference, words) in [
        (&damaged, "keep:v1".to_owned(), "is not what it should be"),
        (
            &changed,
            format!("keep@{digest}"),
            "is not what it should be",
        ),
        (&changed, "keep:v1".to_owned(), "with what is no manifest"),
    ] {
        let pull = format!("policy pull {}/{reference} --output mine.wasm", proxy.host);
        desk.fails(&pull, &["cannot pull", words])?;
    }
    // Where the connection breaks, the rest is fetched; what an answer calls itself does not
    // matter where the manifest says it.
    let broken = Proxy::start(case.host(), |request| {
        match request.is_blob() && request.before == 0 {
            true => Action::Cut(100),
            false => Action::Forward,
        }
    })?;
    for proxy in [&broken, &retyped] {
        let pull = format!("policy pull {}/keep:v1 --output mine.wasm", proxy.host);
        desk.succeeds(&pull)?;
        same(desk, "50-keep.wasm", "mine.wasm")?;
        same(desk, "50-keep.wasm.sig", "mine.wasm.sig")?;
    }
    Ok(())
}
