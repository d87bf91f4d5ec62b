//! `srctl plan` of what is not as it should be: images, policies, settings.

use std::process::{Command, Stdio};

use switch_root_tests::archive;
use switch_root_tests::report::Report;
use switch_root_tests::steps::Steps;

use crate::check::{ensure, says};
use crate::installing::compressed;
use crate::planning::{POLICIES, desk, steps};
use crate::srctl::{Desk, json};
use crate::tools::{Checked, cases, policy, program};
use crate::unpacking::Member;

cases![
    what_the_host_would_refuse_or_not_delete_stands_on_top,
    a_policy_that_cannot_be_used_is_named_with_its_file,
    a_bomb_is_refused_with_the_option_that_would_allow_it,
    an_image_that_cannot_be_read_is_refused_and_nothing_is_written,
    what_no_kernel_unpacks_is_refused_with_what_to_use,
];

fn what_the_host_would_refuse_or_not_delete_stands_on_top() -> Checked {
    for (sidecar, words, field) in [
        ("{}", "NOTHING WOULD BE DELETED", "deletion"),
        (
            r#"{"on_failure": "refuse"}"#,
            "THE SWITCH WOULD BE REFUSED",
            "refused",
        ),
    ] {
        let desk = desk(
            &steps()?
                .file(format!("{POLICIES}/60-bad.wasm"), "no policy at all")
                .file(format!("{POLICIES}/60-bad.json"), sidecar),
        )?;
        let text = desk.changes_nothing("plan image", 3)?.stdout;
        let line = text.lines().nth(1).unwrap_or_default();
        says(line, &[words, "60-bad"])?;
        let plan = json(&desk.changes_nothing("plan image --format json", 3)?.stdout)?;
        says(&plan[field].to_string(), &["60-bad"])?;
        // Nothing goes.
        ensure!(
            plan["summary"]["deleted"]["files"] == 0,
            "{:#}",
            plan["summary"]
        );
    }
    let desk = desk(&steps()?.file("/extensions.yaml", "layers: ["))?;
    let text = desk.changes_nothing("plan image", 3)?.stdout;
    says(
        &text,
        &["THE SWITCH WOULD BE REFUSED: /extensions.yaml", "repair it"],
    )
}

fn a_policy_that_cannot_be_used_is_named_with_its_file() -> Checked {
    let settings = r#"{"settings": {"keep": "no list"}}"#;
    let bytes = |name: &str| policy(name);
    for (wasm, sidecar, kind, words) in [
        (
            bytes("core-module")?,
            "{}",
            "not-a-policy",
            &["core module"][..],
        ),
        ("some text".into(), "{}", "not-a-policy", &[]),
        (bytes("truncated")?, "{}", "not-a-policy", &[]),
        (bytes("wasi-imports")?, "{}", "imports", &["wasi:"]),
        (bytes("other-version")?, "{}", "version", &[]),
        (
            bytes("keep-paths")?,
            "no JSON",
            "settings",
            &["/etc/switch-root/policies.d/60-bad.json is not a sidecar file"],
        ),
        (
            bytes("keep-paths")?,
            settings,
            "settings",
            &[
                "refuses its settings: ",
                "(in /etc/switch-root/policies.d/60-bad.json)",
            ],
        ),
    ] {
        let desk = desk(
            &steps()?
                .file(format!("{POLICIES}/60-bad.wasm"), wasm)
                .file(format!("{POLICIES}/60-bad.json"), sidecar),
        )?;
        let ran = desk.changes_nothing("plan image --format json", 3)?;
        let report = Report(json(&ran.stdout)?);
        let (found, message) = report.failure("60-bad").ok_or("it did not fail")?;
        ensure!(found == kind, "{found} and not {kind}: {message}");
        says(&message, words)?;
        let text = desk.changes_nothing("plan image", 3)?.stdout;
        says(
            &text,
            &["/etc/switch-root/policies.d/60-bad.wasm", "failed: it"],
        )?;
    }
    Ok(())
}

/// A frame of zstd that is zeros for the most part: these take four bytes for each block.
struct Frame(Vec<u8>);

impl Frame {
    const BLOCK: u64 = 128 << 10;

    fn new() -> Self {
        // The magic number; no size and no checksum; a window of 128 KiB.
        Self(vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 7 << 3])
    }

    fn block(&mut self, size: u64, kind: u32, last: bool, bytes: &[u8]) {
        let header = u32::from(last) | kind << 1 | (size as u32) << 3;
        self.0.extend_from_slice(&header.to_le_bytes()[..3]);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, bytes: &[u8]) {
        self.block(bytes.len() as u64, 0, false, bytes);
    }

    fn zeros(&mut self, mut count: u64) {
        while count > 0 {
            let size = count.min(Self::BLOCK);
            self.block(size, 1, false, &[0]);
            count -= size;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.block(0, 0, true, b"");
        self.0
    }
}

/// The header of a file of so many bytes, which are not there.
fn header(name: &str, size: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    Member::new(name, 0o100_644, b"").write(&mut bytes);
    bytes[54..62].copy_from_slice(format!("{size:08X}").as_bytes());
    bytes
}

fn a_bomb_is_refused_with_the_option_that_would_allow_it() -> Checked {
    let desk = Desk::new()?;
    // 10 GB of zeros in three files, in some hundred kilobytes.
    let size: u32 = 3 << 30;
    let mut frame = Frame::new();
    for name in ["a", "b", "c"] {
        frame.text(&header(name, size));
        frame.zeros(size.into());
    }
    let bomb = frame.finish();
    ensure!(bomb.len() < 1 << 20, "{}", bomb.len());
    desk.write("bomb", bomb)?;
    desk.fails(
        "plan bomb",
        &[
            "part 1 (zstd-compressed",
            "more than 8 GiB",
            "--max-bytes allows more",
        ],
    )?;
    // Ten million files that are nothing but names.
    let mut members = Vec::new();
    for number in 0..1000 {
        Member::new(&format!("f{number:05}"), 0o100_644, b"").write(&mut members);
    }
    desk.write("members", &members)?;
    program("zstd")?;
    let mut packed = Command::new("zstd")
        .args(["-q", "-1", "-c"])
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(desk.path("entries"))?)
        .spawn()?;
    let mut input = packed.stdin.take().ok_or("no input")?;
    for _ in 0..10_000 {
        std::io::Write::write_all(&mut input, &members)?;
    }
    drop(input);
    ensure!(packed.wait()?.success(), "zstd failed");
    desk.fails(
        "plan entries",
        &["more than 4000000 members", "--max-entries allows more"],
    )?;
    desk.fails("plan bomb --max-bytes 1000", &["more than 1000 bytes"])
}

fn an_image_that_cannot_be_read_is_refused_and_nothing_is_written() -> Checked {
    let desk = Desk::new()?;
    let whole = archive::of(&steps()?)?;
    let cut = &whole[..whole.len() - 700];
    for (name, bytes, words) in [
        ("cut", cut, &["it is truncated"][..]),
        (
            "lzo",
            b"\x89LZO\0\r\n\x1a\n",
            &["lzo-compressed parts are not read here"],
        ),
        (
            "text",
            b"this is no image",
            &["is no initramfs", "at offset 0"],
        ),
        ("empty", b"", &["is empty"]),
    ] {
        desk.write("image", bytes)?;
        desk.fails("plan image --output plan.json --format json", words)
            .map_err(|stop| stop.during(name))?;
    }
    desk.fails("plan nowhere", &["cannot read nowhere"])
}

fn what_no_kernel_unpacks_is_refused_with_what_to_use() -> Checked {
    let desk = Desk::new()?;
    let image = archive::of(&steps()?)?;
    let zstd = compressed(&desk, &["zstd", "-q", "-c"], &image)?;
    let skippable = [b"P*M\x18\x04\0\0\0abcd", zstd.as_slice()].concat();
    let mut extra = compressed(&desk, &["gzip", "-n", "-c"], &image)?;
    extra[3] |= 4;
    extra.splice(10..10, [2, 0, b'x', b'y']);
    for (name, bytes, words) in [
        (
            "crc64",
            compressed(&desk, &["xz", "-0", "-c"], &image)?,
            &["CRC64", "xz --check=crc32"][..],
        ),
        (
            "sha256",
            compressed(&desk, &["xz", "-0", "-c", "--check=sha256"], &image)?,
            &["SHA-256", "xz --check=crc32"],
        ),
        ("skippable", skippable, &["skippable", "pzstd", "`zstd`"]),
        ("extra", extra, &["extra field", "`gzip`"]),
    ] {
        // Behind a part that is read, too.
        for whole in [bytes.clone(), [image.as_slice(), &bytes].concat()] {
            desk.write("image", &whole)?;
            for command in ["plan image", "rehearse image", "diff image image"] {
                desk.fails(command, words)
                    .map_err(|stop| stop.during(name))?;
            }
        }
    }
    Ok(())
}
