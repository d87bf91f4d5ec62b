//! An image that no tool would write, unpacked by real kernels: what is in their rootfs
//! then is what `srctl plan` tells.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use switch_root_tests::machine;

use crate::check::ensure;
use crate::srctl::{Desk, json};
use crate::tools::{Checked, Stop, cases, kernels, program};

cases![each_kernel_unpacks_an_odd_image_as_it_is_told];

/// One member of an archive, byte for byte.
pub struct Member<'a> {
    pub name: &'a str,
    pub mode: u32,
    pub contents: &'a [u8],
    /// Number and count of names.
    pub links: (u32, u32),
    pub device: (u32, u32),
}

impl<'a> Member<'a> {
    pub fn new(name: &'a str, mode: u32, contents: &'a [u8]) -> Self {
        Self {
            name,
            mode,
            contents,
            links: (0, 1),
            device: (0, 0),
        }
    }

    pub fn write(&self, to: &mut Vec<u8>) {
        let (ino, nlink) = self.links;
        let numbers = [
            ino,
            self.mode,
            0,
            0,
            nlink,
            0,
            self.contents.len() as u32,
            0,
            0,
            self.device.0,
            self.device.1,
            self.name.len() as u32 + 1,
            0,
        ];
        to.extend_from_slice(b"070701");
        for number in numbers {
            to.extend_from_slice(format!("{number:08X}").as_bytes());
        }
        to.extend_from_slice(self.name.as_bytes());
        to.push(0);
        pad(to);
        to.extend_from_slice(self.contents);
        pad(to);
    }
}

fn pad(to: &mut Vec<u8>) {
    to.resize(to.len().next_multiple_of(4), 0);
}

/// An archive of these members.
pub fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for member in members {
        member.write(&mut bytes);
    }
    Member::new("TRAILER!!!", 0, b"").write(&mut bytes);
    bytes
}

const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;
const DIRECTORY: u32 = 0o040_755;
const LINK: u32 = 0o120_777;
const DEVICE: u32 = 0o020_600;
const FIFO: u32 = 0o010_600;

/// Lists everything, and ends the machine.
const INIT: &str = "#!/busybox sh
/busybox find / -xdev -exec /busybox stat -c 'FOUND %n|%f|%s|%h|%t:%T' {} ';'
echo DONE
/busybox poweroff -f
";

fn image(busybox: &[u8]) -> Vec<u8> {
    let file = |name, contents| Member::new(name, FILE, contents);
    let directory = |name| Member::new(name, DIRECTORY, b"");
    let link = |name, target| Member::new(name, LINK, target);
    let hard = |name, ino, contents| Member {
        links: (ino, 2),
        ..file(name, contents)
    };
    let device = |name, minor| Member {
        device: (1, minor),
        ..Member::new(name, DEVICE, b"")
    };
    let mut bytes = archive(&[
        file("kernel/x86/microcode/none.bin", b"not unpacked"),
        Member::new("busybox", PROGRAM, busybox),
        Member::new("init", PROGRAM, INIT.as_bytes()),
        // Nothing above it.
        file("missing/file", b"1"),
        directory("missing/directory"),
        // Out of the tree.
        directory("a"),
        file("../../up", b"22"),
        link("climb", b"../../.."),
        file("climb/climbed", b"333"),
        link("a/absolute", b"/a/../"),
        file("a/absolute/through", b"4444"),
        file("/rooted", b"55555"),
        file("./a/./../dotted", b"1"),
        link("loop", b"loop"),
        file("loop/x", b"1"),
        // Replaced by what comes later.
        file("again", b"long contents"),
        file("again", b"new"),
        directory("empty"),
        file("empty", b"now a file"),
        directory("full"),
        file("full/x", b"1"),
        file("full", b"not a file"),
        link("full", b"not a link"),
        link("lib", b"a"),
        directory("lib"),
        file("lib/x", b"1"),
        file("file", b"1"),
        file("file/x", b"1"),
        link("file", b"now-a-link"),
        link("to-file", b"again"),
        file("to-file", b"not through the link"),
        link("trailing", b"a"),
        directory("trailing/"),
        link("dangling", b"nowhere"),
        directory("dangling/"),
        // Hard links.
        hard("one", 7, b""),
        hard("two", 7, b"contents"),
        hard("three", 8, b"contents"),
        hard("four", 8, b""),
        hard("itself", 9, b"1"),
        hard("itself", 9, b"22"),
        hard("truncated", 10, b"contents"),
        hard("truncated-too", 10, b""),
        file("truncated", b"new"),
        // Devices.
        device("device", 3),
        device("device", 5),
        Member {
            contents: b"x",
            ..device("device-with-contents", 3)
        },
        Member::new("fifo", FIFO, b""),
        // Odd names and modes.
        file("slash/", b"1"),
        file("", b"1"),
        file("odd", b"1"),
        Member::new("odd", 0o644, b""),
        directory("dev/made"),
        file("root/.profile", b"1"),
        link("long-target", b"x\0y"),
    ]);
    // Another archive: the same numbers are other files.
    bytes.extend(archive(&[
        hard("other", 7, b"other"),
        file("again", b"newer"),
    ]));
    bytes
}

/// Path, kind and size of a line of the list.
fn found(console: &str) -> Result<BTreeMap<String, (String, u64)>, Stop> {
    ensure!(console.contains("DONE"), "it did not end\n{console}");
    let mut found = BTreeMap::new();
    for line in console.lines() {
        let Some((_, line)) = line.split_once("FOUND ") else {
            continue;
        };
        let fields: Vec<&str> = line.trim_end().split('|').collect();
        let [path, mode, size, ..] = fields[..] else {
            return Err(Stop::Fail(format!("not understood: {line}")));
        };
        let kind = match u32::from_str_radix(mode, 16)? & 0o170_000 {
            0o100_000 => "file",
            0o040_000 => "directory",
            0o120_000 => "symlink",
            0o020_000 => "character-device",
            0o010_000 => "fifo",
            other => return Err(Stop::Fail(format!("{path} is {other:o}"))),
        };
        let size = if kind == "directory" {
            0
        } else {
            size.parse()?
        };
        found.insert(path.to_owned(), (kind.to_owned(), size));
    }
    Ok(found)
}

/// The same of a plan. Of several names of one file, the first one has the bytes.
fn told(branch: &Value, path: &str, told: &mut BTreeMap<String, (String, u64)>) {
    for child in branch["children"].as_array().into_iter().flatten() {
        let name = child["name"].as_str().unwrap_or_default();
        let path = format!("{path}/{name}");
        let kind = child["kind"].as_str().unwrap_or_default().to_owned();
        let bytes = match &*kind {
            "directory" => 0,
            _ => child["bytes"].as_u64().unwrap_or_default(),
        };
        self::told(child, &path, told);
        told.insert(path, (kind, bytes));
    }
}

fn each_kernel_unpacks_an_odd_image_as_it_is_told() -> Checked {
    let busybox = fs::read(program("busybox")?)?;
    let desk = Desk::new()?;
    desk.write("odd.img", image(&busybox))?;
    let plan = json(&desk.succeeds("plan odd.img --full --format json")?)?;
    let mut expected = BTreeMap::from([("/".to_owned(), ("directory".to_owned(), 0))]);
    told(&plan["tree"], "", &mut expected);
    for kernel in kernels()? {
        let mut seen = unpacked(&kernel, &desk.path("odd.img"))?;
        // Further names of a file: the plan counts its bytes once.
        for name in ["/two", "/four", "/three", "/truncated-too"] {
            let counted = expected.get(name).is_some_and(|(_, bytes)| *bytes > 0);
            if !counted && let Some((_, size)) = seen.get_mut(name) {
                *size = 0;
            }
        }
        for (path, it) in &seen {
            let other = expected.get(path);
            ensure!(
                other == Some(it),
                "{path} is {it:?}, and told was {other:?}"
            );
        }
        for (path, it) in &expected {
            ensure!(
                seen.contains_key(path),
                "{path} is not there, and told was {it:?}"
            );
        }
    }
    Ok(())
}

fn unpacked(kernel: &Path, image: &Path) -> Result<BTreeMap<String, (String, u64)>, Stop> {
    let patience = Duration::from_secs(120);
    let boot = machine::boot_as_it_is(kernel, image, "", patience)?;
    found(&boot.console)
}
