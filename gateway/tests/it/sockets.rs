//! What goes over the sockets: framing of answers on kept connections, old clients, timeouts and the drain.

mod doze;
mod fast_path;
mod framing;
mod http2;
mod injection;
mod limits;
mod listeners;
mod patience;
mod places;
mod sendfile;
mod sizes;
mod smuggling;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use gateway::Settings;
use gateway::server::{Edge, HttpLimits};
use protocol::config::web_conf::ListenOn;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::ask::over;
use crate::fake::Fake;

/// Longest wait for anything that has to come.
const SOON: Duration = Duration::from_secs(10);

/// A server that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) store: Fake,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(settings: Settings, limits: HttpLimits) -> Self {
        Self::over(&Edge::new(limits), ListenOn::plain("127.0.17.1:0".parse().unwrap()), settings)
    }

    /// A server that listens so.
    fn over(edge: &Edge, on: ListenOn, settings: Settings) -> Self {
        let store = Fake::new();
        let server = edge.bind(on).unwrap();
        let address = server.local_addr().unwrap();
        let stop = CancellationToken::new();
        let gateway = over(&store, settings);
        let task = tokio::spawn(server.serve(gateway, stop.clone()));
        Self { address, store, stop, task }
    }

    async fn plain() -> Self {
        Self::start(Settings::plain(), HttpLimits::default()).await
    }

    pub(crate) async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), left: Vec::new() }
    }

    /// Stops the server, which has to be quick.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        timeout(SOON, self.task).await.unwrap().unwrap();
    }
}

/// An answer as its bytes say.
#[derive(Debug)]
pub(crate) struct Raw {
    /// `HTTP/1.1 200 OK`.
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Raw {
    pub(crate) fn status(&self) -> u16 {
        self.line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A client that reads answers strictly by RFC 9112, 6.3: not a byte more, not a byte less.
pub(crate) struct Client<S = TcpStream> {
    stream: S,
    pub(crate) left: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    fn over(stream: S) -> Self {
        Self { stream, left: Vec::new() }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Reads more; whether the connection still lives.
    async fn fill(&mut self) -> bool {
        self.left.reserve(65_536);
        let read = timeout(SOON, self.stream.read_buf(&mut self.left)).await;
        read.expect("an answer in time").is_ok_and(|len| len > 0)
    }

    /// The next answer; `bodiless` after a HEAD.
    pub(crate) async fn answer(&mut self, bodiless: bool) -> Raw {
        let end = loop {
            if let Some(at) = self.left.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let lives = self.fill().await;
            assert!(lives, "the connection ended inside a head: {:?}", String::from_utf8_lossy(&self.left));
        };
        let head: Vec<u8> = self.left.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let (line, head) = head.split_once("\r\n").unwrap();
        assert!(line.starts_with("HTTP/1."), "not an answer: {line:?}");
        let mut raw = Raw { line: line.to_owned(), head: head.to_owned(), body: Vec::new() };
        if bodiless || matches!(raw.status(), 204 | 304) {
            return raw;
        }
        assert_eq!(raw.header("transfer-encoding"), None, "files have lengths");
        let len: usize = raw.header("content-length").expect("a length").parse().unwrap();
        while self.left.len() < len {
            assert!(self.fill().await, "the connection ended inside a body");
        }
        raw.body = self.left.drain(..len).collect();
        raw
    }

    /// The server closed the connection, and sent nothing more.
    async fn assert_closed(&mut self) {
        while self.fill().await {}
        assert!(self.left.is_empty(), "{:?}", String::from_utf8_lossy(&self.left));
    }
}
