//! The audit log: a line of JSON for each write and admin call, refused ones too. Reads have none.
//!
//! Lines go the way of the access log's: to a bounded buffer that a thread writes, so no request waits for a disk. What
//! clients say is escaped, so that none can end a line or a string.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::Request;
use chrono::{DateTime, SecondsFormat, Utc};
use http::Response;
use http::header::LOCATION;
use percent_encoding::percent_decode_str;
use protocol::FileId;
use protocol::config::web_conf::log_format::LogEscape;

use crate::access_log::escape;
use crate::access_log::writer::Writer;
use crate::authority::Scope;
use crate::client::Client;
use crate::visit::{RequestId, Visit};

/// Longest time that a line waits before it is written.
const FLUSH: Duration = Duration::from_secs(1);
/// nginx's status of a client that left before its answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;
/// Most file IDs of a line.
const MAX_IDS: usize = 1000;

/// The files that a request made or changed, an extension of its answer where path and `Location` do not tell.
#[derive(Debug, Clone, Default)]
pub struct ChangedFiles(pub Vec<String>);

/// An audit log that is on. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct AuditLog(Arc<Writer>);

impl AuditLog {
    /// Opens the file. Blocking.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(Writer::open(path.to_owned(), FLUSH)?)))
    }

    /// Opens the file anew, since somebody has moved it away.
    pub(crate) fn reopen(&self) {
        self.0.reopen();
    }

    /// Waits until all lines are in the file. Blocking.
    pub(crate) fn flush(&self) {
        self.0.flush();
    }

    /// Begins the line of a request.
    pub(crate) fn begin(
        &self,
        visit: Arc<Visit>,
        client: Client,
        id: Option<&RequestId>,
        request: &Request,
    ) -> Entry {
        Entry {
            log: self.clone(),
            visit,
            client,
            id: id.map_or_else(|| "".into(), |id| Arc::clone(&id.0)),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            files: Vec::new(),
            status: CLIENT_CLOSED_REQUEST,
        }
    }
}

/// The line of a request under way, written when this is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    log: AuditLog,
    visit: Arc<Visit>,
    client: Client,
    id: Arc<str>,
    method: http::Method,
    /// Without the query, which may hold a ticket.
    path: String,
    files: Vec<String>,
    status: u16,
}

impl Entry {
    /// Notes the answer and ends the line.
    pub(crate) fn answered<B>(mut self, response: &Response<B>) {
        self.status = response.status().as_u16();
        if let Some(ChangedFiles(files)) = response.extensions().get::<ChangedFiles>() {
            self.files.extend(files.iter().take(MAX_IDS).cloned());
        } else if let Some(made) = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()) {
            self.files.extend(file_in(made));
        }
        if self.files.is_empty() {
            let files = file_in(&self.path);
            self.files.extend(files);
        }
    }

    fn line(&self, now: SystemTime) -> Option<Vec<u8>> {
        let told = self.visit.told();
        let scope = told.scope.filter(|scope| *scope != Scope::Read)?;
        let time = DateTime::<Utc>::from(now).to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut line = Line(Vec::with_capacity(512));
        line.text("{\"time\":", &time);
        line.text(",\"request_id\":", &self.id);
        line.text(",\"client\":", &self.client.address.ip().to_string());
        line.text(",\"who\":", if told.who.is_empty() { "unknown" } else { &told.who });
        line.text(",\"scope\":", scope.name());
        line.text(",\"method\":", self.method.as_str());
        line.text(",\"operation\":", &told.operation);
        line.text(",\"path\":", &self.path);
        match told.group {
            Some(group) => line.text(",\"group\":", group.as_str()),
            None => line.raw(",\"group\":null"),
        }
        line.raw(",\"file_ids\":[");
        for (index, file) in self.files.iter().enumerate() {
            line.text(if index == 0 { "" } else { "," }, file);
        }
        line.raw(&format!("],\"bytes\":{},\"status\":{}}}\n", self.visit.received(), self.status));
        Some(line.0)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(line) = self.line(SystemTime::now()) {
            self.log.0.push(&line);
        }
    }
}

struct Line(Vec<u8>);

impl Line {
    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn text(&mut self, before: &str, value: &str) {
        self.raw(before);
        self.raw("\"");
        escape::push(&mut self.0, LogEscape::Json, Some(value.as_bytes()));
        self.raw("\"");
    }
}

/// The file ID in a path or URL.
fn file_in(path: &str) -> Option<String> {
    const SEGMENTS: usize = 5;
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let segments: Vec<&str> = path.split('/').collect();
    let mut ids = segments.windows(SEGMENTS).map(|segments| segments.join("/"));
    ids.find(|id| FileId::parse(id).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_ids_are_found_in_paths() {
        let id = "group1/M00/00/00/wKjugmTdbm6AO3ssAAAAFAK2GLE468.txt";
        for (path, expected) in [
            (format!("/{id}"), Some(id)),
            (format!("http://127.0.0.1:8888/{id}"), Some(id)),
            (format!("/v1/files/{}", id.replace('/', "%2F")), Some(id)),
            (format!("/v1/files/{id}/metadata/a"), Some(id)),
            ("/v1/uploads/abc".to_owned(), None),
            ("/v1/files".to_owned(), None),
            ("/v1/%FF".to_owned(), None),
        ] {
            assert_eq!(file_in(&path).as_deref(), expected, "{path}");
        }
    }
}
