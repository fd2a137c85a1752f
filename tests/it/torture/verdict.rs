//! The end of a run: all members are up, and hold the same and what clients were told.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use protocol::client::Client;
use protocol::storage::{FileCreated, Upload};

use super::board::Seat;
use super::history::{Content, Entry, History, Life};
use super::readers::{Answer, Door, ask};
use crate::group::disk::{self, Print};
use crate::group::server::Make;
use crate::group::{disk_name, head};

/// How long members may need after the last fault to be in step.
const IN_STEP: Duration = Duration::from_secs(120);
/// Files that are read through every door of every member, chosen at random; all are compared on disk.
const SAMPLE: usize = 300;

type Disk = BTreeMap<String, Option<Print>>;

/// Waits until the disks agree with each other and with the history; then reads. What is wrong goes to the history.
pub(super) async fn judge(history: &History, members: &[Seat], random: &mut fastrand::Rng, client: &Client) {
    for seat in members {
        last_upload(history, seat, random, client).await;
    }
    let start = std::time::Instant::now();
    loop {
        let disks: Vec<Disk> = members.iter().map(|seat| disk::files(&seat.base)).collect();
        let problems = compare(history, members, &disks);
        if problems.is_empty() {
            break;
        }
        if start.elapsed() > IN_STEP {
            problems.into_iter().for_each(|problem| history.violation(problem));
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    read_back(history, members, random, client).await;
}

/// A file that comes when all is over: it shows a member that sends nothing any more, where none of its files is missing.
async fn last_upload(history: &History, seat: &Seat, random: &mut fastrand::Rng, client: &Client) {
    let content = Content::Made { length: 100, seed: random.u32(..) };
    let bytes = content.bytes();
    let sent =
        client.storages.send(seat.native(), &Upload(head(bytes.len(), "end")), &mut &*bytes, |_| {}).await;
    match sent {
        Ok(FileCreated(id)) => drop(history.acknowledged(id, seat.index, false, content)),
        Err(error) => history.violation(format!("at the end, no upload to {}: {error:?}", seat.ip)),
    }
}

fn compare(history: &History, members: &[Seat], disks: &[Disk]) -> Vec<String> {
    const MOST: usize = 20;
    let mut problems = Vec::new();
    for (seat, disk) in members.iter().zip(disks).skip(1) {
        let differences = disk::differences(&disks[0], disk);
        if !differences.is_empty() {
            problems.push(format!("{} and {} differ: {differences:#?}", members[0].ip, seat.ip));
        }
    }
    let mut prints = HashMap::new();
    for entry in history.all() {
        if problems.len() >= MOST {
            break;
        }
        for (seat, disk) in members.iter().zip(disks) {
            problems.extend(
                compare_one(&entry, disk, &mut prints).map(|problem| format!("{}: {problem}", seat.ip)),
            );
        }
    }
    problems
}

fn compare_one(entry: &Entry, disk: &Disk, prints: &mut HashMap<String, Print>) -> Option<String> {
    let state = entry.state();
    let name = disk_name(&entry.id.to_string());
    let found = disk.get(&name);
    match state.life {
        Life::Gone if found.is_some() => Some(format!("{} was deleted and is there: {found:?}", entry.id)),
        Life::Known => {
            let last = state.contents.last().expect("never empty");
            let expected = *prints.entry(name.clone()).or_insert_with(|| Print::of(&last.bytes()));
            let what = format!("{} of member {}", entry.id, entry.home);
            if found != Some(&Some(expected)) {
                return Some(format!("{what}: expected {expected:?}, found {found:?}"));
            }
            let metadata = state.metadata.as_ref()?;
            let has = disk.contains_key(&format!("{name}-m"));
            (metadata.is_empty() == has).then(|| format!("{what}: metadata {metadata:?}, on disk: {has}"))
        }
        // The members agree, as compared above.
        Life::Gone | Life::Torn | Life::MaybeGone => None,
    }
}

async fn read_back(history: &History, members: &[Seat], random: &mut fastrand::Rng, client: &Client) {
    let http = reqwest::Client::new();
    let entries = history.all();
    for _ in 0..SAMPLE.min(entries.len()) {
        let entry = &entries[random.usize(..entries.len())];
        for seat in members {
            let doors =
                if seat.make == Make::Ours { &[Door::Native, Door::Http][..] } else { &[Door::Native] };
            for door in doors {
                let answer = ask(client, &http, seat, *door, entry).await;
                if let Some(problem) = judge_answer(entry, &answer) {
                    history
                        .violation(format!("at the end, {} by {door:?} at {}: {problem}", entry.id, seat.ip));
                }
            }
            if let Some(problem) = judge_metadata(entry, seat, client).await {
                history.violation(format!("at the end, metadata of {} at {}: {problem}", entry.id, seat.ip));
            }
        }
    }
}

fn judge_answer(entry: &Entry, answer: &Answer) -> Option<String> {
    let state = entry.state();
    match (state.life, answer) {
        (Life::Known, Answer::Bytes(bytes)) => {
            let is_same = state.contents.last().expect("never empty").is(bytes);
            (!is_same).then(|| "other content".to_owned())
        }
        (Life::Known, Answer::NotThere) => Some("not there".to_owned()),
        (Life::Gone, Answer::Bytes(_)) => Some("it was deleted and is read".to_owned()),
        // An empty file cannot be read natively; deleted files may be refused in other words; the rest is not known.
        (Life::Known, Answer::Failed(why)) => Some(why.clone()),
        _ => None,
    }
}

async fn judge_metadata(entry: &Entry, seat: &Seat, client: &Client) -> Option<String> {
    let (life, expected) = {
        let state = entry.state();
        (state.life, state.metadata.clone())
    };
    let expected = expected.filter(|expected| life == Life::Known && !expected.is_empty())?;
    let expected: Vec<_> = expected.iter().map(|(name, value)| format!("{name}\x02{value}")).collect();
    match client.storages.metadata(seat.native(), &entry.id).await {
        Ok(read) if read == expected.join("\x01").as_bytes() => None,
        Ok(read) => Some(format!("{:?}", String::from_utf8_lossy(&read))),
        Err(error) => Some(format!("{error:?}")),
    }
}
