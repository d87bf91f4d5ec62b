//! A server that stands before a registry and misbehaves as a test wants it to. It takes
//! one request of each connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(20);
/// Times that a slow answer goes on.
const DRIPS: usize = 400;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The first line and the headers, as they came.
    pub head: String,
    /// How many requests for the same path were before.
    pub before: usize,
}

impl Request {
    /// The path, with the query.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        found.next().map_or("", |(_, value)| value.trim())
    }

    /// Whether a blob is asked for.
    pub fn is_blob(&self) -> bool {
        self.path().contains("/blobs/")
    }
}

/// What is done about a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// The registry answers.
    Forward,
    /// It answers, and the connection breaks after so many bytes of the body.
    Cut(usize),
    /// It answers, and the last byte of the body is another.
    Damage,
    /// It answers, and the media type of the answer is another.
    MediaType(&'static str),
    /// It answers, and after so many bytes of the body nearly nothing comes.
    Slow(usize),
    /// The proxy answers itself: status, one header, and a body.
    Reply(u16, (&'static str, String), String),
}

type Decide = dyn Fn(&Request) -> Action + Send + Sync;

/// A proxy that runs until it is dropped.
pub struct Proxy {
    /// `127.0.0.1:PORT`.
    pub host: String,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts a proxy before the registry at `upstream`.
    ///
    /// # Errors
    /// There is no port for it.
    pub fn start(
        upstream: &str,
        decide: impl Fn(&Request) -> Action + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let proxy = Self {
            host: address.to_string(),
            address,
            asked: Arc::default(),
            ended: Arc::default(),
        };
        let (asked, ended) = (Arc::clone(&proxy.asked), Arc::clone(&proxy.ended));
        let decide: Arc<Decide> = Arc::new(decide);
        let upstream = upstream.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (asked, ended) = (Arc::clone(&asked), Arc::clone(&ended));
                let (decide, upstream) = (Arc::clone(&decide), upstream.clone());
                thread::spawn(move || {
                    // What goes wrong here, the test sees at the other end.
                    let _ = serve(stream, &upstream, &*decide, &asked, &ended);
                });
            }
        });
        Ok(proxy)
    }

    /// What was asked, in order.
    pub fn asked(&self) -> Vec<Request> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // So that the listener looks.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    mut client: TcpStream,
    upstream: &str,
    decide: &Decide,
    asked: &Mutex<Vec<Request>>,
    ended: &AtomicBool,
) -> io::Result<()> {
    client.set_read_timeout(Some(SILENCE))?;
    client.set_write_timeout(Some(SILENCE))?;
    let mut request = Request {
        head: head(&mut BufReader::new(client.try_clone()?))?,
        before: 0,
    };
    {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        request.before = asked
            .iter()
            .filter(|other| other.path() == request.path())
            .count();
        asked.push(request.clone());
    }
    let action = decide(&request);
    if let Action::Reply(status, (name, value), body) = &action {
        let answer = format!(
            "HTTP/1.1 {status} Whatever\r\n{name}: {value}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        return client.write_all(answer.as_bytes());
    }
    let (answer, mut body) = ask(upstream, &request)?;
    let answer = match &action {
        Action::MediaType(media_type) => {
            let others = answer.lines().filter(|line| {
                !line.is_empty() && !line.to_ascii_lowercase().starts_with("content-type:")
            });
            let others: String = others.map(|line| format!("{line}\r\n")).collect();
            format!("{others}Content-Type: {media_type}\r\n\r\n")
        }
        _ => answer,
    };
    client.write_all(answer.as_bytes())?;
    match action {
        Action::Cut(bytes) => body.truncate(bytes),
        Action::Damage => {
            if let Some(last) = body.last_mut() {
                *last ^= 1;
            }
        }
        Action::Slow(bytes) => {
            let (at_once, slowly) = body.split_at(bytes.min(body.len()));
            client.write_all(at_once)?;
            for byte in slowly.iter().take(DRIPS) {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                client.write_all(&[*byte])?;
                thread::sleep(Duration::from_millis(50));
            }
            return Ok(());
        }
        _ => {}
    }
    client.write_all(&body)
}

/// Asks the registry, and gives the head and the body of its answer.
fn ask(upstream: &str, request: &Request) -> io::Result<(String, Vec<u8>)> {
    let mut server = TcpStream::connect(upstream)?;
    server.set_read_timeout(Some(SILENCE))?;
    let lines = request.head.lines().filter(|line| {
        let line = line.to_ascii_lowercase();
        !line.is_empty() && !line.starts_with("connection:")
    });
    let lines: String = lines.map(|line| format!("{line}\r\n")).collect();
    server.write_all(format!("{lines}Connection: close\r\n\r\n").as_bytes())?;
    let mut reader = BufReader::new(server);
    let head = head(&mut reader)?;
    let mut body = Vec::new();
    reader.read_to_end(&mut body)?;
    Ok((head, body))
}

/// Up to the empty line, which is a part of it.
fn head(reader: &mut impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 || head.len() > 64 << 10 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}
