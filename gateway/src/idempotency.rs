//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that is sent again is carried out once.
//!
//! A file of lines survives the process: `B KEY FINGERPRINT BEGUN POSITION` before anything is stored, `D KEY ANSWER` before
//! the answer is sent, `F KEY` if nothing was stored. A key with `B` alone was under way when a process ended: then the
//! store says what has been stored with it since that position of its log, for every file of such a request carries the
//! key's token in its metadata. The file is written anew without what is over at every start, and when half of it is.

mod book;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::config::storage_conf::Durability;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

pub(crate) use book::Fingerprint;
use book::{Book, Found, Key, Place};

/// Keys that are remembered; the oldest goes first. Some 15 MB when full.
const MAX_KEYS: usize = 128 * 1024;
/// Bytes of the file that are in use, at most.
const MAX_BYTES: u64 = 64 << 20;
/// Below this the file is left as it is.
const WORTH_WRITING: u64 = 1 << 20;
/// Keys that are forgotten at a time when the file would be too large.
const SOME: usize = 1024;
/// What a line takes besides its answer, about.
const LINE: u64 = 128;

/// What a request was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// `Location`.
    pub(crate) location: Option<String>,
    /// `Preference-Applied`.
    pub(crate) applied: Option<String>,
    /// The JSON.
    pub(crate) body: String,
    /// What was missing: then it was no success, and whoever asks again waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unconfirmed: Option<Unconfirmed>,
}

/// Files that are stored, and that too few other members confirmed in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unconfirmed {
    pub(crate) files: Vec<String>,
    /// Members that did.
    pub(crate) members: u8,
    /// Those that had to.
    pub(crate) needed: u8,
}

/// The keys of a node. Clones share them.
#[derive(Debug, Clone)]
pub struct Keys(Arc<Mutex<Ledger>>);

#[derive(Debug)]
struct Ledger {
    path: PathBuf,
    file: File,
    end: u64,
    /// Bytes of lines that still count.
    live: u64,
    book: Book,
    durability: Durability,
}

/// What a key means to a request.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// It may go on. With a position if an earlier one may have stored something since.
    Mine(Claim, Option<String>),
    /// It was answered.
    Answered(Answer),
    /// Another request with the key is under way.
    UnderWay,
    /// The key was given with another request.
    Differs,
    /// Too many are under way.
    Full,
}

/// The right to carry out a request. Dropped, the key is free again: nothing was stored.
#[derive(Debug)]
pub(crate) struct Claim {
    keys: Keys,
    key: Key,
    is_kept: bool,
}

/// What a request says when it claims a key.
#[derive(Debug, Clone)]
pub(crate) struct Claiming {
    pub(crate) fingerprint: Fingerprint,
    /// Where the store's log is.
    pub(crate) position: String,
    /// That of the request.
    pub(crate) durability: Option<Durability>,
}

/// What distinguishes requests: all that they have to be equal in.
pub(crate) fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Fingerprint {
    Fingerprint(digest(parts))
}

fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 16] {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    let whole: [u8; 32] = sha.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

impl Keys {
    /// Reads the file, or begins one. Blocking.
    pub fn open(
        path: PathBuf,
        lifetime: Duration,
        durability: Durability,
        now: SystemTime,
    ) -> io::Result<Self> {
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX / 2);
        let mut book = Book::new(lifetime, MAX_KEYS);
        match File::open(&path) {
            Ok(file) => read(file, &mut book)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        book.expire(unix(now));
        let file = OpenOptions::new().append(true).read(true).create(true).open(&path)?;
        let mut ledger = Ledger { path, file, end: 0, live: 0, book, durability };
        ledger.rewrite()?;
        Ok(Self(Arc::new(Mutex::new(ledger))))
    }

    /// A request comes with a key.
    pub(crate) async fn claim(
        &self,
        (who, key): (&str, &str),
        terms: Claiming,
        now: SystemTime,
    ) -> io::Result<Claimed> {
        let key = Key(digest([who.as_bytes(), key.as_bytes()]));
        let keys = self.clone();
        blocking(move || {
            let mut ledger = keys.lock();
            let since = match ledger.begin(key, &terms, unix(now))? {
                Found::Mine(since) => since,
                Found::UnderWay => return Ok(Claimed::UnderWay),
                Found::Differs => return Ok(Claimed::Differs),
                Found::Full => return Ok(Claimed::Full),
                Found::Done(place) => return ledger.answer(place).map(Claimed::Answered),
            };
            drop(ledger);
            Ok(Claimed::Mine(Claim { keys, key, is_kept: false }, since))
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// What the files of the request carry.
    pub(crate) fn token(&self) -> String {
        hex(&self.key.0)
    }

    /// Nobody knows what was stored: the next request with the key looks.
    pub(crate) fn unsure(mut self) {
        self.is_kept = true;
        self.keys.lock().book.lose(self.key);
    }

    /// Remembers the answer, which is sent after this.
    pub(crate) async fn keep(mut self, answer: Answer, durability: Option<Durability>) -> io::Result<()> {
        self.is_kept = true;
        let (keys, key) = (self.keys.clone(), self.key);
        blocking(move || keys.lock().done(key, &answer, durability)).await
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = self.keys.lock().free(self.key)
        {
            tracing::error!(%error, "the file of idempotency keys cannot be written");
        }
    }
}

impl Ledger {
    fn begin(&mut self, key: Key, terms: &Claiming, now: i64) -> io::Result<Found> {
        let found = self.book.begin(key, terms.fingerprint, &terms.position, now);
        if found == Found::Mine(None) {
            let line = beginning(key, terms.fingerprint, now, &terms.position);
            if let Err(error) = self.append(line.as_bytes(), terms.durability) {
                self.book.free(key);
                return Err(error);
            }
        }
        Ok(found)
    }

    fn done(&mut self, key: Key, answer: &Answer, durability: Option<Durability>) -> io::Result<()> {
        let json = serde_json::to_string(answer).map_err(io::Error::other)?;
        let head = format!("D {} ", hex(&key.0));
        let place = Place { offset: self.end + head.len() as u64, len: json.len() as u64 };
        if let Err(error) = self.append(format!("{head}{json}\n").as_bytes(), durability) {
            self.book.lose(key);
            return Err(error);
        }
        self.book.done(key, place);
        self.keep_small()
    }

    fn free(&mut self, key: Key) -> io::Result<()> {
        self.book.free(key);
        self.append(format!("F {}\n", hex(&key.0)).as_bytes(), None)
    }

    fn answer(&self, place: Place) -> io::Result<Answer> {
        let mut json = vec![0; usize::try_from(place.len).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut json, place.offset)?;
        serde_json::from_slice(&json).map_err(io::Error::other)
    }

    /// A whole line or nothing, on the disk if the stronger of request and configuration says so.
    fn append(&mut self, line: &[u8], durability: Option<Durability>) -> io::Result<()> {
        let is_synced = self.durability.max(durability.unwrap_or_default()) == Durability::Fsync;
        let written = self.file.write_all(line);
        let written = written.and_then(|()| if is_synced { self.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            self.file.set_len(self.end)?;
            return Err(error);
        }
        self.end += line.len() as u64;
        Ok(())
    }

    /// Writes the file anew when most of it is over, and forgets the oldest answers when it would be too large still.
    fn keep_small(&mut self) -> io::Result<()> {
        if self.end < WORTH_WRITING.max(2 * self.live) {
            return Ok(());
        }
        self.rewrite()
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let size = |place: Option<Place>| 2 * LINE + place.map_or(0, |place| place.len);
        while self.book.entries().map(|(_, entry)| size(entry.place())).sum::<u64>() > MAX_BYTES {
            let forgotten = (0..SOME).filter(|_| self.book.forget_one()).count();
            if forgotten == 0 {
                break;
            }
        }
        let temporary = temporary(&self.path);
        let mut out = BufWriter::new(File::create(&temporary)?);
        let (mut end, mut places) = (0, Vec::new());
        for (key, entry) in self.book.entries() {
            let position = entry.since().unwrap_or_default();
            let line = beginning(key, entry.fingerprint, entry.begun, position);
            out.write_all(line.as_bytes())?;
            end += line.len() as u64;
            let Some(place) = entry.place() else { continue };
            let mut json = vec![0; usize::try_from(place.len).map_err(io::Error::other)?];
            self.file.read_exact_at(&mut json, place.offset)?;
            let head = format!("D {} ", hex(&key.0));
            out.write_all(head.as_bytes())?;
            out.write_all(&json)?;
            out.write_all(b"\n")?;
            places.push((key, Place { offset: end + head.len() as u64, ..place }));
            end += head.len() as u64 + place.len + 1;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        let file = OpenOptions::new().append(true).read(true).open(&temporary)?;
        fs::rename(&temporary, &self.path)?;
        places.into_iter().for_each(|(key, place)| self.book.done(key, place));
        self.file = file;
        self.end = end;
        self.live = end;
        Ok(())
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

fn beginning(key: Key, fingerprint: Fingerprint, begun: i64, position: &str) -> String {
    format!("B {} {} {begun} {position}\n", hex(&key.0), hex(&fingerprint.0))
}

/// Reads all lines. A last one without its end was torn by a crash; others that make no sense are passed over.
fn read(file: File, book: &mut Book) -> io::Result<()> {
    let mut lines = BufReader::new(file);
    let (mut line, mut offset) = (Vec::new(), 0);
    loop {
        line.clear();
        let len = lines.read_until(b'\n', &mut line)? as u64;
        if line.pop() != Some(b'\n') {
            return Ok(());
        }
        if let Ok(text) = std::str::from_utf8(&line) {
            read_line(text, offset, book);
        }
        offset += len;
    }
}

fn read_line(line: &str, offset: u64, book: &mut Book) -> Option<()> {
    let (kind, rest) = line.split_once(' ')?;
    let (key, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let key = Key(unhex(key)?);
    match kind {
        "B" => {
            let mut words = rest.split(' ');
            let fingerprint = Fingerprint(unhex(words.next()?)?);
            let begun = words.next()?.parse().ok()?;
            book.began(key, fingerprint, begun, words.next()?.to_owned());
        }
        "D" => {
            let len = rest.len() as u64;
            book.done(key, Place { offset: offset + line.len() as u64 - len, len });
        }
        "F" => book.free(key),
        _ => {}
    }
    Some(())
}

fn hex(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

fn unix(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

async fn blocking<T: Send + 'static>(job: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(job).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINT: Fingerprint = Fingerprint([3; 16]);

    fn answer(number: usize) -> Answer {
        Answer {
            location: Some(format!("/{number}")),
            applied: None,
            body: format!("{{\"n\": {number}}}\n"),
            unconfirmed: None,
        }
    }

    fn open(directory: &Path, now: SystemTime) -> Keys {
        let path = directory.join("idempotency.log");
        Keys::open(path, Duration::from_secs(100), Durability::Write, now).unwrap()
    }

    fn claiming(fingerprint: Fingerprint) -> Claiming {
        Claiming { fingerprint, position: "0:7".to_owned(), durability: None }
    }

    async fn claim(keys: &Keys, key: &str, now: SystemTime) -> Claimed {
        keys.claim(("anonymous", key), claiming(PRINT), now).await.unwrap()
    }

    #[tokio::test]
    async fn answers_and_what_was_under_way_survive_a_crash() {
        let directory = tempfile::tempdir().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let keys = open(directory.path(), now);
        let Claimed::Mine(mine, None) = claim(&keys, "kept", now).await else { panic!("a new key") };
        let token = mine.token();
        mine.keep(answer(1), Some(Durability::Fsync)).await.unwrap();
        let Claimed::Mine(given_up, None) = claim(&keys, "given up", now).await else { panic!("a new key") };
        drop(given_up);
        let Claimed::Mine(broken, None) = claim(&keys, "broken", now).await else { panic!("a new key") };
        std::mem::forget(broken);
        let mut file =
            OpenOptions::new().append(true).open(directory.path().join("idempotency.log")).unwrap();
        file.write_all(b"D 0000").unwrap();

        for _ in 0..2 {
            let keys = open(directory.path(), now);
            let Claimed::Answered(kept) = claim(&keys, "kept", now).await else { panic!("{token} is lost") };
            assert_eq!(kept, answer(1));
            assert!(matches!(claim(&keys, "given up", now).await, Claimed::Mine(_, None)));
            let Claimed::Mine(again, Some(since)) = claim(&keys, "broken", now).await else {
                panic!("it may have stored something")
            };
            assert_eq!(since, "0:7");
            assert!(matches!(claim(&keys, "broken", now).await, Claimed::UnderWay));
            std::mem::forget(again);
            let other = keys.claim(("somebody", "kept"), claiming(PRINT), now).await.unwrap();
            assert!(matches!(other, Claimed::Mine(_, None)), "keys are a principal's own");
            let differs =
                keys.claim(("anonymous", "kept"), claiming(Fingerprint([4; 16])), now).await.unwrap();
            assert!(matches!(differs, Claimed::Differs));
        }
        let later = now + Duration::from_secs(100);
        assert!(matches!(claim(&open(directory.path(), later), "kept", later).await, Claimed::Mine(_, None)));
    }

    #[tokio::test]
    async fn the_file_stays_small_and_keeps_what_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("idempotency.log");
        let start = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let keys = open(directory.path(), start);
        for number in 0..12_000_usize {
            let now = start + Duration::from_secs((number / 10) as u64);
            let Claimed::Mine(mine, None) = claim(&keys, &number.to_string(), now).await else {
                panic!("a new key")
            };
            mine.keep(answer(number), None).await.unwrap();
        }
        let len = fs::metadata(&path).unwrap().len();
        assert!(len < 2 * WORTH_WRITING, "{len} bytes");
        assert!(keys.lock().book.len() <= 1000);
        let now = start + Duration::from_secs(1199);
        for number in [11_005_usize, 11_999] {
            let Claimed::Answered(kept) = claim(&keys, &number.to_string(), now).await else {
                panic!("{number} is lost")
            };
            assert_eq!(kept, answer(number));
        }
    }
}
