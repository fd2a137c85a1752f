//! Taking over what another tracker knows.

use super::{Cluster, Leadership, Sim, StorageStatus, group, id, rules};

/// Members of a group, `ip status`.
fn members(cluster: &Cluster, name: &str) -> Vec<String> {
    let group = cluster.group(group(name)).expect("the group is known");
    group.members.iter().map(|member| format!("{} {}", member.id, member.status)).collect()
}

#[test]
fn what_the_other_knows_is_taken_and_what_only_this_one_knows_stays() {
    let shown = |sim: &Sim| members(&sim.cluster, "group1");
    let (mut here, _) = Sim::with(rules(), &[("group1", "10.0.0.11", 100), ("group3", "10.0.0.31", 100)]);
    let (there, _) = Sim::with(
        rules(),
        &[("group1", "10.0.0.11", 200), ("group1", "10.0.0.12", 200), ("group2", "10.0.0.21", 200)],
    );
    here.member("group1", "10.0.0.11").changelog_offset = 7;
    here.cluster.set_leadership(Leadership::Unknown);
    here.cluster.adopt(there.cluster);
    assert_eq!(shown(&here), ["10.0.0.11 ACTIVE", "10.0.0.12 ACTIVE"]);
    assert_eq!(here.member("group1", "10.0.0.11").free_mb, 200);
    assert_eq!(here.member("group1", "10.0.0.11").changelog_offset, 0, "theirs, with their changelog");
    assert_eq!(members(&here.cluster, "group2").len(), 1);
    assert_eq!(members(&here.cluster, "group3").len(), 1, "the other one may be young");
    assert_eq!(here.cluster.leadership(), Leadership::Unknown, "who leads is another matter");
    assert!(here.cluster.is_urgent(), "it is saved before the storage is answered");
}

#[test]
fn who_was_deleted_there_does_not_come_back() {
    let storages = [("group1", "10.0.0.11", 100), ("group1", "10.0.0.12", 100), ("group1", "10.0.0.13", 100)];
    let (mut here, _) = Sim::with(rules(), &storages);
    let (mut there, sessions) = Sim::with(rules(), &storages);
    there.cluster.disconnected(&sessions[1]);
    there.cluster.delete_storage(group("group1"), &id("10.0.0.12"), there.now).unwrap();
    // As its files say: without tombstones.
    let groups: Vec<_> = there
        .cluster
        .groups()
        .iter()
        .cloned()
        .map(|mut group| {
            group.members.retain(|member| !member.is_gone() && member.id != id("10.0.0.13"));
            group
        })
        .collect();
    let read = Cluster::restore(rules(), groups, there.cluster.changelog().to_vec());
    let changelog_end = read.changelog().len();
    here.member("group1", "10.0.0.13").source = Some(id("10.0.0.12"));
    here.member("group1", "10.0.0.13").status = StorageStatus::WAIT_SYNC;
    here.cluster.adopt(read);
    assert_eq!(members(&here.cluster, "group1"), ["10.0.0.11 ACTIVE", "10.0.0.13 WAIT_SYNC"]);
    let kept = here.member("group1", "10.0.0.13");
    assert_eq!((kept.source, kept.changelog_offset), (None, changelog_end));
}
