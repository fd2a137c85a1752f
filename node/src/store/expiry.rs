//! `<base_path>/data/expiry`: names of files that expire, by the minute or hour in which they do.
//!
//! A name is noted before its metadata is there, and again at every change of the metadata; what the metadata says when the
//! time has come decides, under the file's lock. So a name too many is harmless, and memory holds no list. A bucket is done
//! when all of its names are: deleted, forgotten, or noted for later. Whoever notes and whoever reads a bucket take turns,
//! and it goes in the turn that finds nothing more in it, so no name is lost with it whatever the clock does.

mod plan;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway::files::WriteError;
use protocol::LogicName;
use protocol::config::storage_conf::Durability;
use protocol::file_id::Source;
use protocol::metadata::{EXPIRES, Metadata};

use super::shelves::StorePath;
use super::upload::gone;
use super::{Inner, Store, StoreError, io_failed, marks};
use plan::{Bucket, Turn, Verdict, judge};

const DIRECTORY: &str = "expiry";
/// Names that are looked at between two looks at whether the node stops.
const BATCH: usize = 256;
/// Seconds that a name waits at least: the upload that notes it has given the file its metadata by then.
const COMMIT: i64 = 60;

/// The buckets.
pub(super) struct Expiry {
    directory: PathBuf,
    turn: Mutex<()>,
}

/// When a file expires by its metadata, unix seconds. What is no number, or a negative one, is none, as for reads.
pub(super) fn expires(metadata: &Metadata) -> Option<i64> {
    i64::try_from(metadata.get(EXPIRES)?.parse::<u64>().ok()?).ok()
}

impl Expiry {
    /// Makes the directory. Blocking.
    pub(super) fn open(base_data: &Path) -> Result<Self, StoreError> {
        let directory = base_data.join(DIRECTORY);
        fs::create_dir_all(&directory).map_err(StoreError::io("create", &directory))?;
        Ok(Self { directory, turn: Mutex::default() })
    }

    /// Notes when names are to be looked at. Blocking.
    fn note(&self, names: &[(i64, LogicName)], now: i64, durability: Durability) -> io::Result<()> {
        let mut texts: BTreeMap<Bucket, String> = BTreeMap::new();
        for (expires, name) in names {
            // A line break on both sides: what a crash tore stays a line of its own.
            let text = texts.entry(Bucket::of(*expires, now)).or_default();
            text.push_str(&format!("\n{expires} {name}\n"));
        }
        for (bucket, text) in texts {
            let turn = self.turn();
            let mut file = OpenOptions::new().append(true).create(true).open(self.path(bucket))?;
            file.write_all(text.as_bytes())?;
            drop(turn);
            if durability == Durability::Fsync {
                file.sync_all()?;
            }
        }
        Ok(())
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next names of a bucket, which goes when there are none. Blocking.
    fn take_some(&self, bucket: Bucket, lines: &mut BufReader<File>) -> io::Result<Vec<(i64, LogicName)>> {
        let _turn = self.turn();
        let names = read_some(lines)?;
        if names.is_empty() {
            fs::remove_file(self.path(bucket))?;
        }
        Ok(names)
    }

    /// Buckets whose time has come, in order.
    fn due(&self, now: i64) -> io::Result<Vec<(Bucket, Turn)>> {
        let mut due = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let bucket = name.to_str().and_then(Bucket::parse);
            due.extend(
                bucket.map(|bucket| (bucket, bucket.turn(now))).filter(|(_, turn)| *turn != Turn::Wait),
            );
        }
        due.sort_unstable_by_key(|(bucket, _)| *bucket);
        Ok(due)
    }

    fn path(&self, bucket: Bucket) -> PathBuf {
        self.directory.join(bucket.file_name())
    }
}

/// The next names; a line that a crash tore is passed over.
fn read_some(lines: &mut BufReader<File>) -> io::Result<Vec<(i64, LogicName)>> {
    let mut names = Vec::new();
    let mut line = Vec::new();
    while names.len() < BATCH {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        names.extend(parse(&line));
    }
    Ok(names)
}

fn parse(line: &[u8]) -> Option<(i64, LogicName)> {
    let (expires, name) = std::str::from_utf8(line).ok()?.trim_end().split_once(' ')?;
    Some((expires.parse().ok()?, LogicName::parse(name).ok()?))
}

impl Store {
    /// Deletes the files that have expired, as their source, or if their source has not for an hour. `now` is in unix
    /// seconds; `goes_on` is asked from time to time. A bucket that fails is left for the next time, and the first error
    /// given when the others are done.
    pub async fn expire(&self, now: i64, goes_on: impl Fn() -> bool) -> Result<(), WriteError> {
        let Some(own) = self.identity().map(|identity| identity.source) else { return Ok(()) };
        let inner = Arc::clone(&self.0);
        let mut outcome = Ok(());
        for (bucket, turn) in self.on_disk(move || inner.expiry.due(now)).await? {
            if !goes_on() {
                break;
            }
            outcome = outcome.and(self.empty(bucket, turn, (own, now), &goes_on).await);
        }
        outcome
    }

    async fn empty(
        &self,
        bucket: Bucket,
        turn: Turn,
        (own, now): (Source, i64),
        goes_on: impl Fn() -> bool,
    ) -> Result<(), WriteError> {
        let path = self.0.expiry.path(bucket);
        let mut lines = self.on_disk(move || File::open(path).map(BufReader::new)).await?;
        while goes_on() {
            let inner = Arc::clone(&self.0);
            let take = move || inner.expiry.take_some(bucket, &mut lines).map(|names| (names, lines));
            let (names, rest) = self.on_disk(take).await?;
            if names.is_empty() {
                return Ok(());
            }
            lines = rest;
            let later = match turn {
                Turn::Expire => self.expire_some(names, own, now).await,
                _ => names,
            };
            let inner = Arc::clone(&self.0);
            self.on_disk(move || inner.expiry.note(&later, now, inner.durability)).await?;
        }
        Ok(())
    }

    /// Gives what has to be looked at again, and when.
    async fn expire_some(
        &self,
        names: Vec<(i64, LogicName)>,
        own: Source,
        now: i64,
    ) -> Vec<(i64, LogicName)> {
        let mut later = Vec::new();
        for (_, name) in names {
            if let Some(at) = self.expire_one(&name, own, now).await {
                later.push((at, name));
            }
        }
        later
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, WriteError> {
        let done = self.0.first_path().pool.run(job).await.map_err(gone)?;
        done.map_err(|error| io_failed("reading what expires", error))
    }

    /// Looks at one file; gives when to look again.
    async fn expire_one(&self, name: &LogicName, own: Source, now: i64) -> Option<i64> {
        const AGAIN: i64 = 600;
        let is_own = name.code().is_ok_and(|code| code.source == own);
        let looked = self.alter(name, move |inner, path, name| inner.expire_one(path, name, is_own, now));
        match looked.await {
            Ok(later) => later,
            Err(WriteError::NotFound | WriteError::Invalid(_)) => None,
            Err(error) => {
                tracing::warn!(%name, %error, "a file that expired cannot be deleted, will be tried again");
                Some(now + AGAIN)
            }
        }
    }
}

impl Inner {
    /// Blocking; the caller holds the file's lock.
    fn expire_one(
        &self,
        path: &Arc<StorePath>,
        name: &LogicName,
        is_own: bool,
        now: i64,
    ) -> Result<Option<i64>, WriteError> {
        let metadata = marks::described(path, name).map_err(|error| io_failed("reading metadata", error))?;
        match judge(expires(&metadata), is_own, now) {
            Verdict::Forget => Ok(None),
            Verdict::Later(at) => Ok(Some(at)),
            Verdict::Delete => {
                self.counters.deletes.asked(1);
                self.delete(path, name)?;
                self.counters.deletes.done(1);
                tracing::info!(%name, "a file has expired and is deleted");
                Ok(None)
            }
        }
    }

    /// Notes when a file expires, if it does. Blocking.
    pub(super) fn note_expiry(
        &self,
        metadata: &Metadata,
        name: &LogicName,
        durability: Durability,
    ) -> Result<(), WriteError> {
        let Some(at) = expires(metadata) else { return Ok(()) };
        let now = super::layout::unix_seconds(std::time::SystemTime::now());
        let noted = self.expiry.note(&[(at.max(now + COMMIT), name.clone())], now, durability);
        noted.map_err(|error| io_failed("noting when a file expires", error))
    }
}
