//! Bytes on a socket, without any of the client's checks.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// ACTIVE_TEST, and the answer to it.
pub(crate) const ACTIVE_TEST: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0, 111, 0];
const ALIVE: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0, 100, 0];

/// What came over a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Header and body.
    Frame(Vec<u8>),
    /// The server closed without a word.
    Closed,
    /// Nothing for the time given.
    Silence,
}

/// A raw connection.
pub(crate) struct Wire(TcpStream);

impl Wire {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("the node accepts"))
    }

    /// Sends; that the server has closed already is heard by reading.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// No more bytes will come from here.
    pub(crate) async fn half_close(&mut self) {
        let _ = self.0.shutdown().await;
    }

    /// The next answer.
    pub(crate) async fn hear(&mut self, patience: Duration) -> Heard {
        let mut header = [0; 10];
        match timeout(patience, self.0.read_exact(&mut header)).await {
            Err(_) => return Heard::Silence,
            Ok(Err(_)) => return Heard::Closed,
            Ok(Ok(_)) => {}
        }
        let len = u64::from_be_bytes(header[..8].try_into().expect("8 bytes"));
        let mut frame = header.to_vec();
        frame.resize(10 + usize::try_from(len).expect("answers fit in memory"), 0);
        match timeout(patience, self.0.read_exact(&mut frame[10..])).await {
            Ok(Ok(_)) => Heard::Frame(frame),
            outcome => panic!("the answer {header:?} broke off: {outcome:?}"),
        }
    }

    /// Whether the connection still serves.
    pub(crate) async fn lives(&mut self, patience: Duration) -> Heard {
        self.send(&ACTIVE_TEST).await;
        let heard = self.hear(patience).await;
        if let Heard::Frame(frame) = &heard {
            assert_eq!(frame[..], ALIVE, "an answer to something else came late");
        }
        heard
    }
}

/// A request as sent: the length is what `len` says, whatever the body is.
pub(crate) fn request(command: u8, len: i64, body: &[u8]) -> Vec<u8> {
    let mut bytes = len.to_be_bytes().to_vec();
    bytes.extend([command, 0]);
    bytes.extend_from_slice(body);
    bytes
}

/// A request whose length is that of its body.
pub(crate) fn whole(command: u8, body: &[u8]) -> Vec<u8> {
    request(command, i64::try_from(body.len()).expect("a small body"), body)
}

/// The node still serves whoever comes next.
pub(crate) async fn assert_alive(address: SocketAddr, after: &str) {
    let heard = Wire::open(address).await.lives(Duration::from_secs(10)).await;
    assert_eq!(heard, Heard::Frame(ALIVE.to_vec()), "after {after}");
}
