//! Bodies of file answers: pieces of an open file, read one ahead of the client, or handed to the connection unread.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use protocol::FileId;

use crate::body::Data;
use crate::files::{Files, OpenFile};
use crate::sendfile::{self, FileQueue};

/// Bytes that are read at a time.
const PIECE: u64 = 256 * 1024;
/// Pieces that are read at a time: one on its way to the client, one from the disk.
const AHEAD: usize = 2;

/// A part of a body.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    /// Bytes that are there.
    Bytes(Bytes),
    /// A part of the file.
    File(Range<u64>),
}

/// Total length of segments.
pub(crate) fn len_of(segments: &[Segment]) -> u64 {
    segments.iter().map(Segment::len).sum()
}

impl Segment {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(part) => part.end - part.start,
        }
    }
}

/// All of a body that is so short that to copy it costs less than to send its parts on ways of their own; `None` for others,
/// and if the disk would have to be waited for.
pub(crate) fn little(file: &OpenFile, segments: &[Segment]) -> Option<Bytes> {
    const LITTLE: u64 = 16 * 1024;
    let len = len_of(segments);
    if len > LITTLE {
        return None;
    }
    let mut whole = Vec::with_capacity(usize::try_from(len).ok()?);
    for segment in segments {
        match segment {
            Segment::Bytes(bytes) => whole.extend_from_slice(bytes),
            Segment::File(part) => {
                let start = whole.len();
                whole.resize(start + usize::try_from(part.end - part.start).ok()?, 0);
                file.read_now(part.start, &mut whole[start..])?;
            }
        }
    }
    Some(whole.into())
}

/// Segments in order. Most answers have one, which needs no memory of its own.
#[derive(Default)]
struct Segments {
    front: Option<Segment>,
    rest: VecDeque<Segment>,
}

impl Segments {
    fn pop_front(&mut self) -> Option<Segment> {
        self.front.take().or_else(|| self.rest.pop_front())
    }

    /// Puts back what was not used of the one that was popped.
    fn put_back(&mut self, segment: Segment) {
        self.front = Some(segment);
    }
}

/// The segments in order. A file that got shorter meanwhile breaks the body off: its length was promised.
pub(crate) struct FileBody {
    source: Arc<dyn Source>,
    segments: Segments,
    left: u64,
    /// Most bytes of a piece.
    piece: u64,
    way: Way,
}

/// How content leaves.
enum Way {
    /// Read, as nobody said otherwise. Begins with the first piece that is wanted.
    Bytes(Option<BoxStream<'static, io::Result<Bytes>>>),
    /// By the connection's queue, once it is in memory.
    Queue { queue: FileQueue, fetching: Option<BoxFuture<'static, io::Result<Bytes>>> },
}

impl FileBody {
    pub(crate) fn new(source: Arc<dyn Source>, segments: Vec<Segment>) -> Self {
        let left = len_of(&segments);
        Self::of(source, Segments { front: None, rest: segments.into() }, left)
    }

    /// All of the file.
    pub(crate) fn whole(source: Arc<dyn Source>) -> Self {
        let len = source.file().len;
        Self::of(source, Segments { front: Some(Segment::File(0..len)), rest: VecDeque::new() }, len)
    }

    fn of(source: Arc<dyn Source>, segments: Segments, left: u64) -> Self {
        Self { source, segments, left, piece: sendfile::PIECE as u64, way: Way::Bytes(None) }
    }

    /// Bytes that are still to come.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Makes pieces no longer than this, whichever way they go; before the first piece.
    pub(crate) fn set_piece(&mut self, len: u64) {
        self.piece = len.clamp(1, sendfile::PIECE as u64);
    }

    /// Says how content is to leave; before the first piece.
    pub(crate) fn set_queue(&mut self, queue: Option<&FileQueue>) {
        self.way = match queue {
            Some(queue) => Way::Queue { queue: queue.clone(), fetching: None },
            None => Way::Bytes(None),
        };
    }

    pub(crate) fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Data>>> {
        let next = match &mut self.way {
            Way::Bytes(stream) => {
                let stream = stream.get_or_insert_with(|| {
                    read(&self.source, std::mem::take(&mut self.segments), self.piece.min(PIECE))
                });
                ready!(stream.poll_next_unpin(context)).map(|piece| piece.map(Data::from))
            }
            Way::Queue { queue, fetching } => {
                ready!(poll_queued(&self.source, &mut self.segments, queue, fetching, self.piece, context))
                    .transpose()
            }
        };
        match &next {
            Some(Ok(data)) => self.left = self.left.saturating_sub(bytes::Buf::remaining(data) as u64),
            Some(Err(error)) => tracing::warn!(%error, "a file answer broke off"),
            None => {}
        }
        Poll::Ready(next)
    }
}

/// The next piece for the queue. What is not in memory is read by those who may wait for the disk, so that `sendfile`
/// does not.
fn poll_queued(
    source: &Arc<dyn Source>,
    segments: &mut Segments,
    queue: &FileQueue,
    fetching: &mut Option<BoxFuture<'static, io::Result<Bytes>>>,
    longest: u64,
    context: &mut Context<'_>,
) -> Poll<io::Result<Option<Data>>> {
    let part = match segments.pop_front() {
        None => return Poll::Ready(Ok(None)),
        Some(Segment::Bytes(bytes)) => return Poll::Ready(Ok(Some(bytes.into()))),
        Some(Segment::File(part)) => part,
    };
    let file = source.file();
    let mut len = part.end - part.start;
    if let Some(read) = fetching {
        len = len.min(PIECE).min(longest);
        match Pin::new(read).poll(context) {
            Poll::Pending => {
                segments.put_back(Segment::File(part));
                return Poll::Pending;
            }
            Poll::Ready(read) => {
                *fetching = None;
                check_whole(&read?, len)?;
            }
        }
    } else {
        len = len.min(longest);
        if !file.is_in_memory(part.start, len) {
            *fetching = Some(Arc::clone(source).read(part.start, len.min(PIECE)));
            segments.put_back(Segment::File(part));
            return poll_queued(source, segments, queue, fetching, longest, context);
        }
    }
    let piece = queue.push(&file.file, file.offset + part.start, usize::try_from(len).unwrap_or(0));
    if part.start + len < part.end {
        segments.put_back(Segment::File(part.start + len..part.end));
    }
    Poll::Ready(Ok(Some(piece.into())))
}

fn check_whole(bytes: &Bytes, len: u64) -> io::Result<()> {
    if bytes.len() as u64 == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The segments as bytes.
fn read(source: &Arc<dyn Source>, segments: Segments, longest: u64) -> BoxStream<'static, io::Result<Bytes>> {
    let source = Arc::clone(source);
    let pieces = stream::iter(Pieces { segments, longest }).map(move |piece| {
        let source = Arc::clone(&source);
        async move {
            match piece {
                Segment::Bytes(bytes) => Ok(bytes),
                Segment::File(part) => {
                    let len = part.end - part.start;
                    let bytes = source.read(part.start, len).await?;
                    check_whole(&bytes, len)?;
                    Ok(bytes)
                }
            }
        }
    });
    pieces.buffered(AHEAD).boxed()
}

/// An open file and who reads it.
pub(crate) trait Source: Send + Sync {
    fn file(&self) -> &OpenFile;

    /// Reads without blocking the async threads.
    fn read(self: Arc<Self>, offset: u64, len: u64) -> BoxFuture<'static, io::Result<Bytes>>;
}

/// An open file for bodies.
pub(crate) fn source<F: Files>(files: Arc<F>, id: FileId, file: OpenFile) -> Arc<dyn Source> {
    Arc::new(Opened { files, id, file })
}

struct Opened<F> {
    files: Arc<F>,
    id: FileId,
    file: OpenFile,
}

impl<F: Files> Source for Opened<F> {
    fn file(&self) -> &OpenFile {
        &self.file
    }

    fn read(self: Arc<Self>, offset: u64, len: u64) -> BoxFuture<'static, io::Result<Bytes>> {
        Box::pin(async move {
            let len = usize::try_from(len).map_err(io::Error::other)?;
            self.files.read_at(&self.id, &self.file, offset, len).await
        })
    }
}

/// Cuts file segments into pieces, one at a time.
struct Pieces {
    segments: Segments,
    longest: u64,
}

impl Iterator for Pieces {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        match self.segments.pop_front()? {
            Segment::File(part) if part.end - part.start > self.longest => {
                let cut = part.start + self.longest;
                self.segments.put_back(Segment::File(cut..part.end));
                Some(Segment::File(part.start..cut))
            }
            segment => Some(segment),
        }
    }
}
