//! One sender: everything that one peer gets from this node, from the first contact to the peer's end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::cluster::{SenderState, StorageStatus};
use protocol::{LogicName, Status, StorageId};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Shared;
use super::cursor::{Fate, Fault, Turn};
use super::dead_letters::{DeadLetters, Letter};
use super::fill;
use super::lane::{Event, Lane, Road};
use super::mark::{self, Mark};
use super::message::Kind;
use super::report::Progress;
use super::step::{self, Form, Known, Step};
use super::work::Work;
use crate::peers::{Peer, is_tombstone};
use crate::store::{BinlogPosition, Entry};

/// How often the mark is written while it moves.
const MARK_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is found out what a peer lacks that is not in service.
const LAG_INTERVAL: Duration = Duration::from_secs(5);
/// How often dead letters are tried again.
const DEAD_LETTER_INTERVAL: Duration = Duration::from_secs(600);
/// First pause after a lost connection; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Events that wait for the sender.
const EVENTS: usize = 1024;

/// Why serving ended.
#[derive(Debug)]
pub(super) enum End {
    /// The node stops.
    Stopped,
    /// The peer's status or address is not what it was.
    PeerChanged,
    /// The peer has all old files.
    Filled,
    /// The connection is gone, or something local failed.
    Failed(String),
}

/// Everything that one sender needs.
pub(super) struct Sender {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: StorageId,
    pub(super) progress: Arc<Progress>,
    pub(super) stop: CancellationToken,
}

impl Sender {
    /// Serves the peer until it is gone from the group or the node stops.
    pub(super) async fn run(self) {
        let mut pause = FIRST_PAUSE;
        let mut said = String::new();
        let mut work: Option<Work> = None;
        let mut preview = self.preview().await;
        loop {
            let Some(peer) = self.await_service(work.as_mut().or(preview.as_mut())).await else { break };
            preview = None;
            let mut one = match work.take() {
                // A peer that waits to be filled has begun anew, perhaps.
                Some(one) if peer.status != StorageStatus::WAIT_SYNC => one,
                _ => match self.prepare(&peer).await {
                    Ok(one) => one,
                    Err(reason) => {
                        self.say(&mut said, &reason);
                        if self.pause(&mut pause).await.is_break() {
                            break;
                        }
                        continue;
                    }
                },
            };
            if one.filling.waits_for_source() && peer.status != StorageStatus::ACTIVE {
                // Another member fills it; ours come when it is active.
                self.progress.set_state(SenderState::WAITING);
                work = Some(one);
                self.await_change(&peer).await;
                continue;
            }
            let began = Instant::now();
            let end = self.serve(&peer, &mut one).await;
            one.save(&self.progress).await;
            match end {
                End::Stopped => break,
                End::PeerChanged | End::Filled => {}
                End::Failed(reason) => {
                    self.say(&mut said, &reason);
                    if began.elapsed() > LONGEST_PAUSE {
                        pause = FIRST_PAUSE;
                        said.clear();
                    }
                    self.show_lag(&mut one).await;
                    self.progress.set_state(SenderState::CONNECTING);
                    if self.pause(&mut pause).await.is_break() {
                        break;
                    }
                }
            }
            work = Some(one);
        }
        self.progress.set_state(SenderState::WAITING);
        self.retire().await;
    }

    fn say(&self, said: &mut String, reason: &str) {
        self.progress.set_trouble(Some(reason));
        if said != reason {
            warn!(peer = %self.peer, reason, "replication to the peer is interrupted, trying again");
            reason.clone_into(said);
        }
    }

    async fn pause(&self, pause: &mut Duration) -> std::ops::ControlFlow<()> {
        tokio::select! {
            () = sleep(*pause) => {}
            () = self.stop.cancelled() => return std::ops::ControlFlow::Break(()),
        }
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        std::ops::ControlFlow::Continue(())
    }

    /// Waits until the peer may be sent to; `None` when it is gone for good or the node stops.
    async fn await_service(&self, mut work: Option<&mut Work>) -> Option<Peer> {
        let mut watch = self.shared.peers.watch();
        loop {
            watch.mark_unchanged();
            let peer = self.shared.peers.get(&self.peer)?;
            match peer.status {
                status if is_tombstone(status) || status == StorageStatus::NONE => return None,
                StorageStatus::ACTIVE | StorageStatus::WAIT_SYNC | StorageStatus::SYNCING
                    if self.shared.window.is_open() =>
                {
                    return Some(peer);
                }
                _ => {}
            }
            if let Some(work) = &mut work {
                self.show_lag(work).await;
            }
            self.progress.set_state(SenderState::WAITING);
            tokio::select! {
                _ = watch.changed() => {}
                () = sleep(LAG_INTERVAL) => {}
                () = self.stop.cancelled() => return None,
            }
        }
    }

    /// Waits until the peer is not as it was.
    async fn await_change(&self, was: &Peer) {
        let mut watch = self.shared.peers.watch();
        loop {
            watch.mark_unchanged();
            if self.shared.peers.get(&self.peer).as_ref() != Some(was) {
                return;
            }
            tokio::select! {
                _ = watch.changed() => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Finds out where to begin.
    async fn prepare(&self, peer: &Peer) -> Result<Work, String> {
        self.progress.set_state(SenderState::CONNECTING);
        let stem = self.shared.stem(&self.peer);
        let path = mark::path_of(&stem);
        let mark = fill::begin(&self.shared, peer, &path).await?;
        self.work(&stem, mark).await.map_err(|error| error.to_string())
    }

    async fn work(&self, stem: &Path, mark: Mark) -> io::Result<Work> {
        let path = mark::dead_letters_of(stem);
        let dead = blocking(move || DeadLetters::load(&path)).await?;
        self.progress.set_dead_letters(&dead);
        self.progress.set_mark(mark.position);
        let end = *self.shared.binlog.borrow();
        Ok(Work::new(self.peer, mark::path_of(stem), mark, dead, end))
    }

    /// What a peer that is not in service lacks, by the mark that it has.
    async fn preview(&self) -> Option<Work> {
        let stem = self.shared.stem(&self.peer);
        let path = mark::path_of(&stem);
        let mark = blocking(move || Mark::load(&path)).await.ok()??;
        self.work(&stem, mark).await.ok()
    }

    /// Finds out how much the peer lacks, while nothing is sent.
    async fn show_lag(&self, work: &mut Work) {
        let end = *self.shared.binlog.borrow();
        if let Err(error) = work.read(&self.shared.store, end).await {
            warn!(peer = %self.peer, %error, "the binlog cannot be read");
        }
        self.progress.set_lag(work.lag(&self.shared), false);
    }

    /// Sends until something changes. What was under way is lost, and goes again at the next call.
    async fn serve(&self, peer: &Peer, work: &mut Work) -> End {
        let (events, mut inbox) = mpsc::channel(EVENTS);
        let road = Arc::new(Road {
            store: self.shared.store.clone(),
            group: self.shared.store.group(),
            address: SocketAddr::new(peer.ip, peer.port),
            limits: self.shared.limits.clone(),
            heart_beat: self.shared.heart_beat,
            events,
        });
        self.progress.set_state(SenderState::CONNECTING);
        let Some(own) = self.shared.peers.own() else {
            return End::Failed("no tracker has told this node's id yet".to_owned());
        };
        let opened = tokio::select! {
            opened = road.open_first(own) => opened,
            () = self.stop.cancelled() => return End::Stopped,
        };
        let (lane, kind) = match opened {
            Ok(opened) => opened,
            Err(error) => return End::Failed(explain(&error)),
        };
        info!(peer = %self.peer, address = %road.address, is_fdfs = kind == Kind::Fdfs, position = ?work.cursor.mark(),
            "replicating to the peer");
        self.progress.set_trouble(None);
        let announced = tokio::select! {
            announced = fill::announce(&self.shared, peer, &work.mark) => announced,
            () = self.stop.cancelled() => return End::Stopped,
        };
        match announced {
            Ok(true) => return End::Filled,
            Ok(false) => {}
            Err(reason) => return End::Failed(reason),
        }
        let mut run = Run { sender: self, work, road, kind, lanes: vec![Some(lane)], end: None };
        let end = run.go(&mut inbox).await;
        run.drop_lanes();
        end
    }

    /// The peer is gone from the group: its state gets another name, for the operator.
    async fn retire(&self) {
        let is_gone = self.shared.peers.get(&self.peer).is_some_and(|peer| is_tombstone(peer.status));
        if self.stop.is_cancelled() || !is_gone {
            return;
        }
        let stem = self.shared.stem(&self.peer);
        let outcome = blocking(move || {
            mark::retire(&mark::path_of(&stem))?;
            mark::retire(&mark::dead_letters_of(&stem))
        });
        match outcome.await {
            Ok(()) => info!(peer = %self.peer, "the peer has left the group, nothing is sent to it any more"),
            Err(error) => {
                error!(peer = %self.peer, %error, "the mark of a peer that has left cannot be put aside")
            }
        }
        self.shared.peers.set_status(&self.peer, StorageStatus::NONE);
    }
}

/// One connection's life.
struct Run<'a> {
    sender: &'a Sender,
    work: &'a mut Work,
    road: Arc<Road>,
    kind: Kind,
    lanes: Vec<Option<Lane>>,
    end: Option<End>,
}

impl Run<'_> {
    async fn go(&mut self, inbox: &mut mpsc::Receiver<Event>) -> End {
        let mut binlog = self.sender.shared.binlog.clone();
        let mut peers = self.sender.shared.peers.watch();
        let mut tick = tokio::time::interval(MARK_INTERVAL);
        loop {
            if let Some(end) = self.end.take() {
                return end;
            }
            binlog.mark_unchanged();
            let end = *binlog.borrow();
            if let Err(error) = self.work.read(&self.sender.shared.store, end).await {
                return End::Failed(format!("the binlog cannot be read: {error}"));
            }
            if let Err(error) = self.dispatch().await {
                return End::Failed(explain(&error));
            }
            let written = *binlog.borrow();
            if self.is_through(written)
                && let Some(end) = self.through().await
            {
                return end;
            }
            let wakes = self.work.cursor.wakes_at().map(|at| self.work.started + at);
            tokio::select! {
                biased;
                () = self.sender.stop.cancelled() => return End::Stopped,
                Some(event) = inbox.recv() => {
                    self.hear(event);
                    while let Ok(event) = inbox.try_recv() {
                        self.hear(event);
                    }
                }
                _ = binlog.changed() => {}
                _ = peers.changed() => {
                    peers.mark_unchanged();
                    if self.has_changed() {
                        return End::PeerChanged;
                    }
                }
                () = sleep_until(wakes.unwrap_or_else(|| Instant::now() + DEAD_LETTER_INTERVAL)) => {}
                _ = tick.tick() => self.every_second().await,
            }
        }
    }

    fn has_changed(&self) -> bool {
        let now = self.sender.shared.peers.get(&self.sender.peer);
        now.is_none_or(|now| {
            SocketAddr::new(now.ip, now.port) != self.road.address
                || !matches!(now.status, StorageStatus::ACTIVE | StorageStatus::SYNCING)
        })
    }

    async fn every_second(&mut self) {
        self.work.save(&self.sender.progress).await;
        let lag = self.work.lag(&self.sender.shared);
        self.sender.progress.set_lag(lag, self.work.filling.is_under_way());
        if self.work.dead_due <= Instant::now() {
            self.work.dead_due = Instant::now() + DEAD_LETTER_INTERVAL;
            let Work { dead, cursor, .. } = &mut *self.work;
            for letter in dead.letters() {
                if !cursor.has(&letter.entry) {
                    cursor.push_again(letter.entry.clone());
                }
            }
        }
        if !self.sender.shared.window.is_open() {
            self.end = Some(End::PeerChanged);
        }
    }

    /// Gives records to lanes while both are there.
    async fn dispatch(&mut self) -> io::Result<()> {
        loop {
            let others_have_room = self.lanes.len() < self.sender.shared.lanes || self.best(1).is_some();
            if self.best(0).is_none() && !others_have_room {
                return Ok(());
            }
            let Some(turn) = self.work.cursor.next(self.work.clock()) else { return Ok(()) };
            let from = usize::from(!self.work.cursor.is_safe_to_report(turn.entry.time));
            let may_open = self.lanes.len() < self.sender.shared.lanes;
            let lane = match self.best(from) {
                Some(lane) if self.is_idle(lane) || !may_open => lane,
                // A record that waits behind another waits for its answer.
                _ if may_open => {
                    let lane = self.lanes.len();
                    let opened = self.road.open(lane, self.kind).await;
                    match opened {
                        Ok(opened) => self.lanes.push(Some(opened)),
                        Err(error) => {
                            self.work.cursor.lost(turn.number);
                            return Err(error);
                        }
                    }
                    lane
                }
                _ => {
                    self.work.cursor.lost(turn.number);
                    return Ok(());
                }
            };
            self.give(lane, turn);
        }
    }

    fn is_idle(&self, lane: usize) -> bool {
        matches!(self.lanes.get(lane), Some(Some(lane)) if lane.under_way.is_empty())
    }

    /// The lane with the least to do, from this one on; the first of them if several have nothing.
    fn best(&self, from: usize) -> Option<usize> {
        let open = self.lanes.iter().enumerate().skip(from);
        let with_room =
            open.filter_map(|(at, lane)| Some((at, lane.as_ref()?))).filter(|(_, lane)| lane.room() > 0);
        with_room.min_by_key(|(at, lane)| (lane.under_way.len(), *at)).map(|(at, _)| at)
    }

    fn give(&mut self, lane: usize, turn: Turn) {
        let in_doubt = turn.tries > 0 || names(&turn.entry).any(|name| self.work.in_doubt.contains(name));
        let form = step::first(&turn.entry, Known { had_last: self.work.had_last, in_doubt });
        if let Some(Some(lane)) = self.lanes.get_mut(lane) {
            lane.give(turn.number, &Arc::new(turn.entry), form);
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Answered { lane, number, form, size, answer } => {
                let Some(entry) = self.take(lane, number) else { return };
                match step::after(&entry, &form, answer, size) {
                    Step::Done { had } => {
                        if matches!(form, Form::Create | Form::CreateHad | Form::Update) {
                            self.work.had_last = had;
                        }
                        self.done(number, &entry, form != Form::CreateHad);
                    }
                    Step::Then(form) => match self.lanes.get_mut(lane) {
                        Some(Some(lane)) => lane.give(number, &entry, form),
                        _ => self.work.cursor.lost(number),
                    },
                    Step::Refused(status) => self.refused(number, &entry, status, &form),
                }
            }
            Event::Nothing { lane, number, in_doubt } => {
                let Some(entry) = self.take(lane, number) else { return };
                if in_doubt {
                    self.work.in_doubt.insert(entry.name.clone());
                }
                self.work.cursor.done(number);
                self.forget_letter(&entry);
            }
            Event::Unreadable { lane, number, error } => {
                let Some(entry) = self.take(lane, number) else { return };
                warn!(peer = %self.sender.peer, record = %entry, %error, "a file to be replicated cannot be read");
                self.refused(number, &entry, Status::EIO, &Form::Create);
            }
            Event::Broken { lane, error } => {
                // The record that the peer was at may be what broke it: it rests while others go on.
                let front = self.lanes.get(lane).and_then(|lane| lane.as_ref()?.under_way.front().cloned());
                if let Some((number, _)) = front {
                    let now = self.work.clock();
                    self.work.cursor.failed(number, Fault::Peer, now);
                }
                self.end = Some(End::Failed(explain(&error)));
            }
        }
    }

    fn take(&mut self, lane: usize, number: u64) -> Option<Arc<Entry>> {
        self.lanes.get_mut(lane)?.as_mut()?.answered(number)
    }

    fn done(&mut self, number: u64, entry: &Entry, was_sent: bool) {
        self.work.cursor.done(number);
        self.work.mark.sent += 1;
        if self.work.trouble.take().is_some() {
            self.sender.progress.set_trouble(None);
        }
        for name in names(entry) {
            self.work.in_doubt.remove(name);
        }
        self.sender.progress.count(u64::from(was_sent));
        self.forget_letter(entry);
    }

    fn forget_letter(&mut self, entry: &Entry) {
        if self.work.dead.remove(entry) {
            info!(peer = %self.sender.peer, record = %entry, "a record that was set aside has arrived");
        }
    }

    fn refused(&mut self, number: u64, entry: &Entry, status: Status, form: &Form) {
        let peer = self.sender.peer;
        let fault = if step::is_peer_s_trouble(status) { Fault::Peer } else { Fault::Record };
        match self.work.cursor.failed(number, fault, self.work.clock()) {
            Fate::Again if fault == Fault::Record => {
                warn!(%peer, record = %entry, %status, ?form, "the peer refuses a record, trying again");
            }
            Fate::Again if self.work.trouble != Some(status) => {
                warn!(%peer, record = %entry, %status, "the peer is in trouble, trying again");
                self.work.trouble = Some(status);
                self.sender.progress.set_trouble(Some(&format!("the peer answers {status}")));
            }
            Fate::Again => {}
            Fate::SetAside => {
                error!(%peer, record = %entry, %status, "the peer refuses a record, setting it aside");
                self.work.dead.add(Letter { since: unix_now(), status, entry: entry.clone() });
                // The next record of the file brings it whole.
                self.work.in_doubt.insert(entry.name.clone());
            }
        }
    }

    /// Whether the peer has all that the binlog holds.
    fn is_through(&self, end: BinlogPosition) -> bool {
        self.work.cursor.outstanding() == 0 && self.work.read_to() >= end
    }

    async fn through(&mut self) -> Option<End> {
        self.sender.progress.set_state(SenderState::IN_STEP);
        if !self.work.filling.is_under_way() {
            return None;
        }
        let refused = self.work.dead.len();
        if refused > 0 {
            error!(peer = %self.sender.peer, refused, "the new member lacks files that it refuses; see the dead letters");
        }
        self.work.mark.sync_old_done = true;
        self.work.filling.finish();
        self.work.save(&self.sender.progress).await;
        info!(peer = %self.sender.peer, records = self.work.mark.sent, "the new member has all old files");
        match fill::report_filled(&self.sender.shared, &self.sender.peer).await {
            Ok(()) => Some(End::Filled),
            Err(reason) => Some(End::Failed(reason)),
        }
    }

    fn drop_lanes(&mut self) {
        for lane in self.lanes.drain(..).flatten() {
            for (number, _) in &lane.under_way {
                self.work.cursor.lost(*number);
            }
        }
    }
}

fn names(entry: &Entry) -> impl Iterator<Item = &LogicName> {
    use crate::store::Op;
    let other = match &entry.op {
        Op::Rename(other) => Some(other),
        _ => None,
    };
    std::iter::once(&entry.name).chain(other)
}

/// Runs file work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(job).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

pub(super) fn unix_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// All that an error says.
fn explain(error: &io::Error) -> String {
    protocol::daemon::Chain(error).to_string()
}
