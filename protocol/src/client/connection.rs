//! One connection to a server: a request out in one write, its answer in, both under timeouts of inactivity.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::ClientError;
use super::pool::ClientLimits;
use crate::frame::{HEADER_LEN, Header};
use crate::wire::DecodeError;
use crate::{Command, Status};

/// Longest answer that is held in memory; file content streams.
pub const MAX_ANSWER: u64 = 16 << 20;
/// Longest body that follows an error status and is dropped.
const MAX_ERROR_BODY: u64 = 64 * 1024;
/// Pieces that content is sent in.
const PIECE: usize = 256 * 1024;

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    network_timeout: Duration,
    /// Whether the framing is known to be intact.
    reusable: bool,
}

impl Connection {
    /// Connects, three tries more where the system says that waiting may help, as FastDFS's own client does.
    pub async fn open(address: SocketAddr, limits: &ClientLimits) -> Result<Self, ClientError> {
        const PAUSES_MS: [u64; 3] = [100, 200, 400];
        let mut pauses = PAUSES_MS.into_iter().take(limits.connect_retries);
        loop {
            let error = match timeout(limits.connect_timeout, connect(address, limits)).await {
                Ok(Ok(stream)) => {
                    let network_timeout = limits.network_timeout;
                    return Ok(Self { stream, address, network_timeout, reusable: true });
                }
                Ok(Err(error)) => error,
                Err(_) => io::ErrorKind::TimedOut.into(),
            };
            match pauses.next() {
                Some(pause) if may_help(&error) => sleep(Duration::from_millis(pause)).await,
                _ => return Err(ClientError::Connect { address: address.to_string(), source: error }),
            }
        }
    }

    /// The server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The bare stream, for those who read and write at the same time.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// This side's address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Whether another request can follow.
    pub fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// Whether the server closed the connection, or sent what nobody asked for, while it lay in a pool.
    pub fn is_stale(&self) -> bool {
        let mut byte = [0];
        !matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a whole request.
    pub async fn send(&mut self, command: Command, bytes: &[u8]) -> Result<(), ClientError> {
        self.reusable = false;
        let mut left = bytes;
        while !left.is_empty() {
            let written = timeout(self.network_timeout, self.stream.write(left)).await;
            let written = self.checked(command, written)?;
            left = left.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends `head`, then `len` bytes of `content`.
    pub async fn send_content(
        &mut self,
        command: Command,
        mut head: BytesMut,
        content: &mut (impl AsyncRead + Unpin + Send),
        len: u64,
        mut sent: impl FnMut(u64),
    ) -> Result<(), ClientError> {
        let mut left = len;
        loop {
            let room = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let mut limited = (&mut *content).take(room as u64);
            head.reserve(room);
            let before = head.len();
            while head.len() < before + room {
                let read = limited.read_buf(&mut head).await.map_err(ClientError::Content)?;
                if read == 0 {
                    return Err(ClientError::Content(io::ErrorKind::UnexpectedEof.into()));
                }
            }
            self.send(command, &head).await?;
            head.clear();
            left -= room as u64;
            sent(len - left);
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// The header of the answer. An error status is an error; its body, if any, is dropped.
    pub async fn answer_header(&mut self, command: Command, max_body: u64) -> Result<Header, ClientError> {
        self.reusable = false;
        let mut bytes = [0; HEADER_LEN];
        self.read_exact(command, &mut bytes).await?;
        let header = match Header::decode(&bytes, max_body.max(MAX_ERROR_BODY)) {
            Ok(Some(header)) if header.command == Command::RESPONSE => header,
            Ok(_) => return Err(self.nonsense(command, DecodeError::BadText { field: "response command" })),
            Err(error) => return Err(self.nonsense(command, error)),
        };
        if header.status.is_ok() {
            if header.body_len > max_body {
                let len = usize::try_from(header.body_len).unwrap_or(usize::MAX);
                return Err(self.nonsense(command, DecodeError::BadLength { message: "answer", len }));
            }
            self.reusable = header.body_len == 0;
            return Ok(header);
        }
        if header.body_len > 0 && header.body_len <= MAX_ERROR_BODY {
            let mut rest = vec![0; usize::try_from(header.body_len).unwrap_or(0)];
            self.read_exact(command, &mut rest).await?;
        }
        // The reference closes after EINVAL.
        self.reusable = header.status != Status::EINVAL && header.body_len <= MAX_ERROR_BODY;
        Err(ClientError::Refused { address: self.address, command, status: header.status })
    }

    /// The whole answer.
    pub async fn answer(&mut self, command: Command, max_body: u64) -> Result<Bytes, ClientError> {
        let header = self.answer_header(command, max_body).await?;
        let mut body = vec![0; usize::try_from(header.body_len).unwrap_or(0)];
        self.read_exact(command, &mut body).await?;
        self.reusable = true;
        Ok(body.into())
    }

    /// Hands the `len` bytes of a body that was not read yet to `take`, piece by piece.
    pub async fn stream_body<F, R>(
        &mut self,
        command: Command,
        len: u64,
        mut take: F,
    ) -> Result<(), ClientError>
    where
        F: FnMut(Bytes) -> R,
        R: Future<Output = io::Result<()>>,
    {
        let mut left = len;
        let mut buffer = BytesMut::new();
        while left > 0 {
            let piece = self.next_piece(command, left, &mut buffer).await?;
            left -= piece.len() as u64;
            take(piece).await.map_err(ClientError::Content)?;
        }
        self.reusable = true;
        Ok(())
    }

    /// Hands all that comes until the server ends the connection to `take`, for answers whose length nobody announced.
    /// The server may be silent for `patience`, since it may have to search.
    pub async fn stream_to_end<F, R>(
        mut self,
        command: Command,
        patience: Duration,
        mut take: F,
    ) -> Result<(), ClientError>
    where
        F: FnMut(Bytes) -> R,
        R: Future<Output = io::Result<()>>,
    {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(PIECE);
            let read = timeout(patience, self.stream.read_buf(&mut buffer)).await;
            if self.checked(command, read)? == 0 {
                return Ok(());
            }
            take(buffer.split().freeze()).await.map_err(ClientError::Content)?;
        }
    }

    /// What has come of a body of which `left` bytes, at least one, are still to be read. `buffer` is working room.
    pub async fn next_piece(
        &mut self,
        command: Command,
        left: u64,
        buffer: &mut BytesMut,
    ) -> Result<Bytes, ClientError> {
        let room = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        buffer.reserve(room);
        let mut limited = (&mut self.stream).take(room as u64);
        let read = timeout(self.network_timeout, limited.read_buf(buffer)).await;
        match self.checked(command, read)? {
            0 => return Err(self.broken(command, io::ErrorKind::UnexpectedEof.into())),
            read => self.reusable = read as u64 == left,
        }
        Ok(buffer.split().freeze())
    }

    async fn read_exact(&mut self, command: Command, bytes: &mut [u8]) -> Result<(), ClientError> {
        let mut filled = 0;
        while let Some(place) = bytes.get_mut(filled..).filter(|place| !place.is_empty()) {
            let read = timeout(self.network_timeout, self.stream.read(place)).await;
            match self.checked(command, read)? {
                0 => return Err(self.broken(command, io::ErrorKind::UnexpectedEof.into())),
                read => filled += read,
            }
        }
        Ok(())
    }

    fn checked<T>(
        &self,
        command: Command,
        outcome: Result<io::Result<T>, tokio::time::error::Elapsed>,
    ) -> Result<T, ClientError> {
        outcome
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| self.broken(command, error))
    }

    fn broken(&self, command: Command, source: io::Error) -> ClientError {
        ClientError::Broken { address: self.address, command, source }
    }

    fn nonsense(&self, command: Command, source: DecodeError) -> ClientError {
        ClientError::Answer { address: self.address, command, source }
    }
}

async fn connect(address: SocketAddr, limits: &ClientLimits) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(local) = limits.bind.filter(|local| local.is_ipv4() == address.is_ipv4()) {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn may_help(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrInUse, ConnectionRefused, TimedOut, WouldBlock};
    matches!(error.kind(), AddrInUse | ConnectionRefused | TimedOut | WouldBlock)
}
