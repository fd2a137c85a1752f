//! Joins the small frames that arrive of a body into pieces worth a trip to the disk. Slow clients get smaller pieces, so that
//! what many of them have in memory is what they sent in the last moments; and so do all when they are many, or a disk that
//! does not keep up would let each fill a large one.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::incoming::Incoming;
use crate::problem::Problem;

/// Pieces that larger bodies are written in. What is read in one go and written at once is still in the processor's cache.
pub(super) const PIECE: usize = 128 * 1024;
/// What is worth a trip to the disk when it took long to arrive, and how long that is.
const SLOW_PIECE: usize = 16 * 1024;
const GATHER_TIME: Duration = Duration::from_millis(200);
/// What is gathered of all bodies together; as much may be on its way to the disk.
const TOGETHER: usize = 8 << 20;

/// Bodies that are gathered now.
static BODIES: AtomicUsize = AtomicUsize::new(0);

/// What came of a body.
pub(super) struct Gather {
    buffer: Vec<u8>,
    /// Bytes of the last piece.
    last: usize,
}

impl Gather {
    pub(super) fn new() -> Self {
        BODIES.fetch_add(1, Relaxed);
        Self { buffer: Vec::new(), last: 0 }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, Problem> {
        let mut end = None;
        let most = share(BODIES.load(Relaxed));
        while self.buffer.len() < most {
            let bytes = match end {
                Some(end) if self.buffer.len() >= SLOW_PIECE => match timeout_at(end, body.next()).await {
                    Ok(bytes) => bytes?,
                    Err(_) => break,
                },
                _ => body.next().await?,
            };
            match bytes {
                Some(bytes) if self.buffer.is_empty() && bytes.len() >= most => return Ok(Some(bytes)),
                Some(bytes) => {
                    if self.buffer.is_empty() {
                        self.buffer.reserve(self.last.min(most));
                        end = Some(Instant::now() + GATHER_TIME);
                    }
                    make_room(&mut self.buffer, bytes.len());
                    self.buffer.extend_from_slice(&bytes);
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => break,
            }
        }
        self.last = self.buffer.len();
        // All of it: what is left of a large piece's buffer would be held while the client is silent.
        Ok(Some(std::mem::take(&mut self.buffer).into()))
    }
}

impl Drop for Gather {
    fn drop(&mut self) {
        BODIES.fetch_sub(1, Relaxed);
    }
}

/// Bytes of a whole piece while so many bodies are gathered.
fn share(bodies: usize) -> usize {
    (TOGETHER / bodies.max(1)).clamp(SLOW_PIECE, PIECE)
}

/// Makes room for so many bytes more. What slow clients have sent is little, and shall take little more than it is; to grow
/// large buffers so would copy them too often.
fn make_room(buffer: &mut Vec<u8>, len: usize) {
    if buffer.len() < SLOW_PIECE && buffer.capacity() - buffer.len() < len {
        buffer.reserve_exact(len.max(buffer.len() / 4));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_smaller_when_bodies_are_many() {
        for (bodies, piece) in [(0, PIECE), (1, PIECE), (64, PIECE), (128, PIECE / 2), (10_000, SLOW_PIECE)] {
            assert_eq!(share(bodies), piece, "{bodies}");
        }
    }

    #[test]
    fn little_takes_little() {
        let mut buffer = Vec::new();
        for _ in 0..SLOW_PIECE {
            make_room(&mut buffer, 1);
            buffer.push(0);
            assert!(buffer.capacity() <= buffer.len() + buffer.len() / 4 + 8, "{}", buffer.len());
        }
    }
}
