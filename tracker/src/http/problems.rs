//! Refusals in HTTP's terms: every code that the tracker's REST answers, and what to do about it.

use gateway::problem::Problem;
use http::StatusCode;
use protocol::{GroupName, Status};

use crate::state::{Cluster, Door, Wanted};

pub(super) fn bad_parameter(name: &str, why: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_parameter", format!("the parameter {name} {why}"))
}

pub(super) fn bad_group_name() -> Problem {
    let detail = "the parameter group is no group name: 1 to 16 letters or digits, such as group1";
    Problem::new(StatusCode::BAD_REQUEST, "bad_group_name", detail)
}

pub(super) fn no_such_group(name: GroupName) -> Problem {
    let detail =
        format!("no storage of a group {name} has ever joined this tracker; /v1/groups lists the groups");
    Problem::new(StatusCode::NOT_FOUND, "no_such_group", detail)
}

pub(super) fn no_such_storage(group: GroupName) -> Problem {
    let detail = format!("the group has no such storage; /v1/groups/{group}/storages lists the ids");
    Problem::new(StatusCode::NOT_FOUND, "no_such_storage", detail)
}

pub(super) fn no_active_storage(what: &str) -> Problem {
    let detail = format!(
        "no storage in service takes {what}; look at /v1/cluster for which are offline, and try again"
    );
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_active_storage", detail)
}

/// FastDFS's storages speak the native protocol only.
pub(super) fn no_http_storage() -> Problem {
    let detail = "the storages in service take this by the native protocol only, or have not told yet where they serve HTTP; \
                  ask /v1/schedule/upload or /v1/schedule/update for a native address";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_http_storage", detail)
}

/// Why no place for an upload was found.
pub(super) fn not_placed(state: &Cluster, wanted: &Wanted, status: Status) -> Problem {
    if let Some(name) = wanted.group.filter(|name| state.group(*name).is_none()) {
        return no_such_group(name);
    }
    if status == Status::ENOSPC {
        let detail = format!(
            "no group that is asked for has room for {} bytes above its reserved_storage_space; add space or a group",
            wanted.size
        );
        return Problem::new(StatusCode::INSUFFICIENT_STORAGE, "no_space", detail);
    }
    let mut candidates =
        state.groups().iter().filter(|group| wanted.group.is_none_or(|name| group.name == name));
    if wanted.door == Door::Http && candidates.any(|group| group.writable().next().is_some()) {
        return no_http_storage();
    }
    no_active_storage("uploads")
}

/// Why nobody was found to ask about a file of this group.
pub(super) fn nobody_for_file(state: &Cluster, group: GroupName, status: Status, what: &str) -> Problem {
    match (state.group(group), status) {
        (None, _) => no_such_group(group),
        (Some(_), Status::ENOENT) => no_active_storage(what),
        (Some(_), status) => {
            Problem::new(StatusCode::BAD_REQUEST, "refused", format!("the file ID was refused: {status}"))
        }
    }
}
