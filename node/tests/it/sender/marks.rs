//! How far a member has got: the mark file, what operators do with it, and crashes.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::FileId;
use protocol::cluster::StorageStatus;

use crate::address::fresh;
use crate::sending::{Sending, wait, wait_file};
use crate::taker::{Do, Kind, OK, PRESENT, Taker};

async fn upload(sending: &Sending, count: usize) -> Vec<FileId> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(sending.node.upload(format!("file {number}").as_bytes(), "txt").await);
    }
    ids
}

fn mark(offset: usize, scanned: usize, sent: usize) -> String {
    format!(
        "binlog_index=0\nbinlog_offset={offset}\nneed_sync_old=0\nsync_old_done=0\nuntil_timestamp=0\n\
         scan_row_count={scanned}\nsync_row_count={sent}\n"
    )
}

/// A node with files, and a member that has them all.
async fn in_step(kind: Kind, count: usize) -> (Sending, Taker, Vec<FileId>) {
    let sending = Sending::start().await;
    let ids = upload(&sending, count).await;
    let taker = Taker::start(fresh(), kind).await;
    sending.joined(&taker);
    sending.wait_in_step(taker.ip).await;
    (sending, taker, ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_is_that_of_fastdfs_and_operators_may_move_it() {
    let (mut sending, taker, ids) = in_step(Kind::FastDfs, 5).await;
    let end = sending.node.binlog().len();
    assert_eq!(sending.mark(taker.ip), mark(end, 5, 5));
    sending.node.stop().await;
    assert_eq!(sending.mark(taker.ip), mark(end, 5, 5));

    taker.forget();
    fs::write(sending.mark_path(taker.ip), mark(0, 5, 5)).unwrap();
    sending.node.start_again().await;
    sending.wait_in_step(taker.ip).await;
    let answers = taker.answers();
    for id in &ids {
        let last = answers.iter().rev().find(|answer| answer.name == id.name.as_str());
        assert_eq!(last.map(|answer| (answer.command, answer.status)), Some((16, PRESENT)), "{answers:?}");
    }

    // As FastDFS leaves it: behind the third record.
    sending.node.stop().await;
    taker.forget();
    let third = sending.node.binlog().match_indices('\n').nth(2).unwrap().0 + 1;
    fs::write(sending.mark_path(taker.ip), mark(third, 3, 3)).unwrap();
    sending.node.start_again().await;
    sending.wait_in_step(taker.ip).await;
    let names: Vec<_> = taker.answers().into_iter().map(|answer| answer.name).collect();
    assert!(!names.is_empty() && names.iter().all(|name| ids[3..].iter().any(|id| id.name.as_str() == name)));
    assert_eq!(sending.mark(taker.ip), mark(end, 5, 5));

    // Nothing of what comes is behind the mark.
    sending.node.stop().await;
    fs::write(sending.mark_path(taker.ip), mark(10 * end, 5, 5)).unwrap();
    sending.node.start_again().await;
    let id = sending.node.upload(b"new", "txt").await;
    wait_file(&taker, &id.name, b"new").await;
    sending.wait_in_step(taker.ip).await;
    let end = sending.node.binlog().len();
    assert_eq!(sending.mark(taker.ip), mark(end, 6, 6));

    sending.node.stop().await;
    taker.forget();
    fs::write(sending.mark_path(taker.ip), "binlog_index=0\nbinlog_off").unwrap();
    sending.node.start_again().await;
    sending.wait_in_step(taker.ip).await;
    for id in &ids {
        assert!(!taker.talk(&id.name).is_empty(), "{id} is sent again");
    }
    assert_eq!(sending.mark(taker.ip), mark(end, 6, 6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loses_nothing() {
    for kind in [Kind::FastDfs, Kind::Fdfs] {
        let mut sending = Sending::start().await;
        let ids = upload(&sending, 30).await;
        sending.node.stop().await;
        let taker = Taker::start(fresh(), kind).await;
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        // Twelve take effect, of which three are not answered any more.
        taker.script(move |_| match counted.fetch_add(1, Ordering::Relaxed) {
            0..12 => Do::Apply,
            _ => Do::Hold,
        });
        sending.joined(&taker);
        sending.node.start_apart().await;
        wait(|| taker.files().len() == 12, || format!("{:?}", taker.files())).await;
        sending.node.kill().await;
        taker.script(|_| Do::Apply);
        taker.forget();
        sending.node.start_again().await;
        sending.wait_in_step(taker.ip).await;
        for (number, id) in ids.iter().enumerate() {
            assert!(taker.has(&id.name, format!("file {number}").as_bytes()), "{kind:?} {id}");
        }
        let again = taker.answers();
        // The mark was not written after all twelve: it is behind, not ahead.
        assert!(again.iter().filter(|answer| answer.status == OK && answer.command != 22).count() >= 18);
        assert!(again.iter().all(|answer| [16, 22].contains(&answer.command)), "{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_are_no_records_are_passed_over() {
    let mut sending = Sending::start().await;
    let ids = upload(&sending, 3).await;
    let broken =
        ["1795382841 l ", "", "garbage", "1795382907 D M01/00/03/Ck0AC2sDXnaAN-d1795382967 C M00/00/00/x"];
    sending
        .rewrite(|lines| {
            let broken = broken.iter().map(|line| (*line).to_owned());
            let mut all: Vec<String> = Vec::new();
            for line in lines {
                all.extend(broken.clone());
                all.push(line);
            }
            all.extend(broken);
            all
        })
        .await;
    let taker = Taker::start(fresh(), Kind::FastDfs).await;
    sending.joined(&taker);
    sending.node.start_again().await;
    sending.wait_in_step(taker.ip).await;
    assert_eq!(taker.files().len(), ids.len());
    assert_eq!(sending.mark(taker.ip), mark(sending.node.binlog().len(), 3 + 4 * broken.len(), 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_deleted_ends_its_sender_and_starts_anew_when_it_is_back() {
    let (sending, taker, ids) = in_step(Kind::Fdfs, 3).await;
    sending.members(&[(taker.ip, StorageStatus::DELETED)]);
    let aside = || {
        let entries = fs::read_dir(sending.node.data().join("sync")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let prefix = format!("{}_23000.mark.", taker.ip);
        names.filter_map(|name| name.strip_prefix(&prefix).map(str::to_owned)).collect::<Vec<_>>()
    };
    wait(|| !aside().is_empty(), || "the mark stays".to_owned()).await;
    let [time] = &aside()[..] else { panic!("{:?}", aside()) };
    assert!(time.len() == 14 && time.bytes().all(|byte| byte.is_ascii_digit()), "{time}");
    assert!(!sending.mark_path(taker.ip).exists());
    let heard = taker.connections();
    let after = sending.node.upload(b"while it is gone", "txt").await;

    taker.forget();
    sending.joined(&taker);
    wait_file(&taker, &after.name, b"while it is gone").await;
    sending.wait_in_step(taker.ip).await;
    assert!(taker.connections() > heard);
    for id in &ids {
        assert!(!taker.talk(&id.name).is_empty(), "{id} is sent again");
    }
}

/// The change was passed over, since its file was called otherwise already, and the sender that knew it is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rename_from_before_the_start_brings_the_whole_file() {
    let mut sending = Sending::start().await;
    let old = sending.appender(b"old content").await;
    let renamed = sending.rename(&old.name).await;
    let taker = Taker::start(fresh(), Kind::Fdfs).await;
    taker.put(&old.name, b"not renewed");
    sending.joined(&taker);
    sending.node.stop().await;
    sending.node.start_again().await;
    wait_file(&taker, &renamed.name, b"old content").await;
    sending.wait_in_step(taker.ip).await;
    assert_eq!(taker.held(&old.name), None);
}
