//! What is left when a process that writes into trunk files is killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

/// Where the process that is to be killed has its store.
const BASE: &str = "FDFS_TEST_TRUNK_BASE";

/// Not a test: what the killed process does.
#[tokio::test]
async fn writes_until_it_is_killed() {
    let Ok(base) = std::env::var(BASE) else { return };
    let (base, first) = base.split_once('#').expect("a directory and a number");
    let first: u32 = first.parse().expect("a number");
    let store = open(Path::new(base), "", "trunk_free_space_merge=1\n");
    store.trunk().serve().expect("the log is read");
    let mut tended = std::time::Instant::now();
    let mut rng = fastrand::Rng::new();
    let mut live: Vec<LogicName> = Vec::new();
    let out = std::io::stdout();
    for number in first.. {
        let name = put(&store, content(number, rng.usize(..9000))).await;
        writeln!(out.lock(), "+{number} {name}").expect("the parent listens");
        live.push(name);
        if rng.u8(..3) == 0 {
            let gone = live.swap_remove(rng.usize(..live.len()));
            writeln!(out.lock(), "?{gone}").expect("the parent listens");
            store.delete(&gone).await.expect("it is there");
            writeln!(out.lock(), "-{gone}").expect("the parent listens");
        }
        if tended.elapsed() > Duration::from_millis(100) {
            store.trunk().tend().expect("the log can be written");
            tended = std::time::Instant::now();
        }
    }
}

#[tokio::test]
async fn a_kill_loses_no_file_and_no_slot_is_given_twice() {
    let directory = tempfile::tempdir().unwrap();
    let mut live: BTreeMap<u32, LogicName> = BTreeMap::new();
    let mut next = 0;
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["slots::crash::writes_until_it_is_killed", "--exact", "--nocapture"])
            .env(BASE, format!("{}#{next}", directory.path().display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        let kill = 40 + 37 * round;
        let mut lines = Vec::new();
        for line in told.lines() {
            lines.push(line.unwrap());
            if lines.len() == kill {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        // What was being deleted may be there or not.
        let mut unclear = Vec::new();
        for line in &lines {
            let name = |text: &str| LogicName::parse(text).unwrap();
            if let Some((number, made)) = line.strip_prefix('+').and_then(|line| line.split_once(' ')) {
                next = number.parse().unwrap();
                live.insert(next, name(made));
            } else if let Some(gone) = line.strip_prefix(['?', '-']) {
                let gone = name(gone);
                unclear = vec![gone.clone()];
                live.retain(|_, name| *name != gone);
                if line.starts_with('-') {
                    unclear.clear();
                }
            }
        }
        next += 2;
        let server = Server {
            store: open(directory.path(), "", "trunk_free_space_merge=1\n"),
            directory: tempfile::tempdir().unwrap(),
        };
        server.store.trunk().serve().unwrap();
        let mut seen = BTreeMap::new();
        for number in 0..50 {
            seen.insert(1_000_000 + number, put(&server.store, content(1_000_000 + number, 3000)).await);
        }
        let data = directory.path().join("data");
        let mut slots = Vec::new();
        for (number, name) in live.iter().chain(&seen) {
            let found = member(&data, name).unwrap_or_else(|| panic!("round {round}: {name} is lost"));
            assert_eq!(found, content(*number, found.len()), "round {round}: {name}");
            let slot = slot(name);
            slots.push((slot.file_id, slot.offset, slot.size));
        }
        slots.sort_unstable();
        for pair in slots.windows(2) {
            assert!(pair[0].0 < pair[1].0 || pair[0].1 + pair[0].2 <= pair[1].1, "{pair:?} overlap");
        }
        for name in seen.values().chain(&unclear) {
            match server.store.delete(name).await {
                Ok(()) | Err(WriteError::NotFound) => {}
                Err(error) => panic!("{error}"),
            }
        }
        server.store.close().await.unwrap();
    }
    assert!(live.len() > 100, "{}", live.len());
}

#[tokio::test]
async fn files_that_the_log_does_not_know_keep_their_slots() {
    let server = Server::open("", "");
    let mut live = BTreeMap::new();
    live.insert(0, put(&server.store, content(0, 1000)).await);
    server.log();
    for number in 1..100 {
        live.insert(number, put(&server.store, content(number, 1000)).await);
    }
    let mut server = server.killed("");
    for number in 100..200 {
        live.insert(number, put(&server.store, content(number, 700)).await);
    }
    check_all(&server, &live, content);
    // And once more, from what the log was made to say.
    server.log();
    server = server.killed("");
    for number in 200..300 {
        live.insert(number, put(&server.store, content(number, 700)).await);
    }
    check_all(&server, &live, content);
}

#[tokio::test]
async fn a_file_in_the_slot_of_a_deleted_one_stays_whole_though_the_log_knows_neither() {
    let server = Server::open("", "trunk_free_space_merge=1\n");
    let mut live = BTreeMap::from([(0, put(&server.store, content(0, 1000)).await)]);
    server.log();
    let before = fs::read(server.data().join("trunk/binlog")).unwrap();
    let large = put(&server.store, content(1, 4000)).await;
    server.store.delete(&large).await.unwrap();
    let first = put(&server.store, content(2, 1000)).await;
    live.insert(3, put(&server.store, content(3, 1000)).await);
    assert_eq!(slot(&live[&3]).offset, slot(&large).offset + 1024);
    server.store.delete(&first).await.unwrap();
    let Server { directory, store } = server;
    drop(store);
    fs::write(directory.path().join("data/trunk/binlog"), before).unwrap();
    let store = open(directory.path(), "", "trunk_free_space_merge=1\n");
    store.trunk().serve().unwrap();
    let server = Server { directory, store };
    for number in 4..20 {
        live.insert(number, put(&server.store, content(number, 1000)).await);
    }
    check_all(&server, &live, content);
    assert!(live.values().any(|name| slot(name) == slot(&first)));
}

#[tokio::test]
async fn a_log_that_is_lost_costs_free_space_only() {
    let server = Server::open("", "");
    let mut live = BTreeMap::new();
    for number in 0..20 {
        live.insert(number, put(&server.store, content(number, 1000)).await);
    }
    server.store.close().await.unwrap();
    fs::remove_file(server.data().join("trunk/binlog")).unwrap();
    let server = server.killed("");
    assert_eq!(server.store.trunk().free_bytes(), 0);
    for number in 20..40 {
        live.insert(number, put(&server.store, content(number, 1000)).await);
    }
    check_all(&server, &live, content);
}

/// Each step of an upload, and the log of before it: the slot is free again and gets the next file.
#[tokio::test]
async fn a_crash_between_two_steps_leaves_a_slot_that_is_free_or_a_file_s() {
    for (with_record, with_content, with_header) in
        [(false, false, false), (false, true, false), (true, true, false), (true, true, true)]
    {
        for log_is_written in [false, true] {
            let case = (with_record, with_content, with_header, log_is_written);
            let server = Server::open("", "");
            let first = put(&server.store, content(1, 1000)).await;
            server.log();
            let name = put(&server.store, content(2, 1000)).await;
            if log_is_written {
                // All but the last line, which says that it is used.
                server.log();
            }
            let (data, binlog) = (server.data(), server.data().join("sync/binlog.000"));
            let Server { directory, store } = server;
            drop(store);
            if log_is_written {
                let log = fs::read_to_string(data.join("trunk/binlog")).unwrap();
                let held = log.trim_end().rfind('\n').unwrap() + 1;
                fs::write(data.join("trunk/binlog"), &log[..held]).unwrap();
            }
            if !with_record {
                let text = fs::read_to_string(&binlog).unwrap();
                fs::write(&binlog, &text[..=text.find('\n').unwrap()]).unwrap();
            }
            let file = fs::OpenOptions::new().write(true).open(container_of(&data, &name)).unwrap();
            if !with_header {
                file.write_all_at(&[0; 24], slot(&name).offset.into()).unwrap();
            }
            if !with_content {
                file.write_all_at(&[0; 1000], u64::from(slot(&name).offset) + 24).unwrap();
            }
            let store = open(directory.path(), "", "");
            store.trunk().serve().unwrap();
            let server = Server { directory, store };
            let mut live = BTreeMap::from([(1, first)]);
            if with_header {
                live.insert(2, name.clone());
            } else {
                assert!(read(&server.store, &name).await.is_err());
            }
            for number in 3..20 {
                live.insert(number, put(&server.store, content(number, 1000)).await);
            }
            check_all(&server, &live, content);
            let is_reused = live.values().any(|other| *other != name && slot(other) == slot(&name));
            // Content without a record cannot be told from another file's: that slot is left alone.
            assert_eq!(is_reused, !with_header && (with_record || !with_content), "{case:?}");
        }
    }
}

#[tokio::test]
async fn free_space_is_looked_at_if_the_trackers_say_so() {
    let server = Server::open("", "");
    let mut live = BTreeMap::new();
    for number in 0..5 {
        live.insert(number, put(&server.store, content(number, 1000)).await);
    }
    // Neither log knows of them.
    let (data, more) = (server.data(), "trunk_init_check_occupying=1\n");
    let Server { directory, store } = server;
    drop(store);
    fs::write(data.join("trunk/binlog"), "1795383113 A 0 0 0 1 0 4194304\n").unwrap();
    fs::write(data.join("sync/binlog.000"), "").unwrap();
    let store = open(directory.path(), "", more);
    store.trunk().serve().unwrap();
    assert_eq!(store.trunk().free_bytes(), CONTAINER - 5 * 1024);
    let server = Server { directory, store };
    for number in 5..10 {
        live.insert(number, put(&server.store, content(number, 1000)).await);
    }
    check_all(&server, &live, content);
}

#[tokio::test]
async fn a_snapshot_of_the_reference_is_read_from_its_offset_on() {
    let (old, new) = ("0 0 0 1 512 256\n", "1795383219 A 0 0 0 1 512 256\n");
    let log = "1795383113 A 0 0 0 9 0 4194304\n1795383113 A 0 0 0 1 1024 256\n";
    for (free, offset, expected) in [(old, 31, 512), (new, 31, 512), (new, 61, 256), (new, 9999, 256)] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path(), "", "");
        let data = directory.path().join("data");
        fs::create_dir_all(data.join("trunk")).unwrap();
        fs::write(data.join("trunk/binlog"), log).unwrap();
        fs::write(data.join("storage_trunk.dat"), format!("{offset}\n{free}")).unwrap();
        store.trunk().serve().unwrap();
        assert_eq!(store.trunk().free_bytes(), expected, "{free} at {offset}");
        store.trunk().follow(None);
        fs::write(data.join("storage_trunk.dat"), format!("{offset}\n{}", free.trim_end())).unwrap();
        store.trunk().serve().unwrap();
        assert_eq!(store.trunk().free_bytes(), CONTAINER + 256, "one that is torn does not count");
    }
}
