//! How storages come, stay, go silent and go (native-cluster.md sections 1, 2 and 8).

use protocol::cluster::{Brief, SyncSource};

use super::*;

const A: &str = "10.0.0.10";
const B: &str = "10.0.0.11";
const C: &str = "10.0.0.9";

#[test]
fn a_new_member_is_filled_by_an_active_one_and_then_serves() {
    let (mut sim, mut sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
    let (mut new, answer) = sim.join(B, &fresh("group1"));
    assert_eq!(answer.unwrap().status, StorageStatus::INIT);
    sim.now += 5;
    let told = sim.cluster.sync_dest_request(&new).unwrap().unwrap();
    assert_eq!(told, SyncSource { source: Some(id(A)), until: known("group1").join_time });
    sim.cluster.sync_notify(&new, &told).unwrap();
    assert_eq!(sim.status("group1", B), StorageStatus::WAIT_SYNC);
    let news = sim.beat(&mut new).members.unwrap();
    assert_eq!(
        news.iter().map(|brief| (brief.id.unwrap().to_string(), brief.status)).collect::<Vec<_>>(),
        [(A.to_owned(), StorageStatus::ACTIVE), (B.to_owned(), StorageStatus::WAIT_SYNC)]
    );
    assert_eq!(sim.status("group1", B), StorageStatus::WAIT_SYNC, "a beat does not end the filling");
    assert_eq!(sim.beat(&mut sessions[0]).members.unwrap().len(), 2);
    assert_eq!(sim.beat(&mut sessions[0]).members, None, "told once");
    assert_eq!(sim.cluster.sync_source(group("group1"), &id(B), ip(A)), Ok(Some(told)));
    assert_eq!(sim.cluster.sync_source(group("group1"), &id(A), ip(A)), Ok(None));
    for status in [StorageStatus::SYNCING, StorageStatus::OFFLINE] {
        let brief = Brief { status, id: Some(id(B)), ..Brief::NONE };
        sim.cluster.report_status(group("group1"), &brief, ip(A)).unwrap();
        assert_eq!(sim.status("group1", B), status);
    }
    sim.beat(&mut new);
    assert_eq!(sim.status("group1", B), StorageStatus::ACTIVE);
}

#[test]
fn the_first_member_of_a_group_needs_nobody() {
    let mut sim = Sim::new(rules());
    let (mut session, answer) = sim.join(A, &fresh("group1"));
    assert_eq!(answer.unwrap().status, StorageStatus::INIT);
    assert_eq!(sim.cluster.sync_dest_request(&session), Ok(None));
    assert_eq!(sim.status("group1", A), StorageStatus::ONLINE);
    sim.beat(&mut session);
    assert_eq!(sim.status("group1", A), StorageStatus::ACTIVE);
}

#[test]
fn a_new_member_waits_while_no_member_is_active() {
    let (mut sim, sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
    sim.cluster.disconnected(&sessions[0]);
    let (session, _) = sim.join(B, &fresh("group1"));
    assert_eq!(sim.cluster.sync_dest_request(&session), Err(Status::ENOENT));
}

#[test]
fn what_a_join_makes_of_a_status() {
    use StorageStatus as S;
    // Status of the record before, if there is one; what the storage says; the answer.
    let check = |before: Option<S>, is_new: u8, says: Option<S>, expected: Result<S, Status>| {
        let mut sim = Sim::new(rules());
        sim.active("group1", C, &[5000]);
        if let Some(before) = before {
            sim.active("group1", A, &[5000]);
            sim.member("group1", A).status = before;
        }
        let (_, answer) = sim.join(A, &Join { is_new, status: says, ..known("group1") });
        assert_eq!(answer.map(|answer| answer.status), expected, "{before:?} {is_new} {says:?}");
    };
    check(None, 1, Some(S::INIT), Ok(S::INIT));
    check(None, 1, None, Ok(S::INIT));
    check(None, 0, Some(S::INIT), Ok(S::INIT));
    check(None, 0, Some(S::ACTIVE), Ok(S::ONLINE));
    check(None, 0, Some(S::WAIT_SYNC), Ok(S::WAIT_SYNC));
    check(None, 0, None, Err(Status::EFAULT));
    check(None, 0, Some(S::DELETED), Err(Status::EFAULT));
    check(None, 0, Some(S::IP_CHANGED), Err(Status::EFAULT));
    check(None, 0, Some(S::NONE), Err(Status::EFAULT));
    check(Some(S::OFFLINE), 0, Some(S::ACTIVE), Ok(S::ONLINE));
    check(Some(S::RECOVERY), 0, Some(S::ACTIVE), Ok(S::ONLINE));
    check(Some(S::ACTIVE), 0, Some(S::ACTIVE), Ok(S::ACTIVE));
    check(Some(S::WAIT_SYNC), 0, Some(S::ACTIVE), Ok(S::WAIT_SYNC));
    check(Some(S::DELETED), 0, Some(S::ACTIVE), Ok(S::INIT));
    check(Some(S::IP_CHANGED), 1, Some(S::ACTIVE), Ok(S::INIT));
}

#[test]
fn what_a_beat_makes_of_a_status() {
    use StorageStatus as S;
    for (before, after) in [
        (S::INIT, S::INIT),
        (S::WAIT_SYNC, S::WAIT_SYNC),
        (S::SYNCING, S::SYNCING),
        (S::IP_CHANGED, S::IP_CHANGED),
        // The reference revives it, and its peers go on without its marks; here a delete stays.
        (S::DELETED, S::DELETED),
        (S::OFFLINE, S::ACTIVE),
        (S::ONLINE, S::ACTIVE),
        (S::ACTIVE, S::ACTIVE),
        (S::RECOVERY, S::ACTIVE),
    ] {
        let (mut sim, mut sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
        sim.member("group1", A).status = before;
        sim.beat(&mut sessions[0]);
        assert_eq!(sim.status("group1", A), after, "{before}");
    }
}

#[test]
fn what_the_end_of_a_connection_makes_of_a_status() {
    use StorageStatus as S;
    for (before, after) in [
        (S::INIT, S::INIT),
        (S::WAIT_SYNC, S::WAIT_SYNC),
        (S::SYNCING, S::SYNCING),
        (S::DELETED, S::DELETED),
        (S::OFFLINE, S::OFFLINE),
        (S::ONLINE, S::OFFLINE),
        (S::ACTIVE, S::OFFLINE),
        (S::RECOVERY, S::RECOVERY),
    ] {
        let (mut sim, sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
        sim.member("group1", A).status = before;
        sim.cluster.disconnected(&sessions[0]);
        assert_eq!((sim.status("group1", A), sim.member("group1", A).up_time), (after, 0), "{before}");
    }
}

#[test]
fn silence_makes_an_active_storage_offline_until_it_beats_again() {
    let (mut sim, mut sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
    sim.now += 100;
    sim.cluster.check_alive(sim.now);
    assert_eq!(sim.status("group1", A), StorageStatus::ACTIVE);
    sim.now += 1;
    // Reports of space are no heart beats.
    sim.report(&mut sessions[0], &[5000]);
    sim.cluster.check_alive(sim.now);
    assert_eq!(sim.status("group1", A), StorageStatus::OFFLINE);
    assert_eq!(sim.uploads(None, 1), ["2"]);
    sim.beat(&mut sessions[0]);
    assert_eq!(sim.status("group1", A), StorageStatus::ACTIVE);
    assert_eq!(sim.uploads(None, 1), [format!("{A}/0")]);
}

#[test]
fn an_old_connection_that_ends_late_hurts_nobody() {
    let (mut sim, sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
    let _again = sim.active("group1", A, &[5000]);
    sim.cluster.disconnected(&sessions[0]);
    assert_eq!(sim.status("group1", A), StorageStatus::ACTIVE);
}

#[test]
fn a_connection_that_joins_twice_leaves_nobody_behind() {
    let table = "1 group1 10.0.0.10\n2 group1 10.0.0.11\n";
    let mut sim = Sim::new(Rules { ids: ids(table), ..rules() });
    let (mut session, answer) = sim.join(A, &Join { id: Some(id("1")), ..known("group1") });
    answer.unwrap();
    sim.beat(&mut session);
    let second = Join { id: Some(id("2")), ..known("group1") };
    sim.cluster.join(&mut session, &second, sim.now).unwrap();
    assert_eq!(sim.status("group1", "1"), StorageStatus::OFFLINE);
    sim.beat(&mut session);
    sim.cluster.disconnected(&session);
    assert_eq!(sim.status("group1", "2"), StorageStatus::OFFLINE);
}

#[test]
fn joins_that_do_not_fit_are_refused_and_leave_no_group() {
    let check = |change: fn(&mut Join), expected: Status| {
        let (mut sim, _sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
        let mut join = known("group1");
        change(&mut join);
        assert_eq!(sim.join(B, &join).1, Err(expected), "{join:?}");
        assert_eq!(sim.cluster.groups().len(), 1);
        assert_eq!(sim.cluster.groups()[0].members.len(), 1);
    };
    check(|join| join.trackers[0].port = 22123, Status::ENOENT);
    check(|join| join.port = 23001, Status::EINVAL);
    check(|join| join.subdir_count = 4, Status::EINVAL);
    check(|join| join.status = None, Status::EFAULT);
    check(
        |join| {
            join.group = group("other");
            join.status = None;
        },
        Status::EFAULT,
    );
}

#[test]
fn ids_decide_who_a_storage_is() {
    let table = "1 group1 10.0.0.10\n2 group2 10.0.0.11\n";
    let check = |trust, from: &str, group_name: &str, says: Option<&str>, expected: Result<&str, Status>| {
        let mut sim = Sim::new(Rules { ids: ids(table), trust_storage_id: trust, ..rules() });
        let (session, answer) = sim.join(from, &Join { id: says.map(id), ..known(group_name) });
        let joined = answer.map(|_| session.joined.unwrap().1);
        assert_eq!(joined, expected.map(id), "{trust:?} {from} {group_name} {says:?}");
    };
    check(IdTrust::Trusted, "10.9.9.9", "group1", Some("1"), Ok("1"));
    check(IdTrust::Trusted, A, "group1", None, Ok("1"));
    check(IdTrust::ByAddress, A, "group1", Some("2"), Ok("1"));
    check(IdTrust::Trusted, A, "group2", Some("1"), Err(Status::EINVAL));
    check(IdTrust::Trusted, A, "group1", Some("9"), Err(Status::ENOENT));
    check(IdTrust::ByAddress, "10.9.9.9", "group1", Some("1"), Err(Status::ENOENT));
    check(IdTrust::Trusted, B, "group1", None, Err(Status::ENOENT));
}

#[test]
fn members_with_ids_in_names_may_differ_in_their_ports() {
    let table = "1 group1 10.0.0.10:23000\n2 group1 10.0.0.11:23001\n";
    let mut sim = Sim::new(Rules { ids: ids(table), names: NameSource::Id, ..rules() });
    sim.active("group1", A, &[5000]);
    let (_, answer) = sim.join(B, &Join { port: 23001, ..known("group1") });
    answer.unwrap();
    assert_eq!(sim.cluster.groups()[0].wire_port(), -1);
}

#[test]
fn a_member_with_more_store_paths_than_its_group_is_heard() {
    let (mut sim, _sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
    let mut more = sim.active("group1", B, &[5000, 6000]);
    assert_eq!(sim.cluster.groups()[0].store_path_count, 1);
    assert_eq!(sim.cluster.disk_usage(&mut more, &[PathSpace::default(); 3]), Err(Status::EINVAL));
    let (_, fewer) = sim.join(A, &Join { store_path_count: 2, ..known("group1") });
    fewer.unwrap();
    assert_eq!(sim.cluster.groups()[0].store_path_count, 2, "all have two now");
    assert_eq!(sim.join(A, &known("group1")).1, Err(Status::EINVAL));
}

#[test]
fn nobody_who_has_not_joined_is_heard() {
    let mut sim = Sim::new(rules());
    let mut stranger = sim.connect(A);
    let now = sim.now;
    let none = SyncSource { source: None, until: 0 };
    assert_eq!(sim.cluster.beat(&mut stranger, None, now), Err(Status::EACCES));
    assert_eq!(sim.cluster.disk_usage(&mut stranger, &[]), Err(Status::EACCES));
    assert_eq!(sim.cluster.sync_report(&mut stranger, &[]), Err(Status::EACCES));
    assert_eq!(sim.cluster.sync_dest_request(&stranger), Err(Status::EACCES));
    assert_eq!(sim.cluster.sync_dest_query(&stranger), Err(Status::EACCES));
    assert_eq!(sim.cluster.sync_notify(&stranger, &none), Err(Status::EACCES));
    assert_eq!(sim.cluster.change_status(&stranger, StorageStatus::ACTIVE), Err(Status::EACCES));
}

#[test]
fn last_synced_is_the_least_of_active_sources_or_the_most_ever_seen() {
    let check = |store_server, reports: &[[(&str, i32); 2]], expected: i64| {
        let storages = [("group1", A, 5000), ("group1", B, 5000), ("group1", C, 5000)];
        let (mut sim, mut sessions) = Sim::with(Rules { store_server, ..rules() }, &storages);
        for report in reports {
            let report = report.map(|(source, time)| (id(source), time));
            sim.cluster.sync_report(&mut sessions[0], &report).unwrap();
        }
        assert_eq!(sim.member("group1", A).last_synced, expected, "{store_server:?} {reports:?}");
    };
    check(StoreServer::RoundRobin, &[[(B, 7), (C, 5)]], 5);
    check(StoreServer::RoundRobin, &[[(B, 7), (C, 0)]], 7);
    check(StoreServer::RoundRobin, &[[(B, 7), (A, 1)]], 7);
    check(StoreServer::RoundRobin, &[[(B, 7), ("10.9.9.9", 1)]], 7);
    check(StoreServer::First, &[[(B, 7), (C, 5)]], 7);
    check(StoreServer::First, &[[(B, 7), (C, 5)], [(B, 3), (C, 5)]], 7);
}

#[test]
fn told_statuses_are_merged_by_rule() {
    use StorageStatus as S;
    for (before, told, after) in [
        (S::INIT, S::SYNCING, S::INIT),
        (S::ONLINE, S::DELETED, S::ONLINE),
        (S::ACTIVE, S::OFFLINE, S::ACTIVE),
        (S::RECOVERY, S::ACTIVE, S::RECOVERY),
        (S::WAIT_SYNC, S::SYNCING, S::SYNCING),
        (S::SYNCING, S::WAIT_SYNC, S::SYNCING),
        (S::SYNCING, S::OFFLINE, S::OFFLINE),
        (S::OFFLINE, S::RECOVERY, S::RECOVERY),
        (S::OFFLINE, S::DELETED, S::DELETED),
        (S::WAIT_SYNC, S::NONE, S::WAIT_SYNC),
    ] {
        let (mut sim, _sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
        sim.member("group1", A).status = before;
        let brief = Brief { status: told, id: Some(id(A)), ..Brief::NONE };
        sim.cluster.report_status(group("group1"), &brief, ip(B)).unwrap();
        assert_eq!(sim.status("group1", A), after, "{before} told {told}");
    }
}

#[test]
fn a_storage_is_deleted_once_it_is_out_of_service() {
    let (mut sim, mut sessions) = Sim::with(rules(), &[("group1", A, 5000), ("group1", B, 5000)]);
    let g = group("group1");
    sim.member("group1", B).source = Some(id(A));
    assert_eq!(sim.cluster.delete_storage(g, &id(C), sim.now), Err(Status::ENOENT));
    assert_eq!(sim.cluster.delete_storage(group("other"), &id(A), sim.now), Err(Status::ENOENT));
    assert_eq!(sim.cluster.delete_storage(g, &id(A), sim.now), Err(Status::EBUSY));
    sim.cluster.disconnected(&sessions[0]);
    assert_eq!(sim.cluster.delete_storage(g, &id(A), sim.now), Ok(()));
    assert_eq!(sim.cluster.delete_storage(g, &id(A), sim.now), Err(Status::EALREADY));
    assert_eq!(sim.member("group1", B).source, None);
    let told = sim.beat(&mut sessions[1]).members.unwrap();
    assert!(told.iter().any(|brief| brief.id == Some(id(A)) && brief.status == StorageStatus::DELETED));
    let log = sim.cluster.changelog_for(g, &id(B)).unwrap();
    assert_eq!(String::from_utf8(log).unwrap(), format!("{T0} group1 {A} 4 \n"));
    assert_eq!(sim.cluster.changelog_for(g, &id(B)), Ok(Vec::new()), "read once");
    assert_eq!(sim.cluster.delete_group(g), Err(Status::EBUSY));
    assert_eq!(sim.cluster.delete_group(group("other")), Err(Status::ENOENT));
    let mut without_live_members = sim.cluster.groups().to_vec();
    without_live_members[0].members.retain(Member::is_gone);
    let mut gone = Cluster::restore(rules(), without_live_members, Vec::new());
    assert_eq!(gone.delete_group(g), Ok(()), "tombstones do not keep a group");
    // It comes back as a new member that has read the log to its end.
    let (_, answer) = sim.join(A, &known("group1"));
    assert_eq!(answer.unwrap().status, StorageStatus::INIT);
    assert_eq!(sim.cluster.changelog_for(g, &id(A)), Ok(Vec::new()));
}

#[test]
fn a_storage_moves_to_another_address() {
    let (mut sim, sessions) = Sim::with(rules(), &[("group1", A, 5000), ("group1", B, 5000)]);
    let g = group("group1");
    let mover = sim.connect(C);
    let moved = |sim: &mut Sim, old, new| sim.cluster.ip_changed(&mover, g, ip(old), ip(new), T0);
    assert_eq!(moved(&mut sim, A, B), Err(Status::EINVAL), "only to the address that asks");
    assert_eq!(moved(&mut sim, "10.9.9.9", C), Err(Status::ENOENT));
    assert_eq!(moved(&mut sim, A, C), Err(Status::EBUSY));
    sim.cluster.disconnected(&sessions[0]);
    sim.member("group1", B).source = Some(id(A));
    assert_eq!(moved(&mut sim, A, C), Ok(()));
    assert_eq!(sim.status("group1", A), StorageStatus::IP_CHANGED);
    assert_eq!(sim.status("group1", C), StorageStatus::OFFLINE);
    assert_eq!(sim.member("group1", B).source, Some(id(C)));
    assert_eq!(moved(&mut sim, A, C), Err(Status::EALREADY));
    assert!(sim.cluster.changelog().ends_with(format!("{T0} group1 {A} 3 {C}\n").as_bytes()));
}

#[test]
fn counts_of_groups_and_members_are_limited() {
    let mut sim = Sim::new(rules());
    for number in 0..32 {
        sim.join(&format!("10.0.1.{number}"), &known("group1")).1.unwrap();
    }
    assert_eq!(sim.join("10.0.1.99", &known("group1")).1, Err(Status::ENOSPC));
    for number in 1..512 {
        sim.join(A, &known(&format!("g{number}"))).1.unwrap();
    }
    assert_eq!(sim.join(A, &known("onemore")).1, Err(Status::ENOSPC));
}
