//! Bodies of file answers: pieces of an open file, read one ahead of the client.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use protocol::FileId;

use crate::files::{Files, OpenFile};

/// Bytes of a piece.
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
    segments
        .iter()
        .map(|segment| match segment {
            Segment::Bytes(bytes) => bytes.len() as u64,
            Segment::File(part) => part.end - part.start,
        })
        .sum()
}

/// Streams the segments in order. A file that got shorter meanwhile breaks the body off: its length was promised.
pub(crate) fn stream_file<F: Files>(
    files: Arc<F>,
    id: FileId,
    file: OpenFile,
    segments: Vec<Segment>,
) -> Body {
    let id = Arc::new(id);
    let file = Arc::new(file);
    let pieces = stream::iter(Pieces(segments.into())).map(move |piece| {
        let (files, id, file) = (Arc::clone(&files), Arc::clone(&id), Arc::clone(&file));
        async move {
            match piece {
                Segment::Bytes(bytes) => Ok(bytes),
                Segment::File(part) => {
                    let len = usize::try_from(part.end - part.start).unwrap_or(0);
                    let bytes = files.read_at(&id, &file, part.start, len).await?;
                    if bytes.len() == len { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
                }
            }
        }
    });
    Body::from_stream(pieces.buffered(AHEAD).inspect(|piece: &io::Result<Bytes>| {
        if let Err(error) = piece {
            tracing::warn!(%error, "a file answer broke off");
        }
    }))
}

/// Cuts file segments into pieces, one at a time.
struct Pieces(VecDeque<Segment>);

impl Iterator for Pieces {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        match self.0.pop_front()? {
            Segment::File(part) if part.end - part.start > PIECE => {
                let cut = part.start + PIECE;
                self.0.push_front(Segment::File(cut..part.end));
                Some(Segment::File(part.start..cut))
            }
            segment => Some(segment),
        }
    }
}
