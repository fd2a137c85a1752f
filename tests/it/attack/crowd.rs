//! Many connections that behave badly in the same way.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};

use super::reader::{read_answer, read_head};

/// How they behave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Manner {
    /// A head, one byte a second.
    Drip,
    /// A large file, of which they take 1 KB a second.
    SlowReader,
    /// An upload without an end, one byte a second.
    EndlessUpload,
    /// A read of a small file with a body that never ends.
    EndlessRead,
    /// One request, then nothing.
    Idle,
    /// Nothing.
    Silent,
}

/// What they may ask for.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) small: String,
    pub(crate) small_len: usize,
    pub(crate) large: String,
}

/// The connections.
pub(crate) struct Crowd {
    manner: Manner,
    streams: Vec<TcpStream>,
    /// Bytes that each has dripped.
    dripped: usize,
}

/// Never whole: dripped byte by byte it lasts for a minute, and then come more header lines.
const HEAD: &[u8] = b"GET /group1/M00/00/00/none.jpg HTTP/1.1\r\nHost: drip\r\nX-Drip: ";

impl Crowd {
    /// Connects and begins.
    pub(crate) fn gather(manner: Manner, count: usize, at: SocketAddr, files: &Files) -> Self {
        let streams = (0..count).map(|_| begin(manner, at, files)).collect();
        Self { manner, streams, dripped: 0 }
    }

    /// What they do in a second.
    pub(crate) fn step(&mut self) {
        let drip = [*HEAD.get(self.dripped).unwrap_or(&b'x')];
        self.dripped += 1;
        for stream in &mut self.streams {
            // Who has been sent away stays away: `held` tells.
            let _ = match self.manner {
                Manner::Drip => stream.write(&drip),
                Manner::SlowReader => stream.read(&mut [0; 1024]),
                Manner::EndlessUpload | Manner::EndlessRead => stream.write(b"1\r\nx\r\n"),
                Manner::Idle | Manner::Silent => Ok(0),
            };
        }
    }

    /// How many the server still has: those at whose other end something is open.
    pub(crate) fn held(&self) -> usize {
        let is_open = |stream: &TcpStream| match stream.peek(&mut [0]) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        self.streams.iter().filter(|stream| is_open(stream)).count()
    }
}

fn begin(manner: Manner, at: SocketAddr, files: &Files) -> TcpStream {
    let mut stream = connect(at, manner);
    let send =
        |stream: &mut TcpStream, text: String| stream.write_all(text.as_bytes()).expect("room to send");
    match manner {
        Manner::Drip | Manner::Silent => {}
        Manner::SlowReader => send(&mut stream, get(&files.large, "")),
        Manner::EndlessUpload => {
            let head =
                "POST /v1/files?filename=x.bin HTTP/1.1\r\nHost: up\r\nTransfer-Encoding: chunked\r\n\r\n";
            send(&mut stream, format!("{head}400\r\n{:1024}\r\n", ""));
        }
        Manner::EndlessRead => {
            send(&mut stream, get(&files.small, "Transfer-Encoding: chunked\r\n"));
        }
        Manner::Idle => {
            send(&mut stream, get(&files.small, ""));
            read_answer(&mut stream, files.small_len);
        }
    }
    stream.set_nonblocking(true).expect("the option exists");
    stream
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: crowd\r\n{more}\r\n")
}

/// A slow reader has a small window, as real ones do whose link is slow; else the kernels hold megabytes for each.
fn connect(at: SocketAddr, manner: Manner) -> TcpStream {
    // A server that another test starts must not inherit it: the connection would outlive the crowd.
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let socket = socket.expect("a descriptor");
    if manner == Manner::SlowReader {
        sockopt::set_socket_recv_buffer_size(&socket, 4096).expect("the option exists");
    }
    rustix::net::connect(&socket, &at).expect("the server accepts");
    TcpStream::from(socket)
}

/// Status of the answer to a head that is sent whole.
pub(crate) fn status(at: SocketAddr, head: &str) -> u16 {
    let mut stream = TcpStream::connect(at).expect("the server accepts");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("the option exists");
    // The server may answer, and close, before it has read all.
    let _ = stream.write_all(head.as_bytes());
    let (head, _) = read_head(&mut stream);
    head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no status: {head}"))
}
