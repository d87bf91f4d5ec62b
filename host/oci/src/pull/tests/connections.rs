//! Connections that break, stall or bring what they should not.

use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use super::registries::{registry, v1};
use super::*;

/// A registry whose answers for layers `f` may change; bytes from an offset on
/// where they are asked for.
fn breaking(f: impl Fn(usize, &Request, &[u8]) -> Reply + Send + Sync + 'static) -> Server {
    let mut content = Content::default();
    let big: String = (0..200_000).map(|n| format!("{n} ")).collect();
    let layer = Layer::default().file("big", &big).end();
    let image = content.image(std::slice::from_ref(&layer), "amd64");
    content.tag("v1", &image);
    let path = content
        .0
        .iter()
        .find(|(_, (_, bytes))| *bytes == layer)
        .map(|(path, _)| path.clone())
        .unwrap();
    let count = AtomicUsize::new(0);
    Server::start(
        move |request| match request.path.split('?').next() == Some(&path) {
            true => f(count.fetch_add(1, Ordering::Relaxed), request, &layer),
            false => content.reply(request),
        },
    )
}

fn offset(request: &Request) -> Option<usize> {
    let range = request.header("range").strip_prefix("bytes=")?;
    range.strip_suffix('-')?.parse().ok()
}

fn part(bytes: &[u8], from: usize) -> Reply {
    let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
    Reply {
        body: bytes[from..].to_vec(),
        ..Reply::status(206).with("content-range", range)
    }
}

#[test]
fn a_connection_that_breaks_is_resumed_where_it_broke() {
    let server = breaking(|count, request, layer| {
        let from = offset(request).unwrap_or(0);
        assert_eq!(from > 0, count > 0);
        Reply {
            cut: (count < 3).then_some(300_000),
            ..match from {
                0 => Reply::ok(layer),
                from => part(layer, from),
            }
        }
    });
    let lines = Pull::new().pull_tree(&v1(&server));
    assert!(lines[0].starts_with("big 644 0 1 2") && lines[0].ends_with(" 199999 "));
    assert!(
        server
            .asked()
            .iter()
            .filter(|request| offset(request).is_some())
            .count()
            >= 3
    );
}

#[test]
fn a_server_that_cannot_resume_is_read_from_the_start() {
    let server = breaking(|count, _, layer| Reply {
        cut: (count < 2).then_some(400_000 + count),
        ..Reply::ok(layer)
    });
    let lines = Pull::new().pull_tree(&v1(&server));
    assert!(lines[0].ends_with(" 199999 "));
}

#[test]
fn a_blob_that_stays_truncated_is_told_with_its_bytes() {
    let server = breaking(|_, request, layer| match offset(request) {
        None => Reply {
            cut: Some(1000),
            ..Reply::ok(layer)
        },
        Some(from) => Reply {
            cut: Some(0),
            ..part(layer, from)
        },
    });
    let error = Pull::new().fails(&[&v1(&server)]);
    assert_eq!(error.kind, Kind::Unreachable);
    let error = error.to_string();
    assert!(
        error.contains("1000 of ") && error.contains("sha256:"),
        "{error}"
    );
}

#[test]
fn a_part_that_is_not_the_one_that_was_asked_for_is_refused() {
    let server = breaking(|_, request, layer| match offset(request) {
        None => Reply {
            cut: Some(1000),
            ..Reply::ok(layer)
        },
        Some(from) => part(layer, from + 7),
    });
    let error = Pull::new().fails(&[&v1(&server)]);
    assert_eq!(error.kind, Kind::Corrupt, "{error}");
}

#[test]
fn content_that_is_not_what_its_digest_says_is_corrupt() {
    let server = breaking(|_, _, layer| {
        let mut layer = layer.to_vec();
        layer[5000] ^= 1;
        Reply::ok(layer)
    });
    let error = Pull::new().fails(&[&v1(&server)]);
    assert_eq!(error.kind, Kind::Corrupt);
    let error = error.to_string();
    assert!(
        error.contains("its digest is sha256:") && error.contains("the layer sha256:"),
        "{error}"
    );

    let server = breaking(|_, _, layer| Reply::ok(&layer[..layer.len() - 1]));
    let error = Pull::new().fails(&[&v1(&server)]);
    assert_eq!(error.kind, Kind::Corrupt);
    assert!(error.to_string().contains("were expected"), "{error}");

    // A manifest that was asked for by its digest.
    let other = format!("sha256:{}", "0".repeat(64));
    let content = simple("one");
    let lying = Server::start(move |_| Reply::ok(content.0["/v2/a/b/manifests/v1"].1.clone()));
    let error = Pull::new().fails(&[&format!("{}/a/b@{other}", lying.host)]);
    assert_eq!(error.kind, Kind::Corrupt);
    assert!(error.to_string().contains(&other), "{error}");
}

#[test]
fn an_endpoint_that_breaks_within_a_layer_is_followed_by_the_next() {
    let good = breaking(|_, request, layer| match offset(request) {
        Some(from) => part(layer, from),
        None => Reply::ok(layer),
    });
    let mirror = breaking(|count, _, layer| match count {
        0 => Reply {
            cut: Some(300_000),
            ..Reply::ok(layer)
        },
        _ => Reply::status(404),
    });
    let mut pull = Pull::new();
    pull.registries.mirrors.insert(
        "*".into(),
        Mirror {
            endpoints: vec![format!("http://{}", mirror.host).into()],
            ..Mirror::default()
        },
    );
    let lines = pull.pull_tree(&v1(&good));
    assert!(lines[0].ends_with(" 199999 "));
    assert!(
        good.asked()
            .iter()
            .any(|request| offset(request).is_some_and(|from| from > 0))
    );
}

#[test]
fn a_failure_ends_what_waits_for_a_server() {
    let stuck = Server::start(|_| {
        std::thread::sleep(std::time::Duration::from_secs(20));
        Reply::status(404)
    });
    let server = registry("one", |_| None);
    let start = Instant::now();
    let missing = format!("{}/a/b:other", server.host);
    let error = Pull::new().fails(&[&v1(&stuck), &missing]);
    assert_eq!(error.kind, Kind::NotFound);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    assert!(error.to_string().contains(&missing), "{error}");
}
