//! Every recorded request to a tracker, asked of ours with storages that joined as in the recording.
//!
//! Addresses, and the source and time in file names, are changed to those of this run in both request and answer;
//! ranges that the recording calls volatile are left out. [`DIFFERENCES`] is all that remains.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::file_id::{CODE_LEN, NameCode, Source};
use protocol::tracker::StorageList;
use protocol::wire::Response;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::network::Network;
use crate::peers::{Peer, Reply, Storage, Tracker};
use crate::trunk::{Port, trunk_server};

const FRAMES: &str = include_str!("../../../tests/golden/native-golden.jsonl");
const ACTIVE_TEST: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0, 111, 0];

/// What is answered otherwise on purpose: our status (`None`: closed without an answer), and why.
const DIFFERENCES: &[(&str, Option<u8>, &str)] = &[
    ("tracker/query_store/group/empty", Some(22), "no group has an empty name, so the request is malformed"),
    ("tracker/min-int64-length", None, "a length is not cut to 32 bits"),
    (
        "tracker/fetch_storage_ids/old-4-byte-body",
        Some(95),
        "the form without the flag, which old clients send, is read",
    ),
];

/// Answers that name either replica here: the reference decodes what is no code and finds the source by chance.
const ANY_REPLICA: &[&str] =
    &["tracker/query_fetch_one/not-existing-name", "tracker/query_fetch_one/no-M-prefix"];

/// Bytes that are turns of the round robin in the answer to all groups; the recording says so for one group only.
const TURNS: (&str, usize, usize, usize) = ("tracker/list_all_groups", 10, 113, 81);

struct Record {
    name: String,
    request: Vec<u8>,
    response: Vec<u8>,
    conn_after: String,
    volatile: Vec<(usize, Option<usize>)>,
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn records() -> Vec<Record> {
    let lines = FRAMES.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ours = lines.filter(|line| line["role"] == "tracker");
    ours.map(|line| Record {
        name: line["name"].as_str().unwrap().to_owned(),
        request: hex(&line["request_hex"]),
        response: hex(&line["response_hex"]),
        conn_after: line["conn_after"].as_str().unwrap().to_owned(),
        volatile: line["volatile"]
            .as_array()
            .unwrap()
            .iter()
            .map(|range| {
                let bound = |at: usize| usize::try_from(range[at].as_i64().unwrap()).ok();
                (bound(0).unwrap(), bound(1))
            })
            .collect(),
    })
    .collect()
}

/// Which of the four recorded trackers was asked: 10.77.0.1 to .4.
fn tracker_of(name: &str) -> u8 {
    const TRUNK: &[&str] = &[
        "tracker/set_trunk_server/bad-id",
        "tracker/set_trunk_server/current",
        "tracker/set_trunk_server/short-body",
        "tracker/storage_cluster_stat/filter-trunk",
    ];
    if name.contains("storage-id") || name.contains("/id-mode") {
        4
    } else if name.ends_with("/trunk") || TRUNK.contains(&name) {
        3
    } else if name.ends_with("/ipv6-size") {
        2
    } else {
        1
    }
}

/// Starts the four trackers and lets their storages join.
async fn start(network: &Network, base: &std::path::Path) -> (Vec<Tracker>, Vec<Peer>, Port) {
    let ids = base.join("ids.conf");
    std::fs::write(&ids, format!("100001 group1 {}\n", network.ip(51))).unwrap();
    let by_id = format!(
        "use_storage_id = true\nid_type_in_filename = id\nstorage_ids_filename = {}\n",
        ids.display()
    );
    let trunk = "use_trunk_file = true\nslot_max_size = 1MB\ntrunk_alloc_alignment_size = 256\n\
                 trunk_file_size = 4MB\ntrunk_free_space_merge = true\n";
    let mut trackers = Vec::new();
    for (last, more) in [(1, ""), (2, "response_ip_addr_size = IPv6\n"), (3, trunk), (4, by_id.as_str())] {
        let directory = base.join(last.to_string());
        std::fs::create_dir(&directory).unwrap();
        let more = format!("http.server_port = 0\n{more}");
        trackers.push(Tracker::start(network.tracker(last), &directory, &more).await);
    }
    let mut storages = Vec::new();
    let port = Port::open(network.ip(41), Some(0x12E)).await;
    for (tracker, group, last, id, source, subdir_count) in [
        (1, "group1", 11, None, None, 256),
        (1, "group1", 12, None, Some(11), 256),
        (1, "group2", 21, None, None, 256),
        (2, "group1", 31, None, None, 4),
        (3, "group1", 41, None, None, 4),
        (3, "group1", 42, None, Some(41), 4),
        (4, "group1", 51, Some("100001"), None, 4),
    ] {
        let source = source.map(|last| network.ip(last));
        let storage = Storage { group, ip: network.ip(last), id, source, subdir_count };
        storages.push(storage.activate(network.tracker(tracker)).await);
    }
    while trunk_server(network, network.tracker(3)).await.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (trackers, storages, port)
}

/// `bytes` with the recorded addresses replaced by ours, which are as long.
fn at_home(network: &Network, bytes: &[u8]) -> Vec<u8> {
    const RECORDED: &[u8] = b"10.77.0.";
    let ours = network.ip(0).to_string();
    let ours = ours.strip_suffix('0').unwrap().as_bytes();
    assert_eq!(ours.len(), RECORDED.len());
    let mut out = bytes.to_vec();
    for at in 0..out.len().saturating_sub(RECORDED.len() - 1) {
        if out[at..].starts_with(RECORDED) {
            out[at..at + ours.len()].copy_from_slice(ours);
        }
    }
    out
}

/// A request whose file name says: made here, now.
fn renamed(network: &Network, mut request: Vec<u8>, now: u32) -> Vec<u8> {
    let Some(at) = request.windows(4).position(|window| window == b"Ck0A") else { return request };
    let code = &mut request[at..at + CODE_LEN];
    let Ok(decoded) = NameCode::decode(code) else { return request };
    let Source::Ip(recorded) = decoded.source else { panic!("recorded names carry addresses") };
    let ours: Ipv4Addr = network.ip(recorded.octets()[3]).to_string().parse().unwrap();
    code.copy_from_slice(&NameCode { source: Source::Ip(ours), timestamp: now, ..decoded }.encode());
    request
}

/// What lists say of storages, times and counters aside.
fn stable(body: &[u8]) -> Vec<String> {
    let list = StorageList::decode_body(body).unwrap();
    let line = |record: &protocol::tracker::StorageRecord| {
        format!(
            "{} {} {} {:?} {:?} {} {:?} {:?}",
            record.status,
            record.rw_mode,
            record.id,
            record.ip,
            record.source,
            record.version,
            (record.total_mb, record.free_mb, record.reserved_mb, record.upload_priority, record.port),
            (record.store_path_count, record.subdir_count, record.current_write_path),
        )
    };
    list.storages.iter().map(line).collect()
}

/// Says how `ours` differs from the recorded answer.
fn differs(record: &Record, recorded: &[u8], ours: &[u8]) -> Option<String> {
    if ours.get(..10).map(|head| &head[8..]) != recorded.get(..10).map(|head| &head[8..]) {
        return Some(format!("head {:02x?}, recorded {:02x?}", &ours[..10], &recorded[..10]));
    }
    if record.name.starts_with("tracker/list_storages") && ours.len() > 10 && recorded.len() > 10 {
        let (ours, recorded) = (stable(&ours[10..]), stable(&recorded[10..]));
        return (ours != recorded).then(|| format!("{ours:#?}, recorded {recorded:#?}"));
    }
    // Groups have different numbers of servers.
    if ours.len() != recorded.len() && record.name != "tracker/query_store_all/any" {
        return Some(format!("{} bytes, recorded {}: {ours:02x?}", ours.len(), recorded.len()));
    }
    let any_replica = ANY_REPLICA.contains(&record.name.as_str());
    let is_volatile = |at: usize| {
        let inside = |(start, end): &(usize, Option<usize>)| at >= *start && end.is_none_or(|end| at < end);
        let (list, start, step, turn) = TURNS;
        let is_turn = record.name == list && (turn..turn + 8).contains(&((at - start) % step));
        record.volatile.iter().any(inside) || is_turn || (any_replica && (26..41).contains(&at))
    };
    let at = (10..ours.len().min(recorded.len())).find(|&at| !is_volatile(at) && ours[at] != recorded[at])?;
    Some(format!("byte {at}: {}, recorded {}", ours[at..].escape_ascii(), recorded[at..].escape_ascii()))
}

async fn replay(network: &Network, record: &Record, now: u32) -> Result<(), String> {
    let mut peer = Peer::connect(network.ip(1), network.tracker(tracker_of(&record.name))).await;
    peer.send(&renamed(network, at_home(network, &record.request), now)).await;
    let announced = record.request.first_chunk().map_or(u64::MAX, |len| u64::from_be_bytes(*len));
    let is_cut = announced < 1 << 20 && announced + 10 > record.request.len() as u64;
    if is_cut || record.request.len() < 10 {
        peer.0.shutdown().await.unwrap();
    }
    let reply = peer.reply().await;
    let listed = DIFFERENCES.iter().find(|(name, _, _)| *name == record.name);
    if let Some((_, status, why)) = listed {
        let ours = match &reply {
            Reply::Frame(frame) => Some(frame[9]),
            Reply::Closed => None,
        };
        return if ours == *status { Ok(()) } else { Err(format!("not as listed ({why}): {reply:?}")) };
    }
    let recorded = at_home(network, &record.response);
    let difference = match &reply {
        Reply::Closed if recorded.is_empty() => None,
        Reply::Frame(ours) if !recorded.is_empty() => differs(record, &recorded, ours),
        reply => Some(format!("{reply:?}, recorded {recorded:02x?}")),
    };
    if let Some(difference) = difference {
        return Err(difference);
    }
    let stays_open = matches!(peer.exchange(&ACTIVE_TEST).await, Reply::Frame(_));
    if stays_open == (record.conn_after == "open") {
        Ok(())
    } else {
        Err(format!("connection open: {stays_open}, recorded {}", record.conn_after))
    }
}

#[tokio::test]
async fn recorded_requests_are_answered_as_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let network = Network::claim();
    let (trackers, storages, _port) = start(&network, directory.path()).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = u32::try_from(now).unwrap();
    let records = records();
    assert!(records.len() > 100, "the recorded frames are there");
    let mut wrong = Vec::new();
    for record in &records {
        if let Err(difference) = replay(&network, record, now).await {
            wrong.push(format!("{}: {difference}", record.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), records.len(), wrong.join("\n"));
    drop(storages);
    for tracker in trackers {
        tracker.stop().await;
    }
}

#[test]
fn every_listed_difference_names_a_recording() {
    let records = records();
    let names = DIFFERENCES.iter().map(|(name, _, _)| name).chain(ANY_REPLICA);
    for name in names {
        assert!(records.iter().any(|record| record.name == *name), "{name}");
    }
}
