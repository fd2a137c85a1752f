//! A connection that the runtime hears of only when it first has to wait.
//!
//! Who asks once and goes has mostly asked by the time that the connection is accepted, and takes the answer at once. To
//! watch the socket for that, and to stop watching it, is a fifth of what such a connection costs.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream as Unwatched};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Most bytes that are read before the socket is watched. Who has room for more has a body to read, and will wait.
const FIRST_READ: usize = 4096;

/// The connection.
#[derive(Debug)]
pub(crate) struct Socket {
    state: State,
    flags: SendFlags,
}

/// A connection that can be told of its end.
pub(crate) trait Ends {
    /// Says that it is closed as soon as what comes now is written: the end may go in one packet with that.
    fn expect_close(&mut self);
}

/// A record of TLS goes when it is written.
impl Ends for TokioIo<TlsStream<TcpStream>> {
    fn expect_close(&mut self) {}
}

#[derive(Debug)]
enum State {
    Unwatched(Unwatched),
    Watched(TokioIo<TcpStream>),
    /// The runtime would not watch it.
    Lost,
}

impl Socket {
    /// A connection that was just accepted. It has to be non-blocking.
    pub(crate) fn new(stream: Unwatched) -> Self {
        Self::with(State::Unwatched(stream))
    }

    fn with(state: State) -> Self {
        Self { state, flags: SendFlags::NOSIGNAL }
    }

    pub(crate) fn expect_close(&mut self) {
        self.flags |= SendFlags::MORE;
    }

    /// A connection that somebody had to wait for before.
    pub(crate) fn watched(stream: TcpStream) -> Self {
        Self::with(State::Watched(TokioIo::new(stream)))
    }

    /// The stream, watched.
    pub(crate) fn into_watched(mut self) -> io::Result<TcpStream> {
        self.watch()?;
        match self.state {
            State::Watched(io) => Ok(io.into_inner()),
            State::Unwatched(_) | State::Lost => Err(lost()),
        }
    }

    fn watch(&mut self) -> io::Result<&mut TokioIo<TcpStream>> {
        if let State::Unwatched(_) = self.state
            && let State::Unwatched(stream) = std::mem::replace(&mut self.state, State::Lost)
        {
            self.state = State::Watched(TokioIo::new(TcpStream::from_std(stream)?));
        }
        match &mut self.state {
            State::Watched(io) => Ok(io),
            State::Unwatched(_) | State::Lost => Err(lost()),
        }
    }

    /// Makes a call that writes to the socket, now or when that has room.
    pub(crate) fn poll_write_by<T>(
        &mut self,
        context: &mut Context<'_>,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        if let State::Unwatched(stream) = &self.state
            && let Some(done) = now(|| call(stream.as_fd()))
        {
            return Poll::Ready(done);
        }
        let stream = self.watch()?.inner();
        loop {
            ready!(stream.poll_write_ready(context))?;
            if let Some(done) = now(|| stream.try_io(Interest::WRITABLE, || call(stream.as_fd()))) {
                return Poll::Ready(done);
            }
        }
    }
}

fn lost() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

/// The outcome of a call; `None` if it has to wait.
fn now<T>(mut call: impl FnMut() -> io::Result<T>) -> Option<io::Result<T>> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return Some(done),
        }
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if let State::Unwatched(stream) = &self.state
            && buffer.remaining() <= FIRST_READ
        {
            let mut room = [const { MaybeUninit::uninit() }; FIRST_READ];
            let room = &mut room[..buffer.remaining()];
            match recv(stream, room, RecvFlags::empty()) {
                Ok((read, _)) => {
                    buffer.put_slice(read.0);
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        Pin::new(self.watch()?).poll_read(context, buffer)
    }
}

impl Write for Socket {
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
        let flags = self.flags;
        if flags == SendFlags::NOSIGNAL
            && let State::Watched(io) = &mut self.state
        {
            return Pin::new(io).poll_write_vectored(context, slices);
        }
        self.poll_write_by(context, |socket| {
            Ok(sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags)?)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing waits here.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Unwatched(stream) => Poll::Ready(stream.shutdown(Shutdown::Write)),
            State::Watched(io) => Pin::new(io).poll_shutdown(context),
            State::Lost => Poll::Ready(Err(lost())),
        }
    }
}
