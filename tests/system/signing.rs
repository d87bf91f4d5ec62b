//! `srctl policy sign`, `srctl policy verify` and `srctl image add-policy`, as an operator
//! runs them, beside `ssh-keygen`.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use sha2::{Digest, Sha256};
use switch_root_tests::archive;
use switch_root_tests::snapshot;
use switch_root_tests::steps::{Content, Make, Steps};

use crate::check::{ensure, says};
use crate::srctl::{Desk, Ran, json};
use crate::tools::{Checked, Stop, cases, policy, program, subject};

cases![
    what_srctl_signs_ssh_keygen_verifies,
    what_ssh_keygen_signs_srctl_verifies,
    a_policy_is_pulled_where_an_accepted_key_signed_it,
    a_key_with_a_passphrase_is_not_used_without_a_terminal,
    what_is_no_policy_is_not_signed,
    what_is_no_private_key_does_not_sign,
    each_signature_that_does_not_count_is_told_apart,
    a_list_of_signers_that_is_malformed_is_named_with_its_line,
    machine_without_lists_of_signers_is_named_as_that,
    a_policy_is_put_into_an_initramfs_with_all_that_belongs_to_it,
    a_policy_that_is_added_again_leaves_nothing_of_itself,
    what_cannot_be_loaded_is_not_added,
    images_of_the_generators_hooks_tell_what_to_compile_for,
    an_initramfs_that_demands_signatures_takes_no_other_policy,
    an_initramfs_is_not_made_to_demand_what_its_policies_do_not_have,
    code_of_a_signed_policy_that_nobody_vouched_for_is_compiled_again,
];

/// Runs ssh-keygen, which a machine needs to have.
pub fn keygen(desk: &Desk, arguments: &str, input: &[u8]) -> Result<Ran, Stop> {
    let mut command = Command::new(program("ssh-keygen")?);
    command
        .args(
            arguments
                .split_whitespace()
                .map(|word| if word == "''" { "" } else { word }),
        )
        .env_remove("SSH_AUTH_SOCK")
        .current_dir(desk.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    std::io::Write::write_all(&mut child.stdin.take().ok_or("no input")?, input)?;
    Ok(Ran::new(arguments, &child.wait_with_output()?))
}

fn keygen_succeeds(desk: &Desk, arguments: &str, input: &[u8]) -> Result<String, Stop> {
    let ran = keygen(desk, arguments, input)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    Ok(ran.stdout)
}

/// The bytes of a policy.
fn wasm(name: &str) -> Result<Vec<u8>, Stop> {
    match policy(name)? {
        Content::Copy(path) => Ok(fs::read(path)?),
        _ => Err("a policy that is no file".into()),
    }
}

/// A desk with the policy a.wasm, keys `ops` and `other`, and the list `ops.signers`.
pub fn desk() -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    desk.write("a.wasm", wasm("kernel-abi")?)?;
    for name in ["ops", "other"] {
        let make = format!("-q -t ed25519 -N '' -C {name} -f {name}");
        keygen_succeeds(&desk, &make, b"")?;
    }
    desk.write("ops.signers", listed(&desk, "")?)?;
    Ok(desk)
}

/// A list with the key `ops`.
fn listed(desk: &Desk, options: &str) -> Result<String, Stop> {
    let key = String::from_utf8(desk.read("ops.pub")?)?;
    Ok(format!("ops@example.org {options} {key}"))
}

fn what_srctl_signs_ssh_keygen_verifies() -> Checked {
    let desk = desk()?;
    let said = desk.succeeds("policy sign a.wasm --key ops")?;
    says(&said, &["wrote a.wasm.sig"])?;
    let first = desk.read("a.wasm.sig")?;
    let verify = "-Y verify -f ops.signers -I ops@example.org -n switch-root-policy -s a.wasm.sig";
    let said = keygen_succeeds(&desk, verify, &desk.read("a.wasm")?)?;
    says(&said, &["Good", "ops@example.org"])?;
    let said = desk.succeeds("policy verify a.wasm --signers ops.signers")?;
    says(
        &said,
        &[
            "a.wasm is signed by ops@example.org (SHA256:",
            "ops.signers, line 1",
        ],
    )?;
    // The same again, elsewhere.
    desk.succeeds("policy sign a.wasm --key ops --output b.sig")?;
    ensure!(
        desk.read("b.sig")? == first,
        "the same is signed differently"
    );
    Ok(())
}

fn what_ssh_keygen_signs_srctl_verifies() -> Checked {
    let desk = desk()?;
    desk.tree(
        "lists",
        &Vec::new().file("/1.signers", "").file("/README", "x"),
    )?;
    desk.write(
        "lists/2.signers",
        listed(&desk, "namespaces=\"file,switch-root-*\"")?,
    )?;
    for hash in ["sha512", "sha256"] {
        let sign = format!("-q -Y sign -n switch-root-policy -O hashalg={hash} -f ops a.wasm");
        keygen_succeeds(&desk, &sign, b"")?;
        let said = desk.succeeds("policy verify a.wasm --signers lists --format json")?;
        let said = json(&said)?;
        ensure!(
            said["verified"] == true && said["signed_by"] == "ops@example.org",
            "{said}"
        );
        says(&said["listed"].to_string(), &["lists/2.signers, line 1"])?;
        fs::remove_file(desk.path("a.wasm.sig"))?;
    }
    Ok(())
}

fn a_policy_is_pulled_where_an_accepted_key_signed_it() -> Checked {
    let desk = desk()?;
    desk.succeeds("policy push a.wasm oci:shelf:unsigned")?;
    desk.succeeds("policy sign a.wasm --key other")?;
    desk.succeeds("policy push a.wasm oci:shelf:other")?;
    desk.succeeds("policy sign a.wasm --key ops")?;
    let pinned = desk.succeeds("policy push a.wasm oci:shelf:ops")?;
    for (name, why) in [
        ("unsigned", "is not signed"),
        ("other", "not among those that are accepted"),
    ] {
        let pull = format!("policy pull oci:shelf:{name} --signers ops.signers --output got.wasm");
        let ran = desk.changes_nothing(&pull, 3)?;
        says(&ran.stderr, &["got.wasm", why, "nothing was written"])?;
        let ran = desk.changes_nothing(&format!("{pull} --format json"), 3)?;
        let told = json(&ran.stdout)?;
        ensure!(
            told["verified"] == false && told["changed"] == false && told["reason"].is_string(),
            "{told:#}"
        );
    }
    let pull = format!(
        "policy pull {} --signers ops.signers --output got.wasm --format json",
        pinned.trim_end()
    );
    for changed in [true, false] {
        let told = json(&desk.succeeds(&pull)?)?;
        ensure!(
            told["changed"] == changed
                && told["verified"] == true
                && told["signed_by"] == "ops@example.org"
                && told["pinned"] == pinned.trim_end(),
            "{told:#}"
        );
    }
    Ok(())
}

fn a_key_with_a_passphrase_is_not_used_without_a_terminal() -> Checked {
    let desk = desk()?;
    keygen_succeeds(&desk, "-q -t ed25519 -N secret -f locked", b"")?;
    let before = desk.everything()?;
    let mut command = desk.command("policy sign a.wasm --key locked")?;
    // SAFETY: setsid is a system call, and nothing else happens between fork and exec.
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into));
    }
    let ran = Ran::new("policy sign", &command.output()?);
    ensure!(ran.status == Some(1), "{}", ran.said());
    says(
        &ran.stderr,
        &["passphrase", "no terminal", "ssh-keygen -Y sign"],
    )?;
    let changes = snapshot::difference(&before, &desk.everything()?);
    ensure!(changes.is_empty(), "{changes:?}");
    // With a terminal it is asked for, and a wrong one is told.
    let script = program("script")?;
    for (typed, status) in [("mistaken\n", 1), ("secret\n", 0)] {
        let srctl = desk
            .command("")?
            .get_program()
            .to_string_lossy()
            .into_owned();
        let mut child = Command::new(&script)
            .args(["-q", "-e", "-c"])
            .arg(format!("{srctl} policy sign a.wasm --key locked"))
            .arg("/dev/null")
            .current_dir(desk.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().ok_or("no input")?;
        // What is typed before it is asked for is shown by the terminal.
        let mut output = child.stdout.take().ok_or("no output")?;
        let mut shown = Vec::new();
        while !shown.ends_with(b"Passphrase of locked: ") {
            let mut byte = [0];
            ensure!(output.read(&mut byte)? == 1, "it did not ask: {shown:?}");
            shown.push(byte[0]);
        }
        std::thread::sleep(Duration::from_millis(500));
        std::io::Write::write_all(&mut input, typed.as_bytes())?;
        output.read_to_end(&mut shown)?;
        let ended = child.wait()?;
        drop(input);
        let shown = String::from_utf8_lossy(&shown);
        ensure!(ended.code() == Some(status), "{typed}: {ended}: {shown}");
        ensure!(!shown.contains(typed.trim()), "it is shown: {shown}");
        let signed = desk.path("a.wasm.sig").exists();
        ensure!(signed == (status == 0), "{typed}: signed: {signed}");
    }
    Ok(())
}

fn what_is_no_policy_is_not_signed() -> Checked {
    let desk = desk()?;
    desk.write("core.wasm", wasm("core-module")?)?;
    desk.write("cut.wasm", wasm("truncated")?)?;
    desk.write("imports.wasm", wasm("wasi-imports")?)?;
    desk.write("future.wasm", wasm("other-version")?)?;
    desk.write("text.wasm", "hello")?;
    desk.write("empty.wasm", "")?;
    for (file, words) in [
        ("core", "core module"),
        ("cut", "not a valid component"),
        ("imports", "wasi"),
        ("future", "version"),
        ("text", "not WebAssembly"),
        ("empty", "is empty"),
        ("nowhere", "No such file"),
    ] {
        desk.fails(
            &format!("policy sign {file}.wasm --key ops"),
            &[file, words],
        )?;
    }
    Ok(())
}

fn what_is_no_private_key_does_not_sign() -> Checked {
    let desk = desk()?;
    keygen_succeeds(&desk, "-q -t ecdsa -N '' -f ecdsa", b"")?;
    desk.write("pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n")?;
    for (key, words) in [
        ("ops.pub", "it is a public key"),
        ("ecdsa", "ssh-keygen -t ed25519"),
        ("pem", "no private key in OpenSSH's format"),
        ("ops.signers", "no private key in OpenSSH's format"),
        ("nowhere", "cannot read nowhere"),
    ] {
        desk.fails(&format!("policy sign a.wasm --key {key}"), &[key, words])?;
    }
    desk.fails("policy sign a.wasm --key ops --output .", &["a directory"])
}

fn each_signature_that_does_not_count_is_told_apart() -> Checked {
    let desk = desk()?;
    desk.write("b.wasm", wasm("keep-paths")?)?;
    let verify = "policy verify a.wasm --signers ops.signers";
    let refused = |words: &[&str]| -> Checked {
        let ran = desk.changes_nothing(verify, 3)?;
        ensure!(ran.stdout.is_empty(), "{}", ran.said());
        says(&ran.stderr, &[&["srctl: a.wasm "], words].concat())?;
        let ran = desk.changes_nothing(&format!("{verify} --format json"), 3)?;
        let said = json(&ran.stdout)?;
        ensure!(said["verified"] == false, "{said}");
        says(said["reason"].as_str().unwrap_or_default(), words)
    };
    refused(&["is not signed: there is no a.wasm.sig"])?;

    keygen_succeeds(&desk, "-q -Y sign -n file -f ops a.wasm", b"")?;
    refused(&["namespace is `file`", "`switch-root-policy`"])?;

    desk.succeeds("policy sign b.wasm --key ops --output a.wasm.sig")?;
    refused(&["is not what ops@example.org signed"])?;

    desk.succeeds("policy sign a.wasm --key other")?;
    let fingerprint = keygen_succeeds(&desk, "-l -f other.pub", b"")?;
    let fingerprint = fingerprint.split_whitespace().nth(1).unwrap_or_default();
    refused(&["not among those that are accepted", fingerprint])?;

    desk.succeeds("policy sign a.wasm --key ops")?;
    let good = desk.read("a.wasm.sig")?;
    desk.write("a.wasm.sig", &good[..good.len() / 2])?;
    refused(&["no armored SSH signature"])?;
    desk.write("a.wasm.sig", &good)?;

    for (options, words) in [
        ("valid-before=20200101Z", "expired on 2020-01-01T00:00:00Z"),
        (
            "valid-after=29990101Z",
            "not valid before 2999-01-01T00:00:00Z",
        ),
        ("namespaces=\"git\"", "accepts for other namespaces"),
    ] {
        desk.write("ops.signers", listed(&desk, options)?)?;
        refused(&[words, "ops.signers, line 1"])?;
    }
    desk.write("ops.signers", listed(&desk, "")?)?;
    desk.succeeds(verify)?;

    // One byte of the policy.
    let mut changed = desk.read("a.wasm")?;
    let last = changed.len() - 1;
    changed[last] ^= 1;
    desk.write("a.wasm", changed)?;
    refused(&["is not what ops@example.org signed", "changed"])
}

fn machine_without_lists_of_signers_is_named_as_that() -> Checked {
    // Where the machine of the tests has some, they are used.
    if fs::symlink_metadata("/etc/switch-root/trust").is_ok() {
        return Ok(());
    }
    let desk = desk()?;
    desk.succeeds("policy sign a.wasm --key ops")?;
    desk.fails(
        "policy verify a.wasm",
        &[
            "this machine has no list of signers",
            "--signers",
            "/etc/switch-root/trust",
        ],
    )?;
    desk.fails("policy verify a.wasm --signers none", &["cannot read none"])
}

fn a_list_of_signers_that_is_malformed_is_named_with_its_line() -> Checked {
    let desk = desk()?;
    desk.succeeds("policy sign a.wasm --key ops")?;
    let verify = "policy verify a.wasm --signers";
    for (list, words) in [
        ("ops@example.org\n", "no key stands behind"),
        ("ops@example.org ssh-ed25519 AAAA\n", "key cannot be read"),
        (
            "ops@example.org valid-befor=20300101 ssh-ed25519 AAAA\n",
            "is no option",
        ),
        (
            "ops@example.org cert-authority ssh-ed25519 AAAA\n",
            "certificate authorities",
        ),
    ] {
        desk.write("bad.signers", format!("# comment\n\n{list}"))?;
        let all: &[&str] = &["bad.signers, line 3", words];
        desk.fails(&format!("{verify} bad.signers"), all)?;
        // In a folder, beside a good one.
        desk.fails(&format!("{verify} ."), all)?;
    }
    desk.fails(&format!("{verify} nowhere"), &["nowhere"])
}

/// A desk with an initramfs, in.img, whose init is the program under test.
fn workshop() -> Result<Desk, Stop> {
    let desk = desk()?;
    let tree = Vec::new().executable("/init", Content::Copy(subject()?));
    desk.write("in.img", archive::of(&tree)?)?;
    Ok(desk)
}

/// The list of native code that needs no signature.
const LIST: &str = "/usr/lib/switch-root/trust/native.digests";

/// Checks that an image lists this native code and no other.
fn lists(held: &[(String, Vec<u8>)]) -> Checked {
    let is_native = |(path, _): &&(String, Vec<u8>)| path.ends_with(".cwasm");
    let mut expected: Vec<String> = held
        .iter()
        .filter(is_native)
        .map(|(_, bytes)| format!("sha256:{:x}\n", Sha256::digest(bytes)))
        .collect();
    expected.sort();
    let list = held.iter().find(|(path, _)| path == LIST);
    let list = list.ok_or("there is no list")?;
    let found = String::from_utf8_lossy(&list.1);
    ensure!(found == expected.concat(), "{found}: {expected:?}");
    Ok(())
}

/// The files of policies and signers that an uncompressed initramfs holds, by path.
fn held(desk: &Desk, image: &str) -> Result<Vec<(String, Vec<u8>)>, Stop> {
    let mut held = Vec::new();
    for step in archive::steps(&desk.read(image)?)? {
        let path = String::from_utf8_lossy(&step.path).into_owned();
        if let (true, Make::File { mode, content }) = (path.contains("/switch-root/"), step.make) {
            // Whatever accepts native code is root's alone.
            let expected = if path == LIST { 0o600 } else { 0o644 };
            ensure!(mode == expected, "{path} has the mode {mode:o}");
            held.push((path, content.bytes()?));
        }
    }
    held.sort();
    Ok(held)
}

fn names(held: &[(String, Vec<u8>)]) -> Vec<&str> {
    held.iter()
        .map(|(name, _)| name.rsplit('/').next().unwrap_or_default())
        .collect()
}

fn a_policy_is_put_into_an_initramfs_with_all_that_belongs_to_it() -> Checked {
    let desk = workshop()?;
    desk.write("settings.json", r#"{"on_failure": "refuse"}"#)?;
    desk.succeeds("policy sign a.wasm --key ops")?;
    let before = desk.read("in.img")?;
    let add = "image add-policy in.img --output out.img --compression none a.wasm \
               --settings settings.json --signers ops.signers";
    let said = json(&desk.succeeds(&format!("{add} --format json"))?)?;
    ensure!(
        said["policies"][0]["signed_by"] == "ops@example.org",
        "{said}"
    );
    ensure!(desk.read("in.img")? == before, "the input was changed");
    let held = held(&desk, "out.img")?;
    ensure!(
        names(&held) == ["50-a.cwasm", "50-a.json", "50-a.wasm", "50-a.wasm.sig"],
        "{:?}",
        names(&held)
    );
    ensure!(
        held[0].0 == "/etc/switch-root/policies.d/50-a.cwasm",
        "{}",
        held[0].0
    );
    ensure!(
        held[2].1 == desk.read("a.wasm")? && held[3].1 == desk.read("a.wasm.sig")?,
        "other bytes"
    );
    let said = desk.succeeds(&format!("{add} --name 70-b --vendor --compile none"))?;
    says(
        &said,
        &["70-b", "(at boot)", "ops@example.org", "wrote out.img"],
    )?;
    let held = self::held(&desk, "out.img")?;
    ensure!(
        names(&held) == ["70-b.json", "70-b.wasm", "70-b.wasm.sig"],
        "{:?}",
        names(&held)
    );
    says(&held[0].0, &["usr/lib/switch-root/policies.d/"])
}

fn a_policy_that_is_added_again_leaves_nothing_of_itself() -> Checked {
    let desk = workshop()?;
    desk.write("settings.json", r#"{"settings": {"keep": ["/a"]}}"#)?;
    desk.write("k.wasm", wasm("keep-paths")?)?;
    desk.succeeds("policy sign k.wasm --key ops")?;
    let add = "image add-policy --compression none --name 50-x";
    desk.succeeds(&format!(
        "{add} in.img k.wasm --settings settings.json --output 1.img"
    ))?;
    let again = desk.run(&format!("{add} 1.img a.wasm --compile none --output 2.img"))?;
    ensure!(again.status == Some(0), "{}", again.said());
    says(
        &again.stdout,
        &["replaced", "50-x.json", "50-x.cwasm", "50-x.wasm.sig"],
    )?;
    // What a policy kept by its settings it does not keep without them.
    says(&again.stderr, &["warning", "50-x.json", "--settings"])?;
    let other = format!("{add} 1.img k.wasm --settings settings.json --compile none");
    let other = desk.run(&format!("{other} --output 4.img"))?;
    ensure!(other.stderr.is_empty(), "{}", other.said());
    let held = held(&desk, "2.img")?;
    ensure!(names(&held) == ["50-x.wasm"], "{:?}", names(&held));
    ensure!(held[0].1 == desk.read("a.wasm")?, "other bytes");
    // The vendor's policy would not count.
    desk.fails(
        &format!("{add} 1.img a.wasm --vendor --output 3.img"),
        &["would not be used", "--name"],
    )
}

fn what_cannot_be_loaded_is_not_added() -> Checked {
    let desk = workshop()?;
    for name in [
        "core-module",
        "truncated",
        "wasi-imports",
        "other-version",
        "keep-paths",
    ] {
        desk.write(&format!("{name}.wasm"), wasm(name)?)?;
    }
    desk.write("text.wasm", "hello")?;
    desk.write("bad.json", r#"{"settings": {"keep": 1}}"#)?;
    desk.write("no.json", "no json")?;
    desk.write(
        "script.img",
        archive::of(&Vec::new().executable("/init", "#!/bin/sh\n"))?,
    )?;
    let add = "image add-policy --output out.img";
    for (rest, words) in [
        (
            "in.img core-module.wasm",
            &["core-module.wasm is not added", "core module"][..],
        ),
        (
            "in.img truncated.wasm",
            &["truncated.wasm", "not a valid component"],
        ),
        ("in.img text.wasm", &["text.wasm", "not WebAssembly"]),
        ("in.img wasi-imports.wasm", &["wasi-imports.wasm", "import"]),
        (
            "in.img other-version.wasm",
            &["other-version.wasm", "version"],
        ),
        (
            "in.img keep-paths.wasm --settings bad.json",
            &["keep-paths.wasm", "bad.json"],
        ),
        (
            "in.img a.wasm --settings no.json",
            &["no.json", "is not a sidecar file"],
        ),
        (
            "in.img a.wasm text.wasm --name 50-x",
            &["--name is for one policy"],
        ),
        ("in.img a.wasm --name ../x", &["is no name of a policy"]),
        ("in.img a.wasm a.wasm", &["second policy of the name 50-a"]),
        (
            "in.img a.wasm --compile mips-unknown-linux-musl",
            &["cannot compile for mips", "--compile none"],
        ),
        (
            "script.img a.wasm",
            &["does not tell what to compile for", "--compile none"],
        ),
        ("a.wasm a.wasm", &["a.wasm is no initramfs"]),
        ("nowhere a.wasm", &["nowhere"]),
    ] {
        desk.fails(&format!("{add} {rest}"), words)?;
    }
    Ok(())
}

fn images_of_the_generators_hooks_tell_what_to_compile_for() -> Checked {
    let desk = workshop()?;
    let image = |program: &str, bytes: Vec<u8>| {
        archive::of(
            &Vec::new()
                .executable("/init", "#!/bin/sh\n")
                .executable(program, bytes)
                .symlink("/sbin/switch_root", program),
        )
    };
    let small = fs::read(crate::tools::small()?)?;
    let full = fs::read(crate::tools::subject()?)?;
    desk.write(
        "aot.img",
        image("/usr/lib/switch-root/switch_root-aot", small)?,
    )?;
    desk.write("full.img", image("/usr/lib/switch-root/switch_root", full)?)?;
    let add = "image add-policy --compression none --format json a.wasm --output out.img";
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    for (options, compiled) in [
        ("aot.img".to_owned(), serde_json::json!(target)),
        ("full.img".into(), serde_json::json!(target)),
        (
            format!("full.img --compile {}", std::env::consts::ARCH),
            serde_json::json!(target),
        ),
        ("full.img --compile none".into(), serde_json::Value::Null),
    ] {
        let command = add.replacen("a.wasm", &format!("{options} a.wasm"), 1);
        let printed = json(&desk.succeeds(&command)?)?;
        let found = &printed["policies"][0]["compiled_for"];
        ensure!(*found == compiled, "{options}: {printed}");
    }
    desk.fails(
        &add.replacen("a.wasm", "aot.img a.wasm --compile none", 1),
        &["/usr/lib/switch-root/switch_root-aot of aot.img has no compiler"],
    )
}

fn an_initramfs_that_demands_signatures_takes_no_other_policy() -> Checked {
    let desk = workshop()?;
    desk.succeeds("policy sign a.wasm --key ops")?;
    let add = "image add-policy --compression none";
    desk.succeeds(&format!(
        "{add} in.img a.wasm --trust ops.signers --output out.img"
    ))?;
    let held = held(&desk, "out.img")?;
    ensure!(
        names(&held)
            == [
                "50-a.cwasm",
                "50-a.wasm",
                "50-a.wasm.sig",
                "native.digests",
                "ops.signers"
            ],
        "{:?}",
        names(&held)
    );
    lists(&held)?;
    desk.write("b.wasm", wasm("keep-paths")?)?;
    let add = format!("{add} out.img b.wasm --output more.img");
    desk.fails(&add, &["b.wasm is not signed", "b.wasm.sig"])?;
    desk.succeeds("policy sign b.wasm --key other")?;
    desk.fails(&add, &["not among those that are accepted"])?;
    desk.succeeds("policy sign b.wasm --key ops")?;
    desk.succeeds(&add)?;
    let more = self::held(&desk, "more.img")?;
    ensure!(more.len() == held.len() + 3, "{:?}", names(&more));
    lists(&more)?;
    // What is gone is listed no longer.
    let again =
        "image add-policy --compression none more.img b.wasm --compile none --output less.img";
    desk.succeeds(again)?;
    let less = self::held(&desk, "less.img")?;
    ensure!(less.len() == more.len() - 1, "{:?}", names(&less));
    lists(&less)?;
    desk.write("old.signers", listed(&desk, "valid-before=20200101Z")?)?;
    desk.fails(
        &format!("{add} --signers old.signers"),
        &["expired on 2020-01-01"],
    )
}

fn an_initramfs_is_not_made_to_demand_what_its_policies_do_not_have() -> Checked {
    let desk = workshop()?;
    desk.write("b.wasm", wasm("keep-paths")?)?;
    desk.succeeds("image add-policy in.img b.wasm --output unsigned.img")?;
    desk.succeeds("policy sign a.wasm --key ops")?;
    let add = "image add-policy unsigned.img a.wasm --trust ops.signers --output out.img";
    desk.fails(
        add,
        &["out.img would refuse to boot", "50-b.wasm is not signed"],
    )?;
    desk.write("ops.signers", "ops\n")?;
    desk.fails(add, &["ops.signers, line 1"])
}

fn code_of_a_signed_policy_that_nobody_vouched_for_is_compiled_again() -> Checked {
    let desk = workshop()?;
    desk.write("b.wasm", wasm("keep-paths")?)?;
    for file in ["a.wasm", "b.wasm"] {
        desk.succeeds(&format!("policy sign {file} --key ops"))?;
    }
    let add = "image add-policy --compression none";
    desk.succeeds(&format!("{add} in.img b.wasm --output signed.img"))?;
    let trust = "a.wasm --trust ops.signers --output out.img";
    let said = desk.succeeds(&format!("{add} signed.img {trust}"))?;
    says(&said, &["compiled", "50-b.cwasm again"])?;
    let held = held(&desk, "out.img")?;
    ensure!(held.len() == 8, "{:?}", names(&held));
    lists(&held)?;
    // Unless nothing is to be compiled: then it is reported.
    let ran = desk.run(&format!("{add} signed.img {trust} --compile none"))?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    says(&ran.stderr, &["50-b.cwasm", "is not used at boot"])
}
