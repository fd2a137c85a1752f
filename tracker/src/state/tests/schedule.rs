//! Who is chosen for uploads, downloads and updates (native-client.md section 3).

use super::*;

const A: &str = "10.0.0.10";
const B: &str = "10.0.0.11";
const C: &str = "10.0.0.9";

/// Active storages, by id as text: A, B, C.
fn three(rules: Rules) -> (Sim, Vec<Session>) {
    Sim::with(rules, &[("group1", C, 50_000), ("group1", A, 50_000), ("group1", B, 50_000)])
}

#[test]
fn store_server() {
    let check = |store_server, expected: &[&str]| {
        let (mut sim, _sessions) = three(Rules { store_server, ..rules() });
        sim.member("group1", C).upload_priority = 1;
        let expected: Vec<_> = expected.iter().map(|ip| format!("{ip}/0")).collect();
        assert_eq!(sim.uploads(None, expected.len()), expected, "{store_server:?}");
    };
    check(StoreServer::RoundRobin, &[A, B, C, A, B]);
    check(StoreServer::First, &[A, A, A]);
    check(StoreServer::LowestPriority, &[C, C, C]);
}

#[test]
fn equal_priorities_give_the_first_by_id() {
    let (mut sim, _sessions) = three(Rules { store_server: StoreServer::LowestPriority, ..rules() });
    assert_eq!(sim.uploads(None, 2), [format!("{A}/0"), format!("{A}/0")]);
}

#[test]
fn store_lookup_round_robin_takes_groups_in_turn() {
    let storages = [("b", B, 50_000), ("a", A, 10_000), ("c", C, 50_000)];
    let (mut sim, _sessions) = Sim::with(rules(), &storages);
    assert_eq!(sim.uploads(None, 4), [A, B, C, A].map(|ip| format!("{ip}/0")));
    // A group that is full or offline is left out, and the turn goes on behind the one that was taken.
    let (mut sim, sessions) = Sim::with(rules(), &storages);
    sim.cluster.disconnected(&sessions[0]);
    assert_eq!(sim.uploads(None, 4), [A, C, A, C].map(|ip| format!("{ip}/0")));
    assert_eq!(sim.uploads(Some("b"), 1), ["2"]);
}

#[test]
fn store_lookup_fixed_takes_its_group_or_refuses() {
    let fixed = |group_name| Rules { store_lookup: StoreLookup::Fixed(group(group_name)), ..rules() };
    let storages = [("group1", A, 50_000), ("group2", B, 50_000)];
    let (mut sim, sessions) = Sim::with(fixed("group2"), &storages);
    assert_eq!(sim.uploads(None, 2), [B, B].map(|ip| format!("{ip}/0")));
    assert_eq!(sim.uploads(Some("group1"), 1), [format!("{A}/0")], "a named group goes before");
    sim.cluster.disconnected(&sessions[1]);
    assert_eq!(sim.uploads(None, 1), ["2"]);
    assert_eq!(Sim::with(fixed("nobody"), &storages).0.uploads(None, 1), ["2"]);
}

#[test]
fn store_lookup_most_free_follows_reports() {
    let most_free = Rules { store_lookup: StoreLookup::MostFree, ..rules() };
    let (mut sim, mut sessions) =
        Sim::with(most_free, &[("a", A, 30_000), ("b", B, 40_000), ("c", C, 40_000)]);
    assert_eq!(sim.uploads(None, 2), [B, B].map(|ip| format!("{ip}/0")), "the first of equal ones, always");
    sim.report(&mut sessions[0], &[60_000]);
    assert_eq!(sim.uploads(None, 1), [format!("{A}/0")]);
    sim.report(&mut sessions[0], &[500]);
    assert_eq!(sim.uploads(None, 1), [format!("{B}/0")]);
}

#[test]
fn without_groups_writable_storages_or_room_an_upload_is_refused() {
    assert_eq!(Sim::new(rules()).uploads(None, 1), ["2"]);
    assert_eq!(Sim::new(rules()).uploads(Some("group1"), 1), ["2"]);
    let (mut sim, mut sessions) = Sim::with(rules(), &[("group1", A, 1001)]);
    assert_eq!(sim.uploads(None, 1), [format!("{A}/0")]);
    sim.report(&mut sessions[0], &[1000]);
    assert_eq!(
        (sim.uploads(None, 1), sim.uploads(Some("group1"), 1)),
        (vec!["28".into()], vec!["28".into()])
    );
    sim.cluster.disconnected(&sessions[0]);
    assert_eq!((sim.uploads(None, 1), sim.uploads(Some("group1"), 1)), (vec!["2".into()], vec!["2".into()]));
}

#[test]
fn store_path() {
    let check = |store_path, free: &[i64], expected: &[u8]| {
        let mut sim = Sim::new(Rules { store_path, ..rules() });
        sim.active("group1", A, free);
        let expected: Vec<_> = expected.iter().map(|path| format!("{A}/{path}")).collect();
        assert_eq!(sim.uploads(None, expected.len()), expected, "{store_path:?} {free:?}");
    };
    check(StorePathChoice::RoundRobin, &[9000, 9000, 9000], &[0, 1, 2, 0]);
    // 1000 MB are kept of the group, so 333 of each of three paths.
    check(StorePathChoice::RoundRobin, &[9000, 333, 334], &[0, 2, 0, 2]);
    check(StorePathChoice::MostFree, &[4000, 9000, 9000], &[1, 1, 1]);
    check(StorePathChoice::MostFree, &[9000, 9000, 4000], &[0, 0]);
}

#[test]
fn a_storage_without_reported_paths_takes_nothing() {
    let mut sim = Sim::new(rules());
    let (mut session, _) = sim.join(A, &known("group1"));
    sim.beat(&mut session);
    sim.cluster.group_mut(group("group1")).unwrap().free_mb = 50_000;
    assert_eq!(sim.uploads(None, 1), ["2"]);
}

#[test]
fn a_query_of_all_lists_every_writable_storage_by_id() {
    let (mut sim, sessions) = three(rules());
    let all = |sim: &mut Sim| sim.cluster.query_store_all(None, CLIENT).map(|place| text(Ok(place.servers)));
    assert_eq!(all(&mut sim), Ok(format!("{A} {B} {C}")));
    sim.cluster.disconnected(&sessions[1]);
    assert_eq!(all(&mut sim), Ok(format!("{B} {C}")));
    assert_eq!(sim.cluster.query_store_all(Some(group("nobody")), CLIENT), Err(Status::ENOENT));
}

#[test]
fn who_may_serve_a_normal_file() {
    // Age of the file, and how far B's word goes beyond the file's time; who serves it (A made it).
    let check = |age: i64, synced: Option<i64>, expected: &str| {
        let (mut sim, _sessions) = Sim::with(rules(), &[("group1", A, 50_000), ("group1", B, 50_000)]);
        let time = sim.now - age;
        if let Some(ahead) = synced {
            sim.member("group1", B).synced_from.insert(id(A), i32::try_from(time + ahead).unwrap());
        }
        // The reference would go by this; but it may be about another maker's files.
        sim.member("group1", B).last_synced = sim.now;
        assert_eq!(sim.places(&normal(A, time)), expected, "age {age}, synced {synced:?}");
    };
    check(0, None, A);
    check(86_400, None, A);
    check(86_401, None, &format!("{A} {B}"));
    check(10, Some(1), &format!("{A} {B}"));
    check(10, Some(0), A);
    check(300, Some(0), A);
    check(301, Some(0), &format!("{A} {B}"));
    check(301, Some(-1), &format!("{A} {B}"));
    check(301, Some(-2), A);
}

#[test]
fn downloads_take_turns_among_those_that_have_the_file() {
    let (mut sim, sessions) = three(rules());
    let old = normal(A, sim.now - 90_000);
    assert_eq!(sim.downloads(&old, 4), [A, B, C, A]);
    sim.cluster.disconnected(&sessions[2]);
    assert_eq!(sim.downloads(&old, 3), [C, A, C]);
    // A new file is at its source only; once that is gone, whoever takes uploads is asked.
    let new = normal(B, sim.now);
    assert_eq!(sim.downloads(&new, 2), [A, A]);
    assert_eq!(sim.downloads(&normal(C, sim.now), 2), [C, C]);
}

#[test]
fn download_server_source_asks_the_source_first() {
    let (mut sim, sessions) = three(Rules { download_server: DownloadServer::Source, ..rules() });
    let old = normal(C, sim.now - 90_000);
    assert_eq!(sim.downloads(&old, 2), [C, C]);
    assert_eq!(sim.places(&old), format!("{A} {B} {C}"), "a query of all does not care");
    sim.cluster.disconnected(&sessions[0]);
    assert_eq!(sim.downloads(&old, 2), [A, B]);
}

#[test]
fn files_that_change_and_slaves_are_asked_of_their_source() {
    let (mut sim, sessions) = three(rules());
    let old = sim.now - 90_000;
    for name in [appender(C, old), slave(C, old), slave(C, sim.now)] {
        assert_eq!((sim.downloads(&name, 2), sim.places(&name)), (vec![C.to_owned(); 2], C.to_owned()));
    }
    sim.cluster.disconnected(&sessions[0]);
    for name in [appender(C, old), slave(C, old)] {
        assert_eq!((sim.downloads(&name, 2), sim.places(&name)), (vec![A.to_owned(); 2], A.to_owned()));
    }
}

#[test]
fn names_without_a_code_are_old_and_of_nobody() {
    let (mut sim, _sessions) = three(rules());
    let odd = FileName::new(b"M00/00/00/!!!!!!!!!!!!!!!!!!!!!!!!!!!.txt").unwrap();
    assert_eq!(sim.downloads(&odd, 4), [A, B, C, A]);
    assert_eq!(sim.places(&odd), format!("{A} {B} {C}"));
    let unknown = normal("10.9.9.9", sim.now);
    assert_eq!((sim.downloads(&unknown, 2), sim.places(&unknown)), (vec![A.to_owned(); 2], A.to_owned()));
}

#[test]
fn updates_go_to_the_source_or_take_an_upload_turn() {
    let (mut sim, sessions) = three(rules());
    let name = normal(C, sim.now);
    assert_eq!([sim.update(&name), sim.update(&name)], [C, C]);
    sim.cluster.disconnected(&sessions[0]);
    assert_eq!([sim.update(&name), sim.update(&name), sim.update(&name)], [A, B, A]);
    assert_eq!(sim.uploads(None, 1), [format!("{B}/0")], "updates of nobody's files use the same turn");
    let nobody = sim.cluster.query_update(group("nobody"), &name, CLIENT);
    assert_eq!(nobody, Err(Status::ENOENT));
}

#[test]
fn rw_modes_keep_storages_out_of_reads_or_writes() {
    let table = "1 group1 10.0.0.10 rw=read\n2 group1 10.0.0.11 rw=write\n3 group1 10.0.0.9 rw=none\n";
    let by_id = Rules { ids: ids(table), names: NameSource::Id, ..rules() };
    let (mut sim, _sessions) = three(by_id);
    assert_eq!(sim.uploads(None, 3), [B, B, B].map(|ip| format!("{ip}/0")));
    let old = wire(&logic_name(Source::Id(2), sim.now - 90_000, SizeField::normal(1, 0)));
    assert_eq!((sim.downloads(&old, 2), sim.places(&old)), (vec![A.to_owned(); 2], A.to_owned()));
    // The source of a new file does not serve reads, and the upload server does not either: who does is asked.
    let new = wire(&logic_name(Source::Id(2), sim.now, SizeField::normal(1, 0)));
    assert_eq!((sim.downloads(&new, 1), sim.places(&new)), (vec![A.to_owned()], A.to_owned()));
    assert_eq!(sim.update(&old), B);
    let record = sim.cluster.group_record(sim.cluster.group(group("group1")).unwrap());
    assert_eq!((record.storage_count, record.readable_count, record.writable_count), (3, 1, 1));
}

#[test]
fn ids_in_names_find_their_storage_and_two_addresses_are_chosen_by_kind() {
    let table = "100001 group1 192.168.1.5,1.2.3.4\n100002 group1 10.0.0.11\n";
    let (mut sim, _sessions) = Sim::with(
        Rules { ids: ids(table), names: NameSource::Id, ..rules() },
        &[("group1", "192.168.1.5", 50_000), ("group1", B, 50_000)],
    );
    let new = wire(&logic_name(Source::Id(100_001), sim.now, SizeField::normal(1, 0)));
    let ask = |sim: &mut Sim, from: &str| {
        let server = sim.cluster.query_fetch(group("group1"), &new, ip(from), sim.now);
        server.unwrap().ip.to_string()
    };
    assert_eq!(ask(&mut sim, "192.168.1.77"), "192.168.1.5");
    assert_eq!(ask(&mut sim, "8.8.8.8"), "1.2.3.4");
    assert_eq!(ask(&mut sim, "10.0.0.1"), "192.168.1.5");
}

#[test]
fn of_members_that_may_lack_a_file_the_one_with_most_of_its_maker_is_asked() {
    let (mut sim, sessions) = three(rules());
    sim.cluster.disconnected(&sessions[1]);
    let time = i32::try_from(sim.now).unwrap();
    sim.member("group1", B).synced_from.extend([(id(A), time - 50), (id(C), time)]);
    sim.member("group1", C).synced_from.extend([(id(A), time - 9)]);
    for name in [normal(A, sim.now), appender(A, sim.now), slave(A, sim.now)] {
        assert_eq!((sim.downloads(&name, 2), sim.places(&name)), (vec![C.to_owned(); 2], C.to_owned()));
    }
    sim.cluster.disconnected(&sessions[0]);
    assert_eq!(sim.downloads(&normal(A, sim.now), 2), [B, B]);
    sim.cluster.disconnected(&sessions[2]);
    assert_eq!(sim.downloads(&normal(A, sim.now), 1), ["2"]);
}

#[test]
fn names_of_an_old_address_belong_to_whoever_moved_from_it() {
    const D: &str = "10.0.0.7";
    let (mut sim, sessions) = three(rules());
    sim.cluster.disconnected(&sessions[1]);
    let mover = sim.connect(D);
    sim.cluster.ip_changed(&mover, group("group1"), ip(A), ip(D), sim.now).unwrap();
    let _moved = sim.active("group1", D, &[50_000]);
    assert_eq!(sim.places(&normal(A, sim.now)), D);
    let groups = sim.cluster.groups().to_vec();
    sim.cluster = Cluster::restore(rules(), groups, sim.cluster.changelog().to_vec());
    assert_eq!(sim.places(&normal(A, sim.now)), D, "a restart reads it in the changelog");
}

proptest::proptest! {
    /// Whatever the pairs are: who is named made the file, or has newer ones of its maker, or it is older than any
    /// replication takes; and nobody who has it is left out for somebody who has not.
    #[test]
    fn nobody_is_named_who_may_lack_a_file_while_another_has_it(
        pairs in proptest::collection::vec(-400..400_i64, 16),
        up in proptest::collection::vec(proptest::bool::weighted(0.7), 4),
        maker in 0..5_usize,
        age in proptest::prop_oneof![0..400_i64, 86_000..87_000_i64],
        last_synced in -400..400_i64,
        by_source in proptest::bool::ANY,
    ) {
        const ALL: [&str; 4] = ["10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13"];
        let download_server = if by_source { DownloadServer::Source } else { DownloadServer::RoundRobin };
        let storages = ALL.map(|ip| ("group1", ip, 50_000));
        let (mut sim, sessions) = Sim::with(Rules { download_server, ..rules() }, &storages);
        let time = sim.now - age;
        for (to, ip) in ALL.iter().enumerate() {
            for (from, other) in ALL.iter().enumerate().filter(|(from, _)| *from != to) {
                let newest = i32::try_from(time + pairs[4 * to + from]).unwrap();
                sim.member("group1", ip).synced_from.insert(id(other), newest);
            }
            sim.member("group1", ip).last_synced = time + last_synced;
            if !up[to] {
                sim.cluster.disconnected(&sessions[to]);
            }
        }
        let name = normal(ALL.get(maker).copied().unwrap_or("10.9.9.9"), time);
        let surely_has = |to: usize| {
            let synced = if maker < ALL.len() { pairs[4 * to + maker] } else { last_synced };
            to == maker || age > 86_400 || synced > 0 || (synced >= -1 && age > 300)
        };
        let sure: Vec<&str> = (0..ALL.len()).filter(|&to| up[to] && surely_has(to)).map(|to| ALL[to]).collect();
        let named = sim.places(&name);
        let single = sim.downloads(&name, 4);
        if !up.contains(&true) {
            proptest::prop_assert_eq!(named, "2");
        } else if sure.is_empty() {
            proptest::prop_assert!(up[ALL.iter().position(|ip| *ip == named).unwrap()], "{}", named);
        } else {
            proptest::prop_assert_eq!(named, sure.join(" "));
            proptest::prop_assert!(single.iter().all(|ip| sure.contains(&ip.as_str())), "{:?} of {:?}", single, sure);
        }
    }
}

/// Storages that have said where they serve HTTP are fdfs.
fn speaks_http(sim: &mut Sim, group_name: &str, storage: &str) {
    let report = protocol::cluster::ReplicationReport { http_url: "http://x/".into(), senders: Vec::new() };
    sim.member(group_name, storage).reported = Some(Reported { report, at: T0 });
}

fn placed(sim: &mut Sim, size_mb: u64, door: Door) -> String {
    match sim.cluster.place(&Wanted { group: None, size: size_mb << 20, door }) {
        Ok(placed) => format!("{}/{}/{}", placed.group, placed.storage, placed.store_path.0),
        Err(status) => status.0.to_string(),
    }
}

#[test]
fn an_upload_of_a_known_size_goes_where_that_fits() {
    let mut sim = Sim::new(rules());
    let mut sessions =
        vec![sim.active("group1", "10.0.0.1", &[3000, 3000]), sim.active("group2", "10.0.0.2", &[500, 9000])];
    sessions.push(sim.active("group3", "10.0.0.3", &[1500, 1500]));
    // The reserve of 1000 MB is shared by the two store paths of each.
    for (size_mb, expected) in [
        (5000, ["group2/10.0.0.2/1", "group2/10.0.0.2/1"]),
        (2499, ["group1/10.0.0.1/0", "group2/10.0.0.2/1"]),
        (2500, ["group2/10.0.0.2/1", "group2/10.0.0.2/1"]),
        (8500, ["28", "28"]),
        (u64::MAX >> 20, ["28", "28"]),
    ] {
        let found = [placed(&mut sim, size_mb, Door::Native), placed(&mut sim, size_mb, Door::Native)];
        assert_eq!(found, expected, "{size_mb} MB");
    }
    assert_eq!(sessions.len(), 3);
}

#[test]
fn uploads_over_http_go_to_members_of_fdfs() {
    let storages = [("group1", "10.0.0.1", 5000), ("group1", "10.0.0.2", 5000), ("group2", "10.0.0.3", 5000)];
    let (mut sim, _sessions) = Sim::with(rules(), &storages);
    assert_eq!(placed(&mut sim, 0, Door::Http), "2", "nobody has said anything");
    assert_eq!(placed(&mut sim, 0, Door::Either), "group1/10.0.0.1/0");
    speaks_http(&mut sim, "group1", "10.0.0.2");
    for _ in 0..2 {
        assert_eq!(placed(&mut sim, 0, Door::Http), "group1/10.0.0.2/0");
    }
    let mut found: Vec<_> = (0..2).map(|_| placed(&mut sim, 0, Door::Either)).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        ["group1/10.0.0.2/0", "group2/10.0.0.3/0"],
        "a group without such a member still takes its turn"
    );
    let changer =
        |sim: &mut Sim, door| sim.cluster.choose_changer(group("group1"), &normal("10.0.0.1", T0), door);
    assert_eq!(changer(&mut sim, Door::Native), Ok(id("10.0.0.1")), "the source");
    assert_eq!(changer(&mut sim, Door::Http), Ok(id("10.0.0.2")));
}

#[test]
fn a_mode_counts_at_once_and_after_a_restart_until_it_is_what_the_table_says() {
    use protocol::config::storage_ids::RwMode;
    let storages = [("group1", "10.0.0.1", 5000), ("group1", "10.0.0.2", 5000)];
    let (mut sim, _sessions) = Sim::with(rules(), &storages);
    let (name, first) = (group("group1"), id("10.0.0.1"));
    sim.cluster.set_mode(name, &first, RwMode::Read).unwrap();
    assert_eq!(sim.uploads(None, 2), ["10.0.0.2/0", "10.0.0.2/0"]);
    assert!(sim.cluster.is_urgent());
    let mode = |cluster: &Cluster| cluster.group(name).and_then(|group| group.member(&first)).unwrap().rw;
    assert_eq!(mode(&reread(&sim.cluster)), RwMode::Read);
    let _again = sim.active("group1", "10.0.0.1", &[5000]);
    assert_eq!(mode(&sim.cluster), RwMode::Read, "a join does not change it");
    sim.cluster.set_mode(name, &first, RwMode::Both).unwrap();
    assert_eq!(sim.member("group1", "10.0.0.1").rw_set, None);
    assert_eq!(sim.cluster.set_mode(name, &id("10.0.0.9"), RwMode::Both), Err(Status::ENOENT));
}

#[test]
fn holders_of_young_and_of_changing_files() {
    let storages = [("group1", "10.0.0.1", 5000), ("group1", "10.0.0.2", 5000), ("group1", "10.0.0.3", 5000)];
    let (mut sim, _sessions) = Sim::with(rules(), &storages);
    let young = T0 - 100;
    sim.member("group1", "10.0.0.2").synced_from.insert(id("10.0.0.1"), i32::try_from(young + 5).unwrap());
    sim.member("group1", "10.0.0.3").synced_from.insert(id("10.0.0.1"), i32::try_from(young - 5).unwrap());
    let has = |sim: &Sim, name: &FileName| {
        let holders = sim.cluster.holders(group("group1"), name, sim.now).unwrap();
        holders.iter().map(|holder| holder.has).collect::<Vec<_>>()
    };
    assert_eq!(has(&sim, &normal("10.0.0.1", young)), [Has::Yes, Has::Yes, Has::NotYet]);
    assert_eq!(has(&sim, &appender("10.0.0.1", young)), [Has::Yes, Has::Unknown, Has::NotYet]);
    assert_eq!(has(&sim, &normal("10.0.0.9", young)), [Has::Unknown; 3], "its maker is no member");
    sim.now += 2 * 86_400;
    assert_eq!(has(&sim, &normal("10.0.0.9", young)), [Has::Yes; 3]);
    sim.member("group1", "10.0.0.3").status = StorageStatus::OFFLINE;
    assert_eq!(has(&sim, &normal("10.0.0.1", young)), [Has::Yes, Has::Yes, Has::NotYet]);
    sim.member("group1", "10.0.0.2").status = StorageStatus::SYNCING;
    assert_eq!(has(&sim, &normal("10.0.0.1", young))[1], Has::Unknown);
}
