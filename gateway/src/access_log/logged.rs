//! A body whose end writes the line.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::Pending;
use crate::body::{Body, Data, Layer};

/// A body that counts what is taken of it. Whatever becomes of it, the line is written when it is dropped.
#[derive(Debug)]
pub(super) struct Logged {
    body: Body,
    pending: Pending,
}

impl Logged {
    pub(super) fn new(body: Body, mut pending: Pending) -> Self {
        pending.expects(body.size_hint().exact(), body.is_end_stream());
        Self { body, pending }
    }
}

impl Layer for Logged {
    fn inner(&mut self) -> Option<&mut Body> {
        Some(&mut self.body)
    }
}

impl HttpBody for Logged {
    type Data = Data;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Data>, axum::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                let len = frame.data_ref().map_or(0, Buf::remaining);
                this.pending.took(len as u64, this.body.is_end_stream());
            }
            Some(Err(_)) => {}
            None => this.pending.took(0, true),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
