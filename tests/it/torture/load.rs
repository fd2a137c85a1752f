//! Clients that do every operation. Each has its own files and changes each of them one operation at a time, at the member
//! that took it. What is not acknowledged may have happened or not.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::FileId;
use protocol::client::{Client, ClientError};
use protocol::file_id::{FileExt, SlavePrefix};
use protocol::storage::{
    Append, CreateLink, FileCreated, MetadataMode, Modify, Upload, UploadAppender, UploadSlave,
};
use protocol::wire::{Empty, Response, StreamRequest};
use reqwest::StatusCode;
use tokio_util::sync::CancellationToken;

use super::board::{Board, Seat};
use super::history::{Content, Entry, History, Life, Ties};
use crate::address::STORAGE_HTTP_PORT;
use crate::content::content;
use crate::group::server::Make;
use crate::group::{group1, head, size};

/// Sizes of uploads: mostly small, some of several pieces.
const SIZES: [u32; 8] = [8, 100, 1_000, 4_096, 10_000, 70_000, 300_000, 1_200_000];
/// An appender is not grown beyond this.
const MAX_APPENDER: usize = 400_000;

/// The name of files that are uploaded with one.
const NAME: &str = "a.bin";

/// Which files are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// All kinds.
    All,
    /// None that changes.
    Constant,
}

/// One client.
pub(super) struct Loader {
    pub(super) files: Files,
    pub(super) client: Client,
    pub(super) http: reqwest::Client,
    pub(super) board: Board,
    pub(super) history: History,
    pub(super) random: fastrand::Rng,
    pub(super) pace: Duration,
    pub(super) own: Vec<Arc<Entry>>,
}

/// Outcome of a call: acknowledged or not.
type Acknowledged<T = ()> = Result<T, String>;

fn told(error: &ClientError) -> String {
    format!("{error:?}")
}

impl Loader {
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.random.u32(..100) {
                0..38 => self.upload().await,
                38..46 if self.files == Files::All => self.upload_appender().await,
                46..61 => self.append().await,
                61..67 => self.modify().await,
                67..71 => self.truncate().await,
                71..73 => self.regenerate().await,
                73..80 => self.describe().await,
                80..84 => self.slave().await,
                84..87 => self.link().await,
                _ => self.delete().await,
            }
            let pause = self.pace.mul_f64(self.random.f64() * 2.0);
            // The pace of the load; nothing waits for anything here.
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn made(&mut self) -> Content {
        let length = SIZES[self.random.usize(..SIZES.len())];
        Content::Made { length, seed: self.random.u32(..) }
    }

    /// Where to upload: what a tracker says, or any member; none that is about to leave.
    async fn place(&mut self) -> Option<Seat> {
        if self.random.u32(..4) == 0
            && let Ok(place) = self.client.trackers.query_store(Some(group1())).await
            && let Some(seat) = self.board.all().into_iter().find(|seat| seat.ip == place.server.ip)
            && !seat.is_leaving
        {
            return Some(seat);
        }
        let seats: Vec<_> = self.board.ups().into_iter().filter(|seat| !seat.is_leaving).collect();
        (!seats.is_empty()).then(|| seats[self.random.usize(..seats.len())].clone())
    }

    async fn upload(&mut self) {
        let content = self.made();
        let Some(seat) = self.place().await else { return };
        let bytes = content.bytes();
        if seat.make == Make::Ours && self.random.bool() {
            let is_named = self.random.bool();
            let outcome = self.post(&seat, bytes, is_named).await;
            if let Some(entry) = self.created("upload by REST", outcome, &seat, false, content)
                && is_named
            {
                entry.is_named(NAME);
            }
            return;
        }
        let request = Upload(head(bytes.len(), "bin"));
        let outcome = self.send(&seat, &request, &bytes).await.map(|FileCreated(id)| id);
        self.created("upload", outcome, &seat, false, content);
    }

    /// Sends a request with content natively.
    async fn send<Q: StreamRequest + Sync, A: Response>(
        &self,
        seat: &Seat,
        request: &Q,
        mut bytes: &[u8],
    ) -> Acknowledged<A> {
        let sent = self.client.storages.send(seat.native(), request, &mut bytes, |_| {}).await;
        sent.map_err(|error| told(&error))
    }

    /// Uploads by REST; with a name the file and its metadata come at once.
    async fn post(&self, seat: &Seat, bytes: Vec<u8>, is_named: bool) -> Acknowledged<FileId> {
        let query = if is_named { format!("filename={NAME}") } else { "ext=bin".to_owned() };
        let url = format!("http://{}:{STORAGE_HTTP_PORT}/v1/files?{query}", seat.ip);
        let answer = self.http.post(url).body(bytes).send().await.map_err(|error| format!("{error:?}"))?;
        if answer.status() != StatusCode::CREATED {
            return Err(format!("{} by HTTP", answer.status()));
        }
        // The status is the acknowledgement; the server may die before the rest of the answer.
        let location = answer.headers()["location"].to_str().expect("text");
        let (_, name) = location.split_once("/group1/").expect("a file URL");
        Ok(FileId::parse(&format!("group1/{name}")).expect("a file ID"))
    }

    async fn upload_appender(&mut self) {
        let length = self.random.usize(8..20_000);
        let bytes = content(length, self.random.u32(..));
        let Some(seat) = self.place().await else { return };
        let request = UploadAppender(head(length, "log"));
        let outcome = self.send(&seat, &request, &bytes).await.map(|FileCreated(id)| id);
        self.created("upload appender", outcome, &seat, true, Content::Changed(bytes.into()));
    }

    fn created(
        &mut self,
        what: &str,
        outcome: Acknowledged<FileId>,
        seat: &Seat,
        may_change: bool,
        content: Content,
    ) -> Option<Arc<Entry>> {
        let id = self.noted(what, outcome)?;
        let entry = self.history.acknowledged(id, seat.index, may_change, content);
        self.own.push(Arc::clone(&entry));
        Some(entry)
    }

    fn noted<T>(&self, what: &str, outcome: Acknowledged<T>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.history.count(what);
                Some(value)
            }
            Err(why) => {
                self.history.count(&format!("{what}, not acknowledged"));
                self.board.tell(&format!("{what} not acknowledged: {why}"));
                None
            }
        }
    }

    /// One of the own files that is fully known and whose home answers, of those that may change or not.
    fn pick(&mut self, may_change: Option<bool>) -> Option<(Arc<Entry>, Seat)> {
        const TRIES: usize = 10;
        for _ in 0..TRIES {
            if self.own.is_empty() {
                return None;
            }
            let entry = Arc::clone(&self.own[self.random.usize(..self.own.len())]);
            let home = self.board.get(entry.home);
            let fits = may_change.is_none_or(|may_change| entry.may_change == may_change);
            if fits && home.is_up && entry.state().life == Life::Known {
                return Some((entry, home));
            }
        }
        None
    }

    async fn append(&mut self) {
        let Some((entry, home)) = self.pick(Some(true)) else { return };
        let mut whole = current(&entry);
        let length = if self.random.u32(..8) == 0 { 200_000 } else { self.random.usize(1..5_000) };
        if whole.len() + length > MAX_APPENDER {
            return;
        }
        let bytes = content(length, self.random.u32(..));
        let request = Append { name: entry.id.name.clone(), size: size(length) };
        entry.state().life = Life::Torn;
        let outcome = self.send(&home, &request, &bytes).await.map(|Empty| ());
        whole.extend(bytes);
        self.changed("append", &entry, outcome, whole);
    }

    async fn modify(&mut self) {
        let Some((entry, home)) = self.pick(Some(true)) else { return };
        let mut whole = current(&entry);
        let offset = self.random.usize(..=whole.len());
        let length = self.random.usize(1..5_000);
        let bytes = content(length, self.random.u32(..));
        let request = Modify { name: entry.id.name.clone(), offset: size(offset), size: size(length) };
        entry.state().life = Life::Torn;
        let outcome = self.send(&home, &request, &bytes).await.map(|Empty| ());
        let end = whole.len().max(offset + length);
        whole.resize(end, 0);
        whole[offset..offset + length].copy_from_slice(&bytes);
        self.changed("modify", &entry, outcome, whole);
    }

    async fn truncate(&mut self) {
        let Some((entry, home)) = self.pick(Some(true)) else { return };
        let mut whole = current(&entry);
        if whole.len() < 2 {
            return;
        }
        let to = self.random.usize(1..whole.len());
        entry.state().life = Life::Torn;
        let outcome = self.client.storages.truncate(home.native(), &entry.id.name, size(to)).await;
        whole.truncate(to);
        self.changed("truncate", &entry, outcome.map_err(|error| told(&error)), whole);
    }

    fn changed(&self, what: &str, entry: &Entry, outcome: Acknowledged, whole: Vec<u8>) {
        if self.noted(what, outcome).is_some() {
            let mut state = entry.state();
            state.contents.push(Content::Changed(whole.into()));
            state.life = Life::Known;
        }
    }

    async fn regenerate(&mut self) {
        let Some((entry, home)) = self.pick(Some(true)) else { return };
        entry.state().life = Life::MaybeGone;
        let outcome = self.client.storages.regenerate(home.native(), &entry.id.name).await;
        let Some(id) = self.noted("regenerate", outcome.map_err(|error| told(&error))) else { return };
        let content = {
            let mut state = entry.state();
            state.life = Life::Gone;
            state.contents.last().expect("never empty").clone()
        };
        let renamed = self.history.acknowledged(id, home.index, false, content);
        // Changes of the file under its old name may be on their way from here still; and its metadata went with it.
        renamed.state().ties = Ties::Home;
        renamed.state().metadata = entry.state().metadata.clone().filter(|_| home.make == Make::Ours);
        self.own.push(renamed);
    }

    async fn describe(&mut self) {
        let Some((entry, home)) = self.pick(None) else { return };
        let pairs: Vec<_> = (0..self.random.u32(..4))
            .map(|_| (format!("name{}", self.random.u32(..5)), self.random.u32(..).to_string()))
            .collect();
        let (mode, known) = match self.random.bool() {
            true => (MetadataMode::Merge, entry.state().metadata.clone()),
            false => (MetadataMode::Overwrite, Some(Default::default())),
        };
        let expected = known.map(|mut known| {
            known.extend(pairs.clone());
            known
        });
        // Equal names in one request are the server's business to sort out; not here.
        let unique: std::collections::BTreeMap<_, _> = pairs.into_iter().collect();
        let text: Vec<_> = unique.iter().map(|(name, value)| format!("{name}\x02{value}")).collect();
        {
            let mut state = entry.state();
            state.metadata = None;
            state.ties = state.ties.max(Ties::Home);
        }
        let text = Bytes::from(text.join("\x01"));
        let outcome = self.client.storages.set_metadata(home.native(), &entry.id, mode, text).await;
        if self.noted("set metadata", outcome.map_err(|error| told(&error))).is_some() {
            entry.state().metadata = expected;
        }
    }

    async fn slave(&mut self) {
        let Some((entry, home)) = self.pick(Some(false)) else { return };
        let content = self.made();
        let bytes = content.bytes();
        let prefix = format!("_{}", self.random.u32(..));
        let request = UploadSlave {
            master: entry.id.name.clone(),
            size: size(bytes.len()),
            prefix: SlavePrefix::parse(&prefix).expect("a good prefix"),
            ext: FileExt::parse("jpg").expect("a good extension"),
        };
        // A slave of a slave of a slave: names grow until the server says no, which says nothing about the group.
        if entry.id.name.as_str().len() > 80 {
            return;
        }
        let outcome = self.send(&home, &request, &bytes).await.map(|FileCreated(id)| id);
        self.created("upload slave", outcome, &home, false, content);
        // Slaves may be made anew under their old name, so a delete counts only where the file was made.
        if let Some(slave) = self.own.last() {
            let mut state = slave.state();
            state.ties = state.ties.max(Ties::Home);
        }
    }

    async fn link(&mut self) {
        let Some((entry, home)) = self.pick(Some(false)) else { return };
        if home.make == Make::Theirs || entry.state().ties == Ties::Target || is_link(&home, &entry.id) {
            return;
        }
        let request = CreateLink {
            group: entry.id.group,
            master: None,
            ext: FileExt::parse("bin").expect("a good extension"),
            source: entry.id.name.clone(),
            signature: Bytes::from_static(b"some signature"),
        };
        entry.state().ties = Ties::Target;
        let outcome = self.client.storages.create_link(home.native(), &request).await;
        let content = entry.state().contents.last().expect("never empty").clone();
        self.created("link", outcome.map_err(|error| told(&error)), &home, false, content);
    }

    async fn delete(&mut self) {
        let Some((entry, home)) = self.pick(None) else { return };
        let ties = entry.state().ties;
        let seat = match ties {
            Ties::Target => return,
            Ties::Home => home,
            Ties::None => {
                let ups = self.board.ups();
                let Some(seat) = self.random.choice(&ups) else { return };
                seat.clone()
            }
        };
        if !crate::group::disk::path(&seat.base, entry.id.name.as_str()).is_file() {
            return;
        }
        entry.state().life = Life::MaybeGone;
        let outcome = if seat.make == Make::Ours && self.random.bool() {
            let url = format!("http://{}:{STORAGE_HTTP_PORT}/v1/files/{}", seat.ip, entry.id);
            match self.http.delete(url).send().await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err(format!("{} by HTTP", answer.status())),
                Err(error) => Err(format!("{error:?}")),
            }
        } else {
            self.client.storages.delete(seat.native(), &entry.id).await.map_err(|error| told(&error))
        };
        if self.noted("delete", outcome).is_some() {
            entry.state().life = Life::Gone;
            self.board.tell(&format!("{} deleted at {}", entry.id, seat.ip));
        }
    }
}

fn current(entry: &Entry) -> Vec<u8> {
    entry.state().contents.last().expect("never empty").bytes()
}

/// A link to a link is refused.
fn is_link(home: &Seat, id: &FileId) -> bool {
    crate::group::disk::path(&home.base, id.name.as_str()).is_symlink()
}
