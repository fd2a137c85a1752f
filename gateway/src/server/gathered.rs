//! A stream that gathers small writes: what is written while the reader has something to read goes out together.
//!
//! h2 flushes after every frame with content, so that each small answer of a connection costs a system call, and a record
//! with TLS. Here a flush is put off until there is nothing more to read, which is when h2 has handed over all that it has.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write};

/// Most bytes that are gathered: a record of TLS.
const ROOM: usize = 16 * 1024;
/// Writes of this size go out as they are.
const LARGE: usize = 8 * 1024;

/// The stream, and what has not gone out.
#[derive(Debug)]
pub(super) struct Gathered<S> {
    stream: S,
    held: BytesMut,
}

impl<S: Read + Write + Unpin> Gathered<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, held: BytesMut::new() }
    }

    /// Lets out what is held. The memory goes, too.
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.held.has_remaining() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.held))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.advance(written);
        }
        self.held = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

impl<S: Read + Write + Unpin> Read for Gathered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            return Poll::Ready(read);
        }
        if this.held.has_remaining()
            && let Poll::Ready(out) = this.poll_out(context)
        {
            match out.map(|()| Pin::new(&mut this.stream).poll_flush(context)) {
                Ok(Poll::Ready(Err(error))) | Err(error) => return Poll::Ready(Err(error)),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }
}

impl<S: Read + Write + Unpin> Write for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(buffer)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let len = slices.iter().map(|slice| slice.len()).sum();
        if this.held.len() + len > ROOM {
            ready!(this.poll_out(context))?;
        }
        if len >= LARGE {
            ready!(this.poll_out(context))?;
            return Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        }
        this.held.reserve(if this.held.is_empty() { ROOM } else { len });
        for slice in slices {
            this.held.extend_from_slice(slice);
        }
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.held.is_empty() {
            return Pin::new(&mut this.stream).poll_flush(context);
        }
        // The task looks again for something to read, and what is held goes out if there is nothing.
        context.waker().wake_by_ref();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_out(context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}
