//! Bodies of answers.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::file_body::FileBody;
use crate::sendfile::{FilePiece, FileQueue};

/// A buffer of a body.
#[derive(Debug)]
pub struct Data(Kind);

#[derive(Debug)]
enum Kind {
    Bytes(Bytes),
    /// Has a length, but no bytes to look at.
    File(FilePiece),
}

impl Data {
    /// Cuts off what is behind the first bytes. A piece of a file stays whole: who wants short ones says so before.
    pub(crate) fn split_off(&mut self, at: usize) -> Option<Self> {
        match &mut self.0 {
            Kind::Bytes(bytes) if bytes.len() > at => Some(bytes.split_off(at).into()),
            Kind::Bytes(_) | Kind::File(_) => None,
        }
    }
}

impl From<Bytes> for Data {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Bytes(bytes))
    }
}

impl From<FilePiece> for Data {
    fn from(piece: FilePiece) -> Self {
        Self(Kind::File(piece))
    }
}

impl Buf for Data {
    fn remaining(&self) -> usize {
        match &self.0 {
            Kind::Bytes(bytes) => bytes.remaining(),
            Kind::File(piece) => piece.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match &self.0 {
            Kind::Bytes(bytes) => bytes.chunk(),
            Kind::File(piece) => piece.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match &self.0 {
            Kind::Bytes(bytes) => bytes.chunks_vectored(slices),
            Kind::File(piece) => piece.chunks_vectored(slices),
        }
    }

    fn advance(&mut self, len: usize) {
        match &mut self.0 {
            Kind::Bytes(bytes) => bytes.advance(len),
            Kind::File(piece) => piece.advance(len),
        }
    }

    /// Of bytes in memory no copy is made.
    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        match &mut self.0 {
            Kind::Bytes(bytes) => bytes.copy_to_bytes(len),
            Kind::File(piece) => piece.copy_to_bytes(len),
        }
    }
}

/// A body around another one, such as one that counts its bytes or slows it down.
pub trait Layer: HttpBody<Data = Data, Error = axum::Error> + Send + Unpin + 'static {
    /// The body inside, none once it has ended.
    fn inner(&mut self) -> Option<&mut Body>;
}

/// The body of an answer.
pub struct Body {
    content: Content,
    is_at_hand: bool,
}

enum Content {
    /// In memory, empty once it has been sent.
    Bytes(Bytes),
    /// Comes piece by piece.
    Stream(axum::body::Body),
    /// Parts of a file.
    File(Box<FileBody>),
    Layer(Box<dyn Layer>),
}

impl Body {
    fn of(content: Content) -> Self {
        Self { content, is_at_hand: false }
    }

    /// No content.
    pub const fn empty() -> Self {
        Self { content: Content::Bytes(Bytes::new()), is_at_hand: false }
    }

    /// Says that the answer would have been [at hand](crate::at_hand::AtHand).
    pub(crate) fn at_hand(self) -> Self {
        Self { is_at_hand: true, ..self }
    }

    pub(crate) fn is_at_hand(&self) -> bool {
        self.is_at_hand
    }

    /// A body around another.
    pub fn layer(layer: impl Layer) -> Self {
        Self::of(Content::Layer(Box::new(layer)))
    }

    /// Its bytes as such, for those who change them.
    pub fn into_stream(mut self) -> axum::body::Body {
        self.set_queue(None);
        match self.content {
            Content::Bytes(bytes) => bytes.into(),
            Content::Stream(body) => body,
            Content::File(_) | Content::Layer(_) => axum::body::Body::new(Plain(self)),
        }
    }

    /// Lets parts of files be no longer than this; before the first one.
    pub(crate) fn set_piece(&mut self, len: u64) {
        match &mut self.content {
            Content::Bytes(_) | Content::Stream(_) => {}
            Content::File(file) => file.set_piece(len),
            Content::Layer(layer) => {
                if let Some(body) = layer.inner() {
                    body.set_piece(len);
                }
            }
        }
    }

    /// Lets parts of files go by this queue, or not.
    pub(crate) fn set_queue(&mut self, queue: Option<&FileQueue>) {
        match &mut self.content {
            Content::Bytes(_) | Content::Stream(_) => {}
            Content::File(file) => file.set_queue(queue),
            Content::Layer(layer) => {
                if let Some(body) = layer.inner() {
                    body.set_queue(queue);
                }
            }
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match &self.content {
            Content::Bytes(_) => "Bytes",
            Content::Stream(_) => "Stream",
            Content::File(_) => "File",
            Content::Layer(_) => "Layer",
        };
        formatter.debug_tuple("Body").field(&kind).finish()
    }
}

impl From<axum::body::Body> for Body {
    fn from(body: axum::body::Body) -> Self {
        Self::of(Content::Stream(body))
    }
}

impl From<Bytes> for Body {
    fn from(content: Bytes) -> Self {
        Self::of(Content::Bytes(content))
    }
}

impl From<FileBody> for Body {
    fn from(file: FileBody) -> Self {
        Self::of(Content::File(Box::new(file)))
    }
}

impl HttpBody for Body {
    type Data = Data;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Data>, axum::Error>>> {
        match &mut self.get_mut().content {
            Content::Bytes(content) if content.is_empty() => Poll::Ready(None),
            Content::Bytes(content) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(content).into())))),
            Content::Stream(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(Data::from))))
            }
            Content::File(file) => file
                .poll_data(context)
                .map(|data| data.map(|data| data.map(Frame::data).map_err(axum::Error::new))),
            Content::Layer(layer) => Pin::new(layer.as_mut()).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Bytes(content) => content.is_empty(),
            Content::Stream(body) => body.is_end_stream(),
            Content::File(file) => file.left() == 0,
            Content::Layer(layer) => layer.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Bytes(content) => SizeHint::with_exact(content.len() as u64),
            Content::Stream(body) => body.size_hint(),
            Content::File(file) => SizeHint::with_exact(file.left()),
            Content::Layer(layer) => layer.size_hint(),
        }
    }
}

/// A body without a queue, whose buffers therefore all are bytes.
struct Plain(Body);

impl HttpBody for Plain {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = match ready!(Pin::new(&mut self.0).poll_frame(context)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            Some(Ok(frame)) => frame,
        };
        Poll::Ready(Some(match frame.into_data() {
            Ok(Data(Kind::Bytes(bytes))) => Ok(Frame::data(bytes)),
            Ok(Data(Kind::File(_))) => Err(axum::Error::new("a piece of a file came where bytes have to")),
            Err(frame) => Ok(frame.map_data(|_| Bytes::new())),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
