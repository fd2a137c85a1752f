//! The tests of space, and what groups and storages are said to have.

use super::*;

const A: &str = "10.0.0.10";
const B: &str = "10.0.0.11";

#[test]
fn a_group_has_as_much_room_as_its_fullest_member() {
    let (mut sim, mut sessions) = Sim::with(rules(), &[("group1", A, 5000), ("group1", B, 3000)]);
    let free = |sim: &Sim| sim.cluster.group(group("group1")).unwrap().free_mb;
    assert_eq!(free(&sim), 3000);
    sim.report(&mut sessions[0], &[2000]);
    assert_eq!(free(&sim), 2000);
    sim.report(&mut sessions[0], &[9000]);
    assert_eq!(free(&sim), 3000);
}

#[test]
fn reserves_are_sizes_or_shares_and_the_tests_are_strict() {
    let check = |reserved, free: i64, expected: &str| {
        let (mut sim, _sessions) = Sim::with(Rules { reserved, ..rules() }, &[("group1", A, free)]);
        assert_eq!(sim.uploads(None, 1), [expected], "{reserved:?}, {free} free");
    };
    let place = format!("{A}/0");
    check(ReservedSpace::Megabytes(1000), 1001, &place);
    check(ReservedSpace::Megabytes(1000), 1000, "28");
    check(ReservedSpace::Megabytes(0), 1, &place);
    check(ReservedSpace::Megabytes(0), 0, "28");
    check(ReservedSpace::Percent(20.0), 20_001, &place);
    check(ReservedSpace::Percent(20.0), 20_000, "28");
}

#[test]
fn free_slots_of_trunk_files_count_where_trunk_files_are_used() {
    let check = |use_trunk_file, trunk_free_mb, expected: &str| {
        let trunk = Rules { use_trunk_file, store_server: StoreServer::First, ..rules() };
        let (mut sim, _sessions) = Sim::with(trunk, &[("group1", A, 900)]);
        sim.cluster.group_mut(group("group1")).unwrap().trunk_free_mb = trunk_free_mb;
        assert_eq!(sim.uploads(None, 1), [expected], "{use_trunk_file:?} {trunk_free_mb}");
        assert_eq!(sim.uploads(Some("group1"), 1), [expected], "{use_trunk_file:?} {trunk_free_mb}");
    };
    check(TrunkMode::On, 101, "10.0.0.10/0");
    check(TrunkMode::On, 100, "28");
    check(TrunkMode::Off, 101, "28");
}

#[test]
fn records_say_what_was_reported() {
    let (sim, _sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
    let group = sim.cluster.group(group("group1")).unwrap();
    let record = sim.cluster.group_record(group);
    assert_eq!((record.total_mb, record.free_mb, record.reserved_mb), (100_000, 5000, 1000));
    assert_eq!((record.storage_port, record.trunk_file_id), (23_000, -1));
    let statistics = sim.cluster.group_statistics(group);
    assert_eq!((statistics.available_mb, statistics.disk_available), (4000, 1));
    let member = sim.cluster.storage_record(group, &group.members[0], CLIENT);
    assert_eq!((member.status, member.rw_mode, member.port), (StorageStatus::ACTIVE, 6, 23_000));
    assert_eq!((member.stats.last_heart_beat_time, member.ip), (T0, Some(ip(A))));
}
