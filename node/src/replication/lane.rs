//! One connection to a peer: messages go out in the order in which they are given, answers come back in that order.
//!
//! A task writes and another reads, so that many messages are under way at once where the peer is an fdfs node. FastDFS
//! gets the next one after its answer: the sender gives a lane no more than [`Lane::room`] says.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use protocol::client::{ClientLimits, Connection};
use protocol::frame::{HEADER_LEN, Header};
use protocol::storage::{FileInfo, ReportServerId};
use protocol::sync::{DIALECT, HELLO};
use protocol::wire::{Request, Response, frame};
use protocol::{Command, GroupName, Status, StorageId};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::cursor::Number;
use super::message::{Kind, Prepared, Writer};
use super::step::{Answer, Form};
use crate::store::{Entry, Store};

/// Messages under way on one connection to an fdfs node.
const PIPELINE: usize = 64;
/// Bytes that are gathered before they are sent.
const GATHER: usize = 256 * 1024;
/// Longest body of an answer: that of a question for a file's size.
const MAX_ANSWER: u64 = 4096;

/// A message to be.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) number: Number,
    pub(super) entry: Arc<Entry>,
    pub(super) form: Form,
}

/// What a lane tells its sender.
#[derive(Debug)]
pub(super) enum Event {
    /// An answer to what was sent, which may be of another form than was asked for. `size`: of the file here.
    Answered { lane: usize, number: Number, form: Form, size: u64, answer: Answer },
    /// Nothing had to be sent.
    Nothing { lane: usize, number: Number, in_doubt: bool },
    /// The file here cannot be read.
    Unreadable { lane: usize, number: Number, error: io::Error },
    /// The connection is gone, and with it whatever had no answer.
    Broken { lane: usize, error: io::Error },
}

/// The sender's end of a lane.
pub(super) struct Lane {
    jobs: mpsc::Sender<Job>,
    /// Messages given and not answered, oldest first.
    pub(super) under_way: VecDeque<(Number, Arc<Entry>)>,
    most: usize,
    task: AbortHandle,
}

impl Drop for Lane {
    fn drop(&mut self) {
        // What is under way goes again over another connection. Here it must not go on: an older copy would replace a
        // newer one. An idle lane says good-bye.
        if !self.under_way.is_empty() {
            self.task.abort();
        }
    }
}

/// What the writer and the reader of a lane know of each other.
struct Pulse(Mutex<Beat>);

struct Beat {
    /// When the peer last took bytes.
    taken: Instant,
    /// Messages that it has not answered.
    owed: usize,
}

impl Pulse {
    fn new() -> Self {
        Self(Mutex::new(Beat { taken: Instant::now(), owed: 0 }))
    }

    fn beat(&self) -> MutexGuard<'_, Beat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all lanes to a peer share.
pub(super) struct Road {
    pub(super) store: Store,
    pub(super) group: GroupName,
    pub(super) address: SocketAddr,
    pub(super) limits: ClientLimits,
    pub(super) heart_beat: Duration,
    pub(super) events: mpsc::Sender<Event>,
}

impl Lane {
    /// Messages that it takes now.
    pub(super) fn room(&self) -> usize {
        self.most.saturating_sub(self.under_way.len())
    }

    /// Gives it a message. The sender has asked for [`Lane::room`]; a lane that broke says so by an event.
    pub(super) fn give(&mut self, number: Number, entry: &Arc<Entry>, form: Form) {
        self.under_way.push_back((number, Arc::clone(entry)));
        let _ = self.jobs.try_send(Job { number, entry: Arc::clone(entry), form });
    }

    /// The message of this number is answered; gives its record.
    pub(super) fn answered(&mut self, number: Number) -> Option<Arc<Entry>> {
        let at = self.under_way.iter().position(|(known, _)| *known == number)?;
        self.under_way.remove(at).map(|(_, entry)| entry)
    }
}

impl Road {
    /// Opens the lane that says who is sending: the peer reports to the trackers what comes over it. Gives what the peer
    /// is, too.
    pub(super) async fn open_first(self: &Arc<Self>, own: StorageId) -> io::Result<(Lane, Kind)> {
        let mut connection = Connection::open(self.address, &self.limits).await.map_err(io::Error::other)?;
        let hello = frame(Command::REPORT_SERVER_ID, HELLO, |out| ReportServerId(own).encode_body(out));
        connection.send(Command::REPORT_SERVER_ID, &hello).await.map_err(io::Error::other)?;
        let answer = connection.answer(Command::REPORT_SERVER_ID, MAX_ANSWER).await;
        let answer = answer.map_err(io::Error::other)?;
        let kind = if answer[..] == DIALECT { Kind::Fdfs } else { Kind::FastDfs };
        Ok((self.start(0, connection, kind), kind))
    }

    /// Opens another lane.
    pub(super) async fn open(self: &Arc<Self>, lane: usize, kind: Kind) -> io::Result<Lane> {
        let connection = Connection::open(self.address, &self.limits).await.map_err(io::Error::other)?;
        Ok(self.start(lane, connection, kind))
    }

    fn start(self: &Arc<Self>, lane: usize, connection: Connection, kind: Kind) -> Lane {
        let most = match kind {
            Kind::Fdfs => PIPELINE,
            Kind::FastDfs => 1,
        };
        let (jobs, inbox) = mpsc::channel(most);
        let (reading, writing) = connection.into_stream().into_split();
        let (expect, expected) = mpsc::unbounded_channel();
        let road = Arc::clone(self);
        let task = tokio::spawn(async move {
            let pulse = Pulse::new();
            let to_peer = ToPeer { stream: writing, pulse: &pulse, timeout: road.limits.network_timeout };
            let write = road.write(lane, kind, to_peer, inbox, expect);
            let read = road.read(lane, reading, &pulse, expected);
            // Whichever ends first takes the other along: the connection is of no use without it.
            let outcome = tokio::select! {
                outcome = write => outcome,
                outcome = read => outcome,
            };
            if let Err(error) = outcome {
                let _ = road.events.send(Event::Broken { lane, error }).await;
            }
        });
        Lane { jobs, under_way: VecDeque::new(), most, task: task.abort_handle() }
    }

    /// Ends with `Ok` when the sender drops the lane.
    async fn write(
        &self,
        lane: usize,
        kind: Kind,
        mut to_peer: ToPeer<'_>,
        mut inbox: mpsc::Receiver<Job>,
        expect: mpsc::UnboundedSender<Expected>,
    ) -> io::Result<()> {
        let writer = Writer { store: &self.store, group: self.group, kind };
        let mut out = BytesMut::new();
        loop {
            let job = match timeout(self.heart_beat, inbox.recv()).await {
                Ok(Some(job)) => Some(job),
                Ok(None) => {
                    out.extend_from_slice(&frame(Command::QUIT, Status::OK, |_| {}));
                    return to_peer.flush(&mut out).await;
                }
                Err(_) => None,
            };
            let Some(mut job) = job else {
                if to_peer.pulse.beat().owed > 0 {
                    // FastDFS gets nothing before it has answered; the reader watches the time.
                    continue;
                }
                out.extend_from_slice(&frame(Command::ACTIVE_TEST, Status::OK, |_| {}));
                to_peer.pulse.beat().owed += 1;
                let _ = expect.send(Expected::Alive);
                to_peer.flush(&mut out).await?;
                continue;
            };
            loop {
                self.put(lane, &writer, job, &mut to_peer, &mut out, &expect).await?;
                if out.len() >= GATHER {
                    break;
                }
                match inbox.try_recv() {
                    Ok(next) => job = next,
                    Err(_) => break,
                }
            }
            to_peer.flush(&mut out).await?;
        }
    }

    /// Appends a message to `out`; one that streams is written.
    async fn put(
        &self,
        lane: usize,
        writer: &Writer<'_>,
        job: Job,
        to_peer: &mut ToPeer<'_>,
        out: &mut BytesMut,
        expect: &mpsc::UnboundedSender<Expected>,
    ) -> io::Result<()> {
        let number = job.number;
        let message = match writer.prepare(&job.entry, job.form).await {
            Ok(Prepared::Send(message)) => *message,
            Ok(Prepared::Nothing { in_doubt }) => {
                let _ = self.events.send(Event::Nothing { lane, number, in_doubt }).await;
                return Ok(());
            }
            Err(error) => {
                let _ = self.events.send(Event::Unreadable { lane, number, error }).await;
                return Ok(());
            }
        };
        out.extend_from_slice(&message.head);
        let sent = message.head.len() as u64;
        to_peer.pulse.beat().owed += 1;
        let _ = expect.send(Expected::Answer { number, form: message.form, size: message.size });
        let Some(mut rest) = message.rest else {
            self.store.counters().sync_out_bytes.done(sent);
            return Ok(());
        };
        to_peer.flush(out).await?;
        while let Some(piece) = rest.next(&self.store).await? {
            to_peer.send(&piece).await?;
            self.store.counters().sync_out_bytes.done(piece.len() as u64);
        }
        Ok(())
    }

    /// The next answer. Its time begins anew with everything that the peer takes: a large file may take long.
    async fn await_answer(
        &self,
        stream: &mut BufReader<OwnedReadHalf>,
        pulse: &Pulse,
    ) -> io::Result<(Header, Vec<u8>)> {
        let mut since = Instant::now();
        let answer = read_answer(stream);
        tokio::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                () = sleep_until(since + self.limits.network_timeout) => {}
            }
            let taken = pulse.beat().taken;
            if taken <= since {
                return Err(io::ErrorKind::TimedOut.into());
            }
            since = taken;
        }
    }

    async fn read(
        &self,
        lane: usize,
        stream: OwnedReadHalf,
        pulse: &Pulse,
        mut expected: mpsc::UnboundedReceiver<Expected>,
    ) -> io::Result<()> {
        let mut stream = BufReader::with_capacity(1024, stream);
        while let Some(expected) = expected.recv().await {
            let (header, body) = self.await_answer(&mut stream, pulse).await?;
            pulse.beat().owed -= 1;
            let Expected::Answer { number, form, size } = expected else { continue };
            let answer = match (header.status, form.asks()) {
                (Status::OK, true) => {
                    Answer::Size(FileInfo::decode_body(&body).map_err(io::Error::other)?.size)
                }
                (status, _) => Answer::Status(status),
            };
            // The sender may be gone.
            let _ = self.events.send(Event::Answered { lane, number, form, size, answer }).await;
        }
        // The writer has ended; it tells why.
        std::future::pending().await
    }
}

/// The writing half.
struct ToPeer<'a> {
    stream: OwnedWriteHalf,
    pulse: &'a Pulse,
    timeout: Duration,
}

impl ToPeer<'_> {
    async fn flush(&mut self, out: &mut BytesMut) -> io::Result<()> {
        let outcome = self.send(out).await;
        if out.capacity() > 2 * GATHER {
            *out = BytesMut::new();
        }
        out.clear();
        outcome
    }

    /// Every part that the peer takes renews its time.
    async fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = timeout(self.timeout, self.stream.write(bytes)).await;
            let written = written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            bytes = bytes.get(written..).unwrap_or_default();
            self.pulse.beat().taken = Instant::now();
        }
        Ok(())
    }
}

/// What the next answer is for.
enum Expected {
    Alive,
    Answer { number: Number, form: Form, size: u64 },
}

async fn read_answer(stream: &mut BufReader<OwnedReadHalf>) -> io::Result<(Header, Vec<u8>)> {
    let mut head = [0; HEADER_LEN];
    stream.read_exact(&mut head).await?;
    let header = Header::decode(&head, MAX_ANSWER).map_err(io::Error::other)?;
    let header = header.filter(|header| header.command == Command::RESPONSE);
    let header = header.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut body = vec![0; usize::try_from(header.body_len).unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok((header, body))
}
