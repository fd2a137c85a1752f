//! Old files: who is chosen to give them, that nobody serves without them, and that nobody waits for ever.

use protocol::cluster::{Brief, SyncSource};

use super::*;

const A: &str = "10.0.0.10";
const B: &str = "10.0.0.11";
const C: &str = "10.0.0.12";

fn told(status: StorageStatus, of: &str) -> Brief {
    Brief { status, id: Some(id(of)), ..Brief::NONE }
}

const NOTHING: SyncSource = SyncSource { source: None, until: 0 };

impl Sim {
    fn tells(&mut self, from: &str, status: StorageStatus, of: &str) {
        self.cluster.report_status(group("group1"), &told(status, of), ip(from)).unwrap();
    }

    /// A new storage joins and gets a source.
    fn filling(&mut self, from: &str) -> (Session, SyncSource) {
        let (session, answer) = self.join(from, &fresh("group1"));
        answer.unwrap();
        let copy = self.cluster.sync_dest_request(&session).unwrap().unwrap();
        self.cluster.sync_notify(&session, &copy).unwrap();
        (session, copy)
    }

    /// What a storage hears of another on its next beat, if it hears of members at all. What it does right after a beat
    /// tells it nothing more.
    fn hears(&mut self, session: &mut Session, of: &str) -> Option<StorageStatus> {
        self.now += 5;
        let members = self.beat(session).members?;
        assert_eq!(self.cluster.sync_report(session, &[]).unwrap().members, None);
        self.now += 1;
        assert_eq!(self.beat(session).members, None);
        members.iter().find(|brief| brief.id == Some(id(of))).map(|brief| brief.status)
    }

    /// The tracker is killed and reads its files.
    fn restart(&mut self) {
        self.cluster = reread(&self.cluster);
    }
}

fn newest(sim: &mut Sim, member: &str, from: &str, ago: i64) {
    let time = i32::try_from(sim.now - ago).unwrap();
    sim.member("group1", member).synced_from.insert(id(from), time);
}

#[test]
fn the_source_is_whoever_lacks_least_then_the_longest_member() {
    let storages = [("group1", A, 5000), ("group1", B, 5000), ("group1", C, 5000)];
    let check = |prepare: fn(&mut Sim), expected: &str| {
        let (mut sim, _sessions) = Sim::with(rules(), &storages);
        prepare(&mut sim);
        let (_, copy) = sim.filling("10.0.0.13");
        assert_eq!(copy.source, Some(id(expected)));
    };
    check(|_| {}, A);
    check(|sim| sim.member("group1", C).join_time -= 1, C);
    check(
        |sim| {
            // C wrote a moment ago; B has nearly all of it, A does not.
            sim.member("group1", C).stats.last_source_update = T0;
            newest(sim, B, C, 5);
            newest(sim, A, C, 500);
            sim.member("group1", C).join_time += 1;
        },
        B,
    );
    check(|sim| sim.member("group1", A).status = StorageStatus::OFFLINE, B);
}

#[test]
fn the_source_copies_up_to_where_it_surely_has_all_of_the_others() {
    let storages = [("group1", A, 5000), ("group1", B, 5000)];
    let until = |prepare: &dyn Fn(&mut Sim)| {
        let (mut sim, _sessions) = Sim::with(rules(), &storages);
        sim.member("group1", A).join_time -= 1;
        sim.now += 1000;
        prepare(&mut sim);
        let (_, copy) = sim.filling(C);
        assert_eq!(copy.source, Some(id(A)));
        copy.until - T0
    };
    // B has written nothing since its first start.
    assert_eq!(until(&|_| {}), -1000);
    let wrote = |sim: &mut Sim, received: i64, ago: i64| {
        let stats = &mut sim.member("group1", B).stats;
        (stats.last_source_update, stats.last_sync_update) = (T0 + 990, received);
        newest(sim, A, B, ago);
    };
    assert_eq!(until(&|sim| wrote(sim, 0, 10)), 990, "A has all of it");
    assert_eq!(until(&|sim| wrote(sim, T0 + 995, 10)), 995, "and B wrote nothing until then");
    assert_eq!(until(&|sim| wrote(sim, T0 + 995, 50)), 950, "the rest B gives itself");
    // A record may be a little older than the write; nobody takes so long to send it.
    assert_eq!(
        until(&|sim| {
            sim.member("group1", B).last_beat = T0 + 1300;
            wrote(sim, T0 + 995, 50);
        }),
        995
    );
    // Who is deleted or loses its disk gives nothing any more.
    assert_eq!(
        until(&|sim| {
            let (session, _) = sim.join("10.0.0.99", &known("group1"));
            newest(sim, A, "10.0.0.99", 500);
            sim.cluster.disconnected(&session);
            sim.cluster.delete_storage(group("group1"), &id("10.0.0.99"), sim.now).unwrap();
        }),
        500
    );
    assert_eq!(until(&|sim| newest(sim, A, C, 400)), -1000);
    assert_eq!(
        until(&|sim| {
            let (session, _) = sim.join(C, &known("group1"));
            newest(sim, A, C, 400);
            sim.cluster.disconnected(&session);
        }),
        600,
        "its disk is empty now"
    );
}

#[test]
fn a_lone_source_gives_all_that_it_has() {
    let (mut sim, _sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
    sim.member("group1", A).stats.last_sync_update = T0 + 7;
    assert_eq!(sim.filling(B).1.until, T0 + 7);
    // The tracker's clock does not matter.
    sim.now -= 5000;
    sim.member("group1", A).stats.last_source_update = T0 + 9;
    assert_eq!(sim.filling(C).1.until, T0 + 9);
}

#[test]
fn a_member_on_an_empty_disk_starts_over_at_every_tracker() {
    let (mut sim, sessions) = Sim::with(rules(), &[("group1", A, 5000), ("group1", B, 5000)]);
    newest(&mut sim, B, A, 0);
    sim.cluster.disconnected(&sessions[1]);
    let (mut wiped, answer) = sim.join(B, &fresh("group1"));
    assert_eq!(answer.unwrap().status, StorageStatus::INIT);
    assert_eq!(sim.member("group1", B).synced_from, Default::default());
    // This tracker is not the one that was asked for a source.
    let copy = SyncSource { source: Some(id(A)), until: sim.now };
    sim.cluster.sync_notify(&wiped, &copy).unwrap();
    sim.beat(&mut wiped);
    assert_eq!(sim.status("group1", B), StorageStatus::WAIT_SYNC);
}

#[test]
fn a_member_that_was_deleted_copies_all_files_before_it_serves_again() {
    let (mut sim, sessions) = Sim::with(rules(), &[("group1", A, 5000), ("group1", B, 5000)]);
    sim.cluster.disconnected(&sessions[1]);
    sim.cluster.delete_storage(group("group1"), &id(B), sim.now).unwrap();
    // A beat on a connection from before does not revive it, nor does what others say.
    sim.tells(A, StorageStatus::OFFLINE, B);
    assert_eq!(sim.cluster.sync_dest_request(&sessions[1]), Err(Status::ENOENT));
    sim.cluster.change_status(&sessions[1], StorageStatus::ACTIVE).unwrap();
    assert_eq!(sim.status("group1", B), StorageStatus::DELETED);

    let join = Join { status: Some(StorageStatus::INIT), ..known("group1") };
    let (mut back, answer) = sim.join(B, &join);
    assert_eq!(answer.unwrap().status, StorageStatus::INIT);
    assert_eq!(sim.cluster.sync_notify(&back, &NOTHING), Err(Status::ENOENT));
    sim.beat(&mut back);
    assert_eq!(sim.status("group1", B), StorageStatus::INIT);
    // The refusal outlives a restart, and FastDFS's storages then ask for a copy.
    sim.restart();
    let _source = sim.active("group1", A, &[5000]);
    let (back, _) = sim.join(B, &join);
    assert_eq!(sim.cluster.sync_notify(&back, &NOTHING), Err(Status::ENOENT));
    let (_, copy) = sim.filling(B);
    assert_eq!(copy.source, Some(id(A)));
    sim.tells(A, StorageStatus::SYNCING, B);
    sim.tells(A, StorageStatus::OFFLINE, B);
    assert_eq!(sim.status("group1", B), StorageStatus::OFFLINE);
    // In service again, a restart of it needs no copy.
    let (again, _) = sim.join(B, &join);
    assert_eq!(sim.cluster.sync_notify(&again, &NOTHING), Ok(()));
    assert_eq!(sim.status("group1", B), StorageStatus::ONLINE);
}

#[test]
fn a_returned_member_that_another_tracker_lets_serve_is_not_refused_for_ever() {
    let (mut sim, sessions) = Sim::with(rules(), &[("group1", A, 5000), ("group1", B, 5000)]);
    sim.cluster.disconnected(&sessions[1]);
    sim.cluster.delete_storage(group("group1"), &id(B), sim.now).unwrap();
    let answers: Vec<_> = (0..4)
        .map(|_| {
            let (back, _) = sim.join(B, &Join { status: Some(StorageStatus::INIT), ..known("group1") });
            sim.cluster.sync_notify(&back, &NOTHING)
        })
        .collect();
    assert_eq!(answers, [Err(Status::ENOENT), Err(Status::ENOENT), Err(Status::ENOENT), Ok(())]);
    assert_eq!(sim.status("group1", B), StorageStatus::ONLINE);
}

#[test]
fn only_the_source_ends_a_filling() {
    use StorageStatus as S;
    for before in [S::WAIT_SYNC, S::SYNCING] {
        for status in [S::OFFLINE, S::ONLINE, S::ACTIVE, S::RECOVERY] {
            let (mut sim, _sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
            let (_session, _) = sim.filling(B);
            sim.member("group1", B).status = before;
            sim.tells(B, status, B);
            assert_eq!(sim.status("group1", B), before, "told {status} by itself");
            sim.tells(A, S::RECOVERY, B);
            assert_eq!(sim.status("group1", B), before, "a repair is no copy");
            let (back, _) = sim.join(B, &known("group1"));
            sim.cluster.sync_notify(&back, &NOTHING).unwrap();
            assert_eq!(sim.status("group1", B), before, "it has forgotten its source");
            // A copy that was never begun is one of before.
            sim.tells(A, S::OFFLINE, B);
            assert_eq!(sim.status("group1", B), if before == S::WAIT_SYNC { before } else { S::OFFLINE });
        }
    }
}

#[test]
fn peers_hear_init_before_a_member_that_served_is_filled_anew() {
    let (mut sim, mut sessions) = Sim::with(rules(), &[("group1", A, 5000), ("group1", B, 5000)]);
    assert_eq!(sim.hears(&mut sessions[0], B), Some(StorageStatus::ACTIVE));
    // It goes and comes back on an empty disk before A beats again.
    sim.cluster.disconnected(&sessions[1]);
    let (mut wiped, _) = sim.filling(B);
    assert_eq!(sim.hears(&mut wiped, B), Some(StorageStatus::WAIT_SYNC), "of itself it hears the truth");
    let heard: Vec<_> = (0..3).map(|_| sim.hears(&mut sessions[0], B)).collect();
    assert_eq!(heard, [Some(StorageStatus::INIT), Some(StorageStatus::WAIT_SYNC), None]);
    sim.tells(A, StorageStatus::SYNCING, B);
    assert_eq!(sim.hears(&mut sessions[0], B), Some(StorageStatus::SYNCING));
    // Wiped again in the middle: A is half through and must not go on from there.
    sim.cluster.disconnected(&wiped);
    let _again = sim.filling(B);
    let heard: Vec<_> = (0..3).map(|_| sim.hears(&mut sessions[0], B)).collect();
    assert_eq!(heard, [Some(StorageStatus::INIT), Some(StorageStatus::WAIT_SYNC), None]);
}

#[test]
fn a_new_members_first_status_is_told_at_once() {
    let (mut sim, mut sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
    sim.beat(&mut sessions[0]);
    let _new = sim.filling(B);
    assert_eq!(sim.hears(&mut sessions[0], B), Some(StorageStatus::WAIT_SYNC));
    assert_eq!(sim.hears(&mut sessions[0], B), None);
}

/// It would close the connection and join again, every second.
#[test]
fn a_member_that_holds_itself_for_serving_is_lowered_too() {
    for status in [StorageStatus::WAIT_SYNC, StorageStatus::SYNCING] {
        for (says, first) in [(StorageStatus::ACTIVE, Some(StorageStatus::INIT)), (StorageStatus::INIT, None)]
        {
            let (mut sim, _sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
            let _before = sim.filling(B);
            sim.member("group1", B).status = status;
            let (mut again, _) = sim.join(B, &Join { status: Some(says), ..known("group1") });
            let heard: Vec<_> = (0..3).filter_map(|_| sim.hears(&mut again, B)).collect();
            assert_eq!(heard, first.into_iter().chain([status]).collect::<Vec<_>>(), "{status} {says}");
        }
    }
}

/// native-cluster.md 2.7: the source holds the member for ACTIVE and is never lowered; the tracker lost its reports.
#[test]
fn after_a_restart_of_the_tracker_a_source_is_lowered_so_that_it_fills_again() {
    for status in [StorageStatus::WAIT_SYNC, StorageStatus::SYNCING] {
        let (mut sim, _sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
        let _new = sim.filling(B);
        sim.member("group1", B).status = status;
        sim.restart();
        let mut source = sim.join(A, &known("group1")).0;
        let heard: Vec<_> = (0..3).map(|_| sim.hears(&mut source, B)).collect();
        assert_eq!(heard, [Some(StorageStatus::INIT), Some(status), None]);
    }
}

#[test]
fn a_lost_source_is_replaced() {
    let storages = [("group1", A, 5000), ("group1", B, 5000)];
    let filling = || {
        let (mut sim, mut sessions) = Sim::with(rules(), &storages);
        let (new, copy) = sim.filling(C);
        assert_eq!(copy.source, Some(id(A)));
        sim.beat(&mut sessions[1]);
        sim.tells(A, StorageStatus::SYNCING, C);
        sim.beat(&mut sessions[1]);
        sim.cluster.disconnected(&sessions[0]);
        (sim, sessions, new)
    };
    let is_fed_by_b = |sim: &mut Sim| {
        assert_eq!(
            (sim.status("group1", C), sim.member("group1", C).source),
            (StorageStatus::WAIT_SYNC, Some(id(B)))
        );
        let answer = sim.cluster.sync_source(group("group1"), &id(C), ip(A)).unwrap().unwrap();
        assert_eq!(answer.source, Some(id(B)));
    };
    // Deleted by the operator.
    let (mut sim, mut sessions, _) = filling();
    sim.cluster.delete_storage(group("group1"), &id(A), sim.now).unwrap();
    is_fed_by_b(&mut sim);
    let heard: Vec<_> = (0..2).map(|_| sim.hears(&mut sessions[1], C)).collect();
    assert_eq!(
        heard,
        [Some(StorageStatus::INIT), Some(StorageStatus::WAIT_SYNC)],
        "so that B asks who the source is"
    );
    // Wiped itself.
    let (mut sim, _sessions, _) = filling();
    sim.join(A, &fresh("group1")).1.unwrap();
    sim.cluster.check_alive(sim.now);
    is_fed_by_b(&mut sim);
    // Silent for long; a short absence is waited for.
    let (mut sim, mut sessions, _) = filling();
    for (seconds, source) in [(300, A), (301, B)] {
        sim.now = T0 + seconds;
        sim.beat(&mut sessions[1]);
        sim.cluster.check_alive(sim.now);
        assert_eq!(sim.member("group1", C).source, Some(id(source)), "{seconds} s");
    }
    is_fed_by_b(&mut sim);
}

#[test]
fn whoever_nobody_can_fill_waits_and_whoever_is_alone_serves() {
    let (mut sim, mut sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
    let (mut new, _) = sim.filling(B);
    sim.cluster.disconnected(&sessions[0]);
    sim.now += 1000;
    sim.cluster.check_alive(sim.now);
    assert_eq!(sim.status("group1", B), StorageStatus::WAIT_SYNC);
    sim.cluster.delete_storage(group("group1"), &id(A), sim.now).unwrap();
    assert_eq!(sim.status("group1", B), StorageStatus::OFFLINE, "it has what there is");
    assert_eq!(sim.cluster.sync_source(group("group1"), &id(B), ip(A)), Ok(None));
    sim.beat(&mut new);
    assert_eq!(sim.status("group1", B), StorageStatus::ACTIVE);
    let _ = sessions.pop();
}

#[test]
fn what_a_storage_acts_on_is_urgent_to_save() {
    let (mut sim, mut sessions) = Sim::with(rules(), &[("group1", A, 5000)]);
    let urgent = |sim: &mut Sim| {
        let urgent = sim.cluster.is_urgent();
        sim.cluster.snapshot_taken();
        urgent
    };
    urgent(&mut sim);
    sim.beat(&mut sessions[0]);
    assert!(!urgent(&mut sim), "a beat");
    let _new = sim.filling(B);
    assert!(urgent(&mut sim), "a source");
    sim.tells(A, StorageStatus::SYNCING, B);
    assert!(urgent(&mut sim), "a copy that began");
    sim.tells(A, StorageStatus::WAIT_SYNC, B);
    assert!(!sim.cluster.is_dirty(), "nothing new");
    sim.tells(A, StorageStatus::OFFLINE, B);
    assert!(urgent(&mut sim), "a copy that ended");
    sim.cluster.delete_storage(group("group1"), &id(B), sim.now).unwrap();
    assert!(urgent(&mut sim), "a deletion");
}
