//! The content of a request on its way to a member.
//!
//! The protocol wants the length first. Content whose length nobody announced waits on the own disk until it is whole.

use bytes::{Bytes, BytesMut};
use gateway::files::WriteError;
use protocol::Command;
use protocol::client::{ClientError, Connection};
use protocol::wire::StreamRequest;

use super::Courier;
use super::failure::failed;
use crate::store::Spool;

/// Longest answer: a name.
const MAX_ANSWER: u64 = 64 * 1024;
/// Pieces that are read back.
const PIECE: usize = 256 * 1024;

/// Content, and the request that it belongs to.
pub(super) enum Content {
    /// Its length is known, so it goes as it comes.
    Straight(Sending),
    /// It waits.
    Kept(Spool),
}

/// A request before its content.
pub(super) struct Head {
    command: Command,
    bytes: BytesMut,
    len: u64,
}

impl Head {
    pub(super) fn of<Q: StreamRequest>(request: &Q) -> Self {
        Self { command: Q::COMMAND, bytes: request.to_frame_head(), len: request.content_len() }
    }
}

impl Content {
    /// `head` makes the request, once the length is known.
    pub(super) async fn begin(
        courier: &Courier,
        len: Option<u64>,
        head: impl FnOnce(u64) -> Head,
    ) -> Result<Self, WriteError> {
        match len {
            Some(len) => Sending::begin(courier, head(len)).await.map(Self::Straight),
            None => courier.shared.store.spool().await.map(Self::Kept),
        }
    }

    pub(super) async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        match self {
            Self::Straight(sending) => sending.write(chunk).await,
            Self::Kept(spool) => spool.write(chunk).await,
        }
    }

    /// Whether nothing came, and no request is under way.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Kept(spool) if spool.len() == 0)
    }

    /// Sends what is left, and gives the member's answer.
    pub(super) async fn finish(
        self,
        courier: &Courier,
        head: impl FnOnce(u64) -> Head,
    ) -> Result<Bytes, WriteError> {
        let spool = match self {
            Self::Straight(sending) => return sending.finish(courier).await,
            Self::Kept(spool) => spool,
        };
        let mut sending = Sending::begin(courier, head(spool.len())).await?;
        let mut offset = 0;
        while offset < spool.len() {
            let piece = spool.read(offset, PIECE).await?;
            offset += piece.len() as u64;
            sending.write(piece).await?;
        }
        sending.finish(courier).await
    }
}

/// A request that is being sent. The last piece is held back to the end: dropped before, the request broke off, and the
/// member keeps nothing of it.
pub(super) struct Sending {
    connection: Connection,
    command: Command,
    held: Bytes,
    /// Bytes that are still to come.
    left: u64,
}

impl Sending {
    async fn begin(courier: &Courier, head: Head) -> Result<Self, WriteError> {
        let Head { command, bytes, len } = head;
        let connection = courier.shared.pool.take(courier.at).await.map_err(failed(courier.at))?;
        let mut sending = Self { connection, command, held: Bytes::new(), left: len };
        sending.send(&bytes).await?;
        Ok(sending)
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        let left = self.left.checked_sub(chunk.len() as u64);
        self.left = left.ok_or(WriteError::Invalid("the content is longer than was announced"))?;
        let held = std::mem::replace(&mut self.held, chunk);
        self.send(&held).await
    }

    async fn finish(mut self, courier: &Courier) -> Result<Bytes, WriteError> {
        if self.left > 0 {
            return Err(WriteError::Invalid("the content is shorter than was announced"));
        }
        let held = std::mem::take(&mut self.held);
        self.send(&held).await?;
        let answer = self.connection.answer(self.command, MAX_ANSWER).await;
        let answer = answer.map_err(failed(courier.at))?;
        courier.shared.pool.give_back(self.connection);
        Ok(answer)
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let Err(error) = self.connection.send(self.command, bytes).await else { return Ok(()) };
        let at = self.connection.address();
        // A member that refuses says so before it hangs up.
        match self.connection.answer_header(self.command, MAX_ANSWER).await {
            Err(refused @ ClientError::Refused { .. }) => Err(failed(at)(refused)),
            _ => Err(failed(at)(error)),
        }
    }
}
