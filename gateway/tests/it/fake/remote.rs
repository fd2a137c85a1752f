//! Files of the other member, and how it gives them.

use std::io;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gateway::files::{RemoteContent, RemoteFile};
use protocol::metadata::Metadata;

use super::{Entry, Fake, MEMBER_URL, Others, TIME};

/// A file that the other member has.
pub struct FakeRemote {
    pub(super) store: Fake,
    pub(super) entry: Entry,
    pub(super) metadata: Metadata,
}

impl RemoteFile for FakeRemote {
    type Content = FakeContent;

    fn len(&self) -> u64 {
        self.entry.content.len() as u64
    }

    fn modified(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(TIME.into())
    }

    fn is_mutable(&self) -> bool {
        self.entry.mutable
    }

    fn base_url(&self) -> String {
        MEMBER_URL.to_owned()
    }

    async fn described(&self) -> Metadata {
        self.metadata.clone()
    }

    async fn open(&self, part: Range<u64>) -> io::Result<FakeContent> {
        self.store.0.opened.lock().unwrap().push(part.clone());
        let others = *self.store.0.others.lock().unwrap();
        if others == Others::GoneLater {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let at = |at| usize::try_from(at).unwrap();
        let content = self.entry.content.slice(at(part.start)..at(part.end));
        Ok(FakeContent { content, breaks: others == Others::BreakOff })
    }
}

/// Content that comes from the other member in odd pieces.
pub struct FakeContent {
    content: Bytes,
    breaks: bool,
}

impl RemoteContent for FakeContent {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if self.content.is_empty() {
            return Ok(None);
        }
        if self.breaks && self.content.len() < 70_001 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(Some(self.content.split_to(self.content.len().min(70_001))))
    }
}
