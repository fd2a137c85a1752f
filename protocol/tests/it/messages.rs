//! Every message by its command: bytes decoded and encoded again.

use bytes::{Bytes, BytesMut};
use protocol::cluster::{
    Beat, Brief, ChangeStatus, ChangelogRequest, CheckSync, DiskUsage, FetchTrunkFileId, GetGroupName,
    GetMyIp, GetServerId, GetStorageStatus, IpChanged, Join, JoinAnswer, ReplicaChanged, ReportStatus,
    ReportTrunkFileId, ReportTrunkFree, SyncDestQuery, SyncDestRequest, SyncNotify, SyncReport,
    SyncSourceAnswer, SyncSourceRequest, TrunkFileId,
};
use protocol::peers::{
    CommitNextLeader, GetOneSystemFile, GetSystemFilesEnd, GetSystemFilesStart, JoinLeader, LeaderClaim,
    NotifyNextLeader, PingLeader, ReselectLeader, SystemFilePiece, TrackerGetStatus, TrunkServers,
};
use protocol::storage::{
    Append, CreateLink, Delete, Download, FileCreated, FileInfo, GetMetadata, Modify, QueryFileInfo,
    Regenerate, ReportServerId, SetMetadata, Truncate, Upload, UploadAppender, UploadSlave,
};
use protocol::tracker::{
    DeleteGroup, DeleteStorage, FetchStorageIds, GetLeader, GroupList, GroupStatisticsAnswer, ListAllGroups,
    ListOneGroup, ListStorages, ParameterRequest, QueryFetch, QueryFetchAll, QueryGroupStatistics,
    QueryStorageStatistics, QueryStore, QueryStoreAll, QueryStoreInGroup, QueryStoreInGroupAll,
    QueryTrackerStatistics, QueryUpdate, ServerAnswer, ServerListAnswer, SetStorageMode, SetTrunkServer,
    StorageIdsChunk, StorageList, StorageStatisticsAnswer, StoreAllAnswer, StoreAnswer,
    TrackerStatisticsAnswer,
};
use protocol::wire::{Reader, Request, Response, StreamRequest};
use protocol::{Command, DecodeError, GroupName};

type Again = Result<Vec<u8>, DecodeError>;

fn held<Q: Request>(body: &[u8]) -> Again {
    let mut out = BytesMut::new();
    Q::decode_body(body)?.encode_body(&mut out);
    Ok(out.to_vec())
}

fn streamed<Q: StreamRequest>(body: &[u8], body_len: u64) -> Again {
    let short = DecodeError::Short { field: "head", need: body.len() + 1, have: body.len() };
    let (head, len) = Q::decode_head(body, body_len)?.ok_or(short)?;
    let mut out = BytesMut::new();
    head.encode_head(&mut out);
    assert_eq!(out.len(), len, "a head is as long as the decoder says");
    assert_eq!(head.content_len() + len as u64, body_len, "head and content fill the body");
    out.extend_from_slice(&body[len..]);
    Ok(out.to_vec())
}

/// The body of a request, decoded and encoded; `None` for commands without a type.
pub fn request(command: u8, body: &[u8], body_len: u64) -> Option<Again> {
    Some(match Command(command) {
        Command::UPLOAD_FILE => streamed::<Upload>(body, body_len),
        Command::UPLOAD_APPENDER_FILE => streamed::<UploadAppender>(body, body_len),
        Command::UPLOAD_SLAVE_FILE => streamed::<UploadSlave>(body, body_len),
        Command::APPEND_FILE => streamed::<Append>(body, body_len),
        Command::MODIFY_FILE => streamed::<Modify>(body, body_len),
        Command::REPORT_SERVER_ID => held::<ReportServerId>(body),
        Command::DELETE_FILE => held::<Delete>(body),
        Command::SET_METADATA => held::<SetMetadata>(body),
        Command::GET_METADATA => held::<GetMetadata>(body),
        Command::DOWNLOAD_FILE => held::<Download>(body),
        Command::CREATE_LINK => held::<CreateLink>(body),
        Command::QUERY_FILE_INFO => held::<QueryFileInfo>(body),
        Command::TRUNCATE_FILE => held::<Truncate>(body),
        Command::REGENERATE_APPENDER_FILENAME => held::<Regenerate>(body),
        Command::QUERY_STORE => held::<QueryStore>(body),
        Command::QUERY_STORE_IN_GROUP => held::<QueryStoreInGroup>(body),
        Command::QUERY_STORE_ALL => held::<QueryStoreAll>(body),
        Command::QUERY_STORE_IN_GROUP_ALL => held::<QueryStoreInGroupAll>(body),
        Command::QUERY_FETCH => held::<QueryFetch>(body),
        Command::QUERY_FETCH_ALL => held::<QueryFetchAll>(body),
        Command::QUERY_UPDATE => held::<QueryUpdate>(body),
        Command::LIST_ONE_GROUP => held::<ListOneGroup>(body),
        Command::LIST_ALL_GROUPS => held::<ListAllGroups>(body),
        Command::LIST_STORAGES => held::<ListStorages>(body),
        Command::DELETE_STORAGE => held::<DeleteStorage>(body),
        Command::DELETE_GROUP => held::<DeleteGroup>(body),
        Command::SET_TRUNK_SERVER => held::<SetTrunkServer>(body),
        Command::SET_STORAGE_MODE => held::<SetStorageMode>(body),
        Command::GET_LEADER => held::<GetLeader>(body),
        Command::TRACKER_STAT => held::<QueryTrackerStatistics>(body),
        Command::STORAGE_STAT => held::<QueryStorageStatistics>(body),
        Command::GROUP_STAT => held::<QueryGroupStatistics>(body),
        Command::FETCH_STORAGE_IDS => held::<FetchStorageIds>(body),
        Command::PARAMETER_REQ => held::<ParameterRequest>(body),
        Command::TRACKER_GET_STATUS => held::<TrackerGetStatus>(body),
        Command::TRACKER_NOTIFY_NEXT_LEADER => held::<NotifyNextLeader>(body),
        Command::TRACKER_COMMIT_NEXT_LEADER => held::<CommitNextLeader>(body),
        Command::TRACKER_NOTIFY_RESELECT_LEADER => held::<ReselectLeader>(body),
        Command::TRACKER_JOIN_LEADER => held::<JoinLeader>(body),
        Command::TRACKER_PING_LEADER => held::<PingLeader>(body),
        Command::GET_SYS_FILES_START => held::<GetSystemFilesStart>(body),
        Command::GET_SYS_FILES_END => held::<GetSystemFilesEnd>(body),
        Command::GET_ONE_SYS_FILE => held::<GetOneSystemFile>(body),
        Command::STORAGE_JOIN => held::<Join>(body),
        Command::STORAGE_BEAT => held::<Beat>(body),
        Command::REPORT_DISK_USAGE => held::<DiskUsage>(body),
        Command::SYNC_REPORT => held::<SyncReport>(body),
        Command::SYNC_DEST_REQ => held::<SyncDestRequest>(body),
        Command::SYNC_DEST_QUERY => held::<SyncDestQuery>(body),
        Command::SYNC_NOTIFY => held::<SyncNotify>(body),
        Command::SYNC_SRC_REQ => held::<SyncSourceRequest>(body),
        Command::REPLICA_CHG => held::<ReplicaChanged>(body),
        Command::REPORT_STATUS => held::<ReportStatus>(body),
        Command::CHANGE_STATUS => held::<ChangeStatus>(body),
        Command::CHANGELOG_REQ => held::<ChangelogRequest>(body),
        Command::REPORT_IP_CHANGED => held::<IpChanged>(body),
        Command::GET_MY_IP => held::<GetMyIp>(body),
        Command::GET_STORAGE_STATUS => held::<GetStorageStatus>(body),
        Command::GET_SERVER_ID => held::<GetServerId>(body),
        Command::GET_GROUP_NAME => held::<GetGroupName>(body),
        Command::FETCH_TRUNK_FID => held::<FetchTrunkFileId>(body),
        Command::REPORT_TRUNK_FID => held::<ReportTrunkFileId>(body),
        Command::REPORT_TRUNK_FREE => held::<ReportTrunkFree>(body),
        _ => return None,
    })
}

fn answer<R: Response>(body: &[u8]) -> Again {
    let mut out = BytesMut::new();
    R::decode_body(body)?.encode_body(&mut out);
    Ok(out.to_vec())
}

/// The body of a good answer to `command`, decoded and encoded; `None` where the answer is plain text or content.
pub fn response(command: u8, body: &[u8]) -> Option<Again> {
    Some(match Command(command) {
        Command::UPLOAD_FILE
        | Command::UPLOAD_APPENDER_FILE
        | Command::UPLOAD_SLAVE_FILE
        | Command::CREATE_LINK
        | Command::REGENERATE_APPENDER_FILENAME => answer::<FileCreated>(body),
        Command::GET_METADATA => answer::<Bytes>(body),
        Command::QUERY_FILE_INFO => answer::<FileInfo>(body),
        Command::QUERY_STORE | Command::QUERY_STORE_IN_GROUP => answer::<StoreAnswer>(body),
        Command::QUERY_STORE_ALL | Command::QUERY_STORE_IN_GROUP_ALL => answer::<StoreAllAnswer>(body),
        Command::QUERY_FETCH | Command::QUERY_UPDATE => answer::<ServerAnswer>(body),
        Command::QUERY_FETCH_ALL => answer::<ServerListAnswer>(body),
        Command::LIST_ONE_GROUP | Command::LIST_ALL_GROUPS => answer::<GroupList>(body),
        Command::LIST_STORAGES => answer::<StorageList>(body),
        Command::TRACKER_STAT => answer::<TrackerStatisticsAnswer>(body),
        Command::STORAGE_STAT => answer::<StorageStatisticsAnswer>(body),
        Command::GROUP_STAT => answer::<GroupStatisticsAnswer>(body),
        Command::FETCH_STORAGE_IDS => answer::<StorageIdsChunk>(body),
        Command::TRACKER_GET_STATUS => answer::<LeaderClaim>(body),
        Command::TRACKER_PING_LEADER => answer::<TrunkServers>(body),
        Command::GET_ONE_SYS_FILE => answer::<SystemFilePiece>(body),
        Command::STORAGE_JOIN => answer::<JoinAnswer>(body),
        Command::STORAGE_BEAT | Command::REPORT_DISK_USAGE | Command::SYNC_REPORT => {
            answer::<CheckSync>(body)
        }
        Command::SYNC_DEST_REQ | Command::SYNC_DEST_QUERY | Command::SYNC_SRC_REQ => {
            answer::<SyncSourceAnswer>(body)
        }
        Command::FETCH_TRUNK_FID => answer::<TrunkFileId>(body),
        Command::GET_STORAGE_STATUS => {
            let mut reader = Reader::new(body);
            let mut out = BytesMut::new();
            Brief::decode(&mut reader).and_then(|brief| {
                reader.finish()?;
                brief.encode(&mut out);
                Ok(out.to_vec())
            })
        }
        Command::GET_GROUP_NAME => {
            let mut reader = Reader::new(body);
            let mut out = BytesMut::new();
            GroupName::decode(&mut reader).and_then(|group| {
                reader.finish()?;
                group.encode(&mut out);
                Ok(out.to_vec())
            })
        }
        _ => return None,
    })
}
