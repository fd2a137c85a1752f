//! Encoding and decoding are inverse: messages of any content come back as they were.

use std::fmt::Debug;
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use protocol::cluster::{
    Beat, Brief, CheckSync, DiskUsage, Join, JoinAnswer, PathSpace, ReportStatus, StorageStats,
    StorageStatus, SyncNotify, SyncReport, SyncSource, TrackerAddress,
};
use protocol::file_id::{FileExt, LogicName, SlavePrefix, StorePathIndex};
use protocol::peers::{
    CommitNextLeader, GetOneSystemFile, JoinLeader, LeaderClaim, NotifyNextLeader, PingLeader, SYSTEM_FILES,
    SystemFilePiece, TrunkServers,
};
use protocol::storage::{
    Append, CreateLink, Download, FileInfo, MetadataMode, Modify, SetMetadata, Truncate, Upload, UploadHead,
    UploadSlave,
};
use protocol::tracker::{
    Connections, FileName, GroupList, GroupRecord, QueryFetch, Server, ServerListAnswer, StorageList,
    StorageRecord, StoreAllAnswer, StoreAnswer,
};
use protocol::wire::{Request, Response, StreamRequest};
use protocol::{AddressWidth, FileId, GroupName, HostPort, StorageId};

const MAX: i64 = i64::MAX;

fn group() -> impl Strategy<Value = GroupName> {
    "[A-Za-z0-9]{1,16}".prop_map(|text| GroupName::parse(&text).unwrap())
}

fn id() -> impl Strategy<Value = StorageId> {
    "[!-~]{1,15}".prop_map(|text| StorageId::parse(&text).unwrap())
}

fn v4() -> impl Strategy<Value = IpAddr> {
    any::<[u8; 4]>().prop_map(IpAddr::from)
}

/// Any address, in the field that is wide enough for it.
fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![v4(), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

fn name() -> impl Strategy<Value = LogicName> {
    "M[0-9A-F]{2}/[0-9A-F]{2}/[0-9A-F]{2}/[A-Za-z0-9_-]{27}[0-9]{3}\\.[a-z]{3}"
        .prop_map(|text| LogicName::parse(&text).unwrap())
}

fn file() -> impl Strategy<Value = FileId> {
    (group(), name()).prop_map(|(group, name)| FileId { group, name })
}

fn ext() -> impl Strategy<Value = FileExt> {
    "[a-z0-9._-]{0,6}".prop_map(|text| FileExt::parse(&text).unwrap())
}

fn prefix() -> impl Strategy<Value = SlavePrefix> {
    "[a-z0-9._-]{1,16}".prop_map(|text| SlavePrefix::parse(&text).unwrap())
}

fn status() -> impl Strategy<Value = StorageStatus> {
    (0..=9_u8).prop_map(StorageStatus)
}

fn server(ip: impl Strategy<Value = IpAddr>) -> impl Strategy<Value = Server> {
    (ip, any::<u16>()).prop_map(|(ip, port)| Server { ip, port })
}

fn brief() -> impl Strategy<Value = Brief> {
    let parts = (status(), any::<u16>(), option::of(id()), option::of(any_ip()));
    parts.prop_map(|(status, port, id, ip)| Brief { status, port, id, ip })
}

fn stats() -> impl Strategy<Value = StorageStats> {
    (any::<[i32; 3]>(), vec(any::<i64>(), StorageStats::NAMES.len())).prop_map(|(connections, numbers)| {
        let [connections_alloc, connections_current, connections_max] = connections;
        let mut stats = StorageStats {
            connections_alloc,
            connections_current,
            connections_max,
            ..StorageStats::default()
        };
        for (name, number) in StorageStats::NAMES.iter().zip(numbers) {
            assert!(stats.set(name, number), "{name}");
        }
        stats
    })
}

fn request<Q: Request + PartialEq + Debug>(request: &Q) -> Result<(), TestCaseError> {
    let mut body = BytesMut::new();
    request.encode_body(&mut body);
    let decoded = Q::decode_body(&body);
    prop_assert_eq!(decoded.as_ref(), Ok(request));
    Ok(())
}

fn response<R: Response + PartialEq + Debug>(response: &R) -> Result<(), TestCaseError> {
    let mut body = BytesMut::new();
    response.encode_body(&mut body);
    let decoded = R::decode_body(&body);
    prop_assert_eq!(decoded.as_ref(), Ok(response));
    Ok(())
}

fn head<Q: StreamRequest + PartialEq + Debug>(request: Q) -> Result<(), TestCaseError> {
    let mut body = BytesMut::new();
    request.encode_head(&mut body);
    let (len, body_len) = (body.len(), body.len() as u64 + request.content_len());
    for end in 0..len {
        prop_assert_eq!(Q::decode_head(&body[..end], body_len), Ok(None), "{} of {} bytes", end, len);
    }
    body.extend_from_slice(b"content");
    prop_assert_eq!(Q::decode_head(&body, body_len), Ok(Some((request, len))));
    Ok(())
}

proptest! {
    #[test]
    fn heads_of_uploads(
        path in option::of(0..128_u8), size in 0..1_u64 << 62, offset in 0..1_u64 << 62, name in name(),
        ext in ext(), prefix in prefix(),
    ) {
        head(Upload(UploadHead { store_path: path.map(StorePathIndex), size, ext }))?;
        head(UploadSlave { master: name.clone(), size, prefix, ext })?;
        head(Append { name: name.clone(), size })?;
        head(Modify { name, offset, size })?;
    }

    #[test]
    fn requests_to_storages(
        file in file(), text in vec(any::<u8>(), 0..500), overwrite: bool, offset in 0..=MAX.unsigned_abs(),
        len in 0..=MAX.unsigned_abs(), master in option::of((name(), prefix())), ext in ext(),
        signature in vec(any::<u8>(), 1..=63),
    ) {
        let mode = if overwrite { MetadataMode::Overwrite } else { MetadataMode::Merge };
        request(&SetMetadata { file: file.clone(), mode, text: Bytes::from(text) })?;
        request(&Download { offset, len, file: file.clone() })?;
        request(&Truncate { name: file.name.clone(), size: len })?;
        let FileId { group, name: source } = file;
        request(&CreateLink { group, master, ext, source, signature: Bytes::from(signature) })?;
    }

    #[test]
    fn answers_of_storages(size in 0..=MAX.unsigned_abs(), time: i64, crc32: u32, narrow in option::of(v4()), wide in option::of(any_ip())) {
        response(&FileInfo { size, time, crc32, source: narrow, width: AddressWidth::V4 })?;
        response(&FileInfo { size, time, crc32, source: wide, width: AddressWidth::V6 })?;
    }

    #[test]
    fn queries_and_places(
        group in group(), bytes in vec(any::<u8>(), 22..=127), path: u8, narrow in vec(server(v4()), 1..33),
        wide in vec(server(any_ip()), 1..22),
    ) {
        request(&QueryFetch { group, name: FileName::new(&bytes).unwrap() })?;
        let store_path = StorePathIndex(path);
        for (servers, width) in [(narrow, AddressWidth::V4), (wide, AddressWidth::V6)] {
            response(&StoreAnswer { group, server: servers[0], store_path, width })?;
            // 53 narrow records are as long as 23 wide ones; a group has 32 members.
            response(&StoreAllAnswer { group, servers: servers.clone(), store_path, width })?;
            response(&ServerListAnswer { group, servers, width })?;
        }
    }

    #[test]
    fn lists(
        name in group(), numbers: [i64; 12], status in status(), rw_mode: u8, storage in id(), ip in any_ip(),
        source in option::of(id()), version in "[0-9.]{0,8}", stats in stats(), is_trunk_server: u8,
    ) {
        let [total_mb, free_mb, reserved_mb, trunk_free_mb, storage_count, storage_port, a, b, c, d, e, f] = numbers;
        response(&GroupList(vec![GroupRecord {
            name, total_mb, free_mb, reserved_mb, trunk_free_mb, storage_count, storage_port, readable_count: a,
            writable_count: b, current_write_server: c, store_path_count: d, subdir_count: e, trunk_file_id: f,
        }; 3]))?;
        let record = StorageRecord {
            status, rw_mode, id: storage, ip: Some(ip), source, version, join_time: a, up_time: b, total_mb, free_mb,
            reserved_mb, upload_priority: c, store_path_count: d, subdir_count: e, current_write_path: f,
            port: storage_port, stats, is_trunk_server,
        };
        response(&StorageList { storages: vec![record; 2], width: AddressWidth::V6 })?;
    }

    #[test]
    fn what_storages_report(
        group in group(), status in status(), source in option::of(id()), until: i64, stats in option::of(stats()),
        paths in vec((any::<i64>(), any::<i64>()), 1..256), received in vec((id(), any::<i32>()), 1..32),
        briefs in (option::of(brief()), option::of(brief()), option::of(vec(brief(), 1..32))), storage in brief(),
    ) {
        request(&Beat(stats))?;
        request(&DiskUsage(paths.iter().map(|&(total_mb, free_mb)| PathSpace { total_mb, free_mb }).collect()))?;
        request(&SyncReport(received))?;
        request(&SyncNotify(SyncSource { source, until }))?;
        request(&ReportStatus { group, storage })?;
        response(&JoinAnswer { status, source })?;
        let (leader, trunk_server, members) = briefs;
        response(&CheckSync { leader, trunk_server, members })?;
    }

    #[test]
    fn joins(
        group in group(), port in 1..=u16::MAX, counts in (1..=256_i64, 1..=256_i64), numbers: [i64; 3],
        version in "[0-9.]{0,8}", is_new in 0..=1_u8, status in option::of(status()), id in option::of(id()),
        tracker_ip in option::of(any_ip()),
        trackers in vec((vec(any_ip(), 1..=2), 1..=u16::MAX), 1..=16),
    ) {
        let [upload_priority, join_time, up_time] = numbers;
        let trackers = trackers.into_iter().map(|(ips, port)| TrackerAddress { ips, port }).collect();
        request(&Join {
            group, port, store_path_count: counts.0, subdir_count: counts.1, upload_priority, join_time, up_time,
            version, is_new, status, id, tracker_ip, trackers,
        })?;
    }

    #[test]
    fn what_trackers_say(
        ip in any_ip(), port in 1..=u16::MAX, numbers: [i64; 2], flag: u8, counts: [i32; 3], version in "[0-9.]{0,8}",
        index in 0..SYSTEM_FILES, size in 0..=i64::MAX.unsigned_abs(), bytes in vec(any::<u8>(), 0..64),
        servers in vec((group(), option::of(id())), 0..20),
    ) {
        let tracker = HostPort { host: ip.to_string(), port };
        request(&NotifyNextLeader(tracker.clone()))?;
        request(&CommitNextLeader(tracker))?;
        let [running_time, restart_interval] = numbers;
        response(&LeaderClaim { is_leader: flag, running_time, restart_interval })?;
        request(&JoinLeader { up_time: running_time, version, port })?;
        let [alloc, current, max] = counts;
        request(&PingLeader(Connections { alloc, current, max }))?;
        response(&TrunkServers(servers))?;
        request(&GetOneSystemFile { index, offset: size })?;
        response(&SystemFilePiece { total: size, bytes: bytes.into() })?;
    }
}
