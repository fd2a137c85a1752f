//! What members tell of their senders, and what others are told of it.

use protocol::cluster::{ReplicationReport, SenderReport, SenderState};

use super::*;

const A: &str = "10.0.0.10";
const B: &str = "10.0.0.11";

fn report(files_to_go: i64) -> ReplicationReport {
    let sender = SenderReport {
        peer: id(B),
        state: SenderState::BEHIND,
        lag_seconds: 3,
        files_to_go,
        bytes_to_go: 40,
        per_second: 1,
        dead_letters: 0,
        binlog_index: 0,
        binlog_offset: 8,
    };
    ReplicationReport { http_url: "http://10.0.0.10:8888".into(), senders: vec![sender] }
}

#[test]
fn what_a_member_reports_is_told_and_grows_older() {
    let (mut sim, mut sessions) = Sim::with(rules(), &[("group1", A, 5000), ("group1", B, 5000)]);
    let stranger = sim.connect(A);
    assert_eq!(sim.cluster.replication_report(&stranger, &report(1), sim.now), Err(Status::EACCES));
    assert_eq!(sim.cluster.replication(group("nobody"), sim.now), Err(Status::ENOENT));
    let asked = |sim: &Sim| sim.cluster.replication(group("group1"), sim.now).unwrap().0;
    assert_eq!(asked(&sim), []);
    sim.cluster.snapshot_taken();
    for (files, lag) in [(2, 8), (0, 3)] {
        sim.cluster.replication_report(&sessions[0], &report(files), sim.now).unwrap();
        sim.now += 5;
        let told = asked(&sim);
        assert_eq!((told[0].0, told[0].1.senders[0].lag_seconds), (id(A), lag), "{files} files to go");
    }
    assert!(!sim.cluster.is_dirty(), "it is not kept on disk");
    let pairs = sim.cluster.group(group("group1")).unwrap().pairs(sim.now);
    let short: Vec<_> = pairs.iter().map(|pair| (pair.source, pair.destination, pair.lag_seconds)).collect();
    assert_eq!(short, [(id(A), id(B), Some(3)), (id(B), id(A), Some(0))]);
    // Who joins again may be FastDFS now.
    sessions[0] = sim.active("group1", A, &[5000]);
    assert_eq!(asked(&sim), []);
}

#[test]
fn without_reports_timestamps_tell_the_lag() {
    let (mut sim, mut sessions) = Sim::with(rules(), &[("group1", A, 5000), ("group1", B, 5000)]);
    let lag = |sim: &Sim| sim.cluster.group(group("group1")).unwrap().pairs(sim.now)[0].lag_seconds;
    assert_eq!(lag(&sim), Some(0), "it has written nothing");
    sim.member("group1", A).stats.last_source_update = T0;
    assert_eq!(lag(&sim), None, "nobody has said anything");
    for (newest, expected) in [(T0 - 9, 9), (T0 + 1, 0)] {
        let received = [(id(A), i32::try_from(newest).unwrap()), (id(B), 0)];
        sim.cluster.sync_report(&mut sessions[1], &received).unwrap();
        assert_eq!(lag(&sim), Some(expected));
    }
}

#[test]
fn a_restarted_storage_still_has_what_it_had() {
    let (mut sim, mut sessions) = Sim::with(rules(), &[("group1", A, 5000), ("group1", B, 5000)]);
    let has = |sim: &mut Sim| sim.member("group1", B).has_from(&id(A));
    for (received, expected) in [(500, 500), (0, 500), (400, 500), (600, 600)] {
        sim.cluster.sync_report(&mut sessions[1], &[(id(A), received)]).unwrap();
        assert_eq!(has(&mut sim), expected);
    }
    sim.cluster.disconnected(&sessions[1]);
    sim.join(B, &fresh("group1")).1.unwrap();
    assert_eq!(has(&mut sim), 0, "its disk is empty now");
}
