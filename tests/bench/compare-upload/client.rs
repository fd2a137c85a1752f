//! The clients: threads with a kept connection each, which upload one file after the other.

use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::used_by;

pub(crate) const CONNECTIONS: usize = 16;
/// Longest head or answer.
const MAX_ANSWER: usize = 64 * 1024;
/// A server that says nothing for so long is broken.
const SILENCE: Duration = Duration::from_secs(20);

/// How uploads go.
pub(crate) enum To {
    /// POST of the same URL.
    Node(SocketAddr),
    /// The tracker says which URL.
    Tracker(SocketAddr),
    /// Native command 11.
    Native(SocketAddr),
    /// PUT of ids that the master gave beforehand.
    Volume { master: SocketAddr },
    /// PUT of the id that the master gives.
    Master(SocketAddr),
}

/// A way of uploads, and the processes that it keeps busy.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) to: To,
    pub(crate) servers: Vec<u32>,
}

/// What one run says.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    /// Milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) errors: usize,
    /// Seconds of processor time of the servers per second.
    pub(crate) busy: f64,
}

/// Uploads for so long.
pub(crate) fn run(way: &Way, body: &[u8], time: Duration) -> Sample {
    let used = || way.servers.iter().copied().map(used_by).sum::<Duration>();
    let errors = AtomicUsize::new(0);
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| Client::new(&way.to)).collect();
    let (before, start) = (used(), Instant::now());
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = clients
            .into_iter()
            .map(|client| scope.spawn(|| upload_until(client, body, start + time, &errors)))
            .collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client does not panic")).collect()
    });
    let (elapsed, busy) = (start.elapsed(), used().saturating_sub(before));
    times.sort_unstable();
    let at =
        |per_cent: usize| times.get(times.len() * per_cent / 100).map_or(f64::NAN, Duration::as_secs_f64);
    let count = u32::try_from(times.len()).expect("fewer than four thousand million");
    Sample {
        per_second: f64::from(count) / elapsed.as_secs_f64(),
        p50: at(50) * 1e3,
        p99: at(99) * 1e3,
        errors: errors.into_inner(),
        busy: busy.as_secs_f64() / elapsed.as_secs_f64(),
    }
}

fn upload_until(
    client: io::Result<Client>,
    body: &[u8],
    end: Instant,
    errors: &AtomicUsize,
) -> Vec<Duration> {
    let mut times = Vec::new();
    let upload = || -> io::Result<()> {
        let mut client = client?;
        while Instant::now() < end {
            let start = Instant::now();
            client.upload(body)?;
            times.push(start.elapsed());
        }
        Ok(())
    };
    if let Err(error) = upload() {
        crate::say::say(&format!("an upload failed: {error}"));
        errors.fetch_add(1, Ordering::Relaxed);
    }
    times
}

/// One client and its connections.
enum Client {
    Node(Connection),
    Tracker { tracker: Connection, node: Option<Connection> },
    Native(Connection),
    Volume { volume: Connection, id: String, next: usize },
    Master { master: Connection, volume: Option<Connection> },
}

impl Client {
    fn new(to: &To) -> io::Result<Self> {
        Ok(match to {
            To::Node(at) => Self::Node(Connection::open(*at)?),
            To::Tracker(at) => Self::Tracker { tracker: Connection::open(*at)?, node: None },
            To::Native(at) => Self::Native(Connection::open(*at)?),
            To::Volume { master } => {
                let answer = Connection::open(*master)?.ask("GET", "/dir/assign?count=1000000", &[])?;
                let (id, at) = assigned(&answer)?;
                Self::Volume { volume: Connection::open(at)?, id, next: 0 }
            }
            To::Master(at) => Self::Master { master: Connection::open(*at)?, volume: None },
        })
    }

    fn upload(&mut self, body: &[u8]) -> io::Result<()> {
        match self {
            Self::Node(node) => node.ask("POST", "/v1/files", body).map(drop),
            Self::Tracker { tracker, node } => {
                let answer = tracker.ask("POST", "/v1/schedule/upload", &[])?;
                let answer: Value = serde_json::from_slice(&answer)?;
                let url = answer["places"][0]["upload_url"].as_str().ok_or(io::ErrorKind::InvalidData)?;
                let (at, path) =
                    url.trim_start_matches("http://").split_once('/').ok_or(io::ErrorKind::InvalidData)?;
                let node = connection(node, at.parse().map_err(io::Error::other)?)?;
                node.ask("POST", &format!("/{path}"), body).map(drop)
            }
            Self::Native(storage) => storage.upload_natively(body),
            Self::Volume { volume, id, next } => {
                // The ids of one call are the first with a number behind it.
                let path = if *next == 0 { format!("/{id}") } else { format!("/{id}_{next}") };
                *next += 1;
                volume.ask("PUT", &path, body).map(drop)
            }
            Self::Master { master, volume } => {
                let (id, at) = assigned(&master.ask("GET", "/dir/assign", &[])?)?;
                connection(volume, at)?.ask("PUT", &format!("/{id}"), body).map(drop)
            }
        }
    }
}

/// The connection to a server that was just named.
fn connection(kept: &mut Option<Connection>, at: SocketAddr) -> io::Result<&mut Connection> {
    if kept.as_ref().is_some_and(|kept| kept.at != at) {
        *kept = None;
    }
    match kept {
        Some(kept) => Ok(kept),
        None => Ok(kept.insert(Connection::open(at)?)),
    }
}

fn assigned(answer: &[u8]) -> io::Result<(String, SocketAddr)> {
    let answer: Value = serde_json::from_slice(answer)?;
    let text = |name: &str| answer[name].as_str().ok_or_else(|| io::Error::other(answer.to_string()));
    Ok((text("fid")?.to_owned(), text("url")?.parse().map_err(io::Error::other)?))
}

/// A kept connection.
struct Connection {
    at: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(at: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(Self { at, stream, buffer: vec![0; MAX_ANSWER] })
    }

    /// One request over HTTP; the body of its answer, which must be a success.
    fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/octet-stream\r\n\
             Content-Length: {}\r\n\r\n",
            self.at,
            body.len()
        );
        self.send(head.as_bytes(), body)?;
        let mut have = 0;
        let (head_len, body_len) = loop {
            have += self.more(have)?;
            if let Some(lengths) = lengths(&self.buffer[..have])? {
                break lengths;
            }
        };
        while have < head_len + body_len {
            have += self.more(have)?;
        }
        Ok(self.buffer[head_len..head_len + body_len].to_vec())
    }

    /// Command 11: store path, size, extension, content.
    fn upload_natively(&mut self, body: &[u8]) -> io::Result<()> {
        const HEAD: usize = 10;
        const BEFORE_CONTENT: usize = 15;
        let size = u64::try_from(body.len()).expect("fits");
        let mut head = Vec::with_capacity(HEAD + BEFORE_CONTENT);
        head.extend_from_slice(&(size + 15).to_be_bytes());
        head.extend_from_slice(&[11, 0, 0]);
        head.extend_from_slice(&size.to_be_bytes());
        head.extend_from_slice(b"bin\0\0\0");
        self.send(&head, body)?;
        let mut answer = [0; HEAD];
        self.stream.read_exact(&mut answer)?;
        let len = u64::from_be_bytes(*answer.first_chunk().expect("ten bytes"));
        if answer[HEAD - 1] != 0 {
            return Err(io::Error::other(format!("status {}", answer[HEAD - 1])));
        }
        let rest = usize::try_from(len).ok().and_then(|len| self.buffer.get_mut(..len));
        self.stream.read_exact(rest.ok_or(io::ErrorKind::InvalidData)?)
    }

    fn more(&mut self, have: usize) -> io::Result<usize> {
        match self.stream.read(&mut self.buffer[have..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            len => Ok(len),
        }
    }

    /// Both parts, in one write if the socket takes them.
    fn send(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        let written = self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)])?;
        match written.checked_sub(head.len()) {
            Some(of_body) => self.stream.write_all(&body[of_body..]),
            None => {
                self.stream.write_all(&head[written..])?;
                self.stream.write_all(body)
            }
        }
    }
}

/// Lengths of the head and of the body of an answer, once the head is there.
fn lengths(have: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let Some(end) = have.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&have[..end]).to_ascii_lowercase();
    if !head.starts_with("http/1.1 20") {
        return Err(io::Error::other(String::from_utf8_lossy(have).into_owned()));
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let body = length.ok_or_else(|| io::Error::other(format!("no length: {head}")))?;
    Ok(Some((end + 4, body)))
}
