//! Changes of what is there: 25, 35, 37, 19 and 40, each row of their tables.

use std::fs;

use super::{
    APPENDER, INVALID, MISSING, Member, NORMAL, OK, OTHER, PRESENT, RENAMED, TIME, delete, file, pair, part,
    truncate,
};
use crate::address::fresh;
use crate::running::{Running, plain_cluster};

const LATER: i32 = TIME + 7;

/// A state of the file, the request, its answer, and the file after it.
async fn check(member: &mut Member<'_>, before: Option<&[u8]>, request: &[u8], status: u8, after: &[u8]) {
    let _ = fs::remove_file(member.path(APPENDER));
    if let Some(content) = before {
        assert_eq!(member.ask(&file(18, APPENDER, TIME, content)).await, OK);
    }
    member.seen = member.node.binlog().len();
    assert_eq!(member.ask(request).await, status, "{before:?}");
    if before.is_some() {
        assert_eq!(member.content(APPENDER), after);
        assert_eq!(member.time(APPENDER), i64::from(if status == OK { LATER } else { TIME }));
    } else {
        assert!(!member.exists(APPENDER));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    let append = part(25, APPENDER, 4, LATER, b"56");
    check(&mut member, None, &append, MISSING, b"").await;
    check(&mut member, Some(b"123"), &append, MISSING, b"123").await;
    member.logged(&[]);
    check(&mut member, Some(b"1234"), &append, OK, b"123456").await;
    member.logged(&[format!("{LATER} a {APPENDER} 4 2")]);
    check(&mut member, Some(b"1234x"), &append, MISSING, b"1234x").await;
    check(&mut member, Some(b"1234xy"), &append, PRESENT, b"1234xy").await;
    check(&mut member, Some(b"1234xyz"), &append, PRESENT, b"1234xyz").await;
    member.logged(&[]);
    // To a name that says nothing of appending, too: the source knows.
    assert_eq!(member.ask(&file(16, NORMAL, TIME, b"1")).await, OK);
    assert_eq!(member.ask(&part(25, NORMAL, 1, LATER, b"2")).await, OK);
    assert_eq!(member.content(NORMAL), b"12");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modifies() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    let modify = part(35, APPENDER, 4, LATER, b"56");
    check(&mut member, None, &modify, MISSING, b"").await;
    check(&mut member, Some(b"123"), &modify, MISSING, b"123").await;
    member.logged(&[]);
    for (before, after) in
        [("1234", "123456"), ("1234x", "123456"), ("1234xy", "123456"), ("1234xyz", "123456z")]
    {
        check(&mut member, Some(before.as_bytes()), &modify, OK, after.as_bytes()).await;
        member.logged(&[format!("{LATER} m {APPENDER} 4 2")]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncates() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    let cut = truncate(APPENDER, 4, 2, LATER);
    // Not "missing": a FastDFS member would never send anything else again.
    check(&mut member, None, &cut, PRESENT, b"").await;
    check(&mut member, Some(b"123"), &cut, PRESENT, b"123").await;
    check(&mut member, Some(b"12345"), &cut, PRESENT, b"12345").await;
    member.logged(&[]);
    check(&mut member, Some(b"1234"), &cut, OK, b"12").await;
    member.logged(&[format!("{LATER} t {APPENDER} 4 2")]);
    check(&mut member, Some(b"1234"), &truncate(APPENDER, 4, 6, LATER), OK, b"1234\0\0").await;
    member.logged(&[format!("{LATER} t {APPENDER} 4 6")]);
    let mut long = truncate(APPENDER, 6, 2, LATER);
    long.push(b'x');
    long[7] += 1;
    assert_eq!(member.ask(&long).await, INVALID, "the name ends the body");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_regular_file_is_left_alone() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    assert_eq!(member.ask(&file(16, OTHER, TIME, b"1234")).await, OK);
    std::os::unix::fs::symlink(member.path(OTHER), member.path(APPENDER)).unwrap();
    member.seen = node.binlog().len();
    for request in [
        part(25, APPENDER, 4, LATER, b"5"),
        part(35, APPENDER, 0, LATER, b"x"),
        truncate(APPENDER, 4, 0, LATER),
    ] {
        assert_eq!(member.ask(&request).await, PRESENT);
    }
    assert_eq!(member.content(OTHER), b"1234");
    fs::remove_file(member.path(APPENDER)).unwrap();
    fs::create_dir(member.path(APPENDER)).unwrap();
    for request in [part(25, APPENDER, 4, LATER, b"5"), truncate(APPENDER, 4, 0, LATER)] {
        assert_eq!(member.ask(&request).await, PRESENT);
    }
    member.logged(&[]);
}

/// The reader of a binlog line takes 127 bytes of names and numbers, and so many the source may have used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_just_fit_with_their_numbers() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    for (len, status) in [(123, OK), (124, INVALID)] {
        let name = format!("M00/00/00/{}", "x".repeat(len - 10));
        assert_eq!(member.ask(&file(16, &name, TIME, b"")).await, OK);
        member.seen = node.binlog().len();
        assert_eq!(member.ask(&part(25, &name, 0, LATER, b"1")).await, status);
        assert_eq!(member.ask(&part(35, &name, 0, LATER, b"1")).await, status);
        assert_eq!(member.ask(&truncate(&name, 1, 0, LATER)).await, status);
        let line = |letter: char, numbers: &str| format!("{LATER} {letter} {name} {numbers}");
        let lines = [line('a', "0 1"), line('m', "0 1"), line('t', "1 0")];
        member.logged(if status == OK { &lines } else { &[] });
    }
}

/// More than one piece, refused and taken: the connection goes on either way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_parts() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    let mut content = vec![0; (6 << 20) + 77];
    fastrand::Rng::with_seed(4).fill(&mut content);
    assert_eq!(member.ask(&part(25, APPENDER, 3, LATER, &content)).await, MISSING);
    assert_eq!(member.ask(&file(16, APPENDER, TIME, b"abc")).await, OK);
    for (command, offset, status) in [(25, 3, OK), (25, 3, PRESENT), (35, 1, OK)] {
        assert_eq!(member.ask(&part(command, APPENDER, offset, LATER, &content)).await, status);
    }
    let len = content.len();
    assert!(member.content(APPENDER) == [b"a", &content[..], &content[len - 2..]].concat());
    member.logged(&[
        format!("{TIME} c {APPENDER}"),
        format!("{LATER} a {APPENDER} 3 {len}"),
        format!("{LATER} m {APPENDER} 1 {len}"),
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renames() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    assert_eq!(member.ask(&pair(40, RENAMED, APPENDER, LATER)).await, MISSING);
    assert_eq!(member.ask(&file(16, APPENDER, TIME, b"log")).await, OK);
    member.seen = node.binlog().len();
    assert_eq!(member.ask(&pair(40, RENAMED, APPENDER, LATER)).await, OK);
    assert!(!member.exists(APPENDER));
    assert_eq!((member.content(RENAMED), member.time(RENAMED)), (b"log".to_vec(), i64::from(TIME)));
    member.logged(&[format!("{LATER} r {RENAMED} {APPENDER}")]);
    assert_eq!(member.ask(&pair(40, RENAMED, APPENDER, LATER)).await, PRESENT, "sent again");
    fs::write(member.path(APPENDER), b"another").unwrap();
    assert_eq!(member.ask(&pair(40, RENAMED, APPENDER, LATER)).await, PRESENT, "something is in the way");
    assert_eq!((member.content(RENAMED), member.content(APPENDER)), (b"log".to_vec(), b"another".to_vec()));
    let far = RENAMED.replace("00/03/", "FE/03/");
    assert_eq!(member.ask(&pair(40, &far, APPENDER, LATER)).await, OK, "to a directory that is not there");
    member.logged(&[format!("{LATER} r {far} {APPENDER}")]);
    assert_eq!(member.ask(&pair(40, &far, &far, LATER)).await, INVALID);
    member.logged(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    let record = format!("{LATER} l {NORMAL} {OTHER}");
    assert_eq!(member.ask(&pair(19, NORMAL, OTHER, LATER)).await, MISSING, "there is no file to link to");
    assert!(!member.exists(NORMAL));
    member.logged(&[]);
    assert_eq!(member.ask(&file(16, OTHER, TIME, b"target")).await, OK);
    member.seen = node.binlog().len();
    assert_eq!(member.ask(&pair(19, NORMAL, OTHER, LATER)).await, OK);
    assert_eq!(fs::read_link(member.path(NORMAL)).unwrap(), member.path(OTHER));
    assert_eq!(member.ask(&pair(19, NORMAL, OTHER, LATER)).await, OK, "sent again");
    member.logged(&[record.clone(), record]);
    let download = |name: &str| protocol::FileId::parse(&format!("group1/{name}")).unwrap();
    let read = node.client().download_bytes(node.address, &download(NORMAL), 100).await;
    assert_eq!(read.unwrap(), "target");

    // A link to a link leads to the file.
    assert_eq!(member.ask(&pair(19, RENAMED, NORMAL, LATER)).await, OK);
    assert_eq!(fs::read_link(member.path(RENAMED)).unwrap(), member.path(OTHER));
    // What is no file of the store is not linked to.
    fs::remove_file(member.path(NORMAL)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", member.path(NORMAL)).unwrap();
    fs::remove_file(member.path(RENAMED)).unwrap();
    assert_eq!(member.ask(&pair(19, RENAMED, NORMAL, LATER)).await, MISSING);
    assert!(!member.exists(RENAMED));
}

/// Deletes that overtake what they are meant for, on their way from another member.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_and_renames_that_come_after_the_delete_of_their_name_make_nothing() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut member = Member::of(&node).await;
    assert_eq!(member.ask(&file(16, OTHER, TIME, b"target")).await, OK);
    assert_eq!(member.ask(&file(16, APPENDER, TIME, b"log")).await, OK);
    for name in [NORMAL, RENAMED] {
        assert_eq!(member.ask(&delete(name, LATER)).await, MISSING);
    }
    member.seen = node.binlog().len();
    assert_eq!(member.ask(&pair(19, NORMAL, OTHER, TIME)).await, MISSING);
    member.logged(&[]);
    // The file that the new name was for goes with its old name.
    assert_eq!(member.ask(&pair(40, RENAMED, APPENDER, TIME)).await, PRESENT);
    member.logged(&[format!("{TIME} d {APPENDER}")]);
    assert_eq!(member.ask(&pair(40, RENAMED, APPENDER, TIME)).await, PRESENT);
    member.logged(&[]);
    assert!([NORMAL, RENAMED, APPENDER].iter().all(|name| !member.exists(name)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_to_another_store_path_is_read() {
    let second = tempfile::tempdir().unwrap();
    let first = tempfile::tempdir().unwrap();
    let paths = format!(
        "store_path_count = 2\nstore_path0 = {}\nstore_path1 = {}",
        first.path().display(),
        second.path().display()
    );
    let node = Running::start(fresh(), plain_cluster(), &paths).await;
    let mut member = Member::of(&node).await;
    let source = OTHER.replace("M00", "M01");
    assert_eq!(member.ask(&file(16, &source, TIME, b"there")).await, OK);
    assert_eq!(member.ask(&pair(19, NORMAL, &source, LATER)).await, OK);
    assert_eq!(member.ask(&pair(40, RENAMED, &source, LATER)).await, INVALID, "files keep their store path");
    let id = protocol::FileId::parse(&format!("group1/{NORMAL}")).unwrap();
    assert_eq!(node.client().download_bytes(node.address, &id, 100).await.unwrap(), "there");
}
