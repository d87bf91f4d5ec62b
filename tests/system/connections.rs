//! `srctl extension pull` where registries and connections misbehave.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use switch_root_tests::layout::Compression;
use switch_root_tests::proxy::{Action, Proxy, Request};

use crate::check::{ensure, says};
use crate::srctl::{Desk, Shelf, closed, extension, same};
use crate::tools::{Checked, Stop, cases};

cases![
    a_download_goes_on_where_the_connection_broke,
    a_download_that_breaks_again_and_again_is_given_up,
    bytes_that_are_not_those_of_the_digest_are_not_unpacked,
    a_registry_that_wants_to_be_asked_later_is_asked_later,
    a_registry_that_wants_to_be_asked_much_later_is_not_waited_for,
    a_registry_that_refuses_is_quoted,
    what_is_no_image_is_not_unpacked,
    a_registry_that_is_not_there_is_named,
    of_several_images_all_come_or_none,
];

/// A registry with the image `tools:v1` of the desk's folder `tools`, behind a proxy.
struct Line {
    desk: Desk,
    proxy: Proxy,
    /// The registry without the proxy.
    shelf: Shelf,
    /// The digest of the image's layer.
    layer: String,
}

impl Line {
    /// `decide` is told the digest of the layer, too.
    fn new(
        decide: impl Fn(&Request, &str) -> Action + Send + Sync + 'static,
    ) -> Result<Self, Stop> {
        let (desk, mut shelf) = (Desk::new()?, Shelf::new()?);
        let tree = desk.tree("tools", &extension("tools"))?;
        let layer = shelf.put("tools", &tree, Compression::Gzip)?;
        let of_layer = layer.clone();
        let proxy = Proxy::start(&shelf.registry.host, move |request| {
            decide(request, &of_layer)
        })?;
        Ok(Self {
            desk,
            proxy,
            shelf,
            layer,
        })
    }

    fn pull(&self) -> String {
        format!("extension pull {}/tools:v1 --output out", self.proxy.host)
    }

    fn succeeds(&self) -> Checked {
        self.desk.succeeds(&self.pull())?;
        let folder = format!("000.{}-tools-v1", self.proxy.host).replace(':', "-");
        same(
            &self.desk.path("tools"),
            &self.desk.path("out").join(folder),
        )
    }

    /// It fails where the folder was not there before, and where it was.
    fn fails(&self, words: &[&str]) -> Checked {
        self.desk.fails(&self.pull(), words)?;
        self.desk.tree("out/mine", &extension("mine"))?;
        self.desk.fails(&self.pull(), words)
    }

    /// What was asked about the layer.
    fn of_layer(&self) -> Vec<Request> {
        let mut asked = self.proxy.asked();
        asked.retain(|request| request.path().contains(&self.layer));
        asked
    }
}

fn a_download_goes_on_where_the_connection_broke() -> Checked {
    let line =
        Line::new(
            |request, layer| match request.path().contains(layer) && request.before < 2 {
                true => Action::Cut(10_000),
                false => Action::Forward,
            },
        )?;
    line.succeeds()?;
    let asked = line.of_layer();
    let ranges: Vec<&str> = asked
        .iter()
        .map(|request| request.header("range"))
        .collect();
    ensure!(
        ranges == ["", "bytes=10000-", "bytes=20000-"],
        "asked for {ranges:?}"
    );
    Ok(())
}

fn a_download_that_breaks_again_and_again_is_given_up() -> Checked {
    let line =
        Line::new(
            |request, layer| match (request.path().contains(layer), request.before) {
                (true, 0) => Action::Cut(5000),
                (true, _) => Action::Cut(0),
                _ => Action::Forward,
            },
        )?;
    let words = ["cannot pull", "broke", "5000 of ", " bytes were received"];
    line.desk
        .fails(&line.pull(), &[&words[..], &[&line.layer]].concat())
}

fn bytes_that_are_not_those_of_the_digest_are_not_unpacked() -> Checked {
    let line = Line::new(|request, layer| match request.path().contains(layer) {
        true => Action::Damage,
        false => Action::Forward,
    })?;
    line.fails(&["cannot pull", &line.layer])?;
    // By a tag nothing is promised; by a digest it is.
    let printed = line.desk.succeeds(&format!(
        "extension pull {}/tools:v1 --output good",
        line.shelf.registry.host
    ))?;
    let digest = printed.trim_end().rsplit(' ').next().unwrap_or_default();
    let other = Proxy::start(&line.shelf.registry.host, |request| {
        match request.path().contains("/manifests/") {
            true => Action::Damage,
            false => Action::Forward,
        }
    })?;
    line.desk.fails(
        &format!("extension pull {}/tools@{digest} --output out", other.host),
        &[
            "is not what it should be",
            &format!("{digest} was expected"),
        ],
    )
}

fn later(seconds: u32) -> Action {
    Action::Reply(429, ("Retry-After", seconds.to_string()), String::new())
}

fn a_registry_that_wants_to_be_asked_later_is_asked_later() -> Checked {
    let first = AtomicUsize::new(0);
    let line = Line::new(move |request, layer| {
        match request.path().contains(layer) && first.fetch_add(1, Ordering::Relaxed) == 0 {
            true => later(1),
            false => Action::Forward,
        }
    })?;
    let begun = Instant::now();
    line.succeeds()?;
    let (asked, time) = (line.of_layer().len(), begun.elapsed());
    ensure!(asked == 2, "the layer was asked for {asked} times");
    ensure!(time >= Duration::from_secs(1), "it waited for {time:?}");
    Ok(())
}

fn a_registry_that_wants_to_be_asked_much_later_is_not_waited_for() -> Checked {
    let line = Line::new(|_, _| later(3600))?;
    let begun = Instant::now();
    line.fails(&["too many requests", "3600 seconds", &line.proxy.host])?;
    let time = begun.elapsed();
    ensure!(time < Duration::from_secs(20), "it waited for {time:?}");
    Ok(())
}

fn a_registry_that_refuses_is_quoted() -> Checked {
    let refusal = |status, code: &'static str| {
        move |_: &Request, _: &str| {
            let body =
                format!(r#"{{"errors": [{{"code": "{code}", "message": "so it \u001b[31mis"}}]}}"#);
            let challenge = ("WWW-Authenticate", "Basic realm=\"r\"".to_owned());
            Action::Reply(status, challenge, body)
        }
    };
    for (status, words) in [
        (403, "credentials are looked for in"),
        (404, "check the name and the tag"),
        (418, "status 418"),
    ] {
        let line = Line::new(refusal(status, "SOME_CODE"))?;
        let ran = line.desk.changes_nothing(&line.pull(), 1)?;
        let status = status.to_string();
        says(
            &ran.stderr,
            &["cannot pull", &line.proxy.host, &status, words, "SOME_CODE"],
        )?;
        ensure!(
            !ran.stderr.contains('\x1b'),
            "a terminal obeys: {}",
            ran.said()
        );
        line.fails(&[words])?;
    }
    let line = Line::new(refusal(401, "SOME_CODE"))?;
    line.fails(&[
        "wants to know who asks",
        "there are no credentials for it",
        "config.json",
    ])?;
    // What a registry as others run it says.
    let line = Line::new(|_, _| Action::Forward)?;
    let host = &line.shelf.registry.host;
    line.desk.fails(
        &format!("extension pull {host}/tools:v2 --output out"),
        &[host, "tools/manifests/v2", "404", "MANIFEST_UNKNOWN"],
    )
}

fn what_is_no_image_is_not_unpacked() -> Checked {
    let signature = "application/vnd.dev.cosign.simplesigning.v1+json";
    let reply = |media_type: &'static str, body: &'static str| {
        move |_: &Request, _: &str| {
            Action::Reply(200, ("Content-Type", media_type.into()), body.into())
        }
    };
    let line = Line::new(reply(signature, r#"{"schemaVersion": 2}"#))?;
    line.fails(&["media type", signature, "not an image"])?;
    let line = Line::new(reply("text/html", "<html>Log in, please</html>"))?;
    line.fails(&["cannot pull", "text/html", "what is no manifest"])?;
    let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let line = Line::new(reply(schema1, r#"{"schemaVersion": 1}"#))?;
    line.fails(&["schema 1"])?;
    // A document says itself what it is.
    let line = Line::new(|request, _| match request.path().contains("/manifests/") {
        true => Action::MediaType("application/vnd.oci.image.index.v1+json"),
        false => Action::Forward,
    })?;
    line.succeeds()
}

fn a_registry_that_is_not_there_is_named() -> Checked {
    let desk = Desk::new()?;
    let closed = closed()?;
    desk.fails(
        &format!("extension pull {closed}/tools:v1 --output out"),
        &["cannot pull", &closed, "refused"],
    )?;
    desk.fails(
        "extension pull registry.invalid/tools:v1 --output out",
        &["cannot pull", "registry.invalid", "the host is not known"],
    )
}

fn of_several_images_all_come_or_none() -> Checked {
    let line = Line::new(|_, _| Action::Forward)?;
    let host = &line.proxy.host;
    let pull = format!("extension pull {host}/tools:v1 {host}/missing:v1 --output out --parallel");
    for parallel in ["1", "4"] {
        line.desk
            .fails(&format!("{pull} {parallel}"), &["missing:v1"])?;
    }
    Ok(())
}
