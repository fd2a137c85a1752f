//! Sizes that C peers insist on, and decoders that survive anything.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::wire::{Request, Response};
use crate::{GroupName, StorageId};

fn body<Q: Request>(request: &Q) -> BytesMut {
    let mut out = BytesMut::new();
    request.encode_body(&mut out);
    out
}

fn join() -> Join {
    Join {
        group: GroupName::parse("group1").unwrap(),
        port: 23000,
        store_path_count: 2,
        subdir_count: 256,
        upload_priority: 10,
        join_time: 1,
        up_time: 2,
        version: "6.16.1".into(),
        is_new: 1,
        status: None,
        id: None,
        tracker_ip: Some("127.0.1.1".parse().unwrap()),
        trackers: vec![
            TrackerAddress { ips: vec!["10.0.0.1".parse().unwrap()], port: 22122 },
            TrackerAddress { ips: vec!["::1".parse().unwrap(), "fe80::2".parse().unwrap()], port: 22122 },
        ],
    }
}

#[test]
fn bodies_have_the_sizes_of_the_reference() {
    let id = StorageId::parse("10.0.0.1").unwrap();
    let group = GroupName::parse("group1").unwrap();
    assert_eq!(body(&Beat(Some(StorageStats::default()))).len(), 348);
    assert_eq!(body(&SyncSourceRequest { group, destination: id }).len(), 32);
    assert_eq!(body(&SyncNotify(SyncSource { source: None, until: 0 })).len(), 24);
    assert_eq!(body(&ReportStatus { group, storage: Brief::NONE }).len(), 83);
    assert_eq!(body(&IpChanged { group, old: None, new: None }).len(), 108);
    assert_eq!(body(&GetMyIp { group, port: 1 }).len(), 21);
    assert_eq!(body(&SyncReport(vec![(id, 1), (id, 2)])).len(), 40);
    let lines = "10.0.0.1:22122\n[::1,fe80::2]:22122\n";
    assert_eq!(body(&join()).len(), 145 + lines.len());
    assert!(body(&join()).ends_with(lines.as_bytes()));
    let mut answer = BytesMut::new();
    JoinAnswer { status: StorageStatus::ONLINE, source: None }.encode_body(&mut answer);
    assert_eq!(answer.len(), 17);
}

#[test]
fn a_join_round_trips_and_a_wrong_count_is_refused() {
    let mut bytes = body(&join());
    assert_eq!(Join::decode_body(&bytes), Ok(join()));
    bytes[144] = 3;
    assert!(Join::decode_body(&bytes).is_err());
}

#[test]
fn changes_are_told_in_order() {
    let brief = Brief { status: StorageStatus::ACTIVE, port: 23000, ..Brief::NONE };
    for (changes, len) in [
        (CheckSync::default(), 1),
        (CheckSync { leader: Some(brief), ..CheckSync::default() }, 68),
        (
            CheckSync { leader: Some(brief), trunk_server: Some(Brief::NONE), members: Some(vec![brief; 3]) },
            1 + 5 * 67,
        ),
    ] {
        let mut bytes = BytesMut::new();
        changes.encode_body(&mut bytes);
        assert_eq!(bytes.len(), len);
        assert_eq!(CheckSync::decode_body(&bytes), Ok(changes));
    }
    assert_eq!(CheckSync::decode_body(&[]), Ok(CheckSync::default()));
}

#[test]
fn reports_of_senders_round_trip() {
    let id = StorageId::parse("10.0.0.1").unwrap();
    let sender = SenderReport {
        peer: id,
        state: SenderState::BEHIND,
        lag_seconds: 1,
        files_to_go: 21,
        bytes_to_go: 3,
        per_second: 10,
        dead_letters: 5,
        binlog_index: 6,
        binlog_offset: 7,
    };
    assert_eq!(sender.seconds_to_go(), Some(3));
    assert_eq!(SenderReport { per_second: 0, ..sender }.seconds_to_go(), None);
    let report = ReplicationReport { http_url: "http://10.0.0.1:8888".into(), senders: vec![sender; 2] };
    assert_eq!(ReplicationReport::decode_body(&body(&report)), Ok(report.clone()));
    let all = GroupReplication(vec![(id, report), (id, ReplicationReport::default())]);
    let mut bytes = BytesMut::new();
    all.encode_body(&mut bytes);
    assert_eq!(GroupReplication::decode_body(&bytes), Ok(all));
}

proptest! {
    #[test]
    fn no_body_panics_a_decoder(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = (Join::decode_body(&body), JoinAnswer::decode_body(&body), Beat::decode_body(&body));
        let _ = (DiskUsage::decode_body(&body), SyncReport::decode_body(&body), CheckSync::decode_body(&body));
        let _ = (SyncSourceRequest::decode_body(&body), SyncSourceAnswer::decode_body(&body));
        let _ = (SyncNotify::decode_body(&body), GetMyIp::decode_body(&body), GetGroupName::decode_body(&body));
        let _ = (GetStorageStatus::decode_body(&body), ReportStatus::decode_body(&body));
        let _ = (ChangelogRequest::decode_body(&body), IpChanged::decode_body(&body));
        let _ = (ReplicaChanged::decode_body(&body), ChangeStatus::decode_body(&body));
        let _ = (ReplicationReport::decode_body(&body), GroupReplication::decode_body(&body));
        let _ = (ReportTrunkFileId::decode_body(&body), ReportTrunkFree::decode_body(&body));
    }
}
