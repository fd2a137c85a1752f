//! Requests that no client should send. The node may refuse them or close; it goes on serving everyone else, and keeps
//! nothing of them.

use std::time::{Duration, Instant};

use crate::address::fresh;
use crate::running::{Running, plain_cluster};
use crate::wire::{Heard, Wire, assert_alive, request, whole};

/// Commands that clients send to a storage, without QUIT and ACTIVE_TEST.
const CLIENT_COMMANDS: [u8; 14] = [9, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 34, 36, 38];
/// Commands of other storages and of trackers, which nobody else may send.
const PEER_COMMANDS: [u8; 16] = [16, 17, 18, 19, 25, 26, 27, 28, 29, 30, 31, 32, 33, 35, 37, 40];
const QUIT: u8 = 82;
const PATIENCE: Duration = Duration::from_secs(20);
const IMPATIENT: &str = "network_timeout = 1";

async fn impatient() -> Running {
    Running::start(fresh(), plain_cluster(), IMPATIENT).await
}

fn status(code: u8) -> Heard {
    Heard::Frame(vec![0, 0, 0, 0, 0, 0, 0, 0, 100, code])
}

impl Running {
    /// Sends bytes over a connection of their own and gives the first answer.
    async fn ask(&self, bytes: &[u8]) -> Heard {
        let mut wire = Wire::open(self.address).await;
        wire.send(bytes).await;
        let heard = wire.hear(PATIENCE).await;
        assert_alive(self.address, &format!("{:?}", &bytes[..bytes.len().min(80)])).await;
        heard
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn impossible_lengths() {
    let node = impatient().await;
    for command in 0..=u8::MAX {
        for len in [-1, i64::MIN] {
            assert_eq!(node.ask(&request(command, len, &[])).await, Heard::Closed, "{command} {len}");
        }
    }
    let mut asked = tokio::task::JoinSet::new();
    for command in CLIENT_COMMANDS.into_iter().chain(PEER_COMMANDS).chain([0, 111, 200]) {
        for len in [1 << 40, i64::MAX] {
            let address = node.address;
            asked.spawn(async move {
                let mut wire = Wire::open(address).await;
                wire.send(&request(command, len, &[0xFF; 80])).await;
                let heard = (wire.hear(PATIENCE).await, wire.hear(PATIENCE).await);
                assert_eq!(heard, (status(22), Heard::Closed), "{command} {len}");
            });
        }
    }
    while let Some(asked) = asked.join_next().await {
        asked.unwrap();
    }
    assert_alive(node.address, "lengths beyond all files").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_too_short_for_what_they_say() {
    let node = impatient().await;
    let before = node.binlog();
    for command in CLIENT_COMMANDS {
        for len in 0..80 {
            let heard = node.ask(&whole(command, &vec![0xFF; len])).await;
            assert_eq!(heard, status(22), "{command} with {len} bytes");
        }
    }
    assert_eq!(node.binlog(), before);
}

/// A request of `command` for a file of this name, right but for the name.
fn naming(command: u8, name: &[u8]) -> Vec<u8> {
    let number = |number: usize| u64::try_from(number).expect("a length").to_be_bytes().to_vec();
    let len = number(name.len());
    let group = b"group1\0\0\0\0\0\0\0\0\0\0".to_vec();
    let parts: Vec<Vec<u8>> = match command {
        12 | 15 | 22 => vec![group, name.into()],
        13 => vec![len, number(3), b"O".into(), group, name.into(), b"a\x02b".into()],
        14 => vec![number(0), number(0), group, name.into()],
        20 => {
            let names = vec![number(0), len, number(1), group, vec![0; 16], vec![0; 6], name.into()];
            names.into_iter().chain([b"s".to_vec()]).collect()
        }
        21 => vec![
            len,
            number(1),
            b"_s\0\0\0\0\0\0\0\0\0\0\0\0\0\0".into(),
            vec![0; 6],
            name.into(),
            b"x".into(),
        ],
        24 => vec![len, number(1), name.into(), b"x".into()],
        34 => vec![len, number(0), number(1), name.into(), b"x".into()],
        36 => vec![len, number(0), name.into()],
        38 => vec![name.into()],
        _ => panic!("{command} has no name"),
    };
    whole(command, &parts.concat())
}

const NAMING: [u8; 11] = [12, 13, 14, 15, 20, 21, 22, 24, 34, 36, 38];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_cannot_be() {
    let node = impatient().await;
    let before = node.binlog();
    let good = node.upload(b"kept", "txt").await;
    let name = good.name.as_str().as_bytes();
    let long = |len: usize| [name, &vec![b'x'; len - name.len()]].concat();
    let escape = [&name[..10], b"../../../../../../../../etc/passwd/abcdefgh"].concat();
    let parent = [b"M00/../../".to_vec(), name[10..].to_vec()].concat();
    let mut nul = name.to_vec();
    nul[20] = 0;
    let mut slash = name.to_vec();
    slash[20] = b'/';
    let mut wild = name.to_vec();
    wild[20] = 0xFF;
    let mut path = name.to_vec();
    path[1..3].copy_from_slice(b"FF");
    let names =
        [long(128), long(1000), long(64 << 10), escape, parent, nul, slash, wild, path, Vec::new(), vec![0]];
    for command in NAMING {
        for name in &names {
            let shown = String::from_utf8_lossy(&name[..name.len().min(60)]);
            assert_eq!(node.ask(&naming(command, name)).await, status(22), "{command} {shown}");
        }
    }
    let kept = node.client().download_bytes(node.address, &good, 10).await.unwrap();
    assert_eq!(kept, "kept");
    assert_eq!(node.binlog().lines().count(), before.lines().count() + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_of_nothing_is_missing() {
    let node = impatient().await;
    let id = node.upload(b"gone soon", "txt").await;
    node.client().delete(node.address, &id).await.unwrap();
    for command in NAMING {
        let heard = node.ask(&naming(command, id.name.as_str().as_bytes())).await;
        assert_eq!(heard, status(2), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_of_peers_and_unknown_ones_change_nothing() {
    let node = impatient().await;
    let id = node.upload(b"kept", "txt").await;
    let before = node.binlog();
    let name = id.name.as_str().as_bytes();
    let known = |command: &u8| CLIENT_COMMANDS.contains(command) || [QUIT, 111].contains(command);
    for command in (0..=u8::MAX).filter(|command| !known(command)) {
        let group = b"group1\0\0\0\0\0\0\0\0\0\0";
        for body in [vec![], group.to_vec(), [group, name].concat(), vec![0; 100], vec![0xFF; 1000]] {
            assert_eq!(node.ask(&whole(command, &body)).await, status(22), "{command} {}", body.len());
        }
    }
    assert_eq!(node.binlog(), before);
    assert_eq!(node.client().download_bytes(node.address, &id, 10).await.unwrap(), "kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage() {
    let node = impatient().await;
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = vec![0; random.usize(1..4096)];
        random.fill(&mut bytes);
        let mut wire = Wire::open(node.address).await;
        wire.send(&bytes).await;
        wire.half_close().await;
        // Random lengths are negative or beyond all files.
        let heard = wire.hear(PATIENCE).await;
        assert!([Heard::Closed, status(22)].contains(&heard), "{seed}: {heard:?}");
    }
    assert_alive(node.address, "garbage").await;
    node.wait_for_temporaries(0).await;
}

/// An upload of `len` bytes that are never all sent.
fn upload_head(command: u8, len: usize) -> Vec<u8> {
    let len = i64::try_from(len).expect("a length");
    let head = [&[0xFF][..], &len.to_be_bytes(), b"bin\0\0\0"].concat();
    request(command, 15 + len, &head)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_end_early() {
    let node = impatient().await;
    let before = node.binlog();
    let upload = [upload_head(11, 20), vec![b'x'; 20]].concat();
    for end in 0..upload.len() {
        let mut wire = Wire::open(node.address).await;
        wire.send(&upload[..end]).await;
        wire.half_close().await;
        assert_eq!(wire.hear(PATIENCE).await, Heard::Closed, "after {end} bytes");
        // And once more, gone without a word.
        Wire::open(node.address).await.send(&upload[..end]).await;
    }
    assert_alive(node.address, "half frames").await;
    assert_eq!(node.binlog(), before);
    node.wait_for_temporaries(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stalls_loses_its_connection_and_leaves_nothing() {
    let node = impatient().await;
    let before = node.binlog();
    let start = Instant::now();
    for (command, len, sent) in [(11, 1000, 10), (11, 4 << 20, 1 << 20), (23, 4 << 20, 0)] {
        let mut wire = Wire::open(node.address).await;
        wire.send(&upload_head(command, len)).await;
        wire.send(&vec![b'x'; sent]).await;
        if len > 1 << 20 {
            node.wait_for_temporaries(1).await;
        }
        assert_eq!(wire.hear(PATIENCE).await, Heard::Closed, "{command} {len} {sent}");
        node.wait_for_temporaries(0).await;
    }
    let elapsed = start.elapsed();
    assert!(elapsed > Duration::from_secs(3), "three stalls of a second each, {elapsed:?}");
    assert_eq!(node.binlog(), before);
    assert_alive(node.address, "stalled uploads").await;
}

/// Starts a change of 3 MiB, sends 2 MiB of it, and waits until the node gave up.
async fn break_off(node: &Running, command: u8, numbers: &[usize], name: &[u8]) {
    let len: usize = 3 << 20;
    let numbers = numbers.iter().chain([&len]);
    let mut head: Vec<u8> =
        numbers.flat_map(|number| u64::try_from(*number).expect("a length").to_be_bytes()).collect();
    head.extend_from_slice(name);
    let announced = i64::try_from(head.len() + len).expect("a length");
    let mut wire = Wire::open(node.address).await;
    wire.send(&request(command, announced, &head)).await;
    wire.send(&vec![b'x'; 2 << 20]).await;
    assert_eq!(wire.hear(PATIENCE).await, Heard::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_breaks_off_is_undone_or_recorded() {
    let node = impatient().await;
    let mut wire = Wire::open(node.address).await;
    let upload = [upload_head(23, 5), b"first".to_vec()].concat();
    wire.send(&upload).await;
    let Heard::Frame(created) = wire.hear(PATIENCE).await else { panic!("no answer to an upload") };
    let name = std::str::from_utf8(&created[26..]).unwrap();
    let path = node.data().join(&name[4..]);
    let before = node.binlog();

    break_off(&node, 24, &[name.len()], name.as_bytes()).await;
    let start = Instant::now();
    while std::fs::read(&path).unwrap() != b"first" {
        assert!(start.elapsed() < PATIENCE, "the file is not cut back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(node.binlog(), before);

    // What a modify wrote over is lost, so that the other members have to get what is there now.
    break_off(&node, 34, &[name.len(), 3], name.as_bytes()).await;
    let start = Instant::now();
    let line = loop {
        match node.binlog().strip_prefix(&before) {
            Some("") => {}
            added => break added.expect("lines are only added").to_owned(),
        }
        assert!(start.elapsed() < PATIENCE, "the modify is not recorded");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let content = std::fs::read(&path).unwrap();
    let written = content.len() - 3;
    assert!(content.starts_with(b"firx") && written > 1 << 20, "{written}");
    assert!(line.ends_with(&format!(" M {name} 3 {written}\n")), "{line}");
    assert_alive(node.address, "broken changes").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_sent_ahead_are_answered_in_order() {
    let node = impatient().await;
    let mut wire = Wire::open(node.address).await;
    let ahead = [whole(111, &[]), whole(200, b"xyz"), whole(111, b"x"), upload_head(11, 0), whole(111, &[])];
    wire.send(&ahead.concat()).await;
    for expected in [0, 22, 22] {
        assert_eq!(wire.hear(PATIENCE).await, status(expected));
    }
    let Heard::Frame(created) = wire.hear(PATIENCE).await else { panic!("no answer to an upload") };
    assert_eq!((created.len(), created[9]), (70, 0));
    assert_eq!(wire.hear(PATIENCE).await, status(0));
    wire.send(&whole(QUIT, &[])).await;
    assert_eq!(wire.hear(PATIENCE).await, Heard::Closed);
}
