//! Bodies of requests: the largest one that is taken, and whether a client may still be sending.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;

use super::phase::Phase;

/// Shorter pieces are copied. hyper reads into 8 KiB at a time and begins new ones while any byte of the last is in use, so
/// a client that sends byte by byte would have whoever keeps its bytes hold 8 KiB for each.
const SHORT: usize = 1024;

/// A body went past the limit.
#[derive(Debug, Error)]
#[error("the body is longer than http.client_max_body_size")]
struct TooLarge;

/// What can go wrong with a body.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A body that comes in.
#[derive(Debug)]
pub(super) struct Inlet {
    body: Incoming,
    /// Bytes that may still come, if there is a limit.
    room: Option<u64>,
    overflow: Arc<AtomicBool>,
    ended: bool,
    phase: Arc<Phase>,
}

impl Inlet {
    /// The body with its limit, and the flag that is raised when it goes past it.
    pub(super) fn new(body: Incoming, max: u64, phase: &Arc<Phase>) -> (Self, Arc<AtomicBool>) {
        let overflow = Arc::new(AtomicBool::new(false));
        let (flag, phase) = (Arc::clone(&overflow), Arc::clone(phase));
        (Self { body, room: (max > 0).then_some(max), overflow, ended: false, phase }, flag)
    }
}

impl HttpBody for Inlet {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
            None => {
                this.ended = true;
                return Poll::Ready(None);
            }
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            Some(Ok(frame)) => frame,
        };
        if let (Some(room), Some(data)) = (this.room, frame.data_ref()) {
            let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
            this.room = room.checked_sub(len);
            if this.room.is_none() {
                this.overflow.store(true, Ordering::Relaxed);
                this.room = Some(0);
                return Poll::Ready(Some(Err(TooLarge.into())));
            }
        }
        Poll::Ready(Some(Ok(frame.map_data(own))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece that holds no more than it has.
fn own(piece: Bytes) -> Bytes {
    if piece.len() < SHORT { Bytes::copy_from_slice(&piece) } else { piece }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.phase.leave_unread();
        }
    }
}
