//! Whole files: 16, 18 and 17.

use std::fs;

use super::{
    APPENDER, INVALID, MISSING, Member, NORMAL, OK, OTHER, PRESENT, TIME, TRUNK, delete, file, known, number,
};
use crate::address::fresh;
use crate::running::{Running, plain_cluster};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_has_its_source_s_content_and_time() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    assert_eq!(member.ask(&file(16, NORMAL, TIME, b"from another\n")).await, OK);
    assert_eq!(member.content(NORMAL), b"from another\n");
    assert_eq!(member.time(NORMAL), i64::from(TIME));
    member.logged(&[format!("{TIME} c {NORMAL}")]);
    let id = protocol::FileId::parse(&format!("group1/{NORMAL}")).unwrap();
    assert_eq!(node.client().download_bytes(node.address, &id, 100).await.unwrap(), "from another\n");

    // Sent again after its answer was lost, with another time even.
    assert_eq!(member.ask(&file(16, NORMAL, TIME + 1, b"other content")).await, PRESENT);
    assert_eq!(member.content(NORMAL), b"from another\n", "of one size means it is there");
    assert_eq!(member.time(NORMAL), i64::from(TIME));
    member.logged(&[format!("{} c {NORMAL}", TIME + 1)]);

    // And without content, by a sender that asked for the size first.
    assert_eq!(member.ask(&known(16, NORMAL, TIME, 13)).await, PRESENT);
    assert_eq!(member.ask(&known(18, NORMAL, TIME, 13)).await, PRESENT);
    assert_eq!(member.content(NORMAL), b"from another\n");
    member.logged(&[format!("{TIME} c {NORMAL}"), format!("{TIME} u {NORMAL}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_another_size_is_replaced_by_a_create_and_any_by_an_update() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    for (command, content, time) in
        [(16, "one", 1), (16, "longer", 2), (18, "LONGER", 3), (18, "", 4), (16, "x", 5)]
    {
        assert_eq!(
            member.ask(&file(command, NORMAL, TIME + time, content.as_bytes())).await,
            OK,
            "{content}"
        );
        assert_eq!(member.content(NORMAL), content.as_bytes());
        assert_eq!(member.time(NORMAL), i64::from(TIME + time));
        let letter = if command == 16 { 'c' } else { 'u' };
        member.logged(&[format!("{} {letter} {NORMAL}", TIME + time)]);
    }
    // An update makes files, too.
    assert_eq!(member.ask(&file(18, OTHER, TIME, b"new")).await, OK);
    assert_eq!(member.content(OTHER), b"new");
    member.logged(&[format!("{TIME} u {OTHER}")]);
    node.wait_for_temporaries(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_in_the_way_is_replaced_not_followed() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    for (command, content) in [(16, b"four"), (18, b"FOUR")] {
        assert_eq!(member.ask(&file(18, OTHER, TIME, b"four")).await, OK);
        let _ = fs::remove_file(member.path(NORMAL));
        std::os::unix::fs::symlink(member.path(OTHER), member.path(NORMAL)).unwrap();
        assert_eq!(member.ask(&file(command, NORMAL, TIME, content)).await, OK, "{command}");
        assert!(fs::symlink_metadata(member.path(NORMAL)).unwrap().is_file());
        assert_eq!((member.content(NORMAL), member.content(OTHER)), (content.to_vec(), b"four".to_vec()));
    }
}

/// Longer than what is stored in one job, and not a whole number of pieces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_stream() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    let mut content = vec![0; (5 << 20) + 4321];
    fastrand::Rng::with_seed(3).fill(&mut content);
    let mut expected = Vec::new();
    for (command, status) in [(16, OK), (16, PRESENT), (18, OK)] {
        assert_eq!(member.ask(&file(command, APPENDER, TIME, &content)).await, status, "{command}");
        let letter = if command == 16 { 'c' } else { 'u' };
        expected.push(format!("{TIME} {letter} {APPENDER}"));
    }
    member.logged(&expected);
    assert!(member.content(APPENDER) == content);
    assert_eq!(member.time(APPENDER), i64::from(TIME));
    node.wait_for_temporaries(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletes_of_what_is_there_and_of_what_is_not() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    let metadata = format!("{NORMAL}-m");
    for name in [NORMAL, &metadata] {
        assert_eq!(member.ask(&file(16, name, TIME, b"k\x02v")).await, OK);
    }
    std::os::unix::fs::symlink(member.path(NORMAL), member.path(OTHER)).unwrap();
    member.logged(&[format!("{TIME} c {NORMAL}"), format!("{TIME} c {metadata}")]);

    assert_eq!(member.ask(&delete(OTHER, TIME + 1)).await, OK);
    assert!(member.exists(NORMAL) && !member.exists(OTHER), "the link goes, its file stays");
    // The metadata has a record of its own.
    assert_eq!(member.ask(&delete(NORMAL, TIME + 2)).await, OK);
    assert!(member.exists(&metadata) && !member.exists(NORMAL));
    assert_eq!(member.ask(&delete(&metadata, TIME + 3)).await, OK);
    assert!(!member.exists(&metadata));
    member.logged(&[
        format!("{} d {OTHER}", TIME + 1),
        format!("{} d {NORMAL}", TIME + 2),
        format!("{} d {metadata}", TIME + 3),
    ]);
    for name in [OTHER, NORMAL, &metadata] {
        assert_eq!(member.ask(&delete(name, TIME + 4)).await, MISSING, "{name}");
    }
    member.logged(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_only_the_source_has_is_made() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    let far = NORMAL.replace("M00/00/00/", "M00/FE/DC/");
    assert_eq!(member.ask(&file(16, &far, TIME, b"far")).await, OK);
    assert_eq!(member.content(&far), b"far");
    member.logged(&[format!("{TIME} c {far}")]);
}

/// A pusher that got `EEXIST` asks for the size of the next file before it sends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_size_can_be_asked_for_first() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    let mut query = crate::wire::whole(22, &[&super::group()[..], NORMAL.as_bytes()].concat());
    query[9] = 1;
    assert_eq!(member.ask(&query).await, MISSING);
    assert_eq!(member.ask(&file(16, NORMAL, TIME, b"seven b")).await, OK);
    member.wire.send(&query).await;
    let crate::wire::Heard::Frame(frame) = member.wire.hear(super::PATIENCE).await else {
        panic!("no answer")
    };
    assert_eq!(
        (frame[9], &frame[10..18], &frame[18..26]),
        (0, &number(7)[..], &i64::from(TIME).to_be_bytes()[..])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_sent_ahead_are_answered_in_order_and_take_effect_in_order() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    let big = vec![b'b'; 1 << 20];
    let ahead = [
        file(16, NORMAL, TIME, b"one"),
        file(16, NORMAL, TIME, b"two"),
        delete(NORMAL, TIME),
        crate::wire::whole(111, b"no body is right"),
        file(16, APPENDER, TIME, &big),
        delete(NORMAL, TIME),
        file(16, APPENDER, TIME, &big),
        file(18, OTHER, TIME, b"three"),
        crate::wire::whole(82, b""),
    ];
    member.wire.send(&ahead.concat()).await;
    for expected in [OK, PRESENT, OK, INVALID, OK, MISSING, PRESENT, OK] {
        assert_eq!(member.answer().await, expected);
    }
    assert_eq!(member.wire.hear(super::PATIENCE).await, crate::wire::Heard::Closed);
    let line = |letter: char, name: &str| format!("{TIME} {letter} {name}");
    member.logged(&[
        line('c', NORMAL),
        line('c', NORMAL),
        line('d', NORMAL),
        line('c', APPENDER),
        line('c', APPENDER),
        line('u', OTHER),
    ]);
    assert_eq!(member.content(OTHER), b"three");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_our_kind_is_told_so() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut wire = crate::wire::Wire::open(node.address).await;
    let mut hello = crate::wire::whole(9, b"127.0.0.9\0\0\0\0\0\0\0");
    hello[9] = 1;
    wire.send(&hello).await;
    let expected = [&[0, 0, 0, 0, 0, 0, 0, 8, 100, 0][..], b"fdfs\0\0\0\x01"].concat();
    assert_eq!(wire.hear(super::PATIENCE).await, crate::wire::Heard::Frame(expected));
    // Nobody is not a member.
    let mut member = Member::of(&node).await;
    assert_eq!(member.ask(&crate::wire::whole(9, &[0; 16])).await, INVALID);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_fsync_nothing_else_happens() {
    let node = Running::start(fresh(), plain_cluster(), "durability = fsync").await;
    let mut member = Member::of(&node).await;
    let far = NORMAL.replace("M00/00/00/", "M00/AB/CD/");
    for (command, name) in [(16, NORMAL), (18, NORMAL), (16, &far)] {
        assert_eq!(member.ask(&file(command, name, TIME, b"synced")).await, OK);
        assert_eq!(member.content(name), b"synced");
    }
    assert_eq!(member.ask(&delete(NORMAL, TIME)).await, OK);
    let line = |letter: char, name: &str| format!("{TIME} {letter} {name}");
    member.logged(&[line('c', NORMAL), line('u', NORMAL), line('c', &far), line('d', NORMAL)]);
}

/// Two members send on one connection each, so a delete may overtake the file that it is meant for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_does_not_come_back() {
    let mut node = Running::start(fresh(), plain_cluster(), "").await;
    let large = vec![b'x'; 1 << 20];
    const OTHER_TOO: &str = "M00/00/00/Ck0AC2sDXE6AbfDaAAAABjY6MCA017.txt";
    let slave = NORMAL.replace("977.", "977_small.");
    for restart in [false, true] {
        if restart {
            node.stop().await;
            node.start_again().await;
        }
        let mut member = Member::of(&node).await;
        for name in [NORMAL, APPENDER, TRUNK] {
            if !restart {
                assert_eq!(member.ask(&file(16, name, TIME, b"gone soon")).await, OK);
                assert_eq!(member.ask(&delete(name, TIME)).await, OK);
            }
            member.seen = node.binlog().len();
            for content in [&b"late"[..], &large] {
                for command in [16, 18] {
                    assert_eq!(member.ask(&file(command, name, TIME, content)).await, PRESENT, "{name}");
                }
            }
            assert!(!member.exists(name));
            member.logged(&[]);
        }
        // What was not here yet when it was deleted.
        assert_eq!(member.ask(&delete(OTHER, TIME)).await, MISSING);
        assert_eq!(member.ask(&file(16, OTHER, TIME, b"late")).await, PRESENT);
        assert_eq!(member.ask(&file(16, &format!("{OTHER}-m"), TIME, b"late, too")).await, PRESENT);
        assert!(!member.exists(OTHER) && !member.exists(&format!("{OTHER}-m")));
        // Metadata and slaves have names that come back.
        assert_eq!(member.ask(&file(18, OTHER_TOO, TIME, b"has metadata")).await, OK);
        for name in [&format!("{OTHER_TOO}-m"), &slave] {
            assert_eq!(member.ask(&file(16, name, TIME, b"first")).await, OK);
            assert_eq!(member.ask(&delete(name, TIME)).await, OK);
            assert_eq!(member.ask(&file(16, name, TIME, b"again")).await, OK);
            assert_eq!(member.ask(&delete(name, TIME)).await, OK);
        }
    }
}
