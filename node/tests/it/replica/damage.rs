//! What no member of the group sends: nothing of it becomes visible, and the node goes on.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{
    APPENDER, INVALID, MISSING, Member, NORMAL, OK, OTHER, PATIENCE, RENAMED, TIME, delete, file, known,
    pair, part, truncate,
};
use crate::address::fresh;
use crate::running::{Running, plain_cluster};
use crate::wire::{Heard, Wire, assert_alive, whole};

/// Each command once, right, small.
fn all() -> Vec<Vec<u8>> {
    vec![
        file(16, NORMAL, TIME, b"content"),
        file(18, NORMAL, TIME, b"content"),
        known(16, NORMAL, TIME, 7),
        delete(NORMAL, TIME),
        part(25, APPENDER, 0, TIME, b"content"),
        part(35, APPENDER, 0, TIME, b"content"),
        truncate(APPENDER, 7, 0, TIME),
        pair(19, RENAMED, OTHER, TIME),
        pair(40, RENAMED, APPENDER, TIME),
    ]
}

/// Files below `data`, without the node's own.
fn files(node: &Running) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![node.data()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory of the store") {
            let entry = entry.expect("a directory of the store");
            if entry.file_name() == "sync" {
            } else if entry.file_type().expect("a type").is_dir() {
                left.push(entry.path());
            } else if entry.path().parent() != Some(&node.data()) {
                found.insert(entry.path().display().to_string());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_another_group() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    for request in all() {
        let at = request.windows(7).position(|window| window == b"group1\0").expect("all name the group");
        for group in [&b"group2\0"[..], b"group1x", b"group\0\0", b"\0roup1\0", b"gro/p1\0"] {
            let mut other = request.clone();
            other[at..at + 7].copy_from_slice(group);
            assert_eq!(member.ask(&other).await, INVALID, "{} {}", request[8], group.escape_ascii());
        }
    }
    member.logged(&[]);
    assert_eq!(files(&node), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_cannot_be() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    assert_eq!(member.ask(&file(16, OTHER, TIME, b"kept")).await, OK);
    let tail = &NORMAL[10..];
    let names = [
        format!("M00/../../{tail}"),
        format!("M00/00/00/../{tail}"),
        format!("M00/00/00//{tail}"),
        format!("M00/0a/00/{tail}"),
        format!("M01/00/00/{tail}"),
        format!("MFF/00/00/{tail}"),
        format!("/etc/00/00/{tail}"),
        "M00/00/00/..".to_owned(),
        "M00/00/00/a b c d e".to_owned(),
        format!("{NORMAL}\0"),
        format!("{NORMAL}\n1 D {OTHER}"),
        String::new(),
        "M".to_owned(),
        format!("M00/00/00/{}", "x".repeat(118)),
        format!("M00/00/00/{}", "x".repeat(5000)),
    ];
    for name in &names {
        for request in [
            file(16, name, TIME, b"content"),
            file(18, name, TIME, b"content"),
            known(16, name, TIME, 7),
            delete(name, TIME),
            part(25, name, 0, TIME, b"content"),
            part(35, name, 0, TIME, b"content"),
            truncate(name, 0, 1, TIME),
            pair(19, name, OTHER, TIME),
            pair(19, NORMAL, name, TIME),
            pair(40, name, OTHER, TIME),
            pair(40, NORMAL, name, TIME),
        ] {
            let status = member.ask(&request).await;
            assert_eq!(status, INVALID, "{} {}", request[8], name.escape_default());
        }
    }
    // Names that fit, but not both in a line of the binlog, nor with numbers.
    let long = format!("M00/00/00/{}", "x".repeat(100));
    for request in [pair(19, &long, OTHER, TIME), pair(40, &long, OTHER, TIME)] {
        assert_eq!(member.ask(&request).await, INVALID);
    }
    member.logged(&[format!("{TIME} c {OTHER}")]);
    assert_eq!(files(&node).len(), 1);
    assert_eq!(member.content(OTHER), b"kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lengths_that_do_not_add_up() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    for request in all() {
        let body = &request[10..];
        let has_sizes = request[8] != 17;
        for len in 0..body.len() {
            let mut short = whole(request[8], &body[..len]);
            short[9] = request[9];
            // A delete's name may end anywhere; what is left of it is another file's, or none's.
            let expected: &[u8] = if has_sizes || len < 31 { &[INVALID] } else { &[MISSING] };
            let status = member.ask(&short).await;
            assert!(expected.contains(&status), "{} cut to {len}: {status}", request[8]);
        }
        let mut long = whole(request[8], &[body, b"x"].concat());
        long[9] = request[9];
        let expected = if has_sizes { INVALID } else { MISSING };
        assert_eq!(member.ask(&long).await, expected, "{} with one byte more", request[8]);
        // Every number of the head as large and as negative as can be.
        let numbers = match request[8] {
            17 => 0,
            16 | 18 | 19 | 40 => 2,
            _ => 3,
        };
        for at in 0..numbers {
            for value in [i64::MAX, i64::MIN, -1, 1 << 40] {
                let mut wild = request.clone();
                wild[10 + 8 * at..18 + 8 * at].copy_from_slice(&value.to_be_bytes());
                let status = member.ask(&wild).await;
                assert!([INVALID, MISSING, 17].contains(&status), "{} {at} {value}: {status}", request[8]);
            }
        }
    }
    assert_eq!(files(&node), BTreeSet::new());
}

/// A sender that dies in the middle of a file, at each place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_break_off() {
    let node = Running::start(fresh(), plain_cluster(), "network_timeout = 1").await;
    let before = node.binlog();
    let small = file(16, NORMAL, TIME, b"0123456789");
    for end in 0..small.len() {
        let mut wire = Wire::open(node.address).await;
        wire.send(&small[..end]).await;
        wire.half_close().await;
        assert_eq!(wire.hear(PATIENCE).await, Heard::Closed, "after {end} bytes");
    }
    let large = file(18, APPENDER, TIME, &vec![b'x'; 3 << 20]);
    for end in [1 << 20, large.len() - 1] {
        let mut wire = Wire::open(node.address).await;
        wire.send(&large[..end]).await;
        node.wait_for_temporaries(1).await;
        assert_eq!(files(&node), BTreeSet::new());
        // It stalls until the node gives up.
        assert_eq!(wire.hear(PATIENCE).await, Heard::Closed, "after {end} bytes");
        node.wait_for_temporaries(0).await;
    }
    assert_eq!(files(&node), BTreeSet::new());
    assert_eq!(node.binlog(), before);
    assert_alive(node.address, "files that broke off").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_break_off_are_undone_and_can_be_sent_again() {
    let node = Running::start(fresh(), plain_cluster(), "network_timeout = 1").await;
    let mut member = Member::of(&node).await;
    assert_eq!(member.ask(&file(16, APPENDER, TIME, b"first")).await, OK);
    let content = vec![b'x'; 3 << 20];
    for command in [25, 35] {
        let request = part(command, APPENDER, 5, TIME, &content);
        let mut wire = Wire::open(node.address).await;
        wire.send(&request[..2 << 20]).await;
        assert_eq!(wire.hear(PATIENCE).await, Heard::Closed);
        if command == 25 {
            let start = Instant::now();
            while member.content(APPENDER) != b"first" {
                assert!(start.elapsed() < PATIENCE, "the file is not cut back");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        member.seen = node.binlog().len();
        let mut again = Member::of(&node).await;
        assert_eq!(again.ask(&request).await, OK);
        assert!(again.content(APPENDER) == [b"first", &content[..]].concat());
        let letter = if command == 25 { 'a' } else { 'm' };
        member.logged(&[format!("{TIME} {letter} {APPENDER} 5 {}", content.len())]);
        assert_eq!(again.ask(&file(18, APPENDER, TIME, b"first")).await, OK);
    }
}

/// A file that its source changes while it is being taken in is seen as it was, or as it is, never in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_never_see_half_a_file() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    let contents = [vec![b'a'; 400 << 10], vec![b'b'; 100 << 10]];
    assert_eq!(member.ask(&file(18, NORMAL, TIME, &contents[0])).await, OK);
    let path = member.path(NORMAL);
    let reader = tokio::task::spawn_blocking(move || {
        let mut seen = BTreeSet::new();
        for _ in 0..2000 {
            let content = std::fs::read(&path).expect("the file is always there");
            let letter = content[0];
            assert!(content.iter().all(|byte| *byte == letter));
            seen.insert((letter, content.len()));
        }
        seen
    });
    let mut turn = 0;
    while !reader.is_finished() {
        turn += 1;
        assert_eq!(member.ask(&file(18, NORMAL, TIME, &contents[turn % 2])).await, OK);
    }
    let seen = reader.await.expect("the reader does not panic");
    assert!(seen.is_subset(&[(b'a', 400 << 10), (b'b', 100 << 10)].into()), "{seen:?}");
}
