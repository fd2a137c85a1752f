//! Every record and every answer: what is sent, and what follows.

use std::collections::VecDeque;
use std::fs;
use std::sync::Mutex;

use protocol::storage::MetadataMode;
use protocol::{FileId, LogicName};

use crate::address::fresh;
use crate::sending::{Sending, wait, wait_file, wait_talk};
use crate::taker::{Do, Held, INVALID, Kind, MISSING, OK, PRESENT, Taker};

const BROKEN: u8 = 5;

/// A node and a member that has all it has.
async fn pair(kind: Kind) -> (Sending, Taker) {
    let sending = Sending::start().await;
    let taker = Taker::start(fresh(), kind).await;
    sending.joined(&taker);
    sending.wait_in_step(taker.ip).await;
    (sending, taker)
}

/// What is done with the next requests; after them everything takes effect.
fn next(taker: &Taker, todo: &[Do]) {
    let queue = Mutex::new(VecDeque::from(todo.to_vec()));
    taker.script(move |_| queue.lock().expect("no script panics").pop_front().unwrap_or(Do::Apply));
}

/// All is dealt with, and nothing was set aside.
async fn assert_in_step(sending: &Sending, taker: &Taker) {
    sending.wait_in_step(taker.ip).await;
    assert_eq!(sending.dead_letters(taker.ip), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_files() {
    let (sending, taker) = pair(Kind::FastDfs).await;
    let check = async |todo: &[Do], content: &[u8], expected: &[(u8, u8)]| {
        next(&taker, todo);
        let id = sending.node.upload(content, "txt").await;
        wait_talk(&taker, &id.name, expected).await;
        let pushes = taker.pushes();
        pushes.into_iter().rev().find(|push| push.name == id.name.as_str()).unwrap()
    };
    check(&[], b"new", &[(16, OK)]).await;
    check(&[Do::Answer(PRESENT)], b"had", &[(16, PRESENT)]).await;
    let last = check(&[Do::Size(5)], b"had 2", &[(22, OK), (16, PRESENT)]).await;
    assert_eq!((last.status, last.numbers, last.content.len()), (PRESENT, vec![5], 0));
    let last = check(&[Do::Size(99)], b"another", &[(22, OK), (18, OK)]).await;
    assert_eq!((last.status, &last.content[..]), (OK, &b"another"[..]));
    check(&[Do::Answer(PRESENT)], b"asked no more", &[(16, PRESENT)]).await;
    check(&[Do::Answer(MISSING)], b"not had", &[(22, MISSING), (16, OK)]).await;
    check(&[Do::Answer(PRESENT)], b"had", &[(16, PRESENT)]).await;
    check(&[Do::Answer(BROKEN)], b"refused once", &[(22, BROKEN), (22, MISSING), (16, OK)]).await;
    check(&[Do::Answer(INVALID)], b"refused once", &[(16, INVALID), (22, MISSING), (16, OK)]).await;
    assert_in_step(&sending, &taker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_and_deletes() {
    let (sending, taker) = pair(Kind::FastDfs).await;
    let id = sending.node.upload(b"a file", "txt").await;
    let metadata = LogicName::parse(&format!("{}-m", id.name)).unwrap();
    let set = async |value: &str| sending.metadata(&id, MetadataMode::Overwrite, value).await;
    set("one").await;
    wait_talk(&taker, &metadata, &[(16, OK)]).await;
    wait_file(&taker, &metadata, b"key\x02one").await;
    set("two").await;
    wait_talk(&taker, &metadata, &[(16, OK), (18, OK)]).await;
    wait_file(&taker, &metadata, b"key\x02two").await;
    next(&taker, &[Do::Answer(PRESENT)]);
    set("three").await;
    wait_talk(&taker, &metadata, &[(16, OK), (18, OK), (18, PRESENT)]).await;

    next(&taker, &[]);
    sending.delete(&id).await;
    wait_talk(&taker, &id.name, &[(16, OK), (17, OK)]).await;
    wait(|| taker.files().is_empty(), || format!("{:?}", taker.files())).await;
    let other = sending.node.upload(b"another", "txt").await;
    wait_talk(&taker, &other.name, &[(16, OK)]).await;
    next(&taker, &[Do::Answer(MISSING)]);
    sending.delete(&other).await;
    wait_talk(&taker, &other.name, &[(16, OK), (17, MISSING)]).await;
    assert_in_step(&sending, &taker).await;
}

/// A new appender that the member has.
async fn appender(sending: &Sending, taker: &Taker, content: &[u8]) -> FileId {
    next(taker, &[]);
    let id = sending.appender(content).await;
    wait_talk(taker, &id.name, &[(16, OK)]).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts() {
    let (sending, taker) = pair(Kind::FastDfs).await;
    let check = async |command: u8, todo: &[Do], expected: &[(u8, u8)]| {
        let id = appender(&sending, &taker, b"0123456789").await;
        next(&taker, todo);
        let content = if command == 25 {
            sending.append(&id.name, b"abc").await;
            b"0123456789abc"
        } else {
            sending.modify(&id.name, 8, b"vwxyz").await;
            b"01234567vwxyz"
        };
        let expected: Vec<_> = [(16, OK)].into_iter().chain(expected.iter().copied()).collect();
        wait_talk(&taker, &id.name, &expected).await;
        if expected[1].1 != PRESENT {
            wait_file(&taker, &id.name, content).await;
        }
    };
    for command in [25, 35] {
        check(command, &[], &[(command, OK)]).await;
        check(command, &[Do::Answer(PRESENT)], &[(command, PRESENT)]).await;
        check(command, &[Do::Answer(MISSING)], &[(command, MISSING), (18, OK)]).await;
        check(command, &[Do::Answer(INVALID)], &[(command, INVALID), (18, OK)]).await;
    }
    assert_in_step(&sending, &taker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncates() {
    let (sending, taker) = pair(Kind::FastDfs).await;
    let check = async |todo: &[Do], expected: &[(u8, u8)]| {
        let id = appender(&sending, &taker, b"0123456789").await;
        next(&taker, todo);
        sending.truncate(&id.name, 4).await;
        let expected: Vec<_> = [(16, OK)].into_iter().chain(expected.iter().copied()).collect();
        wait_talk(&taker, &id.name, &expected).await;
        wait_file(&taker, &id.name, b"0123").await;
    };
    check(&[], &[(37, OK), (22, OK)]).await;
    check(&[Do::Answer(PRESENT)], &[(37, PRESENT), (22, OK), (18, OK)]).await;
    check(&[Do::Answer(MISSING)], &[(37, MISSING), (18, OK)]).await;
    check(&[Do::Apply, Do::Answer(MISSING)], &[(37, OK), (22, MISSING), (18, OK)]).await;
    assert_in_step(&sending, &taker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renames() {
    let (sending, taker) = pair(Kind::FastDfs).await;
    let check = async |todo: &[Do], expected: &[(u8, u8)], old: u8| {
        let id = appender(&sending, &taker, b"0123456789").await;
        next(&taker, todo);
        let renamed = sending.rename(&id.name).await;
        wait_talk(&taker, &renamed.name, expected).await;
        wait_file(&taker, &renamed.name, b"0123456789").await;
        wait_talk(&taker, &id.name, &[(16, OK), (17, old)]).await;
    };
    check(&[], &[(40, OK), (22, OK)], MISSING).await;
    check(&[Do::Answer(MISSING)], &[(40, MISSING), (16, OK)], OK).await;
    let is_not_there = [Do::Answer(PRESENT), Do::Answer(MISSING)];
    check(&is_not_there, &[(40, PRESENT), (22, MISSING), (18, OK)], OK).await;
    check(&[Do::Answer(INVALID)], &[(40, INVALID), (18, OK)], OK).await;
    assert_in_step(&sending, &taker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links() {
    let (sending, taker) = pair(Kind::Fdfs).await;
    let id = sending.node.upload(b"a file", "txt").await;
    wait_talk(&taker, &id.name, &[(16, OK)]).await;
    let check = async |todo: &[Do], expected: &[(u8, u8)]| {
        next(&taker, todo);
        let link = sending.link(&id).await;
        wait_talk(&taker, &link.name, expected).await;
        taker.held(&link.name)
    };
    assert_eq!(check(&[], &[(19, OK)]).await, Some(Held::Link(id.name.to_string())));
    let copied = Some(Held::File(b"a file".to_vec()));
    assert_eq!(check(&[Do::Answer(MISSING)], &[(19, MISSING), (18, OK)]).await, copied);
    assert_eq!(check(&[Do::Answer(PRESENT)], &[(19, PRESENT), (18, OK)]).await, copied);
    assert_in_step(&sending, &taker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_here_any_more_is_passed_over() {
    let mut sending = Sending::start().await;
    let mut names = Vec::new();
    for number in 0..7 {
        let id = sending.appender(format!("file {number}").as_bytes()).await;
        sending.delete(&id).await;
        names.push(id.name);
    }
    let last = sending.node.upload(b"the last", "txt").await;
    let [create, update, append, modify, truncate, link, rename] = &names[..] else { panic!("{names:?}") };
    sending
        .rewrite(|lines| {
            let lost = [
                format!("C {create}"),
                format!("U {update}"),
                format!("A {append} 6 10"),
                format!("M {modify} 0 3"),
                format!("T {truncate} 6 3"),
                format!("L {link} {create}"),
                format!("R {rename} {create}"),
            ];
            let lost = lost.iter().map(|record| format!("1795000000 {record}"));
            lost.chain(lines.last().cloned()).collect()
        })
        .await;
    let taker = Taker::start(fresh(), Kind::Fdfs).await;
    sending.joined(&taker);
    sending.node.start_again().await;
    wait_file(&taker, &last.name, b"the last").await;
    assert_in_step(&sending, &taker).await;
    let told: Vec<_> = taker.answers().into_iter().map(|answer| (answer.command, answer.name)).collect();
    // The old name of a rename whose file is gone is gone as well.
    let expected = [(16, last.name.to_string()), (17, create.to_string())];
    let mut sorted = told.clone();
    sorted.sort();
    assert_eq!(sorted, expected);
    assert!(sending.mark(taker.ip).contains("scan_row_count=8\n"), "{}", sending.mark(taker.ip));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_in_use_again_and_a_file_that_was_cut_are_sent_whole() {
    let mut sending = Sending::start().await;
    let again = sending.node.upload(b"here again", "txt").await;
    let cut = sending.appender(b"0123456789").await;
    sending.append(&cut.name, b"abcde").await;
    sending.truncate(&cut.name, 3).await;
    let moved = sending.appender(b"on its way").await;
    let renamed = sending.rename(&moved.name).await;
    sending.delete(&renamed).await;
    let deleted = format!("1795000000 D {}", again.name);
    sending.rewrite(|lines| lines.into_iter().chain([deleted]).collect()).await;
    assert_eq!(fs::read(sending.node.path(&again)).unwrap(), b"here again");

    let taker = Taker::start(fresh(), Kind::FastDfs).await;
    taker.put(&again.name, b"what was deleted");
    sending.joined(&taker);
    sending.node.start_again().await;
    assert_in_step(&sending, &taker).await;
    assert_eq!(taker.talk(&again.name), [(16, OK), (18, OK)]);
    assert!(taker.has(&again.name, b"here again"));
    assert_eq!(taker.talk(&cut.name), [(16, OK), (18, OK), (37, PRESENT), (22, OK)]);
    assert!(taker.has(&cut.name, b"012"));
    assert_eq!(taker.talk(&moved.name), [(17, MISSING)]);
    assert_eq!(taker.talk(&renamed.name), [(17, MISSING)]);
}
