//! A load generator that leaves the limit to the server: it asks as wrk does, and takes bodies without looking at them
//! (`MSG_TRUNC`). wrk copies every body through 8 KiB, which takes longer than to serve it from some 64 KB on.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::net::{RecvFlags, recv};

use crate::load::Sample;
use crate::server::take;

/// Most bytes of a body that are taken at once, and of an answer's head.
const TAKEN: usize = 1 << 20;
const HEAD: usize = 512;

/// Loads a server from that processor for so long.
pub(crate) fn run(url: &str, connections: usize, time: Duration, processor: usize) -> Sample {
    let run = || {
        take(processor);
        ask(url, connections, time).expect("the server answers whole files")
    };
    std::thread::scope(|scope| scope.spawn(run).join().expect("the load"))
}

struct Client {
    stream: TcpStream,
    /// Bytes to come of a body; none before its head.
    left: Option<usize>,
    asked: Instant,
}

fn ask(url: &str, connections: usize, time: Duration) -> io::Result<Sample> {
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut clients = Vec::new();
    for at in 0..connections {
        let mut stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        stream.write_all(request.as_bytes())?;
        stream.set_nonblocking(true)?;
        epoll::add(&epoll, &stream, epoll::EventData::new_u64(at as u64), epoll::EventFlags::IN)?;
        clients.push(Client { stream, left: None, asked: Instant::now() });
    }
    let mut room = vec![0; TAKEN];
    let mut events = Vec::with_capacity(connections);
    let (mut latencies, mut bytes, begin) = (Vec::new(), 0, Instant::now());
    let patience = Timespec { tv_sec: 1, tv_nsec: 0 };
    while begin.elapsed() < time {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&patience))?;
        for event in &events {
            let client = &mut clients[usize::try_from(event.data.u64()).expect("an index")];
            while let Some(taken) = client.take(&mut room)? {
                bytes += taken;
                if client.left == Some(0) {
                    latencies.push(client.asked.elapsed());
                    (client.left, client.asked) = (None, Instant::now());
                    client.stream.write_all(request.as_bytes())?;
                    break;
                }
            }
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let percentile = |of: usize| latencies.get(latencies.len() * of / 100).copied().unwrap_or_default();
    Ok(Sample {
        requests_per_second: count(latencies.len()) / seconds,
        mebibytes_per_second: count(bytes >> 10) / 1024.0 / seconds,
        p50: percentile(50).as_secs_f64() * 1e3,
        p99: percentile(99).as_secs_f64() * 1e3,
        errors: 0.0,
        busy: 0.0,
    })
}

impl Client {
    /// Takes what is here of an answer, and says how much of a body that was; `None` if there is nothing.
    fn take(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(left) = self.left else {
            let (peeked, _) = match recv(&self.stream, &mut room[..HEAD], RecvFlags::PEEK) {
                Ok(peeked) => peeked,
                Err(error) => return waits(error.into()),
            };
            let text = String::from_utf8_lossy(&room[..peeked]);
            let Some(end) = text.find("\r\n\r\n") else { return Ok(None) };
            let head = text[..end].to_ascii_lowercase();
            let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let is_whole = head.starts_with("http/1.1 200 ");
            self.left = len.filter(|_| is_whole);
            self.left.ok_or_else(|| io::Error::other(head))?;
            self.stream.read_exact(&mut room[..end + 4])?;
            return Ok(Some(0));
        };
        match recv(&self.stream, &mut room[..left.min(TAKEN)], RecvFlags::TRUNC) {
            Ok((_, 0)) => Err(ErrorKind::UnexpectedEof.into()),
            Ok((_, taken)) => {
                self.left = Some(left - taken);
                Ok(Some(taken))
            }
            Err(error) => waits(error.into()),
        }
    }
}

fn waits<T>(error: io::Error) -> io::Result<Option<T>> {
    if error.kind() == ErrorKind::WouldBlock { Ok(None) } else { Err(error) }
}

fn count(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
