//! Command byte of a request: who may send it, and to whom.

use std::fmt;

/// A command as sent. Unknown values survive: servers answer them with `EINVAL`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Command(pub u8);

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl Command {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Name of the command, or `None` for a number the protocol does not have.
            pub fn name(self) -> Option<&'static str> {
                match self { $(Self::$name => Some(stringify!($name)),)* _ => None }
            }
        }
    };
}

commands! {
    // To a storage, from clients.
    /// Sender's storage id; tags the connection for sync statistics.
    REPORT_SERVER_ID = 9;
    /// Upload a file.
    UPLOAD_FILE = 11;
    /// Delete a file.
    DELETE_FILE = 12;
    /// Set metadata.
    SET_METADATA = 13;
    /// Download a file or a part of it.
    DOWNLOAD_FILE = 14;
    /// Get metadata.
    GET_METADATA = 15;
    /// Create a link to a file.
    CREATE_LINK = 20;
    /// Upload a slave file.
    UPLOAD_SLAVE_FILE = 21;
    /// Size, time, CRC32 and source of a file.
    QUERY_FILE_INFO = 22;
    /// Upload an appender file.
    UPLOAD_APPENDER_FILE = 23;
    /// Append to an appender file.
    APPEND_FILE = 24;
    /// Overwrite a part of an appender file.
    MODIFY_FILE = 34;
    /// Cut or extend an appender file.
    TRUNCATE_FILE = 36;
    /// Give an appender file a normal name.
    REGENERATE_APPENDER_FILENAME = 38;

    // To a storage, from its peers.
    /// Replicate a new file.
    SYNC_CREATE_FILE = 16;
    /// Replicate a delete.
    SYNC_DELETE_FILE = 17;
    /// Replicate a rewritten file.
    SYNC_UPDATE_FILE = 18;
    /// Replicate a link.
    SYNC_CREATE_LINK = 19;
    /// Replicate an append.
    SYNC_APPEND_FILE = 25;
    /// Records of one store path, for disk recovery.
    FETCH_ONE_PATH_BINLOG = 26;
    /// Ask the trunk server for a slot.
    TRUNK_ALLOC_SPACE = 27;
    /// Tell the trunk server how the slot was used.
    TRUNK_ALLOC_CONFIRM = 28;
    /// Give a slot back.
    TRUNK_FREE_SPACE = 29;
    /// Trunk binlog lines.
    TRUNK_SYNC_BINLOG = 30;
    /// Size of the trunk binlog (from the tracker).
    TRUNK_GET_BINLOG_SIZE = 31;
    /// Delete trunk marks (from the tracker).
    TRUNK_DELETE_BINLOG_MARKS = 32;
    /// Start the trunk binlog anew.
    TRUNK_TRUNCATE_BINLOG_FILE = 33;
    /// Replicate a modify.
    SYNC_MODIFY_FILE = 35;
    /// Replicate a truncate.
    SYNC_TRUNCATE_FILE = 37;
    /// Replicate a rename.
    SYNC_RENAME_FILE = 40;

    // To a tracker, from its peers and from storages.
    /// A storage passes on the leader's view of its status.
    CHANGE_STATUS = 59;
    /// A follower joins the leader.
    TRACKER_JOIN_LEADER = 58;
    /// A storage asks for its own address.
    GET_MY_IP = 60;
    /// Begin of a system-file copy.
    GET_SYS_FILES_START = 61;
    /// End of a system-file copy.
    GET_SYS_FILES_END = 62;
    /// A piece of one system file.
    GET_ONE_SYS_FILE = 63;
    /// A tracker's claim to leadership.
    TRACKER_GET_STATUS = 64;
    /// Followers' heart beat.
    TRACKER_PING_LEADER = 65;
    /// Proposes a leader.
    TRACKER_NOTIFY_NEXT_LEADER = 66;
    /// Confirms the proposed leader.
    TRACKER_COMMIT_NEXT_LEADER = 67;
    /// Asks a leader to step down.
    TRACKER_NOTIFY_RESELECT_LEADER = 68;
    /// The table of storage ids.
    FETCH_STORAGE_IDS = 69;
    /// A storage asks for its id.
    GET_SERVER_ID = 70;
    /// Status of one storage.
    GET_STORAGE_STATUS = 71;
    /// Highest trunk file id.
    FETCH_TRUNK_FID = 72;
    /// Reports the trunk file id.
    REPORT_TRUNK_FID = 73;
    /// Reports free trunk space.
    REPORT_TRUNK_FREE = 74;
    /// Parameters that the tracker sets for the cluster.
    PARAMETER_REQ = 75;
    /// Status of a storage, told by a peer.
    REPORT_STATUS = 76;
    /// Changes of membership.
    CHANGELOG_REQ = 77;
    /// A storage got another address.
    REPORT_IP_CHANGED = 78;
    /// A storage asks who feeds it old files.
    SYNC_DEST_QUERY = 79;
    /// A storage joins.
    STORAGE_JOIN = 81;
    /// A storage's heart beat.
    STORAGE_BEAT = 83;
    /// Disk usage per store path.
    REPORT_DISK_USAGE = 84;
    /// Changed replica status.
    REPLICA_CHG = 85;
    /// Who feeds this destination?
    SYNC_SRC_REQ = 86;
    /// A new storage asks for a source of old files.
    SYNC_DEST_REQ = 87;
    /// A storage tells who feeds it.
    SYNC_NOTIFY = 88;
    /// Newest timestamp received from each peer.
    SYNC_REPORT = 89;
    /// Group of a storage that does not know it.
    GET_GROUP_NAME = 109;

    // To a tracker, from clients.
    /// One group.
    LIST_ONE_GROUP = 90;
    /// All groups.
    LIST_ALL_GROUPS = 91;
    /// Storages of a group.
    LIST_STORAGES = 92;
    /// Delete a storage.
    DELETE_STORAGE = 93;
    /// Choose the trunk server.
    SET_TRUNK_SERVER = 94;
    /// Who is the leader?
    GET_LEADER = 95;
    /// Tracker statistics.
    TRACKER_STAT = 96;
    /// Storage statistics.
    STORAGE_STAT = 97;
    /// Group statistics.
    GROUP_STAT = 98;
    /// Where to upload.
    QUERY_STORE = 101;
    /// Where to download.
    QUERY_FETCH = 102;
    /// Where to change a file.
    QUERY_UPDATE = 103;
    /// Where to upload, in this group.
    QUERY_STORE_IN_GROUP = 104;
    /// All places to download.
    QUERY_FETCH_ALL = 105;
    /// All places to upload.
    QUERY_STORE_ALL = 106;
    /// All places to upload, in this group.
    QUERY_STORE_IN_GROUP_ALL = 107;
    /// Delete an empty group.
    DELETE_GROUP = 108;

    // fdfs's own; FastDFS answers `EINVAL`.
    /// A member tells a tracker of its senders.
    REPLICATION_REPORT = 200;
    /// What the members of a group told of their senders.
    QUERY_REPLICATION = 201;
    /// What clients may ask of a storage.
    SET_STORAGE_MODE = 202;

    // Either.
    /// Good bye; not answered.
    QUIT = 82;
    /// Every answer.
    RESPONSE = 100;
    /// Are you there?
    ACTIVE_TEST = 111;
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name}({})", self.0),
            None => write!(f, "Command({})", self.0),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
