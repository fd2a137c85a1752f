//! The state of the cluster: a table for people, FastDFS's listing, or JSON.

mod replication;

use anyhow::Context;
use clap::Args;
use protocol::GroupName;
use protocol::cluster::StorageStats;
use protocol::tracker::StorageRecord;
use serde_json::{Map, Value, json};

use super::ClusterArgs;
use crate::clock::local_time;
use crate::format::human_mb;
use crate::monitor::{GroupView, host};
use crate::output::print;
use crate::session::Session;
use replication::Replication;

/// Show groups, storages, and how far replication between them is
#[derive(Debug, Args)]
pub(crate) struct MonitorArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Show this group only
    #[arg(short, long, value_name = "GROUP", value_parser = |text: &str| GroupName::parse(text))]
    group: Option<GroupName>,
    /// Every number, as fdfs_monitor prints them
    #[arg(long, conflicts_with = "json")]
    full: bool,
    /// Every number, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &MonitorArgs) -> anyhow::Result<()> {
    let session = args.cluster.open()?;
    let views = views(&session, args.group)?;
    if args.json {
        let groups = views.iter().map(|view| {
            let mut group = group_json(view);
            if let Some(fields) = group.as_object_mut() {
                fields.insert("replication".to_owned(), replication(&session, view)?.json());
            }
            Ok(group)
        });
        let groups: Vec<Value> = groups.collect::<anyhow::Result<_>>()?;
        print(format_args!("{}", json!({ "groups": groups })));
    } else if args.full {
        for view in &views {
            print(format_args!("{}", view.text()));
        }
    } else if views.is_empty() {
        print(format_args!("no storage has joined"));
    } else {
        let mut tables = Vec::with_capacity(2 * views.len());
        for view in &views {
            tables.push(table(view));
            tables.extend(replication(&session, view)?.table());
        }
        print(format_args!("{}", tables.join("\n\n")));
    }
    Ok(())
}

fn replication(session: &Session, view: &GroupView) -> anyhow::Result<Replication> {
    Replication::ask(session, view)
        .with_context(|| format!("cannot ask how far replication of {} is", view.group.name))
}

fn views(session: &Session, only: Option<GroupName>) -> anyhow::Result<Vec<GroupView>> {
    let trackers = &session.client.trackers;
    let mut groups = session.wait(trackers.groups()).context("cannot list the groups")?;
    if let Some(only) = only {
        groups.retain(|group| group.name == only);
        if groups.is_empty() {
            anyhow::bail!("the tracker knows no group {only}");
        }
    }
    let mut views = Vec::with_capacity(groups.len());
    for group in groups {
        let listed = session.wait(trackers.storages(group.name, None));
        let storages =
            listed.with_context(|| format!("cannot list the storages of {}", group.name))?.storages;
        views.push(GroupView { group, storages });
    }
    Ok(views)
}

/// A line for the group, then one a storage, in columns.
fn table(view: &GroupView) -> String {
    let group = &view.group;
    let mut text = format!(
        "{}: {} free of {}, {} kept free, {} of {} storages writable",
        group.name,
        human_mb(group.free_mb),
        human_mb(group.total_mb),
        human_mb(group.reserved_mb),
        group.writable_count,
        group.storage_count,
    );
    let mut rows = vec![
        ["STORAGE", "ADDRESS", "STATUS", "VERSION", "FREE", "TOTAL", "FILES IN", "FILES OUT", "LAST SEEN"]
            .map(str::to_owned),
    ];
    rows.extend(view.storages.iter().map(row));
    text.push('\n');
    text.push_str(&columns(&rows));
    text
}

/// Rows with their cells one below the other, indented.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("  {}", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn row(storage: &StorageRecord) -> [String; 9] {
    let stats = &storage.stats;
    [
        storage.id.to_string(),
        host(storage),
        storage.status.to_string(),
        storage.version.clone(),
        human_mb(storage.free_mb),
        human_mb(storage.total_mb),
        stats.success_upload_count.to_string(),
        stats.success_download_count.to_string(),
        local_time(stats.last_heart_beat_time),
    ]
}

fn group_json(view: &GroupView) -> Value {
    let group = &view.group;
    json!({
        "name": group.name.to_string(),
        "total_mb": group.total_mb,
        "free_mb": group.free_mb,
        "reserved_mb": group.reserved_mb,
        "available_mb": (group.free_mb - group.reserved_mb).max(0),
        "trunk_free_mb": (group.trunk_file_id >= 0).then_some(group.trunk_free_mb),
        "trunk_file_id": (group.trunk_file_id >= 0).then_some(group.trunk_file_id),
        "storage_count": group.storage_count,
        "readable_count": group.readable_count,
        "writable_count": group.writable_count,
        "storage_port": group.storage_port,
        "store_path_count": group.store_path_count,
        "subdir_count_per_path": group.subdir_count,
        "current_write_server": group.current_write_server,
        "storages": view.storages.iter().map(|storage| storage_json(view, storage)).collect::<Vec<_>>(),
    })
}

fn storage_json(view: &GroupView, storage: &StorageRecord) -> Value {
    let stats = &storage.stats;
    let mut counters: Map<String, Value> = StorageStats::NAMES
        .iter()
        .zip(stats.numbers())
        .map(|(name, number)| ((*name).to_owned(), number.into()))
        .collect();
    counters.insert("connections_alloc".to_owned(), stats.connections_alloc.into());
    counters.insert("connections_current".to_owned(), stats.connections_current.into());
    counters.insert("connections_max".to_owned(), stats.connections_max.into());
    let newest = view.newest_elsewhere(storage);
    let delay = (newest > 0 && stats.last_synced_timestamp > 0)
        .then(|| (newest - stats.last_synced_timestamp).max(0));
    json!({
        "id": storage.id.to_string(),
        "ip": storage.ip,
        "port": storage.port,
        "status": storage.status.name(),
        "read_write_mode": crate::monitor::rw_mode(storage.rw_mode),
        "version": storage.version,
        "join_time": storage.join_time,
        "up_time": storage.up_time,
        "total_mb": storage.total_mb,
        "free_mb": storage.free_mb,
        "reserved_mb": storage.reserved_mb,
        "upload_priority": storage.upload_priority,
        "store_path_count": storage.store_path_count,
        "subdir_count_per_path": storage.subdir_count,
        "current_write_path": storage.current_write_path,
        "source_storage_id": storage.source.map(|source| source.to_string()),
        "is_trunk_server": storage.is_trunk_server != 0,
        "sync_delay_seconds": delay,
        "stats": counters,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::tests::{group, storage};

    #[test]
    fn columns_line_up() {
        let text = table(&group(vec![storage("10.0.0.1"), storage("192.168.100.200")]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "group1: 66 GB free of 252 GB, 2.5 GB kept free, 2 of 2 storages writable");
        let column = lines[1].find("STATUS").unwrap();
        assert!(lines[2..].iter().all(|line| line[column..].starts_with("ACTIVE")), "{text}");
    }

    #[test]
    fn json_has_every_counter() {
        let value = group_json(&group(vec![storage("10.0.0.1")]));
        assert_eq!(value["name"], "group1");
        assert_eq!(value["trunk_free_mb"], Value::Null);
        let first = &value["storages"][0];
        assert_eq!(first["status"], "ACTIVE");
        assert_eq!(first["stats"]["total_upload_count"], 99_562);
        assert_eq!(first["stats"].as_object().unwrap().len(), StorageStats::NAMES.len() + 3);
    }
}
