//! Peers that send what nobody should: each gets a clean answer or a close, and the tracker stays as it was.

use std::net::IpAddr;

use protocol::Command;
use tokio::io::AsyncWriteExt;

use crate::network::Network;
use crate::peers::{Peer, Reply, Storage, Tracker};

fn frame(len: i64, command: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = len.to_be_bytes().to_vec();
    frame.extend([command, 0]);
    frame.extend(body);
    frame
}

fn whole(command: u8, body: &[u8]) -> Vec<u8> {
    frame(i64::try_from(body.len()).unwrap(), command, body)
}

/// The status that a frame is answered with, and whether the connection still answers.
async fn met(from: IpAddr, tracker: &Tracker, bytes: &[u8]) -> (Option<u8>, bool) {
    let mut peer = Peer::connect(from, tracker.address).await;
    match peer.exchange(bytes).await {
        Reply::Closed => (None, false),
        Reply::Frame(answer) => {
            let open = matches!(peer.exchange(&whole(111, b"")).await, Reply::Frame(_));
            (Some(answer[9]), open)
        }
    }
}

/// Resident memory of this process, KB.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

struct Setup {
    network: Network,
    tracker: Tracker,
    _directory: tempfile::TempDir,
}

async fn setup() -> Setup {
    let (directory, network) = (tempfile::tempdir().unwrap(), Network::claim());
    let tracker = Tracker::start(network.tracker(1), directory.path(), "http.server_port = 0\n").await;
    Setup { network, tracker, _directory: directory }
}

#[tokio::test]
async fn bad_frames_end_the_connection_and_bad_bodies_do_not() {
    let Setup { network, tracker, _directory } = setup().await;
    let ip = network.ip(9);
    let storage = Storage { group: "group1", ip: network.ip(11), id: None, source: None, subdir_count: 256 };
    let _member = storage.activate(tracker.address).await;
    let closed = (None, false);
    let refused = (Some(22), true);
    let long = vec![b'x'; 65_536];
    let name = [&b"group1\0\0\0\0\0\0\0\0\0\0"[..], &long].concat();
    for (bytes, expected) in [
        (frame(-1, 101, b""), closed),
        (frame(i64::MIN, 101, b""), closed),
        (frame(i64::MAX, 101, b""), closed),
        (frame(1 << 32, 101, b""), closed),
        (frame(256 * 1024 - 9, 101, b""), closed),
        (whole(101, &vec![0; 256 * 1024 - 10]), refused),
        (whole(102, &name), refused),
        (whole(92, &name), refused),
        (whole(93, &name), refused),
        (whole(81, &long), refused),
        (whole(89, &long), (Some(13), true)),
        (whole(0, b""), refused),
        (whole(200, &long), refused),
        (whole(255, b"abc"), refused),
        (whole(102, &[0xff; 60]), refused),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), closed),
    ] {
        let head = &bytes[..bytes.len().min(24)];
        assert_eq!(met(ip, &tracker, &bytes).await, expected, "{} ({})", head.escape_ascii(), bytes.len());
    }
    tracker.stop().await;
}

#[tokio::test]
async fn peer_commands_without_a_join_are_refused() {
    let Setup { network, tracker, _directory } = setup().await;
    let ip = network.ip(9);
    for command in [59, 72, 73, 74, 79, 83, 84, 85, 87, 88, 89] {
        // Of every length that one of them may have.
        for len in [0, 1, 4, 8, 16, 20, 24, 67, 348] {
            let bytes = whole(command, &vec![0; len]);
            let (status, open) = met(ip, &tracker, &bytes).await;
            assert!(open && [Some(13), Some(22)].contains(&status), "{command} {len}: {status:?} {open}");
        }
        let body_len = match command {
            59 => 1,
            73 => 4,
            74 => 8,
            84 | 89 => 20,
            85 => 67,
            88 => 24,
            _ => 0,
        };
        let bytes = whole(command, &vec![0; body_len]);
        assert_eq!(met(ip, &tracker, &bytes).await, (Some(13), true), "{:?}", Command(command));
    }
    tracker.stop().await;
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() {
    let Setup { network, tracker, _directory } = setup().await;
    let mut peer = Peer::connect(network.ip(9), tracker.address).await;
    let requests = [whole(111, b""), whole(101, b""), whole(101, b"x"), whole(91, b"")].concat();
    // In one piece, then a byte at a time.
    peer.send(&requests).await;
    for byte in &requests {
        peer.send(std::slice::from_ref(byte)).await;
    }
    for round in 0..2 {
        for status in [0, 2, 22, 0] {
            let Reply::Frame(answer) = peer.reply().await else { panic!("closed in round {round}") };
            assert_eq!((answer[8], answer[9]), (100, status));
        }
    }
    assert_eq!(peer.exchange(&whole(82, b"")).await, Reply::Closed);
    tracker.stop().await;
}

/// Numbers that look random and are the same in every run.
fn noise(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Connects again and again, each time with a frame of noise; half of them announce more than they send and go away.
async fn garbage(from: IpAddr, tracker: &Tracker, rounds: usize, seed: &mut u64) {
    for _ in 0..rounds {
        let mut peer = Peer::connect(from, tracker.address).await;
        let command = u8::try_from(noise(seed) % 112).unwrap();
        let len = usize::try_from(noise(seed) % 700).unwrap();
        let body: Vec<u8> = (0..len).map(|_| noise(seed).to_le_bytes()[0]).collect();
        let missing = i64::try_from(noise(seed) % 2 * 200_000).unwrap();
        peer.send(&frame(i64::try_from(len).unwrap() + missing, command, &body)).await;
        if missing > 0 {
            let _ = peer.0.shutdown().await;
        }
        let _ = peer.reply().await;
    }
}

#[tokio::test]
async fn garbage_leaves_the_tracker_up_and_its_memory_flat() {
    let Setup { network, tracker, _directory } = setup().await;
    let storage = Storage { group: "group1", ip: network.ip(11), id: None, source: None, subdir_count: 256 };
    let mut member = storage.activate(tracker.address).await;
    let (ip, mut seed) = (network.ip(9), 0x9E37_79B9_7F4A_7C15);
    garbage(ip, &tracker, 300, &mut seed).await;
    // Other tests run in this process too: what leaks grows in every window, what they take does not.
    let mut least = u64::MAX;
    for _ in 0..4 {
        let before = resident_kb();
        garbage(ip, &tracker, 250, &mut seed).await;
        least = least.min(resident_kb().saturating_sub(before));
    }
    assert!(least < 1024, "memory grew by {least} KB or more in every window");
    let Reply::Frame(answer) = member.exchange(&whole(101, b"")).await else {
        panic!("the member was dropped")
    };
    assert_eq!((answer[9], answer.len()), (0, 50), "the storage that had joined still serves");
    tracker.stop().await;
}
