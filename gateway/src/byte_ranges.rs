//! `multipart/byteranges` bodies: several parts of a file in one answer (RFC 9110, 14.6).

use std::ops::Range;

use bytes::Bytes;
use http::HeaderValue;

use crate::file_body::Segment;

/// The type of such bodies.
pub(crate) const BYTE_RANGES: &str = "multipart/byteranges";

/// An answer with several parts.
pub(crate) struct ByteRanges {
    /// `Content-Type`.
    pub(crate) kind: String,
    /// The body.
    pub(crate) segments: Vec<Segment>,
}

impl ByteRanges {
    /// Parts of a file of a type, out of so many bytes.
    pub(crate) fn of(parts: Vec<Range<u64>>, kind: &HeaderValue, whole: u64) -> Self {
        let boundary = format!("{:032x}", fastrand::u128(..));
        let kind = kind.to_str().unwrap_or("application/octet-stream");
        let mut segments = Vec::with_capacity(parts.len() * 2 + 1);
        for part in parts {
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: bytes {}-{}/{whole}\r\n\r\n",
                part.start,
                part.end - 1
            );
            segments.push(Segment::Bytes(head.into()));
            segments.push(Segment::File(part));
        }
        segments.push(Segment::Bytes(format!("\r\n--{boundary}--\r\n").into()));
        Self { kind: format!("{BYTE_RANGES}; boundary={boundary}"), segments }
    }
}

/// The segments of content that is in memory.
pub(crate) fn cut(content: &Bytes, segments: &[Segment]) -> Bytes {
    let slice = |part: &Range<u64>| {
        let bound = |at: u64| usize::try_from(at).unwrap_or(content.len()).min(content.len());
        content.slice(bound(part.start)..bound(part.end))
    };
    if let [Segment::File(part)] = segments {
        return slice(part);
    }
    let mut whole = Vec::new();
    for segment in segments {
        match segment {
            Segment::Bytes(bytes) => whole.extend_from_slice(bytes),
            Segment::File(part) => whole.extend_from_slice(&slice(part)),
        }
    }
    whole.into()
}
