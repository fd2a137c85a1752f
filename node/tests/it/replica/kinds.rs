//! Kinds of files: metadata, slaves, members of trunk files; and two stores of a group that hold the same.

use std::fs;

use protocol::FileId;

use super::{MISSING, Member, NORMAL, OK, PRESENT, TIME, TRUNK, delete, file, pair};
use crate::address::fresh;
use crate::running::{Running, plain_cluster};

fn id(name: &str) -> FileId {
    FileId::parse(&format!("group1/{name}")).expect("the test's own name")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_travels_as_a_file_and_is_metadata_again() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    let metadata = format!("{NORMAL}-m");
    // In any order.
    assert_eq!(member.ask(&file(16, &metadata, TIME, b"a\x021")).await, OK);
    assert_eq!(member.ask(&file(16, NORMAL, TIME, b"content")).await, OK);
    let client = node.client();
    assert_eq!(client.metadata(node.address, &id(NORMAL)).await.unwrap(), "a\x021");
    assert_eq!(member.ask(&file(18, &metadata, TIME + 1, b"a\x022\x01b\x023")).await, OK);
    assert_eq!(client.metadata(node.address, &id(NORMAL)).await.unwrap(), "a\x022\x01b\x023");
    member.logged(&[
        format!("{TIME} c {metadata}"),
        format!("{TIME} c {NORMAL}"),
        format!("{} u {metadata}", TIME + 1),
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_from_a_trunk_file_lies_in_one_here() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    assert_eq!(member.ask(&file(16, TRUNK, TIME, b"abcdef")).await, OK);
    assert!(!member.exists(TRUNK));
    assert_eq!(member.ask(&file(16, TRUNK, TIME, b"abcdef")).await, PRESENT);
    let client = node.client();
    assert_eq!(client.download_bytes(node.address, &id(TRUNK), 100).await.unwrap(), "abcdef");
    let info = client.file_info(node.address, &id(TRUNK), Default::default()).await.unwrap();
    let code = id(TRUNK).name.code().unwrap();
    assert_eq!((info.size, info.time, info.crc32), (6, i64::from(code.timestamp), code.crc32));
    let answer = node.http(&format!("GET /group1/{TRUNK} HTTP/1.0\r\nHost: x\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("\r\n\r\nabcdef"), "{answer}");

    assert_eq!(member.ask(&pair(19, NORMAL, TRUNK, TIME)).await, OK);
    assert_eq!(client.download_bytes(node.address, &id(NORMAL), 100).await.unwrap(), "abcdef");
    assert_eq!(member.ask(&delete(TRUNK, TIME)).await, OK);
    assert_eq!(
        client.download_bytes(node.address, &id(TRUNK), 100).await.unwrap_err().status().unwrap().0,
        2
    );
    assert_eq!(member.ask(&delete(TRUNK, TIME)).await, MISSING);
    member.logged(&[
        format!("{TIME} c {TRUNK}"),
        format!("{TIME} c {TRUNK}"),
        format!("{TIME} l {NORMAL} {TRUNK}"),
        format!("{TIME} d {TRUNK}"),
    ]);

    // What cannot be the file of its name is a file of its own, and a client may delete it, too.
    let another = "M00/00/00/Ck0AKWsDZJGIcStEAAAAE8MOeKgAAAAAQAAAQAAAAEA182.txt";
    assert_eq!(member.ask(&file(16, another, TIME, b"ghi")).await, OK);
    assert_eq!(member.content(another), b"ghi");
    client.delete(node.address, &id(another)).await.unwrap();
    assert!(!member.exists(another) && node.binlog().ends_with(&format!(" D {another}\n")));
}

/// A slot as FastDFS writes it, for the file that `TRUNK` names.
fn slot() -> Vec<u8> {
    let code = id(TRUNK).name.code().expect("a name with a code");
    let mut slot = b"F".to_vec();
    slot.extend(256_u32.to_be_bytes());
    slot.extend(6_u32.to_be_bytes());
    slot.extend(code.crc32.to_be_bytes());
    slot.extend(code.timestamp.to_be_bytes());
    slot.extend(b"252.txt");
    slot.extend(b"abcdef");
    slot.resize(256, 0xAA);
    slot
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_is_here_is_not_stored_again_and_is_freed_by_a_delete() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    let container = node.data().join("00/00/000001");
    let neighbour = [0x55; 100];
    fs::write(&container, [&slot()[..], &neighbour].concat()).unwrap();
    assert_eq!(node.client().download_bytes(node.address, &id(TRUNK), 100).await.unwrap(), "abcdef");
    assert_eq!(member.ask(&file(16, TRUNK, TIME, b"abcdef")).await, PRESENT);
    assert!(!member.exists(TRUNK));
    assert_eq!(member.ask(&delete(TRUNK, TIME)).await, OK);
    assert_eq!(fs::read(&container).unwrap(), [&[0; 256][..], &neighbour].concat());
    assert_eq!(member.ask(&delete(TRUNK, TIME)).await, MISSING, "the slot is somebody else's");
    member.logged(&[format!("{TIME} c {TRUNK}"), format!("{TIME} d {TRUNK}")]);
}

/// Many files over several connections at once: all whole, each recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_send_at_once() {
    const SENDERS: usize = 4;
    const FILES: usize = 200;
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let name = |sender: usize, number: usize| NORMAL.replace("977", &format!("{sender}{number:03}"));
    let content = |sender: usize, number: usize| format!("{sender} {number} ").repeat(number + 1);
    let mut senders = Vec::new();
    for sender in 0..SENDERS {
        let mut member = Member::of(&node).await;
        senders.push(async move {
            for number in 0..FILES {
                let bytes = content(sender, number);
                member.wire.send(&file(16, &name(sender, number), TIME, bytes.as_bytes())).await;
                // All send this one, too: the first wins.
                member.wire.send(&file(16, NORMAL, TIME, b"the same from all")).await;
            }
            for _ in 0..FILES {
                assert_eq!(member.answer().await, OK);
                assert!([OK, PRESENT].contains(&member.answer().await));
            }
        });
    }
    futures_join(senders).await;
    let binlog = node.binlog();
    let member = Member::of(&node).await;
    for sender in 0..SENDERS {
        for number in 0..FILES {
            let name = name(sender, number);
            assert_eq!(member.content(&name), content(sender, number).as_bytes());
            assert_eq!(binlog.matches(&format!("{TIME} c {name}\n")).count(), 1);
        }
    }
    assert_eq!(binlog.lines().count(), 2 * SENDERS * FILES);
}

async fn futures_join(all: Vec<impl Future<Output = ()>>) {
    let mut all: Vec<_> = all.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// What came ahead is stored together, by store path, and answered in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_several_store_paths_come_ahead() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let paths = format!(
        "store_path_count = 2\nstore_path0 = {}\nstore_path1 = {}",
        directories[0].path().display(),
        directories[1].path().display()
    );
    let node = Running::start(fresh(), plain_cluster(), &paths).await;
    let mut member = Member::of(&node).await;
    let name = |number: usize| {
        NORMAL.replace("M00", &format!("M{:02X}", number % 3)).replace("977", &format!("{number:03}"))
    };
    let ahead: Vec<u8> =
        (0..300).flat_map(|number| file(16, &name(number), TIME, name(number).as_bytes())).collect();
    for known in [OK, PRESENT] {
        member.wire.send(&ahead).await;
        for number in 0..300 {
            let expected = if number % 3 == 2 { super::INVALID } else { known };
            assert_eq!(member.answer().await, expected, "{number}");
        }
    }
    for number in (0..300).filter(|number| number % 3 < 2) {
        let content = fs::read(directories[number % 3].path().join("data").join(&name(number)[4..])).unwrap();
        assert_eq!(content, name(number).as_bytes());
        assert_eq!(node.binlog().matches(&format!("{TIME} c {}\n", name(number))).count(), 2);
    }
}
