//! How fast answers are sent (`http.limit_rate`): a body that makes its reader wait.
//!
//! Pieces are an eighth of a second's bytes, so that they come evenly. Nothing is read ahead of them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use http::{Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use protocol::config::web_conf::PaceConf;
use tokio::time::{Instant, Sleep};

use crate::body::{Body, Data, Layer};

/// Bounds of a piece.
const PIECE: (u64, u64) = (4 * 1024, 256 * 1024);
/// What a reader who was slow itself may catch up on at once.
const CREDIT: Duration = Duration::from_millis(250);

/// The pace of answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    rate: u64,
    after: u64,
}

impl Pace {
    pub(crate) fn new(conf: &PaceConf) -> Option<Self> {
        (conf.rate > 0).then_some(Self { rate: conf.rate, after: conf.after })
    }

    /// Slows an answer down, if it is long enough.
    pub(crate) fn apply(self, response: Response<Body>) -> Response<Body> {
        let is_file = matches!(response.status(), StatusCode::OK | StatusCode::PARTIAL_CONTENT);
        let is_short = response.body().size_hint().exact().is_some_and(|len| len <= self.after);
        if !is_file || is_short {
            return response;
        }
        response.map(|mut body| {
            let piece = (self.rate / 8).clamp(PIECE.0, PIECE.1);
            body.set_piece(piece);
            Body::layer(Paced { body, pace: self, piece, sent: 0, free_at: None, sleep: None, rest: None })
        })
    }

    /// Time that so many bytes take.
    fn time(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A body that waits between its pieces.
struct Paced {
    body: Body,
    pace: Pace,
    piece: u64,
    sent: u64,
    /// When the next piece may go.
    free_at: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// What is left of a buffer that was longer than a piece.
    rest: Option<Data>,
}

impl Paced {
    fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(context));
            self.sleep = None;
        }
        Poll::Ready(())
    }

    /// Notes that a piece goes now, and how long the next has to wait.
    fn pass(&mut self, data: &Data) {
        let before = self.sent.max(self.pace.after);
        self.sent += u64::try_from(data.remaining()).unwrap_or(u64::MAX);
        let counted = self.sent.saturating_sub(before);
        if counted == 0 {
            return;
        }
        let now = Instant::now();
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        let from = self.free_at.map_or(now, |free_at| free_at.max(earliest));
        let free_at = from + self.pace.time(counted);
        self.free_at = Some(free_at);
        if free_at > now {
            self.sleep = Some(Box::pin(tokio::time::sleep_until(free_at)));
        }
    }
}

impl HttpBody for Paced {
    type Data = Data;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Data>, axum::Error>>> {
        let this = &mut *self;
        ready!(this.poll_wait(context));
        let mut data = match this.rest.take() {
            Some(rest) => rest,
            None => match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return Poll::Ready(other),
            },
        };
        let piece = usize::try_from(this.piece).unwrap_or(usize::MAX);
        this.rest = data.split_off(piece);
        this.pass(&data);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.as_ref().map_or(0, Buf::remaining);
        let rest = u64::try_from(rest).unwrap_or(u64::MAX);
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}

impl Layer for Paced {
    fn inner(&mut self) -> Option<&mut Body> {
        Some(&mut self.body)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::BodyExt;

    use super::*;

    async fn take(conf: PaceConf, body: Body) -> (usize, Duration, usize) {
        let mut body = Pace::new(&conf).unwrap().apply(Response::new(body)).into_body();
        let start = Instant::now();
        let (mut len, mut largest) = (0, 0);
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            (len, largest) = (len + data.remaining(), largest.max(data.remaining()));
            assert_eq!(body.size_hint().exact().is_some_and(|left| left == 0), body.is_end_stream());
        }
        (len, start.elapsed(), largest)
    }

    fn zeros(len: usize) -> Body {
        Bytes::from(vec![0; len]).into()
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_take_their_time() {
        let conf = PaceConf { rate: 100_000, after: 0 };
        let (len, time, largest) = take(conf, zeros(1_000_000)).await;
        assert_eq!((len, largest), (1_000_000, 12_500));
        assert!((9.8..=10.0).contains(&time.as_secs_f64()), "{time:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_bytes_are_free() {
        let conf = PaceConf { rate: 100_000, after: 900_000 };
        let (_, time, _) = take(conf, zeros(1_000_000)).await;
        assert!((0.8..=1.0).contains(&time.as_secs_f64()), "{time:?}");
        let (_, time, largest) = take(conf, zeros(900_000)).await;
        assert_eq!((time, largest), (Duration::ZERO, 900_000), "short enough to be left alone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_does_not_save_up() {
        let conf = PaceConf { rate: 100_000, after: 0 };
        let mut body = Pace::new(&conf).unwrap().apply(Response::new(zeros(1_000_000))).into_body();
        body.frame().await.unwrap().unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
        let start = Instant::now();
        let mut len = 0;
        while start.elapsed() < Duration::from_secs(1) {
            len += body.frame().await.unwrap().unwrap().into_data().unwrap().remaining();
        }
        assert!(len <= 150_000, "{len}");
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_not_slowed() {
        let mut response = Response::new(zeros(1_000_000));
        *response.status_mut() = StatusCode::NOT_FOUND;
        let body = Pace::new(&PaceConf { rate: 1, after: 0 }).unwrap().apply(response).into_body();
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 1_000_000);
    }
}
