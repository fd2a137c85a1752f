//! Blocks of fixed records, compared line for line with what FastDFS 6.16.1 prints for them.

use protocol::GroupName;
use protocol::cluster::{StorageStats, StorageStatus};

use super::*;

/// A storage of a group without trunk files.
pub(crate) fn storage(id: &str) -> StorageRecord {
    StorageRecord {
        status: StorageStatus::ACTIVE,
        rw_mode: 6,
        id: StorageId::parse(id).unwrap(),
        ip: id.parse().ok(),
        source: None,
        version: "6.16.1".to_owned(),
        join_time: 1_000_000_000,
        up_time: 0,
        total_mb: 252 * 1024,
        free_mb: 66 * 1024,
        reserved_mb: 2560,
        upload_priority: 10,
        store_path_count: 1,
        subdir_count: 256,
        current_write_path: 0,
        port: 23000,
        stats: StorageStats {
            connections_max: 3,
            total_upload_count: 99_562,
            total_download_bytes: 10_694_778_880,
            last_source_update: 1_000_000_100,
            ..StorageStats::default()
        },
        is_trunk_server: 0,
    }
}

/// A group of these storages.
pub(crate) fn group(storages: Vec<StorageRecord>) -> GroupView {
    let count = i64::try_from(storages.len()).unwrap();
    let group = GroupRecord {
        name: GroupName::parse("group1").unwrap(),
        total_mb: 252 * 1024,
        free_mb: 66 * 1024,
        reserved_mb: 2560,
        trunk_free_mb: 1024,
        storage_count: count,
        storage_port: 23000,
        readable_count: count,
        writable_count: count,
        current_write_server: 0,
        store_path_count: 1,
        subdir_count: 256,
        trunk_file_id: -1,
    };
    GroupView { group, storages }
}

#[test]
fn a_group_block_has_fastdfs_lines() {
    assert_eq!(
        group(Vec::new()).text(),
        "group name = group1\n\
         disk total space     =  252 GB\n\
         disk free space      =   66 GB\n\
         disk reserved space  =  2.5 GB\n\
         disk available space =   64 GB\n\
         storage server count = 0\n\
         readable server count = 0\n\
         writable server count = 0\n\
         storage server port = 23000\n\
         store path count = 1\n\
         subdir count per path = 256\n\
         current write server index = 0\n\n"
    );
}

#[test]
fn trunk_lines_appear_with_trunk_files_only() {
    let mut view = group(vec![StorageRecord { is_trunk_server: 1, ..storage("10.0.0.1") }]);
    assert!(!view.text().contains("trunk server ="), "{}", view.group_block());
    view.group.trunk_file_id = 3;
    let block = view.group_block();
    for line in [
        "trunk free space =  1.0 GB",
        "current trunk server = 10.0.0.1 (10.0.0.1)",
        "current trunk file id = 3",
    ] {
        assert!(block.lines().any(|got| got == line), "{line} in {block}");
    }
}

#[test]
fn a_storage_block_has_fastdfs_lines() {
    let text = group(vec![storage("10.0.0.1")]).text();
    let block: Vec<&str> = text.lines().skip_while(|line| !line.starts_with('\t')).collect();
    let (joined, epoch) = (local_time(1_000_000_000), local_time(0));
    let expected_head = [
        "\tStorage 1:".to_owned(),
        "\t\tid = 10.0.0.1".to_owned(),
        "\t\thost = 10.0.0.1:23000  ACTIVE".to_owned(),
        "\t\tread write mode = both (normal)".to_owned(),
        "\t\tversion = 6.16.1".to_owned(),
        format!("\t\tjoin time = {joined}"),
        "\t\tup time = ".to_owned(),
        "\t\tdisk total space     =  252 GB".to_owned(),
        "\t\tdisk free space      =   66 GB".to_owned(),
        "\t\tdisk reserved space  =  2.5 GB".to_owned(),
        "\t\tdisk available space =   64 GB".to_owned(),
        "\t\tupload priority = 10".to_owned(),
        "\t\tstore_path_count = 1".to_owned(),
        "\t\tsubdir_count_per_path = 256".to_owned(),
        "\t\tcurrent_write_path = 0".to_owned(),
        "\t\tsource storage id = ".to_owned(),
        "\t\tif_trunk_server = 0".to_owned(),
        "\t\tconnection.alloc_count = 0".to_owned(),
        "\t\tconnection.current_count = 0".to_owned(),
        "\t\tconnection.max_count = 3".to_owned(),
        "\t\ttotal_upload_count = 99562".to_owned(),
        "\t\tsuccess_upload_count = 0".to_owned(),
    ];
    assert_eq!(block[..expected_head.len()], expected_head);
    assert_eq!(block.len(), 62, "a title and 61 lines");
    assert_eq!(block[46], "\t\tstotal_download_bytes = 10694778880");
    assert_eq!(block[57], "\t\tsuccess_file_write_count = 0");
    assert_eq!(block[58], format!("\t\tlast_heart_beat_time = {epoch}"));
    assert_eq!(block[61], format!("\t\tlast_synced_timestamp = {epoch} "));
}

#[test]
fn the_delay_is_that_behind_the_others() {
    let mut late = storage("10.0.0.2");
    let first = storage("10.0.0.1");
    assert_eq!(group(vec![first.clone(), late.clone()]).delay(&late), "(never synced)");
    late.stats.last_synced_timestamp = 1_000_000_040;
    assert_eq!(group(vec![first.clone(), late.clone()]).delay(&late), "(1 minute delay)");
    assert_eq!(group(vec![late.clone()]).delay(&late), "");
}
