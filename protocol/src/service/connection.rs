//! One accepted connection: frames in, bytes out, under FastDFS's timeouts.
//!
//! The first request has to be complete within the network timeout. Between later requests a client may stay
//! silent for ever; a frame that has begun may not stall. A connection that is silent for a moment gives its buffer
//! back, so that thousands of idle pooled connections cost little.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use rustix::net::sockopt;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::frame::HEADER_LEN;
use crate::wire::DecodeError;
use crate::{Header, Status};

/// Room for the requests that are most common, and for the head of an upload.
const READ_SIZE: usize = 16 * 1024;
/// The same from a peer that sends requests ahead.
const AHEAD_SIZE: usize = 256 * 1024;
/// Answers that wait for others to leave with them: few, so that none waits long.
const MAX_OUTBOX: usize = 16 * HEADER_LEN;
/// Silence after which a buffer is given back.
const WARM: Duration = Duration::from_secs(2);

/// Why a connection ended.
#[derive(Debug, Error)]
pub enum ConnectionError {
    /// The peer sent a header that cannot be followed: answer nothing, close.
    #[error("bad frame")]
    Frame(#[from] DecodeError),
    /// The peer went away in the middle of a frame.
    #[error("peer closed the connection inside a frame")]
    Truncated,
    /// The peer stalled.
    #[error("peer stalled for longer than the network timeout")]
    Timeout,
    /// The system reported an error.
    #[error("connection failed")]
    Io(#[from] io::Error),
}

/// An accepted connection.
pub struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    buffer: BytesMut,
    /// Answers to requests that were sent ahead, until all of those that came together are answered.
    outbox: Vec<u8>,
    /// Room for what comes next, when nothing is known of it.
    read_size: usize,
    network_timeout: Duration,
    /// Whether a whole request was seen.
    spoken: bool,
    stop: CancellationToken,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    /// Wraps an accepted stream.
    pub fn new(
        stream: TcpStream,
        peer: SocketAddr,
        network_timeout: Duration,
        stop: CancellationToken,
    ) -> Self {
        let stopped = Box::pin(stop.clone().cancelled_owned());
        Self {
            stream,
            peer,
            buffer: BytesMut::new(),
            outbox: Vec::new(),
            read_size: READ_SIZE,
            network_timeout,
            spoken: false,
            stop,
            stopped,
        }
    }

    /// Address of the other side.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Address of this side.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// The stream itself, for `sendfile`. Bytes already read stay in the buffer.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Says that this peer sends many requests ahead: they are received in larger pieces.
    pub fn expect_requests_ahead(&mut self) {
        self.read_size = AHEAD_SIZE;
    }

    /// Whether the service is draining: finish the request, then end.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Longest wait for the peer.
    pub fn network_timeout(&self) -> Duration {
        self.network_timeout
    }

    /// Bytes received and not consumed.
    pub fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// The next header. `Ok(None)` when the peer closed between frames or the service stops.
    ///
    /// The header is consumed; its body is the caller's to read or to skip, whole, before the next call.
    pub async fn next_header(&mut self, max_body: u64) -> Result<Option<Header>, ConnectionError> {
        if self.buffer.is_empty() && !self.wait_for_request().await? {
            return Ok(None);
        }
        loop {
            if let Some(header) = Header::decode(&self.buffer, max_body)? {
                self.buffer.advance(HEADER_LEN);
                return Ok(Some(header));
            }
            self.fill(self.read_size).await?;
        }
    }

    /// The next request, header and body, if all of it was received already. [`Connection::consume`] takes it.
    pub fn received_whole(&self) -> Option<(Header, &[u8])> {
        let header = Header::decode(&self.buffer, i64::MAX.unsigned_abs()).ok().flatten()?;
        let end = HEADER_LEN.checked_add(usize::try_from(header.body_len).ok()?)?;
        Some((header, self.buffer.get(HEADER_LEN..end)?))
    }

    /// Says that the request was read whole: from now on the peer may be silent between frames.
    pub fn request_complete(&mut self) {
        self.spoken = true;
    }

    /// Waits for the first bytes of a frame; false at a clean end.
    async fn wait_for_request(&mut self) -> Result<bool, ConnectionError> {
        self.flush().await?;
        let patience = if self.spoken { WARM } else { self.network_timeout };
        self.buffer.reserve(self.read_size);
        let read = timeout(patience, self.stream.read_buf(&mut self.buffer));
        let outcome = tokio::select! {
            biased;
            read = read => read,
            () = self.stopped.as_mut() => return Ok(false),
        };
        match outcome {
            Ok(read) => return Ok(read? != 0),
            Err(_) if !self.spoken => return Err(ConnectionError::Timeout),
            Err(_) => self.buffer = BytesMut::new(),
        }
        tokio::select! {
            biased;
            ready = self.stream.readable() => ready?,
            () = self.stopped.as_mut() => return Ok(false),
        }
        self.buffer.reserve(self.read_size);
        Ok(self.stream.read_buf(&mut self.buffer).await? != 0)
    }

    /// Reads at least one more byte into the buffer, with room for `want`.
    pub async fn fill(&mut self, want: usize) -> Result<(), ConnectionError> {
        self.flush().await?;
        self.buffer.reserve(want.max(1));
        // Peers that send head and content in two writes, as FastDFS does, have the content held back by Nagle's
        // algorithm until the head is acknowledged, which the kernel would put off for 40 ms.
        if let Err(error) = sockopt::set_tcp_quickack(&self.stream, true) {
            tracing::debug!(peer = %self.peer, %error, "cannot acknowledge at once");
        }
        match timeout(self.network_timeout, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(0)) => Err(ConnectionError::Truncated),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(ConnectionError::Timeout),
        }
    }

    /// The next `len` bytes, all of them. The caller has checked `len` against a maximum.
    pub async fn read_exact(&mut self, len: usize) -> Result<BytesMut, ConnectionError> {
        while self.buffer.len() < len {
            let missing = len - self.buffer.len();
            let is_ahead = self.read_size == AHEAD_SIZE;
            self.fill(if is_ahead { missing.max(AHEAD_SIZE) } else { missing }).await?;
        }
        Ok(self.buffer.split_to(len))
    }

    /// Consumes `len` buffered bytes.
    ///
    /// # Panics
    /// If fewer are buffered.
    pub fn consume(&mut self, len: usize) {
        self.buffer.advance(len);
    }

    /// Some of the next bytes, at least one and at most `max`: for content that streams.
    pub async fn read_some(&mut self, max: usize) -> Result<Bytes, ConnectionError> {
        if self.buffer.is_empty() {
            self.fill(max).await?;
        }
        let len = self.buffer.len().min(max);
        Ok(self.buffer.split_to(len).freeze())
    }

    /// Reads and drops `len` bytes, so that the connection can be used again.
    pub async fn skip(&mut self, mut len: u64) -> Result<(), ConnectionError> {
        while len > 0 {
            if self.buffer.is_empty() {
                self.fill(READ_SIZE).await?;
            }
            let step = usize::try_from(len).unwrap_or(usize::MAX).min(self.buffer.len());
            self.buffer.advance(step);
            len -= step as u64;
        }
        Ok(())
    }

    /// Sends `head` and `tail` in as few segments as possible.
    pub async fn send_two(&mut self, head: &[u8], tail: &[u8]) -> Result<(), ConnectionError> {
        self.flush().await?;
        let sent = {
            let parts = [io::IoSlice::new(head), io::IoSlice::new(tail)];
            match timeout(self.network_timeout, self.stream.write_vectored(&parts)).await {
                Ok(sent) => sent?,
                Err(_) => return Err(ConnectionError::Timeout),
            }
        };
        if let Some(rest) = head.get(sent..) {
            self.send(rest).await?;
        }
        match tail.get(sent.saturating_sub(head.len())..) {
            Some(rest) if !rest.is_empty() => self.send(rest).await,
            _ => Ok(()),
        }
    }

    /// Sends all of `bytes`; every piece that the peer takes renews its time.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        self.flush().await?;
        self.send_now(bytes).await
    }

    async fn send_now(&mut self, mut bytes: &[u8]) -> Result<(), ConnectionError> {
        while !bytes.is_empty() {
            match timeout(self.network_timeout, self.stream.write(bytes)).await {
                Ok(Ok(sent)) => bytes = bytes.get(sent..).unwrap_or_default(),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(ConnectionError::Timeout),
            }
        }
        Ok(())
    }

    /// Sends a header without a body, together with those that follow: at the latest when the next request is waited
    /// for, or anything else is sent.
    pub async fn send_status_soon(&mut self, status: Status) -> Result<(), ConnectionError> {
        self.outbox.extend_from_slice(&Header::response(status).to_bytes());
        if self.outbox.len() >= MAX_OUTBOX { self.flush().await } else { Ok(()) }
    }

    /// Sends what was to be sent soon.
    pub async fn flush(&mut self) -> Result<(), ConnectionError> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        let mut outbox = std::mem::take(&mut self.outbox);
        let sent = self.send_now(&outbox).await;
        outbox.clear();
        self.outbox = outbox;
        sent
    }

    /// Sends a header without a body.
    pub async fn send_status(&mut self, status: Status) -> Result<(), ConnectionError> {
        self.send(&Header::response(status).to_bytes()).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpStream;

    use super::*;
    use crate::Command;
    use crate::service::{ConnectionCounts, NativeService, ServiceLimits};

    const PATIENCE: Duration = Duration::from_millis(200);

    struct Echo {
        address: SocketAddr,
        stop: CancellationToken,
        counts: Arc<ConnectionCounts>,
        served: tokio::task::JoinHandle<()>,
    }

    /// A service that answers every frame with its own body and status 0.
    async fn echo() -> Echo {
        let limits = ServiceLimits { max_connections: 2, network_timeout: PATIENCE, drain_timeout: PATIENCE };
        let service = NativeService::bind("127.0.0.1:0".parse().unwrap(), limits).await.unwrap();
        let (address, counts, stop) =
            (service.local_addr().unwrap(), service.counts(), CancellationToken::new());
        let served = tokio::spawn(service.serve(
            |_| true,
            stop.clone(),
            |mut connection| async move {
                while let Ok(Some(header)) = connection.next_header(1024).await {
                    let Ok(len) = usize::try_from(header.body_len) else { return };
                    let Ok(body) = connection.read_exact(len).await else { return };
                    connection.request_complete();
                    let answer = Header { command: Command::RESPONSE, ..header };
                    if connection.send_two(&answer.to_bytes(), &body).await.is_err() {
                        return;
                    }
                }
            },
        ));
        Echo { address, stop, counts, served }
    }

    async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    fn frame(command: Command, body: &[u8]) -> Vec<u8> {
        let header = Header { body_len: body.len() as u64, command, status: Status::OK };
        [&header.to_bytes(), body].concat()
    }

    fn request(body: &[u8]) -> Vec<u8> {
        frame(Command::ACTIVE_TEST, body)
    }

    fn answer(body: &[u8]) -> Vec<u8> {
        frame(Command::RESPONSE, body)
    }

    #[tokio::test]
    async fn frames_sent_ahead_and_byte_by_byte_are_answered_in_order() {
        let echo = echo().await;
        let mut stream = TcpStream::connect(echo.address).await.unwrap();
        let sent = [request(b"one"), request(b""), request(b"three")].concat();
        for byte in &sent {
            stream.write_all(&[*byte]).await.unwrap();
        }
        stream.write_all(&sent).await.unwrap();
        stream.shutdown().await.unwrap();
        let answers = [answer(b"one"), answer(b""), answer(b"three")].concat();
        assert_eq!(read_to_end(&mut stream).await, [&answers[..], &answers[..]].concat());
    }

    #[tokio::test]
    async fn content_sent_behind_its_head_is_not_kept_waiting() {
        let echo = echo().await;
        let mut stream = TcpStream::connect(echo.address).await.unwrap();
        assert!(!stream.nodelay().unwrap(), "this sender is as FastDFS's are");
        let frame = request(&[7; 100]);
        let (head, content) = frame.split_at(HEADER_LEN);
        let mut quickest = Duration::MAX;
        // New connections are acknowledged at once for a while.
        for round in 0..60 {
            let start = std::time::Instant::now();
            stream.write_all(head).await.unwrap();
            stream.write_all(content).await.unwrap();
            stream.read_exact(&mut vec![0; frame.len()]).await.unwrap();
            if round >= 30 {
                quickest = quickest.min(start.elapsed());
            }
        }
        assert!(quickest < Duration::from_millis(20), "{quickest:?}");
    }

    #[tokio::test]
    async fn silence_ends_a_connection_only_before_its_first_request_or_inside_a_frame() {
        let echo = echo().await;
        let mut silent = TcpStream::connect(echo.address).await.unwrap();
        assert_eq!(read_to_end(&mut silent).await, b"");

        let mut pooled = TcpStream::connect(echo.address).await.unwrap();
        let mut answer = [0; HEADER_LEN];
        for pause in [WARM + PATIENCE, Duration::ZERO] {
            pooled.write_all(&request(b"")).await.unwrap();
            pooled.read_exact(&mut answer).await.unwrap();
            tokio::time::sleep(pause).await;
        }
        pooled.write_all(&[0, 0]).await.unwrap();
        assert_eq!(read_to_end(&mut pooled).await, b"");
    }

    #[tokio::test]
    async fn hostile_lengths_close_without_an_answer() {
        let echo = echo().await;
        for length in [-1, 1025, i64::MAX, i64::MIN] {
            let mut stream = TcpStream::connect(echo.address).await.unwrap();
            stream.write_all(&length.to_be_bytes()).await.unwrap();
            stream.write_all(&[111, 0]).await.unwrap();
            assert_eq!(read_to_end(&mut stream).await, b"", "{length}");
        }
    }

    #[tokio::test]
    async fn places_are_limited_and_a_stop_ends_idle_connections() {
        let echo = echo().await;
        let mut open = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(echo.address).await.unwrap();
            stream.write_all(&request(b"")).await.unwrap();
            stream.read_exact(&mut [0; HEADER_LEN]).await.unwrap();
            open.push(stream);
        }
        let mut third = TcpStream::connect(echo.address).await.unwrap();
        assert_eq!(read_to_end(&mut third).await, b"");
        assert_eq!((echo.counts.current(), echo.counts.max()), (2, 2));
        echo.stop.cancel();
        for stream in &mut open {
            assert_eq!(read_to_end(stream).await, b"");
        }
        echo.served.await.unwrap();
        assert_eq!(echo.counts.current(), 0);
    }
}
