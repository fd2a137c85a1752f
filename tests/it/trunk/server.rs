//! The trunk server itself: it gives freed slots again, it is killed, restarted, and replaced by the trackers or by an
//! operator, with the tools of either kind.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use protocol::FileId;
use reqwest::StatusCode;

use super::{ELECTION, same_trunk_binlog, start, trunk_server, wait_for_slots};
use crate::address::{STORAGE_HTTP_PORT, TRACKER_HTTP_PORT, tracker};
use crate::content::content;
use crate::group::server::Make::{self, Ours, Theirs};
use crate::group::slots::{self, slot_of};
use crate::group::{Group, disk, group1};
use crate::mixed::book::Book;
use crate::one_store;
use crate::process::fdfs;
use crate::theirs::{is_here, program};
use crate::wait::until;

fn url(group: &Group, index: usize, path: &str) -> String {
    format!("http://{}:{STORAGE_HTTP_PORT}{path}", group.nodes[index].ip)
}

/// Without a name, so that it has no metadata.
async fn upload_by_rest(group: &Group, index: usize, bytes: Vec<u8>) -> FileId {
    let answer = reqwest::Client::new().post(url(group, index, "/v1/files")).body(bytes).send().await;
    let answer = answer.expect("the node answers");
    assert_eq!(answer.status(), StatusCode::CREATED);
    let stored: one_store::Stored =
        serde_json::from_str(&answer.text().await.expect("a body")).expect("the documented JSON");
    assert!(slot_of(&stored.file_id).is_some(), "{}", stored.file_id);
    FileId::parse(&stored.file_id).expect("an ID")
}

/// Free bytes, by the trunk binlog of the trunk server.
fn free_bytes(group: &Group) -> i64 {
    free_at(&group.nodes[0].base)
}

fn free_at(base: &Path) -> i64 {
    let field = |line: &str, at: usize| line.split(' ').nth(at).unwrap_or_default().to_owned();
    let signed = |line: &str| {
        let size: i64 = field(line, 7).parse().expect("a size");
        if field(line, 1) == "A" { size } else { -size }
    };
    slots::trunk_binlog(base).lines().map(signed).sum()
}

/// Waits until so many bytes are free: what a member gives back is on its way for a moment.
async fn wait_free(group: &Group, expected: i64) {
    until(&format!("{expected} bytes that are free"), ELECTION, async || match free_bytes(group) {
        free if free == expected => Ok(()),
        free => Err(free.to_string()),
    })
    .await;
}

/// Bytes that are free once nothing is on its way any more: what is not free is in use.
async fn settled(group: &Group) -> i64 {
    settled_at(group, 0).await
}

/// The same where another one is the trunk server.
async fn settled_at(group: &Group, server: usize) -> i64 {
    until("free space that is none's", ELECTION, async || {
        let base = &group.nodes[server].base;
        let disk = disk::files(base);
        let used = slots::bytes(base, &disk)?;
        let containers = disk.keys().filter(|name| slots::is_container(name)).count();
        let all = i64::try_from(containers).expect("few") * (4 << 20);
        let free = free_at(base);
        if free + used == all { Ok(free) } else { Err(format!("{free} free and {used} in use of {all}")) }
    })
    .await
}

/// Uploads by REST and natively to both members, reads from both, deletes at the other one: all space is free again, and is
/// given again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn space_is_given_again_after_deletes() {
    let group = start(&[Ours], &[Ours, Ours]).await;
    let client = group.client();
    let mut book = Book::in_trunk();
    let empty = 4 << 20;
    wait_free(&group, empty).await;
    let mut before = None;
    for round in 0..3 {
        let mut ids = Vec::new();
        for index in 0..2 {
            for length in [1_000, 300_000] {
                ids.push(book.upload(&client, group.native(index), length).await);
                let bytes = content(length, 1_000 + round);
                let id = upload_by_rest(&group, index, bytes.clone()).await;
                let read = one_store::get(&url(&group, index, &format!("/{id}"))).await;
                assert_eq!(read, (StatusCode::OK, bytes.clone()));
                book.note(&id, bytes);
                ids.push(id);
            }
        }
        book.check(&group).await;
        let used = empty - free_bytes(&group);
        assert_eq!(*before.get_or_insert(used), used, "each round takes as much");
        for (at, id) in ids.iter().enumerate() {
            book.delete(&client, group.native(at % 2), id).await;
        }
        book.check(&group).await;
        wait_free(&group, empty).await;
        same_trunk_binlog(&group).await;
    }
    until("a report of one trunk file", ELECTION, async || {
        let listed = group.only(0).group(group1()).await.expect("the tracker answers").expect("it is listed");
        if listed.trunk_file_id == 1 { Ok(()) } else { Err(listed.trunk_file_id.to_string()) }
    })
    .await;
}

/// Free space outlives a stop, and what is in use is not given to others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn free_space_outlives_stops_and_kills() {
    let mut group = start(&[Ours], &[Ours, Ours]).await;
    let client = group.client();
    let mut book = Book::in_trunk();
    for end in ["stop", "kill"] {
        for index in 0..2 {
            book.fill(&client, group.native(index), Ours).await;
        }
        book.check(&group).await;
        same_trunk_binlog(&group).await;
        // All that was deleted has been given back by now.
        let free = settled(&group).await;
        for node in &mut group.nodes {
            match end {
                "stop" => node.stop().await,
                _ => node.kill(),
            }
        }
        group.nodes.iter_mut().for_each(|node| node.start());
        group.wait_active().await;
        wait_for_slots(&group).await;
        assert_eq!(trunk_server(&group).await, Ok(group.nodes[0].ip));
        assert_eq!(settled(&group).await, free, "after a {end}");
        book.check(&group).await;
    }
}

/// The trunk server is killed: uploads go on at once, another one is chosen, and the old one comes back as a member.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_trunk_server_is_replaced_and_no_upload_fails_meanwhile() {
    let mut group = start(&[Ours], &[Ours, Ours, Ours]).await;
    let client = group.client();
    let mut book = Book::in_trunk();
    for index in 0..3 {
        book.fill(&client, group.native(index), Ours).await;
    }
    book.check(&group).await;
    same_trunk_binlog(&group).await;
    let old = group.nodes[0].ip;
    group.nodes[0].kill();
    book.anywhere(true);
    until("another trunk server", ELECTION, async || {
        for index in 1..3 {
            book.upload(&client, group.native(index), 2_000).await;
        }
        match trunk_server(&group).await {
            Ok(server) if server != old => Ok(()),
            server => Err(format!("{server:?}")),
        }
    })
    .await;
    wait_for_slots(&group).await;
    book.anywhere(false);
    for index in 1..3 {
        book.fill(&client, group.native(index), Ours).await;
    }
    group.nodes[0].start();
    group.wait_active().await;
    wait_for_slots(&group).await;
    assert_ne!(trunk_server(&group).await, Ok(old), "it is a member like others now");
    book.fill(&client, group.native(0), Ours).await;
    book.check(&group).await;
    same_trunk_binlog(&group).await;
}

/// The trunk server stands still for so long that another one is chosen; when it goes on, it gives nothing to anybody. No
/// upload to another member fails or takes long meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_server_that_stood_still_gives_no_slot_twice() {
    let mut group = start(&[Ours], &[Ours, Ours]).await;
    let client = group.client();
    let mut book = Book::in_trunk();
    book.fill(&client, group.native(1), Ours).await;
    book.check(&group).await;
    same_trunk_binlog(&group).await;
    let (old, new) = (group.nodes[0].ip, group.nodes[1].ip);
    group.nodes[0].freeze();
    book.anywhere(true);
    until("another trunk server", ELECTION, async || {
        let started = Instant::now();
        book.upload(&client, group.native(1), 2_000).await;
        assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
        match trunk_server(&group).await {
            Ok(server) if server == new => Ok(()),
            server => Err(format!("{server:?}")),
        }
    })
    .await;
    until("slots of the new one", ELECTION, async || {
        let id = book.upload(&client, group.native(1), 2_000).await;
        slot_of(&id.to_string()).map(|_| ()).ok_or_else(|| "a file of its own".to_owned())
    })
    .await;
    group.nodes[0].thaw();
    // At once, before it hears anything.
    for _ in 0..20 {
        book.upload(&client, group.native(0), 2_000).await;
    }
    group.wait_active().await;
    wait_for_slots(&group).await;
    book.anywhere(false);
    assert_ne!(trunk_server(&group).await, Ok(old));
    for index in 0..2 {
        book.fill(&client, group.native(index), Ours).await;
    }
    book.check(&group).await;
    same_trunk_binlog(&group).await;
    settled_at(&group, 1).await;
}

/// Many clients at once upload and delete through every member: all is there that has to be, in slots of its own, and what is
/// not in use is free.
async fn many_at_once(trackers: &[Make], nodes: &[Make]) {
    const CLIENTS: u32 = 6;
    let group = start(trackers, nodes).await;
    let mut work = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let (client, at) = (group.client(), group.native(usize::from(number % 2 == 1)));
        let mut book = Book::in_trunk();
        book.begin_at(number * 1_000);
        book.anywhere(true);
        work.spawn(async move {
            for round in 0..30 {
                let length = [10, 1_000, 5_000, 70_000][round % 4];
                let id = book.upload(&client, at, length).await;
                if round % 3 != 0 {
                    book.delete(&client, at, &id).await;
                }
            }
            book
        });
    }
    let mut book = Book::in_trunk();
    for one in work.join_all().await {
        book.absorb(one);
    }
    book.check(&group).await;
    same_trunk_binlog(&group).await;
    if nodes == [Ours, Ours] {
        settled(&group).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_at_once_of_ours() {
    many_at_once(&[Ours], &[Ours, Ours]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_at_once_of_ours_and_theirs() {
    if is_here("many_clients_at_once_of_ours_and_theirs") {
        many_at_once(&[Ours], &[Ours, Theirs]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_at_once_of_theirs_and_ours() {
    if is_here("many_clients_at_once_of_theirs_and_ours") {
        many_at_once(&[Theirs], &[Theirs, Ours]).await;
    }
}

/// `fdfs_monitor` of this make.
fn monitor(make: Make, group: &Group, arguments: &[&str]) -> String {
    let dir = group.dir.as_ref().expect("not taken out").path();
    let conf = dir.join("monitor.conf");
    let lines: String =
        group.trackers.iter().map(|it| format!("tracker_server = {}\n", tracker(it.ip))).collect();
    std::fs::write(&conf, lines).expect("the scratch directory can be written");
    let program: PathBuf = match make {
        Theirs => program("fdfs_monitor").expect("it is where their daemons are"),
        Ours => {
            let link = dir.join("fdfs_monitor");
            if !link.exists() {
                symlink(fdfs().get_program(), &link).expect("a link can be made");
            }
            link
        }
    };
    let output = Command::new(program).arg(&conf).args(arguments).output().expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The tracker's REST in its place.
async fn name_by_rest(group: &Group, id: &str) -> String {
    let at = format!("http://{}:{TRACKER_HTTP_PORT}/v1/groups/group1/trunk-server", group.trackers[0].ip);
    let body = serde_json::json!({ "storage": id }).to_string();
    let answer = reqwest::Client::new()
        .put(at)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .expect("the tracker answers");
    let (status, text) = (answer.status(), answer.text().await.expect("a body"));
    if status == StatusCode::OK { format!("success: {text}") } else { text }
}

/// Each of the first two members is the trunk server, is killed, and an operator names the next; it comes back as a member.
async fn an_operator_names_the_next(trackers: &[Make], nodes: &[Make], tool: Make) {
    let mut group = start(trackers, nodes).await;
    let client = group.client();
    let mut book = Book::in_trunk();
    for index in 0..group.nodes.len() {
        book.fill(&client, group.native(index), group.nodes[index].make).await;
    }
    for at in 0..2 {
        book.check(&group).await;
        same_trunk_binlog(&group).await;
        let (present, next) = (group.nodes[at].ip, group.nodes[at + 1].ip);
        assert_eq!(trunk_server(&group).await, Ok(present));
        let shown = monitor(tool, &group, &[]);
        assert!(shown.contains(&format!("current trunk server = {present} ({present})")), "{shown}");
        assert!(
            shown.contains("current trunk file id = ") && shown.contains("trunk free space = "),
            "{shown}"
        );
        group.nodes[at].kill();
        let arguments = ["set_trunk_server", "group1", &next.to_string()];
        until("a trunk server that is named", ELECTION, async || {
            let said = match (tool, at) {
                (Ours, 1) => name_by_rest(&group, &next.to_string()).await,
                _ => monitor(tool, &group, &arguments),
            };
            // It may have been replaced already.
            let is_done = said.contains("success") || trunk_server(&group).await == Ok(next);
            if is_done { Ok(()) } else { Err(said) }
        })
        .await;
        assert_eq!(trunk_server(&group).await, Ok(next));
        wait_for_slots(&group).await;
        book.upload(&client, group.native(at + 1), 1_000).await;
        group.nodes[at].start();
        group.wait_active().await;
        wait_for_slots(&group).await;
        assert_eq!(trunk_server(&group).await, Ok(next), "it stays");
        for index in 0..group.nodes.len() {
            book.fill(&client, group.native(index), group.nodes[index].make).await;
        }
    }
    book.check(&group).await;
    same_trunk_binlog(&group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_names_the_next_of_ours() {
    an_operator_names_the_next(&[Ours], &[Ours, Ours, Ours], Ours).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_names_ours_and_theirs_under_our_tracker() {
    if is_here("an_operator_names_ours_and_theirs_under_our_tracker") {
        an_operator_names_the_next(&[Ours], &[Theirs, Ours, Theirs], Theirs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_names_ours_and_theirs_under_their_tracker() {
    if is_here("an_operator_names_ours_and_theirs_under_their_tracker") {
        an_operator_names_the_next(&[Theirs], &[Theirs, Ours, Theirs], Theirs).await;
    }
}
