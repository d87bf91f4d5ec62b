//! `srctl` that is told to stop while it works.

use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use switch_root_tests::layout::Compression;
use switch_root_tests::proxy::{Action, Proxy};
use switch_root_tests::snapshot::difference;
use switch_root_tests::steps::Steps;

use crate::check::ensure;
use crate::distributing::place;
use crate::installing::{archive, configure, desk as with_layout};
use crate::srctl::{Desk, Ran, Shelf, extension, noise, tree};
use crate::tools::{Checked, Stop, cases};

cases![
    a_pull_that_is_interrupted_leaves_nothing_behind,
    an_install_that_is_interrupted_leaves_nothing_behind,
    packing_that_is_interrupted_leaves_nothing_behind,
    a_policy_is_not_waited_for_that_a_registry_neither_gives_nor_takes,
];

/// How long something may take to begin, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends what a failed test leaves running.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Interrupts `srctl` once it is `busy`, and checks that everything is as it was, and
/// that it does not take long.
fn interrupt(
    desk: &Desk,
    arguments: &str,
    signal: Signal,
    busy: impl Fn() -> Result<bool, Stop>,
) -> Checked {
    let before = desk.everything()?;
    let mut command = desk.command(arguments)?;
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut running = Running(child);
    let begun = Instant::now();
    // What cannot be looked at is changing right now.
    while !busy().unwrap_or_default() {
        ensure!(
            begun.elapsed() < PATIENCE,
            "srctl {arguments} does not begin"
        );
        ensure!(
            running.0.try_wait()?.is_none(),
            "srctl {arguments} ended early"
        );
        thread::sleep(Duration::from_millis(10));
    }
    let told = Instant::now();
    kill(Pid::from_raw(i32::try_from(running.0.id())?), signal)?;
    while running.0.try_wait()?.is_none() {
        ensure!(told.elapsed() < PATIENCE, "srctl {arguments} does not end");
        thread::sleep(Duration::from_millis(10));
    }
    let time = told.elapsed();
    let output = std::process::Output {
        status: running.0.wait()?,
        stdout: read(running.0.stdout.take())?,
        stderr: read(running.0.stderr.take())?,
    };
    let ran = Ran::new(arguments, &output);
    ensure!(ran.status == Some(130), "{}", ran.said());
    ensure!(ran.stdout.is_empty(), "{}", ran.said());
    let changes = difference(&before, &desk.everything()?);
    ensure!(changes.is_empty(), "changed: {changes:?}\n{}", ran.said());
    ensure!(time < Duration::from_secs(5), "it took {time:?}");
    Ok(())
}

fn read(pipe: Option<impl std::io::Read>) -> Result<Vec<u8>, Stop> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// A registry whose layers come slowly, with the image `tools:v1`.
fn slow(desk: &Desk) -> Result<(Shelf, Proxy, String), Stop> {
    let mut shelf = Shelf::new()?;
    let large = extension("tools").file("/rootfs/usr/local/large", noise(1 << 20));
    let tree = desk.tree("tools", &large)?;
    let layer = shelf.put("tools", &tree, Compression::Gzip)?;
    let of_layer = layer.clone();
    let proxy = Proxy::start(&shelf.registry.host, move |request| {
        match request.path().contains(&of_layer) {
            true => Action::Slow(900_000),
            false => Action::Forward,
        }
    })?;
    Ok((shelf, proxy, layer))
}

fn asks_for(proxy: &Proxy, layer: &str) -> bool {
    proxy
        .asked()
        .iter()
        .any(|request| request.path().contains(layer))
}

fn a_pull_that_is_interrupted_leaves_nothing_behind() -> Checked {
    let desk = Desk::new()?;
    let (_shelf, proxy, layer) = slow(&desk)?;
    let pull = format!("extension pull {}/tools:v1 --output a/b", proxy.host);
    // Something has been unpacked by then.
    let unpacking = || {
        let begun = desk.path("a/b").is_dir()
            && tree(&desk.path("a/b"))?
                .keys()
                .any(|path| path.ends_with("/rootfs"));
        Ok(begun && asks_for(&proxy, &layer))
    };
    interrupt(&desk, &pull, Signal::SIGINT, unpacking)?;
    interrupt(&desk, &pull, Signal::SIGTERM, unpacking)
}

fn an_install_that_is_interrupted_leaves_nothing_behind() -> Checked {
    let desk = Desk::new()?;
    let (_shelf, proxy, layer) = slow(&desk)?;
    desk.write("in.img", archive(&[("init", b"init")])?)?;
    desk.write("out.img", "an older one")?;
    configure(&desk, &[&format!("{}/tools:v1", proxy.host)])?;
    let install = "extension install --config machine.yaml --target-version 1.7.0 --initramfs in.img --output out.img";
    interrupt(&desk, install, Signal::SIGINT, || {
        Ok(asks_for(&proxy, &layer))
    })
}

fn packing_that_is_interrupted_leaves_nothing_behind() -> Checked {
    let desk = with_layout()?;
    let large = extension("large").file("/rootfs/usr/local/large", noise(16 << 20));
    desk.tree("all/000.large", &large)?;
    let folder = desk.tree("out", &[])?;
    desk.write("out/all.img", "an older one")?;
    let pack = "extension pack all --layer-level 19 --output out/all.img";
    interrupt(&desk, pack, Signal::SIGINT, || {
        let written = tree(&folder)?;
        Ok(written
            .iter()
            .any(|(path, entry)| path.ends_with(".sqsh") && entry.size > 0))
    })
}

fn a_policy_is_not_waited_for_that_a_registry_neither_gives_nor_takes() -> Checked {
    let desk = Desk::new()?;
    place(&desk, "keep-paths", "50-keep.wasm")?;
    for what in ["policy push 50-keep.wasm", "policy pull"] {
        let silent = TcpListener::bind("127.0.0.1:0")?;
        silent.set_nonblocking(true)?;
        let command = format!("{what} {}/keep:v1", silent.local_addr()?);
        // Once accepted, the connection is held, and nothing is answered.
        let held = std::cell::RefCell::new(Vec::new());
        interrupt(&desk, &command, Signal::SIGINT, || {
            held.borrow_mut().push(silent.accept()?);
            Ok(true)
        })?;
    }
    Ok(())
}
