//! The cluster at a glance: sums over all groups, and what a person should look at.

use axum::extract::State;
use protocol::cluster::StorageStatus;
use serde::Serialize;

use super::App;
use super::storages::mode_word;
use super::trackers::leader;
use crate::app::VERSION;
use crate::state::{Cluster, Group, Member, Trouble, Warning};

#[derive(Serialize)]
struct Totals {
    groups: usize,
    /// All but tombstones.
    storages: usize,
    active: usize,
    offline: usize,
    total_mb: i64,
    free_mb: i64,
    available_mb: i64,
    uploads: i64,
    upload_bytes: i64,
    downloads: i64,
    download_bytes: i64,
    deletes: i64,
}

impl Totals {
    fn of(state: &Cluster) -> Self {
        let groups = || state.groups().iter();
        let members = || groups().flat_map(|group| &group.members).filter(|member| !member.is_gone());
        let are = |status| members().filter(move |member| member.status == status).count();
        let of_groups = |value: fn(&Group) -> i64| groups().map(value).fold(0, i64::saturating_add);
        let of_members = |value: fn(&Member) -> i64| members().map(value).fold(0, i64::saturating_add);
        Self {
            groups: groups().count(),
            storages: members().count(),
            active: are(StorageStatus::ACTIVE),
            offline: are(StorageStatus::OFFLINE),
            total_mb: of_groups(|group| group.total_mb),
            free_mb: of_groups(|group| group.free_mb),
            available_mb: groups()
                .map(|group| state.group_statistics(group).available_mb)
                .fold(0, i64::saturating_add),
            uploads: of_members(|member| member.stats.success_upload_count),
            upload_bytes: of_members(|member| member.stats.success_upload_bytes),
            downloads: of_members(|member| member.stats.success_download_count),
            download_bytes: of_members(|member| member.stats.success_download_bytes),
            deletes: of_members(|member| member.stats.success_delete_count),
        }
    }
}

#[derive(Serialize)]
struct WarningView {
    code: &'static str,
    group: Option<String>,
    storage: Option<String>,
    destination: Option<String>,
    detail: String,
}

impl WarningView {
    fn of(warning: &Warning, now: i64) -> Self {
        let (code, destination, detail) = match &warning.trouble {
            Trouble::Offline(Some(since)) => {
                let silence = (now - since).max(0);
                (
                    "storage_offline",
                    None,
                    format!("its last heart beat came {silence} s ago; start it or delete it"),
                )
            }
            Trouble::Offline(None) => {
                ("storage_offline", None, "it has not come since this tracker was started".to_owned())
            }
            Trouble::NotInService(status) => {
                ("storage_not_in_service", None, format!("it is {} and takes no clients yet", status.name()))
            }
            Trouble::Restricted(mode) => {
                ("storage_restricted", None, format!("its mode is {}", mode_word(*mode)))
            }
            Trouble::NoRoom => {
                let detail = "no more than reserved_storage_space is free; uploads are refused";
                ("group_full", None, detail.to_owned())
            }
            Trouble::NotWritable => ("group_not_writable", None, "no storage of it takes uploads".to_owned()),
            Trouble::NotReadable => ("group_not_readable", None, "no storage of it serves reads".to_owned()),
            Trouble::DeadLetters(to, count) => {
                let detail = format!("{count} changes are refused there; see /v1/replication of the source");
                ("dead_letters", Some(to), detail)
            }
            Trouble::Lag(to, lag) => {
                ("replication_lag", Some(to), format!("the destination is {lag} s behind"))
            }
        };
        Self {
            code,
            group: Some(warning.group.to_string()),
            storage: warning.storage.map(|id| id.to_string()),
            destination: destination.map(|id| id.to_string()),
            detail,
        }
    }

    /// Of no group.
    fn no_leader() -> Self {
        let detail =
            "the trackers have no leader, so storages hear nothing of each other; see which tracker is down";
        let code = "no_leader";
        Self { code, group: None, storage: None, destination: None, detail: detail.to_owned() }
    }
}

#[derive(Serialize)]
pub(super) struct Summary {
    version: &'static str,
    /// The FastDFS version that this tracker behaves like.
    fastdfs_version: &'static str,
    now: i64,
    up_time: i64,
    leader: Option<std::net::SocketAddr>,
    trackers: usize,
    totals: Totals,
    warnings: Vec<WarningView>,
}

pub(super) async fn summary(State(shared): App) -> axum::Json<Summary> {
    let (own, others) = shared.peers.known();
    let (state, now) = (shared.state(), shared.now());
    let leader = leader(&state, own);
    let mut warnings = Vec::new();
    if leader.is_none() && own.is_some() {
        warnings.push(WarningView::no_leader());
    }
    warnings.extend(state.warnings(now).iter().map(|warning| WarningView::of(warning, now)));
    axum::Json(Summary {
        version: env!("CARGO_PKG_VERSION"),
        fastdfs_version: VERSION,
        now,
        up_time: shared.up_time(),
        leader,
        trackers: others.len() + 1,
        totals: Totals::of(&state),
        warnings,
    })
}
