//! `GET /v1/files/{file_id}`: what is known of a file, and which members have it.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat};
use http::StatusCode;
use protocol::FileId;
use protocol::file_id::{FileKind, Source};
use protocol::metadata::Metadata;
use serde::Serialize;

use super::{Shared, opening};
use crate::files::{Checksum, FileInfo, Files, Holder, Holds, LookError};
use crate::problem::Problem;
use crate::query::QueryString;
use crate::validators::Validators;

/// A file as its description says it.
#[derive(Debug, Serialize)]
pub(super) struct Described {
    file_id: String,
    group: String,
    kind: &'static str,
    /// Bytes of content.
    size: u64,
    /// Eight hex digits; null where the name does not hold it and it was not asked for.
    crc32: Option<String>,
    /// Of file URLs.
    etag: String,
    /// When the ID was made, unix seconds.
    timestamp: u32,
    /// The same by RFC 3339.
    created: Option<String>,
    /// Last change, by RFC 3339.
    modified: Option<String>,
    source: Origin,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    /// When the file is deleted, by RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holders: Option<Vec<Held>>,
}

/// The member that made a file.
#[derive(Debug, Serialize)]
struct Origin {
    address: Option<String>,
    /// Where members are known by numbers.
    id: Option<u32>,
}

/// A member of a file's group.
#[derive(Debug, Serialize)]
struct Held {
    id: String,
    address: String,
    state: String,
    /// Null if it did not say so in time.
    has_file: Option<bool>,
    size: Option<u64>,
    /// The file there, for browsers.
    url: Option<String>,
}

/// Describes a file.
pub(super) async fn get<F: Files>(
    State(served): Shared<F>,
    Path(file_id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (id, parts) = opening::to_read(&served, &file_id, request)?;
    let query = QueryString::of(&parts.uri);
    let is_on = |key: &str, otherwise: bool| match query.get(key).as_deref() {
        None => otherwise,
        Some(value) => !matches!(value, "0" | "false"),
    };
    let checksum = if is_on("crc32", false) { Checksum::Computed } else { Checksum::IfKnown };
    let wants_holders = is_on("holders", true);
    let files = &*served.files;
    let (described, holders) = tokio::join!(describe(files, &id, checksum), async {
        if wants_holders { Some(files.holders(&id).await) } else { None }
    });
    let described = described.map_err(look_failed)?;
    let holders = holders.map(|holders| holders.into_iter().map(|holder| Held::of(&id, holder)).collect());
    Ok(axum::Json(Described { holders, ..described }).into_response())
}

/// Describes a file, without those who have it.
pub(super) async fn describe<F: Files>(
    files: &F,
    id: &FileId,
    checksum: Checksum,
) -> Result<Described, LookError> {
    let (info, metadata) = tokio::join!(files.info(id, checksum), files.metadata(id));
    let info = info?;
    // The description of a file whose metadata cannot be had lacks only what that says.
    Ok(Described::of(id, &info, &metadata.unwrap_or_default()))
}

impl Described {
    fn of(id: &FileId, info: &FileInfo, metadata: &Metadata) -> Self {
        let code = id.name.code().ok();
        let number = code.as_ref().and_then(|code| match code.source {
            Source::Id(number) => Some(number),
            Source::Ip(_) => None,
        });
        let timestamp = code.map_or(0, |code| code.timestamp);
        let expires = metadata.get("fdfs.expires").and_then(|seconds| seconds.parse().ok());
        Self {
            file_id: id.to_string(),
            group: id.group.to_string(),
            kind: if info.is_link { "link" } else { kind_of(id) },
            size: info.len,
            crc32: info.crc32.map(|crc32| format!("{crc32:08x}")),
            etag: Validators::of(id, info.len, info.modified, info.mutable).etag,
            timestamp,
            created: rfc3339(timestamp.into()),
            modified: unix_seconds(info.modified).and_then(rfc3339),
            source: Origin { address: info.source.map(|ip| ip.to_string()), id: number },
            filename: metadata.get("fdfs.filename").map(str::to_owned),
            expires: expires.and_then(rfc3339),
            holders: None,
        }
    }
}

impl Held {
    fn of(id: &FileId, holder: Holder) -> Self {
        let (has_file, size) = match holder.holds {
            Holds::Yes(size) => (Some(true), Some(size)),
            Holds::No => (Some(false), None),
            Holds::Unknown => (None, None),
        };
        Self {
            id: holder.id,
            address: holder.address.to_string(),
            state: holder.status.to_string(),
            has_file,
            size,
            url: holder.url.map(|url| format!("{}/{id}", url.trim_end_matches('/'))),
        }
    }
}

fn kind_of(id: &FileId) -> &'static str {
    match id.name.kind() {
        Ok(FileKind::Normal) => "normal",
        Ok(FileKind::Appender) => "appender",
        Ok(FileKind::Slave) => "slave",
        Ok(FileKind::Trunk(_)) => "trunk",
        Err(_) => "unknown",
    }
}

fn unix_seconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// A time of that many seconds since 1970; `None` if no calendar has it.
fn rfc3339(seconds: i64) -> Option<String> {
    let time = DateTime::from_timestamp(seconds, 0)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// A file of which nothing is known, as clients hear it.
pub(super) fn look_failed(error: LookError) -> Problem {
    match error {
        LookError::NotFound => Problem::new(StatusCode::NOT_FOUND, "no_such_file", "no file has this ID"),
        LookError::Unreachable => {
            let detail =
                "the file is not here, and the members that should have it do not answer; try again later";
            Problem::new(StatusCode::BAD_GATEWAY, "members_unreachable", detail)
        }
        LookError::Io(error) => {
            tracing::error!(%error, "a file cannot be looked at");
            let detail = "the disk refused to be read; the node's log says why";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "disk", detail)
        }
    }
}
