//! A registry on this machine for tests: answers what a test tells it to.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::digest::sha256;
use super::transport::lock;

/// What is asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// With the query.
    pub(super) path: String,
    pub(super) headers: HashMap<String, String>,
    /// The body where it is text.
    pub(super) body: String,
    /// The body, whatever it is.
    pub(super) bytes: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// After how many bytes of the body the connection breaks.
    pub(super) cut: Option<usize>,
    /// It does not break, but nothing more comes.
    pub(super) hangs: bool,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            ..Self::status(200)
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// Runs until the process ends.
pub(super) struct Server {
    /// `127.0.0.1:PORT`.
    pub(super) host: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(super) fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let handler: Arc<Handler> = Arc::new(handler);
        let log = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handler, log) = (handler.clone(), log.clone());
                thread::spawn(move || serve(stream, &*handler, &log));
            }
        });
        Self { host, asked }
    }

    /// What was asked, in order.
    pub(super) fn asked(&self) -> Vec<Request> {
        lock(&self.asked).clone()
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.asked()
            .into_iter()
            .map(|request| request.path)
            .collect()
    }
}

/// Answers the requests of a connection; `None` where it ends.
fn serve(mut stream: TcpStream, handler: &Handler, log: &Mutex<Vec<Request>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).ok()?;
        let Ok(line) = String::from_utf8(line) else {
            // What servers say to who speaks TLS to them.
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok()?;
            return None;
        };
        let mut words = line.split(' ').map(str::to_owned);
        let mut request = Request {
            method: words.next()?,
            path: words.next()?,
            ..Request::default()
        };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(": ") else {
                break;
            };
            let name = name.to_ascii_lowercase();
            request.headers.insert(name, value.to_owned());
        }
        let mut body = vec![0; request.header("content-length").parse().unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        request.body = String::from_utf8(body.clone()).unwrap_or_default();
        request.bytes = body;
        lock(log).push(request.clone());
        let reply = handler(&request);
        let mut head = format!(
            "HTTP/1.1 {} x\r\ncontent-length: {}\r\n",
            reply.status,
            reply.body.len()
        );
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        if request.method == "HEAD" {
            continue;
        }
        let cut = reply.cut.unwrap_or(reply.body.len());
        stream.write_all(&reply.body[..cut]).ok()?;
        if reply.hangs {
            // Until the other side has had enough.
            let _ = reader.read(&mut [0]);
        }
        if reply.cut.is_some() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return None;
        }
    }
}

/// The content of a registry, or of a layout: by path, and with a media type.
#[derive(Clone, Default)]
pub(super) struct Content(pub(super) HashMap<String, (String, Vec<u8>)>);

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl Content {
    /// Adds a blob and gives its descriptor.
    pub(super) fn blob(&mut self, media_type: &str, bytes: &[u8]) -> serde_json::Value {
        let digest = sha256(bytes);
        let size = bytes.len();
        let value = ("application/octet-stream".to_owned(), bytes.to_vec());
        self.0.insert(format!("/v2/a/b/blobs/{digest}"), value);
        serde_json::json!({"mediaType": media_type, "digest": digest, "size": size})
    }

    /// Adds a manifest or an index by its digest and gives its descriptor.
    pub(super) fn document(
        &mut self,
        media_type: &str,
        value: &serde_json::Value,
    ) -> serde_json::Value {
        let bytes = value.to_string().into_bytes();
        let descriptor = self.blob(media_type, &bytes);
        let digest = descriptor["digest"].as_str().unwrap();
        let value = (media_type.to_owned(), bytes);
        self.0.insert(format!("/v2/a/b/manifests/{digest}"), value);
        descriptor
    }

    /// Adds an image of layers, as they are stored, for a platform.
    pub(super) fn image(&mut self, layers: &[Vec<u8>], architecture: &str) -> serde_json::Value {
        let configuration = format!(r#"{{"os": "linux", "architecture": "{architecture}"}}"#);
        let config = self.blob(
            "application/vnd.oci.image.config.v1+json",
            configuration.as_bytes(),
        );
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| self.blob("application/vnd.oci.image.layer.v1.tar+gzip", layer))
            .collect();
        let mut descriptor = self.document(
            MANIFEST,
            &serde_json::json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}),
        );
        descriptor["platform"] = serde_json::json!({"os": "linux", "architecture": architecture});
        descriptor
    }

    /// Gives a manifest a tag.
    pub(super) fn tag(&mut self, tag: &str, descriptor: &serde_json::Value) {
        let digest = descriptor["digest"].as_str().unwrap();
        let value = self.0[&format!("/v2/a/b/manifests/{digest}")].clone();
        self.0.insert(format!("/v2/a/b/manifests/{tag}"), value);
    }

    /// Keeps what is pushed to it, and answers with what there is.
    pub(super) fn take(&mut self, request: &Request) -> Reply {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        match request.method.as_str() {
            "POST" if path == "/v2/a/b/blobs/uploads/" => {
                Reply::status(202).with("location", "/v2/a/b/blobs/uploads/1?state=x%3D")
            }
            "PUT" if path == "/v2/a/b/blobs/uploads/1" => {
                let digest = sha256(&request.bytes);
                if query != format!("state=x%3D&digest={digest}") {
                    return Reply::status(400);
                }
                self.blob("application/octet-stream", &request.bytes);
                Reply::status(201)
            }
            "PUT" if path.starts_with("/v2/a/b/manifests/") => {
                let digest = sha256(&request.bytes);
                let value = (
                    request.header("content-type").to_owned(),
                    request.bytes.clone(),
                );
                self.0
                    .insert(format!("/v2/a/b/manifests/{digest}"), value.clone());
                self.0.insert(path.to_owned(), value);
                Reply::status(201).with("docker-content-digest", digest)
            }
            _ => self.reply(request),
        }
    }

    /// Answers with what there is.
    pub(super) fn reply(&self, request: &Request) -> Reply {
        let path = request.path.split('?').next().unwrap();
        match self.0.get(path) {
            Some((media_type, bytes)) => {
                Reply::ok(bytes.clone()).with("content-type", media_type.clone())
            }
            None => Reply {
                body:
                    br#"{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}"#
                        .to_vec(),
                ..Reply::status(404)
            },
        }
    }
}
