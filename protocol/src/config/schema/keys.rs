//! The rows of the schema.

use super::Class::{Ignored, Tuning, Used};
use super::Kind::{Bool, Bytes, Int, Seconds, Text, Time};
use super::Scope::{AccessLog, Global, Group, Logs};
use super::{Class, Files, Key, Kind, Scope};

const T: Files = Files::TRACKER;
const S: Files = Files::STORAGE;
const C: Files = Files::CLIENT;
const M: Files = Files::MODULE;
const H: Files = Files::HTTP;

const FROM_TRACKER: &str = "storages learn it from the tracker";
const FASTDHT: &str =
    "FastDFS keeps one copy of equal files with FastDHT's help then, which is not supported";
const OBSOLETE: &str = "nginx's module sends no content type if this is false; here there always is one";
const SERVED_BY_STORAGES: &str =
    "file URLs are served by storages and gateways; the key counts in storage.conf and http.conf";
const NOT_BY_FDFS: &str = "FastDFS's storages do as it says; fdfs's make trunk files when they need them, and keep them and their log";
const SAMPLE_URLS: &str = "FastDFS's test tools print URLs with tokens then; these print them without";

const fn key(name: &'static str, kind: Kind, files: Files) -> Key {
    row(name, kind, files, Used, Global, "")
}

const fn noted(name: &'static str, kind: Kind, files: Files, note: &'static str) -> Key {
    row(name, kind, files, Used, Global, note)
}

const fn tuning(name: &'static str, kind: Kind, files: Files, note: &'static str) -> Key {
    row(name, kind, files, Tuning, Global, note)
}

const fn ignored(name: &'static str, kind: Kind, files: Files, note: &'static str) -> Key {
    row(name, kind, files, Ignored, Global, note)
}

const fn log(name: &'static str, kind: Kind, files: Files) -> Key {
    row(name, kind, files, Used, Logs, "")
}

/// A key of log sections that is read and has no effect.
const fn log_tuning(name: &'static str, kind: Kind, files: Files, note: &'static str) -> Key {
    row(name, kind, files, Tuning, Logs, note)
}

const fn access_log(name: &'static str, kind: Kind, files: Files) -> Key {
    row(name, kind, files, Used, AccessLog, "")
}

/// A key that storages have, and each group in front of which a gateway stands.
const fn of_group(name: &'static str, kind: Kind, files: Files) -> Key {
    row(name, kind, files, Used, Group, "")
}

const fn row(
    name: &'static str,
    kind: Kind,
    files: Files,
    class: Class,
    scope: Scope,
    note: &'static str,
) -> Key {
    Key { name, kind, class, scope, files, note }
}

/// All keys of all files.
pub(super) static KEYS: &[Key] = &[
    // Both daemons.
    key("disabled", Bool, T.or(S)),
    key("base_path", Text, T.or(S).or(M)),
    ignored("base_path", Text, C, "client tools write no files there"),
    key("bind_addr", Text, T.or(S)),
    key("inner_bind_addr", Text, T.or(S)),
    key("outer_bind_addr", Text, T.or(S)),
    key("port", Int, T.or(S)),
    key("inner_port", Int, T.or(S)),
    key("outer_port", Int, T.or(S)),
    key("address_family", Text, T.or(S)),
    key("connect_timeout", Seconds, T.or(S).or(C).or(M)),
    key("network_timeout", Seconds, T.or(S).or(C).or(M)),
    key("max_connections", Int, T.or(S)),
    tuning(
        "accept_threads",
        Int,
        T.or(S),
        "FastDFS accepts connections with that many threads; here each listener has a task, and tasks need no threads",
    ),
    tuning(
        "work_threads",
        Int,
        T.or(S),
        "FastDFS serves connections with that many threads; here there is one for each processor",
    ),
    tuning(
        "buff_size",
        Bytes,
        T.or(S),
        "FastDFS reserves that much for each connection; here a connection holds memory only while bytes are under way",
    ),
    tuning(
        "min_buff_size",
        Bytes,
        T.or(S),
        "FastDFS's buffer of a connection begins with that size; here it has the size that is needed",
    ),
    tuning(
        "max_buff_size",
        Bytes,
        T.or(S),
        "FastDFS's buffer of a connection grows up to that size; here it has the size that is needed",
    ),
    tuning(
        "thread_stack_size",
        Bytes,
        T.or(S),
        "FastDFS gives each thread such a stack, and does not start with a small one; here connections have no threads",
    ),
    tuning(
        "tcp_quick_ack",
        Bool,
        T.or(S),
        "FastDFS acknowledges each packet at once; here the system decides",
    ),
    tuning(
        "use_io_uring",
        Bool,
        T.or(S),
        "FastDFS waits for sockets by io_uring if it was built so; here it is epoll",
    ),
    tuning(
        "use_send_zc",
        Bool,
        T.or(S),
        "FastDFS sends by io_uring without copying if it was built so; here it is sendfile for large files",
    ),
    key("log_level", Text, T.or(S).or(C).or(M)),
    key("run_by_group", Text, T.or(S).or(M)),
    key("run_by_user", Text, T.or(S).or(M)),
    key("allow_hosts", Text, T.or(S)),
    tuning(
        "use_connection_pool",
        Bool,
        T.or(S).or(C),
        "FastDFS closes connections after use unless this is true; here they are kept for the next request",
    ),
    tuning(
        "connection_pool_max_idle_time",
        Seconds,
        T.or(S).or(C),
        "FastDFS's pool keeps unused connections for so long; here it is a minute",
    ),
    // Logs.
    log_tuning(
        "sync_log_buff_interval",
        Seconds,
        T.or(S).or(M),
        "FastDFS writes its log that often; here each line is written at once",
    ),
    log("log_file_rotate_everyday", Bool, T.or(S).or(M)),
    log("log_file_rotate_time", Time, T.or(S).or(M)),
    log("log_file_rotate_on_size", Bytes, T.or(S).or(M)),
    log("log_file_compress_old", Bool, T.or(S).or(M)),
    log("log_file_compress_days_before", Int, T.or(S).or(M)),
    log("log_file_keep_days", Int, T.or(S).or(M)),
    log_tuning(
        "log_file_delete_old_time",
        Time,
        T.or(S).or(M),
        "FastDFS removes old logs then; here they are removed when a new file begins",
    ),
    access_log("enabled", Bool, S),
    access_log("time_precision", Text, S),
    // Trackers.
    key("store_lookup", Int, T),
    key("store_group", Text, T),
    key("store_server", Int, T),
    key("store_path", Int, T),
    key("download_server", Int, T),
    noted("reserved_storage_space", Text, T, FROM_TRACKER),
    key("check_active_interval", Seconds, T),
    noted("storage_ip_changed_auto_adjust", Bool, T, FROM_TRACKER),
    key("storage_sync_file_max_delay", Seconds, T.or(M)),
    key("storage_sync_file_max_time", Seconds, T),
    noted("use_trunk_file", Bool, T, FROM_TRACKER),
    noted("slot_min_size", Bytes, T, FROM_TRACKER),
    noted("slot_max_size", Bytes, T, FROM_TRACKER),
    noted("trunk_file_size", Bytes, T, FROM_TRACKER),
    noted("trunk_alloc_alignment_size", Int, T, FROM_TRACKER),
    noted("trunk_create_file_advance", Bool, T, NOT_BY_FDFS),
    noted("trunk_create_file_time_base", Time, T, NOT_BY_FDFS),
    noted("trunk_compress_binlog_time_base", Time, T, NOT_BY_FDFS),
    noted("trunk_create_file_interval", Seconds, T, NOT_BY_FDFS),
    noted("trunk_compress_binlog_min_interval", Seconds, T, NOT_BY_FDFS),
    noted("trunk_compress_binlog_interval", Seconds, T, NOT_BY_FDFS),
    noted("trunk_create_file_space_threshold", Bytes, T, NOT_BY_FDFS),
    noted("trunk_init_check_occupying", Bool, T, FROM_TRACKER),
    noted("trunk_init_reload_from_binlog", Bool, T, FROM_TRACKER),
    noted("trunk_free_space_merge", Bool, T, FROM_TRACKER),
    noted("delete_unused_trunk_files", Bool, T, NOT_BY_FDFS),
    noted("trunk_binlog_max_backups", Int, T, FROM_TRACKER),
    noted("use_storage_id", Bool, T.or(C).or(M), FROM_TRACKER),
    noted("storage_ids_filename", Text, T.or(C).or(M), FROM_TRACKER),
    noted("id_type_in_filename", Text, T, FROM_TRACKER),
    noted("trust_storage_server_id", Bool, T, FROM_TRACKER),
    noted("store_slave_file_use_link", Bool, T, FROM_TRACKER),
    key("response_ip_addr_size", Text, T),
    // Storages.
    of_group("group_name", Text, S.or(M)),
    key("tracker_server", Text, S.or(C).or(M)),
    key("client_bind", Bool, S),
    key("server_id", Text, S),
    key("heart_beat_interval", Seconds, S),
    key("stat_report_interval", Seconds, S),
    of_group("store_path_count", Int, S.or(M)),
    of_group("store_path#", Text, S.or(M)),
    key("store_path#_readonly", Bool, S),
    key("subdir_count_per_path", Int, S),
    tuning(
        "disk_rw_separated",
        Bool,
        S,
        "FastDFS gives readers and writers of a store path threads of their own; here they share as many as the larger of disk_reader_threads and disk_writer_threads",
    ),
    key("disk_reader_threads", Int, S),
    key("disk_writer_threads", Int, S),
    key("disk_recovery_threads", Int, S),
    tuning(
        "sync_min_threads",
        Int,
        S,
        "FastDFS keeps at least so many threads that send to a member; here connections to it are opened and closed with the work, up to sync_max_threads",
    ),
    key("sync_max_threads", Text, S),
    tuning(
        "sync_wait_msec",
        Int,
        S,
        "FastDFS looks for new records that often; here each record wakes those who send it",
    ),
    tuning(
        "sync_interval",
        Int,
        S,
        "FastDFS pauses after each file that it sends to a member; here there is no such pause",
    ),
    key("sync_start_time", Time, S),
    key("sync_end_time", Time, S),
    tuning(
        "write_mark_file_freq",
        Int,
        S,
        "FastDFS saves how far a member has got after so many files; here it is saved as time passes",
    ),
    key("file_distribute_path_mode", Int, S),
    key("file_distribute_rotate_count", Int, S),
    tuning(
        "fsync_after_written_bytes",
        Bytes,
        S,
        "FastDFS has a file put on the disk after each so many bytes; here durability = fsync has each file there before it is confirmed",
    ),
    tuning(
        "sync_binlog_buff_interval",
        Seconds,
        S,
        "FastDFS keeps records in memory for so long, and a crash loses them; here each is written before its file is confirmed",
    ),
    key("sync_stat_file_interval", Seconds, S),
    key("upload_priority", Int, S),
    tuning(
        "if_alias_prefix",
        Text,
        S,
        "FastDFS looks for its own addresses on interfaces with that prefix; here on all",
    ),
    key("check_file_duplicate", Bool, S),
    ignored("file_signature_method", Text, S, FASTDHT),
    ignored("key_namespace", Text, S, FASTDHT),
    ignored("keep_alive", Bool, S, FASTDHT),
    ignored("group_count", Int, S, FASTDHT),
    ignored("group#", Text, S, FASTDHT),
    ignored("use_proxy", Bool, S, FASTDHT),
    ignored("proxy_addr", Text, S, FASTDHT),
    ignored("proxy_port", Int, S, FASTDHT),
    tuning(
        "file_sync_skip_invalid_record",
        Bool,
        S,
        "FastDFS's replication stops at a damaged line of the binlog unless this is true; here such lines are passed over with a warning",
    ),
    tuning(
        "compress_binlog",
        Bool,
        S,
        "FastDFS compresses old files of its binlog; here they stay as they are, and compressed ones are read",
    ),
    tuning(
        "compress_binlog_time",
        Time,
        S,
        "FastDFS compresses old files of its binlog then; here they stay as they are",
    ),
    key("check_store_path_mark", Bool, S),
    key("durability", Text, S),
    key("durability_timeout", Seconds, S),
    // Clients.
    tuning(
        "connect_first_by",
        Text,
        C,
        "FastDFS's clients try that one of a storage's two addresses first; here it is the one that the tracker names",
    ),
    key("load_fdfs_parameters_from_tracker", Bool, C.or(M)),
    // HTTP.
    key("http.server_port", Int, T.or(S).or(M)),
    key("storage_http_port", Int, T),
    ignored("http.server_port", Int, H, "write it in tracker.conf or storage.conf"),
    key("http.bind_addr", Text, T.or(S).or(M)),
    key("http.advertise_url", Text, S),
    key("http.allow_remote_writes", Bool, S.or(H)),
    key("http.upload_expiration", Seconds, S.or(H)),
    key("http.upload_max_size", Bytes, S.or(H)),
    key("http.resumable_draft", Bool, S.or(H)),
    // HTTP: who may do what.
    key("http.tokens_file", Text, T.or(S).or(M).or(H)),
    key("http.jwt_keys_file", Text, T.or(S).or(M).or(H)),
    key("http.jwt_issuer", Text, T.or(S).or(M).or(H)),
    key("http.jwt_audience", Text, T.or(S).or(M).or(H)),
    key("http.jwt_leeway", Seconds, T.or(S).or(M).or(H)),
    key("http.cluster_secret_file", Text, T.or(S).or(M).or(H)),
    key("http.loopback_writes", Bool, T.or(S).or(M).or(H)),
    key("http.private_reads", Bool, T.or(S).or(M).or(H)),
    key("http.limit_failed_auth", Int, T.or(S).or(M).or(H)),
    key("http.audit_log", Text, T.or(S).or(M).or(H)),
    // HTTP: what connections may take.
    key("http.client_header_timeout", Seconds, T.or(S).or(M).or(H)),
    key("http.idempotency_key_lifetime", Seconds, S.or(H)),
    key("http.client_body_timeout", Seconds, T.or(S).or(M).or(H)),
    key("http.send_timeout", Seconds, T.or(S).or(M).or(H)),
    key("http.keepalive_timeout", Seconds, T.or(S).or(M).or(H)),
    key("http.keepalive_requests", Int, T.or(S).or(M).or(H)),
    key("http.large_client_header_buffers", Text, T.or(S).or(M).or(H)),
    key("http.max_uri", Bytes, T.or(S).or(M).or(H)),
    key("http.client_max_body_size", Bytes, T.or(S).or(M).or(H)),
    key("http.max_connections", Int, T.or(S).or(M).or(H)),
    key("http.limit_conn", Int, T.or(S).or(M).or(H)),
    key("http.backlog", Int, T.or(S).or(M).or(H)),
    // HTTP: listeners, TLS and HTTP/2.
    key("http.listen", Text, T.or(S).or(M).or(H)),
    key("http.ssl_certificate", Text, T.or(S).or(M).or(H)),
    key("http.ssl_certificate_key", Text, T.or(S).or(M).or(H)),
    key("http.ssl_protocols", Text, T.or(S).or(M).or(H)),
    key("http.http2", Bool, T.or(S).or(M).or(H)),
    key("http.http2_max_concurrent_streams", Int, T.or(S).or(M).or(H)),
    // HTTP: tokens and types.
    key("http.anti_steal.check_token", Bool, S.or(H)),
    tuning("http.anti_steal.check_token", Bool, C, SAMPLE_URLS),
    key("http.anti_steal.secret_key", Text, S.or(H)),
    tuning("http.anti_steal.secret_key", Text, C, SAMPLE_URLS),
    // HTTP: who may ask.
    key("http.set_real_ip_from", Text, T.or(S).or(M).or(H)),
    key("http.real_ip_header", Text, T.or(S).or(M).or(H)),
    key("http.real_ip_recursive", Bool, T.or(S).or(M).or(H)),
    key("http.allow", Text, T.or(S).or(M).or(H)),
    key("http.deny", Text, T.or(S).or(M).or(H)),
    key("http.limit_req", Text, T.or(S).or(M).or(H)),
    key("http.limit_req_status", Int, T.or(S).or(M).or(H)),
    key("http.valid_referers", Text, S.or(M).or(H)),
    key("http.invalid_referer_page", Text, S.or(M).or(H)),
    key("http.cors_allow_origin", Text, T.or(S).or(M).or(H)),
    key("http.cors_allow_methods", Text, T.or(S).or(M).or(H)),
    key("http.cors_allow_headers", Text, T.or(S).or(M).or(H)),
    key("http.cors_expose_headers", Text, T.or(S).or(M).or(H)),
    key("http.cors_max_age", Int, T.or(S).or(M).or(H)),
    key("http.cors_allow_credentials", Bool, T.or(S).or(M).or(H)),
    // HTTP: what answers say, and how fast.
    key("http.add_header", Text, S.or(M).or(H)),
    key("http.content_security_policy", Text, S.or(M).or(H)),
    key("http.server_header", Text, S.or(M).or(H)),
    key("http.limit_rate", Bytes, S.or(M).or(H)),
    key("http.limit_rate_after", Bytes, S.or(M).or(H)),
    // HTTP: tokens and types.
    key("http.signed_url.keys", Text, S.or(M).or(H)),
    key("http.anti_steal.status", Int, S.or(M).or(H)),
    key("http.anti_steal.max_skew", Seconds, S.or(M).or(H)),
    key("http.anti_steal.allow_eternal", Bool, S.or(M).or(H)),
    key("http.anti_steal.token_ttl", Seconds, S.or(H)),
    key("http.anti_steal.token_check_fail", Text, S.or(H)),
    key("http.default_content_type", Text, S.or(H)),
    key("http.mime_types_filename", Text, S.or(H)),
    key("http.multi_range.enabled", Bool, S.or(H)),
    key("http.max_ranges", Int, S.or(M).or(H)),
    key("http.cache_control", Text, S.or(M).or(H)),
    key("http.cache_control_changing", Text, S.or(M).or(H)),
    key("http.charset", Text, S.or(M).or(H)),
    key("http.charset_types", Text, S.or(M).or(H)),
    key("http.file_cache", Bytes, S.or(M).or(H)),
    key("http.open_file_cache_valid", Seconds, S.or(M).or(H)),
    key("http.merge_slashes", Bool, S.or(M).or(H)),
    key("http.error_page", Text, S.or(M).or(H)),
    ignored("http.need_find_content_type", Bool, S.or(H), OBSOLETE),
    key("http.disabled", Bool, S.or(H)),
    // Access log.
    key("http.access_log", Text, T.or(S).or(M).or(H)),
    key("http.log_format", Text, T.or(S).or(M).or(H)),
    key("http.access_log_flush", Seconds, T.or(S).or(M).or(H)),
    // HTTP: compression.
    key("http.gzip", Bool, S.or(M).or(H)),
    key("http.brotli", Bool, S.or(M).or(H)),
    key("http.zstd", Bool, S.or(M).or(H)),
    key("http.gzip_types", Text, S.or(M).or(H)),
    key("http.gzip_min_length", Bytes, S.or(M).or(H)),
    key("http.gzip_max_length", Bytes, S.or(M).or(H)),
    key("http.gzip_comp_level", Int, S.or(M).or(H)),
    key("http.brotli_comp_level", Int, S.or(M).or(H)),
    key("http.zstd_comp_level", Int, S.or(M).or(H)),
    key("http.compression_cache", Bytes, S.or(M).or(H)),
    // What others do not read.
    ignored("http.anti_steal.check_token", Bool, T, SERVED_BY_STORAGES),
    ignored("http.multi_range.enabled", Bool, T, SERVED_BY_STORAGES),
    ignored("http.need_find_content_type", Bool, T, SERVED_BY_STORAGES),
    ignored("http.disabled", Bool, T, SERVED_BY_STORAGES),
    ignored("http.anti_steal.secret_key", Text, T, SERVED_BY_STORAGES),
    ignored("http.anti_steal.token_check_fail", Text, T, SERVED_BY_STORAGES),
    ignored("http.default_content_type", Text, T, SERVED_BY_STORAGES),
    ignored("http.mime_types_filename", Text, T, SERVED_BY_STORAGES),
    ignored("http.anti_steal.token_ttl", Seconds, T, SERVED_BY_STORAGES),
    ignored("http.multi_range.enabled", Bool, C, SERVED_BY_STORAGES),
    ignored("http.need_find_content_type", Bool, C, SERVED_BY_STORAGES),
    ignored("http.disabled", Bool, C, SERVED_BY_STORAGES),
    ignored("http.anti_steal.token_check_fail", Text, C, SERVED_BY_STORAGES),
    ignored("http.default_content_type", Text, C, SERVED_BY_STORAGES),
    ignored("http.mime_types_filename", Text, C, SERVED_BY_STORAGES),
    ignored("http.anti_steal.token_ttl", Seconds, C, SERVED_BY_STORAGES),
    // The gateway in front of an existing storage.
    ignored("url_have_group_name", Bool, M, "URLs are taken with and without a group"),
    ignored(
        "if_alias_prefix",
        Text,
        M,
        "which member is on this machine is seen by the system's own addresses",
    ),
    ignored("http.advertise_url", Text, M, "a gateway is no member; nobody sends clients to it"),
    key("flv_support", Bool, M.or(S)),
    of_group("storage_server_port", Int, M),
    key("group_count", Int, M),
    key("response_mode", Text, S.or(M)),
    key("log_filename", Text, M),
    key("flv_extension", Text, M.or(S)),
    key("anti_steal_bypass_header_name", Text, S.or(M)),
    key("anti_steal_bypass_header_value", Text, S.or(M)),
];
