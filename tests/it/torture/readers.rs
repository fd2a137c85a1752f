//! Readers that ask any member for any acknowledged file, by HTTP or natively: it must be there, byte by byte, at every
//! moment when a member that has it is up. Of a file that changes, an older content is right too, except from its home.

use std::time::Duration;

use protocol::client::Client;
use reqwest::StatusCode;
use tokio_util::sync::CancellationToken;

use super::board::{Board, Seat};
use super::history::{Content, Entry, History, Life};
use crate::address::STORAGE_HTTP_PORT;
use crate::group::disk;
use crate::group::server::Make;

/// Longer than any server in between may wait for another.
const PATIENCE: Duration = Duration::from_secs(25);
const MAX: u64 = 4 << 20;

/// One reader.
pub(super) struct Reader {
    pub(super) client: Client,
    pub(super) http: reqwest::Client,
    pub(super) board: Board,
    pub(super) history: History,
    pub(super) random: fastrand::Rng,
    pub(super) pace: Duration,
}

/// What a member answered.
pub(super) enum Answer {
    Bytes(Vec<u8>),
    /// 404 or its native like.
    NotThere,
    /// No whole answer.
    Failed(String),
}

/// The two doors of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Native,
    Http,
}

impl Reader {
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.read_one().await;
            // The pace of the load; nothing waits for anything here.
            tokio::select! {
                () = tokio::time::sleep(self.pace.mul_f64(self.random.f64() * 2.0)) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn read_one(&mut self) {
        let Some(entry) = self.history.any(&mut self.random) else { return };
        let before = entry.state().clone();
        let ups = self.board.ups();
        if before.life != Life::Known || ups.is_empty() {
            return;
        }
        let member = ups[self.random.usize(..ups.len())].clone();
        let has = |seat: &&Seat| disk::path(&seat.base, entry.id.name.as_str()).is_file();
        let holders: Vec<_> = ups.iter().filter(has).cloned().collect();
        // FastDFS's members give what they have and do not ask others.
        if member.make == Make::Theirs && !holders.iter().any(|holder| holder.index == member.index) {
            return;
        }
        let door = if member.make == Make::Ours && self.random.bool() { Door::Http } else { Door::Native };
        let everyone = self.board.all();
        let answer = ask(&self.client, &self.http, &member, door, &entry).await;
        let after = entry.state().clone();
        if after.life != Life::Known && !matches!(answer, Answer::Bytes(_)) {
            return;
        }
        let is_calm = everyone.iter().all(|seat| self.board.is_unchanged(seat) || !seat.is_up);
        let holder = holders.iter().find(|holder| self.board.is_unchanged(holder));
        let what = || format!("{} of member {} by {door:?} at {}", entry.id, entry.home, member.ip);
        self.history.count(&format!("read by {door:?}"));
        let new = after.contents.len() - before.contents.len();
        let is_home = entry.home == member.index;
        match answer {
            Answer::Bytes(bytes) if is_right(&after.contents, &bytes, is_home, new, after.life) => {}
            Answer::Bytes(bytes) => self.history.violation(format!(
                "{}: {} bytes that are none of its {} contents (last: {})",
                what(),
                bytes.len(),
                after.contents.len(),
                after.contents.last().map_or(0, Content::len)
            )),
            _ if !self.board.is_unchanged(&member) => self.history.count("read given up by a fault"),
            Answer::NotThere => match holder {
                Some(holder) => {
                    self.history.violation(format!("{}: not there, but at {}", what(), holder.ip));
                }
                None => self.history.count("read without a holder"),
            },
            Answer::Failed(why) => match holder {
                Some(holder) if is_calm => {
                    self.history.violation(format!("{}: {why}; it is at {}", what(), holder.ip));
                }
                _ => self.history.count("read broken by a fault"),
            },
        }
    }
}

/// At home a reader sees a change as soon as it is acknowledged; `new` contents came while it was reading. A change that is
/// under way may be seen in part.
fn is_right(contents: &[Content], bytes: &[u8], is_home: bool, new: usize, life: Life) -> bool {
    let oldest = if is_home { contents.len().saturating_sub(new + 1) } else { 0 };
    let changing = life == Life::Torn || new > 0;
    contents[oldest..].iter().any(|content| content.is(bytes))
        || (changing && matches!(contents.last(), Some(Content::Changed(_))))
}

/// Asks one member through one of its doors.
pub(super) async fn ask(
    client: &Client,
    http: &reqwest::Client,
    member: &Seat,
    door: Door,
    entry: &Entry,
) -> Answer {
    let asked = async {
        match door {
            Door::Native => match client.storages.download_bytes(member.native(), &entry.id, MAX).await {
                Ok(bytes) => Answer::Bytes(bytes.to_vec()),
                Err(error) if error.status() == Some(protocol::Status::ENOENT) => Answer::NotThere,
                Err(error) => Answer::Failed(format!("{error:?}")),
            },
            Door::Http => {
                let url = format!("http://{}:{STORAGE_HTTP_PORT}/{}", member.ip, entry.id);
                by_http(http, &url).await.unwrap_or_else(|error| Answer::Failed(format!("{error:?}")))
            }
        }
    };
    let late = |_| Answer::Failed(format!("no answer in {PATIENCE:?}"));
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(late)
}

async fn by_http(http: &reqwest::Client, url: &str) -> reqwest::Result<Answer> {
    let answer = http.get(url).send().await?;
    let status = answer.status();
    let body = answer.bytes().await?;
    Ok(match status {
        StatusCode::OK => Answer::Bytes(body.to_vec()),
        StatusCode::NOT_FOUND => Answer::NotThere,
        other => Answer::Failed(format!("{other}: {}", String::from_utf8_lossy(&body))),
    })
}
