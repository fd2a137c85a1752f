//! The fast path of a connection: a plain GET of what is at hand is answered before hyper has a part in it. Whatever else
//! comes goes to hyper, with all the bytes that came, and no byte of an answer is written before that is decided.
//!
//! hyper takes some 5 us for the request and the answer of a small file, which is more than the file itself takes. While a
//! connection is here it holds no buffer, so this is also where idle ones wait.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::buf::Chain;
use bytes::{Buf, Bytes};
use http_body::Body as _;
use hyper::rt::{Read, ReadBuf, Write};
use tokio::time::{Instant, Sleep, sleep_until};

use super::App;
use super::connection::Serving;
use super::plain_get::PlainGet;
use crate::at_hand::AtHand;
use crate::body::{Body, Data};
use crate::sendfile::FileQueue;
use crate::socket::Ends;

/// Bytes that are read at a time. A head that is longer is hyper's.
const HEAD: usize = 4096;
/// Slices of a head, its end, and a piece of the body.
const SLICES: usize = 3;

/// What follows the fast path.
pub(super) enum Next {
    /// Something that is not for it: all bytes that were read of it.
    Other(Bytes),
    /// The client was silent for too long, or has gone, or there is a drain.
    Over,
}

/// What a client said.
enum Said {
    /// It asked for what is at hand; bytes after its request may have come, too.
    Plain {
        answer: AtHand,
        is_last: bool,
        unread: Bytes,
    },
    Other(Bytes),
    /// Nothing more.
    End,
}

/// Answers until something else comes. The client has been silent since then.
pub(super) async fn serve<A: App, S: Read + Write + Ends + Unpin>(
    serving: &Serving<A>,
    io: &mut S,
    queue: Option<&FileQueue>,
    mut since: Instant,
) -> Next {
    let phase = &serving.requests.phase;
    let patience = serving.requests.limits.patience();
    let mut stopped = std::pin::pin!(serving.stop.cancelled());
    let mut timer = std::pin::pin!(sleep_until(since + patience.header.min(patience.keepalive)));
    let mut unread = Bytes::new();
    let served = phase.served();
    loop {
        let longest = if phase.served() == 0 { patience.header } else { patience.keepalive };
        let said = if unread.is_empty() {
            poll_fn(|context| {
                if let Poll::Ready(said) = poll_said(serving, io, context) {
                    return Poll::Ready(said);
                }
                if stopped.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Said::End);
                }
                poll_deadline(timer.as_mut(), since + longest, context).map(|()| Said::End)
            })
            .await
        } else {
            said(serving, &unread)
        };
        let is_over = match said {
            Said::Plain { answer, is_last, unread: rest } => {
                phase.count();
                unread = rest;
                if is_last && unread.is_empty() {
                    io.expect_close();
                }
                let mut reply = Reply::new(answer, queue, is_last);
                let sent = poll_fn(|context| reply.poll_send(io, context)).await;
                sent.is_err() || is_last
            }
            Said::Other(bytes) => {
                phase.leave_fast_path(phase.served() == served);
                return Next::Other(bytes);
            }
            Said::End => true,
        };
        if is_over {
            return Next::Over;
        }
        since = Instant::now();
    }
}

/// Reads what the client says.
fn poll_said<A: App>(
    serving: &Serving<A>,
    io: &mut (impl Read + Unpin),
    context: &mut Context<'_>,
) -> Poll<Said> {
    let mut room = [const { MaybeUninit::uninit() }; HEAD];
    let mut buffer = ReadBuf::uninit(&mut room);
    Poll::Ready(match ready!(Pin::new(io).poll_read(context, buffer.unfilled())) {
        Ok(()) if !buffer.filled().is_empty() => said(serving, buffer.filled()),
        Ok(()) | Err(_) => Said::End,
    })
}

/// What these bytes say.
fn said<A: App>(serving: &Serving<A>, bytes: &[u8]) -> Said {
    let requests = &serving.requests;
    let plain = PlainGet::decode(bytes).filter(|get| requests.take_plain(get));
    let answer = plain.and_then(|get| Some((requests.app.at_hand(&requests.from, get.plain)?, get)));
    match answer {
        Some((answer, get)) => {
            let unread = Bytes::copy_from_slice(&bytes[get.len..]);
            Said::Plain { answer, is_last: get.is_last, unread }
        }
        None => Said::Other(Bytes::copy_from_slice(bytes)),
    }
}

/// Ready at the deadline. The timer is moved lazily: when it fires early, it is set again for the rest.
fn poll_deadline(mut timer: Pin<&mut Sleep>, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
    if timer.deadline() > deadline {
        timer.as_mut().reset(deadline);
    }
    loop {
        ready!(timer.as_mut().poll(context));
        if timer.deadline() >= deadline {
            return Poll::Ready(());
        }
        timer.as_mut().reset(deadline);
    }
}

/// An answer on its way out.
struct Reply {
    head: Chain<Bytes, Bytes>,
    body: Body,
    data: Data,
}

impl Reply {
    fn new(answer: AtHand, queue: Option<&FileQueue>, is_last: bool) -> Self {
        let (head, mut body) = answer.into_parts(is_last);
        body.set_queue(queue);
        Self { head, body, data: Data::from(Bytes::new()) }
    }

    fn poll_send<S: Write + Unpin>(&mut self, io: &mut S, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.data.has_remaining() {
                match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                    Some(Ok(frame)) => self.data = frame.into_data().unwrap_or_else(|_| Bytes::new().into()),
                    Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                    None if self.head.has_remaining() => {}
                    None => return Pin::new(io).poll_flush(context),
                }
            }
            ready!(self.poll_write(io, context))?;
        }
    }

    /// Writes the head, if it is still here, and the piece.
    fn poll_write<S: Write + Unpin>(
        &mut self,
        io: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.head.has_remaining() || self.data.has_remaining() {
            let mut slices = [io::IoSlice::new(&[]); SLICES];
            let heads = self.head.chunks_vectored(&mut slices);
            let all = heads + self.data.chunks_vectored(&mut slices[heads..]);
            let written = ready!(Pin::new(&mut *io).poll_write_vectored(context, &slices[..all]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = written.min(self.head.remaining());
            self.head.advance(of_head);
            self.data.advance(written - of_head);
        }
        Poll::Ready(Ok(()))
    }
}
