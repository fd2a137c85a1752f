//! Bodies on their way in: their next bytes, with patience, and the ways to take them.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt;
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::gather::Gather;
use super::upload::{bad, write_failed};
use crate::files::Upload;
use crate::problem::Problem;

/// Pieces of small bodies that are shorter are joined.
const SHORT: usize = 4 * 1024;

/// What is read and thrown away of a body that was refused half-way, at most: a client that is still sending when the
/// connection ends would not see the answer.
const DISCARD: usize = 64 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// A body on its way in.
pub(crate) struct Incoming {
    pub(crate) body: Body,
    pub(crate) patience: Duration,
}

impl Incoming {
    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let mut frame = self.body.frame();
            // What is here already needs no clock.
            let frame = match (&mut frame).now_or_never().map_or_else(|| Err(frame), Ok) {
                Ok(frame) => Ok(frame),
                Err(waiting) => timeout(self.patience, waiting).await,
            };
            let frame = match frame {
                Ok(frame) => frame,
                Err(_) => {
                    let detail = "nothing of the body arrived for too long; send it again";
                    return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail));
                }
            };
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(_)) => {
                    return Err(bad("body_broken", "the body ended early, or its chunks are malformed"));
                }
            }
        }
    }

    /// All of a body whose length was announced, and is small. Short pieces are joined: together they may be worth less
    /// than the buffers that they lie in.
    pub(super) async fn all(&mut self, len: u64) -> Result<Vec<Bytes>, Problem> {
        let (mut pieces, mut joined) = (Vec::new(), Vec::new());
        while let Some(piece) = self.next().await? {
            if piece.len() >= SHORT || piece.len() as u64 == len {
                if !joined.is_empty() {
                    pieces.push(std::mem::take(&mut joined).into());
                }
                pieces.push(piece);
            } else {
                joined.extend_from_slice(&piece);
            }
        }
        if !joined.is_empty() {
            pieces.push(joined.into());
        }
        Ok(pieces)
    }

    /// All of a body, at most `max` bytes.
    pub(super) async fn at_most(&mut self, max: usize) -> Result<Vec<u8>, Problem> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await? {
            if whole.len() + bytes.len() > max {
                self.discard().await;
                let detail = format!("the body of this request has up to {max} bytes; send less");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }

    /// Reads on for a while without keeping anything. Whoever sends more, or slower, sees the connection end.
    pub(super) async fn discard(&mut self) {
        let mut left = DISCARD;
        let reading = async {
            while let Ok(Some(bytes)) = self.next().await {
                match left.checked_sub(bytes.len()) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        // The deadline is an end like the others: nothing is left to be done.
        let _ = timeout(DISCARD_TIME, reading).await;
    }

    /// The answer to what was refused, once the client has most likely sent the rest.
    pub(super) async fn refused(&mut self, problem: Problem) -> Problem {
        Box::pin(self.discard()).await;
        problem
    }

    /// Moves the body into an upload.
    pub(super) async fn pour(&mut self, upload: &mut impl Upload) -> Result<(), Problem> {
        let mut gather = Gather::new();
        let mut piece = gather.next(self).await?;
        while let Some(bytes) = piece {
            // Boxed: the client is waited for much longer.
            let (written, next) = tokio::join!(Box::pin(upload.write(bytes)), gather.next(self));
            written.map_err(write_failed)?;
            piece = next?;
        }
        Ok(())
    }
}
