//! Bodies of answers.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// Content in memory, empty once it has been sent.
    Bytes(Bytes),
    /// Content that comes piece by piece.
    Stream(axum::body::Body),
}

impl Body {
    /// No content.
    pub const fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl From<axum::body::Body> for Body {
    fn from(body: axum::body::Body) -> Self {
        Self::Stream(body)
    }
}

impl From<Bytes> for Body {
    fn from(content: Bytes) -> Self {
        Self::Bytes(content)
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Self::Bytes(content) if content.is_empty() => Poll::Ready(None),
            Self::Bytes(content) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(content))))),
            Self::Stream(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(content) => content.is_empty(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Bytes(content) => SizeHint::with_exact(content.len() as u64),
            Self::Stream(body) => body.size_hint(),
        }
    }
}
