//! One life of a peer's connections: records go out, answers come in, until the connection breaks or something changes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::Status;
use protocol::cluster::StorageStatus;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use super::cursor::{Fate, Fault, Turn};
use super::dead_letters::Letter;
use super::fill;
use super::lane::{Event, Lane, Road};
use super::message::Kind;
use super::sender::{End, Sender, explain, unix_now};
use super::step::{self, Form, Known, Step};
use super::work::{Work, names};
use crate::store::{BinlogPosition, Entry, Op};

/// How often the mark is written while it moves.
const MARK_INTERVAL: Duration = Duration::from_secs(1);
/// How often dead letters are tried again.
const DEAD_LETTER_INTERVAL: Duration = Duration::from_secs(600);

/// One connection's life.
pub(super) struct Run<'a> {
    sender: &'a Sender,
    work: &'a mut Work,
    road: Arc<Road>,
    kind: Kind,
    lanes: Vec<Option<Lane>>,
    end: Option<End>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        sender: &'a Sender,
        work: &'a mut Work,
        road: Arc<Road>,
        kind: Kind,
        first: Lane,
    ) -> Self {
        Self { sender, work, road, kind, lanes: vec![Some(first)], end: None }
    }

    /// Sends until something ends it.
    pub(super) async fn go(&mut self, inbox: &mut mpsc::Receiver<Event>) -> End {
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
        let in_doubt = self.work.is_in_doubt(&turn);
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
        if entry.op == Op::Create {
            self.sender.shared.acks.heard(self.sender.peer, &entry.name);
        }
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
        self.sender.progress.set_in_step();
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

    /// What was under way goes again.
    pub(super) fn drop_lanes(&mut self) {
        for lane in self.lanes.drain(..).flatten() {
            for (number, _) in &lane.under_way {
                self.work.cursor.lost(*number);
            }
        }
    }
}
