//! Trunk servers: when one is chosen, who, who hears of it, and what it reports (native-cluster.md 1.15, 4.2).

use protocol::cluster::Brief;

use super::*;

const A: &str = "10.0.0.10";
const B: &str = "10.0.0.11";
const C: &str = "10.0.0.9";

fn with_trunk() -> Rules {
    Rules { use_trunk_file: TrunkMode::On, store_server: StoreServer::First, ..rules() }
}

/// Active storages, by id as text: A, B, C.
fn three() -> (Sim, Vec<Session>) {
    Sim::with(with_trunk(), &[("group1", A, 50_000), ("group1", B, 50_000), ("group1", C, 50_000)])
}

impl Sim {
    /// Who could be a trunk server now, by group.
    fn candidates(&mut self) -> Vec<(String, Vec<String>)> {
        let elections = self.cluster.trunk_elections(self.now);
        let ids = |election: &TrunkElection| {
            election.candidates.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>()
        };
        elections.iter().map(|election| (election.group.to_string(), ids(election))).collect()
    }

    fn elect(&mut self, winner: &str) -> Result<TrunkChange, Refusal> {
        let election = self.cluster.trunk_elections(self.now).remove(0);
        self.cluster.elect_trunk_server(&election, id(winner))
    }

    /// Of `group1`, now and last.
    fn trunk_servers(&self) -> (Option<StorageId>, Option<StorageId>) {
        let group = self.cluster.group(group("group1")).unwrap();
        (group.trunk_server, group.last_trunk_server)
    }

    /// Time passes in which these storages beat once a second.
    fn pass(&mut self, seconds: i64, beating: &mut [&mut Session]) {
        for _ in 0..seconds {
            self.now += 1;
            for session in beating.iter_mut() {
                self.beat(session);
            }
            self.cluster.check_alive(self.now);
        }
    }
}

#[test]
fn who_knows_most_wins_and_of_equals_the_first() {
    let check = |sizes: &[(&str, u64)], expected: Option<&str>| {
        let sizes: Vec<_> = sizes.iter().map(|(storage, size)| (id(storage), *size)).collect();
        assert_eq!(best_candidate(&sizes), expected.map(id));
    };
    check(&[], None);
    check(&[(A, 0)], Some(A));
    check(&[(A, 5), (B, 5), (C, 4)], Some(A));
    check(&[(A, 5), (B, 9), (C, 7)], Some(B));
}

#[test]
fn a_group_whose_storages_take_uploads_needs_a_trunk_server() {
    let (mut sim, sessions) = three();
    let all = |ids: [&str; 3]| vec![("group1".to_owned(), ids.map(str::to_owned).to_vec())];
    assert_eq!(sim.candidates(), all([A, B, C]));
    sim.member("group1", C).upload_priority = 1;
    sim.cluster.rules.store_server = StoreServer::LowestPriority;
    assert_eq!(sim.candidates(), all([C, A, B]), "the one that takes uploads comes first");
    for (use_trunk_file, leadership) in [
        (TrunkMode::Off, Leadership::Own),
        (TrunkMode::On, Leadership::Unknown),
        (TrunkMode::On, Leadership::Other(TRACKER.parse().unwrap())),
    ] {
        sim.cluster.rules.use_trunk_file = use_trunk_file;
        sim.cluster.set_leadership(leadership);
        assert_eq!(sim.candidates(), [], "{use_trunk_file:?} {leadership:?}");
    }
    sim.cluster.set_leadership(Leadership::Own);
    sim.member("group1", C).rw = protocol::config::storage_ids::RwMode::Read;
    sim.cluster.disconnected(&sessions[1]);
    assert_eq!(sim.candidates(), [("group1".to_owned(), vec![A.to_owned()])]);
    sim.cluster.disconnected(&sessions[0]);
    assert_eq!(sim.candidates(), []);
}

#[test]
fn the_winner_stays_until_it_has_been_silent_for_long() {
    let (mut sim, mut sessions) = three();
    sim.elect(A).unwrap();
    assert_eq!(sim.trunk_servers(), (Some(id(A)), Some(id(A))));
    let [a, b, c] = &mut sessions[..] else { panic!("three") };
    // A young one may be silent for three check intervals.
    sim.pass(300, &mut [b, c]);
    assert_eq!(sim.candidates(), []);
    sim.pass(1, &mut [b, c]);
    assert_eq!(sim.candidates(), [("group1".to_owned(), vec![B.to_owned(), C.to_owned()])]);
    let change = sim.elect(B).unwrap();
    assert_eq!((change.before.as_deref(), &*change.after), (Some("10.0.0.10:23000"), "10.0.0.11:23000"));
    // It is back, and no trunk server any more. One that has run for long may be silent for two.
    sim.pass(1000, &mut [a, b, c]);
    assert_eq!(sim.trunk_servers(), (Some(id(B)), Some(id(B))));
    sim.cluster.disconnected(b);
    sim.pass(200, &mut [a, c]);
    assert_eq!(sim.candidates(), [], "a connection that ended does not count");
    sim.pass(1, &mut [a, c]);
    assert_eq!(sim.candidates().len(), 1);
    // Nobody else: it stays, and is the trunk server when it is back.
    sim.cluster.disconnected(a);
    sim.cluster.disconnected(c);
    assert_eq!(sim.candidates(), []);
    sim.active("group1", B, &[50_000]);
    assert_eq!(sim.candidates(), []);
}

#[test]
fn a_tracker_that_begins_to_lead_or_was_down_gives_the_trunk_server_time() {
    let (mut sim, _sessions) = three();
    sim.elect(A).unwrap();
    sim.cluster = reread(&sim.cluster);
    sim.now += 5000;
    let mut b = sim.active("group1", B, &[50_000]);
    assert_eq!(sim.trunk_servers(), (Some(id(A)), Some(id(A))), "it is remembered");
    assert_eq!(sim.candidates(), []);
    sim.pass(200, &mut [&mut b]);
    assert_eq!(sim.candidates(), []);
    sim.cluster.set_leadership(Leadership::Unknown);
    sim.pass(5000, &mut [&mut b]);
    sim.cluster.set_leadership(Leadership::Own);
    assert_eq!(sim.candidates(), []);
    sim.pass(201, &mut [&mut b]);
    assert_eq!(sim.candidates().len(), 1);
}

#[test]
fn an_election_that_was_overtaken_is_void() {
    let (mut sim, sessions) = three();
    let election = sim.cluster.trunk_elections(sim.now).remove(0);
    sim.elect(B).unwrap();
    assert_eq!(sim.cluster.elect_trunk_server(&election, id(A)), Err(Status::EBUSY));
    let (mut other, _sessions) = three();
    other.cluster.set_leadership(Leadership::Unknown);
    assert_eq!(other.cluster.elect_trunk_server(&election, id(A)), Err(Status::EOPNOTSUPP));
    other.cluster.set_leadership(Leadership::Own);
    other.cluster.disconnected(&sessions[0]);
    other.cluster.group_mut(group("group1")).unwrap().set_status(&id(A), StorageStatus::OFFLINE);
    assert_eq!(other.cluster.elect_trunk_server(&election, id(A)), Err(Status::ENOENT));
}

#[test]
fn each_connection_hears_once_who_it_is() {
    let (mut sim, mut sessions) = three();
    let [a, b, _] = &mut sessions[..] else { panic!("three") };
    assert_eq!(sim.beat(a).trunk_server, None, "it has heard that there is none");
    sim.elect(B).unwrap();
    for session in [&mut *a, &mut *b] {
        let told = sim.beat(session).trunk_server.unwrap();
        assert_eq!((told.id, told.ip, told.port), (Some(id(B)), Some(ip(B)), 23_000));
        assert_eq!(sim.beat(session).trunk_server, None);
    }
    // Who joins again, and whoever hears another leader, hears it again; a follower tells nothing.
    let (mut again, _) = sim.join(A, &known("group1"));
    assert_eq!(sim.beat(&mut again).trunk_server.unwrap().id, Some(id(B)));
    sim.cluster.set_leadership(Leadership::Unknown);
    assert_eq!(sim.beat(&mut again).trunk_server, None);
    sim.cluster.set_leadership(Leadership::Own);
    assert_eq!(sim.beat(&mut again).trunk_server.unwrap().id, Some(id(B)));
    sim.cluster.set_trunk_server(group("group1"), None);
    assert_eq!(sim.beat(&mut again).trunk_server, Some(Brief::NONE));
    // Without trunk files there is never a word of it.
    let (mut plain, mut sessions) = Sim::with(rules(), &[("group1", A, 50_000)]);
    plain.cluster.set_trunk_server(group("group1"), Some(id(A)));
    assert_eq!(plain.beat(&mut sessions[0]).trunk_server, None);
}

#[test]
fn only_the_trunk_server_reports_trunk_files() {
    let (mut sim, sessions) = three();
    let (a, b) = (&sessions[0], &sessions[1]);
    sim.elect(A).unwrap();
    let stranger = sim.connect(C);
    assert_eq!(sim.cluster.report_trunk_file_id(&stranger, 1), Err(Status::EACCES));
    assert_eq!(sim.cluster.report_trunk_file_id(b, 9), Err(Status::EINVAL));
    assert_eq!(sim.cluster.report_trunk_free(b, 9), Err(Status::EINVAL));
    sim.cluster.report_trunk_file_id(a, 4).unwrap();
    sim.cluster.report_trunk_file_id(a, 3).unwrap();
    sim.cluster.report_trunk_free(a, 77).unwrap();
    assert_eq!(sim.cluster.trunk_file_id(b), Ok(4), "it never shrinks");
    let record = sim.cluster.group_record(sim.cluster.group(group("group1")).unwrap());
    assert_eq!((record.trunk_file_id, record.trunk_free_mb), (4, 77));
    assert_eq!(reread(&sim.cluster).group(group("group1")).unwrap().trunk_file_id, 4);
    // A follower that has heard of no trunk server yet takes no notice.
    sim.cluster.set_leadership(Leadership::Unknown);
    sim.cluster.report_trunk_file_id(b, 9).unwrap();
    assert_eq!(sim.cluster.trunk_file_id(b), Ok(4));
}

#[test]
fn naming_one() {
    let (mut sim, sessions) = three();
    let named = |sim: &Sim, storage: Option<&str>| {
        sim.cluster.may_name_trunk_server(group("group1"), storage.map(id).as_ref()).map(
            |naming| match naming {
                Naming::Present(id) => vec![format!("stays {id}")],
                Naming::Elect(election) => election.candidates.iter().map(|(id, _)| id.to_string()).collect(),
            },
        )
    };
    assert_eq!(named(&sim, None), Ok(vec![A.into(), B.into(), C.into()]));
    assert_eq!(named(&sim, Some(B)), Ok(vec![B.into()]));
    assert_eq!(named(&sim, Some("10.0.0.99")), Err(Status::ENOENT));
    sim.elect(A).unwrap();
    assert_eq!(named(&sim, None), Ok(vec![format!("stays {A}")]));
    assert_eq!(named(&sim, Some(A)), Err(Status::EALREADY));
    assert_eq!(named(&sim, Some(B)), Err(Status::EEXIST));
    assert_eq!(named(&sim, Some("10.0.0.99")), Err(Status::EEXIST), "as the reference has it");
    sim.cluster.disconnected(&sessions[0]);
    assert_eq!(named(&sim, Some(A)), Err(Status::ENONET));
    sim.member("group1", B).rw = protocol::config::storage_ids::RwMode::Read;
    assert_eq!(named(&sim, Some(B)), Err(Status::EACCES));
    assert_eq!(named(&sim, Some(C)), Ok(vec![C.into()]));
    sim.cluster.set_leadership(Leadership::Unknown);
    assert_eq!(named(&sim, None), Err(Status::EOPNOTSUPP));
}

#[test]
fn a_deleted_trunk_server_is_none() {
    let (mut sim, sessions) = three();
    sim.elect(A).unwrap();
    sim.cluster.disconnected(&sessions[0]);
    sim.cluster.delete_storage(group("group1"), &id(A), sim.now).unwrap();
    assert_eq!(sim.trunk_servers(), (None, Some(id(A))));
    assert_eq!(sim.candidates(), [("group1".to_owned(), vec![B.to_owned(), C.to_owned()])]);
}
