//! What is saved is read back, and a crash between two steps leaves what both implementations read.

use std::net::{IpAddr, Ipv4Addr};

use protocol::cluster::StorageStatus;
use protocol::config::{LocalFacts, StorageIds};
use protocol::{GroupName, StorageId};

use super::*;
use crate::files::load;
use crate::state::Rules;

pub(in crate::files) fn rules(ids: Option<StorageIds>) -> Rules {
    Rules { ids, ..Rules::plain() }
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn id(last: u8) -> StorageId {
    StorageId::parse(&ip(last).to_string()).unwrap()
}

/// A cluster of one group a number, with these members.
fn cluster(groups: &[(&str, &[u8])]) -> Cluster {
    let groups = groups.iter().map(|(name, members)| {
        let mut group = Group::new(GroupName::parse(name).unwrap());
        group.port = Some(23_000);
        for &last in *members {
            let mut member = Member::new(id(last), ip(last), 23_000);
            member.status = StorageStatus::OFFLINE;
            member.version = "6.16.1".into();
            member.total_mb = 500;
            member.free_mb = 100;
            member.last_synced = 77;
            for (number, name) in (1..).zip(StorageStats::NAMES) {
                member.stats.set(name, number);
            }
            for &other in members.iter().filter(|&&other| other != last) {
                member.synced_from.insert(id(other), 1_700_000_000);
            }
            group.insert(member);
        }
        group
    });
    Cluster::restore(rules(None), groups.collect(), Vec::new())
}

#[test]
fn what_is_saved_is_read_back_and_saved_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let mut before = cluster(&[("a", &[1, 2, 3]), ("b", &[4])]);
    before.delete_storage(GroupName::parse("a").unwrap(), &id(3), 1_700_000_001).unwrap();
    save(directory.path(), &Snapshot::of(&before)).unwrap();
    let after = load(directory.path(), rules(None)).unwrap();
    assert_eq!(Snapshot::of(&after), Snapshot::of(&before));
    let members: Vec<_> = after.groups().iter().map(|group| group.members.len()).collect();
    assert_eq!(members, [2, 1], "what was deleted has no row");
    let (saved, read) = (&before.groups()[0].members[0], &after.groups()[0].members[0]);
    assert_eq!(read.stats.success_file_write_count, saved.stats.success_file_write_count);
    assert_eq!(read.synced_from.len(), 1);
    assert_eq!(after.changelog(), before.changelog());
}

/// What FastDFS's tracker demands at its start (native-cluster.md 7.3 and 7.6).
pub(in crate::files) fn reference_reads(data: &Path) {
    let text = |name| fs::read_to_string(data.join(name)).unwrap_or_default();
    let (groups, servers, timestamps) = (text(GROUPS), text(SERVERS), text(TIMESTAMPS));
    let values = |key: &str| {
        let lines = servers.lines().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let members: Vec<_> = values("group_name").into_iter().zip(values("ip_addr")).collect();
    for (group, _) in &members {
        assert!(groups.contains(&format!("group_name={group}\n")), "{group} is unknown");
    }
    for offset in values("changelog_offset") {
        assert!(offset.parse::<usize>().unwrap() <= text(CHANGELOG).len());
    }
    let mut expected = members.iter();
    for row in timestamps.lines() {
        let columns: Vec<_> = row.split(',').collect();
        let (group, ip) = expected.next().expect("no more rows than storages");
        assert_eq!((columns[0], columns[1]), (group.as_str(), ip.as_str()));
        let count = members.iter().filter(|(of, _)| of == group).count();
        assert!(columns.len() <= count + 2, "columns: {} > {}", columns.len(), count + 2);
    }
}

#[test]
fn a_crash_after_any_step_leaves_files_that_are_read() {
    type Groups<'a> = &'a [(&'a str, &'a [u8])];
    let changes: &[(Groups, Groups)] = &[
        (&[], &[("a", &[1])]),
        (&[("a", &[1])], &[("a", &[1, 2])]),
        (&[("a", &[1, 2, 3])], &[("a", &[1, 3])]),
        (&[("a", &[1, 2])], &[("a", &[2]), ("b", &[1])]),
        (&[("a", &[1]), ("b", &[])], &[("a", &[1])]),
        (&[("b", &[2])], &[("a", &[1]), ("b", &[2])]),
        (&[("a", &[1])], &[("a", &[1])]),
    ];
    for (before, after) in changes {
        let (before, after) = (Snapshot::of(&cluster(before)), Snapshot::of(&cluster(after)));
        for done in 0..=5 {
            let directory = tempfile::tempdir().unwrap();
            let data = directory.path();
            save(data, &before).unwrap();
            let saved = fs::read_to_string(data.join(TIMESTAMPS)).unwrap();
            for step in steps(&after, &saved).into_iter().take(done) {
                step.run(data).unwrap();
                // What was written of the next file when the process was killed.
                fs::write(data.join("storage_servers_new.dat.tmp"), "[Storage0").unwrap();
            }
            reference_reads(data);
            load(data, rules(None)).unwrap();
            save(data, &after).unwrap();
            assert_eq!(Snapshot::of(&load(data, rules(None)).unwrap()), after);
        }
    }
}

fn recorded(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/tracker-files").join(name)
}

#[test]
fn files_of_the_reference_are_read_and_written_the_same() {
    let table = "100001 group1 10.77.0.51\n";
    let ids = StorageIds::parse(table, Path::new("ids"), &LocalFacts::none()).unwrap().0;
    for (name, ids) in [("main", None), ("trunk", None), ("sid", Some(ids))] {
        let directory = recorded(name);
        let read = |file: &str| fs::read_to_string(directory.join(file)).unwrap();
        let snapshot = Snapshot::of(&load(&directory, rules(ids)).unwrap());
        assert_eq!(snapshot.groups, read(GROUPS), "{name}");
        assert_eq!(snapshot.timestamps, read(TIMESTAMPS), "{name}");
        assert_eq!(snapshot.changelog, read(CHANGELOG).into_bytes(), "{name}");
        // Whoever was in service is offline until it joins again.
        let offline =
            |text: &str| text.replace("\tstatus=7\n", "\tstatus=5\n").replace("\tstatus=6\n", "\tstatus=5\n");
        assert_eq!(snapshot.servers, offline(&read(SERVERS)), "{name}");
    }
}
