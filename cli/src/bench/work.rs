//! What is measured: uploads, downloads, deletes, queries, in whichever protocol.

use std::sync::Arc;

use bytes::Bytes;
use protocol::{FileId, GroupName};

use super::engine::{Head, Work};

/// A file that the run made or was told of.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) id: FileId,
}

/// How requests are written and answers read.
pub(super) trait Dialect {
    fn upload(&self, content: &[u8]) -> Bytes;
    /// The new file's ID in the body of an answer.
    fn uploaded(&self, body: &[u8]) -> Option<FileId>;
    fn download(&self, made: &Made) -> Bytes;
    fn delete(&self, made: &Made) -> Bytes;
    /// Where to upload, or, given a file, where to read it.
    fn query(&self, group: Option<GroupName>, file: Option<&FileId>) -> anyhow::Result<Bytes>;
    fn head(&self, have: &[u8]) -> Result<Option<Head>, &'static str>;
}

/// Whether IDs of uploads are wanted afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    Keep,
    Drop,
}

/// Uploads of one content, over and over.
pub(super) struct Uploads<'a, D> {
    dialect: &'a D,
    request: Bytes,
    size: u64,
    left: u64,
    ids: Ids,
    pub(super) made: Vec<Made>,
}

impl<'a, D: Dialect> Uploads<'a, D> {
    pub(super) fn new(dialect: &'a D, content: &[u8], count: u64, ids: Ids) -> Self {
        let request = dialect.upload(content);
        Self { dialect, request, size: content.len() as u64, left: count, ids, made: Vec::new() }
    }
}

impl<D: Dialect> Work for Uploads<'_, D> {
    fn next(&mut self) -> Option<Bytes> {
        self.left = self.left.checked_sub(1)?;
        Some(self.request.clone())
    }

    fn head(&self, have: &[u8]) -> Result<Option<Head>, &'static str> {
        self.dialect.head(have)
    }

    fn keeps_body(&self) -> bool {
        self.ids == Ids::Keep
    }

    fn succeeded(&mut self, _head: &Head, body: &[u8]) -> u64 {
        if self.ids == Ids::Keep {
            self.made.extend(self.dialect.uploaded(body).map(|id| Made { id }));
        }
        self.size
    }
}

/// Order in which prepared requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Any of them, again and again.
    Random,
    /// Each once.
    Once,
}

/// Requests that are all known before: downloads, deletes, queries.
pub(super) struct Prepared<'a, D> {
    dialect: &'a D,
    requests: Arc<Vec<Bytes>>,
    order: Order,
    at: usize,
    left: u64,
    random: fastrand::Rng,
}

impl<'a, D: Dialect> Prepared<'a, D> {
    /// Sends `count` requests in this order.
    pub(super) fn new(dialect: &'a D, requests: Arc<Vec<Bytes>>, order: Order, count: u64) -> Self {
        Self { dialect, requests, order, at: 0, left: count, random: fastrand::Rng::new() }
    }

    /// Starts at another request than the first: several threads share one list.
    pub(super) fn starting_at(mut self, at: usize) -> Self {
        self.at = at;
        self
    }
}

impl<D: Dialect> Work for Prepared<'_, D> {
    fn next(&mut self) -> Option<Bytes> {
        self.left = self.left.checked_sub(1)?;
        let index = match self.order {
            Order::Random if self.requests.len() > 1 => self.random.usize(..self.requests.len()),
            Order::Random => 0,
            Order::Once => self.at,
        };
        self.at += 1;
        self.requests.get(index).cloned()
    }

    fn head(&self, have: &[u8]) -> Result<Option<Head>, &'static str> {
        self.dialect.head(have)
    }

    fn succeeded(&mut self, head: &Head, _body: &[u8]) -> u64 {
        head.body
    }
}
