//! New members, and members that stall.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use protocol::FileId;
use protocol::cluster::StorageStatus as S;

use crate::address::fresh;
use crate::noting::PATIENCE;
use crate::sending::{Sending, wait, wait_file};
use crate::taker::{Do, Held, Kind, MISSING, OK, Taker};

const UNTIL: i64 = 1_795_000_000;

/// Files whose records have these letters and times.
async fn with_records(records: &[(&str, i64)]) -> (Sending, Vec<FileId>) {
    // A connection for each: nothing waits behind another.
    let mut sending = Sending::start_with("sync_max_threads = 8").await;
    let mut ids = Vec::new();
    for (letter, time) in records {
        ids.push(sending.node.upload(format!("{letter} {time}").as_bytes(), "txt").await);
    }
    let names: Vec<_> = ids.iter().map(|id| id.name.clone()).collect();
    let lines = records.iter().zip(&names).map(|((letter, time), name)| format!("{time} {letter} {name}"));
    let lines = lines.collect();
    sending.rewrite(|_| lines).await;
    (sending, ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_member_is_filled_and_said_to_be_whole_when_it_is() {
    for kind in [Kind::FastDfs, Kind::Fdfs] {
        let records = [
            ("c", UNTIL - 9),
            ("C", UNTIL - 8),
            ("c", UNTIL),
            ("c", UNTIL + 1),
            ("C", UNTIL + 2),
            ("u", UNTIL - 7),
        ];
        let (mut sending, ids) = with_records(&records).await;
        let taker = Taker::start(fresh(), kind).await;
        let release = Arc::new(AtomicBool::new(false));
        let (released, held) = (Arc::clone(&release), ids[2].name.to_string());
        taker.script(move |push| {
            let holds = push.name == held && push.command != 22 && !released.load(Ordering::Relaxed);
            if holds { Do::Hold } else { Do::Apply }
        });
        sending.fed_by(sending.node.ip, UNTIL);
        sending.members(&[(taker.ip, S::WAIT_SYNC)]);
        sending.node.start_again().await;
        wait(|| sending.reported() == [S::SYNCING], || format!("{:?}", sending.reported())).await;
        // A new file comes in the middle, and arrives.
        let new = sending.node.upload(b"new", "txt").await;
        wait(|| taker.files().len() == 5, || format!("{:?}", taker.files())).await;
        assert_eq!(sending.reported(), [S::SYNCING], "one file is not there");
        let mark = sending.mark(taker.ip);
        assert!(
            mark.contains(&format!("need_sync_old=1\nsync_old_done=0\nuntil_timestamp={UNTIL}\n")),
            "{mark}"
        );

        release.store(true, Ordering::Relaxed);
        wait(|| sending.reported() == [S::SYNCING, S::OFFLINE], || format!("{:?}", sending.reported())).await;
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(taker.held(&id.name).is_some(), at != 3, "{kind:?} {:?}", records[at]);
        }
        assert_eq!(taker.talk(&ids[5].name).last(), Some(&(18, OK)));
        assert!(taker.has(&new.name, b"new"));
        wait(|| sending.mark(taker.ip).contains("sync_old_done=1\n"), || sending.mark(taker.ip)).await;

        // It is in service, and gets what comes.
        sending.joined(&taker);
        let last = sending.node.upload(b"last", "txt").await;
        wait_file(&taker, &last.name, b"last").await;
        assert_eq!(sending.reported(), [S::SYNCING, S::OFFLINE]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_did_goes_to_a_new_member_as_it_is_now() {
    let mut sending = Sending::start().await;
    let appender = sending.appender(b"0123456789").await;
    sending.append(&appender.name, b"abc").await;
    let moved = sending.appender(b"moved").await;
    let renamed = sending.rename(&moved.name).await;
    let gone = sending.node.upload(b"gone", "txt").await;
    sending.delete(&gone).await;
    let link = sending.link(&appender).await;
    // As if all of it had come from another member.
    sending
        .rewrite(|lines| {
            let is_letter = |at: usize, line: &str| line.find(' ').is_some_and(|space| space + 1 == at);
            let lower = |line: &String| {
                let letters = line.char_indices();
                let letters =
                    letters.map(|(at, c)| if is_letter(at, line) { c.to_ascii_lowercase() } else { c });
                letters.collect()
            };
            lines.iter().map(lower).collect()
        })
        .await;
    assert!(sending.node.binlog().contains(&format!(" r {} {}\n", renamed.name, moved.name)));
    let taker = Taker::start(fresh(), Kind::Fdfs).await;
    sending.fed_by(sending.node.ip, i64::MAX);
    sending.members(&[(taker.ip, S::WAIT_SYNC)]);
    sending.node.start_again().await;
    wait(|| sending.reported() == [S::SYNCING, S::OFFLINE], || format!("{:?}", sending.reported())).await;
    let content = b"0123456789abc";
    assert!(taker.has(&appender.name, content) && taker.has(&renamed.name, b"moved"));
    assert_eq!(taker.held(&link.name), Some(Held::Link(appender.name.to_string())));
    assert_eq!(taker.files().len(), 3);
    let talk = |id: &FileId| taker.talk(&id.name);
    assert_eq!(talk(&appender), [(22, MISSING), (16, OK)], "its parts are in the copy");
    assert_eq!(talk(&renamed).last(), Some(&(16, OK)));
    assert_eq!(talk(&gone), [(17, MISSING)]);
    assert_eq!(talk(&moved), [(17, MISSING)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filling_that_was_broken_off_goes_on() {
    let (mut sending, ids) = with_records(&[("c", UNTIL - 9), ("C", UNTIL - 8), ("c", UNTIL)]).await;
    let taker = Taker::start(fresh(), Kind::Fdfs).await;
    let held = ids[2].name.to_string();
    taker.script(move |push| if push.name == held && push.command != 22 { Do::Hold } else { Do::Apply });
    sending.fed_by(sending.node.ip, UNTIL);
    sending.members(&[(taker.ip, S::WAIT_SYNC)]);
    sending.node.start_again().await;
    wait(|| taker.files().len() == 2, || format!("{:?}", taker.files())).await;
    sending.node.stop().await;
    taker.script(|_| Do::Apply);
    sending.members(&[(taker.ip, S::SYNCING)]);
    sending.node.start_again().await;
    wait(|| sending.reported() == [S::SYNCING, S::OFFLINE], || format!("{:?}", sending.reported())).await;
    assert_eq!(taker.files().len(), 3);
}

/// Trackers that were away while a member was filled have it as waiting; for them, a copy ends after it has begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_that_missed_a_filling_hears_its_beginning_and_its_end() {
    let (mut sending, _) = with_records(&[("c", UNTIL - 9)]).await;
    let taker = Taker::start(fresh(), Kind::Fdfs).await;
    sending.fed_by(sending.node.ip, UNTIL);
    sending.members(&[(taker.ip, S::WAIT_SYNC)]);
    sending.node.start_again().await;
    let both = [S::SYNCING, S::OFFLINE];
    wait(|| sending.reported() == both, || format!("{:?}", sending.reported())).await;
    let sent = taker.pushes().len();
    // The list of a leader that missed it.
    sending.members(&[(taker.ip, S::WAIT_SYNC)]);
    wait(|| sending.reported() == [both, both].concat(), || format!("{:?}", sending.reported())).await;
    assert_eq!(taker.pushes().len(), sent, "nothing is copied again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_another_fills_gets_own_files_from_the_agreed_time_on() {
    let records =
        [("C", UNTIL - 400), ("c", UNTIL - 200), ("C", UNTIL - 299), ("C", UNTIL + 1), ("c", UNTIL + 2)];
    let (mut sending, ids) = with_records(&records).await;
    let taker = Taker::start(fresh(), Kind::Fdfs).await;
    let source = fresh();
    sending.fed_by(source, UNTIL);
    let members = |status| [(taker.ip, status), (source, S::OFFLINE)];
    sending.members(&members(S::WAIT_SYNC));
    sending.node.start_again().await;
    let begins = || sending.mark(taker.ip).contains(&format!("until_timestamp={UNTIL}\n"));
    wait(begins, || sending.mark(taker.ip)).await;
    let before = sending.notes.count(protocol::Command::STORAGE_BEAT);
    sending.members(&members(S::SYNCING));
    // Lists that say so have come.
    sending.notes.wait(protocol::Command::STORAGE_BEAT, before + 2).await;
    assert_eq!(taker.connections(), 0, "its source is another");

    sending.members(&members(S::ACTIVE));
    sending.wait_in_step(taker.ip).await;
    for (at, id) in ids.iter().enumerate() {
        assert_eq!(taker.held(&id.name).is_some(), at == 2 || at == 3, "{:?}", records[at]);
    }
    assert!(sending.reported().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_hangs_holds_up_nobody_else() {
    for kind in [Kind::FastDfs, Kind::Fdfs] {
        let sending = Sending::start().await;
        let hung = Taker::start(fresh(), kind).await;
        hung.script(|_| Do::Hold);
        let dead: IpAddr = fresh();
        let good = Taker::start(fresh(), kind).await;
        sending.members(&[(hung.ip, S::ACTIVE), (good.ip, S::ACTIVE), (dead, S::ACTIVE)]);
        sending.wait_in_step(good.ip).await;
        let (mut slowest_upload, mut slowest_arrival) = (Duration::ZERO, Duration::ZERO);
        for number in 0..100 {
            let content = format!("file {number}");
            let start = Instant::now();
            let id = sending.node.upload(content.as_bytes(), "txt").await;
            slowest_upload = slowest_upload.max(start.elapsed());
            wait_file(&good, &id.name, content.as_bytes()).await;
            slowest_arrival = slowest_arrival.max(start.elapsed());
        }
        assert!(!hung.pushes().is_empty() && hung.files().is_empty());
        assert!(slowest_upload < Duration::from_secs(1), "{slowest_upload:?}");
        assert!(slowest_arrival < Duration::from_secs(2), "{slowest_arrival:?}");
        sending.wait_in_step(good.ip).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_an_outdated_list_took_out_of_service_gets_its_files() {
    let sending = Sending::start().await;
    let taker = Taker::start(fresh(), Kind::Fdfs).await;
    sending.members(&[(taker.ip, S::OFFLINE)]);
    let known = format!("\"destination\":\"{}\"", taker.ip);
    let start = Instant::now();
    while !sending.node.http("GET /v1/replication HTTP/1.0\r\n\r\n").await.contains(&known) {
        assert!(start.elapsed() < PATIENCE, "the peer is not known");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The list was not the last word, but nothing has changed since.
    sending.members_when_asked(&[(taker.ip, S::ACTIVE)]);
    let new = sending.node.upload(b"new", "txt").await;
    wait_file(&taker, &new.name, b"new").await;
}
