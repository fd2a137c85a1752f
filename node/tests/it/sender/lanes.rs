//! Connections: what each kind of member gets, how much at once, and what goes over the connection that reports.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use protocol::FileId;

use crate::address::fresh;
use crate::sending::{Sending, wait};
use crate::taker::{Do, Held, Kind, OK, Push, Taker};

const FILES: usize = 40;

/// Answers after a moment, as over a network.
fn slowly(push: &Push) -> Do {
    if push.at.elapsed() < Duration::from_millis(5) { Do::Hold } else { Do::Apply }
}

async fn upload(sending: &Sending, count: usize) -> Vec<FileId> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(sending.node.upload(format!("file {number}").as_bytes(), "txt").await);
    }
    ids
}

/// A backlog of files and a link meets a member; gives it when it has all, and the link.
async fn catch_up(kind: Kind) -> (Taker, FileId, Vec<FileId>) {
    let sending = Sending::start().await;
    let ids = upload(&sending, FILES).await;
    let link = sending.link(&ids[0]).await;
    let taker = Taker::start(fresh(), kind).await;
    taker.script(slowly);
    sending.joined(&taker);
    wait(|| taker.files().len() == FILES + 1, || format!("{:?}", taker.files())).await;
    for (number, id) in ids.iter().enumerate() {
        assert!(taker.has(&id.name, format!("file {number}").as_bytes()), "{id}");
    }
    sending.wait_in_step(taker.ip).await;
    assert_eq!(taker.named(), [0], "one connection says whose it is, the first");
    (taker, link, ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_fastdfs_gets_one_request_at_a_time_and_files_for_links() {
    let (taker, link, _) = catch_up(Kind::FastDfs).await;
    assert_eq!(taker.most_in_flight(), 1);
    assert!(taker.connections() > 1);
    assert_eq!(taker.held(&link.name), Some(Held::File(b"file 0".to_vec())));
    let commands: BTreeSet<u8> = taker.pushes().iter().map(|push| push.command).collect();
    assert_eq!(commands, BTreeSet::from([16]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_fdfs_gets_many_requests_at_once_and_links() {
    let (taker, link, ids) = catch_up(Kind::Fdfs).await;
    assert!(taker.most_in_flight() > 1, "{}", taker.most_in_flight());
    assert_eq!(taker.held(&link.name), Some(Held::Link(ids[0].name.to_string())));
    assert_eq!(taker.talk(&link.name), [(19, OK)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reported_has_all_that_is_older_before_it() {
    for kind in [Kind::FastDfs, Kind::Fdfs] {
        let mut sending = Sending::start_with("sync_max_threads = 4").await;
        let ids = upload(&sending, FILES).await;
        // A second for every record, and one that is as old as its forerunner.
        sending
            .rewrite(|lines| {
                let times = (0..).map(|number| 1_795_000_000 + number - i64::from(number == 7));
                let lines = lines.iter().zip(times);
                lines.map(|(line, time)| format!("{time}{}", &line[line.find(' ').unwrap()..])).collect()
            })
            .await;
        let taker = Taker::start(fresh(), kind).await;
        let held = [ids[0].name.to_string(), ids[20].name.to_string()];
        let release = Arc::new(AtomicBool::new(false));
        let released = Arc::clone(&release);
        taker.script(move |push| match held.contains(&push.name) && !released.load(Ordering::Relaxed) {
            true => Do::Hold,
            false => slowly(push),
        });
        sending.joined(&taker);
        sending.node.start_again().await;
        // Those behind the second file that waits have gone over other connections.
        let some = if kind == Kind::FastDfs { FILES - 2 } else { 10 };
        wait(|| taker.files().len() >= some, || format!("{:?}", taker.files())).await;
        release.store(true, Ordering::Relaxed);
        wait(|| taker.files().len() == FILES, || format!("{:?}", taker.files())).await;

        let (answers, pushes) = (taker.answers(), taker.pushes());
        let times: Vec<i32> = pushes.iter().map(|push| push.time).collect();
        let [reporting] = taker.named()[..] else { panic!("{:?}", taker.named()) };
        let reporting = pushes.iter().filter(|push| push.connection == reporting);
        let mut seen = 0;
        for push in reporting {
            seen += 1;
            for older in times.iter().filter(|time| **time < push.time) {
                let before = answers.iter().any(|answer| answer.time == *older && answer.at <= push.at);
                assert!(before, "{kind:?}: {} came before {older} was there", push.time);
            }
        }
        assert!((1..FILES).contains(&seen), "{kind:?}: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_may_take_longer_than_the_timeout() {
    let sending = Sending::start_with("network_timeout = 2").await;
    let taker = Taker::start(fresh(), Kind::FastDfs).await;
    taker.slow_down(Duration::from_millis(150));
    sending.joined(&taker);
    let content: Vec<u8> = (0_u8..=250).cycle().take(24 << 20).collect();
    let start = Instant::now();
    let id = sending.node.upload(&content, "bin").await;
    wait(|| taker.has(&id.name, &content), || format!("{:?}", taker.talk(&id.name))).await;
    assert!(start.elapsed() > Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(taker.talk(&id.name), [(16, OK)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_busy_is_not_asked_whether_it_lives_and_one_that_hangs_is_left() {
    let sending = Sending::start_with("network_timeout = 4").await;
    let taker = Taker::start(fresh(), Kind::FastDfs).await;
    sending.joined(&taker);
    sending.wait_in_step(taker.ip).await;
    // Twice the time after which idle connections are asked.
    taker.script(|push| if push.at.elapsed() < Duration::from_secs(2) { Do::Hold } else { Do::Apply });
    let busy = sending.node.upload(b"busy", "txt").await;
    wait(|| taker.talk(&busy.name) == [(16, OK)], || format!("{:?}", taker.talk(&busy.name))).await;
    assert_eq!(taker.most_in_flight(), 1);
    assert_eq!(taker.named().len(), 1);

    taker.script(|_| Do::Hold);
    let hung = sending.node.upload(b"hung", "txt").await;
    wait(|| taker.named().len() == 2, || format!("{:?}", taker.named())).await;
    taker.script(|_| Do::Apply);
    wait(|| taker.has(&hung.name, b"hung"), || format!("{:?}", taker.talk(&hung.name))).await;
}
