//! Files that go to sockets without passing through this process.
//!
//! hyper asks a body for buffers and hands their slices to the connection. A piece of a file is such a buffer whose
//! slice lies in the *stand-in*, a region that nobody reads or writes. [`FileIo`] knows such slices by their address and
//! calls `sendfile` instead, from the file that the body put into the connection's [`FileQueue`]. The first address of
//! the slice says which piece it stands for, so a mix-up ends the connection and never sends something else.
//!
//! Only a body that was given the queue makes such pieces, and only [`FileIo`] has one to give: nobody else ever sees
//! the stand-in's zeros.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Buf;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use crate::socket::{Ends, Socket};

/// Longest piece.
pub(crate) const PIECE: usize = 1 << 20;
/// First addresses that tell pieces of one connection apart; hyper holds at most 16 buffers.
const SLOTS: usize = 1024;

/// Fresh zeroed memory of this size has no pages before it is touched, and it never is.
static STAND_IN: LazyLock<Box<[u8]>> = LazyLock::new(|| vec![0; PIECE + SLOTS].into_boxed_slice());

/// The slot that a slice stands for; `None` for bytes that are what they are.
fn slot_of(slice: &[u8]) -> Option<usize> {
    if slice.is_empty() {
        return None;
    }
    slice.as_ptr().addr().checked_sub(STAND_IN.as_ptr().addr()).filter(|slot| *slot < SLOTS)
}

/// Pieces of files on their way to one connection; clones are the same queue.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileQueue(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    next_slot: usize,
}

#[derive(Debug)]
struct Piece {
    slot: usize,
    file: Arc<File>,
    offset: u64,
    left: usize,
}

impl FileQueue {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a piece of at most [`PIECE`] bytes; what stands for it is to be written in the order of these calls.
    pub(crate) fn push(&self, file: &Arc<File>, offset: u64, len: usize) -> FilePiece {
        debug_assert!(len <= PIECE, "longer than the stand-in");
        let mut queue = self.lock();
        let slot = queue.next_slot;
        queue.next_slot = (slot + 1) % SLOTS;
        queue.pieces.push_back(Piece { slot, file: Arc::clone(file), offset, left: len.min(PIECE) });
        FilePiece { slot, left: len.min(PIECE), queue: self.clone() }
    }

    /// Sends bytes of the piece that a slice stands for. It has to be the next one.
    fn send(&self, socket: BorrowedFd<'_>, slot: usize, len: usize) -> io::Result<usize> {
        let mut queue = self.lock();
        let Some(piece) = queue.pieces.front_mut().filter(|piece| piece.slot == slot) else {
            return Err(io::Error::other("pieces of files are out of order"));
        };
        let sent = rustix::fs::sendfile(socket, &piece.file, Some(&mut piece.offset), len.min(piece.left))?;
        if sent == 0 {
            // The length was promised; only the end of the connection tells the client.
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file got shorter while it was sent",
            ));
        }
        piece.left -= sent;
        if piece.left == 0 {
            queue.pieces.pop_front();
        }
        Ok(sent)
    }

    /// Sends slices, and then of the piece that another one stands for, as far as the socket takes them.
    fn send_after(
        &self,
        before: &[IoSlice<'_>],
        socket: BorrowedFd<'_>,
        slot: usize,
        len: usize,
    ) -> io::Result<usize> {
        let head: usize = before.iter().map(|slice| slice.len()).sum();
        if head > 0 {
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
            let sent = sendmsg(socket, before, &mut SendAncillaryBuffer::default(), flags)?;
            if sent < head {
                return Ok(sent);
            }
        }
        match self.send(socket, slot, len) {
            Ok(sent) => Ok(head + sent),
            // The socket is full; the next call says so.
            Err(error) if head > 0 && error.kind() == io::ErrorKind::WouldBlock => Ok(head),
            Err(error) => Err(error),
        }
    }
}

/// What stands for a piece of a file on its way through hyper.
#[derive(Debug)]
pub struct FilePiece {
    slot: usize,
    left: usize,
    queue: FileQueue,
}

impl Buf for FilePiece {
    fn remaining(&self) -> usize {
        self.left
    }

    /// Always from the same address on, which says what the slice stands for.
    fn chunk(&self) -> &[u8] {
        &STAND_IN[self.slot..self.slot + self.left]
    }

    fn advance(&mut self, len: usize) {
        assert!(len <= self.left, "beyond the end of a piece");
        self.left -= len;
    }
}

impl Drop for FilePiece {
    /// A piece that nobody will write must not keep the next one waiting.
    fn drop(&mut self) {
        if self.left > 0 {
            self.queue.lock().pieces.retain(|piece| piece.slot != self.slot);
        }
    }
}

/// A clear-text connection that sends pieces of files by `sendfile`.
#[derive(Debug)]
pub(crate) struct FileIo {
    socket: Socket,
    queue: FileQueue,
}

impl FileIo {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, queue: FileQueue::default() }
    }

    /// The socket, with nothing of a file left to send.
    pub(crate) fn into_inner(self) -> Socket {
        self.socket
    }

    /// For bodies of answers on this connection. They must be written vectored.
    pub(crate) fn queue(&self) -> FileQueue {
        self.queue.clone()
    }
}

impl Ends for FileIo {
    fn expect_close(&mut self) {
        self.socket.expect_close();
    }
}

impl hyper::rt::Read for FileIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl hyper::rt::Write for FileIo {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(buffer)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let file = slices.iter().enumerate().find_map(|(at, slice)| Some((at, slot_of(slice)?, slice.len())));
        let Some((at, slot, len)) = file else {
            return Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        };
        let Self { socket, queue } = &mut *self;
        socket.poll_write_by(context, |socket| queue.send_after(&slices[..at], socket, slot, len))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
