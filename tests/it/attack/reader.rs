//! A visitor who reads a small file again and again, and notes how long each answer takes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two requests, so that the visitor is no load itself.
const PAUSE: Duration = Duration::from_millis(1);

/// Times of answers.
pub(crate) struct Times {
    sorted: Vec<Duration>,
}

impl Times {
    /// What 99 of 100 answers do not exceed.
    pub(crate) fn p99(&self) -> Duration {
        self.sorted[(self.sorted.len() - 1) * 99 / 100]
    }
}

/// Reads `path`, whose file has `len` bytes, for so long, on a connection that is kept. In a thread of its own: what else
/// this process does must not be counted.
pub(crate) fn read_for(at: SocketAddr, path: &str, len: usize, time: Duration) -> JoinHandle<Times> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: reader\r\n\r\n");
    std::thread::spawn(move || {
        let mut stream = connect(at);
        let start = Instant::now();
        let mut sorted = Vec::new();
        while start.elapsed() < time {
            let asked = Instant::now();
            stream.write_all(request.as_bytes()).expect("the connection is kept");
            if read_answer(&mut stream, len) == Kept::No {
                stream = connect(at);
            }
            sorted.push(asked.elapsed());
            std::thread::sleep(PAUSE);
        }
        sorted.sort();
        Times { sorted }
    })
}

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).expect("the server accepts a visitor");
    stream.set_nodelay(true).expect("the option exists");
    stream
}

/// Whether a connection has room for another request.
#[derive(PartialEq)]
pub(super) enum Kept {
    Yes,
    No,
}

/// Reads an answer with this much content, which must be a 200.
pub(super) fn read_answer(stream: &mut TcpStream, len: usize) -> Kept {
    let (head, mut content) = read_head(stream);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut piece = [0; 65_536];
    while content < len {
        match stream.read(&mut piece).expect("the answer arrives") {
            0 => panic!("the connection ended after {content} of {len} bytes"),
            count => content += count,
        }
    }
    assert_eq!(content, len, "as much as was asked for");
    if head.to_ascii_lowercase().contains("\nconnection: close") { Kept::No } else { Kept::Yes }
}

/// Reads a head; also how many bytes after it have come with it.
pub(super) fn read_head(stream: &mut TcpStream) -> (String, usize) {
    let mut bytes = Vec::new();
    let mut piece = [0; 16_384];
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            return (String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes.len() - end - 4);
        }
        match stream.read(&mut piece).expect("the answer arrives") {
            0 => panic!("the connection ended inside a head: {}", String::from_utf8_lossy(&bytes)),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}
