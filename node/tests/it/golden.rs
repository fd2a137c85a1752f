//! Every answer recorded from a storage of FastDFS 6.16.1, asked again of this node.
//!
//! The records are one conversation: what one stores, later ones read. So they are replayed in order, each over a
//! connection of its own, with the names that this node gave in place of the recorded ones. What may differ is in
//! [`DIFFERENCES`] and nowhere else; a record that is neither equal nor there fails, and so does one that is both.

mod differences;
mod record;

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use protocol::config::params::{ClusterParams, IdType};

use crate::address::fresh;
use crate::fake_tracker::Cluster;
use crate::running::{Running, plain_cluster, wide_cluster};
use crate::wire::{Heard, Wire};
use differences::{After, DIFFERENCES, Difference, HUGE_UPLOAD};
use record::{Names, Record};

/// Content that is in no record, by the recorded name: the recorder uploaded it before.
const PREPARED: [(&str, &str, &[u8]); 2] = [
    ("M00/00/00/Ck0AC2sDZOyAdTFWAAAAAAAAAAA", "673.txt", b""),
    ("M00/00/00/Ck0AC2sDZOyAa2pOAAAACo9MBRQ", "878.txt", b"crc-high-2"),
];
const CONTENT: &[u8] = b"hello golden world\n";

/// An answer that should come, and one that should not.
const PATIENCE: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_answers_as_the_reference_does() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut names = Names::default();
    for (stem, tail, content) in PREPARED {
        names.learn(&format!("{stem}{tail}"), &node.upload(content, "txt").await);
    }
    let of_cluster = |record: &Record| !record.is_wide() && !record.has_ids();
    let count = replay(&node, &mut names, of_cluster).await;
    assert_eq!(count, 169, "records of a cluster with short addresses and without ids");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_of_a_cluster_with_long_addresses_answers_as_the_reference_does() {
    let node = Running::start(fresh(), wide_cluster(), "").await;
    let mut names = Names::default();
    let id = node.upload(CONTENT, "txt").await;
    names.learn("M00/00/00/Ck0AH2sDZOyAHTZgAAAAE8MOeKg243.txt", &id);
    assert_eq!(replay(&node, &mut names, Record::is_wide).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_with_an_id_answers_as_the_reference_does() {
    let ip = fresh();
    let node = Running::start(ip, cluster_with_ids(ip), "").await;
    let mut names = Names::default();
    let id = node.upload(CONTENT, "txt").await;
    assert_eq!(id.name.base_name()[..6], *"oYYBAG", "the name carries the id 100001");
    names.learn("M00/00/00/oYYBAGsDZOyAOFKDAAAAE8MOeKg473.txt", &id);
    assert_eq!(replay(&node, &mut names, Record::has_ids).await, 1);
}

fn cluster_with_ids(ip: IpAddr) -> Cluster {
    let params = ClusterParams {
        use_storage_id: true,
        trust_storage_server_id: true,
        id_type_in_filename: IdType::Id,
        ..plain_cluster().params
    };
    Cluster { params, ids: Some(format!("100001 group1 {ip}:23000\n")), ..plain_cluster() }
}

/// Asks everything that `wanted` picks; fails with all that is wrong, and gives the number of records.
async fn replay(node: &Running, names: &mut Names, wanted: impl Fn(&Record) -> bool) -> usize {
    let (mut wrong, mut count) = (String::new(), 0);
    let has_room = has_room_for_a_tib(node);
    for record in record::all().iter().filter(|record| wanted(record)) {
        count += 1;
        let difference = DIFFERENCES.iter().find(|difference| difference.name == record.name);
        let difference = difference.filter(|difference| difference.name != HUGE_UPLOAD || !has_room);
        let mut heard = ask(node.address, record, &names.own(&record.request), difference).await;
        if let Heard::Frame(frame) = &mut heard.answer {
            names.learn_answer(record, frame);
            record.blank(frame);
        }
        let recorded = expected(node, names, record);
        let as_recorded = heard == recorded;
        let verdict = match difference {
            None if as_recorded => continue,
            None => format!("recorded {recorded:?}"),
            Some(_) if as_recorded => "is as recorded, but listed as different".to_owned(),
            Some(Difference { ours, why, .. }) => {
                let ours = ours.heard();
                if heard == ours {
                    continue;
                }
                format!("meant to be {ours:?} ({why})")
            }
        };
        writeln!(wrong, "{}: {heard:?}, {verdict}", record.name).expect("strings can be written");
    }
    assert!(wrong.is_empty(), "{wrong}");
    count
}

/// An answer, and what became of the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Conversation {
    pub(crate) answer: Heard,
    pub(crate) after: After,
}

async fn ask(
    address: SocketAddr,
    record: &Record,
    request: &[u8],
    difference: Option<&Difference>,
) -> Conversation {
    let mut wire = Wire::open(address).await;
    wire.send(request).await;
    if record.half_closes() {
        wire.half_close().await;
    }
    let after = difference.map_or_else(|| record.after(), |difference| difference.ours.after);
    let waits = after == After::Waits;
    let unanswered =
        difference.map_or(record.response.is_empty(), |difference| difference.ours.status.is_none());
    let answer = wire.hear(if waits && unanswered { SILENCE } else { PATIENCE }).await;
    let after = match answer {
        Heard::Closed => After::Closed,
        _ => match wire.lives(if waits { SILENCE } else { PATIENCE }).await {
            Heard::Frame(_) => After::Open,
            Heard::Closed => After::Closed,
            Heard::Silence => After::Waits,
        },
    };
    Conversation { answer, after }
}

/// What was recorded, in the names and addresses of this run. A refused request whose body was read whole does not cost
/// the connection here, which no client can tell from a server that closes it a moment later.
fn expected(node: &Running, names: &Names, record: &Record) -> Conversation {
    let answer = match (record.response.as_slice(), record.after()) {
        ([], After::Waits) => Heard::Silence,
        ([], _) => Heard::Closed,
        (response, _) => {
            let mut frame = names.own(&record.with_source(response, node.ip));
            record.blank(&mut frame);
            Heard::Frame(frame)
        }
    };
    let after = match record.after() {
        After::Closed if record.status == Some(22) => After::Open,
        after => after,
    };
    Conversation { answer, after }
}

fn has_room_for_a_tib(node: &Running) -> bool {
    let space = rustix::fs::statvfs(node.directory.path()).expect("the directory is there");
    space.f_bavail.saturating_mul(space.f_frsize) > 1 << 40
}

#[test]
fn every_difference_is_of_a_record() {
    let records = record::all();
    for difference in DIFFERENCES {
        assert!(records.iter().any(|record| record.name == difference.name), "{}", difference.name);
    }
}
