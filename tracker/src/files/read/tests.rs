//! Files as FastDFS leaves them, broken in each way that stops its own tracker or leaves a member waiting for ever: what
//! is read, and what is said of it. What is then written is sound.

use std::io::Write;
use std::sync::{Arc, Mutex};

use protocol::config::{LocalFacts, StorageIds};

use super::*;
use crate::files::write::tests::{reference_reads, rules};
use crate::files::{Snapshot, save};

const GROUP: &str = "[Global]\n\tgroup_count=1\n\n[Group001]\n\tgroup_name=group1\n\tstorage_port=23000\n\
                     \tstore_path_count=1\n\tsubdir_count_per_path=256\n\tcurrent_trunk_file_id=0\n\
                     \ttrunk_server=\n\tlast_trunk_server=\n";

/// A storage of `group1`, with more lines.
fn storage(last: u8, more: &str) -> String {
    format!(
        "# storage: 10.0.0.{last}:23000\n[Storage{last:03}]\n\tgroup_name=group1\n\tip_addr=10.0.0.{last}\n\
         \tstorage_port=23000\n\tstore_path_count=1\n\tsubdir_count_per_path=256\n{more}\n"
    )
}

/// Lines that a subscriber wrote.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A cluster read from these files, and what was said.
struct Read {
    cluster: Cluster,
    said: String,
}

fn read_files(groups: &str, servers: &str, timestamps: &str, changelog: &str, ids: Option<&str>) -> Read {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    for (name, text) in
        [(GROUPS, groups), (SERVERS, servers), (TIMESTAMPS, timestamps), (CHANGELOG, changelog)]
    {
        fs::write(data.join(name), text).unwrap();
    }
    let table = |text| StorageIds::parse(text, Path::new("storage_ids.conf"), &LocalFacts::none()).unwrap().0;
    let ids = ids.map(table);
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let cluster = tracing::subscriber::with_default(subscriber, || load(data, rules(ids.clone())).unwrap());
    // The next save is sound in the eyes of both.
    let snapshot = Snapshot::of(&cluster);
    save(data, &snapshot).unwrap();
    if ids.is_none() {
        reference_reads(data);
    }
    let again = tracing::subscriber::with_default(
        tracing_subscriber::fmt()
            .with_writer(|| -> Lines { panic!("it is mended, there is nothing to say") })
            .with_max_level(tracing::Level::WARN)
            .finish(),
        || load(data, rules(ids)).unwrap(),
    );
    assert_eq!(Snapshot::of(&again), snapshot);
    let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    Read { cluster, said }
}

impl Read {
    fn member(&self, last: u8) -> &Member {
        let id = StorageId::parse(&format!("10.0.0.{last}")).unwrap();
        self.cluster.groups()[0].member(&id).unwrap()
    }

    /// `from to time` of every pair.
    fn pairs(&self) -> Vec<String> {
        let last = |id: &StorageId| id.as_str().rsplit('.').next().unwrap().to_owned();
        let members = self.cluster.groups().iter().flat_map(|group| &group.members);
        let pairs = members.flat_map(|member| {
            member
                .synced_from
                .iter()
                .map(|(from, time)| format!("{} {} {time}", last(from), last(&member.id)))
        });
        pairs.collect()
    }

    /// There is one line, and it has these words.
    fn says(&self, words: &[&str]) {
        assert_eq!(self.said.lines().count(), 1, "{}", self.said);
        for word in words {
            assert!(self.said.contains(word), "{word} in {}", self.said);
        }
    }
}

fn members(lasts: &[u8]) -> String {
    lasts.iter().map(|last| storage(*last, "\tstatus=7\n")).collect()
}

#[test]
fn more_columns_than_storages() {
    // "the format of the file is invalid, columns: 5 > 4": 2 was deleted, and the tracker killed.
    let rows = "group1,10.0.0.1,0,12,13\ngroup1,10.0.0.2,21,0,23\ngroup1,10.0.0.3,31,32,0\n";
    let read = read_files(GROUP, &members(&[1, 3]), rows, "", None);
    assert_eq!(read.pairs(), ["3 1 31", "1 3 13"]);
    read.says(&["WARN", TIMESTAMPS, "group1", "found=3", "expected=2"]);
}

#[test]
fn fewer_columns_than_storages() {
    let rows = "group1,10.0.0.1,0,13\ngroup1,10.0.0.3,31,0\n";
    let read = read_files(GROUP, &members(&[1, 2, 3]), rows, "", None);
    assert_eq!(read.pairs(), ["3 1 31", "1 3 13"]);
    read.says(&["WARN", TIMESTAMPS]);
}

#[test]
fn rows_in_another_order_than_the_storages() {
    // FastDFS writes both in the order in which storages joined; ids sort otherwise.
    let rows = "group1,10.0.0.3,0,31\ngroup1,10.0.0.10,103,0\n";
    let read = read_files(GROUP, &members(&[3, 10]), rows, "", None);
    assert_eq!((read.pairs(), read.said.as_str()), (vec!["3 10 31".into(), "10 3 103".into()], ""));
    let read = read_files(GROUP, &members(&[10, 3]), rows, "", None);
    assert_eq!(read.pairs(), ["3 10 31", "10 3 103"]);
    read.says(&["WARN", TIMESTAMPS]);
}

#[test]
fn rows_of_nobody_and_of_no_length() {
    let rows = "group9,10.0.0.1,0\n";
    read_files(GROUP, &members(&[1]), rows, "", None).says(&["WARN", "group9"]);
    let rows = "group1,10.0.0.9,0,7\ngroup1,10.0.0.2,21,0\n";
    let read = read_files(GROUP, &members(&[1, 2]), rows, "", None);
    assert_eq!(read.pairs(), Vec::<String>::new(), "the first column is of a storage that is not there");
    read.says(&["WARN", TIMESTAMPS]);
    let rows = "group1,10.0.0.1,0,12,13,14\ngroup1,10.0.0.2,21,0\n";
    let read = read_files(GROUP, &members(&[1, 2]), rows, "", None);
    assert_eq!(read.pairs(), ["2 1 21"]);
    read.says(&["WARN", "rows=1"]);
}

#[test]
fn a_source_that_is_nobody() {
    for (source, status) in [("10.0.0.9", 1), ("10.0.0.9", 7), ("10.0.0.2", 1)] {
        let second =
            storage(2, &format!("\tstatus={status}\n\tsync_src_server={source}\n\tsync_until_timestamp=5\n"));
        let read = read_files(GROUP, &(members(&[1]) + &second), "", "", None);
        assert_eq!((read.member(2).source, read.member(2).sync_until), (None, 0));
        assert!(read.said.contains("WARN") && read.said.contains(source), "{}", read.said);
    }
}

#[test]
fn a_trunk_server_that_is_nobody() {
    let groups = GROUP.replace("\ttrunk_server=\n", "\ttrunk_server=10.0.0.9\n");
    let read = read_files(&groups, &members(&[1]), "", "", None);
    assert_eq!(read.cluster.groups()[0].trunk_server, None);
    read.says(&["WARN", "10.0.0.9"]);
}

#[test]
fn a_member_that_waits_goes_on_waiting() {
    for (saved, expected) in [
        (0, StorageStatus::INIT),
        (1, StorageStatus::WAIT_SYNC),
        (2, StorageStatus::SYNCING),
        (5, StorageStatus::OFFLINE),
        (7, StorageStatus::OFFLINE),
        (9, StorageStatus::OFFLINE),
        (42, StorageStatus::OFFLINE),
    ] {
        let second = storage(2, &format!("\tstatus={saved}\n\tsync_src_server=10.0.0.1\n"));
        let read = read_files(GROUP, &(members(&[1]) + &second), "", "", None);
        assert_eq!(read.member(2).status, expected, "{saved}");
        assert_eq!(read.said.contains("still waits"), read.member(2).is_filling());
    }
}

#[test]
fn storages_of_a_group_that_is_not_there() {
    let read = read_files("[Global]\n\tgroup_count=0\n", &members(&[1, 2]), "", "", None);
    let group = &read.cluster.groups()[0];
    assert_eq!((group.port, group.store_path_count, group.subdir_count), (Some(23_000), 1, 256));
    assert_eq!(group.members.len(), 2);
    read.says(&["WARN", "group1", "made again"]);
}

#[test]
fn what_is_listed_twice_or_has_no_name() {
    read_files(&format!("{GROUP}\n{}", GROUP.split_once("\n\n").unwrap().1), &members(&[1]), "", "", None)
        .says(&["WARN", "group1", "twice"]);
    read_files(GROUP, &members(&[1, 1]), "", "", None).says(&["WARN", "10.0.0.1", "twice"]);
    let nameless = members(&[1]).replace("10.0.0.1\n", "\n");
    let read = read_files(GROUP, &nameless, "", "", None);
    assert_eq!(read.cluster.groups()[0].members.len(), 0);
    read.says(&["WARN", "group1"]);
}

#[test]
fn offsets_behind_the_changelog_and_a_line_that_was_cut_short() {
    let line = "1700000000 group1 10.0.0.9 4 \n";
    let read = read_files(GROUP, &storage(1, "\tchangelog_offset=999\n"), "", line, None);
    assert_eq!((read.member(1).changelog_offset, read.said.as_str()), (line.len(), ""));
    let read = read_files(GROUP, &members(&[1]), "", &format!("{line}17000000"), None);
    assert_eq!(read.cluster.changelog(), line.as_bytes());
    read.says(&["WARN", CHANGELOG]);
}

#[test]
fn addresses_become_ids_where_the_cluster_uses_ids_now() {
    let table = "100001 group1 10.0.0.1\n100002 group1 10.0.0.2 rw=read\n";
    let servers = storage(1, "\tstatus=7\n") + &storage(2, "\tstatus=1\n\tsync_src_server=10.0.0.1\n");
    let rows = "group1,10.0.0.1,0,12\ngroup1,10.0.0.2,21,0\n";
    let read = read_files(GROUP, &servers, rows, "", Some(table));
    let members = &read.cluster.groups()[0].members;
    let ids = ["100001", "100002"].map(|id| StorageId::parse(id).unwrap());
    assert_eq!([members[0].id, members[1].id], ids);
    assert_eq!(members[1].source, Some(ids[0]));
    assert_eq!((members[0].has_from(&ids[1]), members[1].has_from(&ids[0])), (21, 12));
    assert!(!members[1].rw.writes());
}

#[test]
fn members_with_different_ports_stay_so() {
    let read =
        read_files(&GROUP.replace("storage_port=23000", "storage_port=-1"), &members(&[1]), "", "", None);
    assert_eq!(read.cluster.groups()[0].wire_port(), -1);
}

proptest::proptest! {
    // Each case saves twice, and a save waits for the disk.
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    /// Files always restore: whatever bytes they are, and whatever was cut off or put in.
    #[test]
    fn whatever_the_files_are_a_tracker_starts(
        cut in 0..2000_usize,
        at in 0..2000_usize,
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        which in 0..4_usize,
    ) {
        let rows = "group1,10.0.0.1,0,12\ngroup1,10.0.0.2,21,0\n";
        let sound = [GROUP.to_owned(), members(&[1, 2]), rows.to_owned(), "1 group1 10.0.0.9 4 \n".to_owned()];
        let directory = tempfile::tempdir().unwrap();
        for (number, (name, text)) in [GROUPS, SERVERS, TIMESTAMPS, CHANGELOG].iter().zip(sound).enumerate() {
            let mut content = text.into_bytes();
            if number == which {
                let at = at % (content.len() + 1);
                content.splice(at..at, bytes.iter().copied());
                content.truncate(cut.max(1));
            }
            fs::write(directory.path().join(name), content).unwrap();
        }
        let cluster = load(directory.path(), rules(None)).unwrap();
        save(directory.path(), &Snapshot::of(&cluster)).unwrap();
        reference_reads(directory.path());
        proptest::prop_assert_eq!(Snapshot::of(&load(directory.path(), rules(None)).unwrap()), Snapshot::of(&cluster));
    }
}
