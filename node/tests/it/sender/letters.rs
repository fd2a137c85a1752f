//! Records that a member refuses: others pass them, and in the end they are set aside for the operator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::address::fresh;
use crate::sending::{Sending, wait, wait_file, wait_for};
use crate::taker::{Do, FULL, INVALID, Kind, OK, Taker};

/// Six tries with pauses of 1, 2, 4, 8 and 16 seconds.
const SIX_TRIES: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_record_is_passed_retried_set_aside_and_delivered_when_the_member_is_healed() {
    let mut sending = Sending::start().await;
    let refused = sending.node.upload(b"refused", "txt").await;
    let no_room = sending.node.upload(b"no room", "txt").await;
    let changed = sending.appender(b"0123456789").await;
    sending.modify(&changed.name, 0, b"X").await;
    let other = sending.node.upload(b"another", "txt").await;
    let taker = Taker::start(fresh(), Kind::FastDfs).await;
    let (bad, big) = (refused.name.to_string(), no_room.name.to_string());
    let heal = Arc::new(AtomicBool::new(false));
    let (healed, part) = (Arc::clone(&heal), changed.name.to_string());
    taker.script(move |push| match &push.name {
        name if *name == bad => Do::Answer(INVALID),
        name if *name == part && push.command != 16 && !healed.load(Ordering::Relaxed) => Do::Answer(INVALID),
        name if *name == big => Do::Answer(FULL),
        _ => Do::Apply,
    });
    sending.joined(&taker);
    wait_file(&taker, &other.name, b"another").await;
    let later = sending.node.upload(b"later", "txt").await;
    wait_file(&taker, &later.name, b"later").await;

    let letters = || sending.dead_letters(taker.ip);
    let are_two = || letters().lines().count() == 2;
    wait_for(SIX_TRIES, are_two, || format!("{:?}", taker.talk(&refused.name))).await;
    let binlog = sending.node.binlog();
    let lines: Vec<&str> = binlog.lines().collect();
    let text = letters();
    let (times, mut set_aside): (Vec<_>, Vec<_>) =
        text.lines().map(|letter| letter.split_once(' ').unwrap()).unzip();
    // Which of the two failed last is chance.
    set_aside.sort_by_key(|line| line.contains(lines[3]));
    assert_eq!(set_aside, [format!("22 {}", lines[0]), format!("22 {}", lines[3])]);
    assert!(times.iter().all(|since| since.parse::<u64>().unwrap() > 1_700_000_000));
    let talk = |name| taker.talk(name).iter().map(|(command, _)| *command).collect::<Vec<_>>();
    assert_eq!(talk(&refused.name), [16, 22, 22, 22, 22, 22]);
    // What the member has no room for is not set aside, and holds the mark.
    wait_for(SIX_TRIES, || talk(&no_room.name).len() >= 6, || format!("{:?}", talk(&no_room.name))).await;
    let first = format!("binlog_offset={}\n", lines[0].len() + 1);
    wait(|| sending.mark(taker.ip).contains(&first), || sending.mark(taker.ip)).await;
    assert!(are_two());

    let answer = sending.node.http("GET /v1/replication HTTP/1.0\r\n\r\n").await;
    let line = format!("\"status\":22,\"record\":\"{}\"", lines[0]);
    assert!(answer.contains(&line) && answer.contains("\"dead_letters\":2"), "{answer}");
    assert!(answer.contains("\"trouble\":\"the peer answers "), "{answer}");

    // What comes after a change that is missing brings the whole file.
    heal.store(true, Ordering::Relaxed);
    sending.append(&changed.name, b"abc").await;
    wait_file(&taker, &changed.name, b"X123456789abc").await;
    assert_eq!(taker.talk(&changed.name).last(), Some(&(18, OK)));

    sending.node.stop().await;
    taker.script(|_| Do::Apply);
    sending.node.start_again().await;
    wait_file(&taker, &refused.name, b"refused").await;
    wait_file(&taker, &no_room.name, b"no room").await;
    wait(|| sending.dead_letters(taker.ip).is_empty(), || sending.dead_letters(taker.ip)).await;
    sending.wait_in_step(taker.ip).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_at_which_the_member_hangs_up_rests_while_others_go_on() {
    for kind in [Kind::FastDfs, Kind::Fdfs] {
        let sending = Sending::start().await;
        let mut ids = Vec::new();
        for number in 0..10 {
            ids.push(sending.node.upload(format!("file {number}").as_bytes(), "txt").await);
        }
        let taker = Taker::start(fresh(), kind).await;
        let (bad, started) = (ids[0].name.to_string(), Instant::now());
        taker.script(move |push| match push.name == bad && started.elapsed() < Duration::from_secs(4) {
            true => Do::HangUp,
            false => Do::Apply,
        });
        sending.joined(&taker);
        wait(|| taker.files().len() >= 9, || format!("{:?}", taker.files())).await;
        assert_eq!(taker.held(&ids[0].name), None, "{:?}", started.elapsed());
        wait_file(&taker, &ids[0].name, b"file 0").await;
        sending.wait_in_step(taker.ip).await;
        assert_eq!(sending.dead_letters(taker.ip), "");
    }
}
