//! Who may have a file that is not here, best first.
//!
//! Only addresses that a tracker listed for the file's group are ever asked: the leader's list of members, and a tracker's
//! answer about the file. A name says who made the file, never where to connect to.

use std::net::{IpAddr, SocketAddr};

use protocol::FileId;
use protocol::cluster::StorageStatus;
use protocol::file_id::Source;

use crate::peers::{Peer, Peers, is_tombstone};

/// The order of asking.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Asked first: the member that made the file, if it is in service.
    pub(super) first: Vec<SocketAddr>,
    /// Whether a tracker is asked, next, who has it.
    pub(super) ask_tracker: bool,
    /// Asked after that: all others that are in service.
    pub(super) rest: Vec<SocketAddr>,
    /// Asked only when the others do not settle it: members out of service, which can be back before this node hears of
    /// it, and of which one may be the only holder that is up. If they do not answer, that means nothing.
    pub(super) last: Vec<SocketAddr>,
    /// Whether a tracker is asked, at the very end, for all members of the group: this node knows none.
    pub(super) ask_list: bool,
    /// The member whose word counts: a file that it never changed hands with is with it, or deleted.
    pub(super) source: Option<SocketAddr>,
    /// Whether this node made the file.
    pub(super) is_own: bool,
}

/// What the plan for a file of the own group is made of.
pub(super) struct Knowledge<'a> {
    pub(super) peers: &'a Peers,
    /// Own addresses and native port.
    pub(super) own: &'a [IpAddr],
    /// Address that the table of storage ids has for the source, if ids are in use.
    pub(super) source_ip: Option<IpAddr>,
}

impl Plan {
    /// For a file of another group: a tracker knows.
    pub(super) fn foreign() -> Self {
        Self { ask_tracker: true, ask_list: true, ..Self::default() }
    }

    /// For a file that this member has.
    pub(super) fn only(holder: SocketAddr) -> Self {
        Self { first: vec![holder], ..Self::default() }
    }

    /// For a file of the own group.
    pub(super) fn own_group(
        id: &FileId,
        knowledge: &Knowledge<'_>,
        is_silent: impl Fn(SocketAddr) -> bool,
    ) -> Self {
        let source = id.name.code().ok().map(|code| code.source);
        let made_it = |peer: &Peer| match source {
            Some(Source::Id(number)) => {
                peer.id.as_str() == number.to_string() || Some(peer.ip) == knowledge.source_ip
            }
            Some(Source::Ip(ip)) => peer.ip == IpAddr::V4(ip),
            None => false,
        };
        let mut peers: Vec<Peer> = knowledge.peers.list();
        peers.retain(|peer| !is_tombstone(peer.status) && peer.status != StorageStatus::NONE);
        let maker = peers.iter().find(|peer| made_it(peer)).copied();
        let own_id = knowledge.peers.own();
        let is_own = match source {
            Some(Source::Id(number)) => own_id.is_some_and(|own| own.as_str() == number.to_string()),
            Some(Source::Ip(ip)) => maker.is_none() && knowledge.own.contains(&IpAddr::V4(ip)),
            None => false,
        };
        let goes_first = |peer: &Peer| peer.status != StorageStatus::OFFLINE && !is_silent(address(peer));
        let first: Vec<SocketAddr> = maker.iter().filter(|peer| goes_first(peer)).map(address).collect();
        peers.retain(|peer| !first.contains(&address(peer)));
        peers.sort_by_key(|peer| (is_silent(address(peer)), peer.status != StorageStatus::ACTIVE));
        let may_be_away = |peer: &&Peer| peer.status == StorageStatus::OFFLINE && !made_it(peer);
        let last: Vec<SocketAddr> = peers.iter().filter(may_be_away).map(address).collect();
        let rest: Vec<SocketAddr> = peers.iter().filter(|peer| !may_be_away(peer)).map(address).collect();
        let is_source_known = is_own || maker.is_some();
        Self {
            ask_tracker: !is_source_known || rest.len() > 1,
            ask_list: first.is_empty() && rest.is_empty() && last.is_empty() && !is_own,
            first,
            rest,
            last,
            // Slaves are named after their master, whoever took them.
            source: maker.filter(|_| id.name.is_made_once()).as_ref().map(address),
            is_own: is_own && id.name.is_made_once(),
        }
    }
}

fn address(peer: &Peer) -> SocketAddr {
    SocketAddr::new(peer.ip, peer.port)
}

#[cfg(test)]
mod tests {
    use protocol::cluster::Brief;
    use protocol::file_id::{FileExt, NameCode, NameTail, SizeField, StorePathIndex, SubDir};
    use protocol::{GroupName, LogicName, StorageId};

    use super::*;

    const PORT: u16 = 23000;

    fn file(source: Source) -> FileId {
        let code = NameCode { source, timestamp: 1, size: SizeField::normal(5, 1), crc32: 1 };
        let tail = NameTail::new(FileExt::NONE, 1);
        let name = LogicName::make(StorePathIndex(0), SubDir::default(), &code, None, &tail);
        FileId { group: GroupName::parse("group1").unwrap(), name }
    }

    fn from(text: &str) -> FileId {
        file(Source::Ip(text.parse().unwrap()))
    }

    fn group(members: &[(&str, StorageStatus)]) -> Peers {
        let peers = Peers::new();
        peers.set_own(StorageId::parse("10.0.0.1").unwrap());
        let brief = |(id, status): &(&str, StorageStatus)| Brief {
            status: *status,
            port: PORT,
            id: StorageId::parse(id).ok(),
            ip: id.parse().ok(),
        };
        peers.hear(&members.iter().map(brief).collect::<Vec<_>>());
        peers
    }

    fn plan(id: &FileId, peers: &Peers, silent: &[&str]) -> Plan {
        let own = ["10.0.0.1".parse().unwrap()];
        let knowledge = Knowledge { peers, own: &own, source_ip: None };
        Plan::own_group(id, &knowledge, |at| silent.contains(&at.ip().to_string().as_str()))
    }

    fn at(ips: &[&str]) -> Vec<SocketAddr> {
        ips.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), PORT)).collect()
    }

    use StorageStatus as S;

    #[test]
    fn the_source_comes_first_and_then_who_is_active() {
        let peers = group(&[("10.0.0.2", S::SYNCING), ("10.0.0.3", S::ACTIVE), ("10.0.0.4", S::ACTIVE)]);
        let plan = plan(&from("10.0.0.4"), &peers, &[]);
        assert_eq!(plan.first, at(&["10.0.0.4"]));
        assert_eq!(plan.rest, at(&["10.0.0.3", "10.0.0.2"]));
        assert!(plan.ask_tracker, "a tracker knows which of the two is behind");
        assert_eq!(plan.source, Some(at(&["10.0.0.4"])[0]));
    }

    #[test]
    fn a_member_that_is_silent_or_out_of_service_comes_last() {
        let peers = group(&[("10.0.0.2", S::ACTIVE), ("10.0.0.3", S::ACTIVE), ("10.0.0.4", S::OFFLINE)]);
        let silent = plan(&from("10.0.0.2"), &peers, &["10.0.0.2"]);
        assert_eq!((silent.first.len(), silent.rest), (0, at(&["10.0.0.3", "10.0.0.2"])));
        let offline = plan(&from("10.0.0.4"), &peers, &[]);
        assert_eq!(offline.first, []);
        assert_eq!(offline.rest, at(&["10.0.0.2", "10.0.0.3", "10.0.0.4"]));
        assert_eq!(offline.last, [], "the maker of the file counts");
        let other = plan(&from("10.0.0.2"), &peers, &[]);
        assert_eq!(
            other.rest,
            at(&["10.0.0.3"]),
            "a file of another source is looked for with one that is away only at the end"
        );
        assert_eq!(other.last, at(&["10.0.0.4"]));
        assert!(!other.ask_tracker);
    }

    #[test]
    fn a_name_never_says_where_to_connect_to() {
        let peers = group(&[("10.0.0.2", S::ACTIVE), ("10.0.0.3", S::ACTIVE)]);
        // As its sender leaves a member that was deleted.
        peers.set_status(&StorageId::parse("10.0.0.3").unwrap(), S::NONE);
        for forged in ["192.0.2.7", "10.0.0.3", "127.0.0.1"] {
            let plan = plan(&from(forged), &peers, &[]);
            assert_eq!((plan.first, plan.rest), (vec![], at(&["10.0.0.2"])), "{forged}");
            assert!(plan.ask_tracker, "a member that just joined is known to the tracker first");
            assert_eq!(plan.source, None);
        }
        let alone = plan(&from("192.0.2.7"), &group(&[]), &[]);
        assert_eq!((alone.first.len(), alone.rest.len()), (0, 0));
        assert!(alone.ask_tracker && alone.ask_list, "nobody is known yet");
    }

    #[test]
    fn own_files_and_numbers() {
        let peers = group(&[("10.0.0.2", S::ACTIVE)]);
        let own = plan(&from("10.0.0.1"), &peers, &[]);
        assert!(own.is_own && !own.ask_tracker);
        assert_eq!(own.rest, at(&["10.0.0.2"]));
        let numbered = Peers::new();
        numbered.set_own(StorageId::parse("100001").unwrap());
        let ip: IpAddr = "10.0.0.9".parse().unwrap();
        let id = StorageId::parse("100002").ok();
        numbered.hear(&[Brief { status: S::ACTIVE, port: PORT, id, ip: Some(ip) }]);
        assert_eq!(plan(&file(Source::Id(100_002)), &numbered, &[]).first, at(&["10.0.0.9"]));
        assert!(plan(&file(Source::Id(100_001)), &numbered, &[]).is_own);
    }

    #[test]
    fn a_slave_s_name_tells_of_its_master_only() {
        let peers = group(&[("10.0.0.2", S::ACTIVE)]);
        let master = from("10.0.0.2").to_string();
        let slave = FileId::parse(&format!("{master}_150x150.jpg")).unwrap();
        let plan = plan(&slave, &peers, &[]);
        assert_eq!((plan.first, plan.source), (at(&["10.0.0.2"]), None));
    }
}
